"""How long trainings are expected to take, relative to each other."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from nas.model.recipe import TrainingRecipe
from nas.strategy.gaussian_process import Array
from nas.strategy.screening import Screened
from search_spaces.arch import ArchSpec
from search_spaces.layers import Conv, Dense, DepthwiseConv

_START, _LAYER = 0.3, 0.045  # seconds
_STEP = (1.0e-4, 4.2e-9, 1.8e-7)  # seconds by layer, by multiplication and by element of a sample
_WIDE_SHARE = TrainingRecipe().wide_share


def expected_seconds(networks: Sequence[Screened], steps: int) -> Array:
    """About how long trainings take, relative to each other: what is measured would make a run unrepeatable.

    Shape: (n,).
    """
    return seconds_of([training_times(one) for one in networks], steps)


def seconds_of(times: Sequence[tuple[float, float]], steps: int) -> Array:
    """The same by `training_times` that are known already. Shape: (n,)."""
    before, step = np.array(times).reshape(-1, 2).T
    return np.asarray(before + steps * step)


def training_times(network: Screened) -> tuple[float, float]:
    """Expected seconds before the first step of a training, and of each step.

    Start and graphs by layer (two with channel pruning); then by layer, by multiplication and by element that layers
    put out: batch norm, activations and depthwise convolutions take what memory takes, whatever they multiply.

    Source: fitted to 1,171 trainings of eight runs on one CPU (pictures, motion, spoken digits), with a pace for each
    run: what is left deviates by 12 to 29 %.
    """
    wide, ratio = network.candidate.wide, network.candidate.prune_ratio
    step = _step_seconds(wide)
    if ratio:
        step = _WIDE_SHARE * step + (1 - _WIDE_SHARE) * _step_seconds(network.candidate.narrow)
    return _START + _LAYER * len(wide.layers) * (2 if ratio else 1), step


def _step_seconds(spec: ArchSpec) -> float:
    multiplications = elements = 0
    for layer, shape in zip(spec.layers, spec.shapes, strict=True):
        size = prod(shape)
        elements += size
        match layer:
            case Conv():
                multiplications += size * prod(layer.kernel) * spec.shape_of(layer.inputs[0])[-1]
            case DepthwiseConv():
                multiplications += size * prod(layer.kernel)
            case Dense():
                multiplications += size * spec.shape_of(layer.inputs[0])[-1]
    return _STEP[0] * len(spec.layers) + _STEP[1] * multiplications + _STEP[2] * elements
