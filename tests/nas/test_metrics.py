from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from nas.model.metrics import METRICS, metric_for
from nas.model.records import TrialRecord, record_from_json
from nas.strategy.pareto import choose
from nas.tasks import load_task, split_parts
from nas.tasks.accuracy import score
from nas.tf.train import Schedule, TrainingData, train

RNG = np.random.default_rng(0)


def answers(labels: Any, predicted: Any, metric: Any) -> Any:
    outputs = np.eye(4, dtype=np.int8)[predicted]
    return score(outputs, labels, classes=4, part="val", engine="litert", metric=metric)


@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_are_those_of_scikit_learn(classes: int) -> None:
    labels, predicted = RNG.integers(0, classes, (2, 300))
    assert answers(labels, predicted, "balanced_accuracy").objective == pytest.approx(
        balanced_accuracy_score(labels, predicted)
    )
    f1 = f1_score(labels, predicted, average="macro")
    assert answers(labels, predicted, "macro_f1").objective == pytest.approx(f1)
    plain = answers(labels, predicted, "accuracy")
    assert plain.objective == plain.value == (labels == predicted).mean()


def test_a_class_without_samples_and_answers_counts_nowhere() -> None:
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    assert answers(labels, predicted, "balanced_accuracy").objective == 0.75
    assert answers(labels, predicted, "macro_f1").objective == pytest.approx((4 / 5 + 2 / 3) / 2)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(metric: Any) -> None:
    shares, right = np.array([0.7, 0.2, 0.06, 0.04]), 0.8
    truth = {"accuracy": right, "balanced_accuracy": right}
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = rng.choice(4, 400, p=shares)
        predicted = np.where(rng.random(400) < right, labels, (labels + 1) % 4)
        low, high = answers(labels, predicted, metric).objective_interval()
        if metric == "macro_f1":
            big = rng.choice(4, 100_000, p=shares)
            truth.setdefault(
                metric,
                f1_score(big, np.where(rng.random(100_000) < right, big, (big + 1) % 4), average="macro"),
            )
        held += low <= truth[metric] <= high
    assert 180 <= held <= 200


def test_unbalanced_classes_are_searched_by_balanced_accuracy_and_that_is_said() -> None:
    assert metric_for([30, 10, 20]) == ("accuracy", "")
    name, note = metric_for([310, 100, 100])
    assert name == "balanced_accuracy"
    assert note.startswith(
        "Classes are unbalanced (310 to 100 training samples): the search goes by balanced"
    )
    labels = np.repeat([0, 1], [400, 40])
    data = split_parts(name="machine", samples=RNG.normal(size=(440, 12)), labels=labels)
    judged = data.judged_by("auto")
    assert judged.info.metric == "balanced_accuracy"
    assert judged.report.notes[-1].startswith("Classes are unbalanced (240 to 24 training samples)")
    assert judged.class_weights() == pytest.approx([264 / 480, 264 / 48])
    plain = data.judged_by("accuracy")
    assert plain.class_weights() is None
    assert plain.report == data.report
    assert load_task("digits").judged_by("auto").info.metric == "accuracy"


def test_records_keep_the_metric_and_the_choice_goes_by_it() -> None:
    labels = np.repeat([0, 1], [90, 10])
    common = answers(labels, np.zeros(100, int), "balanced_accuracy")  # always the common class
    fair = answers(labels, np.where(np.arange(100) % 5 == 0, 1 - labels, labels), "balanced_accuracy")
    assert (common.value, common.objective) == (0.9, 0.5)
    assert (fair.value, fair.objective) == (0.8, 0.8)

    def record(number: int, accuracy: Any, size: int) -> TrialRecord:
        costs: Any = dataclasses.make_dataclass("C", ["sram_bytes", "flash_bytes", "cycles", "macs"])(
            size, 1, 1, 1
        )
        return TrialRecord(
            number=number, state="evaluated", full=True, steps=1, digest=str(number), params={},
            accuracy=accuracy, costs=costs,
        )  # fmt: skip

    assert choose([record(0, common, 1), record(1, fair, 2)], "accuracy").number == 1
    kept = dataclasses.replace(record(1, fair, 2), costs=None)
    assert record_from_json(kept.to_json()).value == 0.8
    old = kept.to_json()
    for name in ("metric", "score"):
        del old["accuracy"][name]
    assert record_from_json(old).value == 0.8, "records of earlier versions go by accuracy"
    assert kept.summary()["score"] == 0.8
    assert "macro_f1" in METRICS


@pytest.mark.slow
def test_weighted_training_finds_a_rare_class() -> None:
    import tf_keras

    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [950, 50])
    samples = rng.normal(size=(1000, 2)).astype(np.float32) + labels[:, None].astype(np.float32)
    weights = np.array([1000 / 1900, 1000 / 100], np.float32)
    recall = []
    for class_weights in (None, weights):
        tf_keras.utils.set_random_seed(0)
        model = tf_keras.Sequential([tf_keras.layers.Input((2,)), tf_keras.layers.Dense(2)])
        data = TrainingData(samples, labels, classes=2, class_weights=class_weights)
        schedule = Schedule(steps=300, batch=64, peak_rate=0.05)
        train(model, data, schedule, rng=np.random.default_rng(0))
        answered = np.argmax(model(samples), axis=1)
        recall.append((answered[labels == 1] == 1).mean())
    assert recall[0] < 0.3
    assert recall[1] > 0.6
