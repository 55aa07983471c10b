from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.costing import CostModel
from cost_models.errors import UserError
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from nas.bundle import Bundle, BundleError, export, verify
from nas.model.metrics import NUMBER_METRICS
from nas.model.quality import is_near_chance, quality_warnings
from nas.model.records import TrialRecord, record_from_json
from nas.model.regression import NumberScaling, TargetScale
from nas.model.trained import TrainedModel
from nas.run.config import make_config
from nas.tasks import Dataset, load_task, make_dataset
from nas.tasks.accuracy import measure_accuracy, predictions, score_numbers
from nas.tasks.loading.targets import strata
from nas.tasks.split import split_parts
from nas.testing import check_task
from nas.tf.build import build
from nas.tf.convert import convert
from nas.tf.train import Schedule, TrainingData, train
from search_spaces.choices import Choices
from search_spaces.space import load_space
from tests.nas.bundle.test_check import rehash

RNG = np.random.default_rng(0)
RMSE = make_config({"metric": "rmse"}, {})


def heap(
    count: int = 900, *, names: tuple[str, ...] | None = ("torque", "flow"), scale: float = 1.0
) -> Dataset:
    """Two numbers that follow from six values, the second on another scale than the first."""
    samples = np.random.default_rng(1).normal(size=(count, 6)).astype(np.float32)
    torque = samples[:, 0] - 0.5 * samples[:, 1] + 0.3 * samples[:, 2] ** 2
    flow = 1e-6 * (samples[:, 3] + samples[:, 4])
    labels = scale * np.stack([torque + 40, flow], axis=1)
    return split_parts(name="pump", samples=samples, labels=labels, target_names=names).judged_by("auto")


@pytest.fixture(scope="module")
def trained() -> tuple[Dataset, bytes]:
    data = heap()
    choices: dict[str, Any] = {}
    drawn = Choices(rng=np.random.default_rng(3))
    load_space("mlp").build(drawn, input_shape=(6,), classes=2)
    choices |= drawn.params
    spec = load_space("mlp").build(Choices(choices), input_shape=(6,), classes=data.info.outputs)
    model = build(spec, seed=1)
    means, deviations = ([getattr(one, name) for one in data.info.targets] for name in ("mean", "deviation"))
    scaled = np.asarray((data.labels["train"] - means) / deviations, np.float32)
    inputs = data.inputs(data.samples["train"])
    train(
        model,
        TrainingData(inputs, scaled, classes=0),
        Schedule(steps=400, batch=32, peak_rate=0.01),
        rng=np.random.default_rng(0),
    )
    return data, convert(model, inputs[:200])


def test_real_numbers_are_predicted_and_this_is_said() -> None:
    data = heap()
    assert data.info.metric == "rmse"
    assert data.info.outputs == 2
    assert data.info.class_names == ()
    assert [one.name for one in data.info.targets] == ["torque", "flow"]
    assert any("y holds numbers: they are predicted" in note for note in data.notes)
    assert data.labels["train"].shape == (540, 2)
    (line,) = [line for line in data.report.lines() if line.startswith("predicts")]
    assert "torque 3" in line
    assert "flow -" in line


def test_a_split_keeps_ranges_of_numbers_in_proportion() -> None:
    data = heap()
    quarters = [np.quantile(data.labels[part][:, 0], [0.1, 0.5, 0.9]) for part in ("train", "val", "test")]
    assert np.ptp(np.array(quarters), axis=0).max() < 0.2 * data.info.targets[0].deviation
    assert strata(np.arange(6.0)[:, None]).tolist() == [0] * 6


def test_the_metrics_are_those_of_the_textbook() -> None:
    labels = RNG.normal(3, 2, (80, 1))
    predicted = labels + RNG.normal(0, 0.5, (80, 1))
    mean = float(labels.mean())
    found = score_numbers(
        predicted,
        labels,
        targets=(TargetScale(name="y", mean=mean, deviation=2.0),),
        part="test",
        engine="litert",
        metric="rmse",
    )
    (number,) = found.numbers
    errors = predicted - labels
    assert number.rmse == pytest.approx(float(np.sqrt(np.mean(errors**2))))
    assert number.mae == pytest.approx(float(np.abs(errors).mean()))
    assert number.r2 == pytest.approx(1 - float((errors**2).sum() / ((labels - mean) ** 2).sum()))
    assert number.low < number.rmse < number.high
    assert found.objective == pytest.approx(1 - number.rmse / float(labels.std()))
    low, high = found.objective_interval()
    assert low < found.value == found.objective < high


