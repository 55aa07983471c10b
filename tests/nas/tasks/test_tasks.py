"""Tasks: what is read, how it is split and scaled, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cost_models.errors import UserError
from nas.run.config import make_config
from nas.tasks import TASKS, load_task
from nas.tasks.options import TaskOptions
from nas.testing import check_task

RNG = np.random.default_rng(0)


def parts(**changes: Any) -> dict[str, Any]:
    """Six sound arrays, and the changes that a test makes to them."""
    arrays: dict[str, Any] = {}
    for part, count in (("train", 40), ("val", 20), ("test", 20)):
        arrays[f"X_{part}"] = RNG.integers(-500, 500, (count, 16, 3)).astype(np.int16)
        arrays[f"y_{part}"] = np.arange(count) % 4
    arrays |= changes
    return {key: value for key, value in arrays.items() if value is not None}


def load(tmp_path: Path, arrays: dict[str, Any], **kwargs: Any) -> Any:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return load_task(f"npz:{path}", **kwargs)


def test_every_task_file_is_listed() -> None:
    assert TASKS == ("audio", "digits", "images", "npz", "timeseries")


def write_tone(path: Path, hertz: float) -> None:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(4000) / 8000
    noise = np.random.default_rng(len(str(path))).normal(size=4000) * 0.01
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * time) + noise, 8000)


def test_every_task_keeps_the_contract(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **parts())
    pictures(tmp_path / "pictures", {"cat": 20, "dog": 20})
    lines = [f"{i % 7},{i % 5},{'ab'[i // 60 % 2]}" for i in range(2400)]
    (tmp_path / "walks.csv").write_text("\n".join(["x,y,label", *lines]))
    for number in range(20):
        write_tone(tmp_path / "tones" / ("low", "high")[number % 2] / f"{number}.wav", 300 * (1 + number % 2))
    options = {"timeseries": TaskOptions(window="16"), "audio": TaskOptions(augment=1)}
    arguments = {"digits": "", "npz": "data.npz", "images": "pictures", "timeseries": "walks.csv"}
    arguments["audio"] = "tones"
    assert set(arguments) == set(TASKS)
    for name, argument in arguments.items():
        check_task(name, argument and str(tmp_path / argument), options.get(name))


def test_digits_are_split_with_all_classes_in_each_part() -> None:
    one = load_task("digits")
    assert one.info.input_shape == (8, 8, 1)
    assert sum(one.info.samples.values()) == 1797
    assert all(len(np.unique(labels)) == 10 for labels in one.labels.values())
    assert one.inputs(one.samples["train"]).min() == 0.0
    assert one.inputs(one.samples["train"]).max() == 1.0
    assert (one.inputs("train") == one.inputs(one.samples["train"])).all()


def test_given_parts_are_kept_as_they_are(tmp_path: Path) -> None:
    arrays = parts(class_names=np.array(["a", "b", "c", "d"]))
    dataset = load(tmp_path, arrays)
    assert dataset.info.class_names == ("a", "b", "c", "d")
    for part in ("train", "val", "test"):
        assert (dataset.samples[part] == arrays[f"X_{part}"]).all()
        assert (dataset.labels[part] == arrays[f"y_{part}"]).all()


def test_the_scaling_is_fitted_on_the_training_part_alone(tmp_path: Path) -> None:
    arrays = parts()
    shifted = parts(**{k: arrays[k] for k in arrays if "train" in k}, X_test=arrays["X_test"] + 3000)
    first, second = load(tmp_path, arrays), load(tmp_path, shifted)
    assert first.info.preprocess == second.info.preprocess
    assert first.input_range == second.input_range
    inputs = first.info.preprocess.apply(arrays["X_train"])
    assert np.abs(inputs.mean((0, 1))).max() < 1e-3
    assert np.abs(inputs.std((0, 1)) - 1).max() < 1e-3


def test_a_heap_of_samples_is_split_by_subject(tmp_path: Path) -> None:
    groups = np.repeat(np.arange(12), 10)
    arrays = {"X": np.arange(120.0).reshape(120, 1), "y": np.arange(120) % 2, "groups": groups}
    dataset = load(tmp_path, arrays)
    sides = [set(groups[dataset.samples[part].reshape(-1).astype(int)]) for part in ("train", "val", "test")]
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    assert set.union(*sides) == set(range(12))


def test_without_a_val_part_the_training_part_gives_one(tmp_path: Path) -> None:
    dataset = load(tmp_path, parts(X_val=None, y_val=None))
    assert dataset.info.samples == {"train": 32, "val": 8, "test": 20}


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((40, 28, 28), np.uint8, (28, 28, 1)),
        ((40, 8, 8, 3), np.uint8, (8, 8, 3)),
        ((40, 64, 6), np.int16, (64, 6)),
        ((40, 800), np.int16, (800, 1)),
        ((40, 13), np.float64, (13,)),
    ],
)
def test_shapes_are_taken_for_images_signals_or_features(
    shape: tuple[int, ...], dtype: type[np.generic], expected: tuple[int, ...], tmp_path: Path
) -> None:
    samples = (RNG.random(shape) * 200).astype(dtype)
    dataset = load(tmp_path, {"X": samples, "y": np.arange(40) % 2})
    assert dataset.info.input_shape == expected


def test_labels_may_be_words(tmp_path: Path) -> None:
    words = np.array(["idle", "run"])
    arrays = parts(
        **{f"y_{p}": words[np.arange(n) % 2] for p, n in (("train", 40), ("val", 20), ("test", 20))}
    )
    assert load(tmp_path, arrays).info.class_names == ("idle", "run")


def with_nan() -> Any:
    samples = RNG.random((40, 16, 3))
    samples[7, 2, 1] = np.nan
    return samples


REFUSED = [
    (parts(X_train=with_nan()), "X_train has NaN or infinite values (first in sample 7, from 0)"),
    ({"X": with_nan(), "y": np.arange(40) % 2}, ": X has NaN or infinite values (first in sample 7, from 0)"),
    (
        parts(X_train=with_nan(), X_val=None, y_val=None),
        "X_train has NaN or infinite values (first in sample 7, from 0)",
    ),
    (
        {"X": np.full((40, 4), 7.5), "y": np.arange(40) % 2},
        "every channel of the training part holds a single value",
    ),
    (parts(X_val=np.zeros((20, 16, 4))), "X_val has samples of shape (16, 4), but X_train has (16, 3)"),
    (parts(X_test=np.zeros((19, 16, 3))), "X_test has 19 samples but y_test has 20 labels"),
    (parts(X_train=np.zeros((40, 2, 2, 2, 2))), "X_train has shape (40, 2, 2, 2, 2)"),
    (parts(X_train=np.array(["a"] * 40)), "X_train holds <U1, not numbers"),
    (parts(y_val=np.full(20, -1)), "label -1 is negative"),
    (
        parts(y_val=np.full(20, 4), class_names=np.array(list("abcd"))),
        "label 4 is out of range for 4 classes",
    ),
    (parts(y_train=np.full(40, 123456)), "label 123456 is out of range"),
    (
        parts(y_train=np.zeros(40, int), y_val=np.zeros(20, int), y_test=np.zeros(20, int)),
        "holds one class only",
    ),
    (parts(y_train=np.arange(40) % 3), "class 3 has no training sample"),
    (parts(y_train=np.eye(4)[np.arange(40) % 4]), "y_train has shape (40, 4)"),
    (
        {"X": np.ones((40, 4)), "y": np.eye(4)[np.arange(40) % 4]},
        "samples of shape (40, 4) and labels of shape (40, 4) do not go together",
    ),
    (parts(y_train=np.arange(40) + 0.5), "y_train has labels that are not whole numbers"),
    (parts(y_test=None), "has no array y_test: it holds X_test, X_train, X_val, y_train, y_val"),
    (parts(y_val=None), "has only one of X_val and y_val"),
    (parts(X_train=np.array([{}] * 40, dtype=object)), "holds pickled objects, which are never loaded"),
    ({"X": np.zeros((3, 4)), "y": np.arange(3)}, "3 samples of 3 classes are too few to split"),
    ({"X": np.zeros((9, 4)), "y": np.zeros(8)}, "9 samples but 8 labels"),
    (
        {"X": np.zeros((40, 4)), "y": np.arange(40) % 2, "groups": np.arange(40) % 2},
        "2 groups are too few to hold out 20% of the samples by group",
    ),
]


@pytest.mark.parametrize(("arrays", "message"), REFUSED, ids=[m[:40] for _, m in REFUSED])
def test_arrays_that_cannot_be_used_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as error:
        load(tmp_path, arrays)
    assert error.value.hint


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_a_file_that_is_no_npz_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read as \.npz|is a single array"):
        load_task(f"npz:{path}")


def pictures(root: Path, classes: dict[str, int], size: tuple[int, int] = (12, 10), mode: str = "L") -> None:
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = RNG.integers(0, 255, (*size, 3)).astype(np.uint8)
            Image.fromarray(pixels).convert(mode).save(root / name / f"{i}.png")


def test_a_folder_of_pictures_becomes_an_array_of_its_classes(tmp_path: Path) -> None:
    pictures(tmp_path, {"cat": 20, "dog": 20})
    (tmp_path / ".hidden").mkdir()
    dataset = load_task(f"images:{tmp_path}")
    assert dataset.info.class_names == ("cat", "dog")
    assert dataset.info.input_shape == (12, 10, 1)
    assert dataset.info.preprocess.raw_type == "uint8"
    assert load_task(f"images:{tmp_path}", TaskOptions(image_size=16)).info.input_shape == (16, 16, 1)


def test_coloured_pictures_of_many_sizes_become_squares(tmp_path: Path) -> None:
    pictures(tmp_path, {"cat": 12}, mode="RGB")
    pictures(tmp_path, {"dog": 12}, size=(30, 40), mode="RGB")
    assert load_task(f"images:{tmp_path}").info.input_shape == (48, 48, 3)


def test_given_folders_of_parts_are_kept(tmp_path: Path) -> None:
    for part, count in (("train", 10), ("val", 4), ("test", 6)):
        pictures(tmp_path / part, {"cat": count, "dog": count})
    assert load_task(f"images:{tmp_path}").info.samples == {"train": 20, "val": 8, "test": 12}


def test_a_folder_with_one_class_or_a_broken_picture_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path, {"cat": 12})
    with pytest.raises(UserError, match="holds 1 class folder with pictures"):
        load_task(f"images:{tmp_path}")
    pictures(tmp_path, {"dog": 12})
    (tmp_path / "dog" / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"broken\.png is not a readable picture"):
        load_task(f"images:{tmp_path}")


def test_a_truncated_picture_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path, {"cat": 12, "dog": 12})
    path = tmp_path / "dog" / "3.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"3\.png is not a readable picture"):
        load_task(f"images:{tmp_path}")


@pytest.mark.parametrize("size", [3, 513])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(UserError, match=f"--image-size is {size}. It must be at (least|most)"):
        make_config({"image_size": size}, {"image_size": "--image-size"})


def test_an_array_that_is_no_archive_or_empty_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 2)))
    with pytest.raises(UserError, match=r"a\.npy is a single array, not an \.npz"):
        load_task(f"npz:{tmp_path / 'a.npy'}")
    with pytest.raises(UserError, match="data holds no samples"):
        load(tmp_path, {"X": np.zeros((0, 4)), "y": np.zeros(0, int)})
    with pytest.raises(UserError, match="data holds no samples"):
        load(tmp_path, parts(X_train=np.zeros((0, 16, 3)), y_train=np.zeros(0, int), X_val=None, y_val=None))


def test_words_that_a_task_has_no_use_for_are_refused() -> None:
    with pytest.raises(UserError, match="The task digits takes no argument, such as 'foo'"):
        load_task("digits:foo")
    with pytest.raises(UserError, match="--image-size is of no use to the task digits"):
        load_task("digits", TaskOptions(image_size=8))


def test_options_may_be_given_by_keyword(tmp_path: Path) -> None:
    pictures(tmp_path, {"cat": 10, "dog": 10})
    assert load_task(f"images:{tmp_path}", image_size=16).info.input_shape == (16, 16, 1)
    with pytest.raises(UserError, match=r"imagesize is not an option of a task\. Did you mean image_size\?"):
        load_task("digits", imagesize=3)
    with pytest.raises(UserError, match="image_size is 3"):
        load_task("digits", image_size=3)


def test_a_validation_part_that_is_held_out_is_said(tmp_path: Path) -> None:
    arrays = {key: value for key, value in parts().items() if not key.endswith("_val")}
    np.savez(tmp_path / "d.npz", **arrays)
    notes = load_task(f"npz:{tmp_path / 'd.npz'}").notes
    assert "There is no X_val: a fifth of the training samples is held out for it." in notes
