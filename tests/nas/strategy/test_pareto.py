"""Choosing from the front."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nas.model.policy import Policy
from nas.model.records import TrialRecord
from nas.model.trained import Accuracy
from nas.strategy.pareto import choose, finalists_of, hypervolume, pareto_front
from tests.nas.strategy.search_fakes import make_driver


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> TrialRecord:
    driver, _ = make_driver(tmp_path_factory.mktemp("run"), trials=1)
    driver.search()
    return driver.study.records()[0]


def trial(
    sample: TrialRecord, number: int, correct: int, sram: int, cycles: int, full: bool = True
) -> TrialRecord:
    assert sample.costs is not None
    costs = dataclasses.replace(sample.costs, sram_bytes=sram, flash_bytes=100, cycles=cycles, macs=cycles)
    accuracy = Accuracy(part="val", engine="litert", correct=correct, total=1000)
    return dataclasses.replace(
        sample,
        number=number,
        digest=f"k{number}",
        costs=costs,
        accuracy=accuracy,
        full=full,
        steps=100 if full else 10,
        tflm_accuracy=None,
    )


@pytest.mark.parametrize(("policy", "number"), [("accuracy", 1), ("balanced", 2), ("smallest", 3)])
def test_each_policy_picks_what_its_words_say(sample: TrialRecord, policy: Policy, number: int) -> None:
    front = [
        trial(sample, 1, 960, 9000, 900),
        trial(sample, 2, 956, 5000, 300),
        trial(sample, 3, 949, 3000, 400),
        trial(sample, 4, 900, 1000, 100),
    ]
    assert choose(front, policy).number == number


def test_a_fully_trained_model_is_chosen_before_a_briefly_trained_one(sample: TrialRecord) -> None:
    front = [trial(sample, 1, 970, 100, 100, full=False), trial(sample, 2, 950, 200, 200)]
    assert choose(front, "accuracy").number == 2
    assert choose(front[:1], "accuracy").number == 1


def folded(record: TrialRecord, correct: int) -> TrialRecord:
    """The same, judged in folds of 5,000 samples."""
    accuracy = Accuracy(part="val", engine="litert", correct=correct, total=5000)
    return dataclasses.replace(record, folded=accuracy)


@pytest.mark.parametrize(("policy", "number"), [("accuracy", 2), ("balanced", 3), ("smallest", 3)])
def test_what_was_judged_in_folds_is_chosen_by_that(sample: TrialRecord, policy: Policy, number: int) -> None:
    front = [
        folded(trial(sample, 1, 960, 9000, 900), 4600),
        folded(trial(sample, 2, 956, 5000, 300), 4700),
        folded(trial(sample, 3, 949, 3000, 200), 4690),
        trial(sample, 4, 970, 1000, 100),
    ]
    assert choose(front, policy).number == number


def test_one_that_was_judged_in_folds_alone_is_no_choice(sample: TrialRecord) -> None:
    front = [trial(sample, 1, 960, 9000, 900), folded(trial(sample, 2, 956, 5000, 300), 5000)]
    assert choose(front, "accuracy").number == 1


@pytest.mark.parametrize(("policy", "numbers"), [("accuracy", [1, 2]), ("smallest", [1, 3])])
def test_those_are_judged_in_folds_that_the_policy_would_choose_first_and_the_most_accurate(
    sample: TrialRecord, policy: Policy, numbers: list[int]
) -> None:
    front = [
        folded(trial(sample, 1, 960, 9000, 900), 1),
        trial(sample, 2, 956, 5000, 300),
        trial(sample, 3, 949, 3000, 400),
        trial(sample, 4, 999, 10, 10, full=False),
    ]
    judged = finalists_of(front, policy, 2)
    assert [record.number for record in judged] == numbers
    assert judged[0].folded is not None
    assert [record.number for record in finalists_of(front, policy, 9)] == [1, 2, 3]
    assert finalists_of([], policy, 9) == []


def test_a_full_training_replaces_the_short_one_of_the_same_network(sample: TrialRecord) -> None:
    short = trial(sample, 1, 990, 100, 100, full=False)
    full = dataclasses.replace(trial(sample, 7, 950, 100, 100), digest=short.digest)
    assert [r.number for r in pareto_front([short, full])] == [7]


def test_equal_trials_are_one_point_of_the_front(sample: TrialRecord) -> None:
    one, same = trial(sample, 1, 950, 100, 100), trial(sample, 2, 950, 100, 100)
    assert [r.number for r in pareto_front([same, one])] == [1]


@pytest.mark.parametrize("count", [1, 2, 5, 30])
@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_the_hypervolume_is_what_optunas_own_says(axes: int, count: int) -> None:
    from optuna._hypervolume import compute_hypervolume

    points = np.random.default_rng([axes, count]).random((count, axes)) * 1.2
    expected = compute_hypervolume(points[(points < 1).all(1)], np.ones(axes))
    assert hypervolume(points.tolist(), [1.0] * axes) == pytest.approx(expected)


def test_hypervolumes_in_closed_form() -> None:
    assert hypervolume([], (1.0, 1.0)) == 0.0
    assert hypervolume([(2.0, 0.0)], (1.0, 1.0)) == 0.0
    assert hypervolume([(0.5, 0.5, 0.5, 0.5)] * 3, (1.0,) * 4) == 0.0625
    # A staircase of ten steps: 55 of 100 squares.
    stairs = [(i / 10, (9 - i) / 10) for i in range(10)]
    assert hypervolume(stairs, (1.0, 1.0)) == pytest.approx(0.55)


def test_of_anomalies_the_training_that_tells_them_apart_best_stands_for_its_network(
    sample: TrialRecord,
) -> None:
    def scored(number: int, area: float, full: bool) -> TrialRecord:
        record = trial(sample, number, 500, 100, 100, full=full)
        assert record.accuracy is not None
        accuracy = dataclasses.replace(record.accuracy, metric="auc", score=area)
        return dataclasses.replace(record, digest="k", accuracy=accuracy)

    short, long = scored(1, 0.94, full=False), scored(2, 0.92, full=True)
    assert pareto_front([short, long]) == pareto_front([long, short]) == (short,)
    assert choose([short, dataclasses.replace(long, digest="other")], "accuracy") == short
