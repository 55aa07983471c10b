"""The float network that an int8 model rounds: its outputs, and how a loss depends on its inputs.

The weights are those of the model's bytes, as real numbers; activations are not rounded, and saturate by their function
alone. It is made of the bytes, so that every model has one: of an earlier run, of another machine, after any cure of
its quantization.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.graph import (
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    Operator,
    OpGraph,
    Pool2DOptions,
)
from cost_models.tflite_graph import TfliteModel, read_model

Values = NDArray[np.float32]
_Pull = Callable[[Values], tuple[Values, ...]]
"""Gradients of an operator's inputs from that of its output."""

_DTYPES = {"int8": np.int8, "int32": np.int32}
_CAPS = {"NONE": (-np.inf, np.inf), "RELU": (0.0, np.inf), "RELU6": (0.0, 6.0)}
_KINDS = frozenset({
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D", "MAX_POOL_2D", "ADD", "CONCATENATION",
    "RESHAPE",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class FloatTwin:
    """A float network with one input and one output, read by `float_twin`."""

    _graph: OpGraph
    _constants: dict[int, Values]
    _last: int

    def outputs(self, inputs: Values) -> Values:
        """Real-valued outputs. A softmax at the end is left out. Shape: (n, *input) -> (n, outputs)."""
        return self._run(inputs)[0]

    def gradient(self, inputs: Values, loss: Callable[[Values], Values]) -> Values:
        """The gradient of a loss by the inputs. Shape: (n, *input) -> (n, *input).

        Args:
            inputs: Real-valued inputs.
            loss: The loss's gradient by the outputs. Shape: (n, outputs) -> (n, outputs).
        """
        outputs, steps = self._run(inputs)
        known: dict[int, Values] = {self._last: loss(outputs)}
        for op, pull in reversed(steps):
            parts = pull(known.pop(op.outputs[0]))
            for index, part in zip(_read(op), parts, strict=True):
                known[index] = known[index] + part if index in known else part
        return known[self._graph.inputs[0]].reshape(inputs.shape)

    def _run(self, inputs: Values) -> tuple[Values, list[tuple[Operator, _Pull]]]:
        (source,) = self._graph.inputs
        shape = self._graph.tensors[source].shape[1:]
        values = {source: np.asarray(inputs, np.float32).reshape(len(inputs), *shape)}
        steps = []
        for op in self._graph.operators:
            if op.kind != "SOFTMAX":
                values[op.outputs[0]], pull = self._apply(op, [values[index] for index in _read(op)])
                steps.append((op, pull))
        outputs = values[self._last]
        return outputs.reshape(len(outputs), -1), steps

    def _apply(self, op: Operator, read: list[Values]) -> tuple[Values, _Pull]:
        first, options = read[0], op.options
        match op.kind, options:
            case "CONV_2D" | "DEPTHWISE_CONV_2D", Conv2DOptions() | DepthwiseConv2DOptions():
                values, pull = _convolution(op, first, *self._weights(op))
            case "FULLY_CONNECTED", FullyConnectedOptions():
                values, pull = _dense(first, *self._weights(op))
            case "AVERAGE_POOL_2D", Pool2DOptions():
                values, pull = _average_pool(first, options)
            case "MAX_POOL_2D", Pool2DOptions():
                values, pull = _max_pool(first, options)
            case "ADD", ElementwiseOptions():
                values, pull = read[0] + read[1], lambda grown: (grown, grown)
            case "CONCATENATION", ConcatenationOptions():
                ends = np.cumsum([one.shape[options.axis] for one in read])[:-1]
                values = np.concatenate(read, options.axis)
                pull = lambda grown: tuple(np.split(grown, ends, options.axis))  # noqa: E731
            case _:  # RESHAPE
                shape = self._graph.tensors[op.outputs[0]].shape[1:]
                return first.reshape(len(first), *shape), lambda grown: (grown.reshape(first.shape),)
        low, high = _CAPS[getattr(options, "activation", "NONE")]
        open_ = (values > low) & (values < high)
        return np.clip(values, low, high), lambda grown: pull(np.where(open_, grown, 0).astype(np.float32))

    def _weights(self, op: Operator) -> tuple[Values, Values]:
        weights = self._constants[op.inputs[1]]
        bias = self._constants.get(op.inputs[2]) if len(op.inputs) > 2 else None
        return weights, np.zeros(1, np.float32) if bias is None else bias


def float_twin(tflite: bytes) -> FloatTwin | None:
    """The float network of a model; None where it has operators that the search does not make.

    Args:
        tflite: An int8 model, lean or not.

    Raises:
        UserError: It cannot be read as a model.
    """
    model = read_model(tflite)
    graph = model.graph
    *body, last = graph.operators
    ends = last.inputs[0] if last.kind == "SOFTMAX" else graph.outputs[0]
    rest = body if last.kind == "SOFTMAX" else graph.operators
    plain = all(
        op.kind in _KINDS and getattr(op.options, "activation", "NONE") in _CAPS and len(op.outputs) == 1
        for op in rest
    )
    if not plain or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return None
    return FloatTwin(graph, _constants(tflite, model), ends)


def _read(op: Operator) -> tuple[int, ...]:
    """The activations that an operator reads, in their order."""
    return op.inputs if op.kind in ("ADD", "CONCATENATION") else op.inputs[:1]


def _constants(tflite: bytes, model: TfliteModel) -> dict[int, Values]:
    """Weights and biases as real numbers; a lean file leaves out the scales of biases, which follow from the others."""
    tensors = model.graph.tensors

    def scales(index: int) -> NDArray[np.float64]:
        at, length = model.scales[index]
        return np.frombuffer(tflite, "<f4", length // 4, at).astype(np.float64)

    def stored(index: int) -> NDArray[Any]:
        tensor, (at, _) = tensors[index], model.data[index]
        dtype = np.dtype(_DTYPES[tensor.dtype]).newbyteorder("<")
        return np.frombuffer(tflite, dtype, tensor.elements, at).reshape(tensor.shape)

    known: dict[int, Values] = {}
    for op in model.graph.operators:
        if op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        source, kernel, *bias = op.inputs
        by_channel = scales(kernel)
        # The channel is the first axis, of depthwise kernels the last.
        shape = (-1,) if op.kind == "DEPTHWISE_CONV_2D" else (-1, *[1] * (len(tensors[kernel].shape) - 1))
        known[kernel] = (stored(kernel) * by_channel.reshape(shape)).astype(np.float32)
        if bias and bias[0] >= 0:
            known[bias[0]] = (stored(bias[0]) * by_channel * scales(source)).astype(np.float32)
    return known


def window_places(size: int, kernel: int, stride: int, dilation: int, padding: str) -> tuple[int, int, int]:
    """How many windows there are along an axis, and the padding before and behind it."""
    reach = dilation * (kernel - 1) + 1
    if padding == "VALID":
        return (size - reach) // stride + 1, 0, 0
    count = -(-size // stride)
    whole = max(0, (count - 1) * stride + reach - size)
    return count, whole // 2, whole - whole // 2


@dataclass(frozen=True, slots=True)
class _Windows:
    """Where windows lie in a map: for each element of the window, the elements of the padded map that it meets."""

    high: tuple[int, int, int]
    wide: tuple[int, int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)

    @classmethod
    def of(
        cls, shape: tuple[int, ...], kernel: tuple[int, int], options: Conv2DOptions | DepthwiseConv2DOptions
    ) -> _Windows:
        """The windows of a convolution over maps of a shape (n, height, width, channels)."""
        strides, dilation = (
            (options.stride_h, options.stride_w),
            (options.dilation_h, options.dilation_w),
        )
        high, wide = (
            window_places(shape[1 + axis], kernel[axis], strides[axis], dilation[axis], options.padding)
            for axis in (0, 1)
        )
        return cls(high, wide, kernel, strides, dilation)

    def padded(self, values: Values, fill: float = 0.0) -> Values:
        edges = ((0, 0), self.high[1:], self.wide[1:], (0, 0))
        return np.pad(values, edges, constant_values=fill) if any(map(any, edges)) else values

    def cropped(self, values: Values, shape: tuple[int, ...]) -> Values:
        top, left = self.high[1], self.wide[1]
        return values[:, top : top + shape[1], left : left + shape[2]]

    def __iter__(self) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
        for row in range(self.kernel[0]):
            for column in range(self.kernel[1]):
                down, right = (
                    slice(at * step, at * step + (count - 1) * stride + 1, stride)
                    for at, step, (count, *_), stride in (
                        (row, self.dilation[0], self.high, self.strides[0]),
                        (column, self.dilation[1], self.wide, self.strides[1]),
                    )
                )
                yield row, column, (slice(None), down, right)


def _convolution(op: Operator, inputs: Values, kernel: Values, bias: Values) -> tuple[Values, _Pull]:
    assert isinstance(op.options, Conv2DOptions | DepthwiseConv2DOptions)
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    windows = _Windows.of(inputs.shape, (kernel.shape[1], kernel.shape[2]), op.options)
    padded = windows.padded(inputs)
    times = kernel.shape[3] // inputs.shape[3]  # outputs of each channel of a depthwise convolution
    values = np.zeros((len(inputs), windows.high[0], windows.wide[0], bias.size), np.float32) + bias
    for row, column, at in windows:
        part = padded[at]
        if depthwise:
            values += (np.repeat(part, times, axis=3) if times > 1 else part) * kernel[0, row, column]
        else:
            values += part @ kernel[:, row, column].T

    def pull(grown: Values) -> tuple[Values]:
        summed = np.zeros_like(padded)
        for row, column, at in windows:
            if depthwise:
                each = grown * kernel[0, row, column]
                summed[at] += each.reshape(*each.shape[:3], -1, times).sum(axis=4) if times > 1 else each
            else:
                summed[at] += grown @ kernel[:, row, column]
        return (windows.cropped(summed, inputs.shape),)

    return values, pull


def _dense(inputs: Values, kernel: Values, bias: Values) -> tuple[Values, _Pull]:
    rows = inputs.reshape(len(inputs), -1)
    return rows @ kernel.T + bias, lambda grown: ((grown @ kernel).reshape(inputs.shape),)


def _pool_windows(inputs: Values, options: Pool2DOptions) -> _Windows:
    kernel, strides = (options.filter_h, options.filter_w), (options.stride_h, options.stride_w)
    high, wide = (
        window_places(inputs.shape[1 + axis], kernel[axis], strides[axis], 1, options.padding)
        for axis in (0, 1)
    )
    return _Windows(high, wide, kernel, strides)


def _average_pool(inputs: Values, options: Pool2DOptions) -> tuple[Values, _Pull]:
    windows = _pool_windows(inputs, options)
    padded, there = windows.padded(inputs), windows.padded(np.ones((1, *inputs.shape[1:3], 1), np.float32))
    counts = sum(there[at] for *_, at in windows)  # padding does not count
    values = np.asarray(sum(padded[at] for *_, at in windows) / counts, np.float32)

    def pull(grown: Values) -> tuple[Values]:
        summed, share = np.zeros_like(padded), grown / counts
        for *_, at in windows:
            summed[at] += share
        return (windows.cropped(summed, inputs.shape),)

    return values, pull


def _max_pool(inputs: Values, options: Pool2DOptions) -> tuple[Values, _Pull]:
    windows = _pool_windows(inputs, options)
    padded = windows.padded(inputs, -np.inf)
    values = np.max([padded[at] for *_, at in windows], axis=0)

    def pull(grown: Values) -> tuple[Values]:
        summed, left = np.zeros_like(padded), grown
        for *_, at in windows:
            highest = padded[at] == values
            summed[at] += np.where(highest, left, 0)
            left = np.where(highest, 0, left)  # of equal ones the first
        return (windows.cropped(summed, inputs.shape),)

    return values, pull
