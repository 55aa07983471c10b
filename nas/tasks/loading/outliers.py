"""Markers of missing values and outliers: values far from all others, that take the int8 range for themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.tasks.loading.sampling import thinned

Array = NDArray[np.generic]

_SAMPLED = 50_000
_MOST_COUNTED = 500_000
# Share of one value that counts as a state of its own (off, missing, zero), not as a measurement.
_ATOM = 0.05
_LEAST_REST = 0.005  # share of the other values, below which they are not a measurement either
_LEAST_DISTINCT = 8
_INFORMATIVE = 4.0  # times as many effective values as levels: else the levels tell what there is to tell
_FAR = 5.0  # times the spread of the others: a gap that no tail has
_MOST_OUTSIDE = 0.05  # share of values that can be outliers, unless they are one single value
_ROUNDS = 4
_MARKERS = 3  # distinct values that may all be markers
_LOST = 4.0  # effective levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """The values of a channel that its scaling is fitted on.

    Attributes:
        low: The least of them.
        high: The largest.
        outside: What was left out, in words: values, or their range.
        share: Of all values.
        single: Whether that is one value.
    """

    low: float
    high: float
    outside: str
    share: float
    single: bool


Kept = dict[int, Inside]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Values of one channel, thinned where there are many. Shape: (n,)."""

    values: Array

    @classmethod
    def sample(cls, samples: Array, channel: int) -> Channel:
        """The channel of all samples, at most some 50,000 values of it."""
        return cls(values=thinned(samples.reshape(-1, samples.shape[-1]), _SAMPLED)[:, channel])

    def effective_levels(self, codes: Callable[[Array], NDArray[np.int64]]) -> float | None:
        """Int8 levels among which the measured values spread evenly enough; None where no information is lost.

        Values that are states (zero, off) are set aside: they need one level each.
        """
        distinct, counts = np.unique(self.values, return_counts=True)
        atoms = counts >= _ATOM * len(self.values)
        states = codes(distinct[atoms])
        if len(np.unique(states)) < len(states):
            return 1.0
        rest, share = distinct[~atoms], counts[~atoms] / len(self.values)
        if len(rest) < _LEAST_DISTINCT or share.sum() < _LEAST_REST:
            return None
        share = share / share.sum()
        used = np.bincount(codes(rest), weights=share, minlength=256)
        levels, there = float(1 / (used**2).sum()), float(1 / (share**2).sum())
        return levels if there > _INFORMATIVE * levels else None


def find_outliers(values: Array, levels: float) -> Inside | None:
    """Values far from all others at either end of a channel, or None.

    Single values of any share (-9999, 65535, 0 for "missing"), or a few per cent of values beyond a wide gap. The
    latter may be what is to be recognized (pulses), so that they are left out only where the others are lost.

    Args:
        values: Values of the channel; of very many a sample, in which nothing is missed that fills 0.05 % of them.
        levels: Effective int8 levels that they use without leaving any out.
    """
    sample = thinned(values.reshape(-1, 1), _MOST_COUNTED).reshape(-1)
    distinct, counts = np.unique(sample.astype(np.float64), return_counts=True)
    total = int(counts.sum())
    first, last = 0, len(distinct) - 1
    for _ in range(_ROUNDS):
        left, weights = distinct[first : last + 1], counts[first : last + 1]
        if len(left) < 3:
            break
        spread = _spread(left, weights, total)
        low = _cut(left, weights, total, left[-1] - left[1] if spread is None else spread)
        high = _cut(-left[::-1], weights[::-1], total, left[-2] - left[0] if spread is None else spread)
        if low and high and spread is None:
            high = 0
        if not low and not high:
            break
        first, last = first + low, last - high
    left_out = [*range(first), *range(last + 1, len(distinct))]
    if not left_out or last <= first or (len(left_out) > _MARKERS and levels >= _LOST):
        return None
    return Inside(
        low=float(distinct[first]),
        high=float(distinct[last]),
        outside=_words(distinct[left_out]),
        share=int(counts[left_out].sum()) / total,
        single=len(left_out) == 1,
    )


def _spread(distinct: NDArray[np.float64], counts: NDArray[np.int64], total: int) -> float | None:
    """Width of the central 90 % of the values that are not states; None without enough of them."""
    measured = counts < _ATOM * total
    values, weights = distinct[measured], counts[measured]
    if len(values) < _LEAST_DISTINCT or weights.sum() < _LEAST_REST * total:
        return None
    below = np.cumsum(weights) / weights.sum()
    low = float(values[int(np.searchsorted(below, 0.05))])
    high = float(values[min(int(np.searchsorted(below, 0.95)), len(values) - 1)])
    return high - low if high > low else float(values[-1] - values[0])


def _cut(distinct: NDArray[np.float64], counts: NDArray[np.int64], total: int, spread: float) -> int:
    """How many of the lowest distinct values lie beyond the innermost wide gap."""
    gaps = np.diff(distinct)
    outside = np.cumsum(counts)[:-1] / total
    wide = gaps > _FAR * spread
    few = wide & (outside <= _MOST_OUTSIDE)
    if few.any():
        return int(np.flatnonzero(few)[-1]) + 1
    return 1 if wide[0] else 0


def _words(values: NDArray[np.float64]) -> str:
    if len(values) <= _MARKERS:
        return ", ".join(f"{value:.7g}" for value in values)
    return f"{len(values):,} values from {values[0]:.6g} to {values[-1]:.6g}"
