"""The scaling from raw samples to the int8 input, fitted on the training part, and what it leaves of each channel.

Bytes become [0, 1], so that the int8 input is just `raw - 128`. Other numbers are standardized by channel, and one
range holds 99.9 % of the values. Then the int8 levels that each channel uses are counted: where markers of missing
values or outliers leave the others too few, the scaling is fitted without them, and this is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.trained import Preprocess, RawType
from nas.model.words import listed
from nas.tasks.loading.mapped import chunks, extremes
from nas.tasks.loading.outliers import Channel, Kept, find_outliers

Array = NDArray[np.generic]

# In float32 the inverse of its deviation, folded with the input's scale, still is a number.
_LEAST_SPREAD = 1e-30
_DOUBLE_NOISE = 1e-14  # relative: rounding of float64 sums, no information
_ENOUGH = 16.0  # effective int8 levels of a channel, below which a better scaling is looked for
_TOO_FEW = 4.0  # and below which the user hears of it
_MOST_ROUNDING = 0.25  # of an int8 step, that float32 may cost
_MOST_SHADES = 16
_OUTER = 0.0005  # share of the values that may lie beyond either end of the range
_NAMED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """A fitted scaling.

    Attributes:
        preprocess: Raw samples to real-valued inputs.
        input_range: Range of the input quantization.
        constant: Channels that hold a single value in the training part.
        levels: int8 levels that each channel uses in the training part.
        notes: What was left out or cannot be represented, in words.
    """

    preprocess: Preprocess
    input_range: tuple[float, float]
    constant: tuple[int, ...]
    levels: tuple[int, ...]
    notes: tuple[str, ...]


def fit_scaling(samples: Mapping[str, Array], raw_type: RawType, name: str) -> Scaling:
    """The scaling of raw samples and the range of the int8 input.

    Args:
        samples: The parts as they were read; of val and test only the largest byte counts.
            Shape: (n, ..., channels).
        raw_type: What the samples are stored as.
        name: The task, for messages.

    Raises:
        UserError: A channel varies less than float32 can tell, or none varies at all.
    """
    train = samples["train"]
    constant = _constant_channels(train, name)
    if len(constant) == train.shape[-1]:
        raise UserError(
            f"{name}: every channel of the training part holds a single value.",
            "There is nothing to learn from: look at how the samples were read or recorded.",
        )
    if raw_type == "uint8":
        # Small bytes (pictures of 16 shades) get the whole range.
        largest = max(int(extremes(array)[1].max()) for array in samples.values())
        top = 255.0 if largest > _MOST_SHADES else float(max(largest, 1))
        preprocess = Preprocess(raw_type="uint8", offset=(0.0,), scale=(1.0 / top,))
        fitted = _Fitted(preprocess=preprocess, input_range=(0.0, 1.0))
        return _scaling(train, fitted, constant, [])
    fitted = _standardize(train, raw_type, constant)
    notes: list[str] = []
    poor = _poor_channels(train, fitted, constant)
    if poor:
        fitted, notes = _repair(train, fitted, constant, poor)
    _check_rounding(train, fitted, name)
    return _scaling(train, fitted, constant, notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitted:
    preprocess: Preprocess
    input_range: tuple[float, float]

    def codes(self, channel: int, values: Array) -> NDArray[np.int64]:
        """The int8 codes of one channel's raw values, counted from 0."""
        low, high = self.input_range
        inputs = _apply(self.preprocess, channel, values)
        codes = np.rint((np.clip(inputs, low, high) - low) * (255 / (high - low)))
        return np.asarray(codes, np.int64)


def _apply(preprocess: Preprocess, channel: int, values: Array) -> NDArray[np.float32]:
    index = channel if len(preprocess.offset) > 1 else 0
    alone = replace(preprocess, offset=(preprocess.offset[index],), scale=(preprocess.scale[index],))
    return alone.apply(values)


def _constant_channels(train: Array, name: str) -> tuple[int, ...]:
    """Channels of one value. Integers are compared as such: float64 would not tell those beyond 2^53 apart.

    Raises:
        UserError: The values of a channel differ, but not in float32.
    """
    lows, highs = extremes(train)
    constant = []
    for channel, (low, high) in enumerate(zip(lows.tolist(), highs.tolist(), strict=True)):
        spread, size = abs(high - low), max(abs(high), abs(low))
        if low == high or (train.dtype.kind == "f" and spread <= _DOUBLE_NOISE * size):
            constant.append(channel)
        elif spread < _LEAST_SPREAD:
            raise UserError(
                f"{name}: channel {channel} of X_train varies by {spread:.3g} only, too little for float32.",
                "Store it in a smaller unit (nano, pico ...).",
            )
        elif np.float32(low) == np.float32(high):
            raise _too_fine(name, channel, train, spread, size)
    return tuple(constant)


