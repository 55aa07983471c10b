"""A trained network with its batch norms folded into the weights, as the chip has it, and walked layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras

from nas.tf.build import build, layer_name, norm_name
from search_spaces.arch import ArchSpec
from search_spaces.layers import (
    INPUT,
    AveragePool,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalAveragePool,
    MaxPool,
)

Weights = dict[int, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
"""Kernel and bias by layer."""

SAME_SCALE = (AveragePool, MaxPool, GlobalAveragePool, Flatten)
"""Layers whose output has the quantization of their input."""

_BATCH = 128


@dataclass(frozen=True, slots=True)
class Folded:
    """A network without batch norm.

    Attributes:
        spec: Its layers, biases instead of batch norms.
        weights: Of its convolutions and dense layers.
    """

    spec: ArchSpec
    weights: Weights

    def model(self) -> tf_keras.Model:
        """A Keras model of it; it computes what the model with batch norms did."""
        model = build(self.spec)
        for index, (kernel, bias) in self.weights.items():
            model.get_layer(layer_name(index)).set_weights([kernel, bias])
        return model


def fold(model: tf_keras.Model, spec: ArchSpec) -> Folded:
    """Folds the batch norms of a trained model.

    Args:
        model: As `build` makes it of `spec`, trained.
        spec: The network.
    """
    layers, weights = [], {}
    for index, layer in enumerate(spec.layers):
        if isinstance(layer, Conv | DepthwiseConv | Dense):
            arrays = model.get_layer(layer_name(index)).get_weights()
            kernel = arrays[0]
            bias = arrays[1] if len(arrays) > 1 else np.zeros(spec.shapes[index][-1], np.float32)
            if isinstance(layer, Conv | DepthwiseConv) and layer.batch_norm:
                norm = model.get_layer(norm_name(index))
                gamma, beta, mean, variance = norm.get_weights()
                factor = gamma / np.sqrt(variance + norm.epsilon)
                bias = beta + (bias - mean) * factor
                kernel = kernel * (
                    factor.reshape(kernel.shape[2:]) if isinstance(layer, DepthwiseConv) else factor
                )
                layer = replace(layer, batch_norm=False)
            weights[index] = (np.asarray(kernel, np.float32), np.asarray(bias, np.float32))
        layers.append(layer)
    return Folded(ArchSpec(input_shape=spec.input_shape, layers=tuple(layers)), weights)


def _unchanged(index: int, values: Any) -> Any:
    return values


def walk(
    model: tf_keras.Model,
    spec: ArchSpec,
    inputs: npt.NDArray[np.float32],
    *,
    change: Callable[[int, Any], Any] = _unchanged,
) -> Any:
    """Runs a model layer by layer.

    Args:
        model: As `build` makes it of `spec`.
        spec: The network.
        inputs: Real-valued samples. Shape: (n, *spec.input_shape).
        change: Is given what each layer puts out (`INPUT` first), and returns what the next ones see.

    Returns:
        What the last layer puts out. Shape: (n, *spec.output_shape).
    """
    known = {layer.name: layer for layer in model.layers}
    source = change(INPUT, inputs)
    outputs: list[Any] = []
    for index, layer in enumerate(spec.layers):
        read = [source if one == INPUT else outputs[one] for one in layer.inputs]
        values = read if len(read) > 1 else read[0]
        name = layer_name(index)
        for part in (name, f"{name}_flat", norm_name(index), f"{name}_relu"):
            if part in known:
                values = known[part](values, training=False)
        outputs.append(change(index, values))
    return outputs[-1]


def predict(model: tf_keras.Model, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Real-valued outputs of a model, in small batches. Shape: (n, *input_shape) -> (n, *output_shape)."""
    parts = [
        np.asarray(model(inputs[at : at + _BATCH], training=False)) for at in range(0, len(inputs), _BATCH)
    ]
    return np.concatenate(parts)


def batches(inputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """Samples in the batches that layers are walked with."""
    return [inputs[at : at + _BATCH] for at in range(0, len(inputs), _BATCH)]
