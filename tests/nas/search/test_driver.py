"""The search loop, without TensorFlow and without Ray."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from search_fakes import FakeEvaluator, make_driver, make_screen

from nas.outcome import Evaluated, Failed, Outcome, Request
from nas.search.front import dominates, objectives, pareto_front


def test_a_search_trains_as_many_distinct_networks_as_asked(tmp_path: Path) -> None:
    driver, models = make_driver(tmp_path, trials=15)
    assert driver.search() == "trials"
    evaluated = [r for r in driver.records() if r.state == "evaluated"]
    assert len(evaluated) == 15
    assert len({r.key for r in evaluated}) == 15
    assert {key for key, _ in models} == {r.key for r in evaluated}


def test_finalists_of_the_front_are_trained_in_full_once(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    driver, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen)
    driver.search()
    front = {r.key for r in pareto_front(driver.study.records())}
    driver.train_finalists()
    full = driver.final.records()
    assert 1 <= len(full) <= 3
    assert {r.key for r in full} <= front
    assert all(r.rung == "full" and r.tflm_accuracy is not None for r in full)
    assert [r.steps for r in evaluate.requests if r.full] == [100] * len(full)
    driver.train_finalists()
    assert len(driver.final.records()) == len(full)


def test_what_does_not_fit_is_never_trained_and_the_record_says_by_how_much(tmp_path: Path) -> None:
    screen = make_screen("6KB")
    evaluate = FakeEvaluator(screen)
    driver, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen)
    driver.search()
    asked = {request.number for request in evaluate.requests}
    rejected = [r for r in driver.records() if r.state == "rejected"]
    assert rejected
    assert not asked & {r.number for r in rejected}
    assert all(v.value > v.limit for r in rejected for v in r.violations)
    assert all(
        r.costs is not None and r.costs.sram_bytes <= 6 * 1024
        for r in driver.records()
        if r.state == "evaluated"
    )


def test_the_same_seed_gives_the_same_trials(tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        driver, _ = make_driver(tmp_path / name, trials=14)
        driver.search()
        driver.train_finalists()
        runs.append([(r.number, r.state, r.key, r.value) for r in driver.records()])
    assert runs[0] == runs[1]
    (tmp_path / "c").mkdir()
    other, _ = make_driver(tmp_path / "c", trials=14, seed=2)
    other.search()
    assert [r.key for r in other.study.records()] != [key for _, _, key, _ in runs[0]]


def test_a_resumed_search_repeats_nothing_and_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    for name in ("cut", "whole"):
        (tmp_path / name).mkdir()
    whole, _ = make_driver(tmp_path / "whole", trials=12)
    whole.search()
    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    for most in (3, 7, 100):
        driver, _ = make_driver(
            tmp_path / "cut",
            evaluate=evaluate,
            screen=screen,
            trials=12,
            stop=lambda most=most: len(evaluate.requests) >= most,
        )
        driver.search()
    keys = [r.key for r in driver.study.records() if r.state == "evaluated"]
    assert len(evaluate.requests) == len(set(keys)) == 12
    assert set(keys) == {r.key for r in whole.study.records() if r.state == "evaluated"}


def test_a_trial_cut_off_by_a_killed_driver_is_asked_again(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)

    def dies_at_the_fourth(request: Request) -> Outcome:
        if len(evaluate.requests) == 3:
            evaluate.requests.append(request)
            raise KilledError
        return evaluate(request)

    driver, _ = make_driver(tmp_path, evaluate=dies_at_the_fourth, screen=screen)
    with pytest.raises(KilledError):
        driver.search()
    lost = evaluate.requests[-1].params
    again, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen)
    assert again.search() == "trials"
    evaluated = [r for r in again.records() if r.state == "evaluated"]
    assert sum(r.params == lost for r in evaluated) == 1
    assert len({r.key for r in evaluated}) == len(evaluated) == 12


def test_a_result_written_but_not_told_when_the_driver_died_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.search.study import Study

    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    driver, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen)

    def dies(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Study, "_close", dies)
        with pytest.raises(KilledError):
            driver.search()
    asked = len(evaluate.requests)
    assert asked == 1
    again, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen, trials=5)
    assert [r.state for r in again.study.records()] == ["evaluated"]
    again.search()
    assert len(evaluate.requests) == 5


def test_a_half_written_journal_line_costs_nothing_but_itself(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=5)
    driver.search()
    before = driver.study.records()
    journal = tmp_path / "study.journal"
    with journal.open("ab") as file:
        file.write(b'{"op_code": 8, "worker')
    Path(f"{journal}.lock").touch()
    again, _ = make_driver(tmp_path, trials=7)
    assert again.study.records() == before
    again.search()
    assert sum(r.state == "evaluated" for r in again.records()) == 7


def test_a_retryable_failure_is_tried_once_more_and_a_lasting_one_is_recorded(tmp_path: Path) -> None:
    screen = make_screen()
    good = FakeEvaluator(screen)
    tries: Counter[int] = Counter()

    def flaky(request: Request) -> Outcome:
        tries[request.number] += 1
        if request.number == 1 and tries[1] == 1:
            return Failed(stage="worker", reason="the worker process died", retryable=True)
        if request.number == 2:
            return Failed(stage="worker", reason="the worker process died", retryable=True)
        if request.number == 3:
            return Failed(stage="train", reason="diverged", retryable=False)
        return good(request)

    driver, _ = make_driver(tmp_path, evaluate=flaky, screen=screen, trials=8)
    driver.search()
    states = {r.number: (r.state, r.reason) for r in driver.records() if r.number in (1, 2, 3)}
    assert states[1] == ("evaluated", None)
    assert states[2] == ("failed", "worker: the worker process died")
    assert states[3] == ("failed", "train: diverged")
    assert tries[1] == tries[2] == 2
    assert tries[3] == 1


def test_an_accuracy_that_is_not_a_number_is_a_failure(tmp_path: Path) -> None:
    screen = make_screen()
    good = FakeEvaluator(screen)

    def sometimes_nan(request: Request) -> Outcome:
        outcome = good(request)
        assert isinstance(outcome, Evaluated)
        if len(good.requests) != 3:
            return outcome
        return replace(outcome, accuracy=replace(outcome.accuracy, correct=float("nan")))  # type: ignore[arg-type]

    driver, models = make_driver(tmp_path, evaluate=sometimes_nan, screen=screen, trials=8)
    driver.search()
    failed = [r for r in driver.records() if r.state == "failed"]
    assert [r.reason for r in failed] == ["evaluate: the accuracy is not a number"]
    assert sum(r.state == "evaluated" for r in driver.records()) == 7 == len(models)


def test_a_run_whose_trials_all_fail_stops_early(tmp_path: Path) -> None:
    def broken(request: Request) -> Outcome:
        return Failed(stage="build", reason="no such layer", retryable=False)

    driver, _ = make_driver(tmp_path, evaluate=broken, trials=500)
    assert driver.search() == "failures"
    assert len(driver.records()) < 20


def test_a_space_without_more_networks_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.search import driver as module

    monkeypatch.setattr(module, "_MOST_PROPOSALS", 15)
    monkeypatch.setattr(module, "_RANDOM_AFTER", 5)
    screen = make_screen("1700")
    driver, _ = make_driver(tmp_path, screen=screen, trials=500)
    assert driver.search() == "exhausted"


def test_time_limits_end_the_search_and_the_full_trainings(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=6)
    driver.search()
    whole = driver.plan
    driver.plan = replace(whole, trials=500, search_deadline=time.monotonic() - 1)
    assert driver.search() == "timeout"
    assert sum(r.state == "evaluated" for r in driver.study.records()) == 6
    driver.plan = replace(whole, deadline=time.monotonic() - 1)
    driver.train_finalists()
    assert driver.final.records() == []
    driver.plan = whole
    driver.train_finalists()
    assert driver.final.records() != []


def test_trials_under_way_at_a_time_limit_make_room_for_the_full_trainings(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=500, slots=3)
    began = time.monotonic()
    driver.plan = replace(driver.plan, search_deadline=began + 1.0, deadline=began + 1.3)
    assert driver.search() == "timeout"
    assert time.monotonic() < began + 60
    driver.plan = replace(driver.plan, deadline=None)
    driver.train_finalists()
    assert len(driver.final.records()) == 3


def test_several_slots_evaluate_each_network_once(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    driver, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen, trials=13, slots=4)
    driver.search()
    assert len(evaluate.requests) == 13
    assert len({screen_key(r, screen) for r in evaluate.requests}) == 13


class KilledError(Exception):
    pass


def screen_key(request: Request, screen: object) -> str:
    from search_spaces.choices import Choices

    return screen(Choices(request.params)).key  # type: ignore[operator, no-any-return]


def test_the_front_holds_no_dominated_trial(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=20)
    driver.search()
    front = pareto_front(driver.records())
    assert front
    for one in front:
        assert not any(dominates(objectives(other), objectives(one)) for other in front)
    for record in driver.records():
        if record.state == "evaluated" and record not in front:
            mine = objectives(record)
            assert any(dominates(objectives(f), mine) or objectives(f) == mine for f in front)
