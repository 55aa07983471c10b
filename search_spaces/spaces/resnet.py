"""Residual CNN: stages of two-convolution blocks with a shortcut around each."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.arch import ArchSpec, Sketch
from search_spaces.axes import along, as_map, block_stride, stem, width
from search_spaces.layers import Add, Conv, Dense, GlobalAveragePool, Shape
from search_spaces.space import Suggest

STAGES = 3


@dataclass(frozen=True, slots=True)
class ResNet:
    """Basic residual blocks for images and signals, narrow enough for a microcontroller.

    Source: He et al., Deep Residual Learning for Image Recognition, arXiv:1512.03385.
    """

    name: str = "resnet"

    def build(self, trial: Suggest, *, input_shape: Shape, classes: int) -> ArchSpec:
        net, x = stem(trial, as_map(input_shape), widest=32)
        for stage in range(1, STAGES + 1):
            filters = width(trial, f"width_{stage}", 4, 64)
            blocks = trial.suggest_int(f"blocks_{stage}", 0 if stage > 1 else 1, 3)
            halve = trial.suggest_categorical(f"halve_{stage}", (True, False))
            for block in range(blocks):
                stride = block_stride(net, x, halves=halve and block == 0)
                x = _block(net, x, filters=filters, stride=stride)
        x = net.add(GlobalAveragePool(inputs=(x,)))
        net.add(Dense(inputs=(x,), units=classes, activation="NONE"))
        return net.spec()


def _block(net: Sketch, source: int, *, filters: int, stride: int) -> int:
    height, breadth, channels = net.shape_of(source)
    kernel = along(height, breadth, 3)
    strides = along(height, breadth, stride)
    x = net.add(Conv(inputs=(source,), filters=filters, kernel=kernel, strides=strides))
    height, breadth, _ = net.shape_of(x)
    x = net.add(Conv(inputs=(x,), filters=filters, kernel=along(height, breadth, 3), activation="NONE"))
    shortcut = source
    if stride != 1 or channels != filters:
        shortcut = net.add(
            Conv(inputs=(source,), filters=filters, kernel=(1, 1), strides=strides, activation="NONE")
        )
    return net.add(Add(inputs=(x, shortcut), activation="RELU"))


SPACE = ResNet()
