"""A small finished model behind a front end, for the tests of its bundle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cost_models.tflite_graph import read_graph
from nas.frontend.costs import cost_model
from nas.frontend.front_end import FrontEnd
from nas.frontend.kinds import FrontEndSettings
from nas.frontend.settings import LogMelSettings
from nas.frontend.spec import make_spec
from nas.frontend.spectrum import SpectrumSettings
from nas.model.trained import Preprocess
from nas.runtimes.tflm import TflmModel

from .conftest import TCN, Finished, make_finished

RATE = 8000
# The network takes 64 x 9 values: 64 frames of a second.
SETTINGS = LogMelSettings(sample_rate=RATE, window_ms=20, hop_ms=15.5, bands=9, low_hz=200, high_hz=3800)


# The same number of features of three channels.
SPECTRA = SpectrumSettings(
    sample_rate=RATE,
    window_ms=20,
    hop_ms=15.5,
    bands=3,
    low_hz=0,
    high_hz=4000,
    channels=3,
    units_per_count=(0.5, 0.25, 1.0),
)


def recordings(count: int, samples: int = RATE) -> NDArray[np.int16]:
    """Tones that rise, in noise that does. Shape: (count, samples)."""
    rng = np.random.default_rng(3)
    at = np.arange(samples) / RATE
    tones = [9000 * at * np.sin(2 * np.pi * (300 + 700 * n + 900 * at) * at) for n in range(count)]
    noise = rng.normal(0, 300, (count, samples)) * np.linspace(0.1, 3, samples)
    return np.round(tones + noise).astype(np.int16)


def make_audio(
    *,
    settings: FrontEndSettings = SETTINGS,
    clip_samples: int = RATE,
    recorded: int = 2,
    golden_count: int = 3,
    target_name: str = "nrf52840",
    is_input: bool = True,
) -> Finished:
    """A finished model of which the first golden samples are the features of recordings.

    Args:
        settings: Of the front end.
        clip_samples: Of a recording.
        recorded: How many recordings.
        golden_count: How many golden samples.
        target_name: What it is for.
        is_input: Whether the features are the network's int8 input as they are.
    """
    finished = make_finished(raw_type="uint8", golden_count=golden_count, target_name=target_name)
    port = TflmModel(TCN.read_bytes()).input
    spec = make_spec(settings, clip_samples)
    clips = recordings(recorded * settings.channels, clip_samples)
    if settings.channels > 1:
        clips = np.moveaxis(clips.reshape(recorded, settings.channels, clip_samples), 1, 2)
    raw = np.array(finished.model.golden_inputs)
    features = FrontEnd(settings).features(clips).astype(np.int16) + 128
    raw[:recorded] = features.reshape(raw[:recorded].shape)
    scale = port.scale if is_input else port.scale * 0.7
    preprocess = Preprocess(raw_type="uint8", offset=(128.0 + port.zero_point,), scale=(scale,))
    costs = cost_model(finished.target, spec).estimate(
        read_graph(TCN.read_bytes()), file_bytes=TCN.stat().st_size
    )
    return (
        replace(finished, costs=costs)
        .with_task(
            name="five sounds",
            frontend=spec,
            input_shape=(spec.frames, spec.bands, spec.channels),
            preprocess=preprocess,
        )
        .with_model(golden_inputs=raw, golden_recordings=clips)
    )
