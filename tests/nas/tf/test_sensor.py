"""What the training graph does to samples so that networks stand what sensors do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas.model.trained import Preprocess

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


def sensor(raw: np.ndarray[Any, Any], **more: Any) -> Any:
    from nas.tf.train import TrainingData

    preprocess = Preprocess(raw_type="float32", offset=(2.0,), scale=(0.5,))
    data = TrainingData(raw, np.zeros(len(raw), int), classes=2, preprocess=preprocess, **more)
    return data, data.sensor()


def ways(batch: Any, made: Any) -> dict[str, Any]:
    """Samples by what was done to them, told from what it leaves."""
    change = np.asarray(made) - batch
    rows = tuple(range(1, batch.ndim))
    same = np.abs(change).max(axis=rows) < 1e-6
    level = np.abs(change - change.mean(axis=rows, keepdims=True)).max(axis=rows) < 1e-4
    raw = batch / 0.5 + 2.0
    with np.errstate(all="ignore"):  # of readings of 0
        gains = (np.asarray(made) / 0.5 + 2.0) / raw
    gain = np.ptp(gains, axis=rows) < 1e-4
    some = (np.abs(change) < 1e-6).mean(axis=rows)
    return {
        "same": same,
        "offset": level & ~same,
        "gain": gain & ~same,
        "lost": (some > 0.5) & ~same,
        "noise": ~same & ~level & ~gain & (some <= 0.5),
        "gains": gains,
        "change": change,
    }


def test_half_of_the_samples_are_disturbed_in_four_ways_as_often() -> None:
    raw = RNG.normal(10, 1, (1600, 40, 2)).astype(np.float32)
    data, made_by = sensor(raw)
    batch = np.asarray(data.batch(np.arange(1600), 1600))
    made = np.asarray(made_by.disturbed(batch, [1, 2]))
    found = ways(batch, made)
    assert 720 < found["same"].sum() < 900  # a loss of no reading is the same as well
    for way in ("offset", "gain", "noise", "lost"):
        assert 150 < found[way].sum() < 250, way
    gains = found["gains"][found["gain"]].mean(axis=(1, 2))
    assert 0.8 <= gains.min() < 0.82
    assert 1.22 < gains.max() <= 1.2501
    offsets = found["change"][found["offset"]].mean(axis=(1, 2)) / 0.5
    assert -0.26 < offsets.min() < -0.22
    assert 0.22 < offsets.max() < 0.26
    noise = found["change"][found["noise"]].std(axis=(1, 2)) / 0.5
    assert noise.max() == pytest.approx(0.3, abs=0.05)
    np.testing.assert_array_equal(made, made_by.disturbed(batch, [1, 2]))
    assert not np.array_equal(made, made_by.disturbed(batch, [1, 3]))


def test_a_lost_reading_of_a_signal_repeats_the_one_before() -> None:
    raw = np.tile(np.arange(50.0, dtype=np.float32)[:, None], (800, 1, 1))
    data, made_by = sensor(raw)
    batch = np.asarray(data.batch(np.arange(800), 800))
    made = np.asarray(made_by.disturbed(batch, [3, 4]))
    lost = made[ways(batch, made)["lost"]]
    values = lost[..., 0] / 0.5 + 2.0
    steps = np.diff(values, axis=1)
    assert len(lost) > 60
    assert (values[:, 0] == 0).all()
    assert (steps >= 0).all()
    assert 0.05 < (steps == 0).mean() < 0.15
    assert (values <= np.arange(50)).all()


def test_a_lost_pixel_is_black_and_a_lost_feature_has_its_mean() -> None:
    pictures = RNG.uniform(50, 90, (800, 6, 5, 1)).astype(np.float32)
    data, made_by = sensor(pictures, input_range=(-1.0, 60.0))
    batch = np.asarray(data.batch(np.arange(800), 800))
    made = np.asarray(made_by.disturbed(batch, [5, 6]))
    assert 0.003 < (made == -1.0).mean() < 0.03  # an eighth of the pictures lose up to a fifth
    assert made.max() <= 60.0
    features = RNG.normal([5.0, 50.0], 1.0, (800, 2)).astype(np.float32)
    data, made_by = sensor(features)
    made = np.asarray(made_by.disturbed(np.asarray(data.batch(np.arange(800), 800)), [5, 6]))
    means = (features.mean(axis=0) - 2.0) * 0.5
    for channel in (0, 1):
        assert np.isclose(made[:, channel], means[channel], atol=1e-5).sum() > 2


def test_a_robust_training_disturbs_what_it_is_given_and_repeats() -> None:
    import tf_keras

    from nas.tf.train import Schedule, TrainingData, train

    raw, labels = RNG.normal(0, 1, (32, 8, 3)).astype(np.float32), np.arange(32) % 2

    def losses(*, sensor: bool) -> Any:
        tf_keras.utils.set_random_seed(1)
        model = tf_keras.Sequential([tf_keras.layers.Flatten(), tf_keras.layers.Dense(2)])
        model.build((None, 24))
        data = TrainingData(raw, labels, classes=2, shape=(24,))
        schedule = Schedule(steps=3, batch=8, peak_rate=0.01, sensor=sensor)
        return train(model, data, schedule, rng=np.random.default_rng(2))

    assert np.array_equal(losses(sensor=True), losses(sensor=True))
    assert not np.array_equal(losses(sensor=True), losses(sensor=False))


def test_the_schedule_of_a_robust_search_has_it() -> None:
    from nas.model.recipe import TrainingRecipe
    from nas.tasks import load_task
    from nas.tf.disturbance import make_schedule
    from search_spaces.arch import ArchSpec
    from search_spaces.layers import Dense, Flatten

    spec = ArchSpec(input_shape=(8, 8, 1), layers=(Flatten(inputs=(-1,)), Dense(inputs=(0,), units=10)))
    digits = load_task("digits")
    for robust in (False, True):
        data = digits.judged_by("auto", robust=robust)
        assert make_schedule(data, spec, TrainingRecipe(), steps=5, rate=0.01).sensor is robust
