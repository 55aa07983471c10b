"""read_graph sees what the schema's own reader sees, and refuses the rest in one sentence."""

from __future__ import annotations

import math
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.canonical import canonical_graph
from cost_models.errors import UserError
from cost_models.graph import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    Operator,
    OpGraph,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from cost_models.graph_checks import check_graph
from cost_models.lean import lean
from cost_models.tflite_graph import read_graph
from cost_models.tflite_schema import ACTIVATIONS, OPERATOR_NAMES, PADDINGS, QUANTIZE_HINT, TENSOR_TYPES
from tests.cost_models.tflite_models import DATA, OPERATORS, SAMPLES, edited, name, unpack

PLAIN = (DATA / "calibration" / "plain-20067.tflite").read_bytes()


@pytest.mark.parametrize("path", SAMPLES + OPERATORS, ids=name)
def test_the_graph_is_what_the_schemas_own_reader_sees(path: Path) -> None:
    data = path.read_bytes()
    graph, model = read_graph(data), unpack(data)
    subgraph = model.subgraphs[0]
    assert graph.inputs == tuple(subgraph.inputs)
    assert graph.outputs == tuple(subgraph.outputs)
    assert len(graph.tensors) == len(subgraph.tensors)
    assert len(graph.operators) == len(subgraph.operators)
    for tensor, seen in zip(graph.tensors, subgraph.tensors):
        stored = model.buffers[seen.buffer].data
        assert tensor.shape == tuple(seen.shape)
        assert TENSOR_TYPES.index(tensor.dtype) == seen.type
        assert tensor.data_bytes == (0 if stored is None else len(stored))
        scale = None if seen.quantization is None else seen.quantization.scale
        assert tensor.scales == (0 if scale is None else len(scale))
        if tensor.scales:
            assert tensor.zero_points == len(seen.quantization.zeroPoint)
    for op, seen in zip(graph.operators, subgraph.operators):
        code = model.operatorCodes[seen.opcodeIndex].builtinCode
        assert OPERATOR_NAMES[code] == op.kind
        assert op.inputs == tuple(seen.inputs)
        assert op.outputs == tuple(seen.outputs)
        options = seen.builtinOptions
        match op.options:
            case Conv2DOptions() | DepthwiseConv2DOptions() | Pool2DOptions() as ours:
                assert (ours.stride_h, ours.stride_w) == (options.strideH, options.strideW)
                assert PADDINGS.index(ours.padding) == options.padding
                assert ACTIVATIONS.index(ours.activation) == options.fusedActivationFunction
            case FullyConnectedOptions() as ours:
                assert ACTIVATIONS.index(ours.activation) == options.fusedActivationFunction
                assert ours.keep_num_dims == options.keepNumDims
            case SoftmaxOptions() as ours:
                assert ours.beta == options.beta


def test_operator_names_follow_the_schemas_numbers() -> None:
    known = {value: key for key, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    shared = min(len(OPERATOR_NAMES), max(known) + 1)
    assert shared >= 206
    assert [OPERATOR_NAMES[number] for number in range(shared)] == [known[number] for number in range(shared)]


def test_constants_that_shape_the_work_keep_their_values() -> None:
    graph = read_graph((DATA / "operators" / "pad.tflite").read_bytes())
    paddings = graph.tensors[graph.operators[0].inputs[1]]
    assert paddings.values == (0, 0, 1, 2, 1, 1, 0, 0)


def test_weights_keep_no_values() -> None:
    assert all(tensor.values is None for tensor in read_graph(PLAIN).tensors if tensor.dtype == "int8")


def test_a_bias_with_the_axis_of_its_weights_is_read() -> None:
    data = edited(PLAIN, lambda m: setattr(_bias(m).quantization, "quantizedDimension", 3))
    assert canonical_graph(read_graph(data)) == canonical_graph(read_graph(PLAIN))


def test_a_dynamic_batch_in_the_shape_signature_is_a_batch_of_one() -> None:
    def edit(model: Any) -> None:
        first = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
        first.shapeSignature = [-1, *first.shape[1:]]

    assert read_graph(edited(PLAIN, edit)) == read_graph(PLAIN)


def _bias(model: Any) -> Any:
    graph = model.subgraphs[0]
    op = next(op for op in graph.operators if op.builtinOptionsType == 1)
    return graph.tensors[op.inputs[2]]


def _first(model: Any) -> Any:
    return model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]


def _convolution(model: Any) -> Any:
    return next(op for op in model.subgraphs[0].operators if op.builtinOptionsType == 1)


def _huge_pool(model: Any) -> None:
    pools = [op for op in model.subgraphs[0].operators if hasattr(op.builtinOptions, "filterWidth")]
    pools[0].builtinOptions.filterWidth = 738197507


