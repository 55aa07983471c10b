from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cost_models.costing import CostModel
from cost_models.errors import UserError
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from nas.bundle import BundleError, export, verify
from nas.model.anomaly_score import AnomalyScore, threshold_at
from nas.model.metrics import ANOMALY_METRICS
from nas.model.quality import is_near_chance, quality_warnings
from nas.model.trained import Accuracy, TrainedModel
from nas.run.config import RunConfig
from nas.run.pipeline import plan
from nas.tasks import Dataset, TaskOptions, load_task, make_dataset
from nas.tasks.accuracy import measure_accuracy, score_anomalies
from nas.tf.build import build
from nas.tf.convert import convert
from nas.tf.train import Schedule, TrainingData, train
from search_spaces.choices import Choices
from search_spaces.space import load_space

RNG = np.random.default_rng(0)
OPTIONS = TaskOptions(normal="good", false_alarms=0.05)
CHOICES = {"layers": 0, "units_1": 8, "units_2": 8, "units_3": 8, "units_4": 8, "narrow": 4}


def samples(count: int, *, usual: bool) -> Any:
    """Twelve values, of which normal samples have two free ones; others are as large, but free in all."""
    mixing = np.random.default_rng(1).normal(0, 1, (2, 12))
    values = RNG.normal(0, 1, (count, 2)) @ mixing if usual else RNG.normal(0, 1.4, (count, 12))
    return np.rint(300 * values).astype(np.int16)


def dataset(anomalies_in: tuple[str, ...] = ("train", "val", "test"), **more: Any) -> Dataset:
    names = ("bad", "good", "worse")
    parts = {part: samples(400, usual=True) for part in ("train", "val", "test")}
    labels = {part: np.ones(400, np.int64) for part in parts}
    for part in anomalies_in:
        parts[part] = np.concatenate([parts[part], samples(200, usual=False)])
        labels[part] = np.concatenate([labels[part], np.repeat([0, 2], 100)])
    return make_dataset(
        name="bearing", samples=parts, labels=labels, class_names=names, options=OPTIONS, **more
    ).judged_by("auto")


def test_a_share_that_validation_samples_cannot_tell_is_said() -> None:
    parts = {part: samples(40, usual=True) for part in ("train", "val", "test")}
    labels = {part: np.zeros(40, np.int64) for part in parts}
    rare = TaskOptions(normal="good", false_alarms=0.01)
    data = make_dataset(name="pump", samples=parts, labels=labels, class_names=("good",), options=rare)
    note = (
        "40 normal validation samples cannot tell a share of 1 % of false alarms:"
        " the threshold will be their highest score."
    )
    assert note in data.notes
    assert note not in dataset().notes


@pytest.mark.parametrize(("alarms", "warned"), [(1, False), (12, True)])
def test_a_threshold_fails_only_by_more_false_alarms_than_chance_explains(alarms: int, warned: bool) -> None:
    labels = np.repeat([0, 1], 36)
    scores = np.concatenate([np.arange(36), np.full(36, 100)])

    def found(part: Literal["val", "test"], threshold: int) -> Accuracy:
        return score_anomalies(scores, labels, threshold=threshold, part=part, engine="tflm", metric="auc")

    lines = quality_warnings((found("val", 35), found("test", 35 - alarms)), ("good", "bad"))
    assert any("the threshold does not hold" in line for line in lines) is warned


@pytest.fixture(scope="module")
def trained() -> tuple[Dataset, bytes]:
    data = dataset()
    spec = load_space("autoencoder").build(
        Choices(CHOICES), input_shape=data.info.input_shape, classes=data.info.outputs
    )
    model = build(spec, seed=1)
    inputs = data.inputs(data.samples["train"])
    schedule = Schedule(steps=300, batch=32, peak_rate=0.02)
    train(
        model,
        TrainingData(inputs, data.labels["train"], classes=12, rebuilds=True),
        schedule,
        rng=np.random.default_rng(0),
    )
    return data, convert(model, inputs[:100])


@pytest.mark.parametrize("ties", [False, True])
def test_areas_are_those_of_scikit_learn(ties: bool) -> None:
    for _ in range(20):
        normal, anomalous = RNG.normal(0, 1, 90), RNG.normal(0.8, 1.5, 60)
        scale = 3 if ties else 10**6
        one, other = (np.rint(scale * array).astype(np.int64) for array in (normal, anomalous))
        labels = np.repeat([0, 1], [90, 60])
        both = np.concatenate([one, other])
        assert ANOMALY_METRICS["auc"].of(one, other) == pytest.approx(roc_auc_score(labels, both))
        assert ANOMALY_METRICS["partial_auc"].of(one, other) == pytest.approx(
            roc_auc_score(labels, both, max_fpr=0.1)
        )


