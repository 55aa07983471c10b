"""`--warm-start RUN`: what an earlier run learned of networks, for a new one on the same data."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost_models.errors import UserError
from cost_models.reading import read_bounded
from nas.model.metrics import METRICS, plain_metric
from nas.model.policy import MetricName
from nas.run.config import RunConfig
from nas.run.folder import LARGEST_RESULT_BYTES, RunFolder, write_atomically
from nas.run.result import read_result

READ_FILES = ("config.json", "result.json")  # what a warm start reads of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierTraining:
    """The result of a training of an earlier run.

    Attributes:
        params: The choices.
        steps: Training steps.
        error: Int8 validation error.
    """

    params: dict[str, Any]
    steps: int
    error: float


def earlier_trainings(
    path: str, *, config: RunConfig, data_digest: str, metric: MetricName = "accuracy"
) -> tuple[EarlierTraining, ...]:
    """All trainings of an earlier run; budget, target and seed may differ, space and data may not.

    Raises:
        UserError: No run, an unfinished one, or one of another space or other data.
    """
    folder = RunFolder(path=Path(path))
    if not folder.config_file.is_file():
        raise UserError(f"{path} is not a run.", "--warm-start takes the folder of an earlier run.")
    if not folder.result_file.is_file():
        raise UserError(f"{path} has no result yet.", f"Let it end first: --resume {path}.")
    try:
        saved = folder.load_config()
        space, digest = saved["config"]["space"], saved["data_sha256"]
        kind = saved["config"].get("input_kind", "auto")
        summary, _ = read_result(folder)
        earlier = summary.task.metric
        trainings = tuple(
            EarlierTraining(
                params=trial.params,
                steps=trial.steps,
                error=1.0 - trial.value,
            )
            for trial in summary.evaluated()
        )
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} cannot be read.", "The run is damaged; leave --warm-start out.") from None
    if space != config.space:
        raise UserError(
            f"{path} searched the space {space}, not {config.space}.",
            f"Add --space {space}, or leave it out.",
        )
    if kind != config.input_kind:
        raise UserError(
            f"{path} took its arrays as {kind}, not as {config.input_kind}.", f"Add --input-kind {kind}."
        )
    if earlier != metric:
        raise UserError(
            f"{path} was searched by {METRICS[earlier].label}, not by {METRICS[metric].label}.",
            _other_metric(earlier, metric),
        )
    if digest != data_digest:
        raise UserError(
            f"{path} was trained on other data than {config.task}.", "A warm start needs the same data."
        )
    return trainings


def refuse_other_init(path: str, init: str | None) -> None:
    """Refuses to learn from trainings that began with other weights than those of a new run will.

    Args:
        path: The folder of an earlier run, which `earlier_trainings` took.
        init: Digest of the weights that networks begin with; None where they begin at random.

    Raises:
        UserError: It began otherwise.
    """
    began = RunFolder(path=Path(path)).load_config().get("init")
    if began != init:
        raise UserError(
            f"{path} began its trainings with {'random' if began is None else 'other'} weights, so that its errors are"
            " not those that networks would have here.",
            "Leave --warm-start out, or begin as it did: "
            + ("without --init-from." if began is None else "with the same --init-from."),
        )


def _other_metric(earlier: MetricName, metric: MetricName) -> str:
    """What makes a run search by the metric of an earlier one."""
    if METRICS[earlier].robust == METRICS[metric].robust:
        return f"Add --metric {plain_metric(earlier)}."
    hint = "Add --robust" if METRICS[earlier].robust else "Leave --robust out"
    same = plain_metric(earlier) == plain_metric(metric)
    return f"{hint}." if same else f"{hint}, and add --metric {plain_metric(earlier)}."


def save(folder: RunFolder, trainings: tuple[EarlierTraining, ...]) -> None:
    """Keeps them with the run: a resume must not need the earlier one."""
    rows = [[one.params, one.steps, one.error] for one in trainings]
    write_atomically(_file(folder), json.dumps(rows).encode())


def load(folder: RunFolder) -> tuple[EarlierTraining, ...]:
    """The trainings that `save` kept; empty where there are none.

    Raises:
        UserError: The file is damaged.
    """
    if not os.path.lexists(_file(folder)):
        return ()
    try:
        rows = json.loads(read_bounded(_file(folder), LARGEST_RESULT_BYTES))
        return tuple(
            EarlierTraining(params=dict(row[0]), steps=int(row[1]), error=float(row[2])) for row in rows
        )
    except (UserError, ValueError, TypeError, LookupError, RecursionError):
        raise UserError(
            f"{_file(folder)} cannot be read as earlier trainings.",
            "Bring it back, or start a new run with --warm-start.",
        ) from None


def _file(folder: RunFolder) -> Path:
    return folder.path / "earlier.json"
