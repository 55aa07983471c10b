"""Running a front end over recordings, in TFLM's interpreter: the features that the chip makes, bit by bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.frontend.log_mel import ZERO_POINT, FrontEndModel, log_mel
from nas.frontend.settings import LogMelSettings
from nas.runtimes.interpreter import Port
from nas.runtimes.tflm import TflmError, load_interpreter


class FrontEnd:
    """A log-mel front end that turns recordings into a network's input.

    Args:
        settings: What it is told.

    Attributes:
        settings: The same.
        model: What the chip runs, for one frame.

    Raises:
        UserError: TFLM's interpreter is not installed; nothing else here runs its signal operators.
        TflmError: TFLM refuses the model.
    """

    def __init__(self, settings: LogMelSettings) -> None:
        self.settings = settings
        self.model: FrontEndModel = log_mel(settings)
        try:
            self._interpreter = load_interpreter(self.model.tflite)
        except ImportError:
            raise UserError(
                "Front ends run in TFLM's interpreter alone, which is not installed on this machine.",
                "Make the features on Linux on x86-64: pip install tflite-micro.",
            ) from None

    def output(self, samples: int) -> Port:
        """Shape of the features of a recording of so many samples: (frames, bands)."""
        return Port(
            shape=(self.settings.frames(samples), self.settings.bands),
            scale=self.model.scale,
            zero_point=ZERO_POINT,
        )

    def features(self, waveforms: NDArray[np.int16]) -> NDArray[np.int8]:
        """Features of recordings, each by itself: what the front end remembers of one is gone before the next.

        Shape: (n, samples) -> (n, frames, bands); samples behind the last whole frame are left out.

        Raises:
            UserError: The recordings are shorter than a frame.
            ValueError: They are not int16 of two dimensions.
            TflmError: TFLM fails.
        """
        if waveforms.dtype != np.int16 or waveforms.ndim != 2:
            raise ValueError(f"waveforms are {waveforms.dtype} {waveforms.shape}, not int16 (n, samples)")
        settings = self.settings
        count, frames = len(waveforms), settings.clip_frames(waveforms.shape[1])
        found = np.empty((count, frames, settings.bands), np.int8)
        interpreter, window, hop = self._interpreter, settings.window_samples, settings.hop_samples
        try:
            for clip, rows in zip(np.ascontiguousarray(waveforms), found, strict=True):
                interpreter.reset()
                for frame in range(frames):
                    interpreter.set_input(clip[frame * hop : frame * hop + window], 0)
                    interpreter.invoke()
                    rows[frame] = interpreter.get_output(0)
        except RuntimeError as error:
            raise TflmError(f"TFLM failed to run the front end: {error}") from error
        return found

    def raw_features(self, waveforms: NDArray[np.int16]) -> NDArray[np.uint8]:
        """The same as a network's raw samples: a feature of int8 code f is the byte f + 128.

        Shape: (n, samples) -> (n, frames, bands).

        Raises:
            UserError: As `features`.
            TflmError: TFLM fails.
        """
        return (self.features(waveforms).astype(np.int16) - ZERO_POINT).astype(np.uint8)
