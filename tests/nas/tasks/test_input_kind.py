"""What the axes of an array are: decided, said, and changed by a flag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.run.config import RunConfig, make_config
from nas.tasks import load_task
from nas.tasks.options import TaskOptions

RNG = np.random.default_rng(0)


def load(tmp_path: Path, shape: tuple[int, ...], dtype: Any = np.float32, **kwargs: Any) -> Any:
    np.savez(tmp_path / "d.npz", X=(RNG.random(shape) * 200).astype(dtype), y=np.arange(shape[0]) % 2)
    return load_task(f"npz:{tmp_path / 'd.npz'}", TaskOptions(**kwargs))


@pytest.mark.parametrize(
    ("shape", "dtype", "expected", "note"),
    [
        (
            (40, 28, 28),
            np.uint8,
            (28, 28, 1),
            "uint8 samples of 28 x 28 are taken as pictures of one channel; --input",
        ),
        ((40, 64, 6), np.uint8, (64, 6, 1), "--input-kind signals takes them as 64 steps of 6 channels"),
        ((40, 20, 49), np.float32, (20, 49, 1), "Samples of 20 x 49 are taken as pictures of one channel"),
        ((40, 6, 12), np.float32, (6, 12), "--input-kind channels-first takes them as 12 steps of 6"),
        (
            (40, 3, 16, 20),
            np.uint8,
            (16, 20, 3),
            "taken as pictures with their 3 channels first; --input-kind images",
        ),
        ((40, 6, 24, 24), np.float32, (6, 24, 24), "--input-kind channels-first takes them as 6 channels"),
        ((40, 100), np.float32, (100, 1), "--input-kind features gives every value a scale of its own"),
        ((40, 64, 6), np.float32, (64, 6), None),
        ((40, 8, 8, 3), np.uint8, (8, 8, 3), None),
        ((40, 13), np.float32, (13,), None),
        ((40, 12, 12), np.float32, (12, 12), "--input-kind images takes them as pictures of one channel"),
    ],
)
def test_how_an_array_was_taken_is_said_where_it_could_be_another(
    shape: tuple[int, ...], dtype: Any, expected: tuple[int, ...], note: str | None, tmp_path: Path
) -> None:
    dataset = load(tmp_path, shape, dtype)
    assert dataset.info.input_shape == expected
    assert (note is None and not dataset.notes) or note in dataset.notes[0]


@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [
        ("signals", (40, 28, 28), (28, 28)),
        ("signals", (40, 9), (9, 1)),
        ("images", (40, 3, 16, 20), (3, 16, 20)),
        ("images", (40, 64, 6), (64, 6, 1)),
        ("channels-first", (40, 6, 64), (64, 6)),
        ("channels-first", (40, 5, 16, 20), (16, 20, 5)),
        ("features", (40, 100), (100,)),
    ],
)
def test_the_flag_decides(
    kind: Any, shape: tuple[int, ...], expected: tuple[int, ...], tmp_path: Path
) -> None:
    dataset = load(tmp_path, shape, np.uint8, input_kind=kind)
    assert dataset.info.input_shape == expected
    assert dataset.notes == ()


def test_channels_first_moves_the_values_with_their_axis(tmp_path: Path) -> None:
    samples = np.arange(40 * 3 * 5 * 6).reshape(40, 3, 5, 6).astype(np.int16)
    arrays: dict[str, Any] = {}
    for part in ("train", "val", "test"):
        arrays |= {f"X_{part}": samples, f"y_{part}": np.arange(40) % 2}
    np.savez(tmp_path / "d.npz", **arrays)
    dataset = load_task(f"npz:{tmp_path / 'd.npz'}")
    assert (dataset.samples["test"] == samples.transpose(0, 2, 3, 1)).all()
    assert dataset.samples["test"].flags.c_contiguous


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        (
            "features",
            (40, 8, 8),
            r"X_train has shape \(24, 8, 8\), which --input-kind features does not take",
        ),
        ("images", (40, 8), "which --input-kind images does not take"),
        ("channels-first", (40, 8), r"Expected \(n, channels, time\) or \(n, channels, height, width\)"),
        ("signals", (40, 8, 8, 3), r"Expected \(n, time\) or \(n, time, channels\)"),
    ],
)
def test_a_kind_that_the_shape_cannot_be_is_refused(
    kind: Any, shape: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        load(tmp_path, shape, input_kind=kind)


def test_a_task_without_arrays_takes_no_kind() -> None:
    with pytest.raises(
        UserError, match=r"--input-kind is of no use to the task digits\. It is for npz:PATH\."
    ):
        load_task("digits", TaskOptions(input_kind="signals"))


def test_the_kind_is_part_of_the_search() -> None:
    assert RunConfig(input_kind="signals").search_identity()["input_kind"] == "signals"
    assert "input_kind" not in RunConfig().search_identity()  # earlier runs can be resumed
    with pytest.raises(UserError, match=r"--input-kind is 'signal'\. Did you mean signals\?"):
        make_config({"input_kind": "signal"}, {"input_kind": "--input-kind"})
