"""Runs side by side: what changed between them, their chosen models, and their fronts over each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cost_models.errors import UserError
from nas.model.metrics import METRICS
from nas.model.result import RunSummary, TrialSummary
from nas.run.stored_run import StoredRun, damage_is_an_error
from nas.strategy.pareto import dominates, hypervolume

MOST_RUNS = 12
_MOST_MODELS = 300  # of a front, up to which its hypervolume takes a second or two
_BEYOND = 1.1  # place of the reference, where 0 is the best of all fronts and 1 the worst

Kind = Literal["configuration", "target", "budget", "data", "versions"]
Point = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something in which the runs differ; a value for each run, None where a run has none."""

    kind: Kind
    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two fronts over each other.

    Attributes:
        runs: Places of both.
        dominated: How many models of each are dominated by a model of the other.
    """

    runs: tuple[int, int]
    dominated: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two or more runs compared: what they share, and where they differ.

    Attributes:
        runs: In the order given; `letters` names them.
        summaries: Their results.
        changes: In what they differ.
        objectives: In which the fronts are compared: the runs' metric on validation data, and keys of costs. Empty
            where the runs learned different data.
        notes: What is not comparable and why, a sentence each.
        overlaps: Each pair of fronts.
        reference: Of the hypervolume: the worst of all fronts by objective, and a tenth of the range beyond it.
        best: The best of all fronts by objective.
        volumes: Hypervolume of each front as a share of the box between `best` and `reference`; None where its front is
            empty, too large, or nothing is comparable.
    """

    runs: tuple[StoredRun, ...]
    summaries: tuple[RunSummary, ...] = field(repr=False)
    changes: tuple[Change, ...]
    objectives: tuple[str, ...]
    notes: tuple[str, ...]
    overlaps: tuple[Overlap, ...]
    reference: Mapping[str, float]
    best: Mapping[str, float]
    volumes: tuple[float | None, ...]

    @property
    def letters(self) -> tuple[str, ...]:
        """A letter for each run."""
        return tuple("ABCDEFGHIJKL"[: len(self.runs)])

    def to_json(self) -> dict[str, Any]:
        """Plain values; runs are named by their letters."""
        letters = self.letters
        return {
            "schema": 1,
            "metric": self.objectives[0] if self.objectives else None,
            "runs": [
                {
                    "letter": letter,
                    **run.entry.to_json(),
                    "chosen": _chosen_json(one),
                    "front": len(one.front),
                }
                | {"metric": one.task.metric, "hypervolume": volume}
                for letter, run, one, volume in zip(letters, self.runs, self.summaries, self.volumes)
            ],
            "changes": [asdict(change) for change in self.changes],
            "objectives": list(self.objectives),
            "notes": list(self.notes),
            "overlaps": [
                {
                    "runs": [letters[place] for place in one.runs],
                    "dominated": list(one.dominated),
                }
                for one in self.overlaps
            ],
            "reference": dict(self.reference),
            "best": dict(self.best),
        }


def _chosen_json(summary: RunSummary) -> dict[str, Any] | None:
    chosen = summary.chosen
    if chosen is None:
        return None
    return {
        "number": chosen.number,
        "test_accuracy": None if chosen.test_accuracy is None else chosen.test_accuracy.model_dump(),
        "costs": chosen.costs,
    }


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
    if _data_are_comparable(runs, summaries, notes):
        trials = [_front(run, one) for run, one in zip(runs, summaries)]
        objectives = _objectives(summaries, trials, notes)
        fronts = [_points(run, front, objectives) for run, front in zip(runs, trials)]
    best, worst = _ends(fronts)
    return Comparison(
        runs=tuple(runs),
        summaries=summaries,
        changes=tuple(_changes(runs, summaries)),
        objectives=objectives,
        notes=tuple(notes),
        overlaps=tuple(_overlap(fronts, pair) for pair in itertools.combinations(range(len(runs)), 2))
        if objectives
        else (),
        reference=_named(objectives, [a + _BEYOND * (b - a) for a, b in zip(best, worst)]),
        best=_named(objectives, best),
        volumes=tuple(_volume(front, best, worst) for front in fronts),
    )


def _data_are_comparable(
    runs: Sequence[StoredRun], summaries: Sequence[RunSummary], notes: list[str]
) -> bool:
    if len({run.data_sha256 for run in runs}) == 1:
        return True
    if _same(summaries, lambda one: (one.task.class_names, one.task.targets, one.task.samples)):
        notes.append(
            "The data differ, though not in classes and numbers of samples: accuracies are compared as if of the same"
            " samples, prepared in another way."
        )
        return True
    notes.append("The runs learned different data: neither their accuracies nor their fronts are comparable.")
    return False


def _objectives(
    summaries: Sequence[RunSummary], fronts: Sequence[Sequence[TrialSummary]], notes: list[str]
) -> tuple[str, ...]:
    """The metric, and the costs that mean the same in every run."""
    metric: str = summaries[0].task.metric
    if not _same(summaries, lambda one: one.task.metric):
        metric = "accuracy"
        notes.append("The runs were searched by different metrics: their fronts are compared by accuracy.")
    if not _same(summaries, lambda one: (one.target.name, _target(one))):
        notes.append(
            "The targets differ, so flash and cycles are not comparable: the fronts are compared by accuracy and SRAM."
        )
        return (metric, "sram_bytes")
    calibrated = all((trial.costs or {}).get("cycles") is not None for front in fronts for trial in front)
    return (metric, "sram_bytes", "flash_bytes", "cycles" if calibrated else "macs")


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


def _overlap(fronts: Sequence[Sequence[Point]], pair: tuple[int, int]) -> Overlap:
    one, other = (fronts[place] for place in pair)
    return Overlap(runs=pair, dominated=(_dominated(one, other), _dominated(other, one)))


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
    """In what the runs differ: what people set first, then what follows from it."""
    parts: tuple[tuple[Kind, list[Mapping[str, Any]]], ...] = (
        (
            "configuration",
            [{k: v for k, v in run.config.items() if k not in ("out", "metric")} for run in runs],
        ),
        ("target", [_target(one) for one in summaries]),
        ("budget", [{limit.resource: limit.limit for limit in one.budget} for one in summaries]),
        ("data", [_data(run, one) for run, one in zip(runs, summaries)]),
        ("versions", [run.versions for run in runs]),
    )
    found = []
    for kind, sides in parts:
        for name in dict.fromkeys(itertools.chain(*sides)):
            values = tuple(side.get(name) for side in sides)
            if any(value != values[0] for value in values):
                found.append(Change(kind=kind, name=name, values=values))
    return found


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
