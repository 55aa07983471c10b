"""Disturbed test samples: what noise, gain, offsets and losses do to them, and to a model's metric."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nas.model.trained import Accuracy
from nas.tasks import load_task, robustness
from nas.tasks.dataset import Dataset
from nas.tasks.disturbances import DISTURBANCES, as_raw
from nas.tasks.robustness import measure_robustness


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray[Any, Any]]:
    """The samples that were measured, by a model that answers right where the mean is above 4.5.

    Its float network answers the more wrongly, the darker the sample.
    """
    measured = []

    class Twin:
        def gradient(self, inputs: np.ndarray[Any, Any], loss: Any) -> np.ndarray[Any, Any]:
            return np.full(inputs.shape, -1.0)

    def measure(tflite: bytes, dataset: Dataset, part: Any, engine: Any, **_: Any) -> Accuracy:
        samples = dataset.samples[part]
        measured.append(samples)
        right = int((samples.reshape(len(samples), -1).mean(1) > 4.5).sum())
        return Accuracy(part=part, engine=engine, correct=right, total=len(dataset.labels[part]))

    monkeypatch.setattr(robustness, "measure_accuracy", measure)
    monkeypatch.setattr(robustness, "float_twin", lambda tflite: Twin())
    return measured


def test_the_same_samples_are_measured_under_every_disturbance(seen: list[np.ndarray[Any, Any]]) -> None:
    dataset = load_task("digits")
    one = measure_robustness(b"", dataset, macs=10**9, seed=3)
    assert one is not None
    assert (one.samples, len(seen)) == (100, 1 + len(DISTURBANCES) + 2)
    assert {(len(part), part.dtype) for part in seen} == {(100, np.dtype(np.uint8))}
    metrics = {row.name: row.metric for row in one.disturbances}
    assert metrics["gain 0.8"] < one.metric < metrics["gain 1.25"]
    assert [row.name for row in one.attacks] == ["FGSM of 0.1 deviations", "PGD of 0.1 deviations"]
    assert all(row.metric < one.metric for row in one.attacks)
    assert measure_robustness(b"", dataset, macs=10**9, seed=3) == one
    whole = measure_robustness(b"", dataset, macs=1, seed=3)
    assert whole is not None
    assert whole.samples == len(dataset.labels["test"])


def test_features_of_a_front_end_are_not_taken_for_a_sensors_readings(
    seen: list[np.ndarray[Any, Any]],
) -> None:
    dataset = load_task("digits")
    frontend: Any = object()
    behind = replace(dataset.info, frontend=frontend)
    assert measure_robustness(b"", replace(dataset, info=behind), macs=1, seed=0) is None
    assert seen == []


def test_anomalies_are_disturbed_and_not_attacked(seen: list[np.ndarray[Any, Any]]) -> None:
    dataset = load_task("digits")
    info = replace(dataset.info, false_alarms=0.1)
    measured = measure_robustness(b"", replace(dataset, info=info), macs=10**9, seed=0)
    assert measured is not None
    assert (len(measured.disturbances), measured.attacks) == (len(DISTURBANCES), ())


def test_disturbances_do_what_they_say() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(5, [1.0, 3.0], size=(50, 200, 2))
    deviation = values.std(axis=(0, 1))
    noisy = DISTURBANCES["noise of 0.3 deviations"](values, deviation, rng)
    np.testing.assert_allclose((noisy - values).std(axis=(0, 1)), 0.3 * deviation, rtol=0.05)
    shifted = DISTURBANCES["offset of -0.25 deviations"](values, deviation, rng)
    np.testing.assert_allclose(values - shifted, np.broadcast_to(0.25 * deviation, values.shape))
    held = DISTURBANCES["20 % of readings lost"](values, deviation, rng)
    same = (held == values).all(axis=2)
    assert 0.75 < same.mean() < 0.85
    first = np.argmin(same[0])
    np.testing.assert_array_equal(held[0, first], values[0, first - 1])


def test_what_leaves_the_raw_type_saturates_as_a_converter_does() -> None:
    made = as_raw(np.array([-3.0, 7.6, 300.0]), np.dtype(np.uint8))
    assert made.tolist() == [0, 8, 255]
    assert as_raw(np.array([0.5]), np.dtype(np.float32)).dtype == np.float32
