"""The interval of a metric that is not a share of samples is kept in result.json, for whoever chooses again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cost_models.costing import CostModel, Costs
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from nas.model.metrics import CLASS_METRICS
from nas.model.policy import MetricName, Policy
from nas.model.records import TrialRecord
from nas.model.result import TrialSummary
from nas.model.trained import Accuracy
from nas.run.reselect import _interval_notes, _record
from nas.strategy.pareto import choose
from tests.nas.bundle.conftest import TCN

TABLE = ((40, 2), (1, 7))


@pytest.fixture(scope="module")
def costs() -> Costs:
    data = TCN.read_bytes()
    return CostModel(load_target("nrf52840")).estimate(read_graph(data), file_bytes=len(data))


def record(number: int, costs: Costs, *, full: bool = True, **accuracy: Any) -> TrialRecord:
    measured = Accuracy(part="val", engine="litert", total=50, **{"correct": 47, **accuracy})
    return TrialRecord(
        number=number,
        state="evaluated",
        full=full,
        steps=10,
        digest=f"digest{number}",
        params={},
        accuracy=measured,
        costs=costs,
    )


def stored(found: TrialRecord, metric: MetricName, costs: Costs) -> TrialRecord:
    summary = TrialSummary.model_validate_json(TrialSummary.model_validate(found.summary()).model_dump_json())
    return _record(summary, costs, 50, metric)


@pytest.mark.parametrize("metric", ["auc", "rmse"])
def test_an_interval_that_was_measured_is_read_back(metric: MetricName, costs: Costs) -> None:
    found = record(1, costs, full=False, metric=metric, score=0.93, interval=(0.91, 0.95))
    again = stored(found, metric, costs)
    assert again.accuracy is not None
    assert again.accuracy.objective_interval() == (0.91, 0.95)
    assert list(_interval_notes([again], metric, "smallest")) == []


def test_a_full_training_keeps_the_interval_of_its_confusions(costs: Costs) -> None:
    row = CLASS_METRICS["balanced_accuracy"]
    found = record(1, costs, metric="balanced_accuracy", confusion=TABLE, score=row.of(TABLE))
    again = stored(found, "balanced_accuracy", costs)
    assert again.accuracy is not None
    assert again.accuracy.objective_interval() == row.interval(TABLE)
    assert record(1, costs).summary()["score_interval"] is None


def test_a_policy_chooses_from_the_result_as_it_did_in_the_run(costs: Costs) -> None:
    """By the interval of a share of 50 samples the smaller model would be within an error of the better one."""
    large = record(1, costs, metric="auc", score=0.95, interval=(0.94, 0.96))
    less = replace(costs, sram_bytes=costs.sram_bytes // 2, cycles=(costs.cycles or 2) // 2)
    small = record(2, less, metric="auc", score=0.92, interval=(0.91, 0.93))
    policies: tuple[Policy, ...] = ("balanced", "smallest")
    for policy in policies:
        live = choose([large, small], policy)
        assert live.number == 1
        again = [stored(one, "auc", one.costs) for one in (large, small) if one.costs]
        assert choose(again, policy).number == live.number


def test_a_result_without_intervals_is_chosen_from_with_a_word(costs: Costs) -> None:
    found = record(1, costs, metric="rmse", score=-0.2, interval=(-0.4, 0.1))
    summary = TrialSummary.model_validate(found.summary() | {"score_interval": None})
    again = _record(summary, costs, 50, "rmse")
    assert choose([again], "smallest") is again
    (note,) = _interval_notes([again], "rmse", "smallest")
    assert note.startswith("the run does not state the interval of the RMSE skill")
    assert list(_interval_notes([again], "rmse", "accuracy")) == []


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_a_choice_by_folds_is_the_same_from_the_result(metric: MetricName, costs: Costs) -> None:
    row = CLASS_METRICS[metric]

    def judged(number: int, right: int) -> TrialRecord:
        table = ((right, 50 - right), (5, 45))
        score = None if metric == "accuracy" else row.of(table)
        folded = Accuracy(
            part="val",
            engine="litert",
            correct=right + 45,
            total=100,
            confusion=table,
            metric=metric,
            score=score,
        )
        return replace(record(number, costs, correct=40 + number, metric=metric, score=score), folded=folded)

    front = [judged(1, 44), judged(2, 40), record(3, costs, correct=49, metric=metric)]
    again = [stored(found, metric, costs) for found in front]
    assert choose(front, "accuracy").number == choose(again, "accuracy").number == 1
    for one, other in zip(front[:2], again, strict=False):
        assert one.folded is not None
        assert other.folded is not None
        assert other.folded.objective == one.folded.objective
        assert other.folded.objective_interval() == pytest.approx(one.folded.objective_interval())
    assert again[2].folded is None
