"""Recordings of one length: which part of a long one is kept, where a short one lies, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.errors import UserError
from nas.model.words import counted
from nas.tasks.loading.audio_file import LOUDEST, Recording, Waveform
from nas.tasks.loading.windows import parse_length

_RANGE_S = (0.05, 60.0)
_FLAT = 4
_COUNTS = ("cut", "padded", "silent", "clipped", "flat", "count")


@dataclass(slots=True)
class ClipTally:
    """Counts what was done to recordings.

    Attributes:
        clip: Their length in seconds.
        cut: Longer recordings.
        padded: Shorter ones.
        silent: Recordings of zeros.
        clipped: Recordings with samples beyond full scale.
        flat: Recordings that stay at full scale for some samples, as what was too loud does.
        count: All.
    """

    clip: float
    cut: int = 0
    padded: int = 0
    silent: int = 0
    clipped: int = 0
    flat: int = 0
    count: int = 0

    def add(self, recording: Recording, length: int) -> None:
        """Counts what becomes of a recording that is to have `length` samples."""
        self.count += 1
        self.silent += not recording.samples.any()
        self.clipped += recording.clipped > 0
        self.flat += _is_flat(recording.samples)
        self.cut += len(recording.samples) > length
        self.padded += len(recording.samples) < length

    def counts(self) -> dict[str, int]:
        """JSON values."""
        return {name: int(getattr(self, name)) for name in _COUNTS}

    def merge(self, counts: Mapping[str, int]) -> None:
        """Adds what another one counted."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + counts[name])

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
        if self.flat:
            notes.append(
                f"Too loud when they were recorded: {counted(self.flat, 'recording')} with {_FLAT} samples or more"
                " at full scale in a row."
            )
        return notes


def _is_flat(samples: Waveform) -> bool:
    """Whether samples stay at one end of the scale."""
    loud = np.abs(samples) >= LOUDEST
    if np.count_nonzero(loud) < _FLAT:
        return False
    ends = np.where(loud, np.sign(samples), 0)
    return bool((np.abs(np.convolve(ends, np.ones(_FLAT), "valid")) == _FLAT).any())


def parse_clip(text: str) -> float:
    """Seconds of "1s" or "800ms".

    Raises:
        UserError: It is not a length, or out of range.
    """
    seconds = parse_length(text, "--clip", rows="").seconds
    least, most = _RANGE_S
    if seconds is None or not least <= seconds <= most:
        raise UserError(f"--clip {text} is out of range.", f"Write {least * 1000:g}ms to {most:g}s.")
    return seconds


def padded(samples: Waveform, length: int) -> Waveform:
    """A recording of `length` samples at the most amid silence."""
    before = (length - len(samples)) // 2
    return np.pad(samples, (before, length - len(samples) - before))


def audible(samples: Waveform, length: int) -> Waveform:
    """The stretch of the most energy of a recording that is longer than `length` samples, or all of it."""
    if len(samples) <= length:
        return samples
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return samples[start : start + length]
