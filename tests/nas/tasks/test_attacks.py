"""Adversarial inputs: how far they go, which way, and that a seed makes the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nas.model.regression import TargetScale
from nas.tasks import load_task
from nas.tasks.attacks import Attack
from nas.tasks.dataset import Dataset

WEIGHTS = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)


class LinearTwin:
    """Scores that are sums of the inputs, each with a weight."""

    def gradient(self, inputs: np.ndarray[Any, Any], loss: Any) -> np.ndarray[Any, Any]:
        rows = inputs.reshape(len(inputs), -1)
        return np.asarray((loss(rows @ WEIGHTS) @ WEIGHTS.T).reshape(inputs.shape))


def loss_of(
    dataset: Dataset, raw: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    scores = dataset.inputs(raw).reshape(len(raw), -1) @ WEIGHTS
    return np.asarray(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(labels)), labels])


@pytest.fixture
def dataset() -> Dataset:
    return load_task("digits")


def attack_on(dataset: Dataset) -> Attack:
    twin: Any = LinearTwin()
    return Attack(twin, dataset, np.array([0.5]))


def test_an_attack_raises_the_loss_of_every_sample_within_its_bounds(dataset: Dataset) -> None:
    raw, labels = dataset.samples["test"][:100].astype(np.float64), dataset.labels["test"][:100]
    attack, before = attack_on(dataset), loss_of(dataset, raw, labels)
    stepped = attack.fast_gradient_sign(raw, labels)
    descended = attack.projected_gradient_descent(raw, labels, np.random.default_rng(0))
    for changed in (stepped, descended):
        assert (loss_of(dataset, changed, labels) > before).all()
        assert np.abs(changed - raw).max() == pytest.approx(0.5)
        assert (changed.min(), changed.max()) == (0.0, 16.0)  # the shades that these pictures have
    again = attack.projected_gradient_descent(raw, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(again, descended)


def test_predicted_numbers_are_driven_away_from_the_true_ones(dataset: Dataset) -> None:
    targets = tuple(TargetScale(name=str(at), mean=2.0, deviation=3.0) for at in range(10))
    numbers = replace(dataset, info=replace(dataset.info, targets=targets, class_names=()))
    raw = dataset.samples["test"][:50].astype(np.float64)

    def predicted(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(2.0 + 3.0 * (dataset.inputs(samples).reshape(50, -1) @ WEIGHTS))

    truth = predicted(raw) + np.random.default_rng(0).normal(size=(50, 10))
    changed = attack_on(numbers).fast_gradient_sign(raw, truth)
    before, after = (np.square(predicted(part) - truth).sum(axis=1) for part in (raw, changed))
    assert (after > before).all()