@pytest.mark.parametrize("metric", NUMBER_METRICS)
def test_the_training_mean_has_no_skill_and_no_error_the_whole(metric: str) -> None:
    usual = RNG.normal(size=(50, 2)) * [1.0, 1e-9]
    row = NUMBER_METRICS[metric]
    np.testing.assert_allclose(row.skill(usual, usual), 0.0, atol=1e-12)
    np.testing.assert_allclose(row.skill(0 * usual, usual), 1.0)


def test_numbers_come_from_codes_in_float32() -> None:
    scaling = NumberScaling.fold(
        (TargetScale(name="y", mean=40.0, deviation=3.0), TargetScale(name="z", mean=0.0, deviation=1e-12)),
        scale=0.02,
        zero_point=-5,
    )
    codes = np.array([[-5, -5], [127, -128]], np.int8)
    numbers = scaling.numbers(codes)
    assert numbers.dtype == np.float32
    wanted = np.array([[40, 0], [40 + 3 * 0.02 * 132, -123 * 0.02e-12]])
    np.testing.assert_allclose(numbers.astype(np.float64), wanted, rtol=1e-6, atol=1e-20)


def test_int8_predicts_in_the_unit_of_the_data(trained: tuple[Dataset, bytes]) -> None:
    data, tflite = trained
    found = measure_accuracy(tflite, data, "test", "tflm")
    assert found.objective > 0.6
    assert not is_near_chance(found)
    torque, flow = found.numbers
    assert torque.rmse < 0.5 * data.info.targets[0].deviation
    assert flow.rmse < 1e-6
    from nas.runtimes.reference import reference_model

    predicted = predictions(reference_model(tflite), data, "test")
    assert predicted.shape == data.labels["test"].shape
    assert np.corrcoef(predicted[:, 1], data.labels["test"][:, 1])[0, 1] > 0.9


def test_a_model_like_the_mean_is_near_chance_and_said_to_be() -> None:
    labels = RNG.normal(size=(60, 1))
    target = TargetScale(name="y", mean=float(labels.mean()), deviation=1.0)
    found = score_numbers(
        np.full((60, 1), target.mean), labels, targets=(target,), part="test", engine="tflm", metric="mae"
    )
    assert is_near_chance(found)
    (line,) = quality_warnings((found,), ())
    assert "hardly better than always answering the training mean" in line


def test_a_record_of_numbers_is_read_back() -> None:
    labels = RNG.normal(size=(20, 2))
    targets = tuple(TargetScale(name=name, mean=0.0, deviation=1.0) for name in "ab")
    found = score_numbers(labels * 0.9, labels, targets=targets, part="val", engine="litert", metric="r2")
    record = TrialRecord(
        number=1, state="evaluated", full=True, steps=5, digest="d", params={}, accuracy=found
    )
    assert record_from_json(record.to_json()) == record
    assert record.summary()["accuracy"] == record.value == found.objective


def finished(data: Dataset, tflite: bytes) -> TrainedModel:
    return TrainedModel(
        name="pump",
        tflite=tflite,
        task=data.info,
        golden_inputs=data.samples["test"][:8],
        accuracies=(measure_accuracy(tflite, data, "test", "tflm"),),
        provenance={"seed": 1},
    )


