"""The Pareto front of evaluated trials, and the policies that pick one of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cost_models.costing import Costs
from nas.model.metrics import ANOMALY_METRICS
from nas.model.policy import Policy
from nas.model.records import TrialRecord
from nas.model.statistics import Z95
from nas.model.trained import Accuracy
from nas.strategy.objectives import SRAM, WORK, board_objectives, cost_objectives

_WHOLE = 0.8  # of a training's steps, for which the same on all samples takes its place


def objectives(record: TrialRecord) -> tuple[float, ...]:
    """The values that are minimized on one board: the error and its costs, see `nas.strategy.objectives`."""
    return (1.0 - record.value, *cost_objectives(costs_of(record)))


def all_objectives(record: TrialRecord, boards: Sequence[str]) -> list[float]:
    """The same with the costs on each board, without bound where one has none; see `objective_names`."""
    if not record.boards:
        return list(objectives(record))
    of_boards = (record.boards.get(board) for board in boards)
    return [1.0 - record.value, *(value for costs in of_boards for value in board_objectives(costs))]


def costs_of(record: TrialRecord) -> Costs:
    """The costs of an evaluated trial."""
    assert record.costs is not None
    return record.costs


def dominates(point: Sequence[float], other: Sequence[float]) -> bool:
    """Whether `point` is nowhere worse and somewhere better; all are minimized."""
    return all(a <= b for a, b in zip(point, other)) and tuple(point) != tuple(other)


def hypervolume(points: Iterable[Sequence[float]], reference: Sequence[float]) -> float:
    """The volume that the points dominate, up to `reference`; all are minimized.

    Source: While, Bradstreet and Barone, A fast way of calculating exact hypervolumes, 2012 (WFG).
    """
    inside = sorted({tuple(p) for p in points if all(a < b for a, b in zip(p, reference))})
    kept: list[tuple[float, ...]] = []
    for point in inside:  # in this order nothing is dominated by what follows
        if not any(dominates(other, point) for other in kept):
            kept.append(point)
    if len(reference) == 1:
        return reference[0] - kept[0][0] if kept else 0.0
    if len(reference) == 2:
        width, volume = reference[1], 0.0
        for x, y in kept:
            volume += (reference[0] - x) * (width - y)
            width = y
        return volume
    volume = 0.0
    for index, point in enumerate(kept):
        rest = [tuple(map(max, point, other)) for other in kept[index + 1 :]]
        volume += math.prod(b - a for a, b in zip(point, reference)) - hypervolume(rest, reference)
    return volume


def pareto_front(records: Iterable[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The non-dominated evaluated trials, most accurate first; a longer training replaces a shorter one.

    Not so of anomalies: a network that learns to rebuild normal samples for longer may rebuild the others better too,
    so that the training that tells them apart best stands for it.
    """
    # In this order nothing is dominated by what follows, so each need be compared with the front alone.
    vectors = sorted(
        ((objectives(record), record) for record in of_each_network(records)), key=lambda pair: pair[0]
    )
    kept: list[tuple[float, ...]] = []
    front = []
    for vector, record in vectors:
        if not any(dominates(other, vector) for other in kept):
            kept.append(vector)
            front.append(record)
    # Equal vectors dominate each other nowhere: the earliest of them stands for all.
    unique: dict[tuple[float, ...], TrialRecord] = {}
    for record in sorted(front, key=lambda r: (-r.trained_steps, r.number)):
        unique.setdefault(objectives(record), record)
    return tuple(sorted(unique.values(), key=lambda r: (objectives(r), r.number)))


def of_each_network(records: Iterable[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The evaluated trial that stands for each network; see `pareto_front`."""
    best: dict[str, TrialRecord] = {}
    for record in records:
        known = best.get(record.digest)
        if record.state == "evaluated" and (known is None or _stands_for(record, known)):
            best[record.digest] = record
    return tuple(best.values())


def _stands_for(record: TrialRecord, known: TrialRecord) -> bool:
    """Whether one training of a network takes another's place."""
    if _is_of_anomalies(record):
        return record.value > known.value
    if record.retrains == known.number:
        return record.trained_steps >= _WHOLE * known.trained_steps
    return record.trained_steps >= known.trained_steps


def _is_of_anomalies(record: TrialRecord) -> bool:
    return record.accuracy is not None and record.accuracy.metric in ANOMALY_METRICS


def choose(front: Sequence[TrialRecord], policy: Policy) -> TrialRecord:
    """The one to export. Fully trained models come before briefly trained ones, except of anomalies.

    Raises:
        ValueError: The front is empty.
    """
    among = chosen_from(front)
    figures = {record.number: figure.objective for record, figure in among}
    best, figure = min(
        among, key=lambda pair: (-pair[1].objective, WORK.read(costs_of(pair[0])), pair[0].number)
    )
    if policy == "accuracy":
        return best
    least = figure.objective - near(figure, policy)
    close = [record for record, _ in among if figures[record.number] >= least]
    cheap = WORK if policy == "balanced" else SRAM
    return min(close, key=lambda r: (cheap.read(costs_of(r)), -figures[r.number], r.number))


def chosen_from(trials: Sequence[TrialRecord]) -> list[tuple[TrialRecord, Accuracy]]:
    """Those that a policy chooses among, with the figures by which it does.

    Where two networks at least were judged in folds it is these, by that; see `TrialRecord.folded`. The trial that
    trains a network again on all samples is no second one.
    """
    full = [record for record in trials if record.full or _is_of_anomalies(record)] or list(trials)
    judged = [(record, record.folded) for record in full if record.folded is not None]
    if len({record.digest for record, _ in judged}) >= 2:
        return judged
    figures = ((record, record.tflm_accuracy or record.accuracy) for record in full)
    return [(record, figure) for record, figure in figures if figure is not None]


def finalists_of(front: Sequence[TrialRecord], policy: Policy, count: int) -> list[TrialRecord]:
    """Those that are judged in folds: what the policy would choose first, second and so on, and the most accurate."""
    left = {record.number: replace(record, folded=None) for record in front}
    most = min(count, len(chosen_from(list(left.values()))))
    picked = [choose(list(left.values()), "accuracy").number] if left else []
    while len(picked) < most:
        rest = [record for number, record in left.items() if number not in picked]
        picked.append(choose(rest, policy).number)
    return sorted((record for record in front if record.number in picked), key=lambda r: (-r.value, r.number))


def near(best: Accuracy, policy: Policy) -> float:
    """How far below the best validation metric a model may be that a policy takes for less cost."""
    return {"accuracy": 0, "balanced": 1, "smallest": 2}[policy] * standard_error(best)


def standard_error(accuracy: Accuracy) -> float:
    """The standard error of the metric on the validation part."""
    if accuracy.metric == "accuracy":
        return math.sqrt(max(accuracy.value * (1 - accuracy.value), 1e-9) / accuracy.total)
    low, high = accuracy.objective_interval()
    return (high - low) / (2 * Z95)
