"""Windows of signals behind the front end `spectrum`: samples as int16, and the features that TFLM makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.frontend.frames import transform_length
from nas.frontend.front_end import FrontEnd
from nas.frontend.spec import make_spec
from nas.frontend.spectrum import SpectrumSettings
from nas.model.trained import FrontEndSpec
from nas.model.words import counted
from nas.tasks.loading.mapped import Array, chunks, extremes, release, room_for, spans
from nas.tasks.loading.progress import tell
from nas.tasks.loading.windows import Length, parse_length
from nas.tasks.options import TaskOptions, parse_limits

LARGEST = 32_767
"""The lowest value of a sample: the lowest int16 makes TFLM's scaling fail, see docs/front-end.md."""

_HEADROOM = 1.5  # a signal may be so much larger than in training before it is cut
_LONGEST_FRAME = 2048
_BANDS = 16
_GOLDEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectra:
    """Features of windows, and what made them.

    Attributes:
        samples: By part. Shape: (n, frames, bands, channels) uint8, or (n, bands, channels) of a single frame.
        spec: The front end.
        recordings: Test windows for the self-test. Shape: (k, rows) int16, or (k, rows, channels).
        notes: How samples became int16, and what a feature is.
    """

    samples: dict[str, Array]
    spec: FrontEndSpec
    recordings: NDArray[np.int16]
    notes: list[str]


