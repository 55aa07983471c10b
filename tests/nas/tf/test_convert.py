from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from cost_models.graph import OpGraph
from cost_models.lean import lean
from cost_models.tflite_graph import read_graph
from search_spaces.arch import ArchSpec
from search_spaces.layers import Conv, Dense, DepthwiseConv, GlobalAveragePool

pytestmark = pytest.mark.slow

SPEC = ArchSpec(
    input_shape=(8, 8, 1),
    layers=(
        Conv(inputs=(-1,), filters=8),
        DepthwiseConv(inputs=(0,)),
        Conv(inputs=(1,), filters=16, kernel=(1, 1)),
        GlobalAveragePool(inputs=(2,)),
        Dense(inputs=(3,), units=10, activation="NONE"),
    ),
)
EXAMPLES = np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> object:
    from nas.tf.build import build
    from nas.tf.twins import randomize

    model = build(SPEC)
    randomize(model, 0)
    return model


@pytest.fixture(scope="module")
def graph(model: object) -> OpGraph:
    from nas.tf.convert import convert

    return read_graph(convert(model, EXAMPLES))


def test_everything_is_int8_with_a_batch_of_one(graph: OpGraph) -> None:
    activations = [tensor for tensor in graph.tensors if not tensor.is_constant]
    assert {tensor.dtype for tensor in activations} == {"int8"}
    assert {tensor.shape[0] for tensor in activations} == {1}
    assert graph.tensors[graph.inputs[0]].shape == (1, 8, 8, 1)
    assert graph.tensors[graph.outputs[0]].shape == (1, 10)


def test_convolutions_are_quantized_per_channel_and_dense_layers_per_tensor(graph: OpGraph) -> None:
    scales = [graph.tensors[op.inputs[1]].scales for op in graph.operators if len(op.inputs) == 3]
    assert scales == [8, 8, 16, 1]


def test_the_same_model_and_examples_give_the_same_bytes(model: object) -> None:
    from nas.tf.convert import convert

    assert convert(model, EXAMPLES) == convert(model, EXAMPLES)


def test_int8_logits_follow_the_float_ones(model: Any) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from nas.tf.convert import convert

    interpreter = Interpreter(
        model_content=lean(convert(model, EXAMPLES), litert=True),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    (in_scale, in_zero), (out_scale, out_zero) = source["quantization"], result["quantization"]
    wanted = np.asarray(model(EXAMPLES, training=False))
    got = []
    for example in EXAMPLES:
        integers = np.clip(np.round(example / in_scale) + in_zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(source["index"], integers[None])
        interpreter.invoke()
        got.append((interpreter.get_tensor(result["index"])[0].astype(float) - out_zero) * out_scale)
    error = np.sqrt(np.mean((np.array(got) - wanted) ** 2))
    assert error < 0.05 * np.std(wanted)


def test_examples_that_do_not_fit_are_refused(model: object) -> None:
    from nas.tf.convert import convert

    with pytest.raises(
        ValueError, match=r"examples of shape \(4, 9, 8, 1\) do not fit the input \(8, 8, 1\)"
    ):
        convert(model, np.zeros((4, 9, 8, 1), np.float32))
    with pytest.raises(ValueError, match="do not fit"):
        convert(model, EXAMPLES[:0])


def test_chatter_is_held_back_but_not_the_reason_of_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    from nas.tf.quiet import quiet

    with quiet():
        os.write(2, b"chatter\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"

    def failing() -> None:
        with quiet():
            os.write(2, b"the reason\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert capfd.readouterr().err == "the reason\n"
