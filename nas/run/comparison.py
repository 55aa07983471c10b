"""Runs side by side: what changed between them, their chosen models, and their fronts over each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cost_models.errors import UserError
from nas.model.comparison import Change, ChangeKind, ComparedModel, ComparedRun, Comparison, Overlap
from nas.model.metrics import CLASS_METRICS, METRICS
from nas.model.policy import MetricName
from nas.model.result import RunSummary, TrialSummary
from nas.run.stored_run import StoredRun, damage_is_an_error
from nas.strategy.pareto import dominates, hypervolume

MOST_RUNS = 12
_MOST_MODELS = 300  # of a front, up to which its hypervolume takes a second or two
_BEYOND = 1.1  # place of the reference, where 0 is the best of all fronts and 1 the worst

Point = tuple[float, ...]
_LETTERS = "ABCDEFGHIJKL"


def compare(runs: Sequence[StoredRun]) -> Comparison:
    """Compares what is comparable, and says what is not.

    Raises:
        UserError: Fewer than two runs or too many, one that has no result yet or is damaged.
    """
    if not runs:
        raise UserError("It takes two runs to compare, and none is given.", "nas-runs lists what there is.")
    if len(runs) == 1:
        hint = f"nas-runs show {runs[0].path} shows it."
        raise UserError("It takes two runs to compare, and one is given.", hint)
    if len(runs) > MOST_RUNS:
        raise UserError(
            f"{len(runs)} runs are given, and {MOST_RUNS} can be compared at once.", "Leave some out."
        )
    summaries = tuple(run.summary for run in runs)
    notes: list[str] = []
    fronts: list[list[Point]] = [[] for _ in runs]
    objectives: tuple[str, ...] = ()
    metric = _metric(summaries, notes) if _data_are_comparable(runs, summaries, notes) else None
    if metric is not None:
        trials = [_front(run, summary) for run, summary in zip(runs, summaries)]
        objectives = (metric, *_costs(metric, summaries, trials, notes))
        fronts = [_points(run, front, objectives) for run, front in zip(runs, trials)]
    best, worst = _ends(fronts)
    return Comparison(
        schema=1,
        metric=metric,
        runs=tuple(
            _compared(letter, run, summary, _volume(front, best, worst))
            for letter, run, summary, front in zip(_LETTERS, runs, summaries, fronts)
        ),
        changes=tuple(_changes(runs, summaries)),
        objectives=objectives,
        notes=tuple(notes),
        overlaps=tuple(_overlap(fronts, *pair) for pair in itertools.combinations(range(len(runs)), 2))
        if objectives
        else (),
        reference=_named(objectives, [a + _BEYOND * (b - a) for a, b in zip(best, worst)]),
        best=_named(objectives, best),
    )


def _compared(letter: str, run: StoredRun, summary: RunSummary, hypervolume: float | None) -> ComparedRun:
    chosen = summary.chosen
    return ComparedRun(
        letter=letter,
        **run.entry.to_json(),
        chosen=None
        if chosen is None
        else ComparedModel(number=chosen.number, test_accuracy=chosen.test_accuracy, costs=chosen.costs),
        front=len(summary.front),
        hypervolume=hypervolume,
    )


def _data_are_comparable(
    runs: Sequence[StoredRun], summaries: Sequence[RunSummary], notes: list[str]
) -> bool:
    if len({run.data_sha256 for run in runs}) == 1:
        return True
    if _same(
        summaries, lambda summary: (summary.task.class_names, summary.task.targets, summary.task.samples)
    ):
        notes.append(
            "The data differ, though not in classes and numbers of samples: accuracies are compared as if of the same"
            " samples, prepared in another way."
        )
        return True
    notes.append("The runs learned different data: neither their accuracies nor their fronts are comparable.")
    return False


def _metric(summaries: Sequence[RunSummary], notes: list[str]) -> MetricName | None:
    """The metric by which fronts are compared; None where there is none that means the same in every run."""
    if _same(summaries, lambda summary: summary.task.metric):
        return summaries[0].task.metric
    if not all(summary.task.metric in CLASS_METRICS for summary in summaries):
        notes.append("The runs were searched by different metrics: their fronts are not comparable.")
        return None
    notes.append("The runs were searched by different metrics: their fronts are compared by accuracy.")
    return "accuracy"


def _costs(
    metric: MetricName,
    summaries: Sequence[RunSummary],
    fronts: Sequence[Sequence[TrialSummary]],
    notes: list[str],
) -> tuple[str, ...]:
    """The costs that mean the same in every run."""
    if not _same(summaries, lambda summary: (summary.target.name, _target(summary))):
        notes.append(
            "The targets differ, so flash and cycles are not comparable: the fronts are compared by"
            f" {METRICS[metric].label} and SRAM."
        )
        return ("sram_bytes",)
    calibrated = all((trial.costs or {}).get("cycles") is not None for front in fronts for trial in front)
    return ("sram_bytes", "flash_bytes", "cycles" if calibrated else "macs")


def _front(run: StoredRun, summary: RunSummary) -> list[TrialSummary]:
    trials = {trial.number: trial for trial in summary.evaluated()}
    with damage_is_an_error(run.path):
        return [trials[number] for number in summary.front]


def _points(run: StoredRun, front: Sequence[TrialSummary], objectives: Sequence[str]) -> list[Point]:
    """Objectives of each model of a front: error and costs."""
    with damage_is_an_error(run.path):
        points = [
            tuple(
                1 - _reached(trial, name) if name in METRICS else float((trial.costs or {})[name])
                for name in objectives
            )
            for trial in front
        ]
        if not all(math.isfinite(value) for point in points for value in point):
            raise ValueError("not a number")
        return points


def _reached(trial: TrialSummary, metric: str) -> float:
    """A metric on validation data; accuracy also where the run went by another."""
    return trial.measured if metric == "accuracy" else trial.value


def _overlap(fronts: Sequence[Sequence[Point]], first: int, second: int) -> Overlap:
    lost = (_dominated(fronts[first], fronts[second]), _dominated(fronts[second], fronts[first]))
    return Overlap(runs=(_LETTERS[first], _LETTERS[second]), dominated=lost)


def _dominated(points: Sequence[Point], others: Sequence[Point]) -> int:
    return sum(any(dominates(other, point) for other in others) for point in points)


def _ends(fronts: Sequence[Sequence[Point]]) -> tuple[Point, Point]:
    """The best and the worst of all fronts, by objective."""
    columns = list(zip(*(point for front in fronts for point in front)))
    return tuple(map(min, columns)), tuple(map(max, columns))


def _volume(front: Sequence[Point], best: Point, worst: Point) -> float | None:
    if not 0 < len(front) <= _MOST_MODELS:
        return None
    reference = (_BEYOND,) * len(best)
    places = [
        tuple((value - a) / (b - a) if b > a else 0.0 for value, a, b in zip(point, best, worst))
        for point in front
    ]
    return hypervolume(places, reference) / math.prod(reference)


def _named(objectives: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Values by objective; of the metric, not of its error."""
    return {name: 1 - value if name in METRICS else value for name, value in zip(objectives, values)}


