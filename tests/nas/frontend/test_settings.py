"""Settings of a front end: what follows from them, and which are refused in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from cost_models.errors import UserError
from nas.frontend.settings import LogMelSettings


def test_the_defaults_are_those_of_micro_speech() -> None:
    settings = LogMelSettings()
    assert (settings.window_samples, settings.hop_samples, settings.fft_length) == (480, 320, 512)
    assert (settings.correction_bits, settings.frames(16_000)) == (3, 49)


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (479, 0), (480, 1), (799, 1), (800, 2), (16_000, 49)]
)
def test_frames_are_whole(samples: int, frames: int) -> None:
    assert LogMelSettings().frames(samples) == frames


@pytest.mark.parametrize(
    ("window_ms", "length"), [(4, 64), (4.0625, 128), (16, 256), (32, 512), (32.0625, 1024), (128, 2048)]
)
def test_a_transform_takes_the_next_power_of_two(window_ms: float, length: int) -> None:
    assert LogMelSettings(window_ms=window_ms, bands=5).fft_length == length


def test_the_output_has_as_many_steps_as_the_loudest_input_leaves() -> None:
    assert LogMelSettings().log_scale == 24
    assert LogMelSettings(pcan=False).log_scale == 16
    assert LogMelSettings(pcan=False, window_ms=128).log_scale == 14
    assert LogMelSettings(steps_per_neper=20).log_scale == 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"sample_rate": 500},
            "A sample rate of 500 Hz is not one of 1,000 to 96,000 Hz."
            " Give the rate at which the recordings were made.",
        ),
        ({"bands": 0}, "A front end of 0 bands is not known. Take 1 to 128."),
        ({"bands": 129}, "A front end of 129 bands is not known. Take 1 to 128."),
        (
            {"window_ms": 200},
            "A window of 200 ms is not one of 2 to 2,048 samples. Take one of at most 128 ms.",
        ),
        (
            {"window_ms": 0.01},
            "A window of 0.01 ms is not one of 2 to 2,048 samples. Take one of at most 128 ms.",
        ),
        (
            {"hop_ms": 0.01},
            "A hop of 0.01 ms is not one of a sample to a minute. Take half to two thirds of the window.",
        ),
        (
            {"high_hz": 9000},
            "Bands from 125 to 9000 Hz are not between 0 and half the sample rate, 8000 Hz."
            " Set low_hz and high_hz to where the signal is: --band-limits.",
        ),
        (
            {"low_hz": 600, "high_hz": 500},
            "Bands from 600 to 500 Hz are not between 0 and half the sample rate, 8000 Hz."
            " Set low_hz and high_hz to where the signal is: --band-limits.",
        ),
        (
            {"low_hz": float("nan")},
            "Bands from nan to 7500 Hz are not between 0 and half the sample rate, 8000 Hz."
            " Set low_hz and high_hz to where the signal is: --band-limits.",
        ),
        (
            {"bands": 100, "window_ms": 8},
            "Band 1 of 100 has no place in the spectrum, whose places are 125 Hz apart."
            " Take fewer bands, a longer window, or a higher low_hz.",
        ),
        (
            {"steps_per_neper": 256},
            "256 steps per neper are not 1 to 255."
            " Leave steps_per_neper out to take what the loudest input allows.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_settings_of_which_no_front_end_can_be_made_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        LogMelSettings(**settings)
    assert str(caught.value) == message


@pytest.mark.parametrize("window_ms", [float("nan"), float("inf"), -5])
def test_windows_that_are_no_length_are_refused(window_ms: float) -> None:
    with pytest.raises(UserError, match="A window of"):
        LogMelSettings(window_ms=window_ms)


@pytest.mark.parametrize("hop_ms", [float("nan"), float("inf"), -5, 1e12])
def test_hops_that_are_no_length_are_refused(hop_ms: float) -> None:
    with pytest.raises(UserError, match="A hop of"):
        LogMelSettings(hop_ms=hop_ms)
