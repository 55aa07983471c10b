"""`--robust`: what it measures, on which samples, and what it is refused for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.cli.run import main
from nas.model.metrics import METRICS, plain_metric
from nas.model.records import TrialRecord, record_from_json
from nas.model.regression import TargetScale
from nas.run.config import RunConfig
from nas.run.warm_start import _other_metric
from nas.runtimes.interpreter import Port
from nas.tasks import Dataset, accuracy, load_task
from nas.tasks.accuracy import judged_samples, measure_accuracy
from nas.tasks.disturbances import DISTURBANCES, disturbed_in_turn


class Bright:
    """A model of two classes: whether the mean of a picture of the digits is above 4.9 of 16 shades."""

    engine = "litert"
    input = Port(shape=(8, 8, 1), scale=1 / 255, zero_point=-128)
    output = Port(shape=(2,), scale=1.0, zero_point=0)

    def __init__(self) -> None:
        self.seen: list[NDArray[np.int8]] = []

    def run(self, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
        self.seen.append(inputs)
        shades = (inputs.reshape(len(inputs), -1).astype(int) + 128).mean(axis=1) * 16 / 255
        return np.stack([shades < 4.9, shades >= 4.9], axis=1).astype(np.int8)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Bright:
    bright = Bright()
    monkeypatch.setattr(accuracy, "reference_model", lambda tflite, processes: bright)
    return bright


def pictures(*, robust: bool = True) -> Dataset:
    """The digits, told apart by what `Bright` is right of; labels are right of samples as they are alone."""
    digits = load_task("digits")
    labels = {
        part: (samples.reshape(len(samples), -1).mean(axis=1) >= 4.9).astype(np.int64)
        for part, samples in digits.samples.items()
    }
    info = replace(digits.info, class_names=("dark", "bright"))
    return replace(digits, info=info, labels=labels).judged_by("accuracy", robust=robust)


def test_each_sample_is_disturbed_in_one_way_and_all_ways_are_taken_as_often() -> None:
    raw = np.random.default_rng(0).normal(size=(400, 50, 3)).astype(np.float32)
    made: NDArray[Any] = disturbed_in_turn(raw, np.random.default_rng(1))
    assert (made.dtype, made.shape) == (raw.dtype, raw.shape)
    shifts = np.round((made - raw).mean(axis=(1, 2)) / raw.std(), 2)
    offsets = Counter(shifts[np.ptp(made - raw, axis=(1, 2)) < 0.1].tolist())
    assert (offsets[0.25], offsets[-0.25]) == (50, 50), "of 400 samples and eight ways"
    assert len(DISTURBANCES) == 8
    np.testing.assert_array_equal(made, disturbed_in_turn(raw, np.random.default_rng(1)))


def test_the_robust_metric_is_the_mean_of_samples_as_they_are_and_disturbed(model: Bright) -> None:
    data = pictures()
    measured = measure_accuracy(b"", data, "val", "litert")
    assert measured.metric == "robust_accuracy"
    assert measured.value == 1.0, "the accuracy stays that of samples as they are"
    assert measured.disturbed is not None
    assert 0.5 < measured.disturbed < 0.95
    assert measured.objective == pytest.approx((1.0 + measured.disturbed) / 2)
    low, high = measured.objective_interval()
    assert low < measured.objective < high
    assert sum(map(len, model.seen)) == judged_samples(data, "val") == 2 * len(data.labels["val"])
    plain = measure_accuracy(b"", pictures(robust=False), "val", "litert")
    assert (plain.objective, plain.disturbed) == (1.0, None)


def test_of_many_validation_samples_some_are_disturbed_and_of_test_samples_all(
    model: Bright, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy, "_MOST_DISTURBED", 100)
    data = pictures()
    for part, disturbed in (("val", 100), ("test", len(data.labels["test"]))):
        model.seen.clear()
        measure_accuracy(b"", data, part, "litert")  # type: ignore[arg-type]
        assert sum(map(len, model.seen)) == len(data.labels[part]) + disturbed


def test_all_networks_are_measured_on_the_same_disturbed_samples(model: Bright) -> None:
    first = measure_accuracy(b"", pictures(), "val", "litert")
    once = np.concatenate(model.seen)
    model.seen.clear()
    assert measure_accuracy(b"other", pictures(), "val", "litert") == first
    np.testing.assert_array_equal(once, np.concatenate(model.seen))


def test_a_record_keeps_what_disturbed_samples_came_to(model: Bright) -> None:
    measured = measure_accuracy(b"", pictures(), "val", "litert")
    record = TrialRecord(
        number=0, state="evaluated", full=True, steps=1, digest="d", params={}, accuracy=measured
    )
    again = record_from_json(record.to_json())
    assert again.value == measured.objective
    assert again.accuracy is not None
    assert again.accuracy.disturbed == measured.disturbed
    assert record.summary()["score_interval"] == measured.objective_interval()


def test_it_is_said_and_kept_with_the_model() -> None:
    data = pictures()
    assert data.notes[-1].startswith(
        "--robust: the search goes by the mean of the accuracy on samples as they are"
    )
    sensor = {"noise": 0.3, "gain": [0.8, 1.25], "offset": 0.25, "lost": 0.2}
    assert data.disturbed.to_json() == {"disturbed": {"jitter": 0.0, "sensor": sensor}}
    assert METRICS[data.info.metric].label == "robust accuracy"
    assert plain_metric(data.info.metric) == "accuracy"
    assert METRICS["robust_balanced_accuracy"].balances


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"frontend": object()}, "--robust is of no use behind a front end"),
        ({"false_alarms": 0.1}, "--robust is for classes: a disturbed sample may be an anomaly"),
        (
            {"targets": (TargetScale(name="y", mean=0.0, deviation=1.0),)},
            "--robust is for classes: a disturbed sample may be an anomaly, or stand for another number",
        ),
    ],
)
def test_it_is_refused_where_it_would_measure_something_else(info: dict[str, Any], message: str) -> None:
    digits = load_task("digits")
    with pytest.raises(UserError, match=message):
        replace(digits, info=replace(digits.info, **info)).judged_by("auto", robust=True)


def test_a_robust_search_is_another_search() -> None:
    assert "robust" not in RunConfig(seed=1).search_identity()  # runs from before there was the key resume
    assert RunConfig(seed=1, robust=True).search_identity()["robust"] is True


def test_the_metrics_that_it_makes_are_no_names_for_users(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--metric", "robust_accuracy", "--out", str(tmp_path / "a")]) == 2
    assert "robust_accuracy" in capsys.readouterr().err


def test_a_warm_start_from_a_search_by_another_metric_says_which_flags_make_it_the_same() -> None:
    assert _other_metric("robust_accuracy", "accuracy") == "Add --robust."
    assert _other_metric("macro_f1", "robust_macro_f1") == "Leave --robust out."
    assert _other_metric("robust_macro_f1", "accuracy") == "Add --robust, and add --metric macro_f1."
    assert _other_metric("robust_accuracy", "robust_macro_f1") == "Add --metric accuracy."
