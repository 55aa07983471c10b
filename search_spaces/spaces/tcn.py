"""Temporal CNN: convolutions along time only, everything else at one instant is channels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cost_models.errors import UserError
from search_spaces.arch import ArchSpec, Sketch
from search_spaces.axes import stem_kernel, stem_strides, width
from search_spaces.layers import INPUT, Add, Conv, Dense, GlobalAveragePool, Shape
from search_spaces.space import Suggest

STAGES = 4
SMALLEST = 4  # a signal shorter than this is not halved any more


@dataclass(frozen=True, slots=True)
class Tcn:
    """Residual blocks of temporal convolutions, for signals and spectrograms.

    A spectrogram or image (time, features, channels) becomes a signal of features x channels. The receptive
    field grows by strides: CMSIS-NN gathers dilated inputs element by element.

    Source: Choi et al., Temporal Convolution for Real-time Keyword Spotting on Mobile Devices, arXiv:1904.03814.
    """

    name: str = "tcn"

    def build(self, trial: Suggest, *, input_shape: Shape, classes: int) -> ArchSpec:
        if len(input_shape) < 2:
            raise UserError(
                f"The search space tcn needs an axis of time: (time, channels), not {input_shape}.",
                "For plain vectors take the space mlp.",
            )
        length = input_shape[0]
        net = Sketch((length, 1, math.prod(input_shape[1:])))
        stride = 2 ** trial.suggest_int("stem_stride_log2", *stem_strides(length, 1))
        kernel = stem_kernel(trial.suggest_int("stem_kernel", 3, 7, step=2), stride)
        x = net.add(
            Conv(
                inputs=(INPUT,),
                filters=width(trial, "stem_width", 4, 32),
                kernel=(kernel, 1),
                strides=(stride, 1),
            )
        )
        kernel = trial.suggest_int("kernel", 3, 9, step=2)
        for stage in range(1, STAGES + 1):
            filters = width(trial, f"width_{stage}", 4, 96)
            blocks = trial.suggest_int(f"blocks_{stage}", 0 if stage > 1 else 1, 2)
            halve = trial.suggest_categorical(f"halve_{stage}", (True, False))
            for block in range(blocks):
                halved = halve and block == 0 and net.shape_of(x)[0] >= SMALLEST
                x = _block(net, x, filters=filters, kernel=kernel, stride=2 if halved else 1)
        x = net.add(GlobalAveragePool(inputs=(x,)))
        net.add(Dense(inputs=(x,), units=classes, activation="NONE"))
        return net.spec()


def _block(net: Sketch, source: int, *, filters: int, kernel: int, stride: int) -> int:
    strides = (stride, 1)
    x = net.add(Conv(inputs=(source,), filters=filters, kernel=(kernel, 1), strides=strides))
    x = net.add(Conv(inputs=(x,), filters=filters, kernel=(kernel, 1), activation="NONE"))
    shortcut = source
    if stride != 1 or net.shape_of(source)[2] != filters:
        shortcut = net.add(
            Conv(inputs=(source,), filters=filters, kernel=(1, 1), strides=strides, activation="NONE")
        )
    return net.add(Add(inputs=(x, shortcut), activation="RELU"))


SPACE = Tcn()
