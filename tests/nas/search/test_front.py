"""Choosing from the front."""

from __future__ import annotations

import dataclasses

import pytest
from search_fakes import make_driver

from nas.config import Policy
from nas.finished import Accuracy
from nas.search.front import choose, finalists, pareto_front
from nas.search.records import TrialRecord


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> TrialRecord:
    driver, _ = make_driver(tmp_path_factory.mktemp("run"), trials=1)
    driver.search()
    return driver.study.records()[0]


def trial(
    sample: TrialRecord, number: int, correct: int, sram: int, cycles: int, rung: str = "full"
) -> TrialRecord:
    assert sample.costs is not None
    costs = dataclasses.replace(sample.costs, sram_bytes=sram, flash_bytes=100, cycles=cycles, macs=cycles)
    accuracy = Accuracy(part="val", engine="litert", correct=correct, total=1000)
    return dataclasses.replace(
        sample, number=number, key=f"k{number}", costs=costs, accuracy=accuracy, rung=rung, tflm_accuracy=None
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
    front = [trial(sample, 1, 970, 100, 100, "search"), trial(sample, 2, 950, 200, 200)]
    assert choose(front, "accuracy").number == 2
    assert choose(front[:1], "accuracy").number == 1


def test_a_full_training_replaces_the_short_one_of_the_same_network(sample: TrialRecord) -> None:
    short = trial(sample, 1, 990, 100, 100, "search")
    full = dataclasses.replace(trial(sample, 7, 950, 100, 100), key=short.key)
    assert [r.number for r in pareto_front([short, full])] == [7]


def test_equal_trials_are_one_point_of_the_front(sample: TrialRecord) -> None:
    one, same = trial(sample, 1, 950, 100, 100), trial(sample, 2, 950, 100, 100)
    assert [r.number for r in pareto_front([same, one])] == [1]


def test_finalists_are_the_most_accurate_and_for_a_thrifty_policy_cheap_ones_too(sample: TrialRecord) -> None:
    front = [trial(sample, n, 900 + n, 100 + n, 100 + n * 10, "search") for n in range(8)]
    assert [r.number for r in finalists(front, 3, "accuracy")] == [7, 6, 5]
    cheap = [r.number for r in finalists(front, 3, "smallest")]
    assert 7 in cheap
    assert min(cheap) < 5
    assert len(finalists(front, 100, "balanced")) == 8