@pytest.mark.parametrize(("metric", "times"), [("auc", 100), ("partial_auc", 30)])
def test_intervals_of_areas_hold_the_truth_about_as_often_as_they_say(metric: Any, times: int) -> None:
    row = ANOMALY_METRICS[metric]
    big = np.random.default_rng(0)
    truth = row.of(big.normal(0, 1, 200_000), big.normal(1, 1, 200_000))
    held = 0
    for seed in range(times):
        rng = np.random.default_rng(seed)
        low, high = row.interval(rng.normal(0, 1, 150), rng.normal(1, 1, 100))
        held += low <= truth <= high
    assert 0.86 * times <= held <= times


def test_areas_without_a_mistake_still_have_an_interval() -> None:
    low, high = ANOMALY_METRICS["auc"].interval(np.arange(20), np.arange(20, 40))
    assert 0.5 < low < 1
    assert high <= 1


def test_scores_are_squared_errors_in_one_unit() -> None:
    scales, zero_points = (0.031, 0.017), (-7, 12)
    score = AnomalyScore.fold(scales=scales, zero_points=zero_points, elements=50)
    inputs, outputs = RNG.integers(-128, 128, (2, 30, 50)).astype(np.int8)
    real = [
        (codes.astype(float) - zero) * scale
        for codes, scale, zero in zip((inputs, outputs), scales, zero_points, strict=True)
    ]
    wanted = np.square(real[0] - real[1]).mean(axis=1)
    np.testing.assert_allclose(score.of(inputs, outputs) * score.unit, wanted, rtol=2e-3)
    worst = score.of(np.full((1, 50), 127, np.int8), np.full((1, 50), -128, np.int8))
    assert int(worst[0]) < 1 << 32


def test_no_larger_share_of_normal_samples_lies_above_the_threshold() -> None:
    scores = RNG.integers(0, 30, 500)
    for share in (0.001, 0.01, 0.1, 0.5):
        threshold = threshold_at(scores, share)
        assert (scores > threshold).mean() <= share < (scores > threshold - 1).mean()


def test_a_network_learns_from_normal_samples_alone_and_this_is_said() -> None:
    data = dataset()
    assert data.info.class_names == ("good", "anomaly")
    assert data.info.metric == "auc"
    assert data.info.samples == {"train": 400, "val": 600, "test": 600}
    assert data.info.outputs == 12
    assert not data.labels["train"].any()
    assert any("200 training samples are not of good" in note for note in data.notes)
    assert "Anomalies are bad, worse." in data.notes


def test_a_part_without_anomalies_gets_made_ones_and_this_is_said() -> None:
    data = dataset(anomalies_in=("test",))
    normal, made = data.samples["val"][:400], data.samples["val"][400:]
    assert data.labels["val"].tolist() == [0] * 400 + [1] * 400
    assert np.array_equal(np.sort(normal, axis=0), np.sort(made, axis=0))
    assert not np.array_equal(normal, made)
    assert sum("val part has no anomalies" in note for note in data.notes) == 1
    assert data.digest() != dataset().digest()


def test_bytes_keep_one_int8_value_each_and_are_centred() -> None:
    parts = {
        part: RNG.normal(140, 5, (300, 16)).clip(0, 255).astype(np.uint8) for part in ("train", "val", "test")
    }
    labels = {part: np.zeros(300, np.int64) for part in parts}
    data = make_dataset(name="x", samples=parts, labels=labels, class_names=("good",), options=OPTIONS)
    inputs = data.inputs(data.samples["train"])
    assert abs(inputs.mean()) < 0.2
    assert inputs.std() == pytest.approx(1, rel=0.05)
    low, high = data.input_range
    assert (high - low) / 255 == pytest.approx(data.info.preprocess.scale[0], rel=1e-6)
    assert data.info.preprocess.offset[0] % 1 == 0


def test_int8_tells_anomalies_apart_and_the_threshold_holds(trained: tuple[Dataset, bytes]) -> None:
    data, tflite = trained
    validation, test = (measure_accuracy(tflite, data, part, "tflm") for part in ("val", "test"))
    assert measure_accuracy(tflite, data, "test", "tflm", threshold=validation.threshold) == test
    assert test.objective > 0.95
    assert not is_near_chance(test)
    assert validation.threshold == test.threshold
    alarms, found = validation.alarm_rates()
    assert alarms is not None
    assert 0.04 <= alarms <= 0.05
    assert found is not None
    assert found > 0.8
    assert quality_warnings((validation, test), data.info.class_names) == ()


