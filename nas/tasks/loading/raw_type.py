"""One raw type for all parts, in which every part's values survive; and parts that are of different units."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.trained import RawType
from nas.tasks.loading.mapped import chunks
from nas.tasks.loading.sampling import thinned

Array = NDArray[np.generic]

LARGEST = 1e36  # beyond it float32 arithmetic overflows once an offset or a scale is applied
_BOUNDS: dict[RawType, tuple[int, int]] = {"uint8": (0, 255), "int16": (-32768, 32767)}
_OTHER_UNIT = 50.0  # times as large at every quantile: no subject, gain or quiet recording does that
_DOUBTFUL = 8.0
_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
_LEAST_VALUES = 10  # of a channel other than zero: fewer do not tell its scale
_SAMPLED = 200_000  # values of a channel that quantiles are taken of


def check_values(array: Array, what: str) -> None:
    """Refuses what is not a real number, or what float32 arithmetic on the chip cannot hold.

    Raises:
        UserError: Text, complex numbers, NaN, infinities, or magnitudes beyond float32.
    """
    if array.dtype.kind == "c":
        raise UserError(
            f"{what} holds {array.dtype}, complex numbers.",
            "Store magnitudes, or real and imaginary parts as two channels.",
        )
    if array.dtype.kind not in "iufb":
        raise UserError(f"{what} holds {array.dtype}, not numbers.", "Store samples as integers or floats.")
    if array.dtype.kind != "f" or not array.size:
        return
    first, low, high = 0, math.inf, -math.inf
    for chunk in chunks(array):
        finite = np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
        if not finite.all():
            bad = first + int(np.argmin(finite))
            raise UserError(
                f"{what} has NaN or infinite values (first in sample {bad}, from 0).",
                "Remove these samples, or fill the gaps in them.",
            )
        low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
        first += len(chunk)
    if max(-low, high) > LARGEST:
        raise UserError(
            f"{what} has values from {low:g} to {high:g}, beyond the range of float32.",
            "The chip computes in float32: replace markers of missing values, or use a larger unit.",
        )


def common_raw_type(samples: Mapping[str, Array]) -> RawType:
    """The smallest type that holds the values of every part exactly, or float32.

    The training part decides what the data are (bytes of a camera, integers of a converter, floats); the others may
    be stored in any type that holds the same values.
    """
    kind = samples["train"].dtype
    if kind == np.uint8 and all(_survives(array, "uint8") for array in samples.values()):
        return "uint8"
    if kind.kind in "iub" and all(_survives(array, "int16") for array in samples.values()):
        return "int16"
    return "float32"


def _survives(array: Array, raw_type: RawType) -> bool:
    """Whether every value is an integer within the bounds of the type."""
    low, high = _BOUNDS[raw_type]
    if array.min() < low or array.max() > high:
        return False
    return array.dtype.kind in "iub" or all(bool((chunk == np.floor(chunk)).all()) for chunk in chunks(array))


def check_scales(samples: Mapping[str, Array], name: str) -> list[str]:
    """Compares the magnitudes of the parts, by channel.

    A part in another unit is larger (or smaller) by the same factor at every quantile; a shifted subject, a quiet
    recording or a few outliers are not.

    Returns:
        A note for each part that is doubtful.

    Raises:
        UserError: A part is plainly in another unit than the training part.
    """
    notes = []
    train = _magnitudes(samples["train"])
    for part in ("val", "test"):
        factors = _factors(train, _magnitudes(samples[part]))
        if not factors:
            continue
        channel = max(factors, key=lambda c: max(factors[c], 1 / factors[c]))
        factor = factors[channel]
        apart = max(factor, 1 / factor)
        where = f" (channel {channel})" if samples["train"].shape[-1] > 1 else ""
        ranges = (
            f"X_train runs from {_range(samples['train'], channel)},"
            f" X_{part} from {_range(samples[part], channel)}{where}"
        )
        if apart >= _OTHER_UNIT:
            raise UserError(
                f"{name}: the parts are on different scales: {ranges}.", "Bring all parts to one unit."
            )
        if apart >= _DOUBTFUL:
            word = "larger" if factor > 1 else "smaller"
            notes.append(
                f"The values of X_{part} are {apart:.0f} times {word} than those of X_train: {ranges}."
            )
    return notes


def _magnitudes(array: Array) -> NDArray[np.float64]:
    """Quantiles of the absolute values of each channel, 0 where too few values tell. Shape: (channels, quantiles)."""
    sample = np.abs(thinned(array.reshape(-1, array.shape[-1]), _SAMPLED).astype(np.float64))
    quantiles = np.asarray(np.quantile(sample, _QUANTILES, axis=0).T, np.float64)
    quantiles[np.count_nonzero(sample, axis=0) < _LEAST_VALUES] = 0
    return quantiles


def _factors(train: NDArray[np.float64], other: NDArray[np.float64]) -> dict[int, float]:
    """The factor by channel that all quantiles agree on; channels without any are left out."""
    factors = {}
    for channel, (a, b) in enumerate(zip(train, other, strict=True)):
        known = (a > 0) & (b > 0)
        if known.sum() < 3:
            continue
        ratios = b[known] / a[known]
        if ratios.min() > 1:
            factors[channel] = float(ratios.min())
        elif ratios.max() < 1:
            factors[channel] = float(ratios.max())
    return factors


def _range(array: Array, channel: int) -> str:
    column = array[..., channel]
    return f"{float(column.min()):.6g} to {float(column.max()):.6g}"
