"""Predicts the work of a graph: instructions, cycles, their intervals, and each operator's part."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from operator import mul

from cost_models.cores import CORES
from cost_models.cycles.paths import COUNTERS
from cost_models.cycles.rates import Rates
from cost_models.cycles.table import CoreTable, core_table
from cost_models.cycles.weight_traffic import weight_bytes_per_trip
from cost_models.graph import OpGraph, macs
from cost_models.summing import ordered_sum

# The 90 % interval of a normal error reaches 1.645 standard deviations to each side.
Z90 = 1.645
# What a call of an operator takes besides its loops differs by that many instructions: way into the kernel,
# stack frames, branches over loops that are not entered. Standard deviation over 139 random networks of odd
# shapes that no fit saw.
CALL_SPREAD = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorWork:
    """One operator's part of a prediction.

    Attributes:
        index: Position in `OpGraph.operators`.
        kind: Operator kind.
        path: The kernel path that its shape takes.
        macs: Multiply-accumulates, padding counted as work.
        instructions: Executed instructions, the interpreter's dispatch included; None where nobody counted them.
        cycles: Cycles on the board; None without rates.
    """

    index: int
    kind: str
    path: str
    macs: int
    instructions: float | None
    cycles: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one inference takes; every number is a prediction, None where nothing was calibrated.

    Attributes:
        instructions: Executed instructions of one `Invoke`.
        instructions_low: Lower end of its 90 % interval.
        instructions_high: Upper end of its 90 % interval.
        cycles: Board cycles of one `Invoke`.
        cycles_low: Lower end of its 90 % interval.
        cycles_high: Upper end of its 90 % interval.
        unknown_kinds: Operator kinds that no coefficients exist for; they are why the numbers are None.
    """

    instructions: float | None = None
    instructions_low: float | None = None
    instructions_high: float | None = None
    cycles: float | None = None
    cycles_low: float | None = None
    cycles_high: float | None = None
    unknown_kinds: tuple[str, ...] = ()
    _graph: OpGraph = field(repr=False, compare=False)
    _paths: tuple[str, ...] = field(default=(), repr=False, compare=False)
    _instructions: tuple[float, ...] = field(default=(), repr=False, compare=False)
    _cycles: tuple[float, ...] = field(default=(), repr=False, compare=False)

    def operators(self) -> tuple[OperatorWork, ...]:
        """Each operator's part, in execution order; empty where nothing could be predicted.

        The parts add up to the totals: the first operator carries what `Invoke` itself takes.
        """
        graph = self._graph
        nothing = (None,) * len(self._paths)
        cycles: tuple[float | None, ...] = self._cycles or nothing
        counts: tuple[float | None, ...] = self._instructions or nothing
        return tuple(
            OperatorWork(
                index=index,
                kind=op.kind,
                path=path,
                macs=macs(op, graph.tensors),
                instructions=instructions,
                cycles=cycle,
            )
            for index, (op, path, instructions, cycle) in enumerate(
                zip(graph.operators, self._paths, counts, cycles, strict=False)
            )
        )


def predict(graph: OpGraph, *, kernels: str, core: str, rates: Rates | None = None) -> Work:
    """Instructions and cycles of one inference.

    Args:
        graph: The model.
        kernels: Kernel library, "cmsis_nn", "esp_nn" or "reference".
        core: Core by its full name, such as "cortex-m4".
        rates: The board's calibration; without it there are instructions but no cycles.

    Returns:
        The prediction. Its numbers are None when the library was never counted on that core, or when the
        graph has an operator without coefficients (`Work.unknown_kinds` names it).
    """
    table = core_table(kernels, core)
    if table is None:
        return Work(_graph=graph)
    return predict_with(graph, table=table, kernels=kernels, core=core, rates=rates)


