"""A search space of one's own: two convolutions with a pool between them, for pictures and signals."""

from dataclasses import dataclass

from search_spaces.arch import Sketch
from search_spaces.axes import along, as_map
from search_spaces.layers import INPUT, Conv, Dense, GlobalAveragePool, MaxPool


@dataclass(frozen=True)
class TwoStages:
    name: str = "two_stages"

    def build(self, trial, *, input_shape, classes):
        height, width, _ = shape = as_map(input_shape)  # a signal (time, channels) is a map of width 1
        net = Sketch(shape)
        filters = trial.suggest_int("filters", 4, 32, step=4)
        growth = trial.suggest_int("growth", 1, 3)
        kernel, halves = along(height, width, 3), along(height, width, 2)
        x = net.add(Conv(inputs=(INPUT,), filters=filters, kernel=kernel))
        x = net.add(MaxPool(inputs=(x,), kernel=halves, strides=halves))
        x = net.add(Conv(inputs=(x,), filters=filters * growth, kernel=kernel))
        x = net.add(GlobalAveragePool(inputs=(x,)))
        net.add(Dense(inputs=(x,), units=classes, activation="NONE"))
        return net.spec()


SPACE = TwoStages()
