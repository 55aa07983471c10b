"""Constants of the signal operators: window, filter bank and gain table, as their kernels take them.

Source: python/tflite_micro/signal/ops (window_op.py, filter_bank_ops.py, pcan_op.py) and signal/src of tflite-micro
90b983c2, read for what the kernels expect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pitch = Callable[[ArrayLike], NDArray[np.float64]]

WEIGHT_BITS = 12
"""Fractional bits of window and filter weights: 4096 is 1."""

_MEL_FACTOR, _MEL_CORNER_HZ = 1127.0, 700.0
_LARGEST_INT16 = 32767
_TABLE_BITS = 32  # of the gain's argument


def hann_window(samples: int) -> NDArray[np.int16]:
    """A Hann window whose ends are half a sample outside, in `WEIGHT_BITS`. Shape: (samples,)."""
    phase = 2 * np.pi / samples * (np.arange(samples) + 0.5)
    weights: NDArray[np.float64] = (0.5 - 0.5 * np.cos(phase)) * (1 << WEIGHT_BITS)
    return np.round(weights).astype(np.int16)


def mel(hertz: ArrayLike) -> NDArray[np.float64]:
    """Frequencies on the mel scale: 1127 ln(1 + f / 700)."""
    return _MEL_FACTOR * np.log1p(np.asarray(hertz, np.float64) / _MEL_CORNER_HZ)


def octaves(hertz: ArrayLike) -> NDArray[np.float64]:
    """Frequencies above 0 on a scale on which each octave is as wide as the next."""
    return np.log2(np.asarray(hertz, np.float64))


def linear(hertz: ArrayLike) -> NDArray[np.float64]:
    """Frequencies as they are."""
    return np.asarray(hertz, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterBank:
    """Triangular bands, as SignalFilterBank takes them.

    The bands' centres cut the spectrum into one section more than there are bands. On its section a band's weight
    rises from 0 (the section's `unweights`) or falls to 0 (the next section's `weights`): each place of the spectrum
    belongs to two neighbours, with weights that add up to 1.

    Attributes:
        first: First place of the spectrum that a band takes.
        end: The place behind the last one.
        starts: Per section, its first place. Shape: (bands + 1,).
        places: Per section, its first weight. Shape: (bands + 1,).
        widths: Per section, how many places it takes. Shape: (bands + 1,).
        weights: Of the band whose centre is the section's end. Shape: (end - first,).
        unweights: Of the band whose centre is the section's beginning. Shape: (end - first,).
    """

    first: int
    end: int
    starts: NDArray[np.int16]
    places: NDArray[np.int16]
    widths: NDArray[np.int16]
    weights: NDArray[np.int16]
    unweights: NDArray[np.int16]

    def empty_bands(self) -> list[int]:
        """Bands that take no place of the spectrum with a weight above 0."""
        sections = [slice(at, at + width) for at, width in zip(self.places, self.widths, strict=True)]
        return [
            band
            for band, (rise, fall) in enumerate(pairwise(sections))
            if not self.weights[rise].any() and not self.unweights[fall].any()
        ]


def filter_bank(
    *, bands: int, low_hz: float, high_hz: float, sample_rate: int, fft_length: int, pitch: Pitch
) -> FilterBank:
    """Bands between two frequencies, evenly spaced on a scale.

    Args:
        bands: How many.
        low_hz: Where the first band begins.
        high_hz: Where the last band ends.
        sample_rate: In Hz.
        fft_length: Samples of a Fourier transform.
        pitch: The scale, of frequencies in Hz.
    """
    hertz_per_place = sample_rate / fft_length
    centres = np.linspace(float(pitch(low_hz)), float(pitch(high_hz)), bands + 2)[1:]
    first = int(low_hz / hertz_per_place) + 1
    pitches = pitch(np.arange(first, fft_length // 2 + 1) * hertz_per_place)
    pitches = pitches[pitches <= centres[-1]]
    section = np.searchsorted(centres, pitches)
    spacing = centres[1] - centres[0]
    share = (centres[section] - pitches) / spacing
    widths = np.bincount(section, minlength=bands + 1)
    places = np.cumsum(widths) - widths
    return FilterBank(
        first=first,
        end=first + len(pitches),
        starts=(first + places).astype(np.int16),
        places=places.astype(np.int16),
        widths=widths.astype(np.int16),
        weights=(share * (1 << WEIGHT_BITS)).astype(np.int16),
        unweights=((1 - share) * (1 << WEIGHT_BITS)).astype(np.int16),
    )


def gain_table(*, strength: float, offset: float, input_bits: int, gain_bits: int) -> NDArray[np.int16]:
    """PCAN's gain (x + offset) ** -strength as a table of parabolas, one for each bit that x may have.

    Args:
        strength: How far a band's level is taken out of it: 0 not at all, 1 wholly.
        offset: Level below which little is taken out.
        input_bits: Fractional bits of x.
        gain_bits: Fractional bits of the gain.

    Returns:
        Values at 0 and 1, then four numbers an octave: the value at its beginning, slope, curvature, and 0.
        Shape: (125,).
    """

    def gain(at: int) -> int:
        value: float = (at / (1 << input_bits) + offset) ** -strength * (1 << gain_bits)
        return int(min(value + 0.5, _LARGEST_INT16))

    table = [gain(0), gain(1)]
    for bit in range(1, _TABLE_BITS):
        begin = 1 << bit
        end = min(2 * begin, (1 << _TABLE_BITS) - 1)
        value = gain(begin)
        half, whole = gain(begin + begin // 2) - value, gain(end) - value
        slope = 4 * half - whole
        table += [value, slope, whole - slope, 0]
    return np.array(table[:-1], np.int16)
