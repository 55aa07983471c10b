"""Another choice from a finished run: by another policy, under other limits or for another target, without training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cost_models.budget import Budget, Violation, worst_of
from cost_models.costing import CostModel, Costs
from cost_models.costing_report import require_counted
from cost_models.errors import UserError
from cost_models.target import Target
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from nas.frontend.costs import cost_model
from nas.frontend.spec import remake_spec
from nas.model.metrics import METRICS
from nas.model.policy import MetricName, Policy
from nas.model.records import TrialRecord
from nas.model.result import RunSummary, TrialSummary
from nas.model.trained import Accuracy, FrontEndSpec
from nas.run.folder import RunFolder, open_run_folder, saved_config
from nas.run.limits import less_front_end, taken_by, users_budget
from nas.run.result import read_result
from nas.run.stored_model import model_bytes
from nas.strategy.pareto import choose, pareto_front
from nas.strategy.screening import FRONT_END


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a run offers under the limits asked for, costed again from the bytes of its models.

    Attributes:
        target: Whose costs count.
        budget: The limits.
        front: The Pareto front of the models that fit, most accurate first.
        chosen: The policy's choice of it.
        notes: What must be known of the choice beyond the limits, a sentence each.
    """

    target: Target
    budget: Budget
    front: tuple[TrialRecord, ...]
    chosen: TrialRecord
    notes: tuple[str, ...]


def reselect(
    path: Path, *, policy: Policy | None = None, budget: str | None = None, target: str | None = None
) -> Selection:
    """Chooses among the models of a finished run; nothing is trained.

    Args:
        path: The run folder.
        policy: How; None takes the run's.
        budget: The limits as on the command line; None takes the run's, for another target that one's own.
        target: Name or file; None takes the run's.

    Raises:
        UserError: No finished run, or nothing of it fits (with the closest miss).
    """
    folder = open_run_folder(str(path))
    config = saved_config(folder)
    chip = load_target(target or config.target)
    # A board that the run did not serve has its own limits.
    mine = chip.name in {load_target(each).name for each in config.boards()}
    text = config.budget if budget is None and mine else budget
    summary, _ = read_result(folder)
    searched = {
        name: remake_spec(each.kind, each.settings, each.clip_samples)
        for name, each in summary.task.front_ends.items()
    }
    spec = None if searched else _front_end(summary)
    limits = less_front_end(users_budget(config, chip, text=text), chip, spec)
    usual = _Behind(limits=limits, model=cost_model(chip, spec))
    behind = {name: _Behind.of(one, chip, limits) for name, one in searched.items()}
    fitting: list[TrialRecord] = []
    misses: list[tuple[Violation, int]] = []
    refused: dict[int, UserError] = {}
    lost, samples = 0, _validation_samples(folder, summary)
    for trial in summary.evaluated():
        try:
            tflite = model_bytes(folder, trial)
        except UserError:
            lost += 1
            continue
        try:
            its = behind.get(trial.params.get(FRONT_END, ""), usual)
            record, violations = _judged(trial, tflite, samples, summary.task.metric, its)
        except UserError as error:
            refused[trial.number] = error
            continue
        if violations:
            misses.append((worst_of(violations), record.number))
        else:
            fitting.append(record)
    if not fitting:
        raise _nothing(folder, misses, refused, lost, chip)
    front = pareto_front(fitting)
    chosen = choose(front, policy or config.policy)
    return Selection(
        target=chip,
        budget=limits,
        front=front,
        chosen=chosen,
        notes=(
            *_notes(chosen, refused, lost, chip, config.rungs()[-1]),
            *_interval_notes(front, summary.task.metric, policy or config.policy),
        ),
    )


def _notes(
    chosen: TrialRecord, refused: Mapping[int, UserError], lost: int, target: Target, full_steps: int
) -> Iterator[str]:
    """The models that were left out, and whether the choice was trained as long as a final candidate is."""
    if lost:
        yield f"{lost} models of the run are missing or are not those that were trained"
    if refused:
        number, error = next(iter(refused.items()))
        yield (
            f"{len(refused)} models of the run cannot be judged on {target.name} and are left out, such as trial"
            f" {number}: {error.message}"
        )
    if not chosen.full:
        yield (
            f"trial {chosen.number} was trained for {chosen.trained_steps:,} of {full_steps:,} steps: none that was"
            " trained in full is on the front; a search for these limits (nas-run --warm-start) would train such"
            " a network longer"
        )


def _interval_notes(front: Sequence[TrialRecord], metric: MetricName, policy: Policy) -> Iterator[str]:
    """Whether the policy chose by an interval that the run does not state."""
    best = front[0].tflm_accuracy or front[0].accuracy
    if policy != "accuracy" and metric != "accuracy" and best is not None and best.interval is None:
        yield (
            f"the run does not state the interval of the {METRICS[metric].label}: the policy took that of a share of"
            " the validation samples"
        )


