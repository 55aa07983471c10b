"""The data report: what a reader should know before a network is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.tasks import load_task
from nas.tasks.dataset import make_dataset
from nas.tasks.loading import mapped


def arrays(**changes: Any) -> Any:
    rng = np.random.default_rng(0)
    counts = {"train": 60, "val": 20, "test": 20}
    samples = {part: rng.integers(-500, 500, (n, 16, 2)).astype(np.int16) for part, n in counts.items()}
    labels = {part: np.arange(n) % 2 for part, n in counts.items()}
    return {"name": "d", "samples": samples | changes, "labels": labels, "class_names": ("idle", "run")}


def test_a_few_lines_say_what_the_data_hold() -> None:
    lines = make_dataset(**arrays()).report.lines()
    assert lines[0] == "signals of 16 steps, 2 channels, int16; 60 train, 20 val, 20 test"
    assert lines[1] == "classes (train/val/test) idle 30/10/10, run 30/10/10"
    assert lines[2].startswith("values -500 to 499 in train, -")
    assert lines[2].endswith("of 256 int8 levels")
    assert lines[3].startswith("beyond the int8 range 0")
    assert len(lines) == 4


def test_of_many_classes_the_numbers_are_summed_up() -> None:
    report = load_task("digits").report
    assert report.lines() == [
        "pictures of 8 x 8, 1 channel, uint8; 1,077 train, 360 val, 360 test",
        "10 classes, samples of each: 104 to 109 in train, 35 to 37 in val, 35 to 37 in test",
        "values 0 to 16 in train, 0 to 16 in val, 0 to 16 in test; they use 17 of 256 int8 levels",
        "beyond the int8 range 0 % of train, 0 % of val, 0 % of test",
    ]
    assert json.loads(json.dumps(report.to_json()))["parts"]["val"]["samples"] == 360


def test_copies_of_training_samples_are_counted_and_said() -> None:
    made = arrays()
    made["samples"]["test"][:3] = made["samples"]["train"][:3]
    made["samples"]["val"][5] = made["samples"]["train"][7]
    report = make_dataset(**made).report
    assert [report.parts[part].copies for part in ("train", "val", "test")] == [0, 1, 3]
    assert report.notes == (
        "1 of 20 val samples are exact copies of training samples: accuracy on them says nothing of new data.",
        "3 of 20 test samples are exact copies of training samples: accuracy on them says nothing of new data.",
    )
    assert report.lines()[-1] == f"note: {report.notes[1]}"


def test_copies_of_another_class_are_said() -> None:
    made = arrays()
    made["samples"]["test"][:2] = made["samples"]["train"][:2]
    made["labels"]["test"][:2] = [made["labels"]["train"][0], 1 - made["labels"]["train"][1]]
    made["samples"]["train"][9] = made["samples"]["train"][8]
    made["labels"]["train"][9] = 1 - made["labels"]["train"][8]
    assert make_dataset(**made).notes[-1] == (
        "2 samples are of another class than an exact copy among the training samples: one of the two labels is wrong."
    )


def test_a_class_that_is_spelt_otherwise_in_a_part_is_told_which_it_may_be() -> None:
    made = arrays()
    words = np.array(["idle", "run"])
    made.pop("class_names", None)
    made["labels"] = {part: words[labels] for part, labels in made["labels"].items()}
    made["labels"]["test"] = np.where(made["labels"]["test"] == "run", "runs", "idle")
    with pytest.raises(UserError, match=r"class runs has no training sample\.") as error:
        make_dataset(**made)
    assert error.value.hint == "Add samples or remove the class; or is it spelt otherwise? Did you mean run?"


def test_repeated_training_samples_are_said_where_they_are_many() -> None:
    made = arrays()
    made["samples"]["train"][30:] = made["samples"]["train"][:30]
    assert make_dataset(**made).notes == ("30 of 60 training samples repeat an earlier one.",)


def test_a_part_beyond_the_training_range_is_said() -> None:
    report = make_dataset(
        **arrays(test=np.full((20, 16, 2), 3000, np.int16) + np.arange(20, dtype=np.int16)[:, None, None])
    ).report
    assert report.parts["test"].clipped == 1.0
    assert (
        "100 % of the values of the test part lie outside the range of the training part and saturate."
        in report.notes
    )


def test_large_arrays_have_a_folder_whoever_the_user_is(monkeypatch: Any) -> None:
    def homeless() -> Path:
        raise RuntimeError

    for name in ("MCU_NAS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert mapped.cache_folder() == Path.home() / ".cache" / "mcu-nas"
    with monkeypatch.context() as patched:
        patched.setattr(Path, "home", homeless)
        assert mapped.cache_folder().name == "mcu-nas"
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert mapped.cache_folder() == Path("/c/mcu-nas")
    monkeypatch.setenv("MCU_NAS_CACHE", "/m")
    assert mapped.cache_folder() == Path("/m")


def test_data_of_any_size_are_scaled_and_reported_alike(monkeypatch: Any, tmp_path: Path) -> None:
    made = arrays(train=200 * np.random.default_rng(1).normal(size=(60, 16, 2)))
    made["samples"]["train"][:, 0, 1] = -9999.0
    whole = make_dataset(**made)
    monkeypatch.setattr(mapped, "CHUNK_BYTES", 300)
    monkeypatch.setattr(mapped, "LARGE_BYTES", 1000)
    monkeypatch.setenv("MCU_NAS_CACHE", str(tmp_path))
    pieces = make_dataset(**made)
    assert isinstance(pieces.samples["train"].base, np.memmap), (
        "float64 is converted, into a file where it is large"
    )
    assert not list(tmp_path.iterdir()), "which has no name, so that nothing is left of it"
    assert pieces.report == whole.report
    assert pieces.digest() == whole.digest()
    assert pieces.input_range == pytest.approx(whole.input_range)
    assert pieces.info.preprocess.offset == pytest.approx(whole.info.preprocess.offset)
    inputs = whole.info.preprocess.apply(whole.samples["train"])
    kept = inputs[made["samples"]["train"] > -9999.0]
    assert pieces.input_range == pytest.approx(np.percentile(kept, (0.05, 99.95)))
