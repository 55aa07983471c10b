"""The chip's projection of an `ArchSpec`: the int8 operator graph that its converted .tflite holds.

The rules are the converter's (TensorFlow 2.21, batch 1, full int8), found by reading back what it makes; tests
compare both graphs over random networks of every space.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import assert_never

from cost_models.graph import (
    Activation,
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    NoOptions,
    Operator,
    OpGraph,
    Options,
    Padding,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
from search_spaces.arch import ArchSpec
from search_spaces.layers import (
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
    Shape,
    Softmax,
)

_WITH_CONSTANTS = (Conv, DepthwiseConv, Dense, Concat, Flatten)
_NO_OPTIONS = NoOptions()
_SOFTMAX = SoftmaxOptions()


def lower(spec: ArchSpec) -> OpGraph:
    """The graph that `read_graph(convert(build(spec), ...))` gives back, without building anything.

    It holds for trained weights: an all-zero bias, which the converter drops, is not foreseen.
    """
    layers = spec.layers
    shapes = spec.shapes
    count = len(layers)
    tensors = [_activation((1, *spec.input_shape))]
    operators: list[Operator] = []
    values = [0] * (count + 1)  # the tensor that holds each layer's output; the last one is the input
    unfolded = [0] * (count + 1)  # the same, but as a dense layer may read it: before a RESHAPE that folds
    for index in _execution_order(layers):
        constants: tuple[Tensor, ...] = ()
        options: Options
        if index > count:  # the RESHAPE at the end of a GlobalAveragePool
            index -= count + 1
            if _only_dense_reads(index, layers):
                continue
            shape = shapes[index]
            inputs = [unfolded[index]]
            kind = "RESHAPE"
            options = _NO_OPTIONS
        else:
            layer = layers[index]
            shape = shapes[index]
            inputs = [values[one] for one in layer.inputs]
            if isinstance(layer, Conv):
                filters = layer.filters
                constants = _conv_constants(filters, layer.kernel, tensors[inputs[0]].shape[3])
                kind = "CONV_2D"
                options = _conv(layer.padding, layer.strides, layer.dilation, layer.activation)
            elif isinstance(layer, DepthwiseConv):
                constants = _depthwise_constants(shape[2], layer.kernel)
                kind = "DEPTHWISE_CONV_2D"
                options = _depthwise(layer.padding, layer.strides, layer.multiplier, layer.activation)
            elif isinstance(layer, Dense):
                inputs = [unfolded[layer.inputs[0]]]
                constants = _dense_constants(layer.units, tensors[inputs[0]].shape[-1])
                kind = "FULLY_CONNECTED"
                options = _dense(layer.activation)
            elif isinstance(layer, Add):
                kind = "ADD"
                options = _add(layer.activation)
            elif isinstance(layer, AveragePool):
                kind = "AVERAGE_POOL_2D"
                options = _pool(layer.padding, layer.strides, layer.kernel)
            elif isinstance(layer, MaxPool):
                kind = "MAX_POOL_2D"
                options = _pool(layer.padding, layer.strides, layer.kernel)
            elif isinstance(layer, GlobalAveragePool):
                _, height, width, channels = tensors[inputs[0]].shape
                kind = "AVERAGE_POOL_2D"
                options = _pool("VALID", (height, width), (height, width))
                shape = (1, 1, channels)
            elif isinstance(layer, Concat):
                kind = "CONCATENATION"
                options = _concat(len(shape))
            elif isinstance(layer, Flatten):
                if tensors[inputs[0]].shape[1:3] == (1, 1):
                    unfolded[index] = inputs[0]
                    if _only_dense_reads(index, layers):
                        continue
                kind = "RESHAPE"
                options = _NO_OPTIONS
            elif isinstance(layer, Softmax):
                kind = "SOFTMAX"
                options = _SOFTMAX
            else:
                assert_never(layer)
        output = len(tensors)
        for constant in constants:
            tensors.append(constant)
            inputs.append(output)
            output += 1
        tensors.append(_activation((1, *shape)))
        operators.append(Operator(kind=kind, inputs=tuple(inputs), outputs=(output,), options=options))
        values[index] = output
        unfolded[index] = unfolded[index] or output
    return OpGraph(tensors=tuple(tensors), operators=tuple(operators), inputs=(0,), outputs=(values[-2],))


def _only_dense_reads(index: int, layers: tuple[Layer, ...]) -> bool:
    """Whether layer `index` has readers and all of them are dense layers."""
    readers = [one for one in layers[index + 1 :] if index in one.inputs]
    return bool(readers) and all(isinstance(one, Dense) for one in readers)


def _execution_order(layers: tuple[Layer, ...]) -> Sequence[int]:
    """The order in which the converter emits the layers.

    TensorFlow imports a graph in reverse post-order of a depth-first search from its sources, and takes the
    last name first. Constants are sources: so a layer with constants keeps its place, one without (a pool beside
    a convolution, say) moves up behind the last one that it depends on.

    A GlobalAveragePool is a pool without constants and a RESHAPE with one; index + len(layers) + 1 is the latter.
    """
    count = len(layers)
    order: list[int] = []
    for index, layer in enumerate(layers):
        if index and not isinstance(layer, _WITH_CONSTANTS) and index - 1 not in layer.inputs:
            break
        order.append(index)
        if isinstance(layer, GlobalAveragePool):
            order.append(index + count + 1)
    else:
        return order

    size = 2 * count + 1
    users: list[list[int]] = [[] for _ in range(size)]  # the input stands at `count`
    sources = []
    for index, layer in enumerate(layers):
        for source in layer.inputs:
            if source < 0:
                source = count
            elif isinstance(layers[source], GlobalAveragePool):
                source += count + 1
            users[source].append(index)
        if isinstance(layer, GlobalAveragePool):
            users[index].append(index + count + 1)
            sources.append(index + count + 1)
        elif isinstance(layer, _WITH_CONSTANTS):
            sources.append(index)
    finished: list[int] = []
    seen = [False] * size

    def visit(node: int) -> None:
        seen[node] = True
        for user in reversed(users[node]):
            if not seen[user]:
                visit(user)
        finished.append(node)

    for node in reversed(sources):
        if not seen[node]:
            visit(node)
    if not seen[count]:
        visit(count)
    return [node for node in reversed(finished) if node != count]


# The parts below are few and shared: making each once keeps lowering at tens of microseconds.


@functools.lru_cache(maxsize=4096)
def _activation(shape: Shape) -> Tensor:
    return Tensor(shape=shape, scales=1, zero_points=1)


@functools.lru_cache(maxsize=4096)
def _conv_constants(filters: int, kernel: tuple[int, int], channels: int) -> tuple[Tensor, Tensor]:
    shape = (filters, *kernel, channels)
    weights = Tensor(shape=shape, data_bytes=math.prod(shape), scales=filters, zero_points=1)
    return weights, _bias(filters)


@functools.lru_cache(maxsize=4096)
def _depthwise_constants(channels: int, kernel: tuple[int, int]) -> tuple[Tensor, Tensor]:
    shape = (1, *kernel, channels)
    weights = Tensor(
        shape=shape,
        data_bytes=math.prod(shape),
        scales=channels,
        zero_points=1,
        quantized_dimension=3 if channels > 1 else 0,
    )
    return weights, _bias(channels)


@functools.lru_cache(maxsize=4096)
def _dense_constants(units: int, features: int) -> tuple[Tensor, Tensor]:
    weights = Tensor(shape=(units, features), data_bytes=units * features, scales=1, zero_points=1)
    # Per tensor, TFLM compares the bias' scale with the weights', so a lean model keeps it.
    bias = Tensor(shape=(units,), dtype="int32", data_bytes=4 * units, scales=1, zero_points=1)
    return weights, bias


def _bias(channels: int) -> Tensor:
    return Tensor(shape=(channels,), dtype="int32", data_bytes=4 * channels)


@functools.lru_cache(maxsize=256)
def _conv(
    padding: Padding, strides: tuple[int, int], dilation: tuple[int, int], activation: Activation
) -> Conv2DOptions:
    return Conv2DOptions(
        padding=padding,
        stride_h=strides[0],
        stride_w=strides[1],
        dilation_h=dilation[0],
        dilation_w=dilation[1],
        activation=activation,
    )


@functools.lru_cache(maxsize=256)
def _depthwise(
    padding: Padding, strides: tuple[int, int], multiplier: int, activation: Activation
) -> DepthwiseConv2DOptions:
    return DepthwiseConv2DOptions(
        padding=padding,
        stride_h=strides[0],
        stride_w=strides[1],
        depth_multiplier=multiplier,
        activation=activation,
    )


@functools.lru_cache(maxsize=256)
def _pool(padding: Padding, strides: tuple[int, int], kernel: tuple[int, int]) -> Pool2DOptions:
    return Pool2DOptions(
        padding=padding, stride_h=strides[0], stride_w=strides[1], filter_h=kernel[0], filter_w=kernel[1]
    )


@functools.lru_cache(maxsize=16)
def _dense(activation: Activation) -> FullyConnectedOptions:
    return FullyConnectedOptions(activation=activation)


@functools.lru_cache(maxsize=16)
def _add(activation: Activation) -> ElementwiseOptions:
    return ElementwiseOptions(activation=activation)


@functools.lru_cache(maxsize=16)
def _concat(axis: int) -> ConcatenationOptions:
    return ConcatenationOptions(axis=axis)
