"""Depthwise-separable CNN: a full convolution as stem, then stages of depthwise + pointwise pairs."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.arch import ArchSpec
from search_spaces.axes import along, as_map, block_stride, stem, width
from search_spaces.layers import Conv, Dense, DepthwiseConv, Flatten, GlobalAveragePool, Shape
from search_spaces.space import Suggest

STAGES = 3


@dataclass(frozen=True, slots=True)
class DsCnn:
    """Depthwise-separable CNN for images and signals, after MobileNet and DS-CNN.

    Source: Zhang et al., Hello Edge: Keyword Spotting on Microcontrollers, arXiv:1711.07128.
    """

    name: str = "ds_cnn"

    def build(self, trial: Suggest, *, input_shape: Shape, classes: int) -> ArchSpec:
        net, x = stem(trial, as_map(input_shape), widest=64)
        for stage in range(1, STAGES + 1):
            filters = width(trial, f"width_{stage}", 8, 192)
            blocks = trial.suggest_int(f"blocks_{stage}", 0 if stage > 1 else 1, 3)
            kernel = trial.suggest_int(f"kernel_{stage}", 3, 5, step=2)
            halve = trial.suggest_categorical(f"halve_{stage}", (True, False))
            for block in range(blocks):
                height, breadth, _ = net.shape_of(x)
                stride = block_stride(net, x, halves=halve and block == 0)
                x = net.add(
                    DepthwiseConv(
                        inputs=(x,), kernel=along(height, breadth, kernel), strides=(stride, stride)
                    )
                )
                x = net.add(Conv(inputs=(x,), filters=filters, kernel=(1, 1)))
        # A small map is worth more with its places told apart, a large one costs flash and overfits that way.
        flat = trial.suggest_categorical("head", ("average", "flatten")) == "flatten"
        x = net.add(Flatten(inputs=(x,)) if flat else GlobalAveragePool(inputs=(x,)))
        net.add(Dense(inputs=(x,), units=classes, activation="NONE"))
        return net.spec()


SPACE = DsCnn()
