"""Reading a .tflite model, without TensorFlow, into the `OpGraph` that the cost models count."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cost_models import tflite_schema as schema
from cost_models.decode_operator import with_coding
from cost_models.errors import UserError
from cost_models.flatbuffer import DamagedModelError, Reader, Table, UnfitModelError, broken
from cost_models.flexbuffer import read_numbers
from cost_models.graph import (
    ITEM_BYTES,
    STRUCTURAL_INPUTS,
    KernelOptions,
    NoOptions,
    Operator,
    OpGraph,
    Options,
    Tensor,
)
from cost_models.graph_checks import check_calls, check_graph
from cost_models.prepare_case import Case
from cost_models.prepare_checks import check_prepare
from cost_models.rescaling import with_rescaling
from cost_models.signal_checks import check_signal
from cost_models.signal_operators import PARAMETERS, read_signal_options, signal_kind
from cost_models.tflite_options import named_scalars, read_options
from cost_models.typical_values import with_typical_values

_INTEGERS = {"int16": "h", "int32": "i", "int64": "q"}
_MAX_RANK = 8
_MAX_ELEMENTS = 1 << 31
_MOST_SUBGRAPHS = 64
_NO_BUFFER = (0, 0)
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteModel:
    """A model as read: its graph, and where in the bytes the rest lies that `lean` copies.

    Attributes:
        graph: The structure.
        data: Per tensor, offset and length of its constant data; length 0 for an activation.
        scales: Per tensor, offset and length in bytes of its float32 scales.
        zero_points: Per tensor, its zero points.
        option_types: Per operator, the number of its options in the schema's union.
        option_tables: Per operator, its options; None when the file stores none.
        intermediates: Whether some operator keeps tensors beside its inputs and outputs.
    """

    graph: OpGraph
    data: tuple[tuple[int, int], ...]
    scales: tuple[tuple[int, int], ...]
    zero_points: tuple[tuple[int, ...], ...]
    option_types: tuple[int, ...]
    option_tables: tuple[Table | None, ...]
    intermediates: bool


def read_graph(data: bytes) -> OpGraph:
    """The graph of a model that TFLM runs, tensors numbered as the file numbers them.

    Args:
        data: The content of a .tflite file, from any source.

    Raises:
        UserError: Not a .tflite model, damaged, or with something that TFLM does not run: an operator that it does
            not have, or has not for these element types.
    """
    return read_model(data).graph


def read_model(data: bytes, *, ethos_u: bool = False) -> TfliteModel:
    """As `read_graph`, with the places of weights, quantization and options.

    Args:
        data: The content of a .tflite file, from any source.
        ethos_u: Take Vela's custom operator too, as one of the kind ETHOS_U.

    Raises:
        UserError: As `read_graph`.
    """
    if len(data) < 8 or data[4:8] != schema.FILE_IDENTIFIER:
        raise UserError(
            "This is not a .tflite model: the identifier TFL3 is missing.",
            "Give a file made by tf.lite.TFLiteConverter.",
        )
    model = Reader(data).root()
    version = model.integer(schema.MODEL_VERSION, "I")
    if version != schema.SCHEMA_VERSION:
        raise UserError(
            f"The .tflite model has schema version {version}, TFLM runs version {schema.SCHEMA_VERSION}.",
            "Convert the model again with a current TensorFlow.",
        )
    _check_unread(model)
    kinds = tuple(_kind(code, ethos_u, data) for code in model.tables(schema.MODEL_OPERATOR_CODES))
    subgraphs = model.tables(schema.MODEL_SUBGRAPHS)
    if not subgraphs:
        raise broken("it has no subgraph")
    if len(subgraphs) > _MOST_SUBGRAPHS:
        raise broken(f"it has {len(subgraphs)} subgraphs")
    buffers = tuple(_buffer(buffer, len(data)) for buffer in model.tables(schema.MODEL_BUFFERS))
    if not subgraphs[0].tables(schema.SUBGRAPH_OPERATORS):
        raise broken("it has no operators")
    resources: dict[tuple[str | None, str], int] = {}
    first, *others = (
        _read_subgraph(data, number, subgraph, kinds, buffers, resources)
        for number, subgraph in enumerate(subgraphs)
    )
    graph = replace(first.graph, others=tuple(other.graph for other in others))
    check_calls(graph)
    return replace(first, graph=graph)


def _read_subgraph(
    data: bytes,
    number: int,
    subgraph: Table,
    kinds: tuple[str, ...],
    buffers: tuple[tuple[int, int], ...],
    resources: dict[tuple[str | None, str], int],
) -> TfliteModel:
    tables = subgraph.tables(schema.SUBGRAPH_TENSORS)
    operators = subgraph.tables(schema.SUBGRAPH_OPERATORS)
    tensors = [_tensor(index, table, buffers) for index, table in enumerate(tables)]
    ops = tuple(_operator(index, table, kinds, data, resources) for index, table in enumerate(operators))
    places = tuple(buffers[table.integer(schema.TENSOR_BUFFER, "I")] for table in tables)
    _add_values(data, tensors, ops, places)
    quantizations = tuple(table.table(schema.TENSOR_QUANTIZATION) for table in tables)
    graph = OpGraph(
        tensors=tuple(tensors),
        operators=ops,
        inputs=subgraph.numbers(schema.SUBGRAPH_INPUTS, "i"),
        outputs=subgraph.numbers(schema.SUBGRAPH_OUTPUTS, "i"),
    )
    if number == 0 and not (graph.inputs and graph.outputs):
        raise broken("it has no inputs or no outputs")
    with _dynamic_shapes(tables):
        check_graph(graph)
    scales = tuple(q.span(schema.QUANT_SCALE, 4) if q else _NO_BUFFER for q in quantizations)
    zero_points = tuple(q.numbers(schema.QUANT_ZERO_POINT, "q") if q else () for q in quantizations)

    def quantization(index: int) -> tuple[float, int] | None:
        """Scale and zero point of a tensor that has one of each."""
        offset, length = scales[index]
        if length != 4 or len(zero_points[index]) != 1:
            return None
        return float(struct.unpack_from("<f", data, offset)[0]), zero_points[index][0]

    with _dynamic_shapes(tables):
        _check_scales(data, graph, scales, zero_points)
        _check_prepare(graph, operators, quantization)

    slopes = {
        index: float(named_scalars(op.kind, table.table(schema.OP_OPTIONS))["alpha"])
        for index, (op, table) in enumerate(zip(ops, operators, strict=True))
        if op.kind == "LEAKY_RELU"
    }

    def integers(index: int) -> tuple[int, ...]:
        offset, length = places[index]
        return struct.unpack_from(f"<{length}b", data, offset)

    def content(index: int) -> bytes:
        offset, length = places[index]
        return data[offset : offset + length]

    graph = replace(
        graph,
        tensors=with_typical_values(
            tensors, ops, graph.inputs, slopes=slopes, quantization=quantization, integers=integers
        ),
        operators=tuple(
            with_coding(at, with_rescaling(op, graph.tensors, quantization), graph.tensors, content)
            for at, op in enumerate(ops)
        ),
    )
    return TfliteModel(
        graph=graph,
        data=places,
        scales=scales,
        zero_points=zero_points,
        option_types=tuple(op.integer(schema.OP_OPTIONS_TYPE, "B") for op in operators),
        option_tables=tuple(op.table(schema.OP_OPTIONS) for op in operators),
        intermediates=any(op.count(schema.OP_INTERMEDIATES, 4) for op in operators),
    )


# Fields that no cost depends on, table by table: field ids of vectors with the size of their items, of tables, and
# of vectors of tables. A file that is damaged there is damaged, and TFLM's tools fail to read it.
_Unread = tuple[dict[int, int], dict[int, "_Unread"], dict[int, "_Unread"]]
_NAMED: _Unread = ({0: 1}, {}, {})
_QUANTIZATION: _Unread = ({0: 4, 1: 4, 2: 4, 3: 8}, {}, {})
_TENSOR: _Unread = ({0: 4, 3: 1, 7: 4}, {4: _QUANTIZATION}, {9: ({0: 4}, {}, {})})
_OPERATOR: _Unread = ({1: 4, 2: 4, 5: 1, 7: 1, 8: 4}, {4: ({}, {}, {})}, {})
_SUBGRAPH: _Unread = ({1: 4, 2: 4, 4: 1}, {}, {0: _TENSOR, 3: _OPERATOR})
_SIGNATURE: _Unread = ({2: 1}, {}, {0: _NAMED, 1: _NAMED})
_MODEL: _Unread = ({3: 1, 5: 4}, {}, {1: ({1: 1}, {}, {}), 2: _SUBGRAPH, 6: _NAMED, 7: _SIGNATURE})


def _check_unread(table: Table, fields: _Unread = _MODEL) -> None:
    """Refuses a file that points outside of itself where nothing is read for a cost."""
    vectors, tables, lists = fields
    for field, item_bytes in vectors.items():
        table.count(field, item_bytes)
    for field, inner in tables.items():
        below = table.table(field)
        if below is not None:
            _check_unread(below, inner)
    for field, inner in lists.items():
        for below in table.tables(field):
            _check_unread(below, inner)


@contextmanager
def _dynamic_shapes(tables: tuple[Table, ...]) -> Iterator[None]:
    """Says of a model whose shapes do not fit together that they are dynamic, where the file says so.

    A dynamic size is stored as 1, and -1 in a field that TFLM ignores: mostly the batch, which then fits.

    Raises:
        UserError: In the place of the one that says that the file is damaged.
    """
    try:
        yield
    except (DamagedModelError, UnfitModelError) as error:
        if all(-1 not in table.numbers(schema.TENSOR_SHAPE_SIGNATURE, "i") for table in tables):
            raise
        raise UserError(
            "The model has dynamic shapes, such as its batch, and those stored in their place do not fit together:"
            " TFLM does not run it.",
            "Convert it with fixed shapes and a batch of 1.",
        ) from error


def _check_scales(
    data: bytes,
    graph: OpGraph,
    scales: tuple[tuple[int, int], ...],
    zero_points: tuple[tuple[int, ...], ...],
) -> None:
    for index, tensor in enumerate(graph.tensors):
        offset, length = scales[index]
        real = struct.unpack_from(f"<{length // 4}f", data, offset)
        if tensor.scales and not all(0 < scale < math.inf for scale in real):
            raise broken(f"tensor {index} has a scale of {min(real):g}")
        if tensor.dtype == "int8" and any(not -128 <= point <= 127 for point in zero_points[index]):
            raise broken(f"tensor {index} has a zero point that is not int8")


def _check_prepare(
    graph: OpGraph, tables: tuple[Table, ...], quantization: Callable[[int], tuple[float, int] | None]
) -> None:
    for index, (op, table) in enumerate(zip(graph.operators, tables, strict=True)):
        scalars: dict[str, int | float] = {}
        if op.kind in schema.OTHER_OPTIONS:
            number, _ = schema.OTHER_OPTIONS[op.kind]
            if table.has(schema.OP_OPTIONS) and table.integer(schema.OP_OPTIONS_TYPE, "B") != number:
                raise broken(f"operator {index} ({op.kind}) has options of another operator")
            scalars = named_scalars(op.kind, table.table(schema.OP_OPTIONS))
        case = Case(op=op, tensors=graph.tensors, scalars=scalars, quantization=quantization)
        check_prepare(index, case)
        check_signal(index, case)


# What compilers for accelerators put in the place of the operators that they take.
_COMPILED = {
    schema.ETHOS_U_CODE: "Arm's Ethos-U NPU",
    b"edgetpu-custom-op": "Google's Edge TPU",
    b"NeutronGraph": "NXP's Neutron NPU",
}


def _kind(code: Table, ethos_u: bool, data: bytes) -> str:
    """An operator's name; old files keep its number in a byte, new ones in a wider field beside it."""
    number = max(code.integer(schema.CODE_BUILTIN), code.integer(schema.CODE_DEPRECATED, "b"))
    if number == schema.CUSTOM:
        start, size = code.span(schema.CODE_CUSTOM)
        name = data[start : start + size]
        # TFLM reads on to the zero that ends a text.
        if size and data[start + size : start + size + 1] != b"\0":
            raise broken("the name of a custom operator does not end")
        if ethos_u and name == schema.ETHOS_U_CODE:
            return schema.ETHOS_U
        if kind := signal_kind(name):
            return kind
        for kind in (schema.DETECTION, schema.CIRCULAR_BUFFER, schema.DECODE):
            if name == kind.encode("ascii"):
                return kind
        if name in _COMPILED:
            raise UserError(
                f"The model was compiled for {_COMPILED[name]} (operator {name.decode('ascii')}): what it takes on a"
                " core is not known.",
                "Cost the .tflite file that it was compiled from.",
            )
        plain = len(name) < _LONGEST_NAME and re.fullmatch(rb"[\w-]+", name)
        shown = name.decode("ascii") if plain else "of no plain name"
        raise UserError(
            f"The model has a custom operator ({shown}), which TFLM does not have: its cost is not known.",
            "Leave to your program what it does, or use the operators of docs/operators.md.",
        )
    if not 0 <= number < len(schema.OPERATOR_NAMES):
        raise UserError(
            f"The model has an operator of number {number}, which the .tflite schema does not know.",
            "Convert it with the TensorFlow release that this project names.",
        )
    return schema.OPERATOR_NAMES[number]


