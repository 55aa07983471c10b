"""Dense layers over a vector, or over a map that was averaged down first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from search_spaces.arch import ArchSpec, Sketch
from search_spaces.axes import along, as_map, width
from search_spaces.layers import INPUT, AveragePool, Dense, Flatten, Shape
from search_spaces.space import Suggest

LAYERS = 3


@dataclass(frozen=True, slots=True)
class Mlp:
    """One to three hidden dense layers. Cheapest in code and cycles where features are few or made by hand."""

    name: str = "mlp"

    def build(self, trial: Suggest, *, input_shape: Shape, classes: int) -> ArchSpec:
        pooled = trial.suggest_int("pool_log2", *_pool_range(input_shape))
        if pooled:
            height, breadth, channels = as_map(input_shape)
            window = along(height, breadth, 2**pooled)
            net = Sketch((height, breadth, channels))
            x = net.add(AveragePool(inputs=(INPUT,), kernel=window, strides=window))
            x = net.add(Flatten(inputs=(x,)))
        else:
            net = Sketch((math.prod(input_shape),))  # in a row already: no operator needed
            x = INPUT
        layers = trial.suggest_int("layers", 1, LAYERS)
        for layer in range(1, LAYERS + 1):
            units = width(trial, f"units_{layer}", 4, 256)
            if layer <= layers:
                x = net.add(Dense(inputs=(x,), units=units))
        net.add(Dense(inputs=(x,), units=classes, activation="NONE"))
        return net.spec()


def _pool_range(input_shape: Shape) -> tuple[int, int]:
    """Smallest and largest exponent of two of the window: at most 4096 elements, at least 4 places a side."""
    if len(input_shape) == 1:
        return 0, 0
    height, breadth, channels = as_map(input_shape)

    def elements(exponent: int) -> int:
        return max(1, height >> exponent) * max(1, breadth >> exponent) * channels

    sides = [side for side in (height, breadth) if side > 1] or [1]
    high = 0
    while min(sides) >> (high + 1) >= 4:
        high += 1
    low = 0
    while low < high and elements(low) > 4096:
        low += 1
    return low, high


SPACE = Mlp()
