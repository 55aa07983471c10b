from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.groups import GroupScore, GroupScores, group_scores, groups_text
from nas.model.trained import Accuracy
from nas.runtimes.interpreter import Port
from nas.tasks import Dataset, TaskOptions, make_dataset
from nas.tasks.accuracy import measure_accuracy
from nas.tasks.by_group import score_groups

NAMES = ("anna", "ben", "carl", "dora")


class _Echo:
    """A model that answers with its first inputs: which of two is larger tells the class."""

    engine = "tflm"
    input = Port(shape=(2,), scale=1 / 32, zero_point=0)

    def __init__(self, outputs: int) -> None:
        self.output = Port(shape=(outputs,), scale=1 / 32, zero_point=0)

    def run(self, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
        return inputs[:, : self.output.size]


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(outputs: int) -> None:
        monkeypatch.setattr("nas.tasks.accuracy.reference_model", lambda tflite, processes: _Echo(outputs))

    return use


def dataset(labels: NDArray[Any], groups: NDArray[Any] | None, **more: Any) -> Dataset:
    """Forty samples whose class is the larger of two features, alike in all parts."""
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 1, (40, 2)).astype(np.float32)
    parts = ("train", "val", "test")
    return make_dataset(
        name="words",
        samples=dict.fromkeys(parts, samples),
        labels=dict.fromkeys(parts, labels),
        groups=None if groups is None else dict.fromkeys(parts, groups),
        **more,
    ).judged_by("auto")


def truth() -> NDArray[np.int64]:
    samples = np.random.default_rng(0).normal(0, 1, (40, 2)).astype(np.float32)
    scaled = (samples - samples.mean(axis=0)) / samples.std(axis=0)
    return np.asarray(scaled.argmax(axis=1), np.int64)


def test_the_group_with_wrong_labels_is_the_worst_and_small_ones_are_left_out(echo: Any) -> None:
    echo(2)
    groups = np.repeat(NAMES, [12, 12, 13, 3])
    labels = truth()
    labels[12:24] = 1 - labels[12:24]  # ben's are all wrong
    found = measure_accuracy(b"", dataset(labels, groups), "test", "tflm", detailed=True).groups
    assert found is not None
    assert (found.measured, found.left_out, found.worst.name) == (3, 1, "ben")
    assert found.worst.score < 0.2 < 0.9 < found.best.score
    assert [group.samples for group in found.groups[:1]] == [12]
    assert found.worst.low == pytest.approx(0.0)
    assert 0.1 < found.worst.high < 0.4
    text = groups_text(found, "accuracy")
    assert text.startswith("of 3 the worst is ben with ")
    assert text.endswith("; 1 group with fewer than 5 samples is left out")


def test_without_groups_or_a_question_there_are_no_figures_of_groups(echo: Any) -> None:
    echo(2)
    assert measure_accuracy(b"", dataset(truth(), None), "test", "tflm", detailed=True).groups is None
    groups = np.repeat(NAMES, 10)
    assert measure_accuracy(b"", dataset(truth(), groups), "test", "tflm").groups is None


def test_a_group_of_normal_samples_alone_has_no_area(echo: Any) -> None:
    echo(2)
    labels = np.tile([0, 0, 0, 1], 10)
    labels[:10] = 0  # anna's
    options = TaskOptions(normal="good", false_alarms=0.1)
    data = dataset(labels, np.repeat(NAMES, 10), class_names=("good", "bad"), options=options)
    found = measure_accuracy(b"", data, "test", "tflm", detailed=True).groups
    assert found is not None
    assert (found.measured, found.left_out) == (3, 1)
    assert "anna" not in {group.name for group in found.groups}
    assert groups_text(found, "auc").endswith(
        "1 group with fewer than 5 samples or without both normal and anomalous samples is left out"
    )


def test_errors_of_numbers_are_told_by_group_in_their_unit(echo: Any) -> None:
    echo(1)
    samples = np.random.default_rng(0).normal(0, 1, (40, 2)).astype(np.float32)
    labels = 100.0 * samples[:, 0].astype(np.float64) + 500.25
    labels[30:] += 50.0  # dora's sensor is off
    whole = measure_accuracy(b"", dataset(labels, np.repeat(NAMES, 10)), "test", "tflm", detailed=True)
    found = whole.groups
    assert found is not None
    assert found.worst.name == "dora"
    (picture,) = whole.predictions
    assert picture.truth == tuple(labels.tolist())
    assert np.mean(np.subtract(picture.predicted, picture.truth)) == pytest.approx(picture.bias)
    assert picture.middle[0] < picture.bias < picture.middle[1]
    number, best = found.worst.numbers[0], found.best.numbers[0]
    assert number.rmse > 30 > best.rmse > 0
    assert number.low <= number.rmse <= number.high
    assert f"dora with RMSE {number.rmse:.4g} (10 samples; " in groups_text(found, "rmse")


def test_a_group_that_hardly_varies_is_set_against_the_whole(echo: Any) -> None:
    """Its own variance would make an R2 far below zero of small errors."""
    echo(1)
    samples = np.random.default_rng(0).normal(0, 1, (40, 2)).astype(np.float32)
    labels = 100.0 * samples[:, 0].astype(np.float64)
    order = np.argsort(labels)
    groups = np.empty(40, dtype="U4")
    groups[order] = np.repeat(NAMES, 10)  # ben and carl are near the mean
    found = measure_accuracy(
        b"", dataset(labels, groups).judged_by("r2"), "test", "tflm", detailed=True
    ).groups
    assert found is not None
    assert all(group.score > 0.5 and group.numbers[0].r2 > 0.5 for group in found.groups)


def test_of_many_groups_the_worst_and_the_best_are_kept_and_asked_for_intervals() -> None:
    asked: list[int] = []

    def judge(rows: NDArray[np.int64]) -> Accuracy:
        asked.append(int(rows[0]) // 5)
        return Accuracy(part="test", engine="tflm", correct=int(rows[0]) // 5, total=50)

    found = score_groups(np.repeat(np.arange(30), 5), value=lambda rows: rows[0] / 250, judge=judge)
    assert found.measured == 30
    assert [group.name for group in found.groups] == [str(n) for n in (*range(10), *range(20, 30))]
    assert asked == [*range(10), *range(20, 30)]


def test_names_of_groups_are_made_printable() -> None:
    names = np.repeat(np.array([b"caf\xc3\xa9", b"a\x1b[2J"]), 5)
    one = Accuracy(part="test", engine="tflm", correct=1, total=2)
    found = score_groups(names, value=lambda rows: float(rows[0]), judge=lambda rows: one)
    assert [group.name for group in found.groups] == ["caf\u00e9", "a\ufffd[2J"]


def test_scores_are_read_back_as_they_were_written() -> None:
    group = GroupScore(name="anna", samples=9, score=0.5, low=0.2, high=0.8)
    found = GroupScores(measured=1, left_out=0, groups=(group,))
    assert group_scores(asdict(found)) == found
    assert group_scores(None) is None
    assert groups_text(found, "accuracy") == "anna alone with 50.0 % (9 samples; 20.0 to 80.0 %)"


def test_groups_of_another_length_than_the_samples_are_refused() -> None:
    with pytest.raises(UserError, match=r"words: groups has shape \(39,\) for 40 samples"):
        dataset(truth(), np.repeat("anna", 39))
