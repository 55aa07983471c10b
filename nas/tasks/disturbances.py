"""What sensors do to samples: noise, another gain, an offset, lost readings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Disturb = Callable[[Reals, Reals, np.random.Generator], Reals]
"""A function of samples (n, ..., channels), the deviation of each channel, and a source of chance."""

MOST_NOISE, MOST_OFFSET = 0.3, 0.25  # deviations of a channel
GAINS = (0.8, 1.25)
MOST_LOST = 0.2  # of the readings


def _noise(share: float) -> Disturb:
    return lambda values, deviation, rng: values + rng.normal(size=values.shape) * (share * deviation)


def _gain(factor: float) -> Disturb:
    return lambda values, deviation, rng: values * factor


def _offset(share: float) -> Disturb:
    return lambda values, deviation, rng: values + share * deviation


def _lost(share: float) -> Disturb:
    def lose(values: Reals, deviation: Reals, rng: np.random.Generator) -> Reals:
        lost = rng.random(values.shape[:-1] if values.ndim > 2 else values.shape) < share
        if values.ndim == 3:  # a signal: what was read last stays
            lost[:, 0] = False
            last = np.maximum.accumulate(np.where(lost, 0, np.arange(values.shape[1])), axis=1)
            return np.take_along_axis(values, last[:, :, None], axis=1)
        if values.ndim == 2:
            return np.where(lost, values.mean(axis=0), values)
        return np.where(lost[..., None], values.min(), values)

    return lose


DISTURBANCES: dict[str, Disturb] = {
    "noise of 0.1 deviations": _noise(0.1),
    f"noise of {MOST_NOISE:g} deviations": _noise(MOST_NOISE),
    f"gain {GAINS[0]:g}": _gain(GAINS[0]),
    f"gain {GAINS[1]:g}": _gain(GAINS[1]),
    f"offset of {MOST_OFFSET:g} deviations": _offset(MOST_OFFSET),
    f"offset of {-MOST_OFFSET:g} deviations": _offset(-MOST_OFFSET),
    "5 % of readings lost": _lost(0.05),
    f"{100 * MOST_LOST:g} % of readings lost": _lost(MOST_LOST),
}


def deviations_of(values: Reals) -> Reals:
    """The standard deviation of each channel. Shape: (n, ..., channels) -> (channels,)."""
    return np.asarray(values.std(axis=tuple(range(values.ndim - 1))))


def disturbed_in_turn(raw: NDArray[np.generic], rng: np.random.Generator) -> NDArray[np.generic]:
    """Samples that are disturbed, each by one of `DISTURBANCES`, all of them as often. Shape: that of the samples."""
    values = raw.astype(np.float64)
    deviation = deviations_of(values)
    turns = rng.permutation(len(raw)) % len(DISTURBANCES)
    for turn, disturb in enumerate(DISTURBANCES.values()):
        rows = turns == turn
        if rows.any():
            values[rows] = disturb(values[rows], deviation, rng)
    return as_raw(values, raw.dtype)


def as_raw(values: Reals, dtype: np.dtype[Any]) -> NDArray[np.generic]:
    """Values as a sensor's converter would state them: rounded, and saturated to the type."""
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(values), limits.min, limits.max).astype(dtype)
