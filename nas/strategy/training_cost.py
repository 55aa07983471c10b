"""How long trainings are expected to take, relative to each other."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from nas.strategy.gaussian_process import Array
from nas.strategy.screening import Screened
from search_spaces.arch import ArchSpec
from search_spaces.layers import Conv, Dense, DepthwiseConv

_RATES = (0.3, 0.045, 1.0e-4, 4.2e-9, 1.8e-7)  # seconds, see `expected_seconds`
_WIDE_SHARE = 0.6  # of the steps are done before channels are pruned


def expected_seconds(networks: Sequence[Screened], steps: int) -> Array:
    """About how long trainings take, relative to each other: what is measured would make a run unrepeatable.

    Start, then graphs by layer (two with channel pruning), then steps by layer, by multiplication and by element that
    layers put out: batch norm, activations and depthwise convolutions take what memory takes, whatever they multiply.
    Shape: (n,).

    Source: fitted to 1,171 trainings of eight runs on one CPU (pictures, motion, spoken digits), with a pace for each
    run: what is left deviates by 12 to 29 %.
    """
    work = np.array([_work(one, steps) for one in networks])
    return np.asarray(work @ np.array(_RATES))


def _work(network: Screened, steps: int) -> tuple[float, ...]:
    wide = _step(network.candidate.wide)
    if network.candidate.prune_ratio == 0:
        graphs, step = wide[0], wide
    else:
        narrow = _step(network.candidate.narrow)
        graphs = 2 * wide[0]
        step = tuple(_WIDE_SHARE * a + (1 - _WIDE_SHARE) * b for a, b in zip(wide, narrow, strict=True))
    return 1.0, graphs, *(steps * each for each in step)


def _step(spec: ArchSpec) -> tuple[float, ...]:
    """Layers, and multiplications and elements put out for one sample."""
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
    return float(len(spec.layers)), float(multiplications), float(elements)
