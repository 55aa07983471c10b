"""One search for several boards: what is admitted, whose fronts are served, and what is recorded of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from nas.model.records import TrialRecord, record_from_json
from nas.strategy.objectives import objective_names, reference
from nas.strategy.pareto import pareto_front
from nas.strategy.screening import Board, Screen
from tests.nas.strategy.search_fakes import make_board, make_driver, make_screen

TIGHT = "6KB"


@pytest.fixture(scope="module")
def screen() -> Screen:
    """A board with little memory before one with much."""
    return make_screen(TIGHT, "nrf52840", [make_board("64KB", "rp2040")])


@pytest.fixture(scope="module")
def records(screen: Screen, tmp_path_factory: pytest.TempPathFactory) -> list[TrialRecord]:
    driver, _ = make_driver(tmp_path_factory.mktemp("boards"), screen=screen, trials=16)
    driver.search()
    driver.train_finalists()
    return driver.records()


def views(records: list[TrialRecord], board: Board) -> list[TrialRecord]:
    return [record.on(board.name, board.budget) for record in records]


def test_a_network_is_admitted_that_fits_one_of_the_boards(
    screen: Screen, records: list[TrialRecord]
) -> None:
    small, large = (views(records, board) for board in screen.boards)
    assert {record.state for record in records} == {"evaluated"}
    assert {record.state for record in small} == {"evaluated", "rejected"}
    assert {record.state for record in large} == {"evaluated"}
    assert all(record.violations[0].resource == "sram" for record in small if record.state == "rejected")


def test_each_board_has_a_front_of_its_own_costs_and_a_network_trained_in_full(
    screen: Screen, records: list[TrialRecord]
) -> None:
    for board in screen.boards:
        front = pareto_front(views(records, board))
        assert any(record.full for record in front)
        for record in front:
            assert record.costs is not None
            assert record.costs == next(r for r in records if r.number == record.number).boards[board.name]
            assert not board.budget.violations(record.costs)


def test_the_best_that_fits_each_board_is_among_the_finalists(screen: Screen, tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, screen=screen, trials=16)
    driver.search()
    chosen = driver.engine.finalists(1, spread=False)
    judged = [proposal.screened.boards for proposal in chosen]
    full = [r for r in driver.records() if r.full]
    for place, board in enumerate(screen.boards):
        trained = any(r.state == "evaluated" for r in views(full, board))
        assert trained or any(boards[place].fits for boards in judged)


def test_a_record_keeps_the_costs_on_each_board(records: list[TrialRecord]) -> None:
    assert set(records[0].boards) == {"nrf52840", "rp2040"}
    assert [record_from_json(record.to_json()) for record in records] == records


def test_a_board_without_costs_for_a_network_has_no_result_of_it(
    screen: Screen, records: list[TrialRecord]
) -> None:
    lost = replace(records[0], boards={"rp2040": records[0].boards["rp2040"]})
    view = lost.on("nrf52840", screen.boards[0].budget)
    assert (view.state, view.reason) == ("failed", "cost: nrf52840 has no costs for this network")
    assert lost.on("rp2040", screen.boards[1].budget).state == "evaluated"


def test_a_record_of_one_board_is_its_own_view(screen: Screen, records: list[TrialRecord]) -> None:
    alone = replace(records[0], boards={})
    assert alone.on("nrf52840", screen.boards[1].budget) == alone


def test_the_study_knows_the_objectives_of_all_boards_by_name(screen: Screen, tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, screen=screen, trials=2)
    driver.search()
    study: optuna.Study = driver.study._study
    assert study.metric_names == objective_names(["nrf52840", "rp2040"])
    assert study.metric_names[:4] == [
        "int8 error",
        "sram_bytes on nrf52840",
        "flash_bytes on nrf52840",
        "cycles on nrf52840",
    ]
    assert objective_names(["rp2040"]) == ["int8 error", "sram_bytes", "flash_bytes", "cycles"]
    assert all(len(trial.values) == 7 for trial in study.get_trials())


def test_limits_are_the_reference_of_costs_and_the_most_found_where_there_is_none() -> None:
    assert reference([("sram", 8.0), ("flash", 9.0)], (1.0, 2.0, 3.0)) == (8.0, 9.0, 3.0)
