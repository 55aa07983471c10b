"""Recordings that are rows of an array, as int16 of one rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.tasks.loading.audio_file import (
    FULL_SCALE,
    LOUDEST,
    RATES,
    AudioInfo,
    Recording,
    resample,
    to_int16,
)
from nas.tasks.loading.mapped import Array, extremes
from nas.tasks.loading.raw_type import check_values

_BEYOND = 2.0  # times full scale: what resampling and mixing reach; larger floats have another full scale


def check_waveforms(samples: Mapping[str, Array], name: str) -> dict[str, Array]:
    """Refuses arrays that hold no recordings of one channel: int16, or floats whose full scale is 1.

    Args:
        samples: By part. Shape: (n, samples) or (n, samples, 1).
        name: The task, for messages.

    Returns:
        The same arrays by part. Shape: (n, samples).

    Raises:
        UserError: Another shape, values that are not numbers, or of another full scale.
    """
    return {part: _checked(array, f"{name}: X_{part}") for part, array in samples.items()}


def _checked(array: Array, what: str) -> Array:
    check_values(array, what)
    flat = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if flat.ndim != 2 or not flat.shape[1]:
        raise UserError(
            f"{what} has shape {array.shape}; waveforms have (recordings, samples).",
            "Mix recordings to one channel, and give each of them one row.",
        )
    if not len(flat):
        raise UserError(f"{what} is empty.", "Each part needs recordings.")
    if flat.dtype.kind == "b" or flat.dtype == np.uint8:
        raise UserError(
            f"{what} holds {flat.dtype}, which does not say where silence is.",
            "Store int16; of unsigned 8-bit audio (X.astype('int16') - 128) * 256.",
        )
    lowest, highest = extremes(flat)
    low, high = float(lowest.min()), float(highest.max())
    if flat.dtype.kind in "iu" and not (low >= -FULL_SCALE and high < FULL_SCALE):
        raise UserError(
            f"{what} has samples from {low:,.0f} to {high:,.0f}, beyond int16.",
            "Store int16, or floats whose full scale is 1.",
        )
    if flat.dtype.kind == "f" and max(-low, high) > _BEYOND:
        raise UserError(
            f"{what} has samples from {low:g} to {high:g}; of waveforms in floats the full scale is 1.",
            "Store int16, or divide by the full scale.",
        )
    return flat


def row_info(array: Array, rate: int) -> AudioInfo:
    """What a file's head would say of the rows of an array.

    Args:
        array: Shape: (n, samples).
        rate: In Hz.
    """
    return AudioInfo(
        rate=rate,
        channels=1,
        samples=array.shape[1],
        subtype="DOUBLE" if array.dtype.kind == "f" else "PCM_16",
    )


def whole_rate(hz: float | None, name: str) -> int:
    """The sample rate of waveforms.

    Raises:
        UserError: Nothing tells it, or it is none of audio.
    """
    if hz is None:
        raise UserError(
            f"{name} does not say the sample rate of its waveforms.",
            "Store it in Hz as the array sample_rate, or give --sample-rate.",
        )
    least, most = RATES
    if hz != round(hz) or not least <= hz <= most:
        raise UserError(
            f"{name} has {hz:g} samples a second.", f"Audio has whole rates from {least:,} to {most:,} Hz."
        )
    return round(hz)


def heard(row: NDArray[Any], info: AudioInfo, rate: int) -> Recording:
    """A row as a recording.

    Args:
        row: Whole numbers within int16, or floats whose full scale is 1. Shape: (samples,).
        info: Of the row.
        rate: Samples a second that are wanted.
    """
    if row.dtype.kind != "f" and info.rate == rate:
        return Recording(samples=np.maximum(row.astype(np.int16), -LOUDEST), clipped=0)
    full_scale = 1.0 if row.dtype.kind == "f" else FULL_SCALE
    return to_int16(resample(row.astype(np.float64) / full_scale, info.rate, rate))
