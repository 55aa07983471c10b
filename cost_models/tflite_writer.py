"""Writing a .tflite model from its graph: what has no converter, such as an audio front end.

Nothing stands in the file that no chip reads: no names, no versions, each vtable and each list of integers once;
constants are aligned to 16 bytes. `read_graph` gives the graph back.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs, tflite-micro 90b983c2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

from cost_models import tflite_schema as schema
from cost_models.errors import UserError
from cost_models.flexbuffer import write_integers
from cost_models.graph import Operator, OpGraph, SignalOptions, Tensor
from cost_models.lean_layout import OptionValue, modelled_options, table_layout
from cost_models.signal_operators import PARAMETERS

_DATA_ALIGNMENT = 16
_UNREAD_OPTIONS = frozenset({"CAST", "RESHAPE"})  # TFLM goes by the tensors
_BOOLEANS = frozenset({"clamping", "prefill"})
# One scale, or one for each channel, and the zero point.
Quantization = tuple[float | tuple[float, ...], int]
# What a field refers to: a list of integers, or what writes it and returns its place.
_Target = tuple[int, ...] | Callable[[], int]


def write_model(
    graph: OpGraph,
    constants: Mapping[int, bytes],
    quantization: Mapping[int, Quantization] | None = None,
) -> bytes:
    """The bytes of a model.

    Args:
        graph: The structure; each tensor has the number of scales and of `data_bytes` that is given for it.
        constants: Content of the constant tensors, little-endian, by index.
        quantization: Scales and zero point of the quantized tensors, by index.

    Raises:
        UserError: An operator whose options it cannot write.
        ValueError: Content or quantization is not what the graph says.
    """
    quantization = quantization or {}
    for index, tensor in enumerate(graph.tensors):
        if len(constants.get(index, b"")) != tensor.data_bytes:
            raise ValueError(
                f"tensor {index} has {len(constants.get(index, b''))} B, not {tensor.data_bytes}"
            )
        if tensor.scales != (len(_scales(quantization[index])) if index in quantization else 0):
            raise ValueError(f"tensor {index} has {tensor.scales} scales")
    return _ModelFile(graph, constants, quantization).content()


def _scales(quantization: Quantization) -> tuple[float, ...]:
    scale = quantization[0]
    return scale if isinstance(scale, tuple) else (scale,)


class _ModelFile:
    """Bytes that grow at their end: a table first, then, in turn, what it refers to."""

    def __init__(
        self, graph: OpGraph, constants: Mapping[int, bytes], quantization: Mapping[int, Quantization]
    ) -> None:
        self._graph = graph
        self._constants = constants
        self._quantization = quantization
        self._out = bytearray(4) + schema.FILE_IDENTIFIER
        self._vtables: dict[tuple[int, ...], int] = {}
        self._lists: dict[tuple[int, ...], list[int]] = {}
        self._kinds = graph.kinds()
        self._buffers = [index for index, tensor in enumerate(graph.tensors) if tensor.is_constant]

    def content(self) -> bytes:
        """The whole file."""
        root = self._table(
            [(schema.MODEL_VERSION, "I", schema.SCHEMA_VERSION)],
            {
                schema.MODEL_OPERATOR_CODES: lambda: self._tables(self._kinds, self._code),
                schema.MODEL_SUBGRAPHS: lambda: self._tables([self._graph], self._subgraph),
                schema.MODEL_BUFFERS: lambda: self._tables([-1, *self._buffers], self._buffer),
            },
        )
        struct.pack_into("<I", self._out, 0, root)
        # An offset leads forward, so a list that several share comes behind all of them.
        for values, places in self._lists.items():
            at = self._vector(struct.pack(f"<{len(values)}i", *values), 4)
            for place in places:
                struct.pack_into("<I", self._out, place, at - place)
        return bytes(self._out)

    def _code(self, kind: str) -> int:
        if kind in PARAMETERS or kind == schema.DECODE:
            return self._table(
                [(schema.CODE_BUILTIN, "i", schema.CUSTOM)],
                {schema.CODE_CUSTOM: lambda: self._vector(kind.encode("ascii"), 1, terminated=True)},
            )
        return self._table([(schema.CODE_BUILTIN, "i", schema.OPERATOR_NAMES.index(kind))], {})

    def _subgraph(self, graph: OpGraph) -> int:
        return self._table(
            [],
            {
                schema.SUBGRAPH_TENSORS: lambda: self._tables(range(len(graph.tensors)), self._tensor),
                schema.SUBGRAPH_INPUTS: graph.inputs,
                schema.SUBGRAPH_OUTPUTS: graph.outputs,
                schema.SUBGRAPH_OPERATORS: lambda: self._tables(graph.operators, self._operator),
            },
        )

    def _tensor(self, index: int) -> int:
        tensor: Tensor = self._graph.tensors[index]
        targets: dict[int, _Target] = {schema.TENSOR_SHAPE: tensor.shape}
        if tensor.scales:
            targets[schema.TENSOR_QUANTIZATION] = lambda: self._scale(index)
        buffer = self._buffers.index(index) + 1 if tensor.is_constant else 0
        scalars: list[OptionValue] = [
            (schema.TENSOR_TYPE, "b", schema.TENSOR_TYPES.index(tensor.dtype)),
            (schema.TENSOR_BUFFER, "I", buffer),
        ]
        return self._table(scalars, targets)

    def _scale(self, index: int) -> int:
        scales, zero_point = _scales(self._quantization[index]), self._quantization[index][1]
        return self._table(
            [(schema.QUANT_DIMENSION, "i", self._graph.tensors[index].quantized_dimension)],
            {
                schema.QUANT_SCALE: lambda: self._vector(struct.pack(f"<{len(scales)}f", *scales), 4),
                schema.QUANT_ZERO_POINT: lambda: self._vector(struct.pack("<q", zero_point), 8),
            },
        )

    def _operator(self, op: Operator) -> int:
        scalars: list[OptionValue] = [(schema.OP_CODE, "I", self._kinds.index(op.kind))]
        targets: dict[int, _Target] = {
            schema.OP_INPUTS: op.inputs,
            schema.OP_OUTPUTS: op.outputs,
        }
        options = op.options
        if isinstance(options, SignalOptions):
            values = {name: bool(value) if name in _BOOLEANS else value for name, value in options.values}
            targets[schema.OP_CUSTOM_OPTIONS] = lambda: self._vector(write_integers(values), 1)
        elif op.kind in schema.MODELLED_OPTIONS:
            stored = modelled_options(op.kind, options)
            scalars.append((schema.OP_OPTIONS_TYPE, "B", schema.MODELLED_OPTIONS[op.kind][0]))
            targets[schema.OP_OPTIONS] = lambda: self._table(stored, {})
        elif op.kind not in schema.NO_OPTIONS | _UNREAD_OPTIONS | {schema.DECODE}:
            raise UserError(f"The options of {op.kind} cannot be written.", "Use another operator.")
        return self._table(scalars, targets)

    def _buffer(self, index: int) -> int:
        """The buffer of a constant; the first of all, of index -1, is empty."""
        if index < 0:
            return self._table([], {})
        content = self._constants[index]
        return self._table(
            [], {schema.BUFFER_DATA: lambda: self._vector(content, 1, alignment=_DATA_ALIGNMENT)}
        )

    def _table(self, scalars: Sequence[OptionValue], targets: Mapping[int, _Target]) -> int:
        widths = {field: struct.calcsize(f"<{letter}") for field, letter, value in scalars if value}
        layout = table_layout((*widths.items(), *((field, 4) for field in targets)))
        vtable = self._vtables.get(layout.vtable)
        if vtable is None:
            vtable = self._vtables[layout.vtable] = self._aligned(2)
            self._out += struct.pack(f"<{len(layout.vtable)}H", *layout.vtable)
        at = self._aligned(4)
        self._out += struct.pack("<i", at - vtable) + bytes(layout.size_bytes - 4)
        places = dict(layout.offsets)
        for field, letter, value in scalars:
            if value:
                struct.pack_into(f"<{letter}", self._out, at + places[field], value)
        for field, target in targets.items():
            place = at + places[field]
            if isinstance(target, tuple):
                self._lists.setdefault(target, []).append(place)
                continue
            position = target()
            struct.pack_into("<I", self._out, place, position - place)
        return at

    def _tables(self, items: Sequence[object], write: Callable[..., int]) -> int:
        at = self._aligned(4)
        self._out += struct.pack("<I", len(items)) + bytes(4 * len(items))
        for index, item in enumerate(items):
            place = at + 4 + 4 * index
            position = write(item)
            struct.pack_into("<I", self._out, place, position - place)
        return at

    def _vector(self, items: bytes, item_bytes: int, *, alignment: int = 4, terminated: bool = False) -> int:
        alignment = max(alignment, item_bytes)
        at = self._aligned(alignment, 4)
        self._out += struct.pack("<I", len(items) // item_bytes) + items + bytes(terminated)
        return at

    def _aligned(self, alignment: int, before: int = 0) -> int:
        """Fill up so that what comes `before` bytes later is aligned."""
        self._out += bytes(-(len(self._out) + before) % alignment)
        return len(self._out)
