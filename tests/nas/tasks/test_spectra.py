"""Windows of signals behind the front end `spectrum`: from files and arrays to features that the chip makes as well."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cost_models.budget import parse_budget
from cost_models.errors import UserError
from cost_models.target_file import load_target
from nas.frontend.front_end import FrontEnd
from nas.frontend.spec import settings_of
from nas.frontend.spectrum import SpectrumSettings
from nas.model.words import FRONT_END
from nas.run.limits import less_front_end
from nas.tasks import Dataset, load_task
from tests.nas.tasks.written_recordings import folder

pytest.importorskip("tflite_micro")


def vibration(count: int, *, scale: float = 1.0, rows: int = 64) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Windows of two channels in two classes, which differ in pitch. Shapes: (count, rows, 2) and (count,)."""
    rng = np.random.default_rng(2)
    labels = np.arange(count) % 2
    at = np.arange(rows)[None, :, None]
    tones = 900 * np.sin(
        2 * np.pi * at * (0.1 + 0.15 * labels[:, None, None]) + rng.uniform(0, 6, (count, 1, 2))
    )
    return np.round(tones + rng.normal(0, 60, tones.shape)) * scale, labels


def stored(path: Path, *, scale: float = 1.0, count: int = 60, **more: Any) -> str:
    samples, labels = vibration(count, scale=scale)
    kept = samples.astype(np.int16) if scale == 1 else samples.astype(np.float32)
    np.savez(path / "v.npz", X=kept, y=labels, class_names=np.array(["good", "worn"]), **more)
    return f"npz:{path / 'v.npz'}"


def spectrum(task: str, **options: Any) -> Dataset:
    return load_task(task, front_end="spectrum", **options)


def settings(dataset: Dataset) -> SpectrumSettings:
    assert dataset.info.frontend is not None
    found = settings_of(dataset.info.frontend)
    assert isinstance(found, SpectrumSettings)
    return found


def test_arrays_of_whole_numbers_go_through_as_they_are(tmp_path: Path) -> None:
    dataset = spectrum(stored(tmp_path), sample_rate=800, frame="32", bands=8)
    assert dataset.info.input_shape == (3, 8, 2)
    found = settings(dataset)
    assert (found.sample_rate, found.window_samples, found.hop_samples, found.units_per_count) == (
        800, 32, 16, (1.0, 1.0),
    )  # fmt: skip
    assert dataset.report.taken_as == "features of 3 frames, 8 bands, 2 channels"
    assert (
        "Features by spectrum: 3 frames of 32 rows every 16 rows, 8 bands of each channel from 12.5 to 400 Hz, made by"
        " TFLM as on the chip." in dataset.notes
    )
    assert dataset.golden_recordings is not None
    assert dataset.golden_recordings.shape == (2, 64, 2)
    features = FrontEnd(found).raw_features(dataset.golden_recordings)
    for recording in features:
        assert any(np.array_equal(recording, sample) for sample in dataset.samples["test"])
    assert dataset.input_range == (0.0, 1.0)


def test_a_channel_of_one_value_is_said_though_its_features_differ(tmp_path: Path) -> None:
    samples, labels = vibration(60)
    samples[:, :, 1] = 700
    np.savez(tmp_path / "v.npz", X=samples, y=labels)
    dataset = spectrum(f"npz:{tmp_path / 'v.npz'}", sample_rate=800)
    assert any(note.startswith("Channel 1 of 2 holds a single value") for note in dataset.notes)
    np.savez(tmp_path / "v.npz", X=np.full_like(samples, 700), y=labels)
    with pytest.raises(UserError, match="every channel of the training part holds a single value"):
        spectrum(f"npz:{tmp_path / 'v.npz'}", sample_rate=800)


def test_one_frame_is_a_spectrum_with_channels(tmp_path: Path) -> None:
    dataset = spectrum(stored(tmp_path, sample_rate=np.int64(800)))
    assert dataset.info.input_shape == (16, 2)
    assert settings(dataset).window_samples == 64
    assert dataset.info.frontend is not None
    assert dataset.info.frontend.frames == 1


def test_values_in_units_become_int16_in_steps_that_are_said(tmp_path: Path) -> None:
    counts = spectrum(stored(tmp_path), sample_rate=800)
    units = spectrum(stored(tmp_path, scale=1 / 512), sample_rate=800)
    step = 2.0**-13  # some 1,100 / 512 and half as much again over 32,767, as a power of two
    assert settings(units).units_per_count == (step, step)
    assert any(
        note.startswith("Channels become int16 in steps of 0.00012207 of its unit") for note in units.notes
    )
    # The same shapes 16 times as large: log 16 higher, within the roundings of both.
    risen = units.samples["test"].astype(float) - counts.samples["test"]
    assert abs(float(np.median(risen)) - np.log(16) * settings(units).log_scale) < 1.5


