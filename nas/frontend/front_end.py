"""Running a front end over recordings, in TFLM's interpreter: the features that the chip makes, bit by bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.frontend.kinds import FrontEndSettings, model_of
from nas.frontend.signal_graph import ZERO_POINT, FrontEndModel
from nas.runtimes.interpreter import Port
from nas.runtimes.tflm import TflmError, load_interpreter


class FrontEnd:
    """A front end that turns recordings into a network's input.

    Args:
        settings: What it is told.

    Attributes:
        settings: The same.
        model: What the chip runs, for one frame and channel.

    Raises:
        UserError: TFLM's interpreter is not installed; nothing else here runs its signal operators.
        TflmError: TFLM refuses the model.
    """

    def __init__(self, settings: FrontEndSettings) -> None:
        self.settings = settings
        self.model: FrontEndModel = model_of(settings)
        try:
            self._interpreter = load_interpreter(self.model.tflite)
        except ImportError:
            raise UserError(
                "Front ends run in TFLM's interpreter alone, which is not installed on this machine.",
                "Make the features on Linux on x86-64: pip install tflite-micro.",
            ) from None

    def output(self, samples: int) -> Port:
        """Shape of the features of a recording of so many samples: (frames, bands), of several channels at the end."""
        settings = self.settings
        channels = () if settings.channels == 1 else (settings.channels,)
        return Port(
            shape=(settings.frames(samples), settings.bands, *channels),
            scale=self.model.scale,
            zero_point=ZERO_POINT,
        )

    def features(self, waveforms: NDArray[np.int16]) -> NDArray[np.int8]:
        """Features of recordings, each by itself: what the front end remembers of one is gone before the next.

        Shape: (n, samples) -> (n, frames, bands), or (n, samples, channels) -> (n, frames, bands, channels); samples
        behind the last whole frame are left out.

        Raises:
            UserError: The recordings are shorter than a frame.
            ValueError: They are not int16 of that shape.
            TflmError: TFLM fails.
        """
        settings = self.settings
        channels = settings.channels
        wanted = 2 if channels == 1 else 3
        if (
            waveforms.dtype != np.int16
            or waveforms.ndim != wanted
            or waveforms.shape[2:] not in ((), (channels,))
        ):
            said = "(n, samples)" if channels == 1 else f"(n, samples, {channels})"
            raise ValueError(f"waveforms are {waveforms.dtype} {waveforms.shape}, not int16 {said}")
        frames = settings.clip_frames(waveforms.shape[1])
        by_channel = waveforms.reshape(*waveforms.shape[:2], channels)
        made = np.empty((len(waveforms), frames, settings.bands, channels), np.int8)
        interpreter, window, hop = self._interpreter, settings.window_samples, settings.hop_samples
        try:
            for clip, rows in zip(by_channel, made, strict=True):
                if settings.remembers:
                    interpreter.reset()
                for channel in range(channels):
                    samples = np.ascontiguousarray(clip[:, channel])
                    for frame in range(frames):
                        interpreter.set_input(samples[frame * hop : frame * hop + window], 0)
                        interpreter.invoke()
                        rows[frame, :, channel] = interpreter.get_output(0)
        except RuntimeError as error:
            raise TflmError(f"TFLM failed to run the front end: {error}") from error
        return made[..., 0] if channels == 1 else made

    def raw_features(self, waveforms: NDArray[np.int16]) -> NDArray[np.uint8]:
        """The same as a network's raw samples: a feature of int8 code f is the byte f + 128.

        Shape: as that of `features`.

        Raises:
            UserError: As `features`.
            TflmError: TFLM fails.
        """
        return (self.features(waveforms).astype(np.int16) - ZERO_POINT).astype(np.uint8)