def _nothing(
    folder: RunFolder,
    misses: list[tuple[Violation, int]],
    refused: Mapping[int, UserError],
    lost: int,
    target: Target,
) -> UserError:
    if not misses and refused:
        number, error = next(iter(refused.items()))
        return UserError(
            f"Nothing of {folder.path} can be judged on {target.name}, such as trial {number}: {error.message}",
            error.hint,
        )
    if not misses:
        return UserError(
            f"{folder.path} holds no model ({lost} are missing).",
            f"nas-run --resume {folder.path} trains them again.",
        )
    worst, number = min(misses, key=lambda miss: (miss[0].excess, miss[1]))
    return UserError(
        f"Nothing of {folder.path} fits {target.name} under these limits: the closest is trial {number}, {worst}.",
        f"Raise the {worst.resource} limit, or search under it: nas-run --warm-start {folder.path} --budget ...",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Behind:
    """What a front end leaves to the network, and what it adds to its costs.

    Attributes:
        limits: Of the network; None where the front end alone is over them.
        model: The network's costs.
        taken: By field of `Costs`, where the front end was searched.
        error: Why the limits are too tight.
    """

    limits: Budget | None
    model: CostModel
    taken: Mapping[str, float] = field(default_factory=dict)
    error: UserError | None = None

    @classmethod
    def of(cls, spec: FrontEndSpec, target: Target, limits: Budget) -> _Behind:
        model = cost_model(target, spec)
        try:
            left = less_front_end(limits, target, spec)
        except UserError as error:
            return cls(limits=None, model=model, error=error)
        return cls(limits=left, model=model, taken=taken_by(spec, target))


def _judged(
    trial: TrialSummary, tflite: bytes, samples: int, metric: MetricName, behind: _Behind
) -> tuple[TrialRecord, tuple[Violation, ...]]:
    """A trial of the result as a record with the costs of its bytes, and the limits that it breaks.

    Raises:
        UserError: It has no costs on the target, or none for a resource that is limited.
    """
    if behind.limits is None:
        assert behind.error is not None
        raise behind.error
    explanation = behind.model.explain(read_graph(tflite), file_bytes=len(tflite))
    require_counted(explanation, behind.model, behind.limits)
    costs = explanation.costs
    record = _record(trial, costs.plus(behind.taken), samples, metric)
    return record, behind.limits.violations(costs)


def _record(trial: TrialSummary, costs: Costs, samples: int, metric: MetricName) -> TrialRecord:
    """A trial of the result as a record, with the costs of its bytes."""

    def accuracy(value: float | None, engine: Literal["litert", "tflm"]) -> Accuracy | None:
        if value is None:
            return None
        score = None if metric == "accuracy" else trial.value
        return Accuracy(
            part="val",
            engine=engine,
            correct=round(value * samples),
            total=samples,
            metric=metric,
            score=score,
            interval=None if score is None else trial.score_interval,
        )

    return TrialRecord(
        number=trial.number,
        state="evaluated",
        full=trial.full,
        steps=trial.steps,
        digest=trial.digest,
        params=trial.params,
        accuracy=accuracy(trial.accuracy, "litert"),
        tflm_accuracy=accuracy(trial.tflm_accuracy, "tflm"),
        costs=costs,
        cut_at=trial.cut_at,
        model_sha256=trial.model_sha256,
        folded=_folded(trial, metric),
    )


def _folded(trial: TrialSummary, metric: MetricName) -> Accuracy | None:
    """What a finalist came to in folds, where it was judged so."""
    figures = trial.folded
    if figures is None:
        return None
    score = None if metric == "accuracy" else figures["score"]
    return Accuracy(
        part="val",
        engine=figures["engine"],
        correct=figures["correct"],
        total=figures["total"],
        metric=metric,
        score=score,
        interval=None if score is None else (figures["score_low"], figures["score_high"]),
    )


def _front_end(summary: RunSummary) -> FrontEndSpec | None:
    entry = summary.task.frontend
    return None if entry is None else remake_spec(entry.kind, entry.settings, entry.clip_samples)


def _validation_samples(folder: RunFolder, summary: RunSummary) -> int:
    samples = summary.task.samples.get("val", 0)
    if samples < 1:
        raise UserError(f"{folder.result_file} does not say how many samples it was judged on.")
    return samples


def front_json(selection: Selection) -> dict[str, Any]:
    """The front as `nas-export --list --json` prints it."""
    return {
        "schema": 1,
        "target": selection.target.name,
        "budget": dict(selection.budget.limits()),
        "certain": selection.budget.certain,
        "notes": [*selection.budget.notes, *selection.notes],
        "chosen": selection.chosen.number,
        "front": [
            {
                "number": record.number,
                "digest": record.digest,
                "value": record.value,
                "steps": record.trained_steps,
                "full": record.full,
                "costs": None if record.costs is None else asdict(record.costs),
            }
            for record in selection.front
        ],
    }


def front_lines(selection: Selection) -> Iterator[str]:
    """The front as text, a line for each model; the chosen one has a mark."""
    from cost_models.resources import format_quantity

    for record in selection.front:
        costs = record.costs
        assert costs is not None
        latency = "" if costs.latency_us is None else f", {format_quantity('latency', costs.latency_us)}"
        mark = "*" if record is selection.chosen else " "
        brief = "" if record.full else f" after {record.trained_steps:,} steps"
        yield (
            f"{mark} {record.number:>4}  {100 * record.value:5.1f} % on validation data{brief}, SRAM"
            f" {format_quantity('sram', costs.sram_bytes)}, flash"
            f" {format_quantity('flash', costs.flash_bytes)}{latency}"
        )
