"""Making a .tflite model lean: the same model in the fewest bytes that TFLM and LiteRT run alike."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

from cost_models import tflite_schema as schema
from cost_models.canonical import Canonical, canonical_graph, symmetric_tensors
from cost_models.errors import UserError
from cost_models.graph import OpGraph
from cost_models.lean_layout import (
    EMPTY_TABLE,
    OptionValue,
    TableLayout,
    modelled_layout,
    modelled_options,
    other_layout,
)
from cost_models.lean_plan import Plan, StoredOptions
from cost_models.model_bytes import model_bytes
from cost_models.tflite_graph import TfliteModel, read_model
from cost_models.tflite_options import all_scalars, squeezed_axes

_TYPE_NUMBERS = {name: number for number, name in enumerate(schema.TENSOR_TYPES)}
_CODE_NUMBERS = {name: number for number, name in enumerate(schema.OPERATOR_NAMES)}
_OPTION_TYPES = {
    kind: number
    for known in (schema.MODELLED_OPTIONS, schema.OTHER_OPTIONS, schema.LIST_OPTIONS)
    for kind, (number, _) in known.items()
}


def lean(data: bytes, *, litert: bool = False) -> bytes:
    """The model without what no chip reads; it computes the same, bit for bit.

    Gone are names, signatures, metadata, ranges, shape signatures, unused tensors and buffers, the versions of
    operators, options at their defaults, the quantization of convolution biases, and all but one zero point of
    weights; equal lists, tables of options and vtables are stored once. What runs is untouched: weights, scales,
    zero points of activations, shapes, order of execution. Constants stay 16-byte aligned.
    `lean(lean(data)) == lean(data)`, and the length is `model_bytes` of the canonical graph.

    LiteRT refuses per-channel weights whose one zero point stands for all ("must have same number"), TFLM takes
    them. Those zeros are some 8 % of a small model, so the chip's form goes without, and `litert` puts them
    back: `lean(lean(data), litert=True)` loads in LiteRT, and `lean` of that is the chip's form again.

    Args:
        data: The content of a .tflite file, lean or not.
        litert: Keep as many zero points as scales.

    Raises:
        UserError: The model cannot be read (see `read_graph`) or has an operator that cannot be stored lean.
    """
    model = read_model(data)
    if model.graph.others:
        raise UserError(
            f"The model has {1 + len(model.graph.others)} subgraphs; only a model of one can be made lean.",
            "Export it without leaning.",
        )
    if model.intermediates or any(tensor.is_variable for tensor in model.graph.tensors):
        raise UserError(
            "The model keeps state between invocations, which cannot be made lean.",
            "Export it without leaning, or unroll its recurrent layers.",
        )
    return write_lean(data, model, canonical_graph(model.graph), litert=litert)


def write_lean(data: bytes, model: TfliteModel, canonical: Canonical, *, litert: bool = False) -> bytes:
    """The bytes of a lean model.

    Args:
        data: Bytes that the model's places lie in.
        model: As read.
        canonical: The canonical form of its graph.
        litert: As `lean`.
    """
    written = _write(data, model, canonical, litert)
    expected = model_bytes(canonical.graph)
    if len(written) != expected and not litert:
        raise AssertionError(f"lean wrote {len(written)} bytes where model_bytes says {expected}")
    return written


class _Page:
    """Bytes of a known length, filled in at known places."""

    def __init__(self, size: int, vtables: Mapping[tuple[int, ...], int]) -> None:
        self.out = bytearray(size)
        self._vtables = vtables
        for vtable, at in vtables.items():
            struct.pack_into(f"<{len(vtable)}H", self.out, at, *vtable)

    def refer(self, at: int, target: int) -> None:
        """Write a reference to a later place."""
        struct.pack_into("<I", self.out, at, target - at)

    def numbers(self, at: int, letter: str, values: Sequence[int]) -> None:
        """Write a list of integers."""
        struct.pack_into(f"<I{len(values)}{letter}", self.out, at, len(values), *values)

    def raw(self, at: int, items: int, content: bytes) -> None:
        """Write a list whose items are bytes already."""
        struct.pack_into("<I", self.out, at, items)
        self.out[at + 4 : at + 4 + len(content)] = content

    def references(self, at: int, targets: Sequence[int]) -> None:
        """Write a list of tables."""
        struct.pack_into("<I", self.out, at, len(targets))
        for place, target in enumerate(targets):
            self.refer(at + 4 + 4 * place, target)

    def table(
        self, at: int, layout: TableLayout, scalars: Iterable[OptionValue], references: Mapping[int, int]
    ) -> None:
        """Write a table; what the layout does not store is at its default and left out."""
        places = dict(layout.offsets)
        struct.pack_into("<i", self.out, at, at - self._vtables[layout.vtable])
        for field, letter, value in scalars:
            if field in places:
                struct.pack_into(f"<{letter}", self.out, at + places[field], value)
        for field, target in references.items():
            if field in places:
                self.refer(at + places[field], target)


def _stored_options(model: TfliteModel, graph: OpGraph) -> list[StoredOptions | None]:
    stored: list[StoredOptions | None] = []
    for index, op in enumerate(graph.operators):
        kind = op.kind
        table = model.option_tables[index]
        if kind in schema.MODELLED_OPTIONS:
            layout = modelled_layout(kind, op.options)
            key = (kind, op.options)
            scalars = modelled_options(kind, op.options)
            stored.append(StoredOptions(key=key, layout=layout, scalars=scalars) if layout else None)
            continue
        layout = other_layout(kind)
        if layout is None:
            stored.append(None)
        elif kind == "RESHAPE":
            shape = graph.tensors[op.outputs[0]].shape
            stored.append(StoredOptions(key=index, layout=layout, shape=shape))
        elif kind == "SQUEEZE":
            stored.append(
                StoredOptions(key=index, layout=layout, axes=squeezed_axes(index, op, graph.tensors, table))
            )
        else:
            stored.append(StoredOptions(key=index, layout=layout, scalars=all_scalars(kind, table)))
    return stored


def _write(data: bytes, model: TfliteModel, canonical: Canonical, litert: bool) -> bytes:
    """Write every part at its place."""
    graph, sources = canonical.graph, canonical.sources
    options = _stored_options(model, graph)
    plan = Plan(graph, options, litert)
    page = _Page(plan.end, plan.vtable_at)
    page.refer(0, plan.model_at)
    page.out[4:8] = schema.FILE_IDENTIFIER
    page.table(
        plan.model_at,
        plan.model,
        [(schema.MODEL_VERSION, "I", schema.SCHEMA_VERSION)],
        {
            schema.MODEL_OPERATOR_CODES: plan.code_list_at,
            schema.MODEL_SUBGRAPHS: plan.subgraph_list_at,
            schema.MODEL_BUFFERS: plan.buffer_list_at,
        },
    )
    page.references(plan.code_list_at, plan.code_at)
    for at, layout, kind in zip(plan.code_at, plan.codes, plan.kinds):
        number = schema.CUSTOM if kind == schema.DECODE else _CODE_NUMBERS[kind]
        page.table(at, layout, [(schema.CODE_BUILTIN, "i", number)], {schema.CODE_CUSTOM: plan.custom_at})
    if schema.DECODE in plan.kinds:
        page.raw(plan.custom_at, len(schema.DECODE), schema.DECODE.encode("ascii"))
    page.references(plan.subgraph_list_at, [plan.subgraph_at])
    page.table(
        plan.subgraph_at,
        plan.subgraph,
        [],
        {
            schema.SUBGRAPH_TENSORS: plan.tensor_list_at,
            schema.SUBGRAPH_INPUTS: plan.list_at[graph.inputs],
            schema.SUBGRAPH_OUTPUTS: plan.list_at[graph.outputs],
            schema.SUBGRAPH_OPERATORS: plan.operator_list_at,
        },
    )
    for numbers, at in plan.list_at.items():
        page.numbers(at, "i", numbers)
    _write_tensors(page, plan, graph)
    _write_operators(page, plan, graph, options)
    page.references(plan.buffer_list_at, [plan.empty_at, *plan.buffer_at])
    page.table(plan.empty_at, EMPTY_TABLE, [], {})
    for index, buffer_at, at in zip(plan.constants, plan.buffer_at, plan.data_at):
        page.table(buffer_at, plan.buffer, [], {schema.BUFFER_DATA: at})
        start, size = model.data[sources[index]]
        page.raw(at, size, data[start : start + size])
    _write_quantization(page, plan, graph, data, model, sources)
    return bytes(page.out)


def _write_tensors(page: _Page, plan: Plan, graph: OpGraph) -> None:
    page.references(plan.tensor_list_at, plan.tensor_at)
    buffers = {index: 1 + order for order, index in enumerate(plan.constants)}
    for index, tensor in enumerate(graph.tensors):
        references = {schema.TENSOR_SHAPE: plan.list_at[tensor.shape]}
        if tensor.scales:
            references[schema.TENSOR_QUANTIZATION] = plan.quantization_at[index]
        page.table(
            plan.tensor_at[index],
            plan.tensors[index],
            [
                (schema.TENSOR_TYPE, "b", _TYPE_NUMBERS[tensor.dtype]),
                (schema.TENSOR_BUFFER, "I", buffers.get(index, 0)),
            ],
            references,
        )


def _write_operators(
    page: _Page, plan: Plan, graph: OpGraph, options: Sequence[StoredOptions | None]
) -> None:
    page.references(plan.operator_list_at, plan.operator_at)
    for index, (op, stored) in enumerate(zip(graph.operators, options)):
        scalars: list[OptionValue] = [(schema.OP_CODE, "I", plan.kinds.index(op.kind))]
        references = {schema.OP_INPUTS: plan.list_at[op.inputs], schema.OP_OUTPUTS: plan.list_at[op.outputs]}
        if stored is not None:
            scalars.append((schema.OP_OPTIONS_TYPE, "B", _OPTION_TYPES[op.kind]))
            references[schema.OP_OPTIONS] = plan.option_at[stored.key]
            inside = {}
            if stored.shape is not None:
                inside[schema.LIST_OPTIONS[op.kind][1]] = plan.list_at[stored.shape]
            elif stored.axes:
                at = inside[schema.LIST_OPTIONS[op.kind][1]] = plan.axes_at[stored.key]
                page.numbers(at, "i", stored.axes)
            page.table(plan.option_at[stored.key], stored.layout, stored.scalars, inside)
        page.table(plan.operator_at[index], plan.operators[index], scalars, references)


def _write_quantization(
    page: _Page, plan: Plan, graph: OpGraph, data: bytes, model: TfliteModel, sources: tuple[int, ...]
) -> None:
    symmetric = symmetric_tensors(graph)
    for index, at in plan.quantization_at.items():
        tensor, source = graph.tensors[index], sources[index]
        scale_at, zero_point_at = plan.scale_at[index], plan.zero_point_at[index]
        page.table(
            at,
            plan.quantizations[index],
            [(schema.QUANT_DIMENSION, "i", tensor.quantized_dimension)],
            {schema.QUANT_SCALE: scale_at, schema.QUANT_ZERO_POINT: zero_point_at},
        )
        start, size = model.scales[source]
        page.raw(scale_at, size // 4, data[start : start + size])
        zero_points = model.zero_points[source]
        if index in symmetric:
            if any(zero_points):
                raise UserError(
                    f"Tensor {source} of the model is a weight with a zero point other than 0, which TFLM ignores.",
                    schema.QUANTIZE_HINT,
                )
            zero_points = (0,) * plan.zero_points[index]
        page.numbers(zero_point_at, "q", zero_points)
