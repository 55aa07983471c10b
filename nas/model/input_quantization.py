"""Raw samples to int8 inputs, in the very float32 arithmetic that the emitted C uses.

The two scalings, of the task and of the input tensor, are folded into one multiplier per channel:

    value = float32((float32(raw) - offset[c]) * multiplier[c])
    q     = clamp(round_half_away(value) + zero_point, -128, 127)

One subtraction and one multiplication, each rounded to float32, then rounding half away from zero as TFLite's
QUANTIZE does: nothing that a compiler may contract or a chip may round otherwise. Whoever measures an accuracy
or makes golden vectors quantizes here, so that the firmware sees the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.model.trained import Preprocess

# Beyond it every zero point saturates; within it a float32 converts to an integer without overflow.
CLAMP = 512.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InputScaling:
    """The folded scaling of a raw sample to the int8 input.

    Attributes:
        offset: float32 values, one or one per channel.
        multiplier: float32 values, as many as `offset`.
        zero_point: Of the input tensor.
    """

    offset: tuple[float, ...]
    multiplier: tuple[float, ...]
    zero_point: int

    @classmethod
    def fold(cls, preprocess: Preprocess, *, scale: float, zero_point: int) -> InputScaling:
        """Fold a task's scaling with the quantization of the input tensor.

        Raises:
            ValueError: Offsets and scales of different channel counts, or a scale that is not a positive number.
        """
        channels = max(len(preprocess.offset), len(preprocess.scale))
        if {len(preprocess.offset), len(preprocess.scale)} - {1, channels}:
            raise ValueError(f"{len(preprocess.offset)} offsets do not match {len(preprocess.scale)} scales")
        if not (np.isfinite(scale) and scale > 0):
            raise ValueError(f"the input scale is {scale}")
        offset = np.broadcast_to(np.asarray(preprocess.offset, np.float32), (channels,))
        task_scale = np.broadcast_to(np.asarray(preprocess.scale, np.float32), (channels,))
        multiplier = (task_scale.astype(np.float64) / np.float64(np.float32(scale))).astype(np.float32)
        if not (np.isfinite(offset).all() and np.isfinite(multiplier).all()):
            raise ValueError("offset and scale must be finite")
        return cls(
            offset=tuple(offset.tolist()), multiplier=tuple(multiplier.tolist()), zero_point=int(zero_point)
        )

    def quantize(self, raw: NDArray[np.generic]) -> NDArray[np.int8]:
        """The int8 input of raw samples. Shape: any, channels last. NaN becomes -128."""
        offset = np.asarray(self.offset, np.float32)
        multiplier = np.asarray(self.multiplier, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            value = (raw.astype(np.float32) - offset) * multiplier
        value = np.where(value >= -CLAMP, value, np.float32(-CLAMP))
        value = np.where(value <= CLAMP, value, np.float32(CLAMP))
        whole = np.trunc(value)
        rest = value - whole
        rounded: NDArray[np.int32] = whole.astype(np.int32) + (rest >= 0.5) - (rest <= -0.5)
        quantized: NDArray[np.int8] = np.clip(rounded + self.zero_point, -128, 127).astype(np.int8)
        return quantized


def quantize_input(
    raw: NDArray[np.generic], preprocess: Preprocess, *, scale: float, zero_point: int
) -> NDArray[np.int8]:
    """The int8 input of raw samples; for many batches keep an `InputScaling`.

    Args:
        raw: Raw samples, channels last.
        preprocess: The task's scaling.
        scale: Of the model's input tensor.
        zero_point: Of the model's input tensor.
    """
    return InputScaling.fold(preprocess, scale=scale, zero_point=zero_point).quantize(raw)
