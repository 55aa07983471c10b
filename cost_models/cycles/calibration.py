"""Fits the coefficient tables that the package ships, and says how far off they are on what they never saw."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cost_models.cycles.fit import Coefficients, Sample, fit_paths, fit_ratios
from cost_models.cycles.measurements import MeasuredOperator, MeasuredRun
from cost_models.cycles.model import CALL_SPREAD, Z90, predict_with
from cost_models.cycles.paths import FEATURES
from cost_models.cycles.rates import Rates
from cost_models.cycles.table import CoreTable, parse_table

# An operator's own error weighs this much against the one that a model's operators share.
_SHARED = 0.3
# Families that were left out err more alike than the scores pretend: an allowance for a family never seen.
_NEW_FAMILY = 1.2
# Random networks of odd shapes, which no fit saw, differ by that much at least.
_FLOOR = 0.002
# The compiler laid TFLM's portable mean out in the whole models' build as it did in no other: 6 % fewer instructions
# on the Cortex-M4, 4 % more on the M0+ than three builds since, which agree. Its bare counts are those builds'.
_LAID_OUT_OTHERWISE = ("mean",)
# Ideal cycles as they are: what a core with memory that never waits would take.
IDEAL = Rates(scale=1.0, spread_model=0.0, spread_operator=0.0, source="memory that never waits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """How one left-out model was predicted.

    Attributes:
        run: The model's measured run.
        instructions: Predicted over measured, minus 1.
        cycles: Predicted over given ideal cycles, minus 1; None where none are given.
        share: Root of the sum of squares of the operators' shares: 1 for a single operator.
        calls: What the calls of its operators may differ by, as a share of its instructions.
    """

    run: MeasuredRun
    instructions: float
    cycles: float | None
    share: float
    calls: float


def fit_table(runs: Sequence[MeasuredRun], kernels: Sequence[Sample], source: str) -> dict[str, Any]:
    """The JSON form of one core's table without its spreads (see `with_spreads`).

    Args:
        runs: Whole models on the core.
        kernels: Bare kernels on the core; they settle loops that no model of `runs` enters.
        source: Where the figures come from.
    """
    operators = [op for run in runs for op in run.operators]
    counted = [
        Sample(path=op.path, trips=op.trips, cost=op.instructions)
        for op in operators
        if op.path not in _LAID_OUT_OTHERWISE
    ]
    instructions = fit_paths([*counted, *kernels])
    cycles = fit_ratios((_timed(op, instructions) for op in operators), instructions)
    dispatch, invoke = _interpreter(runs)
    ratio = sum(op.cycles for op in operators) / sum(op.instructions for op in operators)
    return {
        "source": source,
        "dispatch": [round(dispatch, 2), round(dispatch * ratio, 2)],
        "invoke": [round(invoke, 2), round(invoke * ratio, 2)],
        "spread_model": 0.0,
        "spread_operator": 0.0,
        "instructions": _named(instructions),
        "cycles": _named(cycles),
    }


def _timed(op: MeasuredOperator, instructions: Coefficients) -> Sample:
    cycles = op.cycles
    if op.path in _LAID_OUT_OTHERWISE:
        cycles *= float(np.dot(instructions[op.path], op.trips)) / op.instructions
    return Sample(path=op.path, trips=op.trips, cost=cycles)


def _named(coefficients: Coefficients) -> dict[str, dict[str, float]]:
    return {
        path: {
            name: round(value, 3) for name, value in zip(FEATURES[path], values, strict=True) if value > 5e-4
        }
        for path, values in sorted(coefficients.items())
    }


def _interpreter(runs: Sequence[MeasuredRun]) -> tuple[float, float]:
    """Instructions per operator and per inference that no operator accounts for."""
    counts = [len(run.operators) for run in runs]
    rests = [run.instructions - sum(op.instructions for op in run.operators) for run in runs]
    if len(set(counts)) < 2:
        return statistics.fmean(rest / count for count, rest in zip(counts, rests, strict=True)), 0.0
    line = statistics.linear_regression(counts, rests)
    return max(line.slope, 0.0), max(line.intercept, 0.0)


def folds(runs: Sequence[MeasuredRun]) -> Iterator[tuple[list[MeasuredRun], list[MeasuredRun]]]:
    """(fitted, left out) runs, one fold per model family."""
    for family in sorted({run.family for run in runs}):
        yield (
            [run for run in runs if run.family != family],
            [run for run in runs if run.family == family],
        )


def cross_validate(runs: Sequence[MeasuredRun], kernels: Sequence[Sample]) -> list[Residual]:
    """Predicts each model with a table that never saw its family."""
    residuals: list[Residual] = []
    for fitted, left_out in folds(runs):
        table = parse_table(fit_table(fitted, kernels, ""))
        residuals.extend(residual for run in left_out if (residual := residual_of(run, table)) is not None)
    return residuals


def residual_of(run: MeasuredRun, table: CoreTable) -> Residual | None:
    """How far a table is off on a run; None where it has no coefficients for one of its operators.

    Operators that the run's build laid out as no other does are left out of both sides.
    """
    work = predict_with(run.graph, table=table, kernels=run.kernels, core=run.core, rates=IDEAL)
    if work.instructions is None or work.cycles is None or work.unknown_kinds or work.bounded_kinds:
        return None
    judged = [part for part in work.operators() if part.path not in _LAID_OUT_OTHERWISE]
    others = [op for op in run.operators if op.path in _LAID_OUT_OTHERWISE]
    parts = [part.instructions or 0.0 for part in judged]
    instructions = sum(parts)
    measured = run.instructions - sum(op.instructions + table.dispatch[0] for op in others)
    cycles = None
    if run.cycles is not None:
        whole = run.cycles - sum(op.cycles + table.dispatch[1] for op in others)
        cycles = sum(part.cycles or 0.0 for part in judged) / whole - 1
    return Residual(
        run=run,
        instructions=instructions / measured - 1,
        cycles=cycles,
        share=math.sqrt(sum(part * part for part in parts)) / instructions,
        calls=CALL_SPREAD * math.sqrt(len(parts)) / instructions,
    )


def spreads(errors: Sequence[float], shares: Sequence[float]) -> tuple[float, float]:
    """(spread_model, spread_operator) whose 90 % interval holds 90 % of the errors.

    Args:
        errors: Predicted over measured, minus 1, of models that the fit left out.
        shares: `Residual.share` of the same models.
    """
    scores = sorted(
        abs(math.log1p(error)) / (Z90 * math.hypot(_SHARED, share))
        for error, share in zip(errors, shares, strict=True)
    )
    # The usual rank of split-conformal intervals: with n scores, ceil(0.9 * (n + 1)).
    rank = min(len(scores), math.ceil(0.9 * (len(scores) + 1))) - 1
    operator = max(_NEW_FAMILY * scores[rank], _FLOOR)
    return _SHARED * operator, operator


def path_spreads(samples: Sequence[Sample]) -> dict[str, float]:
    """Own error of each path: what holds 90 % of the shapes that a fit to the other half of them did not see."""
    by_path: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_path[sample.path].append(sample)
    spreads: dict[str, float] = {}
    for path, seen in sorted(by_path.items()):
        scores: list[float] = []
        for part in (0, 1):
            prices = fit_paths(seen[1 - part :: 2])[path] if len(seen) > 1 else fit_paths(seen)[path]
            scores += [
                abs(math.log(float(np.dot(prices, sample.trips)) / sample.cost)) for sample in seen[part::2]
            ]
        scores.sort()
        rank = min(len(scores), math.ceil(0.9 * (len(scores) + 1))) - 1
        spreads[path] = round(scores[rank] / Z90, 4)
    return spreads


def inside(error: float, residual: Residual, spread: tuple[float, float]) -> bool:
    """Whether the 90 % interval around a prediction with this relative error holds the measured value."""
    reach = Z90 * math.hypot(spread[0], spread[1] * residual.share, residual.calls)
    return abs(math.log1p(error)) <= reach
