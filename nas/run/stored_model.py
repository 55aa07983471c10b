"""Models of an earlier run: found by number or digest, with all that an exporter needs to know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cost_models.budget import Budget
from cost_models.costing import Costs
from cost_models.errors import UserError
from cost_models.target import Target
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from nas.frontend.costs import cost_model
from nas.model.recipe import TrainingRecipe
from nas.model.result import TrialSummary
from nas.model.trained import Accuracy, TrainedModel
from nas.run.config import RunConfig
from nas.run.folder import RunFolder, open_run_folder, relative_paths_told, saved_config
from nas.run.limits import less_front_end, users_budget
from nas.run.result import read_result
from nas.run.trust import refuse_export
from nas.strategy.screening import FRONT_END
from nas.tasks import load_task

if TYPE_CHECKING:
    from nas.tasks.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class RunModel:
    """A finished model of a run, costed again.

    Attributes:
        model: The finished model.
        target: The run's target.
        costs: Of the model's bytes on it.
        budget: The run's limits.
    """

    model: TrainedModel
    target: Target
    costs: Costs
    budget: Budget


def load_run_model(
    path: Path,
    model_id: str | None = None,
    *,
    name: str | None = None,
    target: Target | None = None,
    budget: Budget | None = None,
    trust_space: bool = False,
) -> RunModel:
    """A model of an earlier run, its accuracy measured by TFLM's interpreter on validation and test data.

    Args:
        path: The run folder.
        model_id: Trial number, or the beginning of a digest; None takes the chosen model.
        name: Prefix of files and symbols; None takes the run's.
        target: What it is costed for; None takes the run's.
        budget: The limits of the network, of front end and network where the front end was searched; None takes the
            run's.
        trust_space: Run the code of a task that the run folder names.

    Raises:
        UserError: No run, no such model, or other data than the run was started with.
    """
    from nas.runtimes.several import processes_for
    from nas.tasks.accuracy import measure_accuracy

    folder = open_run_folder(str(path))
    config = saved_config(folder)
    if not trust_space:
        refuse_export(str(path), config)
    trial = _find(folder, model_id)
    tflite = model_bytes(folder, trial)
    graph = read_graph(tflite)
    with relative_paths_told(folder):
        target = target or load_target(config.target)
        dataset = load_task(config.task, config).judged_by(config.metric, robust=config.robust)
    _check_data(folder, dataset, config.task)
    if dataset.behind:
        dataset = dataset.behind[trial.params[FRONT_END]]
    chosen = read_result(folder)[0].chosen
    is_chosen = chosen is not None and chosen.number == trial.number
    validated = tflite if trial.retrains is None else model_bytes(folder, _find(folder, str(trial.retrains)))
    processes = processes_for(config.workers)
    validation = measure_accuracy(validated, dataset, "val", "tflm", processes=processes)
    # Given limits are less a front end already, where that was not searched.
    whole = budget is None or FRONT_END in trial.params
    limits = users_budget(config, target, text=config.budget) if budget is None else budget
    return RunModel(
        model=finished_model(
            tflite,
            dataset=dataset,
            config=config.model_copy(update={"name": name or config.name}),
            trial=trial,
            accuracies=(
                validation,
                measure_accuracy(
                    tflite,
                    dataset,
                    "test",
                    "tflm",
                    threshold=validation.threshold,
                    detailed=True,
                    processes=processes,
                ),
            ),
            versions=folder.load_config().get("versions", {}),
            robustness=chosen.robustness if chosen is not None and is_chosen else None,
            optimism=chosen.optimism if chosen is not None and is_chosen else None,
            folded=chosen.folded if chosen is not None and is_chosen else None,
        ),
        target=target,
        costs=cost_model(target, dataset.info.frontend).estimate(graph, file_bytes=len(tflite)),
        budget=less_front_end(limits, target, dataset.info.frontend if whole else None),
    )


def finished_model(
    tflite: bytes,
    *,
    dataset: Dataset,
    config: RunConfig,
    trial: TrialSummary,
    accuracies: tuple[Accuracy, ...],
    versions: Mapping[str, str],
    robustness: Mapping[str, Any] | None = None,
    optimism: Mapping[str, Any] | None = None,
    folded: Mapping[str, Any] | None = None,
) -> TrainedModel:
    """A trained model of a run with all that an exporter needs.

    Args:
        tflite: The lean model.
        dataset: The run's data.
        config: The run's configuration, its seed drawn.
        trial: The trial's entry in the result.
        accuracies: What was measured.
        versions: Packages that the run was made with.
        robustness: See `nas.tasks.robustness`, as JSON values; None where it was not measured.
        optimism: See `nas.model.optimism`, as JSON values; None where it is not known.
        folded: See `nas.model.folded`, likewise.
    """
    from nas.runtimes.golden import choose_golden

    golden = choose_golden(tflite, dataset.samples["test"], dataset.info.preprocess, config.seed or 0)
    recordings = dataset.golden_recordings
    return TrainedModel(
        name=config.name,
        tflite=tflite,
        task=dataset.info,
        golden_inputs=golden.samples
        if recordings is None
        else np.concatenate([_features(recordings, dataset), golden.samples]),
        golden_recordings=recordings,
        golden_share=golden.share,
        accuracies=accuracies,
        provenance={
            "space": config.space,
            "digest": trial.digest,
            "trial": trial.number,
            "seed": config.seed,
            "params": trial.params,
            "steps": trial.trained_steps,
            "sparsity": config.sparsity,
            "quantization": trial.quantization,
            "recipe": asdict(TrainingRecipe()),
            **dataset.disturbed.to_json(),
            **({} if trial.retrains is None else {"trained_on": ["train", "val"]}),
            **({} if trial.init is None else {"init": asdict(trial.init)}),
            "versions": dict(versions),
            **({} if robustness is None else {"robustness": dict(robustness)}),
            **({} if optimism is None else {"optimism": dict(optimism)}),
            **({} if folded is None else {"folded": dict(folded)}),
        },
    )


def _features(recordings: NDArray[np.int16], dataset: Dataset) -> NDArray[np.uint8]:
    """The front end's features of recordings, as the task's raw samples."""
    from nas.frontend.front_end import FrontEnd
    from nas.frontend.spec import settings_of

    spec = dataset.info.frontend
    assert spec is not None
    raw = FrontEnd(settings_of(spec)).raw_features(recordings)
    return raw.reshape(len(raw), *dataset.info.input_shape)


def _find(folder: RunFolder, model_id: str | None) -> TrialSummary:
    summary, _ = read_result(folder)
    evaluated = summary.evaluated()
    if model_id is None:
        if summary.chosen is None:
            raise UserError(f"The run {folder.path} chose no model.", "Nothing of it fits its budget.")
        model_id = str(summary.chosen.number)
    by_number = [trial for trial in evaluated if str(trial.number) == model_id]
    # Of one network trained several times, the longest training counts.
    by_digest = [trial for trial in evaluated if len(model_id) >= 6 and trial.digest.startswith(model_id)]
    matches = by_number or sorted(by_digest, key=lambda trial: -trial.trained_steps)
    if not matches:
        raise UserError(
            f"The run {folder.path} has no model {model_id}.",
            f"Its front: {', '.join(map(str, summary.front))}." if summary.front else "Its front is empty.",
        )
    return matches[0]


def model_bytes(folder: RunFolder, trial: TrialSummary) -> bytes:
    """The model of a trial in the result.

    Raises:
        UserError: It is missing, or not the one that was trained.
    """
    return folder.load_model(trial.model_key, trial=trial.number, sha256=trial.model_sha256)


def _check_data(folder: RunFolder, dataset: Dataset, task: str) -> None:
    if folder.load_config().get("data_sha256") != dataset.digest():
        raise UserError(
            f"The data set {task} has changed since {folder.path} was started with it.",
            "Golden vectors and accuracies would be of other data; bring back the old ones.",
        )