def test_a_model_that_tells_nothing_apart_is_near_chance_and_says_what_it_never_finds() -> None:
    labels = np.repeat([0, 1], 200)
    scores = RNG.integers(0, 1000, 400)
    found = score_anomalies(scores, labels, threshold=2000, part="test", engine="tflm", metric="auc")
    assert is_near_chance(found)
    lines = quality_warnings((found,), ("good", "bad"))
    assert re.search(r"The ROC AUC of 0\.\d+ on test data .* near chance", lines[0])
    assert "Never predicted on test data, so its recall is 0: bad (200 samples)." in lines


def finished(data: Dataset, tflite: bytes) -> TrainedModel:
    return TrainedModel(
        name="bearing",
        tflite=tflite,
        task=data.info,
        golden_inputs=data.samples["test"][[0, 1, 450, 550]],
        accuracies=tuple(measure_accuracy(tflite, data, part, "tflm") for part in ("val", "test")),
        provenance={"seed": 1},
    )


def test_the_bundle_scores_as_python_does(trained: tuple[Dataset, bytes], tmp_path: Path) -> None:
    data, tflite = trained
    model, target = finished(data, tflite), load_target("nrf52840")
    costs = CostModel(target).estimate(read_graph(tflite), file_bytes=len(tflite))
    bundle = export(model, target=target, costs=costs, out=tmp_path / "bundle")
    assert verify(bundle, cross=False).compiled
    anomaly = bundle.manifest.anomaly
    assert anomaly is not None
    assert anomaly.threshold == model.accuracies[0].threshold
    assert anomaly.false_alarms == 0.05
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert "ROC AUC" in card
    assert "| test |" in card
    assert "false alarms" in card
    header = (bundle.path / "bearing.h").read_text()
    emitted = header + (bundle.path / "bearing_io.cc").read_text()
    assert not [word for word in ("argmax", "class", "CLASS", "bearing_score") if word in emitted]
    assert f"#define BEARING_THRESHOLD {anomaly.threshold}u" in header
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    manifest["anomaly"]["threshold"] += 1
    (bundle.path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError):
        verify(bundle.path, cross=False)


def test_accuracies_must_state_one_threshold(trained: tuple[Dataset, bytes], tmp_path: Path) -> None:
    data, tflite = trained
    model, target = finished(data, tflite), load_target("nrf52840")
    one, other = model.accuracies
    model = replace(model, accuracies=(one, replace(other, threshold=7)))
    costs = CostModel(target).estimate(read_graph(tflite), file_bytes=len(tflite))
    with pytest.raises(UserError, match="do not state one threshold"):
        export(model, target=target, costs=costs, out=tmp_path / "bundle")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"normal": "goood"}, "has no class 'goood'"),
        ({"normal": "worse"}, "the val part has no sample of worse"),
        ({"false_alarms": 0.1}, "--false-alarms is of no use without anomalies"),
    ],
)
def test_mistakes_are_refused(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"class_names": np.array(["good", "bad", "worse"])}
    for part in ("train", "val", "test"):
        arrays[f"X_{part}"] = samples(60, usual=True)
        arrays[f"y_{part}"] = np.arange(60) % (3 if part == "train" else 2)
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=message):
        load_task(f"npz:{tmp_path / 'x.npz'}", TaskOptions(**given))


@pytest.mark.parametrize(
    ("metric", "options", "hint"),
    [("accuracy", OPTIONS, "auc or partial_auc"), ("auc", None, "--normal CLASS makes it")],
)
def test_a_metric_of_the_other_kind_is_refused(metric: Any, options: TaskOptions | None, hint: str) -> None:
    parts = {part: samples(60, usual=True) for part in ("train", "val", "test")}
    labels = {part: np.arange(60) % 2 for part in parts}
    data = make_dataset(name="x", samples=parts, labels=labels, class_names=("good", "bad"), options=options)
    with pytest.raises(UserError, match="--metric") as caught:
        data.judged_by(metric)
    assert hint in caught.value.hint


def test_anomalies_are_not_learned_from_validation_samples(tmp_path: Path) -> None:
    data = dataset()
    arrays: dict[str, Any] = {f"X_{part}": data.samples[part] for part in data.samples}
    arrays |= {f"y_{part}": np.where(data.labels[part] == 0, "good", "bad") for part in data.labels}
    np.savez(tmp_path / "bearing.npz", **arrays)
    given = RunConfig(
        task=f"npz:{tmp_path / 'bearing.npz'}", space="autoencoder", normal="good", final_on="all"
    )
    with pytest.raises(UserError, match="--final-on all is not for anomalies"):
        plan(given)


def test_training_samples_of_one_class_lead_to_anomalies() -> None:
    parts = {part: samples(60, usual=True) for part in ("train", "val", "test")}
    labels = {part: np.zeros(60, np.int64) for part in parts}
    with pytest.raises(UserError, match="one class only") as caught:
        make_dataset(name="x", samples=parts, labels=labels, class_names=("good",))
    assert "--normal good" in caught.value.hint
