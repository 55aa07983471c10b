"""The layout of a lean flatbuffer: canonical graph, tables, gaps; `lean` writes it and `model_bytes` counts it.

File order (an offset in a flatbuffer only points forward, so what is referred to comes later)::

    root offset, "TFL3"
    vtables, each once however many tables share it
    model, operator codes, subgraph, tensors, operators, options, buffers   (tables and their lists)
    integer lists (shapes, inputs, outputs), each once
    data of the constants, each 16-byte aligned
    quantization tables, scales, zero points

Two things fill holes that alignment would leave. Between two constants lie 4, 8 or 12 bytes: those of 12 take a
quantization table, else a list of two integers; those of 8 a list of one integer. Zero points are 8-byte
integers behind a 4-byte count: a scale list of 4 mod 8 bytes stands between two of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cost_models import tflite_schema as schema
from cost_models.errors import UserError
from cost_models.graph import Options

HEADER_BYTES = 8

OptionValue = tuple[int, str, int | float]
"""Field id, `struct` letter, value."""


@dataclass(frozen=True, slots=True)
class TableLayout:
    """How one kind of table lies in the file.

    Attributes:
        size_bytes: Its bytes, rounded up to the next table's alignment of 4.
        offsets: (field id, byte offset inside the table), in the order of the bytes.
        vtable: The 16-bit numbers of its vtable; tables with equal ones share one.
    """

    size_bytes: int
    offsets: tuple[tuple[int, int], ...]
    vtable: tuple[int, ...]


@lru_cache(maxsize=512)
def table_layout(fields: tuple[tuple[int, int], ...]) -> TableLayout:
    """The layout of a table that stores these fields: wide ones first, so no byte is lost between them.

    Args:
        fields: (field id, bytes: 4 or 1) of each stored field.
    """
    at = 4
    offsets: list[tuple[int, int]] = []
    for width, field in sorted((-width, field) for field, width in fields):
        offsets.append((field, at))
        at -= width
    places = dict(offsets)
    slots = tuple(places.get(field, 0) for field in range(max(places, default=-1) + 1))
    return TableLayout(-(-at // 4) * 4, tuple(offsets), (4 + 2 * len(slots), at, *slots))


EMPTY_TABLE = TableLayout(4, (), (4, 4))
"""Buffer 0, the buffer of tensors without data."""

MODEL_FIELDS = (
    (schema.MODEL_VERSION, 4),
    (schema.MODEL_OPERATOR_CODES, 4),
    (schema.MODEL_SUBGRAPHS, 4),
    (schema.MODEL_BUFFERS, 4),
)
SUBGRAPH_FIELDS = (
    (schema.SUBGRAPH_TENSORS, 4),
    (schema.SUBGRAPH_INPUTS, 4),
    (schema.SUBGRAPH_OUTPUTS, 4),
    (schema.SUBGRAPH_OPERATORS, 4),
)
BUFFER_FIELDS = ((schema.BUFFER_DATA, 4),)


def code_fields(kind: str) -> tuple[tuple[int, int], ...]:
    """Stored fields of an operator code; ADD is number 0, the default."""
    if kind == schema.DECODE:
        return ((schema.CODE_BUILTIN, 4), (schema.CODE_CUSTOM, 4))
    return ((schema.CODE_BUILTIN, 4),) if kind != schema.OPERATOR_NAMES[0] else ()


CUSTOM_CODE_BYTES = (4 + len(schema.DECODE) + 1 + 3) // 4 * 4
"""The name of the one custom operator that a lean model may have, behind its length, up to the zero that ends it."""


@lru_cache(maxsize=64)
def tensor_layout(constant: bool, quantized: bool, variable: bool) -> TableLayout:
    """The layout of a tensor: an activation has no buffer, a convolution's bias no quantization."""
    fields = [(schema.TENSOR_SHAPE, 4), (schema.TENSOR_TYPE, 1)]
    if constant:
        fields.append((schema.TENSOR_BUFFER, 4))
    if quantized:
        fields.append((schema.TENSOR_QUANTIZATION, 4))
    if variable:
        fields.append((schema.TENSOR_IS_VARIABLE, 1))
    return table_layout(tuple(fields))


@lru_cache(maxsize=2)
def quantization_layout(last_axis: bool) -> TableLayout:
    """The layout of a quantization: the axis is stored when it is not the first."""
    fields = ((schema.QUANT_SCALE, 4), (schema.QUANT_ZERO_POINT, 4))
    return table_layout((*fields, (schema.QUANT_DIMENSION, 4)) if last_axis else fields)


@lru_cache(maxsize=4)
def operator_layout(first_code: bool, options: bool) -> TableLayout:
    """The layout of an operator: code 0 is the default, options may be absent."""
    fields = [(schema.OP_INPUTS, 4), (schema.OP_OUTPUTS, 4)]
    if not first_code:
        fields.append((schema.OP_CODE, 4))
    if options:
        fields += [(schema.OP_OPTIONS_TYPE, 1), (schema.OP_OPTIONS, 4)]
    return table_layout(tuple(fields))


@lru_cache(maxsize=4096)
def modelled_options(kind: str, options: Options) -> tuple[OptionValue, ...]:
    """The options of a kind that `OpGraph` holds, less those at the default that a reader takes anyway."""
    stored: list[OptionValue] = []
    for name, (field, letter, default) in schema.MODELLED_OPTIONS[kind][1].items():
        value = getattr(options, name, default)
        if name == "padding":
            value = schema.PADDINGS.index(value)
        elif name == "activation":
            value = schema.ACTIVATIONS.index(value)
        if value != default:
            stored.append((field, letter, value))
    return tuple(stored)


@lru_cache(maxsize=4096)
def modelled_layout(kind: str, options: Options) -> TableLayout | None:
    """The layout of such options; None when all are at their defaults and nothing is stored."""
    values = modelled_options(kind, options)
    return table_layout(tuple((field, _WIDTHS[letter]) for field, letter, _ in values)) if values else None


@lru_cache(maxsize=64)
def other_layout(kind: str) -> TableLayout | None:
    """The layout of options that no cost depends on: all scalar fields, whatever their values.

    Raises:
        UserError: An operator whose options are not known.
    """
    if kind in schema.OTHER_OPTIONS:
        fields = schema.OTHER_OPTIONS[kind][1].values()
        return table_layout(tuple((field, _WIDTHS[letter]) for field, letter, _ in fields))
    if kind in schema.LIST_OPTIONS:
        return table_layout(((schema.LIST_OPTIONS[kind][1], 4),))
    if kind in schema.NO_OPTIONS or kind == schema.DECODE:
        return None
    raise UserError(
        f"The model has an operator {kind}, which cannot be made lean.",
        "Export it without leaning, or use operators that TFLM runs on int8.",
    )


@dataclass(frozen=True, slots=True)
class Holes:
    """The contents of the holes between constants.

    Attributes:
        tables: How many quantization tables of 12 bytes.
        pairs: How many lists of two integers.
        singles: How many lists of one integer.
    """

    tables: int
    pairs: int
    singles: int


def fill_holes(twelves: int, eights: int, tables: int, pairs: int, singles: int) -> Holes:
    """How the holes of 12 and 8 bytes are filled with what there is."""
    placed_tables = min(twelves, tables)
    placed_pairs = min(twelves - placed_tables, pairs)
    left = twelves - placed_tables - placed_pairs
    return Holes(placed_tables, placed_pairs, min(eights + left, singles))


_WIDTHS = {"b": 1, "B": 1, "i": 4, "f": 4}