def test_the_emitted_c_makes_the_same_numbers(trained: tuple[Dataset, bytes], tmp_path: Path) -> None:
    data, tflite = trained
    target = load_target("nrf52840")
    costs = CostModel(target).estimate(read_graph(tflite), file_bytes=len(tflite))
    bundle = export(finished(data, tflite), target=target, costs=costs, out=tmp_path / "bundle")
    verify(bundle, cross=False)
    entries = bundle.manifest.numbers
    assert [one.name for one in entries] == ["torque", "flow"]
    text = (tmp_path / "bundle" / "pump.h").read_text()
    assert "argmax" not in text
    assert "CLASS" not in text
    assert "pump_predict(" in text
    assert "pump_classify(" not in text
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert "| test | TFLM | torque | 180 |" in card
    golden, source = (tmp_path / "bundle" / name for name in ("pump_golden.cc", "pump_io.cc"))
    stated = golden.read_text().partition("pump_golden_number[")[2]
    bits, number = re.findall(r"(0x[0-9a-f]{8})u, /\* (\S+) \*/", stated)[0]
    assert np.uint32(int(bits, 16)).view(np.float32) == np.float32(number)
    for path, before, after in (
        (golden, bits, f"0x{int(bits, 16) ^ 1:08x}"),
        (source, "kNumberOffset[index] + product", "product"),
    ):
        whole = path.read_text()
        assert before in whole
        path.write_text(whole.replace(before, after))
        rehash(bundle.path, "pump")
        with pytest.raises(BundleError, match="not what"):
            verify(Bundle.read(bundle.path, target=target), cross=False)
        path.write_text(whole)


def arrays(**changed: Any) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    content: dict[str, Any] = {}
    for part, count in (("train", 60), ("val", 20), ("test", 20)):
        content[f"X_{part}"] = rng.normal(size=(count, 4)).astype(np.float32)
        content[f"y_{part}"] = rng.normal(size=count)
    return content | changed


