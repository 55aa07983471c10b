"""Fits a board's rates to measured cycles, and says how far off they are on models that the fit left out."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from cost_models.cores import CORES
from cost_models.cycles.model import Z90, predict_with
from cost_models.cycles.paths import COUNTERS
from cost_models.cycles.rates import Rates
from cost_models.cycles.table import CoreTable
from cost_models.cycles.weight_traffic import weight_bytes_per_trip
from cost_models.errors import UserError
from cost_models.graph import OpGraph

# How many measurements of its own an operator kind needs to weigh as much as the scale of all kinds.
_KIND_PRIOR = 3.0
# Models of one board share most of what is wrong with its rates, so their errors do not average out.
_SHARED = 1.0
# No fit to a board is trusted further than this: firmware, compiler and memory layout differ by as much.
_FLOOR = 0.03
# The spread of rates from one model alone: of the 12 models that were measured on the STM32L4R5, each in turn
# predicted the other 11, and an interval of this spread (0.31) held 90 % of them.
_ALONE = 0.31
# An operator of fewer cycles says more about the clock's resolution and cold caches than about the board.
SMALLEST_CYCLES = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Cycles of one model on a board.

    Attributes:
        model: Its name.
        graph: What ran.
        cycles: Measured cycles of each operator, or of the whole inference as the only value.
        group: What cross-validation leaves out together; the model by default.
    """

    model: str
    graph: OpGraph
    cycles: tuple[float, ...]
    group: str = ""

    @property
    def whole(self) -> bool:
        """Whether only the whole inference was measured."""
        return len(self.cycles) == 1 and len(self.graph.operators) != 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How rates did on models, or operators, that they were not fitted to.

    Attributes:
        models: Number of models predicted.
        median: Median of the models' absolute relative errors.
        p90: Their 90th percentile.
        worst: The largest.
        coverage: Share of the models inside their 90 % interval.
    """

    models: int
    median: float
    p90: float
    worst: float
    coverage: float


@dataclass(frozen=True, slots=True)
class _Parts:
    """An operator's ideal cycles and fetched weight bytes."""

    kind: str
    ideal: float
    fetched: float


def fit_rates(
    measurements: Sequence[Measurement],
    *,
    table: CoreTable,
    kernels: str,
    core: str,
    source: str,
    quickest: float = math.inf,
) -> tuple[Rates, Check | None]:
    """The rates that best explain the measurements, with an interval from cross-validation.

    Args:
        measurements: Cycles of some models; operators without coefficients must not be among them.
        table: Coefficients of the core.
        kernels: Kernel library.
        core: The core.
        source: What the measurements are, for the report.
        quickest: Cycles of the quickest operator that was measured on the board, among these or not: what every
            operator takes cannot be more.

    Returns:
        The rates, and how rates fitted without a model's group predict that model: None where all
        measurements are of one group, so that nothing could be left out.

    Raises:
        UserError: The measured cycles are next to none.
    """
    parts = [_parts(measurement.graph, table, kernels, core) for measurement in measurements]
    variants: list[Callable[[Sequence[int]], Rates]] = [
        lambda chosen: _fit(measurements, parts, chosen, source, quickest, by_kind=False),
        lambda chosen: _fit(measurements, parts, chosen, source, quickest, by_kind=True),
    ]
    if len({each.group or each.model for each in measurements}) == 1:
        rates = variants[0](range(len(measurements)))
        return replace(rates, spread_model=_ALONE, spread_operator=_ALONE), None
    best: tuple[float, Rates, list[tuple[float, float]]] | None = None
    for fit in variants:
        errors = _left_out(measurements, parts, table, kernels, core, fit)
        loss = statistics.fmean(abs(error) for error, _ in errors)
        if best is None or loss < 0.95 * best[0]:
            best = (loss, fit(range(len(measurements))), errors)
    assert best is not None
    _, rates, errors = best
    model, operator = _spreads(errors)
    rates = replace(rates, spread_model=model, spread_operator=operator)
    return rates, check_of(errors, _nested(measurements, errors))


def _parts(graph: OpGraph, table: CoreTable, kernels: str, core: str) -> list[_Parts]:
    isa = CORES[core].isa
    parts: list[_Parts] = []
    for op in graph.operators:
        path, trips = COUNTERS[kernels][op.kind](op, graph.tensors, isa)
        ideal = float(np.dot(table.cycles[path], trips)) + table.dispatch[1]
        parts.append(_Parts(op.kind, ideal, float(np.dot(weight_bytes_per_trip(path), trips))))
    return parts


def _rows(measurement: Measurement, parts: Sequence[_Parts]) -> Iterator[tuple[list[_Parts], float]]:
    if measurement.whole:
        yield list(parts), measurement.cycles[0]
    else:
        for part, cycles in zip(parts, measurement.cycles, strict=True):
            yield [part], cycles