def _all_float(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        if tensor.buffer == 0 or model.buffers[tensor.buffer].data is None:
            tensor.type = 0


def _float_weights(model: Any) -> None:
    graph = model.subgraphs[0]
    _all_float(model)
    for op in graph.operators:
        if op.builtinOptionsType in (1, 8):
            tensor = graph.tensors[op.inputs[1]]
            tensor.type = 0
            model.buffers[tensor.buffer].data = [0] * 4 * math.prod(tensor.shape)


def _output(model: Any, dtype: int) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.outputs[0]].type = dtype


def _sparse(model: Any) -> None:
    _first(model).sparsity = schema.SparsityParametersT()


def _outside(model: Any) -> None:
    model.buffers[1].offset, model.buffers[1].size = 4096, 16


def _shuffled(model: Any) -> None:
    op = next(op for op in model.subgraphs[0].operators if op.builtinOptionsType == 8)
    op.builtinOptions.weightsFormat = 1


def _code(model: Any, number: int, custom: str | None = None) -> None:
    model.operatorCodes[0].builtinCode = number
    model.operatorCodes[0].deprecatedBuiltinCode = min(number, 127)
    model.operatorCodes[0].customCode = custom


def _swap_options(model: Any) -> None:
    op = _convolution(model)
    op.builtinOptionsType, op.builtinOptions = 8, schema.FullyConnectedOptionsT()


def _same_op_twice(model: Any) -> None:
    model.subgraphs[0].operators.append(model.subgraphs[0].operators[0])


WRONG: dict[str, tuple[Callable[[Any], object], str, str]] = {
    "float": (
        _float_weights,
        "TFLM has no kernel of CONV_2D that takes float32, float32, int32 and makes float32.",
        QUANTIZE_HINT,
    ),
    "dynamic range": (
        _all_float,
        'TFLM has no kernel of CONV_2D that takes float32, int8, int32 and makes float32: "Hybrid models are not'
        ' supported on TFLite Micro" (its weights are int8, dynamic-range quantization).',
        QUANTIZE_HINT,
    ),
    "uint8 output": (
        lambda m: _output(m, 3),
        "TFLM has no kernel of SOFTMAX that takes int8 and makes uint8.",
        QUANTIZE_HINT,
    ),
    "int4": (
        lambda m: setattr(_first(m), "type", 17),
        "Tensor 0 of the model holds int4, which TFLM's kernels do not take.",
        QUANTIZE_HINT,
    ),
    "unquantized": (
        lambda m: setattr(_first(m), "quantization", None),
        "The model is not quantized: CONV_2D has an int8 tensor without scales.",
        QUANTIZE_HINT,
    ),
    "float bias": (
        lambda m: setattr(_bias(m), "type", 0),
        "TFLM has no kernel of CONV_2D that takes int8, int8, float32 and makes int8",
        QUANTIZE_HINT,
    ),
    "custom": (
        lambda m: _code(m, 32, "Spectrogram"),
        "The model has a custom operator (Spectrogram), which TFLM does not have: its cost is not known.",
        "Leave to your program what it does, or use the operators of docs/operators.md.",
    ),
    "compiled": (
        lambda m: _code(m, 32, "edgetpu-custom-op"),
        "The model was compiled for Google's Edge TPU (operator edgetpu-custom-op): what it takes on",
        "Cost the .tflite file that it was compiled from.",
    ),
    "unknown": (
        lambda m: _code(m, 4711),
        "The model has an operator of number 4711, which the .tflite schema does not know.",
        "Convert it with the TensorFlow release that this project names.",
    ),
    "dynamic shape": (
        lambda m: setattr(_first(m), "shape", [-1, *list(_first(m).shape)[1:]]),
        "Tensor 0 of the model has the dynamic shape [-1, ",
        "Convert it with fixed shapes and a batch of 1: TFLM plans its memory once.",
    ),
    "schema version": (
        lambda m: setattr(m, "version", 2),
        "The .tflite model has schema version 2, TFLM runs version 3.",
        "Convert the model again with a current TensorFlow.",
    ),
    "weights outside": (
        _outside,
        "The model keeps its weights outside the flatbuffer, where TFLM cannot read them.",
        "Convert it without the option for large models (use_buffer_offset).",
    ),
    "sparse": (
        _sparse,
        "Tensor 0 of the model is stored sparse, which TFLM does not read.",
        "Convert it without sparsity optimisation: pruned weights stay dense.",
    ),
    "shuffled weights": (
        _shuffled,
        "(FULLY_CONNECTED) has shuffled weights.",
        "Convert it for the built-in int8 operators (tf.lite.OpsSet.TFLITE_BUILTINS_INT8).",
    ),
    "custom options": (
        lambda m: setattr(_convolution(m), "customOptions", [1, 2]),
        "Operator 0 of the model (CONV_2D) has options that TFLM does not read.",
        "Convert it for the built-in int8 operators (tf.lite.OpsSet.TFLITE_BUILTINS_INT8).",
    ),
}

