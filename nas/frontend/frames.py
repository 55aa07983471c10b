"""What all front ends are told: sampling, frames, bands; and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from cost_models.errors import UserError
from nas.frontend.filter_bank import WEIGHT_BITS, FilterBank

SHORTEST_TRANSFORM, LONGEST_TRANSFORM = 64, 2048
"""Lengths that TFLM's signal library supports."""

STEPS = 255
"""Of an int8 above its lowest value."""

_LONGEST_MS = 60_000.0
_MOST_BANDS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSettings:
    """Frames of a signal and the bands of their spectra; each kind of front end adds its own settings.

    Attributes:
        sample_rate: In Hz.
        window_ms: Length of a frame in milliseconds.
        hop_ms: From the beginning of one frame to that of the next, in milliseconds.
        bands: How many.
        low_hz: Where the first band begins.
        high_hz: Where the last band ends.

    Raises:
        UserError: Settings of which no front end can be made.
    """

    rates_hz: ClassVar[tuple[int, int]] = (1000, 96_000)

    sample_rate: int
    window_ms: float
    hop_ms: float
    bands: int
    low_hz: float
    high_hz: float

    def __post_init__(self) -> None:
        least, most = self.rates_hz
        if not least <= self.sample_rate <= most:
            raise UserError(
                f"A sample rate of {self.sample_rate:,} Hz is not one of {least:,} to {most:,} Hz.",
                "Give the rate at which the recordings were made.",
            )
        if not 1 <= self.bands <= _MOST_BANDS:
            raise UserError(f"A front end of {self.bands} bands is not known.", f"Take 1 to {_MOST_BANDS}.")
        longest = LONGEST_TRANSFORM * 1000 / self.sample_rate
        if not 0 < self.window_ms < _LONGEST_MS or not 2 <= self.window_samples <= LONGEST_TRANSFORM:
            raise UserError(
                f"A window of {self.window_ms:g} ms is not one of 2 to {LONGEST_TRANSFORM:,} samples.",
                f"Take one of at most {longest:g} ms.",
            )
        if not 0 < self.hop_ms < _LONGEST_MS or self.hop_samples < 1:
            raise UserError(
                f"A hop of {self.hop_ms:g} ms is not one of a sample to a minute.",
                "Take half to two thirds of the window.",
            )
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise UserError(
                f"Bands from {self.low_hz:g} to {self.high_hz:g} Hz are not between 0 and half the sample rate,"
                f" {self.sample_rate / 2:g} Hz.",
                "Set low_hz and high_hz to where the signal is: --band-limits.",
            )
        if empty := self.filter_bank().empty_bands():
            raise UserError(
                f"Band {empty[0] + 1} of {self.bands} has no place in the spectrum, whose places are"
                f" {self.sample_rate / self.fft_length:g} Hz apart.",
                "Take fewer bands, a longer window, or a higher low_hz.",
            )

    @property
    def window_samples(self) -> int:
        """Samples of a frame."""
        return round(self.window_ms * self.sample_rate / 1000)

    @property
    def hop_samples(self) -> int:
        """Samples from one frame to the next."""
        return round(self.hop_ms * self.sample_rate / 1000)

    @property
    def fft_length(self) -> int:
        """Samples that are transformed: a frame, filled up with zeros to a power of two."""
        return transform_length(self.window_samples)

    @property
    def correction_bits(self) -> int:
        """The shift by which the transform divides beyond the square root of the weights' scale."""
        return self.fft_length.bit_length() - 1 - WEIGHT_BITS // 2

    def filter_bank(self) -> FilterBank:
        """The bands' weights."""
        raise NotImplementedError

    def frames(self, samples: int) -> int:
        """How many whole frames a recording of so many samples has."""
        return max(0, (samples - self.window_samples) // self.hop_samples + 1)

    def clip_frames(self, samples: int) -> int:
        """The same of a recording that a network is to answer.

        Raises:
            UserError: It has none.
        """
        if samples < self.window_samples:
            raise UserError(
                f"Recordings of {samples:,} samples are shorter than a frame of {self.window_samples:,}.",
                "Take longer recordings or a shorter window.",
            )
        return self.frames(samples)

    def loudest_band(self) -> float:
        """The largest amplitude of a band: all energy of a full-scale square wave in it."""
        # Mean square of a Hann window: 3/8. Half of the energy lies in the spectrum's other half.
        energy = 32768.0**2 * 3 / 8 * self.window_samples / (2 * self.fft_length)
        return math.sqrt(energy * (1 << WEIGHT_BITS))


def transform_length(samples: int) -> int:
    """Samples of the transform of a frame: the next power of two that TFLM has."""
    return max(SHORTEST_TRANSFORM, 1 << (samples - 1).bit_length())


def steps_of(steps_per_neper: int | None, loudest: float) -> int:
    """Steps of the output for a factor of e: those asked for, or as many as the loudest input leaves.

    Raises:
        UserError: They are out of range.
    """
    if steps_per_neper is None:
        return int(STEPS / math.log(loudest))
    if not 1 <= steps_per_neper <= STEPS:
        raise UserError(
            f"{steps_per_neper} steps per neper are not 1 to {STEPS}.",
            "Leave steps_per_neper out to take what the loudest input allows.",
        )
    return steps_per_neper
