"""Waveforms in an npz: the same data set as their WAV files, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.tasks import load_task
from nas.tasks.loading import audio_features
from nas.tasks.options import TaskOptions

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("tflite_micro")

RATE = 8000
RNG = np.random.default_rng(1)


def tones(count: int, rate: int = RATE) -> tuple[Any, Any]:
    """Waveforms as int16, and their classes. Shape: (2 * count, rate / 2), (2 * count,)."""
    time = np.arange(rate // 2) / rate
    labels = np.arange(2 * count) % 2
    clean = 0.3 * np.sin(2 * np.pi * np.array([300.0, 1500.0])[labels][:, None] * time)
    return np.rint((clean + RNG.normal(size=clean.shape) * 0.01) * 32768).astype(np.int16), labels


def arrays(**others: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"sample_rate": RATE, "class_names": np.array(["low", "high"])}
    for part, count in {"train": 6, "val": 2, "test": 2}.items():
        found[f"X_{part}"], found[f"y_{part}"] = tones(count)
    return found | others


def load(path: Path, content: dict[str, Any], **options: Any) -> Any:
    np.savez(path / "words.npz", **content)
    given: dict[str, Any] = {"augment": 0, "front_end": "pcan"}
    return load_task(f"npz:{path / 'words.npz'}", TaskOptions(**{**given, **options}))


def test_waveforms_in_an_npz_are_the_data_set_of_their_files(tmp_path: Path) -> None:
    content = arrays()
    for part in ("train", "val", "test"):
        for at, (row, label) in enumerate(zip(content[f"X_{part}"], content[f"y_{part}"], strict=True)):
            folder = tmp_path / "files" / part / ("low", "high")[label]
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{at:02}.wav", row, RATE)
    ways: list[dict[str, Any]] = [{"augment": 0}, {"augment": 0, "sample_rate": 4000.0, "clip": "300ms"}]
    for options in ways:
        found = load(tmp_path, content, **options)
        files = load_task(f"audio:{tmp_path / 'files'}", TaskOptions(**options))
        assert found.info.frontend == files.info.frontend
        # Folders come by class, and in the order of their names.
        names = {"low": 0, "high": 1}
        for part in ("train", "val", "test"):
            of_files = [files.info.class_names[label] for label in files.labels[part]]
            for name, index in names.items():
                rows = found.samples[part][found.labels[part] == index]
                same = files.samples[part][np.array(of_files) == name]
                assert np.array_equal(rows, same)
    assert found.golden_recordings.shape == (2, 1200)


def test_versions_groups_and_floats_go_with_their_waveforms(tmp_path: Path) -> None:
    content = arrays(groups_train=np.arange(12) // 6, groups_test=np.array([7, 7, 8, 8]))
    whole = load(tmp_path, content, augment=2)
    assert len(whole.samples["train"]) == len(whole.labels["train"]) == 36
    assert whole.labels["train"].tolist() == [label for label in content["y_train"] for _ in range(3)]
    assert [len(whole.groups[part]) for part in ("train", "test")] == [36, 4]
    assert sorted(set(whole.groups["test"].tolist())) == [7, 8]
    floats = {key: value / 32768 if key.startswith("X_") else value for key, value in content.items()}
    again = load(tmp_path, floats, augment=2)
    assert again.digest() == whole.digest()
    assert any(note.startswith("Rounded to 16 bits: 20 recordings") for note in again.notes)
    samples, labels = tones(12)
    heap = {"X": samples[:, :, None], "y": labels, "groups": np.arange(24) // 4, "sample_rate": RATE}
    searched = load(tmp_path, heap, front_end="search")
    assert len(searched.behind) == 5
    assert not set(searched.groups["train"]) & set(searched.groups["test"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_several_processes_make_the_features_of_an_array_that_one_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    told: list[str] = []
    monkeypatch.setattr(audio_features, "tell", lambda what, *_: told.append(what))
    content = arrays()
    if kind is np.float32:
        content |= {key: (value / 32768).astype(kind) for key, value in content.items() if key[0] == "X"}
    given: dict[str, Any] = {"augment": 2, "sample_rate": 4000.0}
    monkeypatch.setenv("MCU_NAS_CACHE", str(tmp_path / "one"))
    one = load(tmp_path, content, **given)
    monkeypatch.setenv("MCU_NAS_CACHE", str(tmp_path / "two"))
    monkeypatch.setattr(audio_features, "_MANY", 4)
    monkeypatch.setattr(audio_features, "_BLOCK", 5)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(audio_features._Maker, "make", None)  # not in this process
    told.clear()
    two = load(tmp_path, content, **given)
    assert (one.digest(), one.notes) == (two.digest(), two.notes)
    assert set(told) == {"making features of recordings"}


def test_without_a_front_end_the_rate_of_an_npz_is_said_to_be_unused(tmp_path: Path) -> None:
    found = load(tmp_path, arrays(), front_end=None, augment=8)
    assert "sample_rate is not used: --front-end pcan makes features of waveforms" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ({"sample_rate": 50}, {}, r"words has 50 samples a second\. Audio has whole rates from 1,000"),
        ({"X_val": np.full((4, 4000), 9.0)}, {}, r"X_val has samples from 9 to 9; of waveforms in floats"),
        ({"X_val": np.full((4, 4000), 40_000)}, {}, r"X_val has samples from 40,000 to 40,000, beyond int16"),
        ({"X_val": np.full((4, 4000), 128, np.uint8)}, {}, r"X_val holds uint8, which does not say where"),
        ({"X_val": np.zeros((4, 4000, 2))}, {}, r"X_val has shape \(4, 4000, 2\); waveforms have"),
        ({"X_val": np.full((4, 4000), np.nan)}, {}, r"X_val has NaN or infinite values"),
        ({"X_val": np.zeros((3, 4000))}, {}, r"X_val has 3 samples but y_val has 4 labels"),
        ({"y_val": np.array([0, 1, 0.5, 1])}, {}, r"y_val has labels that are not whole numbers"),
        ({}, {"frame": "64"}, r"--frame is of no use to waveforms\."),
        ({}, {"input_kind": "signals"}, r"--input-kind is of no use to waveforms\."),
        ({}, {"front_end": None}, r"--augment is of no use to arrays without a front end of audio\."),
    ],
)
def test_a_mistake_with_waveforms_is_one_sentence_with_a_hint(
    content: dict[str, Any], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path, arrays(**content), **options)
    assert error.value.hint


def test_waveforms_of_no_rate_are_refused(tmp_path: Path) -> None:
    content = {key: value for key, value in arrays().items() if key != "sample_rate"}
    with pytest.raises(UserError, match=r"words does not say the sample rate of its waveforms\."):
        load(tmp_path, content)
