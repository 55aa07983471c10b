"""Cures that train nothing: scales moved between layers, and biases that take back what rounded weights add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.tf.quantization.calibration import Activation
from nas.tf.quantization.folded import SAME_SCALE, Folded
from search_spaces.arch import ArchSpec
from search_spaces.layers import INPUT, Add, Concat, Conv, Dense, DepthwiseConv, Softmax

_WEIGHTED = (Conv, DepthwiseConv, Dense)

_LEVELS = 127  # of a weight, on each side of 0
_LEAST, _MOST = 1e-3, 1e3  # of a channel's factor


def equalized(folded: Folded, seen: Mapping[int, Activation]) -> Folded:
    """The same function with channels of more even ranges (cross-layer equalization).

    A channel is divided by a factor where it is made and multiplied by it where it is read, which a ReLU, pools and
    sums in between let through. Weights of convolutions have a scale for each output, so what limits int8 is the
    range of the activation's channels on the one side, and that of a reader's weights over its inputs on the other:
    the factor makes both alike. A depthwise reader has a scale for each channel, and takes all of it.

    Source: M. Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, arXiv:1906.04721.

    Args:
        folded: The network.
        seen: What its layers put out.
    """
    weights, layers = dict(folded.weights), folded.spec.layers
    for stream in _streams(folded.spec):
        channels = len(weights[stream.makers[0]][1])
        # The share of the range of its tensor that a channel takes, where it takes most.
        even = np.max([_even(seen[one].peak, channels) for one in stream.tensors], axis=0)
        strong = [
            _strength(weights[one][0], layers[one], channels)
            for one in stream.readers
            if not isinstance(layers[one], DepthwiseConv)
        ]
        factor = even
        if strong:
            strength = np.max(strong, axis=0)
            factor = np.where(strength > 0, np.sqrt(even / np.maximum(strength, 1e-30)), 1.0)
        factor = np.clip(np.where(even > 0, factor, 1.0), _LEAST, _MOST).astype(np.float32)
        for index in stream.makers:
            kernel, bias = weights[index]
            depthwise = isinstance(layers[index], DepthwiseConv)
            weights[index] = (
                kernel / (factor.reshape(kernel.shape[2:]) if depthwise else factor),
                bias / factor,
            )
        for index in stream.readers:
            kernel, bias = weights[index]
            weights[index] = (_scaled(kernel, layers[index], factor), bias)
    return Folded(folded.spec, weights)


def bias_corrected(folded: Folded, seen: Mapping[int, Activation]) -> Folded:
    """The network with the mean error that int8 weights make of its typical inputs taken from the biases.

    Source: as `equalized`, section 4.2, with means measured on the representative samples.
    """
    weights = {}
    for index, (kernel, bias) in folded.weights.items():
        layer = folded.spec.layers[index]
        error = np.asarray(quantized_kernel(kernel, layer) - kernel, np.float64)
        mean = seen[layer.inputs[0]].mean
        if isinstance(layer, DepthwiseConv):
            shift = (error.sum((0, 1)) * mean[:, None]).ravel()
        elif isinstance(layer, Dense):
            shift = mean @ error
        else:
            shift = mean @ error.sum((0, 1))
        weights[index] = (kernel, np.asarray(bias - shift, np.float32))
    return Folded(folded.spec, weights)


def quantized_kernel(kernel: npt.NDArray[np.float32], layer: object) -> npt.NDArray[np.float32]:
    """A kernel as its int8 codes hold it: a scale for each output of a convolution, one for a dense layer."""
    axes = None if isinstance(layer, Dense) else tuple(range(2 if isinstance(layer, DepthwiseConv) else 3))
    scale = np.maximum(np.abs(kernel).max(axis=axes, keepdims=True) / _LEVELS, 1e-30)
    return np.asarray(np.round(kernel / scale) * scale, np.float32)


@dataclass(frozen=True, slots=True)
class _Stream:
    """Tensors whose channels correspond: sums and what they add, and what pools make of them.

    Attributes:
        tensors: Layers that put them out.
        makers: Those with weights.
        readers: Layers with weights that read them.
    """

    tensors: tuple[int, ...]
    makers: tuple[int, ...]
    readers: tuple[int, ...]


def _streams(spec: ArchSpec) -> list[_Stream]:
    """The streams in which a channel can be scaled without a change of the function, in their order.

    A ReLU lets a positive factor through, a clip at 6 does not; the model's input and output stay what they are.
    """
    layers = spec.layers
    name = {index: index for index in range(INPUT, len(layers))}
    for index, layer in enumerate(layers):
        if isinstance(layer, (*SAME_SCALE, Add)):
            joined = {name[one] for one in (index, *layer.inputs)}
            name = {one: min(joined) if old in joined else old for one, old in name.items()}
    fixed = {name[INPUT], name[len(layers) - 1]}
    for index, layer in enumerate(layers):
        if getattr(layer, "activation", "NONE") == "RELU6":
            fixed.add(name[index])
        if isinstance(layer, Concat | Softmax):
            fixed |= {name[one] for one in (index, *layer.inputs)}
    streams = []
    for stream in sorted(set(name.values()) - fixed):
        tensors = tuple(index for index, own in name.items() if own == stream)
        streams.append(
            _Stream(
                tensors=tensors,
                makers=tuple(index for index in tensors if isinstance(layers[index], _WEIGHTED)),
                readers=tuple(
                    index
                    for index, layer in enumerate(layers)
                    if isinstance(layer, _WEIGHTED) and name[layer.inputs[0]] == stream
                ),
            )
        )
    return streams


def _even(peak: npt.NDArray[np.float32], channels: int) -> npt.NDArray[np.float64]:
    """The largest value of each channel as a share of the whole tensor's; a flattened map repeats its channels."""
    channel = peak.reshape(-1, channels).max(0).astype(np.float64)
    return np.asarray(channel / max(float(channel.max()), 1e-30))


def _strength(kernel: npt.NDArray[np.float32], layer: object, channels: int) -> npt.NDArray[np.float64]:
    """How much of the range of a reader's weights each input channel uses, 1 at the most. Shape: (channels,)."""
    size = np.abs(kernel).astype(np.float64)
    if isinstance(layer, Dense):
        relative = size / max(float(size.max()), 1e-30)
        return np.asarray(relative.reshape(-1, channels, kernel.shape[1]).max((0, 2)))
    relative = size / np.maximum(size.max((0, 1, 2), keepdims=True), 1e-30)
    return np.asarray(relative.max((0, 1, 3)))


def _scaled(
    kernel: npt.NDArray[np.float32], layer: object, factor: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """A reader's kernel, its input channels times their factors."""
    if isinstance(layer, Dense):
        return np.asarray(kernel * np.resize(factor, len(kernel))[:, None])
    return np.asarray(kernel * factor[:, None])
