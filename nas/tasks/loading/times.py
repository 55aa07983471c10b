"""Times of samples: how they are written, their unit, the steps between them, and where they have gaps."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from nas.tasks.loading.numbers import NoNumberError, is_missing, is_number, to_numbers

Floats = NDArray[np.float64]

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_SPELT = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "msecs", "millis", "millisec", "millisecond", "milliseconds"),
    "us": ("us", "µs", "μs", "usec", "micros", "microsec", "microsecond", "microseconds"),
    "ns": ("ns", "nsec", "nanos", "nanosec", "nanosecond", "nanoseconds"),
}
# Magnitudes of the seconds since 1970, from 1985 to 2128, that nothing else has.
_EPOCHS = {"s": (5e8, 5e9), "ms": (5e11, 5e12), "us": (5e14, 5e15), "ns": (5e17, 5e18)}
_PLAIN_RATES = (0.5, 20_000.0)  # Hz
_LONGEST_STEP = 1e4  # seconds between samples: slower than any sensor
_EVEN = 0.1  # of a step
_MOST_UNEVEN = 0.01  # share of the steps
_GAP, _UNEVEN_GAP = 1.5, 3.0  # steps without a sample
_FAR_RATE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps between the times of a file, in its unit.

    Attributes:
        step: The usual one.
        even: Whether nearly all are alike.
        gap: A longer one is a gap.
        low: The shortest, gaps and steps back aside.
        high: The longest.
    """

    step: float
    even: bool
    gap: float
    low: float
    high: float


def to_times(cells: Sequence[str], decimal: str) -> tuple[Floats, str]:
    """Times of a column: numbers as they are, or ISO 8601 text in microseconds; and "number" or "text".

    Raises:
        NoNumberError: A cell that is neither.
    """
    try:
        return to_numbers(cells, decimal), "number"
    except NoNumberError as error:
        first = next((cell for cell in cells if not is_missing(cell)), "")
        if is_number(first, decimal) or not re.search(r"\d[:.-]\d", error.cell):
            raise
    return np.array([_microseconds(row, cell.strip()) for row, cell in enumerate(cells)]), "text"


def _microseconds(row: int, cell: str) -> float:
    if is_missing(cell):
        return math.nan
    try:
        moment = datetime.fromisoformat(cell if "-" in cell[:9] or ":" not in cell else f"2000-01-01T{cell}")
    except ValueError:
        raise NoNumberError(row, cell) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    past = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return float((past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds)


def base_name(name: str) -> str:
    """The name of a column without its unit: `acc_x [m/s²]` is `acc_x`, `time (ms)` is `time`."""
    return re.sub(r"\s*(\[[^\]]*\]|\([^)]*\))\s*$", "", name).strip()


def named_unit(name: str) -> str | None:
    """The unit in the name of a column of times: `time_ms`, `t [us]`, `Timestamp (ns)`."""
    word = re.split(r"[\s_\[\](){}.:/-]+", name.strip(" ])}").lower())[-1]
    return next((unit for unit, spelt in _SPELT.items() if word in spelt), None)


def guess_unit(times: Floats, step: float) -> str | None:
    """The unit of plain numbers, where only one is plain."""
    size = float(np.median(np.abs(times)))
    for unit, (low, high) in _EPOCHS.items():
        if low < size < high and 1e-6 < step * UNITS[unit] < _LONGEST_STEP:
            return unit
    if step < 1:
        return "s"
    plausible = [
        unit
        for unit, seconds in UNITS.items()
        if _PLAIN_RATES[0] <= 1 / (step * seconds) <= _PLAIN_RATES[1]
        or (unit == "s" and step < _LONGEST_STEP)
    ]
    return plausible[0] if len(plausible) == 1 else None


def unit_for_rate(step: float, rate_hz: float) -> str | None:
    """The unit in which steps come nearest to a rate, if they come near."""
    apart = {unit: abs(math.log(step * seconds * rate_hz)) for unit, seconds in UNITS.items()}
    unit = min(apart, key=lambda u: apart[u])
    return unit if apart[unit] < math.log(_FAR_RATE) else None


def measure_steps(times: Sequence[Floats]) -> Steps | None:
    """The steps of runs of times; None where no two times follow each other."""
    steps = np.concatenate([np.diff(run) for run in times] or [np.empty(0)])
    forward = steps[steps > 0]
    if not len(forward):
        return None
    middle = float(np.median(forward))
    # Times rounded to milliseconds have steps of 16 and 17: as even as they can be written.
    kinds = np.unique(np.round(forward[forward < _GAP * middle] / middle, 9)) * middle
    rounding = float(np.diff(kinds).min()) if len(kinds) > 1 else 0.0
    tolerance = max(_EVEN * middle, 1.01 * rounding if len(kinds) <= 3 else 0.0)
    usual = forward < _GAP * middle
    odd = np.count_nonzero(np.abs(forward[usual] - middle) > tolerance)
    between = np.count_nonzero(_between(forward / middle))
    even = odd + between <= _MOST_UNEVEN * len(forward)
    gap = (_GAP if even else _UNEVEN_GAP) * middle
    kept = forward[forward <= gap]
    return Steps(
        step=float(kept.mean()), even=bool(even), gap=gap, low=float(kept.min()), high=float(kept.max())
    )


def _between(ratios: Floats) -> NDArray[np.bool_]:
    """Steps longer than usual that are not a whole number of lost samples."""
    return (ratios >= _GAP) & (ratios < 4) & (np.abs(ratios - np.round(ratios)) > 2 * _EVEN)


def resample(
    times: Floats, values: NDArray[np.generic], step: float, source_step: float
) -> NDArray[np.generic]:
    """Values at even times from the first on, linear between samples; means over a step where steps get longer.

    Args:
        times: Rising, at least two. Shape: (n,).
        values: Without NaN. Shape: (n, channels).
        step: Between the new times.
        source_step: The usual one between the old.
    """
    count = math.floor((times[-1] - times[0]) / step + 1e-6) + 1
    grid = times[0] + step * np.arange(count)
    made = np.empty((count, values.shape[1]), np.promote_types(values.dtype, np.float32))
    for channel in range(values.shape[1]):
        column = values[:, channel].astype(np.float64)
        if step > 1.2 * source_step:
            # What is faster than the new steps can show would come back as something slower.
            made[:, channel] = _means(times, column, grid, step)
        else:
            made[:, channel] = np.interp(grid, times, column)
    return made


def nearest(times: Floats, step: float, count: int) -> NDArray[np.intp]:
    """The row of `times` that is nearest to each of `count` times, `step` apart from the first. Shape: (count,)."""
    between = (times[1:] + times[:-1]) / 2
    return np.asarray(np.searchsorted(between, times[0] + step * np.arange(count)))


def _means(times: Floats, column: Floats, grid: Floats, step: float) -> Floats:
    """Means of the linear course over one step around each time of the grid."""
    area = np.concatenate([[0.0], np.cumsum(np.diff(times) * (column[1:] + column[:-1]) / 2)])

    def until(at: Floats) -> Floats:
        index = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
        past = at - times[index]
        slope = (column[index + 1] - column[index]) / (times[index + 1] - times[index])
        return np.asarray(area[index] + past * (column[index] + slope * past / 2))

    # At the ends the mean is over less, but still around its time.
    half = np.minimum(step / 2, np.minimum(grid - times[0], times[-1] - grid))
    inside = half > 1e-6 * step
    made = np.interp(grid, times, column)
    made[inside] = (until(grid + half) - until(grid - half))[inside] / (2 * half[inside])
    return made