BROKEN = np.where(np.arange(60) == 7, np.nan, RNG.normal(size=60))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"y_train": BROKEN}, "numbers that are NaN or infinite (first at sample 7)"),
        ({"y_train": np.full(60, 0.1)}, "y is 0.1 in all training samples"),
        ({"y_val": RNG.normal(size=(20, 2))}, "y_val has 2 numbers a sample, but y_train has 1"),
        ({"y_test": np.array(["a"] * 20)}, "y_test holds <U1, not numbers"),
        ({"y_train": RNG.normal(size=(60, 2, 2))}, "y_train has shape (60, 2, 2)"),
        ({"class_names": np.array(["a", "b"])}, "has classes, but numbers are to be predicted"),
        ({"target_names": np.array(["a", "b"])}, "2 names of numbers, but y has 1 for each sample"),
        ({"y_train": RNG.normal(size=59)}, "X_train has 60 samples but y_train has 59 labels"),
        ({"y_train": RNG.normal(size=60) * 1e35}, "beyond what float32 can hold"),
        ({"y_train": RNG.normal(size=60) * 1e-40}, "below what float32 can hold"),
        (
            {"y_train": 1.7e9 + 10.5 * RNG.normal(size=60)},
            "the chip's float32 cannot tell such numbers apart",
        ),
    ],
)
def test_numbers_that_cannot_be_learned_are_refused(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    np.savez(tmp_path / "pump.npz", allow_pickle=False, **arrays(**changed))
    with pytest.raises(UserError) as caught:
        load_task(f"npz:{tmp_path / 'pump.npz'}", RMSE)
    assert said in str(caught.value)


def test_a_part_on_another_scale_and_rare_values_far_out_are_said(tmp_path: Path) -> None:
    wild = RNG.normal(size=60)
    wild[3] = 4e3
    np.savez(tmp_path / "pump.npz", **arrays(y_test=RNG.normal(5e5, 1, 20), y_train=wild))
    notes = " ".join(load_task(f"npz:{tmp_path / 'pump.npz'}").notes)
    assert "y of the test part" in notes
    assert "is on another scale" in notes
    assert "y has rare values far out" in notes


def test_whole_numbers_are_classes_unless_the_metric_says_otherwise(tmp_path: Path) -> None:
    whole = {f"y_{part}": np.arange(count) % 9 for part, count in (("train", 60), ("val", 20), ("test", 20))}
    np.savez(tmp_path / "pump.npz", **arrays(**whole))
    task = f"npz:{tmp_path / 'pump.npz'}"
    assert len(load_task(task).info.class_names) == 9
    numbers = load_task(task, RMSE)
    assert numbers.info.targets[0].mean == pytest.approx(float(np.mean(whole["y_train"])))
    with pytest.raises(UserError, match=r"--metric accuracy is of classes"):
        numbers.judged_by("accuracy")
    with pytest.raises(UserError, match=r"--metric rmse is of numbers"):
        load_task(task).judged_by("rmse")


def test_anomalies_and_numbers_do_not_go_together(tmp_path: Path) -> None:
    np.savez(tmp_path / "pump.npz", **arrays())
    with pytest.raises(UserError, match="--normal names a class"):
        load_task(f"npz:{tmp_path / 'pump.npz'}", make_config({"metric": "rmse", "normal": "good"}, {}))


def test_a_task_of_ones_own_may_predict_numbers() -> None:
    def task(argument: str, options: Any) -> Dataset:
        parts = {
            part: np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
            for part in ("train", "val", "test")
        }
        labels = {part: array.sum(axis=1) for part, array in parts.items()}
        return make_dataset(name="sums", samples=parts, labels=labels, options=options)

    check_task(task)


def test_another_scale_of_the_numbers_changes_nothing_of_the_skill() -> None:
    one, other = heap(), heap(scale=1e6)
    predicted = one.labels["test"] * 0.9
    skill = [
        score_numbers(
            factor * predicted,
            data.labels["test"],
            targets=data.info.targets,
            part="test",
            engine="litert",
            metric="rmse",
        ).objective
        for data, factor in ((one, 1.0), (other, 1e6))
    ]
    assert skill[0] == pytest.approx(skill[1])


def recordings(folder: Path) -> str:
    """Six runs of a battery: current, voltage, and the charge that is left."""
    rng = np.random.default_rng(4)
    for run in range(6):
        current = rng.uniform(0.5, 1.5, 200)
        charge = 100 - np.cumsum(current) / 3
        lines = ["t,current,voltage,charge,health"]
        for row in range(200):
            voltage = 3 + charge[row] / 100 + rng.normal(0, 0.01)
            lines.append(f"{row / 10:.1f},{current[row]:.4f},{voltage:.4f},{charge[row]:.4f},{99 - run}")
        (folder / f"run{run}.csv").write_text("\n".join(lines) + "\n")
    return f"timeseries:{folder}"


def test_a_column_of_numbers_is_predicted_from_the_window_before(tmp_path: Path) -> None:
    task = recordings(tmp_path)
    given = {"metric": "rmse", "label": "charge", "window": "20", "channels": "current,voltage"}
    data = load_task(task, make_config(given, {}))
    assert data.info.input_shape == (20, 2)
    assert [one.name for one in data.info.targets] == ["charge"]
    assert "Predicted is what charge is at the last row of a window." in data.notes
    # The voltage of the last row says what the charge is.
    raw = data.samples["test"][:, -1, 1].astype(float)
    assert np.corrcoef(raw, data.labels["test"][:, 0])[0, 1] > 0.98
    both = load_task(task, make_config(given | {"label": "charge, health", "channels": "current"}, {}))
    assert [one.name for one in both.info.targets] == ["charge", "health"]
    assert both.info.input_shape == (20, 1)


def test_a_number_that_rises_like_a_clock_is_predicted_and_not_called_a_clock(tmp_path: Path) -> None:
    for run in range(6):
        lines = [
            "current,heat",
            *(f"{math.sin(run + row / 5):.3f},{20 + row / 100:.2f}" for row in range(200)),
        ]
        (tmp_path / f"run{run}.csv").write_text("\n".join(lines) + "\n")
    given = {"metric": "rmse", "label": "heat", "window": "20"}
    data = load_task(f"timeseries:{tmp_path}", make_config(given, {}))
    assert data.info.input_shape == (20, 1)
    assert not any("like a clock" in note for note in data.notes)
    with pytest.raises(
        UserError, match="No channel is left: clocks, counters or the label itself are all of heat"
    ):
        load_task(f"timeseries:{tmp_path}", make_config(given | {"label": "current"}, {}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Which column has the numbers to predict is not said"),
        ({"label": "chrge"}, "chrge"),
        ({"label": "charge,nothing"}, "There is no column nothing"),
    ],
)
def test_columns_that_cannot_be_predicted_are_refused(
    tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    task = recordings(tmp_path)
    with pytest.raises(UserError) as caught:
        load_task(task, make_config({"metric": "mae", "window": "20"} | given, {}))
    assert said in str(caught.value)