def _buffer(buffer: Table, file_bytes: int) -> tuple[int, int]:
    """Where the data of a buffer lies: inside the flatbuffer, or behind it in files above 2 GB."""
    if buffer.integer(schema.BUFFER_OFFSET, "Q") > 1:
        raise UserError(
            "The model keeps its weights outside the flatbuffer, where TFLM cannot read them.",
            "Convert it without the option for large models (use_buffer_offset).",
        )
    return buffer.span(schema.BUFFER_DATA)


def _tensor(index: int, table: Table, buffers: tuple[tuple[int, int], ...]) -> Tensor:
    shape = _shape(index, table)
    if math.prod(shape) > _MAX_ELEMENTS:
        raise broken(f"tensor {index} has the shape {list(shape)}")
    type_number = table.integer(schema.TENSOR_TYPE, "b")
    if not 0 <= type_number < len(schema.TENSOR_TYPES):
        raise broken(f"tensor {index} has element type {type_number}")
    dtype = schema.TENSOR_TYPES[type_number]
    if dtype not in ITEM_BYTES:
        raise UserError(
            f"Tensor {index} of the model holds {dtype}, which TFLM's kernels do not take.",
            schema.QUANTIZE_HINT,
        )
    if table.has(schema.TENSOR_SPARSITY):
        raise UserError(
            f"Tensor {index} of the model is stored sparse, which TFLM does not read.",
            "Convert it without sparsity optimisation: pruned weights stay dense.",
        )
    number = table.integer(schema.TENSOR_BUFFER, "I")
    if number >= len(buffers):
        raise broken(f"tensor {index} refers to buffer {number} of {len(buffers)}")
    if table.integer(schema.TENSOR_EXTERNAL_BUFFER, "I"):
        raise UserError(
            "The model keeps its weights outside the flatbuffer, where TFLM cannot read them.",
            "Convert it without the option for large models (use_buffer_offset).",
        )
    data_bytes = buffers[number][1]
    if data_bytes and data_bytes != math.prod(shape) * ITEM_BYTES[dtype]:
        raise broken(f"tensor {index} has {data_bytes} bytes of data for the shape {list(shape)}")
    quantization = table.table(schema.TENSOR_QUANTIZATION)
    scales = zero_points = dimension = 0
    if quantization is not None:
        scales = quantization.count(schema.QUANT_SCALE, 4)
        zero_points = quantization.count(schema.QUANT_ZERO_POINT, 8)
        dimension = quantization.integer(schema.QUANT_DIMENSION)
        if quantization.integer(schema.QUANT_DETAILS_TYPE, "B"):
            raise UserError(
                f"Tensor {index} of the model has a quantization that TFLM does not read.",
                schema.QUANTIZE_HINT,
            )
        if not scales or not zero_points:
            # TFLM takes a tensor with only one of them for one without quantization.
            scales = zero_points = 0
        fits = 0 <= dimension < len(shape) and shape[dimension] == scales
        if scales > 1 and not fits:
            if dtype == "int8":
                raise broken(f"tensor {index} has {scales} scales for the shape {list(shape)}")
            dimension = 0  # Old converters copy the axis of the weights to the bias, where nobody reads it.
        if scales and zero_points not in (1, scales):
            raise broken(f"tensor {index} has {zero_points} zero points for {scales} scales")
    return Tensor(
        shape=shape,
        dtype=dtype,
        data_bytes=data_bytes,
        scales=scales,
        zero_points=zero_points,
        quantized_dimension=dimension if scales > 1 else 0,
        is_variable=bool(table.integer(schema.TENSOR_IS_VARIABLE, "B")),
    )


