"""Labels and class names: what becomes a class, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.tasks import load_task

COUNTS = {"train": 40, "val": 20, "test": 20}


def load(tmp_path: Path, label: Any = None, **more: Any) -> Any:
    """Loads sound samples with labels that `label` makes from class indices."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in COUNTS.items():
        arrays[f"X_{part}"] = rng.normal(0, 1, (count, 5))
        arrays[f"y_{part}"] = np.arange(count) % 2 if label is None else label(np.arange(count) % 2)
    np.savez(tmp_path / "d.npz", **(arrays | more))
    return load_task(f"npz:{tmp_path / 'd.npz'}")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (np.array([b"walk", b"run"]), ("run", "walk")),
        (np.array(["café".encode(), b"run"]), ("café", "run")),
        (np.array(["идти", "бег"]), ("бег", "идти")),
    ],
)
def test_labels_may_be_text_or_bytes_of_utf_8(words: Any, names: tuple[str, ...], tmp_path: Path) -> None:
    dataset = load(tmp_path, lambda y: words[y])
    assert dataset.info.class_names == names
    assert (np.array(names)[dataset.labels["test"]] == [names[names.index(w)] for w in
            [x.decode() if isinstance(x, bytes) else x for x in words[np.arange(20) % 2].tolist()]]).all()  # fmt: skip


def test_class_names_may_be_bytes(tmp_path: Path) -> None:
    assert load(tmp_path, class_names=np.array([b"off", b"on"])).info.class_names == ("off", "on")


def test_floats_of_one_part_are_said_where_the_validation_part_is_held_out(tmp_path: Path) -> None:
    samples = np.random.default_rng(3).normal(size=(80, 16, 2))
    np.savez(
        tmp_path / "d.npz",
        X_train=samples[:60],
        y_train=np.arange(60) % 2,
        X_test=samples[60:],
        y_test=np.arange(20.0) % 2,
    )
    notes = load_task(f"npz:{tmp_path / 'd.npz'}").notes
    assert "y_test: floats of whole numbers, taken as class indices." in notes


def test_whole_floats_are_class_indices_and_said(tmp_path: Path) -> None:
    dataset = load(tmp_path, lambda y: y.astype(np.float32))
    assert dataset.notes == ("y_train, y_val, y_test: floats of whole numbers, taken as class indices.",)
    np.savez(
        tmp_path / "heap.npz", X=np.random.default_rng(0).normal(0, 1, (40, 5)), y=np.arange(40) % 2 * 1.0
    )
    assert load_task(f"npz:{tmp_path / 'heap.npz'}").notes == (
        "y: floats of whole numbers, taken as class indices.",
    )


def nan_at_seven(y: Any) -> Any:
    return np.where(np.arange(len(y)) == 7, np.nan, y)


REFUSED = [
    (lambda y: nan_at_seven(y), {}, "y_train has labels that are NaN or infinite (first at sample 7)"),
    (
        lambda y: y * 0.5,
        {},
        "y_train has labels that are not whole numbers (first 0.5 at sample 1). Use class indices",
    ),
    (lambda y: np.array([b"\xff\xfe", b"run"])[y], {}, "y_train has bytes that are not UTF-8 text"),
    (lambda y: np.array(["a", ""])[y], {}, "a class has an empty name"),
    (
        lambda y: np.array(["a\nb", "c"])[y],
        {},
        "the class name 'a\\nb' has characters that cannot be printed",
    ),
    (lambda y: np.array(["run", "run "])[y], {}, "the class names 'run' and 'run ' look the same"),
    (lambda y: np.array(["\u00e9", "e\u0301"])[y], {}, "look the same"),
    (lambda y: y.astype("datetime64[s]"), {}, "y_train is of type datetime64[s]"),
    (lambda y: y + 0j, {}, "y_train holds complex128. Use class indices or class names."),
    (lambda y: y.astype(np.uint64) + np.uint64(2**63), {}, "y_train has a label of 92233720368547"),
    (lambda y: y * 1e30, {}, "y_train has a label of"),
    (lambda y: np.eye(2)[y], {}, "Labels are one class index for each sample (not one-hot)"),
    (
        None,
        {"class_names": np.array(["a", "a"])},
        "two classes are named 'a'. Give each class a name of its own.",
    ),
    (None, {"class_names": np.array(["a", " "])}, "a class has an empty name"),
    (None, {"class_names": np.array(["a", "\ud800"])}, "the class name '\\ud800' has characters"),
    (None, {"class_names": np.array(["a", "b\u202e"])}, "the class name 'b\\u202e' has characters"),
    (None, {"class_names": np.array(["a", "b" * 101])}, "has 101 characters. Use at most 100."),
    (None, {"y_test": np.array(["a", "b"])[np.arange(20) % 2]}, "y_test holds words, but y_train numbers"),
]


@pytest.mark.parametrize(("label", "more", "message"), REFUSED, ids=[m[:50] for *_, m in REFUSED])
def test_labels_that_are_no_classes_are_refused(label: Any, more: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as error:
        load(tmp_path, label, **more)
    assert error.value.hint


def test_a_nan_label_of_a_heap_is_refused_before_the_split(tmp_path: Path) -> None:
    labels = nan_at_seven(np.arange(40) % 2)
    np.savez(tmp_path / "d.npz", X=np.ones((40, 5)), y=labels)
    with pytest.raises(UserError, match=r"d: y has labels that are NaN or infinite \(first at sample 7\)"):
        load_task(f"npz:{tmp_path / 'd.npz'}")
