"""Settings of an audio front end: sampling, frames, bands, and how a band's level is adapted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cost_models.errors import UserError
from nas.frontend.filter_bank import WEIGHT_BITS, FilterBank, filter_bank

SHORTEST_TRANSFORM, LONGEST_TRANSFORM = 64, 2048
"""Lengths that TFLM's signal library supports."""

GAIN_STRENGTH, GAIN_OFFSET, GAIN_BITS = 0.95, 80.0, 21
"""PCAN's gain is (noise + offset) ** -strength."""

SUBTRACTION_BITS, SMOOTHING_BITS = 14, 10
"""Fractional bits of the noise estimate's coefficients, and of the estimate itself beyond the signal's."""

SMOOTHING, ODD_SMOOTHING, LEAST_REMAINING = 0.025, 0.06, 0.05
"""How fast the noise estimate of even and of odd bands follows, and the share of a band that stays in any case."""

_RATES_HZ = (1000, 96_000)
_LONGEST_MS = 60_000.0
_MOST_BANDS = 128
_STEPS = 255  # of an int8 above its lowest value
_PCAN_BITS = 6  # fractional bits of what PCAN makes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMelSettings:
    """Logarithms of the energies in mel bands, frame by frame.

    The defaults are those of TFLM's micro_speech example.

    Attributes:
        sample_rate: In Hz.
        window_ms: Length of a frame in milliseconds.
        hop_ms: From the beginning of one frame to that of the next, in milliseconds.
        bands: How many.
        low_hz: Where the first band begins.
        high_hz: Where the last band ends.
        pcan: Per-channel amplitude normalization: divide each band by its slow average, nearly.
        noise_subtraction: Subtract its slow average from each band.
        steps_per_neper: Steps of the output for a factor of e in a band's amplitude, that is 8.69 dB; None takes as
            many as the loudest input leaves.

    Raises:
        UserError: Settings of which no front end can be made.

    Source: tensorflow/lite/micro/examples/micro_speech/audio_preprocessor.py, tflite-micro 90b983c2.
    """

    sample_rate: int = 16_000
    window_ms: float = 30.0
    hop_ms: float = 20.0
    bands: int = 40
    low_hz: float = 125.0
    high_hz: float = 7500.0
    pcan: bool = True
    noise_subtraction: bool = True
    steps_per_neper: int | None = None

    def __post_init__(self) -> None:
        least, most = _RATES_HZ
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
                "Set low_hz and high_hz to where the signal is.",
            )
        if self.steps_per_neper is not None and not 1 <= self.steps_per_neper <= _STEPS:
            raise UserError(
                f"{self.steps_per_neper} steps per neper are not 1 to {_STEPS}.",
                "Leave steps_per_neper out to take what the loudest input allows.",
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
        return max(SHORTEST_TRANSFORM, 1 << (self.window_samples - 1).bit_length())

    @property
    def correction_bits(self) -> int:
        """The shift by which the transform divides beyond the square root of the weights' scale."""
        return self.fft_length.bit_length() - 1 - WEIGHT_BITS // 2

    @property
    def log_scale(self) -> int:
        """Steps of the output for a factor of e in a band's amplitude."""
        if self.steps_per_neper is not None:
            return self.steps_per_neper
        return int(_STEPS / math.log(self._loudest()))

    def filter_bank(self) -> FilterBank:
        """The bands' weights."""
        return filter_bank(
            bands=self.bands,
            low_hz=self.low_hz,
            high_hz=self.high_hz,
            sample_rate=self.sample_rate,
            fft_length=self.fft_length,
        )

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

    def _loudest(self) -> float:
        """The largest number whose logarithm is taken: all energy of a full-scale square wave in one band."""
        # Mean square of a Hann window: 3/8. Half of the energy lies in the spectrum's other half.
        energy = 32768.0**2 * 3 / 8 * self.window_samples / (2 * self.fft_length)
        amplitude = math.sqrt(energy * (1 << WEIGHT_BITS))
        if self.pcan:
            # In the first frame, when the average has moved by the slower band's share.
            level = SMOOTHING * amplitude * (1 << self.correction_bits) + GAIN_OFFSET
            amplitude *= (1 << self.correction_bits) * level**-GAIN_STRENGTH * (1 << _PCAN_BITS)
        return amplitude * (1 << self.correction_bits)