def _shape(index: int, table: Table) -> tuple[int, ...]:
    """The dimensions; a dynamic batch is stored as 1 (its -1 stands in a field that TFLM ignores)."""
    rank = table.count(schema.TENSOR_SHAPE, 4)
    if rank > _MAX_RANK:
        raise broken(f"tensor {index} has {rank} dimensions")
    shape = table.numbers(schema.TENSOR_SHAPE, "i")
    if any(size < 0 for size in shape):
        raise UserError(
            f"Tensor {index} of the model has the dynamic shape {list(shape)}.",
            "Convert it with fixed shapes and a batch of 1: TFLM plans its memory once.",
        )
    return shape


def _operator(
    index: int,
    table: Table,
    kinds: tuple[str, ...],
    data: bytes,
    resources: dict[tuple[str | None, str], int],
) -> Operator:
    code = table.integer(schema.OP_CODE, "I")
    if code >= len(kinds):
        raise broken(f"operator {index} has code {code} of {len(kinds)}")
    kind = kinds[code]
    own = (schema.ETHOS_U, schema.DETECTION, schema.CIRCULAR_BUFFER, schema.DECODE)
    custom = kind in own or kind in PARAMETERS
    if (
        (not custom and table.count(schema.OP_CUSTOM_OPTIONS, 1))
        or table.has(schema.OP_LARGE_CUSTOM_OFFSET)
        or table.has(schema.OP_OPTIONS2)
    ):
        raise UserError(
            f"Operator {index} of the model ({kind}) has options that TFLM does not read.",
            "Convert it for the built-in int8 operators (tf.lite.OpsSet.TFLITE_BUILTINS_INT8).",
        )
    return Operator(
        kind=kind,
        inputs=table.numbers(schema.OP_INPUTS, "i"),
        outputs=table.numbers(schema.OP_OUTPUTS, "i"),
        options=_options(index, kind, table, data, resources),
    )


