"""The Pareto front of evaluated trials, and the policies that pick one of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from nas.config import Policy
from nas.search.records import TrialRecord

POLICIES: dict[Policy, str] = {
    "accuracy": "highest int8 validation accuracy; among equals the fewest cycles",
    "balanced": "the cheapest within one standard error of the highest int8 validation accuracy",
    "smallest": "the least SRAM within two standard errors of the highest int8 validation accuracy",
}


def objectives(record: TrialRecord) -> tuple[float, ...]:
    """What is minimized: error, SRAM, flash, and cycles (MACs where the target has no calibration)."""
    costs = record.costs
    assert costs is not None
    work = costs.macs if costs.cycles is None else costs.cycles
    return (1.0 - record.value, float(costs.sram_bytes), float(costs.flash_bytes), float(work))


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether `one` is nowhere worse and somewhere better; all are minimized."""
    return all(a <= b for a, b in zip(one, other)) and tuple(one) != tuple(other)


def pareto_front(records: Iterable[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The non-dominated evaluated trials, most accurate first; a full training replaces a short one."""
    best: dict[str, TrialRecord] = {}
    for record in records:
        if record.state == "evaluated" and (record.key not in best or record.rung == "full"):
            best[record.key] = record
    # In this order nothing is dominated by what follows, so each need be compared with the front alone.
    vectors = sorted(((objectives(record), record) for record in best.values()), key=lambda pair: pair[0])
    kept: list[tuple[float, ...]] = []
    front = []
    for vector, record in vectors:
        if not any(dominates(other, vector) for other in kept):
            kept.append(vector)
            front.append(record)
    # Equal vectors dominate each other nowhere: the earliest of them stands for all.
    unique: dict[tuple[float, ...], TrialRecord] = {}
    for record in sorted(front, key=lambda r: (r.rung != "full", r.number)):
        unique.setdefault(objectives(record), record)
    return tuple(sorted(unique.values(), key=lambda r: (objectives(r), r.number)))


def choose(front: Sequence[TrialRecord], policy: Policy) -> TrialRecord:
    """The one to export. Fully trained models come before briefly trained ones.

    Raises:
        ValueError: The front is empty.
    """
    full = [record for record in front if record.rung == "full"] or list(front)
    best = min(full, key=lambda r: (objectives(r)[0], objectives(r)[3], r.number))
    if policy == "accuracy":
        return best
    accuracy = best.tflm_accuracy or best.accuracy
    assert accuracy is not None
    error = math.sqrt(max(accuracy.value * (1 - accuracy.value), 1e-9) / accuracy.total)
    slack = error if policy == "balanced" else 2 * error
    near = [record for record in full if record.value >= best.value - slack]
    rank = 3 if policy == "balanced" else 1
    return min(near, key=lambda r: (objectives(r)[rank], objectives(r)[0], r.number))


def finalists(front: Sequence[TrialRecord], count: int, policy: Policy) -> tuple[TrialRecord, ...]:
    """The candidates to train in full: the most accurate of the front.

    A policy that weighs accuracy against cost needs cheap candidates as well: then every other one is the
    cheapest that is left of those near the best.
    """
    left = sorted(front, key=objectives)
    picked: list[TrialRecord] = []
    while left and len(picked) < count:
        one = left[0]
        if policy != "accuracy" and len(picked) % 2:
            one = choose(left, policy)
        picked.append(one)
        left.remove(one)
    return tuple(picked)
