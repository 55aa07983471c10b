"""By how much the validation figure of what is chosen is expected to be too good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cost_models.costing import Costs
from nas.model.optimism import (
    Array,
    Optimism,
    expected_optimism,
    optimism_from_json,
    optimism_text,
    packed,
    unpacked,
)
from nas.model.policy import MetricName, Policy
from nas.model.records import TrialRecord, record_from_json
from nas.model.trained import Accuracy
from nas.strategy.optimism import choice_optimism
from nas.strategy.pareto import choose, pareto_front
from search_spaces.choices import Choices
from tests.nas.strategy.search_fakes import make_screen

Hits = NDArray[np.bool_]


def costs() -> Costs:
    screened = make_screen()(Choices(rng=np.random.default_rng(0)))
    assert screened.costs is not None
    return screened.costs


COSTS = costs()


def most(figures: Array) -> NDArray[np.int64]:
    return np.asarray(figures.argmax(axis=1), np.int64)


def trainings(hits: Hits, labels: NDArray[np.int64], *, kept: bool = True) -> list[TrialRecord]:
    """Full trainings of networks that answered the samples so, the first the smallest. Shape of hits: (m, n)."""
    return [
        TrialRecord(
            number=index,
            state="evaluated",
            full=True,
            steps=100,
            digest=f"n{index}",
            params={},
            costs=replace(COSTS, sram_bytes=1000 + index, cycles=1000 + index, macs=1000 + index),
            accuracy=Accuracy(
                part="val",
                engine="litert",
                correct=int(row.sum()),
                total=len(labels),
                hits=packed(row) if kept else "",
            ),
        )
        for index, row in enumerate(hits)
    ]


def answers(true: Array, rng: np.random.Generator, samples: int, groups: int = 0) -> Hits:
    """Right and wrong answers of networks that find the same samples hard. Shape: (m, samples).

    Of groups, each network is better at some of them than at others.
    """
    from scipy.stats import norm

    shared = rng.standard_normal(samples)
    own = rng.standard_normal((len(true), samples))
    if groups:
        of_groups = rng.standard_normal((len(true), groups))[:, np.arange(samples) % groups]
        own = (of_groups + own) / np.sqrt(2)
    return np.asarray((shared + own) / np.sqrt(2) < norm.ppf(true)[:, None])


WORTHS: dict[str, Callable[[np.random.Generator], Array]] = {
    "like a bell": lambda rng: 0.9 + 0.01 * rng.standard_normal(12),
    "crowded at the top": lambda rng: 0.95 - 0.02 * rng.exponential(size=12),
    "all alike": lambda rng: np.full(12, 0.9),
    "one far ahead": lambda rng: np.array([0.97, *(0.85 + 0.01 * rng.standard_normal(11))]),
}


@pytest.mark.parametrize("policy", ["accuracy", "balanced"])
@pytest.mark.parametrize("worths", WORTHS)
def test_the_expected_optimism_is_the_actual_of_many_searches_whose_truth_is_known(
    worths: str, policy: Policy
) -> None:
    rng = np.random.default_rng(5)
    labels = np.zeros(400, np.int64)
    actual: list[float] = []
    expected: list[float] = []
    for _ in range(80):
        true = WORTHS[worths](rng)
        records = trainings(answers(true, rng, 400), labels)
        chosen = choose(pareto_front(records), policy)
        # The luck that all networks share chooses none, and is left out of both.
        luck = [record.value - true[record.number] for record in records]
        actual.append(luck[chosen.number] - np.mean(luck))
        optimism = choice_optimism(records, policy, labels=labels)
        assert optimism is not None
        assert (optimism.paired, optimism.networks) == (True, 12)
        expected.append(optimism.value)
    error = float(np.std(actual, ddof=1)) / 80**0.5
    assert abs(np.mean(actual) - np.mean(expected)) < 2 * error + 0.15 * np.mean(actual) + 0.0005


def test_the_optimism_is_higher_where_samples_come_in_groups_that_networks_differ_on() -> None:
    rng = np.random.default_rng(6)
    labels, groups = np.zeros(400, np.int64), np.arange(400) % 8
    actual: list[float] = []
    by_group: list[float] = []
    by_sample: list[float] = []
    for _ in range(80):
        records = trainings(answers(np.full(12, 0.9), rng, 400, groups=8), labels)
        actual.append(max(record.value for record in records) - 0.9)
        for told, given in ((by_group, groups), (by_sample, None)):
            optimism = choice_optimism(records, "accuracy", labels=labels, groups=given)
            assert optimism is not None
            assert optimism.groups == (0 if given is None else 8)
            told.append(optimism.value)
    assert np.mean(by_sample) < 0.8 * np.mean(by_group)
    assert abs(np.mean(actual) - np.mean(by_group)) < 0.2 * np.mean(actual)


def test_without_the_answers_to_each_sample_the_optimism_is_an_upper_bound() -> None:
    rng = np.random.default_rng(7)
    labels = np.zeros(300, np.int64)
    hits = answers(0.9 + 0.005 * rng.standard_normal(10), rng, 300)
    known, bound = (
        choice_optimism(trainings(hits, labels, kept=kept), "accuracy", labels=labels)
        for kept in (True, False)
    )
    assert known is not None
    assert bound is not None
    assert (known.paired, bound.paired) == (True, False)
    assert 0 < known.value < bound.value
    assert ["at most" in optimism_text(one) for one in (known, bound)] == [False, True]
    # Figures that hardly differ have little luck in them, however few samples there are.
    alike = trainings(np.tile(hits[0], (10, 1)), labels, kept=False)
    assert choice_optimism(alike, "accuracy", labels=labels) == Optimism(value=0.0, networks=10, paired=False)


def test_samples_that_all_networks_answer_alike_are_no_luck_of_the_chosen() -> None:
    labels = np.zeros(100, np.int64)
    alike = np.tile(np.arange(100) < 80, (6, 1))
    optimism = choice_optimism(trainings(alike, labels), "accuracy", labels=labels)
    assert optimism == Optimism(value=0.0, networks=6, paired=True)
    assert "less than 0.1 points" in optimism_text(optimism)


def test_nothing_is_said_where_no_noise_is_known() -> None:
    labels = np.zeros(50, np.int64)
    perfect = trainings(np.ones((3, 50), np.bool_), labels)
    assert choice_optimism(perfect, "accuracy", labels=labels) is None
    assert choice_optimism([], "accuracy", labels=labels) is None

    def scored(metric: MetricName, interval: tuple[float, float] | None) -> list[TrialRecord]:
        return [
            replace(
                record,
                accuracy=Accuracy(
                    part="val",
                    engine="litert",
                    correct=0,
                    total=50,
                    metric=metric,
                    score=0.8 + record.number / 100,
                    interval=interval,
                ),
            )
            for record in perfect
        ]

    assert choice_optimism(scored("rmse", None), "accuracy", labels=np.zeros((50, 1))) is None
    known = choice_optimism(scored("rmse", (0.7, 0.9)), "accuracy", labels=np.zeros((50, 1)))
    assert known is not None
    assert not known.paired
    assert 0 < known.value < 0.05


def test_a_network_that_was_chosen_among_itself_alone_is_no_better_by_the_choice() -> None:
    labels = np.zeros(50, np.int64)
    (record,) = trainings(np.arange(50)[None] < 40, labels)
    brief = replace(record, number=1, digest="brief", full=False)
    again = replace(record, number=2, retrains=0)
    optimism = choice_optimism([record, brief, again], "accuracy", labels=labels)
    assert optimism == Optimism(value=0.0, networks=1, paired=True)
    assert "the only one to choose from" in optimism_text(optimism)


def test_classes_that_count_alike_have_the_noise_of_the_rare_ones() -> None:
    rng = np.random.default_rng(8)
    labels = (np.arange(400) < 20).astype(np.int64)
    hits = answers(np.full(8, 0.85), rng, 400)

    def expected(metric: MetricName) -> float:
        records = []
        for record, row in zip(trainings(hits, labels), hits, strict=True):
            table = tuple(
                tuple(int((row[labels == kind] == (kind == answer)).sum()) for answer in (0, 1))
                for kind in (0, 1)
            )
            recalls = [row[labels == kind].mean() for kind in (0, 1)]
            assert record.accuracy is not None
            score = None if metric == "accuracy" else float(np.mean(recalls))
            accuracy = replace(record.accuracy, metric=metric, confusion=table, score=score)
            records.append(replace(record, accuracy=accuracy))
        optimism = choice_optimism(records, "accuracy", labels=labels)
        assert optimism is not None
        return optimism.value

    assert expected("balanced_accuracy") > 1.5 * expected("accuracy")


def test_which_samples_were_answered_rightly_goes_through_a_record() -> None:
    hits = np.random.default_rng(9).random(77) < 0.8
    record = record_from_json(trainings(hits[None], np.zeros(77, np.int64))[0].to_json())
    assert record.accuracy is not None
    again = unpacked(record.accuracy.hits, 77)
    assert again is not None
    assert np.array_equal(again, hits)
    assert unpacked(record.accuracy.hits, 100) is None
    assert unpacked("no such text", 77) is None


@pytest.mark.parametrize(
    "content",
    [None, "much", {}, {"value": "0.1", "networks": 3}, {"value": -1, "networks": 3}, {"value": 0.1}],
)
def test_what_a_manifest_says_of_optimism_is_taken_only_where_it_can_be(content: Any) -> None:
    assert optimism_from_json(content) is None


def test_the_same_figures_have_the_same_optimism() -> None:
    values = np.linspace(0.8, 0.9, 5)
    first, second = (expected_optimism(values, 0.02 * np.eye(5), most) for _ in range(2))
    assert first == second > 0.001
