"""Dense layers that narrow and widen again: a network that rebuilds its input, for finding anomalies."""

from __future__ import annotations

import math
from dataclasses import dataclass

from search_spaces.arch import ArchSpec, Sketch
from search_spaces.axes import width
from search_spaces.layers import INPUT, Dense, Shape
from search_spaces.space import Suggest

LAYERS = 4


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """Zero to four dense layers on either side of a narrow one, mirrored.

    What a network cannot carry through the narrow layer it must know of normal samples: others it rebuilds badly.
    Without a hidden layer it is the projection on a few directions, as principal components are.

    Source: Koizumi et al., Description and Discussion on DCASE2020 Challenge Task 2, arXiv:2006.05822.
    """

    name: str = "autoencoder"

    def build(self, trial: Suggest, *, input_shape: Shape, classes: int) -> ArchSpec:
        elements = math.prod(input_shape)
        net = Sketch((elements,))
        layers = trial.suggest_int("layers", 0, LAYERS)
        units = [width(trial, f"units_{layer}", 8, 256) for layer in range(1, LAYERS + 1)][:layers]
        narrow = trial.suggest_int("narrow", 2, max(2, min(64, elements - 1)), log=True)
        x = INPUT
        for size in (*units, narrow, *reversed(units)):
            x = net.add(Dense(inputs=(x,), units=size))
        net.add(Dense(inputs=(x,), units=classes, activation="NONE"))
        return net.spec()


SPACE = Autoencoder()