def _options(
    index: int, kind: str, table: Table, data: bytes, resources: dict[tuple[str | None, str], int]
) -> Options:
    if kind in PARAMETERS:
        return read_signal_options(index, kind, table, data)
    if kind == schema.VAR_HANDLE:
        return _resource(index, table, data, resources)
    if kind == schema.DETECTION:
        start, size = table.span(schema.OP_CUSTOM_OPTIONS)
        numbers = read_numbers(data[start : start + size])
        values = tuple((name, int(numbers.get(name, 0))) for name in ("max_detections", "num_classes"))
        if any(not 0 < value < 1 << 16 for _, value in values):
            raise broken(f"operator {index} ({kind}) has {values[0][1]} detections of {values[1][1]} classes")
        return KernelOptions(values=values)
    return (
        NoOptions() if kind in (schema.CIRCULAR_BUFFER, schema.DECODE) else read_options(index, kind, table)
    )


def _resource(
    index: int, table: Table, data: bytes, resources: dict[tuple[str | None, str], int]
) -> KernelOptions:
    """Which resource variable a VAR_HANDLE names: TFLM numbers them as it meets them, by container and name."""
    options = table.table(schema.OP_OPTIONS)
    if options is None or table.integer(schema.OP_OPTIONS_TYPE, "B") != schema.VAR_HANDLE_OPTIONS:
        raise broken(f"operator {index} (VAR_HANDLE) has no options")
    names = []
    for field in (schema.VAR_HANDLE_CONTAINER, schema.VAR_HANDLE_NAME):
        start, size = options.span(field)
        names.append(data[start : start + size].decode("latin-1") if options.has(field) else None)
    container, name = names
    if name is None:
        raise broken(f"operator {index} (VAR_HANDLE) names no variable")
    # Without a container it is the first variable of that name.
    for known, number in resources.items():
        if known[1] == name and container in (None, known[0]):
            return KernelOptions(values=(("resource", number),))
    resources[container, name] = len(resources)
    return KernelOptions(values=(("resource", resources[container, name]),))


def _add_values(
    data: bytes, tensors: list[Tensor], ops: tuple[Operator, ...], places: tuple[tuple[int, int], ...]
) -> None:
    """Give the constants that a kernel reads in Prepare their integers."""
    for op in ops:
        for position in STRUCTURAL_INPUTS.get(op.kind, ()):
            index = op.inputs[position] if position < len(op.inputs) else -1
            if not 0 <= index < len(tensors) or tensors[index].values is not None:
                continue
            tensor = tensors[index]
            letter = _INTEGERS.get(tensor.dtype)
            if tensor.is_constant and letter is not None:
                values = struct.unpack_from(f"<{tensor.elements}{letter}", data, places[index][0])
                tensors[index] = replace(tensor, values=values)