def _standardize(
    train: Array, raw_type: RawType, constant: tuple[int, ...], kept: Kept | None = None
) -> _Fitted:
    """Zero mean and unit deviation of each channel, and the range of 99.9 % of all values."""
    mean, deviation = _moments(train, kept or {})
    deviation[list(constant)] = 1.0
    deviation = np.where(deviation > 0, deviation, 1.0)
    return _with_range(
        train, Preprocess(raw_type=raw_type, offset=_floats(mean), scale=_floats(1.0 / deviation)), kept
    )


def _floats(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(np.float32(value)) for value in values)


def _with_range(train: Array, preprocess: Preprocess, kept: Kept | None) -> _Fitted:
    # What was left out must not widen the range.
    low, high = _outer(
        (
            preprocess.apply(chunk)[_inside(chunk, kept)] if kept else preprocess.apply(chunk).reshape(-1)
            for chunk in chunks(train)
        ),
        train.size,
    )
    # The range must hold zero, or the quantized zero (padding) would not exist.
    return _Fitted(preprocess=preprocess, input_range=(min(low, -0.1), max(high, 0.1)))


def _moments(train: Array, kept: Kept) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel, in two passes. Shape: (channels,) each."""
    channels = train.shape[-1]
    count, total = np.zeros(channels), np.zeros(channels)
    for chunk in chunks(train):
        inside = _inside(chunk, kept)
        count += inside.reshape(-1, channels).sum(axis=0)
        total += np.where(inside, chunk, 0).reshape(-1, channels).sum(axis=0, dtype=np.float64)
    mean = total / count
    squares = np.zeros(channels)
    for chunk in chunks(train):
        away = np.where(_inside(chunk, kept), chunk.astype(np.float64) - mean, 0.0)
        squares += np.square(away).reshape(-1, channels).sum(axis=0)
    return mean, np.sqrt(squares / count)


def _inside(chunk: Array, kept: Kept) -> NDArray[np.bool_]:
    """Which values the scaling is fitted on. Shape: that of `chunk`."""
    inside = np.ones(chunk.shape, bool)
    for channel, bounds in kept.items():
        values = chunk[..., channel].astype(np.float64)
        inside[..., channel] = (values >= bounds.low) & (values <= bounds.high)
    return inside


def _outer(pieces: Iterable[NDArray[np.float32]], most: int) -> tuple[float, float]:
    """The 0.05th and the 99.95th percentile, exactly, without all values in memory.

    Args:
        pieces: The values. Shape: (n,) each.
        most: At least as many as there are.
    """
    keep = int(_OUTER * most) + 2
    low, high = np.empty(0, np.float32), np.empty(0, np.float32)
    count = 0
    for piece in pieces:
        count += len(piece)
        low, high = np.concatenate([low, piece]), np.concatenate([high, piece])
        if len(low) > keep:
            low = np.partition(low, keep - 1)[:keep]
            high = np.partition(high, len(high) - keep)[-keep:]
    rank = _OUTER * (count - 1)
    places = np.array([int(rank), min(int(rank) + 1, count - 1)])
    share = rank - int(rank)
    least, largest = np.sort(low)[places].astype(np.float64), np.sort(high)[::-1][places].astype(np.float64)
    return float(least[0] + share * (least[1] - least[0])), float(
        largest[0] + share * (largest[1] - largest[0])
    )


def _poor_channels(train: Array, fitted: _Fitted, constant: tuple[int, ...]) -> dict[int, float]:
    """Channels that carry more than the int8 levels they use can tell, with their effective levels."""
    poor = {}
    for channel in range(train.shape[-1]):
        if channel in constant:
            continue
        levels = Channel.sample(train, channel).effective_levels(partial(fitted.codes, channel))
        if levels is not None and levels < _ENOUGH:
            poor[channel] = levels
    return poor


def _repair(
    train: Array, fitted: _Fitted, constant: tuple[int, ...], poor: dict[int, float]
) -> tuple[_Fitted, list[str]]:
    """A scaling that leaves the poor channels more levels, and what was done for it, in words."""
    raw_type = fitted.preprocess.raw_type
    notes = []
    kept: Kept = {}
    for channel, levels in poor.items():
        if (bounds := find_outliers(train[..., channel], levels)) is not None:
            kept[channel] = bounds
    if kept:
        better = _standardize(train, raw_type, constant, kept)
        left = _poor_channels(train, better, constant)
        if _gain({channel: poor[channel] for channel in kept}, left) >= 2:
            fitted, poor = better, left
            notes += _outlier_notes(kept, train.shape[-1])
    for channel, levels in list(poor.items())[:_NAMED]:
        if levels < _TOO_FEW:
            where = f"channel {channel}" if train.shape[-1] > 1 else "the input"
            notes.append(
                f"Most values of {where} share {max(1, round(levels))} of 256 int8 levels: they differ little beside"
                " the range of all values; a logarithm may keep more."
            )
    return fitted, notes


def _gain(before: dict[int, float], after: dict[int, float]) -> float:
    """The least factor by which the effective levels of the poor channels rise."""
    return min((after.get(channel, 256.0) / levels for channel, levels in before.items()), default=0.0)


def _outlier_notes(kept: Kept, channels: int) -> list[str]:
    """A line for each kind of value that was left out, with its channels."""
    alike: dict[str, list[int]] = {}
    for channel, bounds in kept.items():
        alike.setdefault(bounds.outside, []).append(channel)
    lines = []
    for members in list(alike.values())[:_NAMED]:
        first = kept[members[0]]
        shares = [100 * kept[channel].share for channel in members]
        ends = dict.fromkeys((f"{min(shares):.2g}", f"{max(shares):.2g}"))
        share = f"{' to '.join(ends)} %"
        where = "" if channels == 1 else f" of {_channels(tuple(members)).lower()}"
        verbs = ("lies", "saturates") if first.single else ("lie", "saturate")
        span = f"{min(kept[c].low for c in members):.6g} to {max(kept[c].high for c in members):.6g}"
        lines.append(
            f"{first.outside} ({share} of the values{where}) {verbs[0]} far from the others ({span}) and {verbs[1]}:"
            " the int8 range is left to the others."
        )
    if len(alike) > _NAMED:
        lines.append(f"The same holds for {len(alike) - _NAMED} more channels.")
    return lines


def _check_rounding(train: Array, fitted: _Fitted, name: str) -> None:
    """Measures what float32 costs: integers beyond 24 bits, timestamps, differences far from zero.

    Raises:
        UserError: A channel's values are rounded by a good part of an int8 step.
    """
    low, high = fitted.input_range
    preprocess = fitted.preprocess
    for channel, (offset, scale) in enumerate(zip(preprocess.offset, preprocess.scale, strict=True)):
        values = Channel.sample(train, channel).values
        exact = (values.astype(np.float64) - offset) * scale
        inside = (exact >= low) & (exact <= high)
        if not inside.any():
            continue
        rounding = np.abs(_apply(preprocess, channel, values).astype(np.float64) - exact)[inside]
        if np.quantile(rounding, 0.99) * 255 / (high - low) > _MOST_ROUNDING:
            raise _too_fine(name, channel, train, 1 / scale, float(np.abs(values.astype(np.float64)).max()))


def _too_fine(name: str, channel: int, train: Array, spread: float, size: float) -> UserError:
    where = f"channel {channel} of X_train" if train.shape[-1] > 1 else "X_train"
    return UserError(
        f"{name}: {where} varies by {float(spread):.3g} at values of {float(size):.6g}, finer than float32 holds.",
        "The chip computes in float32: subtract a constant (such as the first time stamp), or leave it out.",
    )


def _scaling(train: Array, fitted: _Fitted, constant: tuple[int, ...], notes: list[str]) -> Scaling:
    levels = tuple(
        int(np.count_nonzero(np.bincount(fitted.codes(c, Channel.sample(train, c).values), minlength=256)))
        for c in range(train.shape[-1])
    )
    return Scaling(
        preprocess=fitted.preprocess,
        input_range=fitted.input_range,
        constant=constant,
        levels=levels,
        notes=tuple(notes),
    )


def _channels(channels: tuple[int, ...]) -> str:
    return f"{'Channel' if len(channels) == 1 else 'Channels'} {listed([*map(str, channels)], _NAMED)}"
