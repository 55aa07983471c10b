"""Training and validation samples in folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.tasks import load_task
from nas.tasks.dataset import Dataset, make_dataset
from nas.tasks.folds import make_folds
from nas.tasks.options import TaskOptions


def dataset(
    *,
    samples: int = 60,
    classes: int = 3,
    groups: int = 0,
    numbers: bool = False,
    options: TaskOptions | None = None,
) -> Dataset:
    """Features, of which the first says which sample it is; a group has a sixth of its samples in each class."""
    rng = np.random.default_rng(1)
    sizes = {"train": samples, "val": samples // 3, "test": samples // 3}
    start, parts, labels, of = 0, {}, {}, {}
    for part, size in sizes.items():
        rows = rng.normal(0, 1, (size, 4)).astype(np.float32)
        rows[:, 0] = np.arange(start, start + size)
        parts[part], start = rows, start + size
        labels[part] = rng.normal(0, 1, size) + 0.5 if numbers else np.arange(size) % classes
        of[part] = np.array([f"{part} {index}" for index in np.arange(size) // classes % max(groups, 1)])
    return make_dataset(
        name="waves", samples=parts, labels=labels, groups=of if groups else None, options=options
    )


@pytest.mark.parametrize("count", [3, 7, 10])
def test_each_training_and_validation_sample_is_left_out_of_one_training(count: int) -> None:
    data = dataset()
    folds = make_folds(data, count)
    left_out = [folds.left_out(fold) for fold in range(count)]
    whole = set(range(80))
    held = [set(part.samples["val"][:, 0].astype(int)) for part in left_out]
    assert sum(map(len, held)) == len(set.union(*held)) == 80
    for part, out in zip(left_out, held, strict=True):
        assert set(part.samples["train"][:, 0].astype(int)) == whole - out
        assert np.array_equal(part.samples["test"], data.samples["test"])
        # Classes are as frequent in each fold as in all.
        assert np.ptp(np.bincount(part.labels["val"])) <= 1
    labels = np.concatenate([part.labels["val"] for part in left_out])
    assert np.array_equal(folds.labels, labels)
    again = make_folds(data, count)
    assert np.array_equal(again.of, folds.of)


def test_no_group_is_in_two_folds() -> None:
    data = dataset(groups=4)
    folds = make_folds(data, 4)
    assert folds.groups is not None
    for group in np.unique(folds.groups):
        assert len(np.unique(folds.of[folds.groups == group])) == 1
    assert folds.groups_in_order is not None
    assert np.array_equal(folds.groups_in_order, folds.groups[folds.order])
    assert folds.note() == (
        "Finalists are judged in 4 folds of 80 training and validation samples, none of 8 groups parted."
    )


def test_versions_of_a_sample_stay_with_it_and_judge_nothing() -> None:
    data = dataset()
    twice = replace(
        data,
        samples=data.samples | {"train": np.repeat(data.samples["train"], 2, axis=0)},
        labels=data.labels | {"train": np.repeat(data.labels["train"], 2)},
        validation_versions=np.repeat(data.samples["val"], 2, axis=0),
    )
    folds = make_folds(twice, 5)
    plain = make_folds(data, 5)
    assert np.array_equal(folds.of, plain.of)
    part, single = folds.left_out(2), plain.left_out(2)
    assert np.array_equal(part.samples["val"], single.samples["val"])
    assert np.array_equal(part.samples["train"], np.repeat(single.samples["train"], 2, axis=0))
    assert np.array_equal(part.labels["train"], np.repeat(single.labels["train"], 2))


def test_numbers_are_parted_by_their_range() -> None:
    folds = make_folds(dataset(samples=300, numbers=True), 4)
    means = [folds.left_out(fold).labels["val"].mean() for fold in range(4)]
    assert np.ptp(means) < 0.3
    assert folds.note().endswith("400 training and validation samples, by range, as no groups are known.")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            lambda: dataset(samples=6, classes=2),
            "4 training and validation samples of class 0 are too few for 5 folds",
        ),
        (lambda: dataset(groups=2), "4 groups are too few for 5 folds"),
        (
            lambda: replace(dataset(groups=6), groups={"train": dataset(groups=6).groups["train"]}),
            "groups are known of the training or of the validation samples alone",
        ),
        (lambda: dataset(options=TaskOptions(normal="0")), "--folds is not for anomalies"),
    ],
)
def test_what_cannot_be_parted_is_refused_in_a_sentence(data: object, message: str) -> None:
    assert callable(data)
    with pytest.raises(UserError, match=message):
        make_folds(data(), 5)


def test_a_class_of_one_group_alone_is_refused() -> None:
    data = dataset(groups=8)
    groups = {
        part: np.where(data.labels[part] == 2, "lonely", data.groups[part]) for part in ("train", "val")
    }
    with pytest.raises(UserError, match="all samples of class 2 are of one group"):
        make_folds(replace(data, groups=groups), 3)


def test_windows_of_one_recording_are_not_parted(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for word in ("idle", "run"):
        (tmp_path / word).mkdir()
        for take in range(10):
            values = rng.normal(0, 1, (200, 2)) * (1 if word == "idle" else 4)
            text = "\n".join(["x,y", *(f"{a:.4f},{b:.4f}" for a, b in values)])
            (tmp_path / word / f"{take}.csv").write_text(f"{text}\n")
    data = load_task(f"timeseries:{tmp_path}", TaskOptions(window="50", group="none", label="folder"))
    folds = make_folds(data, 3)
    recordings = np.concatenate([data.recordings["train"], data.recordings["val"]])
    for recording in np.unique(recordings):
        assert len(np.unique(folds.of[recordings == recording])) == 1
    with pytest.raises(UserError, match="recordings are too few for 10 folds"):
        make_folds(replace(data, recordings={p: a // 3 for p, a in data.recordings.items()}), 10)
