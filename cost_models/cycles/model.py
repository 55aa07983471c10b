"""Predicts the work of a graph: instructions, cycles, their intervals, and each operator's part."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from operator import mul

from cost_models.cycles.paths import COUNTERS, ISA
from cost_models.cycles.rates import Rates
from cost_models.cycles.table import CoreTable, core_table
from cost_models.graph import Operator, OpGraph, Tensor, macs

# The 90 % interval of a normal error reaches 1.645 standard deviations to each side.
Z90 = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorWork:
    """One operator's part of a prediction.

    Attributes:
        index: Position in `OpGraph.operators`.
        kind: Operator kind.
        path: The kernel path that its shape takes.
        macs: Multiply-accumulates, padding counted as work.
        instructions: Executed instructions, the interpreter's dispatch included.
        cycles: Cycles on the board; None without rates.
    """

    index: int
    kind: str
    path: str
    macs: int
    instructions: float
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
        cycles: tuple[float | None, ...] = self._cycles or (None,) * len(self._instructions)
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
                zip(graph.operators, self._paths, self._instructions, cycles, strict=False)
            )
        )


def predict(graph: OpGraph, *, kernels: str, core: str, rates: Rates | None = None) -> Work:
    """Instructions and cycles of one inference.

    Args:
        graph: The model.
        kernels: Kernel library, "cmsis_nn" or "reference".
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
    counters = COUNTERS[kernels]
    isa = ISA.get(core, "scalar")
    tensors = graph.tensors
    per_trip = table.instructions
    cycles_per_trip = table.cycles
    dispatch, dispatch_cycles = table.dispatch
    paths: list[str] = []
    counts: list[float] = []
    costs: list[float] = []
    for op in graph.operators:
        counter = counters.get(op.kind)
        if counter is None:
            return _unknown(graph, table, kernels, core)
        path, trips = counter(op, tensors, isa)
        coefficients = per_trip.get(path)
        if coefficients is None:
            return _unknown(graph, table, kernels, core)
        paths.append(path)
        counts.append(dispatch + sum(map(mul, coefficients, trips)))
        if rates is not None:
            ideal = dispatch_cycles + sum(map(mul, cycles_per_trip[path], trips))
            costs.append(_board_cycles(rates, op, tensors, ideal))

    if counts:
        counts[0] += table.invoke[0]
    instructions = sum(counts)
    low, high = _interval(instructions, counts, table.spread_model, table.spread_operator)
    if rates is None:
        return Work(
            instructions=instructions,
            instructions_low=low,
            instructions_high=high,
            _graph=graph,
            _paths=tuple(paths),
            _instructions=tuple(counts),
        )
    if costs:
        costs[0] += rates.scale * table.invoke[1]
    cycles = sum(costs)
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


def _board_cycles(rates: Rates, op: Operator, tensors: tuple[Tensor, ...], ideal: float) -> float:
    cycles = rates.scale_of(op.kind) * ideal + rates.cycles_per_operator
    if rates.cycles_per_weight_byte:
        weights = sum(tensors[index].data_bytes for index in op.inputs if index >= 0)
        cycles += rates.cycles_per_weight_byte * weights
    return cycles


def _interval(
    total: float, parts: list[float], spread_model: float, spread_operator: float
) -> tuple[float, float]:
    """The 90 % interval of a sum whose parts share one error and have one each of their own."""
    own = spread_operator * math.sqrt(sum(part * part for part in parts)) / total if total else 0.0
    reach = Z90 * math.sqrt(spread_model * spread_model + own * own)
    return total * math.exp(-reach), total * math.exp(reach)


def _unknown(graph: OpGraph, table: CoreTable, kernels: str, core: str) -> Work:
    counters = COUNTERS[kernels]
    isa = ISA.get(core, "scalar")
    missing = dict.fromkeys(
        op.kind
        for op in graph.operators
        if op.kind not in counters or counters[op.kind](op, graph.tensors, isa)[0] not in table.instructions
    )
    return Work(_graph=graph, unknown_kinds=tuple(missing))