_AGAIN = "Convert or copy the model again."
DAMAGED: dict[str, tuple[Callable[[Any], object], str]] = {
    "a loop without its subgraphs": (
        lambda m: _code(m, 119),
        "operator 0 (WHILE) has options of another operator",
    ),
    "no operators": (lambda m: setattr(m.subgraphs[0], "operators", []), "it has no operators"),
    "no inputs": (lambda m: setattr(m.subgraphs[0], "inputs", []), "it has no inputs or no outputs"),
    "no outputs of an operator": (
        lambda m: setattr(_convolution(m), "outputs", []),
        "an operator CONV_2D has no inputs or no outputs",
    ),
    "tensor out of range": (
        lambda m: setattr(_convolution(m), "inputs", [0, 999, 1]),
        "an operator refers to a tensor outside the ",
    ),
    "code out of range": (
        lambda m: setattr(_convolution(m), "opcodeIndex", 99),
        "operator 0 has code 99 of ",
    ),
    "buffer out of range": (lambda m: setattr(_first(m), "buffer", 999), "tensor 0 refers to buffer 999 of "),
    "element type": (lambda m: setattr(_first(m), "type", 77), "tensor 0 has element type 77"),
    "rank": (lambda m: setattr(_first(m), "shape", [1] * 9), "tensor 0 has 9 dimensions"),
    "elements": (
        lambda m: setattr(_first(m), "shape", [1, 1 << 20, 1 << 20, 3]),
        "tensor 0 has the shape [1, 1048576, 1048576, 3]",
    ),
    "filter beyond reason": (
        _huge_pool,
        "(AVERAGE_POOL_2D) has a stride, filter or dilation of 738,197,507",
    ),
    "data of another length": (
        lambda m: setattr(m.buffers[_bias(m).buffer], "data", [0] * 4),
        " has 4 bytes of data for the shape ",
    ),
    "stride": (
        lambda m: setattr(_convolution(m).builtinOptions, "strideH", 0),
        "operator 0 (CONV_2D) has a stride, filter or dilation of 0",
    ),
    "stride beyond reason": (
        lambda m: setattr(_convolution(m).builtinOptions, "strideH", 738197507),
        "operator 0 (CONV_2D) has a stride, filter or dilation of 738,197,507",
    ),
    "padding": (
        lambda m: setattr(_convolution(m).builtinOptions, "padding", 5),
        "operator 0 (CONV_2D) has padding number 5",
    ),
    "options of another operator": (
        _swap_options,
        "operator 0 (CONV_2D) has options of another operator",
    ),
    "output shape": (
        lambda m: setattr(_convolution(m).builtinOptions, "strideH", 7),
        "operator 0 (CONV_2D) cannot make ",
    ),
    "number of inputs": (
        lambda m: setattr(_convolution(m), "inputs", list(_convolution(m).inputs)[:1]),
        "an operator CONV_2D has 1 inputs and 1 outputs",
    ),
    "missing input": (
        lambda m: setattr(_convolution(m), "inputs", [-1, *list(_convolution(m).inputs)[1:]]),
        "an operator CONV_2D lacks an input",
    ),
    "written twice": (_same_op_twice, "CONV_2D writes tensor "),
    "read before written": (
        lambda m: m.subgraphs[0].operators.reverse(),
        " before anything writes it",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_model_that_cannot_be_costed_is_refused_with_a_sentence_and_a_hint(case: str) -> None:
    edit, message, hint = WRONG[case]
    with pytest.raises(UserError) as caught:
        read_graph(edited(PLAIN, edit))
    assert message in caught.value.message
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("kind", "types", "beside", "hint"),
    [
        (
            "REDUCE_PROD",
            ("int32", "int32", "int32"),
            "SHAPE",
            "It counts elements, as of a batch of any size: convert",
        ),
        (
            "GATHER",
            ("int32", "int32", "int32"),
            "SHAPE",
            "It counts elements, as of a batch of any size: convert",
        ),
        ("REDUCE_PROD", ("int32", "int32", "int32"), "ABS", "Replace the operator."),
        ("EXP", ("int8", "int8"), "ABS", "Replace the operator: TFLM's takes float32."),
        ("GELU", ("int8", "int8"), "ABS", "Replace the operator."),
        ("GELU", ("float32", "float32"), "ABS", "Replace the operator."),
        ("DEQUANTIZE", ("float16", "float32"), "ABS", QUANTIZE_HINT),
        ("SPACE_TO_BATCH_ND", ("int16", "int32", "int32", "int16"), "ABS", QUANTIZE_HINT),
    ],
)
def test_the_hint_for_a_kernel_that_is_missing_is_one_that_mends_it(
    kind: str, types: tuple[str, ...], beside: str, hint: str
) -> None:
    *inputs, output = range(len(types))
    graph = OpGraph(
        tensors=(*(Tensor(shape=(1, 4), dtype=dtype) for dtype in types), Tensor(shape=(2,), dtype="int32")),
        operators=(
            Operator(kind=kind, inputs=tuple(inputs), outputs=(output,)),
            Operator(kind=beside, inputs=(output,), outputs=(len(types),)),
        ),
        inputs=tuple(inputs),
        outputs=(len(types),),
    )
    with pytest.raises(UserError) as caught:
        check_graph(graph)
    assert (caught.value.hint or "").startswith(hint)


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_model_is_refused_and_the_fault_is_named(case: str) -> None:
    edit, fault = DAMAGED[case]
    with pytest.raises(UserError) as caught:
        read_graph(edited(PLAIN, edit))
    assert caught.value.message.startswith("The .tflite model is truncated or damaged: ")
    assert fault in caught.value.message
    assert caught.value.hint == _AGAIN


@pytest.mark.parametrize(
    "data", [b"", b"TFL3", b"\x1c\0\0\0TFL", b"hello, world", bytes(64), random.Random(1).randbytes(999)]
)
def test_what_is_no_tflite_model_is_refused(data: bytes) -> None:
    with pytest.raises(UserError) as caught:
        read_graph(data)
    assert caught.value.message == "This is not a .tflite model: the identifier TFL3 is missing."
    assert caught.value.hint == "Give a file made by tf.lite.TFLiteConverter."


def test_every_truncation_is_refused_or_changes_nothing() -> None:
    whole = read_graph(PLAIN)
    for length in range(0, len(PLAIN), 7):
        try:
            assert read_graph(PLAIN[:length]) == whole
        except UserError:
            continue


@settings(max_examples=300, deadline=2000)
@given(data=st.data())
def test_mutated_bytes_raise_nothing_but_user_errors(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(SAMPLES + OPERATORS)).read_bytes())
    if data.draw(st.booleans()):
        content = bytearray(lean(bytes(content)))
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, len(content) - 4))
        value = data.draw(
            st.sampled_from((0, 1, 2, 4, 2**31 - 1, 2**31, 2**32 - 1)) | st.integers(0, len(content))
        )
        if data.draw(st.booleans()):
            content[at] = value % 256
        else:
            struct.pack_into("<I", content, at // 4 * 4, value)
    works: tuple[Callable[[], int], ...] = (
        lambda: read_graph(bytes(content)).macs,
        lambda: len(lean(bytes(content))),
    )
    for work in works:
        try:
            assert work() >= 0
        except UserError as error:
            refused = str(error)
        else:
            refused = "nothing."
        assert refused.endswith(".")


@settings(max_examples=100, deadline=2000)
@given(st.binary(max_size=400))
def test_random_bytes_behind_the_identifier_raise_nothing_but_user_errors(tail: bytes) -> None:
    with pytest.raises(UserError):
        read_graph(struct.pack("<I", 8) + b"TFL3" + tail)


def _vector_of(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def test_many_tables_that_share_one_huge_list_are_refused_in_bounded_time() -> None:
    # 0.4 MB in which 50,000 operators list the same 50,000 inputs: 2.5 billion numbers if all were read.
    count = 50_000
    builder = flatbuffers.Builder(1 << 20)
    inputs = builder.CreateNumpyVector(np.zeros(count, dtype=np.int32))
    schema.OperatorStart(builder)
    schema.OperatorAddInputs(builder, inputs)
    operators = _vector_of(builder, [schema.OperatorEnd(builder)] * count)
    schema.SubGraphStart(builder)
    schema.SubGraphAddOperators(builder, operators)
    subgraphs = _vector_of(builder, [schema.SubGraphEnd(builder)])
    schema.OperatorCodeStart(builder)
    schema.OperatorCodeAddBuiltinCode(builder, 3)
    codes = _vector_of(builder, [schema.OperatorCodeEnd(builder)])
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddOperatorCodes(builder, codes)
    schema.ModelAddSubgraphs(builder, subgraphs)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    start = time.process_time()
    with pytest.raises(UserError) as caught:
        read_graph(bytes(builder.Output()))
    assert "it refers to the same bytes too often" in caught.value.message
    assert time.process_time() - start < 3


def test_reading_imports_no_heavy_package() -> None:
    code = (
        "import sys; import cost_models.tflite_graph, cost_models.lean, cost_models.model_bytes; "
        "print([name for name in ('numpy', 'flatbuffers', 'tensorflow', 'ai_edge_litert') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_of_operators_is_what_the_cost_models_say() -> None:
    script = Path(__file__).parents[2] / "scripts" / "operators.py"
    environment = {**os.environ, "PYTHONPATH": str(script.parents[1])}
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
