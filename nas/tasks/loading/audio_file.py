"""One recording from one file: WAV, FLAC or OGG of any rate and depth, as int16 of one channel."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.words import first_line
from nas.tasks.loading.class_folders import show

Waveform = NDArray[np.int16]

_LONGEST_S = 3600.0
FULL_SCALE = 32768.0
LOUDEST = 32767  # -32768 is left out: TFLM's scaling of a frame takes it for a small number
_STREAM = (
    0x7FFF0000  # bytes, from which a WAV file's head says that its length was not known when it was begun
)
_OTHER_SCALE = 100.0  # times full scale: floats that are counts
RATES = (1000, 384_000)  # samples a second


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """The header of a file.

    Attributes:
        rate: Samples a second.
        channels: How many.
        samples: Of each channel.
        subtype: The encoding, as libsndfile calls it.
    """

    rate: int
    channels: int
    samples: int
    subtype: str

    @property
    def seconds(self) -> float:
        """The length."""
        return self.samples / self.rate


def inspect(path: Path) -> AudioInfo:
    """Reads the head of a file.

    Raises:
        UserError: It is not a recording that can be read, or an empty, very long or very slow one.
    """
    import soundfile

    try:
        header: Any = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{show(path)} is not a readable recording ({first_line(error)}).",
            "Give WAV, FLAC or OGG files; remove or convert this one.",
        ) from None
    info = AudioInfo(
        rate=int(header.samplerate),
        channels=int(header.channels),
        samples=int(header.frames),
        subtype=str(header.subtype),
    )
    if (stated := _stated_bytes(path)) is not None and stated > path.stat().st_size:
        raise UserError(
            f"{show(path)} is cut: its head says {stated:,} B, and it has {path.stat().st_size:,} B.",
            "Get it again, or remove it; a program that writes whole files mends its head.",
        )
    if info.samples < 1:
        raise UserError(f"{show(path)} holds no sample.", "Remove it.")
    if not RATES[0] <= info.rate <= RATES[1]:
        raise UserError(f"{show(path)} has {info.rate} samples a second.", "Check the file's head.")
    if info.seconds > _LONGEST_S:
        raise UserError(
            f"{show(path)} is {info.seconds / 60:,.0f} minutes long.",
            "Cut it into recordings of single events.",
        )
    return info


def _stated_bytes(path: Path) -> int | None:
    """Where the samples of a WAV file end by its head, of which libsndfile reads what is there without a word.

    None for other files, and for heads of streams, which say 0 or as much as the field holds.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                return None if size == 0 or size >= _STREAM else file.tell() + size
            file.seek(size + size % 2, 1)
    return None


def content_hash(path: Path) -> str:
    """Hash of a file's bytes.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"{show(path)} cannot be read ({error.strerror}).", "Check its permissions."
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording as the front end takes it.

    Attributes:
        samples: At the rate that was asked for. Shape: (n,).
        clipped: Samples beyond full scale, which were cut to it.
    """

    samples: Waveform
    clipped: int


def read(path: Path, info: AudioInfo, rate: int) -> Recording:
    """Reads a file, mixes its channels, resamples it.

    Args:
        path: The file.
        info: What `inspect` said of it.
        rate: Samples a second that are wanted.

    Raises:
        UserError: It is damaged, or holds samples that are NaN, infinite or of another full scale.
    """
    import soundfile

    exact = info.channels == 1 and info.rate == rate and info.subtype == "PCM_16"
    try:
        samples, _ = soundfile.read(str(path), dtype="int16" if exact else "float64", always_2d=True)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise UserError(
            f"{show(path)} is damaged ({first_line(error)}).", "Remove it or get it again."
        ) from None
    if len(samples) < info.samples:
        raise UserError(
            f"{show(path)} ends after {len(samples):,} of {info.samples:,} samples.",
            "Remove it or get it again.",
        )
    if exact:
        return Recording(samples=np.maximum(samples[:, 0], -LOUDEST), clipped=0)
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise UserError(f"{show(path)} holds samples that are NaN or infinite.", "Remove it or correct them.")
    if (loudest := float(np.abs(mono).max())) > _OTHER_SCALE:
        raise UserError(
            f"{show(path)} holds samples of {loudest:,.0f} times full scale.",
            "The full scale of floats is 1: divide the samples, or save them as whole numbers.",
        )
    if info.rate != rate:
        mono = resample(mono, info.rate, rate)
    return to_int16(mono)


def resample(samples: NDArray[np.float64], rate: int, wanted: int) -> NDArray[np.float64]:
    """A recording at another rate, by a polyphase filter that keeps what is below half of the lower one."""
    from scipy.signal import resample_poly

    if rate == wanted:
        return samples.copy()
    common = math.gcd(rate, wanted)
    up, down = wanted // common, rate // common
    return np.asarray(resample_poly(samples, up, down, window=_low_pass(max(up, down))), np.float64)


@lru_cache(maxsize=64)
def _low_pass(factor: int) -> NDArray[np.float64]:
    """The filter that resample_poly would design again for each recording."""
    from scipy.signal import firwin

    return np.asarray(firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0)), np.float64)


def to_int16(samples: NDArray[np.float64]) -> Recording:
    """Samples whose full scale is 1, rounded to int16."""
    codes = np.rint(samples * FULL_SCALE)
    kept = np.clip(codes, -LOUDEST, LOUDEST)
    return Recording(
        samples=kept.astype(np.int16), clipped=int(np.count_nonzero(np.abs(samples) > 1 + 1 / FULL_SCALE))
    )
