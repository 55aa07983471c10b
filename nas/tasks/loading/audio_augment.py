"""Other versions of a training recording: what a network must not take for the class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.tasks.loading.audio_file import LOUDEST, Waveform, resample

# Speed changes pitch and formants with it: other voices than the few of the training part.
_SPEEDS = tuple(range(80, 125, 5))  # in percent
_GAIN_DB = (-12.0, 6.0)
_NOISE_DB = (10.0, 45.0)  # below the recording
_NOISY = 0.7  # share of the versions that get noise
_SHIFT = 0.15  # of the clip, to either side


def varied(samples: Waveform, length: int, noises: Sequence[Waveform], rng: np.random.Generator) -> Waveform:
    """A version with another speed, level and place in time, amid noise.

    Args:
        samples: The recording. Shape: (n,).
        length: Samples of the version.
        noises: Recordings of background noise to draw from; white noise where there are none.
        rng: Source of all of it.
    """
    changed = resample(samples.astype(np.float64), 100, int(rng.choice(_SPEEDS)))
    changed *= 10 ** (rng.uniform(*_GAIN_DB) / 20)
    level = np.sqrt(np.mean(changed**2)) + 1.0
    placed = _placed(changed, length, round(rng.uniform(-_SHIFT, _SHIFT) * length))
    if rng.random() < _NOISY:
        noise = _noise(noises, length, rng)
        placed += noise * level * 10 ** (-rng.uniform(*_NOISE_DB) / 20)
    return np.rint(np.clip(placed, -LOUDEST, LOUDEST)).astype(np.int16)


def _placed(samples: NDArray[np.float64], length: int, shift: int) -> NDArray[np.float64]:
    """The recording in the middle of `length` samples, moved by `shift`; what lies outside is lost."""
    out = np.zeros(length)
    start = (length - len(samples)) // 2 + shift
    first, last = max(start, 0), min(start + len(samples), length)
    out[first:last] = samples[first - start : last - start]
    return out


def _noise(noises: Sequence[Waveform], length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of a mean square of 1."""
    if noises:
        noise = noises[int(rng.integers(len(noises)))]
        start = int(rng.integers(max(len(noise) - length, 0) + 1))
        stretch = np.resize(noise[start : start + length].astype(np.float64), length)
        power = np.sqrt(np.mean(stretch**2))
        if power > 0:
            return np.asarray(stretch / power)
    return rng.normal(size=length)
