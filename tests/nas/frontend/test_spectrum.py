"""The front end of vibration and motion: its settings, its features against float64, and each channel by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.frontend.front_end import FrontEnd
from nas.frontend.kinds import read_settings
from nas.frontend.spec import make_spec, remake_spec, settings_of
from nas.frontend.spectrum import SpectrumSettings

RATE = 1000
ONE = SpectrumSettings(
    sample_rate=RATE,
    window_ms=128,
    hop_ms=64,
    bands=10,
    low_hz=0,
    high_hz=500,
    channels=1,
    units_per_count=(1.0,),
)
TWO = replace(ONE, channels=2, units_per_count=(0.5, 2.0))


def signals(count: int, rows: int = 320, channels: int = 2) -> NDArray[np.int16]:
    """Tones of a channel's own pitch and level, in noise. Shape: (count, rows, channels)."""
    rng = np.random.default_rng(5)
    at = np.arange(rows)[:, None] / RATE
    tones = 3000 * np.sin(2 * np.pi * (60 + 170 * np.arange(channels)) * at) / (1 + np.arange(channels))
    return np.round(tones + rng.normal(0, 200, (count, rows, channels))).astype(np.int16)


def test_features_are_those_of_float64_within_a_step() -> None:
    samples = signals(3, channels=1)[:, :, 0]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(128) + 0.5) / 128)
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), 128, axis=1)[:, ::64]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    edges = np.linspace(0, 500, 12)
    places = np.arange(65) * RATE / 128
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.clip(
        np.minimum((places - low) / (middle - low), (high - places) / (high - middle)), 0, None
    )
    expected = 0.5 * np.log(power @ triangles.T) * ONE.log_scale
    found = FrontEnd(ONE).features(samples).astype(np.float64) + 128
    assert found.shape == (3, 4, 10)
    assert np.abs(found - expected).max() < 1.5


def test_each_channel_goes_through_by_itself() -> None:
    samples = signals(4)
    found = FrontEnd(TWO).features(samples)
    assert found.shape == (4, 4, 10, 2)
    for channel in range(2):
        alone = FrontEnd(ONE).features(np.ascontiguousarray(samples[:, :, channel]))
        assert np.array_equal(found[..., channel], alone)
    assert not np.array_equal(found[..., 0], found[..., 1])


@pytest.mark.parametrize(
    "waveforms", [signals(2)[:, :, :1], signals(2)[:, :, 0], signals(2).astype(np.int32)]
)
def test_samples_of_another_shape_or_type_are_refused(waveforms: NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match=r"not int16 \(n, samples, 2\)"):
        FrontEnd(TWO).features(waveforms)


def test_bands_in_octaves_are_narrow_below_and_wide_above() -> None:
    octaves = replace(ONE, spacing="octave", low_hz=30, bands=4)
    tone = np.round(8000 * np.sin(2 * np.pi * 300 * np.arange(128) / RATE)).astype(np.int16)[None]
    assert int(FrontEnd(octaves).features(tone)[0, 0].argmax()) == 3
    assert int(FrontEnd(replace(octaves, spacing="linear")).features(tone)[0, 0].argmax()) == 2


def test_a_front_end_comes_back_from_what_was_written_down() -> None:
    spec = make_spec(TWO, 320)
    assert (spec.kind, spec.frames, spec.bands, spec.channels) == ("spectrum", 4, 10, 2)
    assert (spec.features, spec.recording_shape) == (80, (320, 2))
    assert settings_of(spec) == TWO
    listed = {
        name: list(value) if isinstance(value, tuple) else value for name, value in spec.settings.items()
    }
    assert remake_spec("spectrum", listed, 320) == spec


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("spectra", {}, r"There is no front end spectra\. Did you mean spectrum\?"),
        ("spectrum", {"pcan": True}, r"The front end's settings are not those of spectrum: .*pcan"),
        ("log_mel", {}, r"The front end's settings are not those of log_mel: .*channels"),
        ("spectrum", {"channels": 0}, r"A front end of 0 channels is not known\."),
        ("spectrum", {"units_per_count": (1.0,)}, r"The units of 2 channels are not numbers above 0\."),
        ("spectrum", {"units_per_count": (1.0, 0.0)}, r"The units of 2 channels are not numbers above 0\."),
        ("spectrum", {"spacing": "mel"}, r"Bands are not spaced by 'mel'\. Take linear or octave\."),
        ("spectrum", {"spacing": "octave"}, r"Octaves have no lowest one\. Give a low_hz above 0\."),
        ("spectrum", {"steps_per_neper": 0}, r"0 steps per neper are not 1 to 255\."),
        ("spectrum", {"sample_rate": 0}, r"A sample rate of 0 Hz is not one of 1 to 1,000,000 Hz\."),
    ],
)
def test_settings_of_which_no_front_end_can_be_made_are_refused(
    kind: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_settings(kind, {**make_spec(TWO, 320).settings, **change})
