"""A front end for vibration and motion: logarithms of the amplitudes in bands, of each channel by itself.

    window -> fft auto scale -> rfft -> energy -> filter bank -> square root -> log -> quantize

It remembers nothing, so that one small graph serves all channels of a frame, one after the other.

Source: signal/micro/kernels, tflite-micro 90b983c2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from cost_models.errors import UserError
from nas.frontend.filter_bank import FilterBank, filter_bank, linear, octaves
from nas.frontend.frames import FrameSettings, steps_of
from nas.frontend.signal_graph import FrontEndModel, GraphParts

Spacing = Literal["linear", "octave"]
_SCALES = {"linear": linear, "octave": octaves}
_MOST_CHANNELS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumSettings(FrameSettings):
    """Logarithms of the amplitudes in bands, frame by frame and channel by channel.

    Attributes:
        channels: Of the signal.
        spacing: The scale on which bands are evenly spaced: Hz, or octaves.
        steps_per_neper: Steps of the output for a factor of e in a band's amplitude, that is 8.69 dB; None takes as
            many as the loudest input leaves.
        units_per_count: What 1 is in the int16 samples, in the unit of the recordings, by channel. The graph does not
            read it: it says how the firmware makes samples of a sensor's values.

    Raises:
        UserError: Settings of which no front end can be made.
    """

    rates_hz: ClassVar[tuple[int, int]] = (1, 1_000_000)
    remembers: ClassVar[bool] = False

    channels: int
    spacing: Spacing = "linear"
    steps_per_neper: int | None = None
    units_per_count: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.channels <= _MOST_CHANNELS:
            raise UserError(
                f"A front end of {self.channels} channels is not known.",
                f"Name 1 to {_MOST_CHANNELS} of them: --channels.",
            )
        if len(self.units_per_count) != self.channels or not all(
            math.isfinite(unit) and unit > 0 for unit in self.units_per_count
        ):
            raise UserError(
                f"The units of {self.channels} channels are not numbers above 0.",
                "Give one for each channel.",
            )
        if self.spacing not in _SCALES:
            raise UserError(f"Bands are not spaced by {self.spacing!r}.", "Take linear or octave.")
        if self.spacing == "octave" and self.low_hz <= 0:
            raise UserError("Octaves have no lowest one.", "Give a low_hz above 0.")
        FrameSettings.__post_init__(self)  # slots: the class that super() would look up is another one
        assert self.log_scale

    @property
    def text(self) -> str:
        """The features in words."""
        scale = "" if self.spacing == "linear" else ", evenly spaced in octaves"
        of_channels = "" if self.channels == 1 else ", of each channel"
        return f"logarithms of the amplitudes in bands from {self.low_hz:g} to {self.high_hz:g} Hz{scale}{of_channels}"

    @property
    def log_scale(self) -> int:
        """Steps of the output for a factor of e in a band's amplitude."""
        return steps_of(self.steps_per_neper, self.loudest_band() * (1 << self.correction_bits))

    def filter_bank(self) -> FilterBank:
        """The bands' weights."""
        return filter_bank(
            bands=self.bands,
            low_hz=self.low_hz,
            high_hz=self.high_hz,
            sample_rate=self.sample_rate,
            fft_length=self.fft_length,
            pitch=_SCALES[self.spacing],
        )


def spectrum(settings: SpectrumSettings) -> FrontEndModel:
    """The model of one frame of one channel. Shape: (window_samples,) int16 -> (bands,) int8."""
    parts = GraphParts()
    samples, levels = parts.amplitudes(settings)
    return parts.finished(samples, levels, correction_bits=settings.correction_bits, steps=settings.log_scale)
