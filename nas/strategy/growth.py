"""What it is worth to train for longer than in full, learned from networks that a run trained at two rungs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nas.strategy.error_noise import ErrorNoise
from nas.strategy.gaussian_process import Array
from nas.strategy.screening import Screened

_RATE, _RATE_DEVIATION = 0.1, 0.1  # expected before anything is known
_SLOPE_DEVIATION = 0.02  # for each doubling of the multiplications
_SCATTER = 0.05  # of rates of networks of one size
# Beyond a training in full the same factor of steps adds so much of what it added below, for a network of the usual
# size; what larger ones gain more than those stays. Fashion-MNIST, networks of 0.24, 1.4 and 3.3 million
# multiplications: powers of 0.07, 0.12 and 0.11 to 0.22 beyond, where the line below was 0.19 + 0.02 a doubling;
# activities 0.1 below and nothing to 0.03 beyond (docs/results.md, what a longer last training is worth).
_FADES = 0.35
_UNSURE = 0.02  # deviation of the power beyond
_ENOUGH = 2  # networks that say something of a run, besides what is expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Longer:
    """One network after a shorter and after a longer training.

    Attributes:
        network: The network.
        steps: Training steps of the two.
        errors: Validation errors of the two.
    """

    network: Screened
    steps: tuple[int, int]
    errors: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """By which power of the training steps errors fall: a line over the logarithm of a network's multiplications.

    Large networks gain more by longer training than small ones on data that both have not learned yet, and no more on
    data that both have. A ridge regression tells the two apart.

    Attributes:
        rate: The power for a network of `size`, up to a training in full.
        slope: What is added for each doubling of the multiplications.
        size: Binary logarithm of multiplications.
        most: Doublings from `size` up or down to which the line is trusted.
        pairs: Networks that it was learned from.
    """

    rate: float
    slope: float
    size: float
    most: float
    pairs: int

    @property
    def known(self) -> bool:
        """Whether enough networks were seen to go by."""
        return self.pairs >= _ENOUGH

    def powers(self, networks: Sequence[Screened]) -> Array:
        """The power beyond a training in full. Shape: (n,)."""
        if not networks:
            return np.zeros(0)
        far = np.clip(_sizes(networks) - self.size, -self.most, self.most)
        return np.asarray(np.maximum(_FADES * self.rate + self.slope * far, 0.0))

    def fall(self, networks: Sequence[Screened], times: Array) -> tuple[Array, Array]:
        """By how much the logarithm of the error falls in a training `times` as long as in full, and how surely.

        Returns:
            Mean and deviation. Shape: (n,) each.
        """
        longer = np.log(np.maximum(times, 1.0))
        return np.asarray(self.powers(networks) * longer), np.asarray(_UNSURE * longer)


def learn_growth(seen: Iterable[Longer], noise: ErrorNoise) -> Growth:
    """The growth that so many networks showed.

    Args:
        seen: Networks that were trained twice.
        noise: How exact their errors are.
    """
    seen = list(seen)
    if not seen:
        return Growth(rate=_RATE, slope=0.0, size=0.0, most=0.0, pairs=0)
    sizes = _sizes([one.network for one in seen])
    size = float(sizes.mean())
    errors = np.array([one.errors for one in seen])
    doubled = np.array([math.log(one.steps[1] / one.steps[0]) for one in seen])
    rates = np.log(errors[:, 0] / errors[:, 1]) / doubled
    variance = (noise.variance(errors[:, 0]) + noise.variance(errors[:, 1])) / doubled**2 + _SCATTER**2
    features = np.stack([np.ones(len(seen)), sizes - size], 1)
    prior = np.diag([_RATE_DEVIATION**-2, _SLOPE_DEVIATION**-2])
    weighted = features / variance[:, None]
    rate, slope = np.linalg.solve(
        weighted.T @ features + prior, weighted.T @ rates + prior @ np.array([_RATE, 0.0])
    )
    most = float(np.abs(sizes - size).max())
    return Growth(rate=float(rate), slope=float(slope), size=size, most=most, pairs=len(seen))


def _sizes(networks: Sequence[Screened]) -> Array:
    """Binary logarithms of multiplications. Shape: (n,)."""
    return np.log2([max(1, one.costs.macs) if one.costs is not None else 1 for one in networks])
