"""Inverted residuals: expand, filter by depth, project, and add the input where the shapes agree."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.arch import ArchSpec, Sketch
from search_spaces.axes import along, as_map, block_stride, stem, width
from search_spaces.layers import Add, Conv, Dense, DepthwiseConv, GlobalAveragePool, Shape
from search_spaces.space import Suggest

STAGES = 4


@dataclass(frozen=True, slots=True)
class Mbv2:
    """Stages of inverted residuals with linear bottlenecks, for images and signals.

    Source: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv:1801.04381.
    """

    name: str = "mbv2"

    def build(self, trial: Suggest, *, input_shape: Shape, classes: int) -> ArchSpec:
        net, x = stem(trial, as_map(input_shape), widest=32, activation="RELU6")
        for stage in range(1, STAGES + 1):
            filters = width(trial, f"width_{stage}", 4, 96)
            blocks = trial.suggest_int(f"blocks_{stage}", 0 if stage > 1 else 1, 3)
            expand = trial.suggest_int(f"expand_{stage}", 1, 6)
            kernel = trial.suggest_int(f"kernel_{stage}", 3, 5, step=2)
            halve = trial.suggest_categorical(f"halve_{stage}", (True, False))
            for block in range(blocks):
                stride = block_stride(net, x, halves=halve and block == 0)
                x = _block(net, x, filters=filters, expand=expand, kernel=kernel, stride=stride)
        head = trial.suggest_int("head_width", 0, 256, step=32)
        if head:
            x = net.add(Conv(inputs=(x,), filters=head, kernel=(1, 1), activation="RELU6"))
        x = net.add(GlobalAveragePool(inputs=(x,)))
        net.add(Dense(inputs=(x,), units=classes, activation="NONE"))
        return net.spec()


def _block(net: Sketch, source: int, *, filters: int, expand: int, kernel: int, stride: int) -> int:
    height, breadth, channels = net.shape_of(source)
    x = source
    if expand > 1:
        x = net.add(Conv(inputs=(x,), filters=channels * expand, kernel=(1, 1), activation="RELU6"))
    x = net.add(
        DepthwiseConv(
            inputs=(x,),
            kernel=along(height, breadth, kernel),
            strides=(stride, stride),
            activation="RELU6",
        )
    )
    x = net.add(Conv(inputs=(x,), filters=filters, kernel=(1, 1), activation="NONE"))
    if stride == 1 and filters == channels:
        x = net.add(Add(inputs=(source, x)))
    return x


SPACE = Mbv2()
