"""Recordings of one length: which part of a long one is kept, where a short one lies, and what was done."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.words import counted
from nas.tasks.loading.audio_file import Recording

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)")
_RANGE_S = (0.05, 60.0)


@dataclass(slots=True)
class ClipTally:
    """Counts what was done to recordings.

    Attributes:
        clip: Their length in seconds.
        cut: Longer recordings.
        padded: Shorter ones.
        silent: Recordings of zeros.
        clipped: Recordings with samples beyond full scale.
        count: All.
    """

    clip: float
    cut: int = 0
    padded: int = 0
    silent: int = 0
    clipped: int = 0
    count: int = 0

    def notes(self) -> list[str]:
        """Sentences for the data report."""
        notes = []
        done = []
        if self.cut:
            done.append(f"longer ones ({self.cut:,}) are cut to their loudest stretch")
        if self.padded:
            done.append(f"shorter ones ({self.padded:,}) lie in the middle of silence")
        if done:
            notes.append(
                f"Recordings are {self.clip:g} s long: {' and '.join(done)}; --clip sets another length."
            )
        if self.silent:
            notes.append(f"Nothing but zeros: {counted(self.silent, 'recording')}.")
        if self.clipped:
            notes.append(
                f"Beyond full scale, and cut to it: samples of {counted(self.clipped, 'recording')}."
            )
        return notes


def parse_clip(text: str) -> float:
    """Seconds of "1s" or "800ms".

    Raises:
        UserError: It is no length, or out of range.
    """
    match = _LENGTH.fullmatch(text.strip().lower())
    if match is None:
        raise UserError(f"--clip {text} is no length.", "Write it like 1s or 800ms.")
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1)
    least, most = _RANGE_S
    if not least <= seconds <= most:
        raise UserError(f"--clip {text} is out of range.", f"Write {least * 1000:g}ms to {most:g}s.")
    return seconds


def fit_clip(recording: Recording, length: int, tally: ClipTally) -> NDArray[np.int16]:
    """A recording of `length` samples: the loudest stretch of a longer one, a shorter one amid silence."""
    samples = recording.samples
    tally.count += 1
    tally.silent += not samples.any()
    tally.clipped += recording.clipped > 0
    if len(samples) > length:
        tally.cut += 1
        return audible(samples, length)
    if len(samples) == length:
        return samples
    tally.padded += 1
    before = (length - len(samples)) // 2
    return np.pad(samples, (before, length - len(samples) - before))


def audible(samples: NDArray[np.int16], length: int) -> NDArray[np.int16]:
    """The stretch of the most energy of a recording that is longer than `length` samples, or all of it."""
    if len(samples) <= length:
        return samples
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return samples[start : start + length]
