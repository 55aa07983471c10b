"""Predicts the work of a graph: instructions, cycles, their intervals, and each operator's part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import mul
from typing import Literal

from cost_models.cores import CORES
from cost_models.cycles import shares
from cost_models.cycles.bounds import bounds
from cost_models.cycles.paths import COUNTERS, FEATURES
from cost_models.cycles.rates import Rates
from cost_models.cycles.table import CoreTable, core_table
from cost_models.cycles.weight_traffic import weight_bytes_per_trip
from cost_models.graph import KernelOptions, Operator, OpGraph, macs
from cost_models.summing import ordered_sum
from cost_models.tflite_schema import CALLED_SUBGRAPHS

WorkBasis = Literal["counted", "interval", "none"]

# The 90 % interval of a normal error reaches 1.645 standard deviations to each side.
Z90 = 1.645
# What a call of an operator takes besides its loops differs by that many instructions: way into the kernel,
# stack frames, branches over loops that are not entered. Standard deviation over 139 random networks of odd
# shapes that no fit saw.
CALL_SPREAD = 25.0
# Where elements below zero take longer, and by which share of them their number may be off where it is not none.
_NEGATIVES = {path: names.index("negatives") for path, names in FEATURES.items() if "negatives" in names}
_NEGATIVES_DOUBT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorWork:
    """One operator's part of a prediction.

    Attributes:
        index: Position in `OpGraph.operators`.
        kind: Operator kind.
        path: The kernel path that its shape takes.
        macs: Multiply-accumulates, padding counted as work.
        instructions: Executed instructions, the interpreter's dispatch included; None where nobody counted them.
        cycles: Cycles on the board; None without rates, or where nobody counted the instructions.
        basis: "counted"; "interval" where it is only bounded by its elements, and the numbers are the geometric
            middle of the bounds; "none" where nothing is known.
    """

    index: int
    kind: str
    path: str
    macs: int
    instructions: float | None
    cycles: float | None
    basis: WorkBasis = "counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one inference takes; every number is a prediction, None where nothing was calibrated.

    Where `unknown_kinds` names operators, the numbers are those of all others: at least so much is taken, and there is
    no upper end.

    Attributes:
        instructions: Executed instructions of one `Invoke`.
        instructions_low: Lower end of its 90 % interval.
        instructions_high: Upper end of its 90 % interval.
        cycles: Board cycles of one `Invoke`.
        cycles_low: Lower end of its 90 % interval.
        cycles_high: Upper end of its 90 % interval.
        unknown_kinds: Kinds of operators of which nothing is known; the numbers leave them out.
        bounded_kinds: Kinds of operators that nobody counted, and that are bounded by their elements.
    """

    instructions: float | None = None
    instructions_low: float | None = None
    instructions_high: float | None = None
    cycles: float | None = None
    cycles_low: float | None = None
    cycles_high: float | None = None
    unknown_kinds: tuple[str, ...] = ()
    bounded_kinds: tuple[str, ...] = ()
    _graph: OpGraph = field(repr=False, compare=False)
    _paths: tuple[str, ...] = field(default=(), repr=False, compare=False)
    _bases: tuple[WorkBasis, ...] = field(default=(), repr=False, compare=False)
    _instructions: tuple[float | None, ...] = field(default=(), repr=False, compare=False)
    _cycles: tuple[float | None, ...] = field(default=(), repr=False, compare=False)

    @property
    def at_least(self) -> bool:
        """Whether the numbers leave out operators of which nothing is known."""
        return bool(self.unknown_kinds)

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
                basis=basis,
            )
            for index, (op, path, basis, instructions, cycle) in enumerate(
                zip(graph.operators, self._paths, self._bases, counts, cycles, strict=False)
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
        The prediction. Its numbers are None when the library was never counted on that core.
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
    fpu = CORES[core].fpu
    paths: list[str] = []
    bases: list[WorkBasis] = []
    counts, costs = _Sum(), _Sum()
    unknown: dict[str, None] = {}
    bounded: dict[str, None] = {}
    for op in graph.operators:
        counter = counters.get(op.kind)
        path, trips = ("", ()) if counter is None else counter(op, tensors, isa)
        coefficients = per_trip.get(path)
        paths.append(path)
        if op.kind == "IF" and coefficients is not None:
            branches = _branches(op, graph, table=table, kernels=kernels, core=core, rates=rates)
            own = ordered_sum(map(mul, coefficients, trips))
            ends = _either(own, ((work.instructions_low, work.instructions_high) for work in branches))
            timed = None
            if board is not None:
                own = ordered_sum(map(mul, board.cycles[op.kind, path], trips))
                timed = _either(own, ((work.cycles_low, work.cycles_high) for work in branches))
                costs.bound(timed, board.operator_cycles)
            known = (ends if counted else timed) is not None
            bases.append("interval" if known else "none")
            (bounded if known else unknown)[op.kind] = None
            counts.bound(ends if counted else None, dispatch)
            continue
        if coefficients is not None:
            bases.append("counted")
            own = table.spread_by_path.get(path, 0.0)
            part = ordered_sum(map(mul, coefficients, trips))
            if op.kind in shares.BY_VALUES:
                own = math.hypot(own, shares.doubt(op, tensors))
            if path in _NEGATIVES and part:
                index = _NEGATIVES[path]
                own = math.hypot(own, _NEGATIVES_DOUBT * coefficients[index] * trips[index] / part)
            counts.add(dispatch + part if counted else None, own)
            if board is not None:
                costs.add(
                    board.operator_cycles + ordered_sum(map(mul, board.cycles[op.kind, path], trips)), own
                )
            continue
        ends = bounds(op, tensors, per_trip, fpu=fpu)
        bases.append("none" if ends is None else "interval")
        (unknown if ends is None else bounded)[op.kind] = None
        counts.bound(ends if counted else None, dispatch)
        if board is not None:
            costs.bound(bounds(op, tensors, board.of_kind(op.kind), fpu=fpu), board.operator_cycles)

    if counted:
        counts.start(table.invoke[0])
    if board is not None:
        costs.start(board.invoke_cycles)
    instructions, low, high = (
        counts.ends(table.spread_model, table.spread_operator, CALL_SPREAD, bool(unknown))
        if counted
        else (None, None, None)
    )
    cycles, cycles_low, cycles_high = (
        (None, None, None)
        if board is None or rates is None
        else costs.ends(rates.spread_model, rates.spread_operator, 0.0, bool(unknown))
    )
    return Work(
        instructions=instructions,
        instructions_low=low,
        instructions_high=high,
        cycles=cycles,
        cycles_low=cycles_low,
        cycles_high=cycles_high,
        unknown_kinds=tuple(unknown),
        bounded_kinds=tuple(bounded),
        _graph=graph,
        _paths=tuple(paths),
        _bases=tuple(bases),
        _instructions=tuple(counts.parts) if counted else (),
        _cycles=tuple(costs.parts),
    )


def _branches(
    op: Operator, graph: OpGraph, *, table: CoreTable, kernels: str, core: str, rates: Rates | None
) -> list[Work]:
    """What either branch of an IF takes."""
    assert isinstance(op.options, KernelOptions)
    parts = [graph.others[op.options[name] - 1] for name in CALLED_SUBGRAPHS["IF"]]
    return [
        predict_with(replace(part, others=graph.others), table=table, kernels=kernels, core=core, rates=rates)
        for part in parts
    ]


def _either(own: float, branches: Iterable[tuple[float | None, float | None]]) -> tuple[float, float] | None:
    """From the least of the cheaper branch to the most of the dearer; None where a branch has no such end."""
    lows, highs = zip(*branches, strict=True)
    if any(end is None for end in (*lows, *highs)):
        return None
    return own + min(low for low in lows if low is not None), own + max(
        high for high in highs if high is not None
    )


class _Sum:
    """Parts of a sum, those that are known, those that are bounded and those of which nothing is known (None)."""

    def __init__(self) -> None:
        self.parts: list[float | None] = []
        self._known: list[float] = []
        self._low = self._high = self._middle = 0.0
        self._added = self._squares = 0.0

    def add(self, part: float | None, own: float) -> None:
        """A part that is known, and its own error beside that of all operators."""
        self.parts.append(part)
        if part is not None:
            self._known.append(part)
            self._squares += (own * part) ** 2

    def bound(self, ends: tuple[float, float] | None, call: float) -> None:
        if ends is None:
            self.parts.append(None)
            return
        low, high = ends[0] + call, ends[1] + call
        middle = math.sqrt(low * high)
        self.parts.append(middle)
        self._low += low
        self._high += high
        self._middle += middle

    def start(self, part: float) -> None:
        """What `Invoke` itself takes goes to the first operator that is known."""
        for index, value in enumerate(self.parts):
            if value is not None:
                self.parts[index] = value + part
                break
        else:
            return
        if self._known and self._middle == 0.0:
            self._known[0] += part
        else:
            self._added = part

    def ends(
        self, spread_model: float, spread_operator: float, call: float, at_least: bool
    ) -> tuple[float, float, float | None]:
        """The sum and the ends of its interval; no upper end where parts are left out."""
        known = ordered_sum(self._known) + self._added
        low, high = _interval(known, self._known, spread_model, spread_operator, call, self._squares)
        return known + self._middle, low + self._low, None if at_least else high + self._high


class _Board:
    """A core's table with a board's rates worked in."""

    def __init__(self, table: CoreTable, rates: Rates) -> None:
        self.operator_cycles = rates.cycles_per_operator + rates.scale * table.dispatch[1]
        self.invoke_cycles = rates.scale * table.invoke[1]
        self.cycles = _Cycles(table, rates)

    def of_kind(self, kind: str) -> Mapping[str, tuple[float, ...]]:
        """Board cycles per trip of every path, as an operator of that kind takes them."""
        return _OfKind(self.cycles, kind)


class _OfKind(Mapping[str, tuple[float, ...]]):
    """The prices of every path for one operator kind."""

    def __init__(self, cycles: _Cycles, kind: str) -> None:
        self._cycles = cycles
        self._kind = kind

    def __getitem__(self, path: str) -> tuple[float, ...]:
        return self._cycles[self._kind, path]

    def __contains__(self, path: object) -> bool:
        return path in self._cycles.paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._cycles.paths)

    def __len__(self) -> int:
        return len(self._cycles.paths)


class _Cycles(dict[tuple[str, str], tuple[float, ...]]):
    """Board cycles per trip by operator kind and path, worked out when first asked for."""

    def __init__(self, table: CoreTable, rates: Rates) -> None:
        super().__init__()
        self._table = table
        self._rates = rates

    @property
    def paths(self) -> Mapping[str, tuple[float, ...]]:
        return self._table.cycles

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
    total: float,
    parts: list[float],
    spread_model: float,
    spread_operator: float,
    call: float,
    less_certain: float,
) -> tuple[float, float]:
    """The 90 % interval of a sum whose parts share one error and have one each of their own.

    `less_certain` is the variance that some parts have on top.
    """
    if not total:
        return 0.0, 0.0
    squares = ordered_sum([part * part for part in parts])
    own = (
        math.sqrt(spread_operator * spread_operator * squares + call * call * len(parts) + less_certain)
        / total
    )
    reach = Z90 * math.sqrt(spread_model * spread_model + own * own)
    return total * math.exp(-reach), total * math.exp(reach)
