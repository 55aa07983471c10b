"""Features in TFLM's interpreter against log-mel energies in float64, and what the switches do to them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cost_models.arena import arena
from cost_models.errors import UserError
from nas.frontend.front_end import FrontEnd
from nas.frontend.log_mel import log_mel
from nas.frontend.settings import LogMelSettings
from nas.frontend.signal_graph import ZERO_POINT
from nas.runtimes.tflm import load_interpreter

pytest.importorskip("tflite_micro")

PLAIN = LogMelSettings(pcan=False, noise_subtraction=False)
NARROW = replace(PLAIN, sample_rate=8000, high_hz=3800, bands=20, window_ms=32, hop_ms=16)


def seconds(settings: LogMelSettings) -> NDArray[np.float64]:
    return np.arange(settings.sample_rate) / settings.sample_rate


def pcm(signal: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.clip(np.round(signal), -32768, 32767).astype(np.int16)


def sine(settings: LogMelSettings, hertz: float, amplitude: float) -> NDArray[np.int16]:
    return pcm(amplitude * np.sin(2 * np.pi * hertz * seconds(settings)))


def log_mel_of(settings: LogMelSettings, samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Half the logarithm of the energy in each band, by NumPy's transform and the triangles' formula."""
    size, length = settings.window_samples, settings.fft_length
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), size)[
        :: settings.hop_samples
    ]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)
    power = np.abs(np.fft.rfft(frames * window, length)) ** 2

    def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        return 2595 * np.log10(1 + hertz / 700)

    first, last = mel(np.array([settings.low_hz, settings.high_hz]))
    edges = np.linspace(first, last, settings.bands + 2)
    places = mel(np.arange(length // 2 + 1) * settings.sample_rate / length)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.clip(
        np.minimum((places - low) / (middle - low), (high - places) / (high - middle)), 0, None
    )
    energies: NDArray[np.float64] = 0.5 * np.log(np.maximum(power @ triangles.T, 1e-9))
    return energies


def nepers(front_end: FrontEnd, samples: NDArray[np.int16]) -> NDArray[np.float64]:
    features = front_end.features(samples[None])[0]
    scaled: NDArray[np.float64] = (features.astype(np.float64) - ZERO_POINT) * front_end.model.scale
    return scaled


@pytest.mark.parametrize("settings", [PLAIN, NARROW], ids=["16 kHz", "8 kHz"])
@pytest.mark.parametrize("level", [3000, 300, 100])
def test_features_are_log_mel_energies_within_a_step(settings: LogMelSettings, level: int) -> None:
    front_end = FrontEnd(settings)
    samples = pcm(np.random.default_rng(level).normal(0, level, settings.sample_rate))
    error = nepers(front_end, samples) - log_mel_of(settings, samples)
    assert np.abs(error).max() < front_end.model.scale
    assert abs(error.mean()) < 0.02


@pytest.mark.parametrize(
    ("settings", "step"),
    # PCAN follows odd bands faster and so keeps them lower: a sine between two shows in the even one.
    [(PLAIN, 3), (NARROW, 3), (LogMelSettings(), 2)],
    ids=["16 kHz", "8 kHz", "all"],
)
def test_the_band_of_a_sine_is_the_largest(settings: LogMelSettings, step: int) -> None:
    front_end = FrontEnd(settings)
    low, high = (2595 * np.log10(1 + np.array([settings.low_hz, settings.high_hz]) / 700)).tolist()
    for band in range(0, settings.bands, step):
        centre = low + (high - low) / (settings.bands + 1) * (band + 1)
        samples = sine(settings, 700 * (10 ** (centre / 2595) - 1), 8000)
        assert (front_end.features(samples[None])[0, :2].argmax(axis=1) == band).all()


def test_twice_the_amplitude_is_six_decibels_more() -> None:
    front_end = FrontEnd(PLAIN)
    loudest = [nepers(front_end, sine(PLAIN, 1000, 300 * 2**step)).max() for step in range(7)]
    assert np.abs(np.diff(loudest) * 8.6859 - 6.0206).max() < 8.6859 * front_end.model.scale


@pytest.mark.parametrize("pcan", [True, False])
@pytest.mark.parametrize("noise_subtraction", [True, False])
def test_silence_is_the_lowest_value(pcan: bool, noise_subtraction: bool) -> None:
    settings = LogMelSettings(pcan=pcan, noise_subtraction=noise_subtraction)
    assert (FrontEnd(settings).features(np.zeros((1, 16_000), np.int16)) == ZERO_POINT).all()


@pytest.mark.parametrize("hertz", [100, 440, 1000, 3000])
def test_a_square_wave_at_full_scale_neither_wraps_nor_saturates(hertz: float) -> None:
    front_end = FrontEnd(PLAIN)
    samples = np.where(np.sin(2 * np.pi * hertz * seconds(PLAIN) + 0.1) > 0, 32767, -32768).astype(np.int16)
    made, wanted = nepers(front_end, samples), log_mel_of(PLAIN, samples)
    loud = wanted > wanted.max() - 6
    assert np.abs(made - wanted)[loud].max() < 1.5 * front_end.model.scale
    assert front_end.features(samples[None]).max() < 127


@pytest.mark.parametrize("window_ms", [4, 30, 60, 128])
def test_the_loudest_onset_reaches_the_top_of_the_scale_and_no_further(window_ms: float) -> None:
    settings = LogMelSettings(window_ms=window_ms, bands=6, noise_subtraction=False)
    for one in (settings, replace(settings, pcan=False)):
        samples = np.where(np.sin(2 * np.pi * 1000 * seconds(one) + 0.1) > 0, 32767, -32768).astype(np.int16)
        assert 90 < FrontEnd(one).features(samples[None]).max() < 127


def test_pcan_takes_the_level_out_of_a_lasting_sound() -> None:
    noise = np.random.default_rng(4).normal(0, 1, 48_000)
    quiet, loud = pcm(500 * noise), pcm(5000 * noise)
    spread = {}
    for pcan in (True, False):
        front_end = FrontEnd(LogMelSettings(pcan=pcan, noise_subtraction=False))
        settled = [nepers(front_end, samples)[-40:].mean() for samples in (quiet, loud)]
        spread[pcan] = settled[1] - settled[0]
    assert abs(spread[False] - np.log(10)) < 0.05
    assert spread[True] < 0.3 * spread[False]


def test_noise_subtraction_lowers_what_lasts_and_keeps_what_begins() -> None:
    noise = np.random.default_rng(5).normal(0, 1000, 48_000)
    plain, less = FrontEnd(PLAIN), FrontEnd(replace(PLAIN, noise_subtraction=True))
    gone = nepers(plain, pcm(noise)) - nepers(less, pcm(noise))
    assert gone[0].max() < 0.1
    assert gone[-40:].mean() > 0.8


def test_what_a_recording_leaves_behind_does_not_reach_the_next() -> None:
    front_end = FrontEnd(LogMelSettings())
    rng = np.random.default_rng(6)
    clips = np.stack([pcm(rng.normal(0, level, 8000)) for level in (5000, 50, 500)])
    together = front_end.features(clips)
    assert together.shape == (3, 24, 40)
    for clip, features in zip(clips, together, strict=True):
        assert (front_end.features(clip[None])[0] == features).all()
    assert (front_end.features(clips[::-1])[::-1] == together).all()


def test_recordings_may_be_a_view_of_others() -> None:
    front_end = FrontEnd(PLAIN)
    samples = np.random.default_rng(7).integers(-999, 999, (2, 3, 4000)).astype(np.int16)
    assert (front_end.features(samples[:, 1, ::2]) == front_end.features(samples[:, 1, ::2].copy())).all()


# FNV-1a over three frames, as a Cortex-M4 under QEMU made them of the same samples (tflite-micro 90b983c2).
ON_CHIP = {
    "13a60a18": LogMelSettings(),
    "805ae31a": LogMelSettings(sample_rate=8000, high_hz=3800, bands=20),
    "d3e9bf8a": LogMelSettings(pcan=False),
    "f99d4497": LogMelSettings(noise_subtraction=False),
    "5b0a35ac": LogMelSettings(pcan=False, noise_subtraction=False, bands=13, window_ms=25, hop_ms=10),
    "5d938460": LogMelSettings(sample_rate=44_100, high_hz=20_000, window_ms=40, bands=64),
}


@pytest.mark.parametrize("wanted", ON_CHIP)
def test_features_are_those_of_the_chip_byte_for_byte(wanted: str) -> None:
    settings = replace(ON_CHIP[wanted], hop_ms=ON_CHIP[wanted].window_ms)
    place = np.arange(settings.window_samples)
    frames = [(place * 7919 + frame * 104_729) % 20_001 - 10_000 for frame in range(3)]
    hashed = 2166136261
    for byte in FrontEnd(settings).features(np.concatenate(frames).astype(np.int16)[None]).tobytes():
        hashed = (hashed ^ byte) * 16777619 % (1 << 32)
    assert f"{hashed:08x}" == wanted


def test_the_plan_of_its_memory_is_tflms(capfd: pytest.CaptureFixture[str]) -> None:
    model = log_mel(LogMelSettings())
    load_interpreter(model.tflite).print_allocations()
    planned = arena(model.graph, kernels="reference", core="cortex-m4").planned_bytes
    assert f"Arena allocation head {planned} bytes" in capfd.readouterr().err


def test_the_port_says_what_the_features_are() -> None:
    front_end = FrontEnd(LogMelSettings())
    port = front_end.output(16_000)
    assert (port.shape, port.zero_point) == ((49, 40), -128)
    assert abs(port.scale - 1 / 24) < 1e-8


def test_recordings_shorter_than_a_frame_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        FrontEnd(LogMelSettings()).features(np.zeros((1, 479), np.int16))
    assert str(caught.value) == (
        "Recordings of 479 samples are shorter than a frame of 480. Take longer recordings or a shorter window."
    )


@pytest.mark.parametrize("waveforms", [np.zeros((1, 500), np.float32), np.zeros(500, np.int16)])
def test_what_is_no_recording_is_a_mistake_of_the_caller(waveforms: NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match="not int16"):
        FrontEnd(LogMelSettings()).features(waveforms)


def test_a_machine_without_tflm_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    with pytest.raises(UserError, match="Front ends run in TFLM's interpreter alone"):
        FrontEnd(LogMelSettings())


def test_the_example_in_the_docs_runs() -> None:
    text = (Path(__file__).parents[3] / "docs" / "front-end.md").read_text(encoding="utf-8")
    example = text.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {"waveforms": np.zeros((2, 8000), np.int16)}
    exec(example, names)
    assert names["features"].shape == (2, 61, 20)
    assert names["features"].dtype == np.int8