def test_what_lies_beyond_int16_is_cut_and_counted(tmp_path: Path) -> None:
    samples, labels = vibration(60, scale=1 / 512)
    parts = {"train": slice(0, 30), "val": slice(30, 45), "test": slice(45, 60)}
    arrays: dict[str, NDArray[Any]] = {
        f"X_{part}": samples[where].astype(np.float32) for part, where in parts.items()
    }
    arrays |= {f"y_{part}": labels[where] for part, where in parts.items()}
    arrays["X_test"][0, :3, 0] = 50.0
    np.savez(tmp_path / "v.npz", **arrays)  # type: ignore[arg-type]
    dataset = spectrum(f"npz:{tmp_path / 'v.npz'}", sample_rate=800)
    assert any(note.startswith("Beyond int16 and cut to it: 3 values of windows") for note in dataset.notes)


def test_files_of_recordings_are_resampled_windowed_and_transformed(tmp_path: Path) -> None:
    dataset = spectrum(f"timeseries:{folder(tmp_path)}", window="64", frame="600ms", frame_hop="300ms")
    found = settings(dataset)
    assert (found.sample_rate, found.window_samples, found.hop_samples, found.channels) == (50, 30, 15, 2)
    assert dataset.info.input_shape == (3, 7, 2)
    assert any("No frame has the last 4 rows of a window." in note for note in dataset.notes)


def test_made_anomalies_are_made_of_features(tmp_path: Path) -> None:
    samples, _ = vibration(60)
    np.savez(tmp_path / "v.npz", X=samples.astype(np.int16), y=np.array(["good"] * 60))
    dataset = spectrum(f"npz:{tmp_path / 'v.npz'}", sample_rate=800, normal="good")
    assert dataset.info.input_shape == (16, 2)
    assert dataset.samples["val"].dtype == np.uint8
    assert sorted(set(dataset.labels["val"].tolist())) == [0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"--front-end spectrum needs the sample rate of the signals\. Give --sample-rate HZ"),
        ({"sample_rate": 12.5}, r"--front-end spectrum takes whole sample rates, not 12.5 Hz\."),
        ({"sample_rate": 800, "frame": "65"}, r"A frame of 65 rows is out of range\. Use 4 to 64 rows"),
        (
            {"sample_rate": 800, "frame_hop": "2s"},
            r"A hop of 1,600 rows is out of range\. Use 1 to 64 rows\.",
        ),
        ({"sample_rate": 800, "frame": "long"}, r"--frame long is not a length\."),
        (
            {"sample_rate": 800, "band_limits": "100"},
            r"--band-limits 100 are none\. Write Hz like 300-5000\.",
        ),
        (
            {"sample_rate": 800, "band_limits": "9-500"},
            r"Bands from 9 to 500 Hz are not between 0 and half the sample rate, 400 Hz\. .* --band-limits",
        ),
        ({"sample_rate": 800, "bands": 100}, r"Band \d+ of 100 has no place in the spectrum"),
    ],
)
def test_mistakes_get_a_sentence(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        spectrum(stored(tmp_path), **options)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (
            "timeseries:v",
            {"front_end": "pcan"},
            r"--front-end pcan is for audio:FOLDER and npz:PATH\. Vibration",
        ),
        (
            "timeseries:v",
            {"bands": 8},
            r"--bands is of no use without a front end\. Add --front-end spectrum\.",
        ),
        ("npz:v.npz", {"frame": "8"}, r"--frame is of no use without a front end\."),
        ("npz:v.npz", {"sample_rate": 8}, r"--sample-rate is of no use to arrays without a front end\."),
        ("images:v", {"front_end": "spectrum"}, r"--front-end is of no use to the task images\."),
    ],
)
def test_options_that_go_nowhere_are_refused(task: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_task(task, **options)


def test_a_stored_rate_is_not_overruled(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"was sampled at 800 Hz, not at 400 Hz: arrays are not resampled\."):
        spectrum(stored(tmp_path, sample_rate=800), sample_rate=400)
    with pytest.raises(UserError, match=r"sample_rate is not a number of Hz\."):
        spectrum(stored(tmp_path, sample_rate=np.array(["800"])))


def test_pictures_have_no_spectrum(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "p.npz",
        X=np.zeros((60, 8, 8, 1), np.uint8) + np.arange(60)[:, None, None, None].astype(np.uint8),
        y=np.arange(60) % 2,
    )
    with pytest.raises(
        UserError, match=r"--front-end spectrum takes signals; the samples of p have 3 axes\."
    ):
        spectrum(f"npz:{tmp_path / 'p.npz'}", sample_rate=800)


def test_a_chip_that_is_too_slow_is_told_its_share_in_whole_percent(tmp_path: Path) -> None:
    spec = spectrum(stored(tmp_path), sample_rate=50_000).info.frontend
    (note,) = (
        note
        for note in less_front_end(
            parse_budget(None, load_target("rp2040")), load_target("rp2040"), spec
        ).notes
        if FRONT_END in note
    )
    assert re.search(r" [\d,]+ % of the chip's time\. Frames come faster than this chip makes them\.", note)
