"""Fits the rates of cores' classes to all measured boards, and says how far off they are on boards left out."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from cost_models.cores import CORES
from cost_models.cycles.boards import SMALLEST_CYCLES, Check, Measurement
from cost_models.cycles.classes import FETCH, ideal_parts
from cost_models.cycles.model import Z90
from cost_models.cycles.rates import Rates

# What the measured boards do not tell of the next one: another compiler or -Os, flash without a cache, a cache that
# is off, clocks of bus and flash. A judgement, as a natural logarithm, on top of how much the boards differ.
_NOT_KNOWN = 0.07
# Rates from a handful of models are trusted no further.
_LEAST_FEW = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The measurements of one board.

    Attributes:
        name: The target's name.
        core: Its core.
        memory: Where its weights lie, as `Target.weights_memory`.
        measurements: Its measured models and operators.
    """

    name: str
    core: str
    memory: str
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A board's cycles over what its core's ideal cycles and its memory's fetches predict.

    Attributes:
        board: The board.
        mean: Mean of the cases' logarithms.
        scatter: Standard deviation of the cases around it.
        within: The same of single operators, whose errors average out within a model.
        cases: (logarithm, `share` as in `boards.error_of`) of each measured model or operator.
    """

    board: Board
    mean: float
    scatter: float
    within: float
    cases: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreClass:
    """The class of one core: logarithms, as `Rates.spread_model` and `Rates.spread_operator`."""

    center: float
    spread_model: float
    spread_operator: float
    boards: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """How a board was predicted by the class that the other boards make.

    Attributes:
        board: Its name.
        core: Its core.
        others: Boards of its core that remained.
        cases: Of each measured model and operator the error, and whether it lies in the 90 % interval.
        check: The same in short.
    """

    board: str
    core: str
    others: int
    cases: tuple[tuple[float, bool], ...]
    check: Check


def factor_of(board: Board, kernels: str = "cmsis_nn") -> Factor:
    """The board's factor, one for all its cases."""
    cases: list[tuple[float, float]] = []
    for measurement in board.measurements:
        cycles = sum(measurement.cycles)
        if cycles < SMALLEST_CYCLES:
            continue
        parts = [
            ideal + FETCH[board.memory] * fetched
            for ideal, fetched in ideal_parts(measurement.graph, kernels, board.core)
        ]
        total = sum(parts)
        cases.append((math.log(cycles / total), math.sqrt(sum(part * part for part in parts)) / total))
    values = [value for value, _ in cases]
    scatter = statistics.stdev(values) if len(values) > 1 else 0.1
    shares = math.sqrt(statistics.fmean(share * share for _, share in cases))
    return Factor(
        board=board,
        mean=statistics.fmean(values),
        scatter=scatter,
        within=scatter / shares,
        cases=tuple(cases),
    )


def fit_classes(factors: Sequence[Factor], cores: Sequence[str]) -> dict[str, CoreClass]:
    """A class for each core, by a model of two random effects: the core's, and the board's.

    The boards of all cores tell how much boards of a core differ, the cores how far a core's instruction prices
    may be off; a core with few boards is drawn to the mean of all.

    Args:
        factors: Of the measured boards.
        cores: Which cores to make a class for; one without boards takes what all cores share.
    """
    by_core: dict[str, list[Factor]] = defaultdict(list)
    for factor in factors:
        by_core[factor.board.core].append(factor)
    means = {core: statistics.fmean(board.mean for board in alike) for core, alike in by_core.items()}
    squares = sum((board.mean - means[board.board.core]) ** 2 for board in factors)
    freedom = len(factors) - len(by_core)
    between_boards = squares / freedom if freedom > 0 else 0.01
    overall = statistics.fmean(means.values())
    between_cores = statistics.variance(means.values()) if len(means) > 1 else 0.04
    within = statistics.median(board.within for board in factors)
    classes: dict[str, CoreClass] = {}
    for core in cores:
        alike = by_core.get(core) or by_core.get(CORES[core].pipeline_of or "", [])
        count = len(alike)
        weight = count * between_cores / (count * between_cores + between_boards)
        own = statistics.fmean(board.mean for board in alike) if alike else overall
        center = overall + weight * (own - overall)
        # The next board's effect, and what is left open of the core's.
        spread = between_boards + (1 - weight) * between_cores
        reach = float(student.ppf(0.95, max(freedom, 1))) / Z90
        extra = _NOT_KNOWN**2 + CORES[core].class_extra ** 2
        classes[core] = CoreClass(
            center=center,
            spread_model=math.sqrt(spread * reach * reach + extra),
            spread_operator=statistics.fmean([within, *(board.within for board in alike)]),
            boards=tuple(board.board.name for board in alike),
        )
    return classes