def _changes(runs: Sequence[StoredRun], summaries: Sequence[RunSummary]) -> list[Change]:
    """The differences between the runs: people's settings first, then what follows from them."""
    parts: tuple[tuple[ChangeKind, list[Mapping[str, Any]]], ...] = (
        (
            "configuration",
            [{k: v for k, v in run.config.items() if k not in ("out", "metric")} for run in runs],
        ),
        ("target", [_target(summary) for summary in summaries]),
        ("budget", [{limit.resource: limit.limit for limit in summary.budget} for summary in summaries]),
        ("data", [_data(run, summary) for run, summary in zip(runs, summaries)]),
        ("versions", [run.versions for run in runs]),
    )
    changes = []
    for kind, sides in parts:
        for name in dict.fromkeys(itertools.chain(*sides)):
            values = tuple(side.get(name) for side in sides)
            if any(value != values[0] for value in values):
                changes.append(Change(kind=kind, name=name, values=values))
    return changes


def _target(summary: RunSummary) -> dict[str, Any]:
    """The parts of a target that decide costs; its name is the configuration's."""
    return {
        name: value
        for name, value in summary.target.model_dump(exclude_unset=True).items()
        if name not in ("name", "title")
    }


def _data(run: StoredRun, summary: RunSummary) -> dict[str, Any]:
    task = summary.task
    return {
        "digest": run.data_sha256[:12],
        "input shape": task.input_shape,
        "classes": len(task.class_names),
        "samples": task.samples,
        "metric": task.metric,
    }


def _same(summaries: Sequence[RunSummary], of: Callable[[RunSummary], Any]) -> bool:
    return all(of(one) == of(summaries[0]) for one in summaries)
