"""The layers of an `ArchSpec`: what people and Keras speak, with the shape each one makes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cost_models.graph import Padding

Shape = tuple[int, ...]
LayerActivation = Literal["NONE", "RELU", "RELU6"]

INPUT = -1
"""The model's input, as an element of a layer's `inputs`."""


class ArchError(ValueError):
    """A network that cannot be: the layer that breaks it and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """2-D convolution, then batch norm (or a bias without it), then the activation.

    Signals are maps of width 1, so a 1-D convolution has the kernel `(k, 1)`: Keras' Conv1D would become
    EXPAND_DIMS + CONV_2D + SQUEEZE in TFLite.

    Shape: (H, W, C) -> (H', W', filters).
    """

    inputs: tuple[int, ...]
    filters: int
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    activation: LayerActivation = "RELU"
    batch_norm: bool = True

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        if self.filters < 1:
            raise ArchError(f"filters is {self.filters}, it must be positive")
        if self.dilation != (1, 1) and self.strides != (1, 1):
            raise ArchError("a convolution cannot have both strides and dilation")
        height, width, _ = _windowed(inputs, self.kernel, self.strides, self.dilation, self.padding)
        return height, width, self.filters


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseConv:
    """Depthwise 2-D convolution, then batch norm (or a bias without it), then the activation.

    Shape: (H, W, C) -> (H', W', C * multiplier).
    """

    inputs: tuple[int, ...]
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    multiplier: int = 1
    padding: Padding = "SAME"
    activation: LayerActivation = "RELU"
    batch_norm: bool = True

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        if self.multiplier < 1:
            raise ArchError(f"multiplier is {self.multiplier}, it must be positive")
        if self.strides[0] != self.strides[1]:
            raise ArchError("TensorFlow's depthwise convolution needs equal strides")
        height, width, channels = _windowed(inputs, self.kernel, self.strides, (1, 1), self.padding)
        return height, width, channels * self.multiplier


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """Fully connected layer with a bias, then the activation.

    Shape: (N,) -> (units,).
    """

    inputs: tuple[int, ...]
    units: int
    activation: LayerActivation = "RELU"

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        _ranked(inputs, 1)
        if self.units < 1:
            raise ArchError(f"units is {self.units}, it must be positive")
        return (self.units,)


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePool:
    """Mean of each window.

    Shape: (H, W, C) -> (H', W', C).
    """

    inputs: tuple[int, ...]
    kernel: tuple[int, int] = (2, 2)
    strides: tuple[int, int] = (2, 2)
    padding: Padding = "VALID"

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return _windowed(inputs, self.kernel, self.strides, (1, 1), self.padding)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool:
    """Maximum of each window.

    Shape: (H, W, C) -> (H', W', C).
    """

    inputs: tuple[int, ...]
    kernel: tuple[int, int] = (2, 2)
    strides: tuple[int, int] = (2, 2)
    padding: Padding = "VALID"

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return _windowed(inputs, self.kernel, self.strides, (1, 1), self.padding)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalAveragePool:
    """Mean of each channel over the whole map.

    It becomes an AVERAGE_POOL_2D whose window is the map, not a MEAN: on a Cortex-M4 CMSIS-NN's pooling takes
    about 8 instructions an element, TFLM's portable MEAN about 130.

    Shape: (H, W, C) -> (C,).
    """

    inputs: tuple[int, ...]

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return (_ranked(inputs, 3)[0][2],)


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Elementwise sum of two equal shapes, then the activation."""

    inputs: tuple[int, ...]
    activation: LayerActivation = "NONE"

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        if len(inputs) != 2:
            raise ArchError(f"it adds two inputs, not {len(inputs)}")
        if self.inputs[0] == self.inputs[1]:
            raise ArchError("it adds an input to itself")
        first, second = inputs
        if first != second:
            raise ArchError(f"it adds shapes that differ: {first} and {second}")
        return first


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """Inputs side by side along the channels.

    Shape: (H, W, C1), (H, W, C2), ... -> (H, W, C1 + C2 + ...).
    """

    inputs: tuple[int, ...]

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        if len(inputs) < 2:
            raise ArchError("it joins at least two inputs")
        if len({one[:-1] for one in inputs}) > 1:
            raise ArchError(f"it joins maps that differ: {', '.join(map(str, inputs))}")
        return (*inputs[0][:-1], sum(one[-1] for one in inputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """All elements in a row, channels running fastest.

    Shape: (H, W, C) -> (H * W * C,).
    """

    inputs: tuple[int, ...]

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return (math.prod(_ranked(inputs, 3)[0]),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """Probabilities. The spaces here end in logits: the best class is the same, and the kernel's code is saved.

    Shape: (N,) -> (N,).
    """

    inputs: tuple[int, ...]

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return _ranked(inputs, 1)[0]


Layer = (
    Conv
    | DepthwiseConv
    | Dense
    | AveragePool
    | MaxPool
    | GlobalAveragePool
    | Add
    | Concat
    | Flatten
    | Softmax
)

LAYER_TYPES: tuple[type[Layer], ...] = (
    Conv,
    DepthwiseConv,
    Dense,
    AveragePool,
    MaxPool,
    GlobalAveragePool,
    Add,
    Concat,
    Flatten,
    Softmax,
)


def _ranked(inputs: tuple[Shape, ...], rank: int) -> tuple[Shape, ...]:
    if len(inputs) != 1:
        raise ArchError(f"it takes one input, not {len(inputs)}")
    if len(inputs[0]) != rank:
        wanted = "a map (height, width, channels)" if rank == 3 else "a vector"
        raise ArchError(f"it takes {wanted}, not the shape {inputs[0]}")
    return inputs


def _windowed(
    inputs: tuple[Shape, ...],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilation: tuple[int, int],
    padding: Padding,
) -> tuple[int, int, int]:
    height, width, channels = _ranked(inputs, 3)[0]
    if min(kernel) < 1 or min(strides) < 1 or min(dilation) < 1:
        raise ArchError("kernel, strides and dilation must be positive")
    if padding == "SAME":
        return -(-height // strides[0]), -(-width // strides[1]), channels
    if padding != "VALID":
        raise ArchError(f"padding is {padding!r}, it is SAME or VALID")
    out_h = (height - dilation[0] * (kernel[0] - 1) - 1) // strides[0] + 1
    out_w = (width - dilation[1] * (kernel[1] - 1) - 1) // strides[1] + 1
    if out_h < 1 or out_w < 1:
        raise ArchError(f"its kernel {kernel} does not fit into the map {height} x {width}")
    return out_h, out_w, channels