def leave_board_out(factors: Sequence[Factor]) -> list[LeftOut]:
    """Each board predicted by the classes of the others."""
    rows: list[LeftOut] = []
    for factor in factors:
        core = factor.board.core
        others = [each for each in factors if each.board.name != factor.board.name]
        fitted = fit_classes(others, [core])[core]
        cases = tuple(
            (
                abs(math.expm1(fitted.center - value)),
                abs(value - fitted.center)
                <= Z90 * math.hypot(fitted.spread_model, fitted.spread_operator * share),
            )
            for value, share in factor.cases
        )
        errors = [error for error, _ in cases]
        rows.append(
            LeftOut(
                board=factor.board.name,
                core=core,
                others=sum(each.board.core == core for each in others),
                cases=cases,
                check=Check(
                    models=len(errors),
                    median=statistics.median(errors),
                    # Interpolated, other than in `check_of`: of three or four cases it would be the worst.
                    p90=float(np.quantile(errors, 0.9)),
                    worst=max(errors),
                    coverage=sum(inside for _, inside in cases) / len(cases),
                ),
            )
        )
    return rows


def check_of_boards(rows: Sequence[LeftOut]) -> Check:
    """Boards that were left out taken together: each weighs the same, however many cases it has."""
    weighed = sorted((error, 1 / (len(row.cases) * len(rows))) for row in rows for error, _ in row.cases)
    errors = [error for error, _ in weighed]
    below = np.cumsum([weight for _, weight in weighed])

    def quantile(share: float) -> float:
        return errors[min(int(np.searchsorted(below, share - 1e-9)), len(errors) - 1)]

    return Check(
        models=len(errors),
        median=quantile(0.5),
        p90=quantile(0.9),
        worst=errors[-1],
        coverage=statistics.fmean(row.check.coverage for row in rows),
    )


def few_models_rates(factor: Factor, source: str) -> Rates:
    """Rates from a handful of whole models: one factor, too few for more, and as wide as they scatter."""
    count = len(factor.cases)
    reach = float(student.ppf(0.95, count - 1)) / Z90 * math.sqrt(1 + 1 / count)
    spread = round(max(factor.scatter * reach, _LEAST_FEW), 4)
    scale = math.exp(factor.mean)
    return Rates(
        scale=round(scale, 4),
        cycles_per_weight_byte=round(scale * FETCH[factor.board.memory], 4),
        spread_model=spread,
        spread_operator=spread,
        source=source,
    )


def document_of(classes: Mapping[str, CoreClass]) -> dict[str, Any]:
    """The content of `core_classes.json`."""
    entries: dict[str, Any] = {}
    for core, fitted in sorted(classes.items()):
        measured = CORES[core].pipeline_of is None
        names = ", ".join(fitted.boards)
        if measured:
            source = f"the class of {_spoken(core)} boards: {names}"
        else:
            source = (
                f"no {_spoken(core)} board was measured: instruction counts, and the pipeline that it shares with"
                f" the {_spoken(str(CORES[core].pipeline_of))} ({names})"
            )
        entries[core] = {
            "basis": "class" if measured else "bound",
            "scale": round(math.exp(fitted.center), 4),
            "spread_model": round(fitted.spread_model, 4),
            "spread_operator": round(fitted.spread_operator, 4),
            "source": source,
        }
    return {"cores": entries}


def _spoken(core: str) -> str:
    return core.replace("cortex-m", "Cortex-M").replace("plus", "+")
