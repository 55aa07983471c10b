"""Where each part of a lean flatbuffer goes, in the order of `lean_layout`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cost_models.canonical import symmetric_tensors
from cost_models.graph import OpGraph
from cost_models.lean_layout import (
    BUFFER_FIELDS,
    CUSTOM_CODE_BYTES,
    EMPTY_TABLE,
    HEADER_BYTES,
    MODEL_FIELDS,
    SUBGRAPH_FIELDS,
    OptionValue,
    TableLayout,
    code_fields,
    fill_holes,
    operator_layout,
    quantization_layout,
    table_layout,
    tensor_layout,
)
from cost_models.tflite_schema import DECODE


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOptions:
    """The options of an operator as they are written; equal keys share one table."""

    key: object
    layout: TableLayout
    scalars: tuple[OptionValue, ...] = ()
    shape: tuple[int, ...] | None = None
    axes: tuple[int, ...] = ()


class Plan:
    """Where each part of the file goes; the order is that of `lean_layout`."""

    def __init__(self, graph: OpGraph, options: Sequence[StoredOptions | None], litert: bool) -> None:
        self._at = 0
        tensors, operators = graph.tensors, graph.operators
        self.kinds = graph.kinds()
        self.constants = [index for index, tensor in enumerate(tensors) if tensor.data_bytes]
        quantized = [index for index, tensor in enumerate(tensors) if tensor.scales]
        self.model, self.subgraph = table_layout(MODEL_FIELDS), table_layout(SUBGRAPH_FIELDS)
        self.buffer = table_layout(BUFFER_FIELDS)
        self.codes = [table_layout(code_fields(kind)) for kind in self.kinds]
        self.tensors = [tensor_layout(t.data_bytes > 0, t.scales > 0, t.is_variable) for t in tensors]
        self.operators = [
            operator_layout(op.kind == self.kinds[0], stored is not None)
            for op, stored in zip(operators, options)
        ]
        self.quantizations = {i: quantization_layout(tensors[i].quantized_dimension > 0) for i in quantized}
        unique = {stored.key: stored for stored in options if stored is not None}

        self._take(HEADER_BYTES)
        self.vtable_at: dict[tuple[int, ...], int] = {}
        for layout in (
            *(self.model, self.subgraph, EMPTY_TABLE, *self.codes, *self.tensors, *self.operators),
            *(self.quantizations.values()),
            *(stored.layout for stored in unique.values()),
            *([self.buffer] if self.constants else []),
        ):
            if layout.vtable not in self.vtable_at:
                self.vtable_at[layout.vtable] = self._take(layout.vtable[0])
        self._align(4)
        self.model_at = self._take(self.model.size_bytes)
        self.code_list_at = self._take(4 + 4 * len(self.codes))
        self.code_at = [self._take(layout.size_bytes) for layout in self.codes]
        self.custom_at = self._take(CUSTOM_CODE_BYTES if DECODE in self.kinds else 0)
        self.subgraph_list_at = self._take(8)
        self.subgraph_at = self._take(self.subgraph.size_bytes)
        self.tensor_list_at = self._take(4 + 4 * len(tensors))
        self.tensor_at = [self._take(layout.size_bytes) for layout in self.tensors]
        self.operator_list_at = self._take(4 + 4 * len(operators))
        self.operator_at = [self._take(layout.size_bytes) for layout in self.operators]
        self.option_at = {key: self._take(stored.layout.size_bytes) for key, stored in unique.items()}
        self.axes_at = {
            key: self._take(4 + 4 * len(stored.axes)) for key, stored in unique.items() if stored.axes
        }
        self.buffer_list_at = self._take(8 + 4 * len(self.constants))
        self.empty_at = self._take(EMPTY_TABLE.size_bytes)
        self.buffer_at = [self._take(self.buffer.size_bytes) for _ in self.constants]
        self.list_at: dict[tuple[int, ...], int] = {}
        self.quantization_at: dict[int, int] = {}
        self.data_at: list[int] = []
        self._place_data(graph, quantized)
        self._place_quantization(graph, quantized, litert)
        self.end = self._at

    def _take(self, size: int) -> int:
        at = self._at
        self._at += size
        return at

    def _align(self, size: int, rest: int = 0) -> None:
        self._at += (rest - self._at) % size

    def _place_data(self, graph: OpGraph, quantized: list[int]) -> None:
        """Lists, then constants with the holes between them filled."""
        sizes = [4 + graph.tensors[index].data_bytes for index in self.constants]
        holes = [-size % 16 // 4 for size in sizes[:-1]]
        lists = _lists(graph)
        tables = [i for i in quantized if not graph.tensors[i].quantized_dimension]
        singles = [numbers for numbers in lists if len(numbers) == 1]
        pairs = [numbers for numbers in lists if len(numbers) == 2]
        fill = fill_holes(holes.count(3), holes.count(2), len(tables), len(pairs), len(singles))
        tables, pairs, singles = tables[: fill.tables], pairs[: fill.pairs], singles[: fill.singles]
        in_holes = {*pairs, *singles}
        for numbers in lists:
            if numbers not in in_holes:
                self.list_at[numbers] = self._take(4 + 4 * len(numbers))
        for size, hole in zip(sizes, [*holes, 0]):
            self._align(16, 12)
            self.data_at.append(self._take(size))
            self._align(4)
            if hole == 3 and tables:
                self.quantization_at[tables.pop(0)] = self._take(12)
            elif hole == 3 and pairs:
                self.list_at[pairs.pop(0)] = self._take(12)
            elif hole >= 2 and singles:
                self.list_at[singles.pop(0)] = self._take(8)

    def _place_quantization(self, graph: OpGraph, quantized: list[int], litert: bool) -> None:
        """Tables that found no hole, then scales and zero points in turns that keep the latter aligned."""
        tensors = graph.tensors
        for index in quantized:
            if index not in self.quantization_at:
                self.quantization_at[index] = self._take(self.quantizations[index].size_bytes)
        symmetric = symmetric_tensors(graph)
        odd = [index for index in quantized if not tensors[index].scales % 2]
        self.scale_at = {
            index: self._take(4 + 4 * tensors[index].scales) for index in quantized if index not in set(odd)
        }
        shared: dict[int, list[int]] = {}
        for index in quantized:
            if index in symmetric:
                shared.setdefault(tensors[index].scales if litert else 1, []).append(index)
        groups = [
            *shared.items(),
            *((tensors[index].zero_points, [index]) for index in quantized if index not in symmetric),
        ]
        self.zero_point_at: dict[int, int] = {}
        self.zero_points = {index: count for count, group in groups for index in group}
        for count, group in groups:
            if self.zero_point_at and odd:
                index = odd.pop(0)
                self.scale_at[index] = self._take(4 + 4 * tensors[index].scales)
            self._align(8, 4)
            self.zero_point_at.update(dict.fromkeys(group, self._take(4 + 8 * count)))
        for index in odd:
            self.scale_at[index] = self._take(4 + 4 * tensors[index].scales)


def _lists(graph: OpGraph) -> list[tuple[int, ...]]:
    """The lists of integers of a graph, each once."""
    lists = [graph.inputs, graph.outputs]
    for op in graph.operators:
        lists += [op.inputs, op.outputs]
    lists += [tensor.shape for tensor in graph.tensors]
    return list(dict.fromkeys(lists))
