"""A lean model computes what the converter's computes, bit for bit, and nothing is left to take away."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro.python.tflite_micro import runtime

from cost_models.canonical import canonical_graph
from cost_models.errors import UserError
from cost_models.lean import lean
from cost_models.tflite_graph import read_graph
from cost_models.tflite_schema import QUANTIZE_HINT
from tests.cost_models.tflite_models import (
    CALIBRATION,
    DATA,
    OPERATORS,
    SAMPLES,
    dense_chain,
    edited,
    name,
    unpack,
)

PLAIN = (DATA / "calibration" / "plain-20067.tflite").read_bytes()
RESHAPED = (DATA / "operators" / "dense_biased.tflite").read_bytes()
needs_calibration = pytest.mark.skipif(
    not CALIBRATION.is_dir(), reason="the full calibration set is not beside this checkout"
)


def inputs(data: bytes, count: int) -> list[np.ndarray]:
    graph = read_graph(data)
    generator = np.random.default_rng(7)
    shape = graph.tensors[graph.inputs[0]].shape
    return [generator.integers(-128, 128, shape).astype(np.int8) for _ in range(count)]


def in_tflm(data: bytes, samples: list[np.ndarray]) -> list[bytes]:
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=2_000_000)
    outputs = []
    for sample in samples:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).tobytes())
    return outputs


def in_litert(data: bytes, samples: list[np.ndarray]) -> list[bytes]:
    interpreter = Interpreter(
        model_content=data,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    entry, end = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    outputs = []
    for sample in samples:
        interpreter.set_tensor(entry, sample)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(end).tobytes())
    return outputs


@pytest.mark.parametrize("path", SAMPLES + OPERATORS, ids=name)
def test_tflm_computes_the_same_bytes_from_the_lean_model(path: Path) -> None:
    data = path.read_bytes()
    samples = inputs(data, 5)
    assert in_tflm(lean(data), samples) == in_tflm(data, samples)


@pytest.mark.parametrize("path", SAMPLES + OPERATORS, ids=name)
def test_litert_computes_the_same_bytes_from_the_lean_model_with_its_zero_points(path: Path) -> None:
    data = path.read_bytes()
    samples = inputs(data, 5)
    assert in_litert(lean(lean(data), litert=True), samples) == in_litert(data, samples)


@pytest.mark.parametrize("path", SAMPLES, ids=name)
def test_litert_with_its_default_delegate_runs_the_lean_model_with_its_zero_points(path: Path) -> None:
    interpreter = Interpreter(model_content=lean(path.read_bytes(), litert=True), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.invoke()


def test_litert_refuses_one_zero_point_for_many_scales() -> None:
    # The reason why the chip's form and LiteRT's differ; when this fails, one form is enough.
    with pytest.raises(ValueError, match="Must have same number"):
        Interpreter(model_content=lean(PLAIN))


@pytest.mark.parametrize("path", SAMPLES + OPERATORS, ids=name)
def test_lean_is_idempotent_and_both_forms_lead_to_each_other(path: Path) -> None:
    data = path.read_bytes()
    chip, desktop = lean(data), lean(data, litert=True)
    assert lean(chip) == chip
    assert lean(desktop) == chip
    assert lean(chip, litert=True) == desktop
    assert len(chip) <= len(desktop) < len(data)


@pytest.mark.parametrize("path", SAMPLES + OPERATORS, ids=name)
def test_the_lean_graph_is_the_canonical_graph(path: Path) -> None:
    data = path.read_bytes()
    canonical = canonical_graph(read_graph(data)).graph
    assert read_graph(lean(data)) == canonical
    assert canonical_graph(canonical).graph == canonical
    assert canonical.macs == read_graph(data).macs


@pytest.mark.parametrize("path", SAMPLES + OPERATORS, ids=name)
def test_the_schemas_own_reader_finds_everything_in_its_place(path: Path) -> None:
    data = path.read_bytes()
    before, after = unpack(data), unpack(lean(data))
    kinds = [
        [m.operatorCodes[op.opcodeIndex].builtinCode for op in m.subgraphs[0].operators]
        for m in (before, after)
    ]
    assert kinds[0] == kinds[1]
    numbers = {}
    for old_op, new_op in zip(before.subgraphs[0].operators, after.subgraphs[0].operators):
        for old, new in zip(
            (*old_op.inputs[: len(new_op.inputs)], *old_op.outputs), (*new_op.inputs, *new_op.outputs)
        ):
            numbers[old] = new
    for old, new in numbers.items():
        if old < 0:
            continue
        ours, theirs = after.subgraphs[0].tensors[new], before.subgraphs[0].tensors[old]
        assert list(ours.shape) == list(theirs.shape)
        assert ours.type == theirs.type
        contents = [m.buffers[t.buffer].data for m, t in ((after, ours), (before, theirs))]
        assert (contents[0] is None) == (contents[1] is None)
        assert contents[0] is None or contents[0].tobytes() == contents[1].tobytes()
        if ours.quantization is not None:
            assert ours.quantization.scale.tobytes() == theirs.quantization.scale.tobytes()
            assert ours.quantization.zeroPoint[0] == theirs.quantization.zeroPoint[0]
            if len(ours.quantization.scale) > 1:
                assert ours.quantization.quantizedDimension == theirs.quantization.quantizedDimension


@pytest.mark.parametrize("path", SAMPLES, ids=name)
def test_constants_are_aligned_to_16_bytes_and_scales_and_zero_points_to_their_size(path: Path) -> None:
    data = lean(path.read_bytes())
    model = schema.Model.GetRootAs(data)
    graph = model.Subgraphs(0)
    starts = [_start(model.Buffers(index), 4) for index in range(1, model.BuffersLength())]
    assert starts
    assert all(start % 16 == 0 for start in starts)
    assert len(set(starts)) == len(starts)
    for index in range(graph.TensorsLength()):
        quantization = graph.Tensors(index).Quantization()
        if quantization is not None:
            assert _start(quantization, 8) % 4 == 0
            assert _start(quantization, 10) % 8 == 0


def _start(table: Any, slot: int) -> int:
    """Where the items of a vector field begin."""
    return int(table._tab.Vector(table._tab.Offset(slot)))


def test_no_name_and_no_metadata_is_left() -> None:
    model = unpack(lean(PLAIN))
    assert model.description is None
    assert not model.metadata
    assert not model.signatureDefs
    assert all(tensor.name is None for tensor in model.subgraphs[0].tensors)


def test_weights_share_one_zero_point_and_convolution_biases_have_no_quantization() -> None:
    graph = read_graph(lean(PLAIN))
    convolution = graph.operators[0]
    weights, bias = (graph.tensors[index] for index in convolution.inputs[1:3])
    assert (weights.scales, weights.zero_points) == (weights.shape[0], 1)
    assert (bias.scales, bias.zero_points) == (0, 0)


def test_the_bias_of_a_dense_layer_with_one_scale_keeps_its_quantization() -> None:
    for per_channel, kept in ((False, 1), (True, 0)):
        graph = read_graph(lean(dense_chain([8, 4], [True], [per_channel])))
        assert graph.tensors[graph.operators[0].inputs[2]].scales == kept


def test_tflm_refuses_a_dense_layer_of_one_scale_without_the_quantization_of_its_bias() -> None:
    # Why that bias keeps it: TFLM compares its scale with the product of the others.
    data = (DATA / "operators" / "dense_of_one.tflite").read_bytes()

    def drop(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[graph.operators[-1].inputs[2]].quantization.scale = [1.0]

    with pytest.raises(RuntimeError):
        in_tflm(edited(data, drop), inputs(data, 1))


def test_reshape_takes_its_shape_from_the_options_and_no_longer_from_a_tensor() -> None:
    def add_shape(model: Any) -> None:
        graph = model.subgraphs[0]
        reshape = graph.operators[0]
        if len(reshape.inputs) == 2:
            return
        model.buffers.append(schema.BufferT())
        shape = np.asarray(graph.tensors[reshape.outputs[0]].shape, dtype=np.int32)
        model.buffers[-1].data = np.frombuffer(shape.tobytes(), dtype=np.uint8)
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = [len(shape)], 2, len(model.buffers) - 1
        graph.tensors.append(tensor)
        reshape.inputs = [*reshape.inputs, len(graph.tensors) - 1]

    with_shape = edited(RESHAPED, add_shape)
    assert len(read_graph(with_shape).operators[0].inputs) == 2
    leaned = lean(with_shape)
    assert leaned == lean(RESHAPED)
    assert len(read_graph(leaned).operators[0].inputs) == 1
    stored = unpack(leaned).subgraphs[0].operators[0].builtinOptions.newShape
    assert list(stored) == [1, 256]


def test_options_at_their_defaults_are_left_out_and_equal_ones_are_stored_once() -> None:
    plain, rectified = (lean(dense_chain([4, 4], [bias], [True])) for bias in (False, True))
    assert unpack(plain).subgraphs[0].operators[0].builtinOptions is None
    assert unpack(rectified).subgraphs[0].operators[0].builtinOptions.fusedActivationFunction == 1
    graph = schema.Model.GetRootAs(lean(dense_chain([4, 4, 4], [True] * 2, [True] * 2))).Subgraphs(0)
    assert graph.Operators(0).BuiltinOptions().Pos == graph.Operators(1).BuiltinOptions().Pos


def test_equal_axes_become_one_tensor() -> None:
    def copy_axes(model: Any) -> None:
        graph = model.subgraphs[0]
        pads = [op for op in graph.operators if len(graph.tensors[op.inputs[-1]].shape) == 2]
        graph.tensors.append(graph.tensors[pads[1].inputs[1]])
        pads[1].inputs = [pads[1].inputs[0], len(graph.tensors) - 1]

    data = (DATA / "operators" / "pad_twice.tflite").read_bytes()
    apart = edited(data, copy_axes)
    assert len(read_graph(apart).tensors) == len(read_graph(data).tensors) + 1
    assert lean(apart) == lean(data)


def test_unused_tensors_and_buffers_are_gone() -> None:
    def add(model: Any) -> None:
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = np.zeros(1000, dtype=np.uint8)
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = [1000], 9, len(model.buffers) - 1
        model.subgraphs[0].tensors.append(tensor)

    assert lean(edited(PLAIN, add)) == lean(PLAIN)


def test_weights_with_another_zero_point_than_0_are_refused() -> None:
    def shift(model: Any) -> None:
        graph = model.subgraphs[0]
        quantization = graph.tensors[graph.operators[0].inputs[1]].quantization
        quantization.zeroPoint = [0, 3, *([0] * (len(quantization.scale) - 2))]

    with pytest.raises(UserError) as caught:
        lean(edited(PLAIN, shift))
    assert "is a weight with a zero point other than 0, which TFLM ignores." in caught.value.message
    assert caught.value.hint == QUANTIZE_HINT


def test_a_model_that_keeps_state_is_refused() -> None:
    def keep(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[graph.inputs[0]].isVariable = True

    with pytest.raises(UserError) as caught:
        lean(edited(PLAIN, keep))
    assert caught.value.message == "The model keeps state between invocations, which cannot be made lean."
    assert caught.value.hint == "Export it without leaning, or unroll its recurrent layers."


def test_an_operator_of_unknown_options_is_refused() -> None:
    def rename(model: Any) -> None:
        model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 85

    data = (DATA / "operators" / "logistic.tflite").read_bytes()
    with pytest.raises(UserError) as caught:
        lean(edited(data, rename))
    assert caught.value.message == "TFLM 90b983c2 has no operator ONE_HOT."


def test_a_squeeze_that_cannot_be_is_refused() -> None:
    def rename(model: Any) -> None:
        model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 43

    data = (DATA / "operators" / "logistic.tflite").read_bytes()
    squeezed = edited(data, rename)
    with pytest.raises(UserError, match="SQUEEZE"):
        lean(squeezed)


@needs_calibration
def test_over_the_calibration_set_leaning_saves_what_it_promises() -> None:
    saved = []
    for path in sorted(CALIBRATION.glob("*.tflite")):
        data = path.read_bytes()
        saved.append(1 - len(lean(data)) / len(data))
    assert len(saved) >= 200
    assert statistics.median(saved) > 0.32
    assert min(saved) > 0


@pytest.mark.slow
@needs_calibration
def test_over_the_calibration_set_tflm_and_litert_compute_the_same_bytes() -> None:
    for path in sorted(CALIBRATION.glob("*.tflite")):
        data = path.read_bytes()
        samples = inputs(data, 2)
        assert in_tflm(lean(data), samples) == in_tflm(data, samples), path.name
        assert in_litert(lean(data, litert=True), samples) == in_litert(data, samples), path.name
