"""The Keras projection of an `ArchSpec`: one Keras layer group for each layer, named by its index."""

from __future__ import annotations

import hashlib
from typing import Any

import tf_keras
from tf_keras import layers as kl

from nas.tf.depthwise import DepthwiseConv2D
from search_spaces.arch import ArchSpec
from search_spaces.layers import (
    INPUT,
    Add,
    AveragePool,
    Concat,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Softmax,
)

# Keras' default of 0.99 forgets the initial statistics over hundreds of steps, more than a short training has.
NORM_MOMENTUM = 0.9


def layer_name(index: int) -> str:
    """Name of the Keras layer that holds the kernel (and bias) of layer `index`.

    The digits are padded because the converter orders branches by name, see `search_spaces.lower`.
    """
    return f"layer_{index:03}"


def norm_name(index: int) -> str:
    """Name of the batch norm of layer `index`."""
    return f"{layer_name(index)}_norm"


def build(spec: ArchSpec, *, seed: int = 0) -> tf_keras.Model:
    """A fresh Keras model of `spec`.

    Args:
        spec: The network.
        seed: Seed of the initial weights: the same spec and seed give the same weights.

    Shape: (batch, *spec.input_shape) -> (batch, *spec.output_shape).
    """
    source = kl.Input(spec.input_shape, name="input")
    outputs: list[Any] = []
    for index, layer in enumerate(spec.layers):
        inputs = [source if one == INPUT else outputs[one] for one in layer.inputs]
        outputs.append(_apply(index, layer, inputs, seed))
    return tf_keras.Model(source, outputs[-1])


def _apply(index: int, layer: Layer, inputs: list[Any], seed: int) -> Any:
    name = layer_name(index)
    x = inputs[0]
    match layer:
        case Conv():
            x = kl.Conv2D(
                layer.filters,
                layer.kernel,
                strides=layer.strides,
                padding=layer.padding.lower(),
                dilation_rate=layer.dilation,
                use_bias=not layer.batch_norm,
                kernel_initializer=_initializer(seed, index),
                name=name,
            )(x)
        case DepthwiseConv():
            x = DepthwiseConv2D(
                layer.kernel,
                strides=layer.strides,
                padding=layer.padding.lower(),
                depth_multiplier=layer.multiplier,
                use_bias=not layer.batch_norm,
                depthwise_initializer=_initializer(seed, index),
                name=name,
            )(x)
        case Dense():
            x = kl.Dense(layer.units, kernel_initializer=_initializer(seed, index), name=name)(x)
        case AveragePool():
            x = kl.AveragePooling2D(layer.kernel, layer.strides, layer.padding.lower(), name=name)(x)
        case MaxPool():
            x = kl.MaxPooling2D(layer.kernel, layer.strides, layer.padding.lower(), name=name)(x)
        case GlobalAveragePool():
            height, width = x.shape[1:3]
            x = kl.AveragePooling2D((height, width), (height, width), name=name)(x)
            x = kl.Flatten(name=f"{name}_flat")(x)
        case Add():
            x = kl.Add(name=name)(inputs)
        case Concat():
            x = kl.Concatenate(name=name)(inputs)
        case Flatten():
            x = kl.Flatten(name=name)(x)
        case Softmax():
            x = kl.Softmax(name=name)(x)
    if isinstance(layer, Conv | DepthwiseConv) and layer.batch_norm:
        x = kl.BatchNormalization(momentum=NORM_MOMENTUM, name=norm_name(index))(x)
    if isinstance(layer, Conv | DepthwiseConv | Dense | Add) and layer.activation != "NONE":
        x = kl.ReLU(6.0 if layer.activation == "RELU6" else None, name=f"{name}_relu")(x)
    return x


def _initializer(seed: int, index: int) -> Any:
    word = hashlib.sha256(f"{seed}/{index}".encode()).digest()[:4]
    return tf_keras.initializers.HeNormal(seed=int.from_bytes(word, "little") >> 1)