def predict_with(graph: OpGraph, *, table: CoreTable, kernels: str, core: str, rates: Rates | None) -> Work:
    """As `predict`, with coefficients of the caller's (a fit that left something out)."""
    board = None if rates is None else _board(table, rates)
    counters = COUNTERS[kernels]
    isa = CORES[core].isa
    tensors = graph.tensors
    counted = table.counted
    per_trip = table.instructions if counted else table.cycles
    dispatch = table.dispatch[0]
    paths: list[str] = []
    counts: list[float] = []
    costs: list[float] = []
    for op in graph.operators:
        counter = counters.get(op.kind)
        if counter is None:
            return _unknown(graph, table, kernels, isa)
        path, trips = counter(op, tensors, isa)
        coefficients = per_trip.get(path)
        if coefficients is None:
            return _unknown(graph, table, kernels, isa)
        paths.append(path)
        if counted:
            counts.append(dispatch + ordered_sum(map(mul, coefficients, trips)))
        if board is not None:
            costs.append(board.operator_cycles + ordered_sum(map(mul, board.cycles[op.kind, path], trips)))

    if counts:
        counts[0] += table.invoke[0]
    instructions: float | None = None
    low: float | None = None
    high: float | None = None
    if counted:
        instructions = ordered_sum(counts)
        low, high = _interval(instructions, counts, table.spread_model, table.spread_operator, CALL_SPREAD)
    if board is None or rates is None:
        return Work(
            instructions=instructions,
            instructions_low=low,
            instructions_high=high,
            _graph=graph,
            _paths=tuple(paths),
            _instructions=tuple(counts),
        )
    if costs:
        costs[0] += board.invoke_cycles
    cycles = ordered_sum(costs)
    cycles_low, cycles_high = _interval(cycles, costs, rates.spread_model, rates.spread_operator)
    return Work(
        instructions=instructions,
        instructions_low=low,
        instructions_high=high,
        cycles=cycles,
        cycles_low=cycles_low,
        cycles_high=cycles_high,
        _graph=graph,
        _paths=tuple(paths),
        _instructions=tuple(counts),
        _cycles=tuple(costs),
    )


class _Board:
    """A core's table with a board's rates worked in."""

    def __init__(self, table: CoreTable, rates: Rates) -> None:
        self.operator_cycles = rates.cycles_per_operator + rates.scale * table.dispatch[1]
        self.invoke_cycles = rates.scale * table.invoke[1]
        self.cycles = _Cycles(table, rates)


class _Cycles(dict[tuple[str, str], tuple[float, ...]]):
    """Board cycles per trip by operator kind and path, worked out when first asked for."""

    def __init__(self, table: CoreTable, rates: Rates) -> None:
        super().__init__()
        self._table = table
        self._rates = rates

    def __missing__(self, key: tuple[str, str]) -> tuple[float, ...]:
        kind, path = key
        scale = self._rates.scale_of(kind)
        fetch = self._rates.cycles_per_weight_byte
        value = tuple(
            scale * ideal + fetch * fetched
            for ideal, fetched in zip(self._table.cycles[path], weight_bytes_per_trip(path), strict=True)
        )
        self[key] = value
        return value


@lru_cache(maxsize=64)
def _board(table: CoreTable, rates: Rates) -> _Board:
    return _Board(table, rates)


def _interval(
    total: float, parts: list[float], spread_model: float, spread_operator: float, call: float = 0.0
) -> tuple[float, float]:
    """The 90 % interval of a sum whose parts share one error and have one each of their own."""
    if not total:
        return 0.0, 0.0
    squares = ordered_sum([part * part for part in parts])
    own = math.sqrt(spread_operator * spread_operator * squares + call * call * len(parts)) / total
    reach = Z90 * math.sqrt(spread_model * spread_model + own * own)
    return total * math.exp(-reach), total * math.exp(reach)


def _unknown(graph: OpGraph, table: CoreTable, kernels: str, isa: str) -> Work:
    counters = COUNTERS[kernels]
    missing = dict.fromkeys(
        op.kind
        for op in graph.operators
        if op.kind not in counters or counters[op.kind](op, graph.tensors, isa)[0] not in table.cycles
    )
    return Work(_graph=graph, unknown_kinds=tuple(missing))
