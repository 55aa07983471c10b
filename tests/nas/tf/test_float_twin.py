"""The float network read back from int8 bytes: it has the outputs and gradients of the one that was quantized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.runtimes.float_twin import float_twin
from search_spaces.arch import ArchSpec
from search_spaces.layers import Dense, Softmax
from tests.nas.tf.test_twins import NETWORKS

DATA = Path(__file__).parents[2] / "data" / "operators"


def made(spec: ArchSpec) -> tuple[Any, bytes, np.ndarray[Any, Any]]:
    """A Keras model of random weights, its int8 bytes, and inputs."""
    from nas.tf.build import build
    from nas.tf.convert import convert
    from nas.tf.twins import randomize

    model = build(spec)
    randomize(model, 0)
    inputs = np.random.default_rng(0).normal(size=(24, *spec.input_shape)).astype(np.float32)
    return model, convert(model, inputs), inputs


def alike(one: Any, other: Any) -> float:
    """The cosine between two arrays."""
    one, other = np.asarray(one, np.float64).ravel(), np.asarray(other, np.float64).ravel()
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_twin_has_the_outputs_and_gradients_of_the_network_that_was_quantized(name: str) -> None:
    import tensorflow as tf

    shape, layers = NETWORKS[name]
    if isinstance(layers[-1], Softmax):  # the twin has the logits
        layers = layers[:-1]
    spec = ArchSpec(input_shape=shape, layers=layers)
    model, tflite, inputs = made(spec)
    twin = float_twin(tflite)
    assert twin is not None
    weights = np.random.default_rng(1).normal(size=spec.output_shape).ravel().astype(np.float32)
    with tf.GradientTape() as tape:
        source = tf.constant(inputs)
        tape.watch(source)
        outputs = tf.reshape(model(source, training=False), (len(inputs), -1))
        loss = tf.reduce_sum(outputs * weights)
    assert alike(twin.outputs(inputs), outputs) > 0.999
    wanted = tape.gradient(loss, source)
    found = twin.gradient(inputs, lambda values: np.broadcast_to(weights, values.shape))
    assert found.shape == inputs.shape
    # Weights of int8 switch some activations that those of floats do not.
    assert alike(found, wanted) > 0.97


@pytest.mark.slow
def test_a_softmax_at_the_end_is_left_out() -> None:
    spec = ArchSpec(
        input_shape=(6,), layers=(Dense(inputs=(-1,), units=3, activation="NONE"), Softmax(inputs=(0,)))
    )
    model, tflite, inputs = made(spec)
    twin = float_twin(tflite)
    assert twin is not None
    logits = twin.outputs(inputs)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, np.asarray(model(inputs)), atol=0.02)
    assert not np.allclose(logits.sum(axis=1), 1.0)


def test_a_model_with_other_operators_has_no_twin() -> None:
    assert float_twin((DATA / "strided_slice.tflite").read_bytes()) is None
