"""Settings of an audio front end: sampling, frames, bands, and how a band's level is adapted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.frontend.filter_bank import FilterBank, filter_bank, mel
from nas.frontend.frames import FrameSettings, steps_of

GAIN_STRENGTH, GAIN_OFFSET, GAIN_BITS = 0.95, 80.0, 21
"""PCAN's gain is (noise + offset) ** -strength."""

SUBTRACTION_BITS, SMOOTHING_BITS = 14, 10
"""Fractional bits of the noise estimate's coefficients, and of the estimate itself beyond the signal's."""

SMOOTHING, ODD_SMOOTHING, LEAST_REMAINING = 0.025, 0.06, 0.05
"""How fast the noise estimate of even and of odd bands follows, and the share of a band that stays in any case."""

_PCAN_BITS = 6  # fractional bits of what PCAN makes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMelSettings(FrameSettings):
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

    channels: ClassVar[int] = 1

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
        FrameSettings.__post_init__(self)  # slots: the class that super() would look up is another one
        assert self.log_scale

    @property
    def remembers(self) -> bool:
        """Whether a frame's features depend on the frames before it."""
        return self.pcan or self.noise_subtraction

    @property
    def text(self) -> str:
        """The features in words."""
        return (
            f"logarithms of the energies in mel bands from {self.low_hz:g} to {self.high_hz:g} Hz"
            + (", their level normalized (PCAN)" if self.pcan else "")
            + (", a slow average of each subtracted" if self.noise_subtraction else "")
        )

    @property
    def log_scale(self) -> int:
        """Steps of the output for a factor of e in a band's amplitude."""
        return steps_of(self.steps_per_neper, self._loudest())

    def filter_bank(self) -> FilterBank:
        """The bands' weights."""
        return filter_bank(
            bands=self.bands,
            low_hz=self.low_hz,
            high_hz=self.high_hz,
            sample_rate=self.sample_rate,
            fft_length=self.fft_length,
            pitch=mel,
        )

    def _loudest(self) -> float:
        """The largest number whose logarithm is taken."""
        amplitude = self.loudest_band()
        if self.pcan:
            # In the first frame, when the average has moved by the slower band's share.
            level = SMOOTHING * amplitude * (1 << self.correction_bits) + GAIN_OFFSET
            amplitude *= (1 << self.correction_bits) * level**-GAIN_STRENGTH * (1 << _PCAN_BITS)
        return amplitude * (1 << self.correction_bits)
