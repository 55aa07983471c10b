"""Stages of full or depthwise-separable convolutions, with a shortcut around each block that keeps its shape."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.arch import ArchSpec, Sketch
from search_spaces.axes import along, as_map, block_stride, stem, width
from search_spaces.layers import (
    Add,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalAveragePool,
    LayerActivation,
    Shape,
)
from search_spaces.space import Suggest

STAGES = 3


@dataclass(frozen=True, slots=True)
class Mixed:
    """Each stage is of full convolutions or of depthwise + pointwise pairs, for images and signals.

    Early, where channels are few, a full convolution costs little more and says more; late, pairs save weights.

    Source: Tan and Le, EfficientNetV2: Smaller Models and Faster Training, arXiv:2104.00298, mix both.
    """

    name: str = "mixed"

    def build(self, trial: Suggest, *, input_shape: Shape, classes: int) -> ArchSpec:
        net, x = stem(trial, as_map(input_shape), widest=64)
        for stage in range(1, STAGES + 1):
            full = trial.suggest_categorical(f"kind_{stage}", ("full", "separable")) == "full"
            filters = width(trial, f"width_{stage}", 8, 128)
            blocks = trial.suggest_int(f"blocks_{stage}", 0 if stage > 1 else 1, 3)
            halve = trial.suggest_categorical(f"halve_{stage}", (True, False))
            shortcut = trial.suggest_categorical(f"shortcut_{stage}", (False, True))
            for block in range(blocks):
                stride = block_stride(net, x, halves=halve and block == 0)
                x = _block(net, x, full=full, filters=filters, stride=stride, shortcut=shortcut)
        flat = trial.suggest_categorical("head", ("average", "flatten")) == "flatten"
        x = net.add(Flatten(inputs=(x,)) if flat else GlobalAveragePool(inputs=(x,)))
        net.add(Dense(inputs=(x,), units=classes, activation="NONE"))
        return net.spec()


def _block(net: Sketch, source: int, *, full: bool, filters: int, stride: int, shortcut: bool) -> int:
    height, breadth, channels = net.shape_of(source)
    kernel, strides = along(height, breadth, 3), along(height, breadth, stride)
    joins = shortcut and stride == 1 and channels == filters
    activation: LayerActivation = "NONE" if joins else "RELU"
    if full:
        x = net.add(
            Conv(inputs=(source,), filters=filters, kernel=kernel, strides=strides, activation=activation)
        )
    else:
        x = net.add(DepthwiseConv(inputs=(source,), kernel=kernel, strides=(stride, stride)))
        x = net.add(Conv(inputs=(x,), filters=filters, kernel=(1, 1), activation=activation))
    return net.add(Add(inputs=(x, source), activation="RELU")) if joins else x


SPACE = Mixed()