def spectra(
    signals: Mapping[str, Array],
    labels: Mapping[str, Array],
    *,
    sample_rate: float | None,
    options: TaskOptions,
    name: str,
) -> Spectra:
    """Features of the windows of all parts.

    Args:
        signals: By part. Shape: (n, rows, channels).
        labels: By part; the self-test replays a test window of each of the first classes.
        sample_rate: In Hz, where it is known.
        options: `frame`, `frame_hop`, `bands` and `band_limits`.
        name: The task, for messages.

    Raises:
        UserError: No signals, no rate, or settings that fit no front end.
    """
    shape = signals["train"].shape
    if len(shape) != 3:
        raise UserError(
            f"--front-end spectrum takes signals; the samples of {name} have {len(shape) - 1} axes.",
            "Give windows of the shape (time, channels); --input-kind signals says so of arrays.",
        )
    rows, channels = shape[1:]
    rate = _whole_rate(sample_rate)
    frame, hop = _frame(options, rows, rate)
    units, notes = _units(signals["train"])
    notes += _constant_notes(signals["train"], name)
    # The first place of a spectrum holds what the window spreads of the mean, such as gravity.
    low, high = (
        (rate / transform_length(frame), rate / 2)
        if options.band_limits is None
        else parse_limits(options.band_limits)
    )
    settings = SpectrumSettings(
        sample_rate=rate,
        window_ms=1000 * frame / rate,
        hop_ms=1000 * hop / rate,
        bands=options.bands or min(_BANDS, frame // 4),
        low_hz=low,
        high_hz=high,
        channels=channels,
        units_per_count=units,
    )
    spec = make_spec(settings, rows)
    front_end = FrontEnd(settings)
    total = sum(len(array) for array in signals.values())
    made, done, cut = {}, 0, 0
    for part, array in signals.items():
        kept = spec.frames, spec.bands, channels
        features = room_for((len(array), *(kept if spec.frames > 1 else kept[1:])), np.uint8)
        for start, stop in spans(features if features.nbytes > array.nbytes else array):
            counts, beyond = _counts(array[start:stop], units)
            cut += beyond
            features[start:stop] = front_end.raw_features(counts).reshape(stop - start, *features.shape[1:])
            release(features)
            release(array)
            done += stop - start
            tell("making features of windows", done, total)
        made[part] = features
    if cut:
        notes.append(
            f"Beyond int16 and cut to it: {counted(cut, 'value')} of windows, larger than training has any."
        )
    left = (rows - frame) % hop
    notes.append(
        f"Features by spectrum: {counted(spec.frames, 'frame')} of {frame:,} rows"
        + (f" every {hop:,} rows" if spec.frames > 1 else "")
        + f", {counted(spec.bands, 'band')} of each channel from {low:g} to {high:g} Hz, made by TFLM as on the chip."
        + (f" No frame has the last {counted(left, 'row')} of a window." if left else "")
    )
    return Spectra(samples=made, spec=spec, recordings=_golden(signals, labels, units), notes=notes)


def _whole_rate(hz: float | None) -> int:
    if hz is None:
        raise UserError(
            "--front-end spectrum needs the sample rate of the signals.",
            "Give --sample-rate HZ; of CSV files a column of times says it as well.",
        )
    if hz != round(hz) or hz < 1:
        raise UserError(
            f"--front-end spectrum takes whole sample rates, not {hz:g} Hz.",
            f"--sample-rate {max(1, round(hz))} resamples files with times to it.",
        )
    return round(hz)


def _frame(options: TaskOptions, rows: int, rate: int) -> tuple[int, int]:
    """Rows of a frame, and from one to the next."""

    def rows_of(length: Length) -> int:
        return length.rows if length.rows is not None else round((length.seconds or 0.0) * rate)

    if options.frame is None:
        # Of the vibration in docs/data.md one frame with fine bands tells more than several with coarse ones.
        frame = min(rows, _LONGEST_FRAME)
    else:
        frame = rows_of(parse_length(options.frame, "--frame"))
        if not 4 <= frame <= min(rows, _LONGEST_FRAME):
            raise UserError(
                f"A frame of {frame:,} rows is out of range.",
                f"Use 4 to {min(rows, _LONGEST_FRAME):,} rows: a window has {rows:,}.",
            )
    if options.frame_hop is None:
        return frame, max(1, frame // 2)
    hop = rows_of(parse_length(options.frame_hop, "--frame-hop"))
    if not 1 <= hop <= rows:
        raise UserError(f"A hop of {hop:,} rows is out of range.", f"Use 1 to {rows:,} rows.")
    return frame, hop


def _units(train: Array) -> tuple[tuple[float, ...], list[str]]:
    """What an int16 of 1 stands for in each channel: 1 where values are whole and fit, else a power of two."""
    low, high = extremes(train)
    largest = np.maximum(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))
    whole = np.ones(len(largest), bool)
    if train.dtype.kind == "f":
        for chunk in chunks(train):
            whole &= (chunk == np.rint(chunk)).all(axis=(0, 1))
    counts = whole & (largest <= LARGEST)
    needed = np.maximum(largest, np.finfo(np.float32).tiny * LARGEST) * _HEADROOM / LARGEST
    units = np.where(counts, 1.0, 2.0 ** np.ceil(np.log2(needed)))
    if counts.all():
        return tuple(units.tolist()), []
    said = sorted(set(units[~counts].tolist()))
    span = f"{said[0]:.6g}" if len(said) == 1 else f"{said[0]:.6g} to {said[-1]:.6g}"
    return tuple(units.tolist()), [
        f"{'Channels become' if (~counts).sum() > 1 else 'A channel becomes'} int16 in steps of {span} of its unit,"
        f" with room for {_HEADROOM:g} times the largest training value; the C header states them."
    ]


def _constant_notes(train: Array, name: str) -> list[str]:
    """A word about channels of a single value, which their features do not show.

    Raises:
        UserError: All are such.
    """
    low, high = extremes(train)
    constant = np.flatnonzero(low == high).tolist()
    if len(constant) == len(low):
        raise UserError(
            f"{name}: every channel of the training part holds a single value.",
            "There is nothing to learn from: look at how the samples were read or recorded.",
        )
    return [
        f"Channel {channel} of {len(low)} holds a single value in the training part, nothing to learn from."
        for channel in constant
    ]


def _counts(windows: Array, units: tuple[float, ...]) -> tuple[NDArray[np.int16], int]:
    """Windows as int16, and how many values lay beyond it. Shape: (n, rows), or (n, rows, channels)."""
    counts = np.rint(windows.astype(np.float64) / np.array(units))
    beyond = int(np.count_nonzero(np.abs(counts) > LARGEST))
    made = np.clip(counts, -LARGEST, LARGEST).astype(np.int16)
    return (made[:, :, 0] if len(units) == 1 else made), beyond


def _golden(
    signals: Mapping[str, Array], labels: Mapping[str, Array], units: tuple[float, ...]
) -> NDArray[np.int16]:
    """The first test window of each of the first classes; of numbers to predict the first windows."""
    told = labels["test"]
    first = np.unique(told, return_index=True)[1] if told.dtype.kind in "iu" else np.arange(len(told))
    return _counts(signals["test"][np.sort(first)[:_GOLDEN]], units)[0]