def _fit(
    measurements: Sequence[Measurement],
    parts: Sequence[Sequence[_Parts]],
    chosen: Sequence[int],
    source: str,
    quickest: float,
    *,
    by_kind: bool,
) -> Rates:
    rows = [row for index in chosen for row in _rows(measurements[index], parts[index])]
    kinds = sorted({part.kind for operators, _ in rows for part in operators}) if by_kind else []
    columns = [*kinds, ""]
    matrix: list[list[float]] = []
    for operators, cycles in rows:
        by: dict[str, float] = defaultdict(float)
        for part in operators:
            by[part.kind if by_kind else ""] += part.ideal
        fetched = sum(part.fetched for part in operators)
        matrix.append(
            [value / cycles for value in (*(by[kind] for kind in columns), fetched, len(operators))]
        )
    target = [1.0] * len(matrix)
    for index, _ in enumerate(kinds):
        # A kind's scale is that of all kinds until its own measurements say otherwise.
        row = [0.0] * (len(columns) + 2)
        row[index], row[len(kinds)] = math.sqrt(_KIND_PRIOR), -math.sqrt(_KIND_PRIOR)
        matrix.append(row)
        target.append(0.0)
    solution = _bounded(np.asarray(matrix), np.asarray(target), quickest)
    *scales, fetch, operator = (float(value) for value in solution)
    return Rates(
        scale=round(scales[-1], 4),
        scale_by_kind=tuple(
            (kind, round(scale, 4))
            for kind, scale in zip(kinds, scales[:-1], strict=True)
            if abs(scale - scales[-1]) > 0.005 * scales[-1]
        ),
        cycles_per_weight_byte=round(fetch, 4),
        cycles_per_operator=round(operator, 1),
        spread_model=0.0,
        spread_operator=0.0,
        source=source,
    )


def _bounded(
    matrix: npt.NDArray[np.float64], target: npt.NDArray[np.float64], most: float
) -> npt.NDArray[np.float64]:
    """Non-negative least squares whose last coefficient is at most `most`; (rows, columns), (rows,) to (columns,)."""
    solution: npt.NDArray[np.float64] = nnls(matrix, target, maxiter=10_000)[0]
    if solution[-1] <= most:
        return solution
    rest, _ = nnls(matrix[:, :-1], target - most * matrix[:, -1], maxiter=10_000)
    return np.append(rest, most)


def _left_out(
    measurements: Sequence[Measurement],
    parts: Sequence[Sequence[_Parts]],
    table: CoreTable,
    kernels: str,
    core: str,
    fit: Callable[[Sequence[int]], Rates],
) -> list[tuple[float, float]]:
    """(relative error, `Residual.share`) of each model, predicted by rates that left its group out."""
    groups = [measurement.group or measurement.model for measurement in measurements]
    names = sorted(set(groups))
    # At most 20 folds: groups are dealt to them in order of their names.
    fold_of = {name: index % 20 for index, name in enumerate(names)}
    everything = range(len(measurements))
    errors: dict[int, tuple[float, float]] = {}
    for fold in sorted(set(fold_of.values())):
        out = [index for index in everything if fold_of[groups[index]] == fold]
        rates = fit([index for index in everything if fold_of[groups[index]] != fold] or list(everything))
        for index in out:
            errors[index] = error_of(measurements[index], table, kernels, core, rates)
    return [errors[index] for index in everything]


def error_of(
    measurement: Measurement, table: CoreTable, kernels: str, core: str, rates: Rates
) -> tuple[float, float]:
    """Relative error of a model's predicted cycles, and how unequal its operators are (1: a single one)."""
    work = predict_with(measurement.graph, table=table, kernels=kernels, core=core, rates=rates)
    if not work.cycles:
        raise UserError(
            f"The measured cycles of {measurement.model} explain no rates.",
            "Check the ticks and --ticks-per-cycle.",
        )
    costs = [part.cycles or 0.0 for part in work.operators()]
    share = math.sqrt(sum(cost * cost for cost in costs)) / work.cycles
    return work.cycles / sum(measurement.cycles) - 1, share


def _spreads(errors: Sequence[tuple[float, float]]) -> tuple[float, float]:
    scores = sorted(abs(math.log1p(error)) / (Z90 * math.hypot(_SHARED, share)) for error, share in errors)
    rank = min(len(scores), math.ceil(0.9 * (len(scores) + 1))) - 1
    spread = round(max(scores[rank], _FLOOR), 4)
    return round(_SHARED * spread, 4), spread


def _nested(measurements: Sequence[Measurement], errors: Sequence[tuple[float, float]]) -> float:
    """Share of models inside an interval that was made without their group's errors."""
    groups = [measurement.group or measurement.model for measurement in measurements]
    held = 0
    for group in sorted(set(groups)):
        others = [error for error, name in zip(errors, groups, strict=True) if name != group]
        spread = _spreads(others or errors)
        held += sum(
            abs(math.log1p(error)) <= Z90 * math.hypot(spread[0], spread[1] * share)
            for (error, share), name in zip(errors, groups, strict=True)
            if name == group
        )
    return held / len(errors)


def check_of(errors: Sequence[tuple[float, float]], coverage: float) -> Check:
    """Median, 90th percentile and worst of relative errors."""
    sizes = sorted(abs(error) for error, _ in errors)
    return Check(
        models=len(sizes),
        median=statistics.median(sizes),
        p90=sizes[math.ceil(0.9 * len(sizes)) - 1],
        worst=sizes[-1],
        coverage=coverage,
    )
