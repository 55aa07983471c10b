"""Plain CNN: convolutions and max pooling, ending in a dense head."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.arch import ArchSpec
from search_spaces.axes import SMALLEST, along, as_map, stem, width
from search_spaces.layers import Conv, Dense, Flatten, GlobalAveragePool, MaxPool, Shape
from search_spaces.space import Suggest

STAGES = 3


@dataclass(frozen=True, slots=True)
class Plain:
    """Convolutions, max pooling, and a dense head after the flattened or averaged map.

    The fewest operator kinds of all spaces, so the least code to link.
    """

    name: str = "plain"

    def build(self, trial: Suggest, *, input_shape: Shape, classes: int) -> ArchSpec:
        net, x = stem(trial, as_map(input_shape), widest=32)
        for stage in range(1, STAGES + 1):
            filters = width(trial, f"width_{stage}", 4, 96)
            blocks = trial.suggest_int(f"blocks_{stage}", 0, 2)
            kernel = trial.suggest_int(f"kernel_{stage}", 1, 5, step=2)
            height, breadth, _ = net.shape_of(x)
            if trial.suggest_categorical(f"pool_{stage}", (True, False)) and max(height, breadth) >= SMALLEST:
                window = along(height, breadth, 2)
                x = net.add(MaxPool(inputs=(x,), kernel=window, strides=window))
            for _ in range(blocks):
                height, breadth, _ = net.shape_of(x)
                x = net.add(Conv(inputs=(x,), filters=filters, kernel=along(height, breadth, kernel)))
        flat = trial.suggest_categorical("head", ("average", "flatten")) == "flatten"
        x = net.add(Flatten(inputs=(x,)) if flat else GlobalAveragePool(inputs=(x,)))
        hidden = trial.suggest_int("hidden", 0, 64, step=8)
        if hidden:
            x = net.add(Dense(inputs=(x,), units=hidden))
        net.add(Dense(inputs=(x,), units=classes, activation="NONE"))
        return net.spec()


SPACE = Plain()
