"""Turned axes, noise and mirrored pictures: what training does to samples where a user asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.model.trained import Preprocess
from nas.tasks import Dataset, load_task
from nas.tasks.loading.motion import Disturbed

RNG = np.random.default_rng(4)


def test_lengths_and_angles_of_vectors_stay_in_raw_units_and_all_triples_turn_alike() -> None:
    from nas.tf.motion import turned, turns

    raw = RNG.normal(0, 50, (4, 9, 7)).astype(np.float32)
    raw[:, :, 4:] = 2 * raw[:, :, 1:4]  # the second triple is the first, twice as long
    preprocess = Preprocess(
        raw_type="float32", offset=tuple(RNG.normal(0, 9, 7)), scale=tuple(RNG.uniform(0.01, 0.1, 7))
    )
    rotations = turns(1, 4, 30.0, RNG)[0]
    assert (np.linalg.norm(rotations, axis=-1) <= np.radians(30) + 1e-6).all()
    found = np.array(turned(preprocess.apply(raw), rotations, ((1, 2, 3), (4, 5, 6)), preprocess))
    back = found / np.array(preprocess.scale, np.float32) + np.array(preprocess.offset, np.float32)
    assert np.allclose(back[:, :, 0], raw[:, :, 0], atol=1e-2), "no triple has channel 0"
    assert np.allclose(
        np.linalg.norm(back[:, :, 1:4], axis=-1), np.linalg.norm(raw[:, :, 1:4], axis=-1), rtol=1e-3
    )
    assert np.allclose(back[:, :, 4:], 2 * back[:, :, 1:4], atol=2e-2)
    moved = np.linalg.norm(back[:, :, 1:4] - raw[:, :, 1:4], axis=-1)
    assert (moved > 0.1).any(axis=1).all(), "each sample is turned"


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    from nas.tf.motion import turned

    plain = Preprocess(raw_type="float32", offset=(0.0,), scale=(1.0,))
    sample = np.array([[[1.0, 0.0, 0.0]]], np.float32)
    found = np.array(turned(sample, np.array([[0, 0, np.pi / 2]], np.float32), ((0, 1, 2),), plain))
    assert np.allclose(found, [[[0.0, 1.0, 0.0]]], atol=1e-6)


def test_noise_goes_by_the_deviation_of_each_channel() -> None:
    from nas.tf.motion import moments

    raw = RNG.normal([3.0, -2.0], [5.0, 0.1], (500, 20, 2)).astype(np.float32)
    plain = Preprocess(raw_type="float32", offset=(1.0,), scale=(0.5,))
    mean, deviation = moments(raw, plain)
    assert np.allclose(mean, [1.0, -1.5], atol=0.1)
    assert np.allclose(deviation, [2.5, 0.05], rtol=0.03)


def test_disturbed_trainings_differ_and_repeat() -> None:
    import tf_keras

    from nas.tf.train import Schedule, TrainingData, train

    raw, labels = RNG.normal(0, 1, (32, 8, 3)).astype(np.float32), np.arange(32) % 2

    def losses(**more: Any) -> Any:
        tf_keras.utils.set_random_seed(1)
        model = tf_keras.Sequential([tf_keras.layers.Flatten(), tf_keras.layers.Dense(2)])
        model.build((None, 24))
        data = TrainingData(raw, labels, classes=2, shape=(24,))
        schedule = Schedule(steps=3, batch=8, peak_rate=0.01, **more)
        return train(model, data, schedule, rng=np.random.default_rng(2))

    plain = losses()
    for more in ({"jitter": 0.3}, {"triples": ((0, 1, 2),)}):
        assert np.array_equal(losses(**more), losses(**more))
        assert not np.array_equal(losses(**more), plain)


def test_half_of_the_pictures_are_mirrored_and_nothing_else_is_done_to_them() -> None:
    import tf_keras

    from nas.tf.train import Schedule, TrainingData, train

    raw = RNG.integers(0, 255, (16, 6, 5, 1)).astype(np.float32)
    seen: list[Any] = []

    class Watched(tf_keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.flat, self.dense = tf_keras.layers.Flatten(), tf_keras.layers.Dense(2)

        def call(self, inputs: Any, training: bool = False) -> Any:
            import tensorflow as tf

            tf.py_function(lambda batch: seen.append(batch.numpy()), [inputs], [])
            return self.dense(self.flat(inputs))

    model = Watched()
    model.build((None, 6, 5, 1))
    data = TrainingData(raw, np.arange(16) % 2, classes=2, shape=(6, 5, 1))
    schedule = Schedule(steps=20, batch=8, peak_rate=0.0, flip=True)
    train(model, data, schedule, rng=np.random.default_rng(2))
    batches = np.concatenate(seen[-20:])
    plain = [any(np.array_equal(sample, one) for one in raw) for sample in batches]
    mirrored = [any(np.array_equal(sample, one[:, ::-1]) for one in raw) for sample in batches]
    assert all(one != other for one, other in zip(plain, mirrored, strict=True))
    assert 50 < sum(mirrored) < 110, "of 160"


def stored(path: Path, **arrays: Any) -> str:
    samples = RNG.normal(0, 1, (60, 40, 3)).astype(np.float32)
    np.savez(path / "m.npz", **{"X": samples, "y": np.arange(60) % 2} | arrays)  # type: ignore[arg-type]
    return f"npz:{path / 'm.npz'}"


def loaded(path: Path, **options: Any) -> Dataset:
    return load_task(stored(path), **options)


def test_what_is_asked_for_is_said_and_kept(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, rotate="2,0,1", jitter=0.05)
    assert dataset.disturbed == Disturbed(jitter=0.05, triples=((2, 0, 1),))
    assert "In training 2,0,1 turn together, by up to 30 degrees about any axis." in dataset.notes
    assert "In training each value has noise of 5 % of its channel's deviation." in dataset.notes
    assert dataset.disturbed.to_json() == {
        "disturbed": {"jitter": 0.05, "turned": {"degrees": 30.0, "axes": [[2, 0, 1]]}}
    }
    assert loaded(tmp_path).disturbed.to_json() == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rotate": "0,1"}, r"--rotate 0,1 are not triples of axes\. Write acc_x,acc_y,acc_z"),
        ({"rotate": "0,1,1"}, r"--rotate 0,1,1 are not triples of axes\."),
        ({"rotate": "0,1,2/2,1,0"}, r"are not triples of axes\."),
        ({"rotate": "0,1,acc"}, r"--rotate: there is no channel acc\."),
        ({"rotate": "0,1,2", "normal": "0"}, r"--rotate is of no use to features and anomalies\."),
        ({"jitter": 0.1, "front_end": "spectrum"}, r"--jitter is of no use to features and anomalies\."),
        ({"flip": True}, r"--flip is for pictures, not for samples of the shape \(40, 3\)\."),
    ],
)
def test_what_cannot_be_disturbed_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        loaded(tmp_path, **options)


def test_pictures_are_no_signals_and_signals_no_pictures(tmp_path: Path) -> None:
    task = stored(
        tmp_path, X=np.zeros((60, 8, 8, 3), np.uint8) + np.arange(60, dtype=np.uint8)[:, None, None, None]
    )
    with pytest.raises(
        UserError, match=r"--rotate and --jitter are for signals, not for samples of the shape \(8, 8, 3\)\."
    ):
        load_task(task, jitter=0.1)
    flipped = load_task(task, flip=True)
    assert flipped.disturbed == Disturbed(flip=True)
    assert "In training half of the pictures are mirrored, left to right." in flipped.notes
    assert flipped.disturbed.to_json() == {"disturbed": {"jitter": 0.0, "flipped": "left to right"}}
