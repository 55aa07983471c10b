"""The search loop, without TensorFlow and without Ray."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.budget import Violation
from nas.model.evaluation import Evaluated, Evaluation, Failed, Rejected, Request
from nas.strategy.driver import Driver
from nas.strategy.pareto import choose, dominates, finalists_of, objectives, pareto_front
from nas.strategy.screening import Screen
from nas.strategy.time_limit import TimeLimit
from nas.strategy.time_plan import TimePlan
from nas.strategy.training_cost import expected_seconds
from tests.nas.strategy.search_fakes import STEPS, FakeEvaluator, Heard, make_driver, make_screen


def test_a_search_trains_as_many_distinct_networks_as_asked(tmp_path: Path) -> None:
    driver, models = make_driver(tmp_path, trials=15)
    assert driver.search() == "trials"
    evaluated = [r for r in driver.records() if r.state == "evaluated"]
    assert len({r.digest for r in evaluated}) == 15
    assert set(models) == {r.model_key for r in evaluated}
    assert len(models) == len(evaluated)


def test_starting_points_are_trained_first_and_once(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    driver, _ = make_driver(tmp_path / "a", trials=3, seed=2)
    driver.search()
    start = driver.records()[-1].params
    driver, _ = make_driver(tmp_path / "b", trials=4)
    driver.plan = replace(driver.plan, starts=(start,))
    driver.search()
    assert driver.records()[0].params == start
    assert sum(r.params == start and r.steps == STEPS[0] for r in driver.records()) == 1


def test_a_third_of_each_rung_goes_on_to_longer_training(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    driver, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen, trials=28)
    driver.search()
    assert Counter(r.steps for r in evaluate.requests) == {10: 28, 32: 9, 100: 3}
    for one in evaluate.requests:
        assert one.full == (one.steps == 100)
    records = {(r.digest, r.steps) for r in driver.records()}
    assert all((key, 10) in records for key, _ in records)
    heard = driver.listener
    assert isinstance(heard, Heard)
    assert len(heard.trials) == 40


def test_the_most_promising_are_trained_in_full_once(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    driver, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen)
    driver.search()
    driver.train_finalists()
    full = [r for r in driver.records() if r.full]
    assert 3 <= len(full) <= 4
    assert all(r.tflm_accuracy is not None and r.steps == 100 for r in full)
    best = max((r for r in driver.records() if not r.full), key=lambda r: r.value)
    assert best.digest in {r.digest for r in full}
    asked = len(evaluate.requests)
    driver.train_finalists()
    assert len(evaluate.requests) == asked


def test_finalists_are_those_chosen_before_the_first_of_them_was_trained(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    driver, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen)
    driver.search()
    asked = len(evaluate.requests)
    driver.stop = lambda: len(evaluate.requests) > asked
    driver.train_finalists()
    assert len(evaluate.requests) == asked + 1
    chosen, _ = driver.study.finalists(lambda: ([], []))
    again, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen)
    again.search()
    again.train_finalists()
    assert all(request.params in chosen for request in evaluate.requests[asked:])
    more, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen, trials=15)
    more.search()
    assert more.study.finalists(lambda: ([{"a": 1}], [7])) == ([{"a": 1}], [7])


def test_finalists_of_a_run_from_before_each_had_its_own_steps_keep_those_of_all(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=3)
    driver.search()
    params = [record.params for record in driver.records()[:2]]
    saved = {"asked": driver.study.asked, "params": params, "steps": 700}
    driver.study._study.set_user_attr("finalists", saved)
    assert driver.study.finalists(lambda: ([], [])) == (params, [700, 700])


def test_what_does_not_fit_is_neither_trained_nor_proposed(tmp_path: Path) -> None:
    screen = make_screen("6KB")
    evaluate = FakeEvaluator(screen)
    driver, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen)
    driver.search()
    records = driver.records()
    assert {r.state for r in records} == {"evaluated"}
    assert len(evaluate.requests) == len(records)
    assert all(r.costs is not None and r.costs.sram_bytes <= 6 * 1024 for r in records)


def test_a_network_that_the_worker_rejects_is_recorded_with_its_excess_and_not_tried_again(
    tmp_path: Path,
) -> None:
    screen = make_screen()
    good = FakeEvaluator(screen)

    def rejects(request: Request) -> Evaluation:
        evaluation = good(request)
        assert isinstance(evaluation, Evaluated)
        if request.number != 1:
            return evaluation
        broken = Violation(resource="sram", value=150.0, limit=100.0)
        return Rejected(digest=evaluation.digest, violations=(broken,), costs=evaluation.costs)

    driver, _ = make_driver(tmp_path, evaluate=rejects, screen=screen)
    driver.search()
    assert [r.number for r in driver.records() if r.state == "rejected"] == [1]
    assert driver.records()[1].violations[0].excess == 0.5
    assert sum(r.digest == driver.records()[1].digest for r in driver.records()) == 1
    trial = driver.study._study.get_trials()[1]
    assert trial.constraints == {"sram": 0.5}


def test_the_same_seed_gives_the_same_trials(tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        driver, _ = make_driver(tmp_path / name, trials=14)
        driver.search()
        driver.train_finalists()
        runs.append([(r.number, r.state, r.digest, r.value) for r in driver.records()])
    assert runs[0] == runs[1]
    (tmp_path / "c").mkdir()
    other, _ = make_driver(tmp_path / "c", trials=14, seed=2)
    other.search()
    assert [r.digest for r in other.study.records()] != [key for _, _, key, _ in runs[0]]


def test_a_resumed_search_repeats_nothing_and_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    for name in ("cut", "whole"):
        (tmp_path / name).mkdir()
    whole, _ = make_driver(tmp_path / "whole", trials=12)
    whole.search()
    screen = make_screen()
    evaluate = FakeEvaluator(screen)

    def enough(most: int) -> bool:
        return len(evaluate.requests) >= most

    for most in (3, 7, 100):
        driver, _ = make_driver(
            tmp_path / "cut",
            evaluate=evaluate,
            screen=screen,
            trials=12,
            stop=partial(enough, most),
        )
        driver.search()
    done = [(r.number, r.digest, r.steps) for r in driver.study.records()]
    assert len(evaluate.requests) == len(done)
    assert done == [(r.number, r.digest, r.steps) for r in whole.study.records()]


def test_a_trial_cut_off_by_a_killed_driver_is_asked_again(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)

    def dies_at_the_fourth(request: Request) -> Evaluation:
        if len(evaluate.requests) == 3:
            evaluate.requests.append(request)
            raise KilledError
        return evaluate(request)

    driver, _ = make_driver(tmp_path, evaluate=dies_at_the_fourth, screen=screen)
    with pytest.raises(KilledError):
        driver.search()
    lost = evaluate.requests[-1]
    again, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen)
    assert again.search() == "trials"
    evaluated = [(r.digest, r.steps) for r in again.records() if r.state == "evaluated"]
    assert [r.number for r in again.records() if (r.params, r.steps) == (lost.params, lost.steps)] == [
        lost.number
    ]
    assert len(set(evaluated)) == len(evaluated)
    assert len({key for key, _ in evaluated}) == 12


def test_a_result_written_but_not_told_when_the_driver_died_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.strategy.study import Study

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
    assert len(evaluate.requests) == len(again.records())


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
    assert len({r.digest for r in again.records()}) == 7


def test_a_retryable_failure_is_tried_once_more_and_a_lasting_one_is_recorded(tmp_path: Path) -> None:
    screen = make_screen()
    good = FakeEvaluator(screen)
    tries: Counter[int] = Counter()

    def flaky(request: Request) -> Evaluation:
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

    def sometimes_nan(request: Request) -> Evaluation:
        evaluation = good(request)
        assert isinstance(evaluation, Evaluated)
        if len(good.requests) != 3:
            return evaluation
        return replace(evaluation, accuracy=replace(evaluation.accuracy, correct=float("nan")))  # type: ignore[arg-type]

    driver, models = make_driver(tmp_path, evaluate=sometimes_nan, screen=screen, trials=8)
    driver.search()
    failed = [r for r in driver.records() if r.state == "failed"]
    assert [r.reason for r in failed] == ["evaluate: the accuracy is not a number"]
    assert sum(r.state == "evaluated" for r in driver.records()) == len(models)
    assert sum(r.digest == failed[0].digest for r in driver.records()) == 1


def test_a_run_whose_trials_all_fail_stops_early(tmp_path: Path) -> None:
    def broken(request: Request) -> Evaluation:
        return Failed(stage="build", reason="no such layer", retryable=False)

    driver, _ = make_driver(tmp_path, evaluate=broken, trials=500)
    assert driver.search() == "failures"
    assert len(driver.records()) < 20


def test_a_space_without_more_networks_ends_the_search(tmp_path: Path) -> None:
    screen = make_screen("1700")
    driver, _ = make_driver(tmp_path, screen=screen, trials=500)
    assert driver.search() == "exhausted"
    assert len({r.digest for r in driver.records()}) < 500


def test_a_time_limit_ends_the_search_and_the_full_trainings(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=6)
    driver.search()
    whole = driver.plan
    driver.plan = replace(whole, trials=500, limit=1e-9)
    assert driver.search() == "timeout"
    assert len({r.digest for r in driver.study.records()}) == 6
    driver.train_finalists()
    assert not any(r.full for r in driver.records())
    driver.plan = whole
    driver.search()
    driver.train_finalists()
    assert any(r.full for r in driver.records())


class Slow:
    """Evaluations that take real time, and do as many steps as the time allows."""

    def __init__(self, seconds_a_step: float) -> None:
        self.fake = FakeEvaluator(make_screen())
        self.seconds_a_step = seconds_a_step

    def __call__(self, request: Request) -> Evaluation:
        steps = request.steps
        if request.train_seconds is not None:
            steps = max(1, min(steps, int(request.train_seconds / self.seconds_a_step)))
        time.sleep(steps * self.seconds_a_step)
        ended = self.fake(request)
        assert isinstance(ended, Evaluated)
        seconds = {"train": steps * self.seconds_a_step, "evaluate": 0.01}
        return replace(ended, seconds=seconds, cut_at=steps if steps < request.steps else None)


def test_a_training_that_meets_the_time_limit_is_kept_with_the_steps_that_it_did(tmp_path: Path) -> None:
    driver, models = make_driver(tmp_path, evaluate=Slow(0.2), trials=500)
    driver.plan = replace(driver.plan, limit=1.0)  # a training of 10 steps takes 2 s
    began = time.monotonic()
    assert driver.search() == "timeout"
    driver.train_finalists()
    assert time.monotonic() - began < 4.0
    (record,) = driver.records()
    assert record.steps == 10
    assert record.cut_at == record.trained_steps
    assert 1 <= record.trained_steps < 10
    assert list(models) == [record.model_key]
    assert record.model_sha256 == hashlib.sha256(models[record.model_key]).hexdigest()


def test_a_resume_trains_whole_what_was_cut_short(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, evaluate=Slow(0.2), trials=1)
    driver.plan = replace(driver.plan, limit=1.0)
    driver.search()
    cut = driver.records()[0]
    driver, _ = make_driver(tmp_path, evaluate=Slow(0.0), trials=1)
    driver.search()
    again = [
        r for r in driver.records() if r.digest == cut.digest and r.steps == cut.steps and r.cut_at is None
    ]
    assert len(again) <= 1
    driver.train_finalists()
    assert all(r.cut_at is None for r in driver.records()[1:])
    assert any(r.full for r in driver.records())


def test_what_was_cut_short_counts_for_the_fidelity_that_it_covers(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=4)
    driver.search()
    record = driver.records()[0]
    params = next(r.params for r in driver.records() if r.steps == STEPS[0])
    cut = replace(record, params=params, steps=STEPS[2], cut_at=STEPS[1] + 5)
    assert driver._rung(cut) in (1, None)
    assert driver._rung(replace(cut, cut_at=STEPS[0] - 1)) is None
    assert driver._rung(replace(cut, cut_at=None)) == 2


def test_a_finalist_that_cannot_get_far_enough_is_not_begun(tmp_path: Path) -> None:
    slow = Slow(0.01)
    driver, _ = make_driver(tmp_path, evaluate=slow, trials=500)
    driver.plan = replace(driver.plan, limit=1.5)
    assert driver.search() == "timeout"
    slow.seconds_a_step = 0.01
    driver.train_finalists()
    heard = driver.listener
    assert isinstance(heard, Heard)
    full = [r for r in driver.records() if r.full]
    assert all(r.trained_steps > STEPS[0] for r in full)
    assert len(full) + sum("no time left" in text for text in heard.said) >= 1


def test_trainings_of_the_search_leave_time_to_the_full_ones(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, evaluate=Slow(0.001), trials=5000, slots=3)
    began = time.monotonic()
    driver.plan = replace(driver.plan, limit=4.0)  # ample: other tests run beside
    assert driver.search() == "timeout"
    driver.train_finalists()
    assert time.monotonic() < began + 20
    assert sum(r.full for r in driver.records()) >= 1


def test_the_first_training_is_announced(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=3, slots=2)
    driver.search()
    heard = driver.listener
    assert isinstance(heard, Heard)
    assert len(heard.said) == 1
    assert re.fullmatch(
        r"starting workers; the first of 2 trainings at once should end in about \d+ s", heard.said[0]
    )


def test_several_slots_evaluate_each_network_once(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    driver, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen, trials=13, slots=4)
    driver.search()
    done = [(screen_key(r, screen), r.steps) for r in evaluate.requests]
    assert len(done) == len(set(done))
    assert len({key for key, _ in done}) == 13


class KilledError(Exception):
    pass


def screen_key(request: Request, screen: Screen) -> str:
    from search_spaces.choices import Choices

    return screen(Choices(request.params)).digest


def test_the_front_holds_no_dominated_trial(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=20)
    driver.search()
    front = pareto_front(driver.records())
    assert front
    for one in front:
        assert not any(dominates(objectives(other), objectives(one)) for other in front)
    longest = {r.digest: r for r in driver.records()}
    for record in longest.values():
        if record.state == "evaluated" and record not in front:
            mine = objectives(record)
            assert any(dominates(objectives(f), mine) or objectives(f) == mine for f in front)


@pytest.mark.parametrize(("possible", "trained", "begun"), [(60, 1, True), (90, 0, True), (40, 1, False)])
def test_a_finalist_is_begun_where_there_is_time_for_half_as_far_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, possible: float, trained: int, begun: bool
) -> None:
    """A training that is short of time goes by the time, and ends as one in full does."""
    monkeypatch.setattr(TimePlan, "possible_steps", lambda self, proposal: possible)
    driver, _ = make_driver(tmp_path)
    first = driver.engine.suggest(0)
    assert first is not None
    driver.engine.update(0, first.params, trained, 0.2)
    other = driver.engine.suggest(1)
    assert other is not None
    driver.engine.update(1, other.params, 2, 0.2)
    assert driver._time.worth_beginning(replace(first, rung=2)) is begun


def test_a_search_with_a_time_limit_alone_trains_until_the_time_is_up(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, evaluate=Slow(0.0002))
    driver.plan = replace(driver.plan, trials=None, limit=4.0)  # ample: other tests run beside
    assert driver.search() == "timeout"
    assert len(driver.records()) > 3


@pytest.mark.parametrize(("seconds", "others"), [(1000.0, True), (10.0, False)])
def test_a_training_for_which_there_is_no_time_ends_a_search_only_where_little_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, others: bool
) -> None:
    """Longer trainings than the shortest never have time here: 1,000 or 10 of 4,000 seconds are left to search."""
    driver, _ = make_driver(tmp_path, trials=12)
    driver.plan = replace(driver.plan, limit=4000.0)
    monkeypatch.setattr(TimePlan, "fits", lambda self, network, rung: rung == 0)
    monkeypatch.setattr(TimeLimit, "training", lambda self, keep=0.0: seconds)
    assert driver.search() == "timeout"
    assert {record.steps for record in driver.records()} == {STEPS[0]}
    assert (len(driver.records()) == 12) is others


def test_finalists_are_trained_for_longer_where_a_time_limit_leaves_time(tmp_path: Path) -> None:
    driver, models = make_driver(tmp_path, evaluate=Slow(0.001), trials=8)
    driver.plan = replace(driver.plan, limit=30.0, finalist_steps=1000)
    driver.search()
    driver.train_finalists()
    longer = [r for r in driver.records() if r.steps > STEPS[-1]]
    assert len({r.digest for r in longer}) == len(longer) == driver.plan.finalists
    assert {r.steps for r in longer} == {1000}
    assert all(r.full and r.model_key in models for r in longer)
    assert {r.digest for r in pareto_front(driver.records()) if r.trained_steps == 1000}
    # All of it again: nothing is left to do.
    again, _ = make_driver(tmp_path, trials=8)
    again.plan = driver.plan
    again.search()
    again.train_finalists()
    assert len(again.records()) == len(driver.records())


def retrained(folder: Path, **settings: Any) -> tuple[Driver, dict[str, bytes]]:
    """A search whose most accurate network is trained again on all samples."""
    driver, models = make_driver(folder, trials=8, **settings)
    driver.search()
    driver.train_finalists()
    driver.retrain([choose(pareto_front(driver.records()), "accuracy")])
    return driver, models


def test_a_training_on_all_samples_takes_the_place_of_the_one_that_it_repeats(tmp_path: Path) -> None:
    fake = FakeEvaluator(make_screen())
    driver, models = retrained(tmp_path, evaluate=fake)
    *earlier, last = driver.records()
    first = choose(pareto_front(earlier), "accuracy")
    assert [request.on_all for request in fake.requests] == [False] * len(earlier) + [True]
    assert (last.retrains, last.digest, last.steps) == (first.number, first.digest, first.steps)
    # What validation data say is of the training without them.
    assert (last.accuracy, last.tflm_accuracy) == (first.accuracy, first.tflm_accuracy)
    assert first.model_key != last.model_key
    assert {first.model_key, last.model_key} <= set(models)
    assert choose(pareto_front(driver.records()), "accuracy") == last
    assert last in driver.study.records()


def test_a_training_on_all_samples_is_made_once_and_teaches_the_search_nothing(tmp_path: Path) -> None:
    driver, _ = retrained(tmp_path)
    again, _ = make_driver(tmp_path, trials=8)
    again.search()
    again.train_finalists()
    again.retrain([choose(pareto_front(again.records()), "accuracy")])
    assert len(again.records()) == len(driver.records())
    taught = [len(one.engine._posterior) for one in (driver, again)]
    assert taught == [len(driver.records()) - 1] * 2


def test_a_training_on_all_samples_whose_model_is_lost_is_made_again(tmp_path: Path) -> None:
    driver, _ = retrained(tmp_path)
    last = driver.records()[-1]
    again, models = make_driver(tmp_path, trials=8)
    again.model_lost = lambda key: key == last.model_key
    again.search()
    again.train_finalists()
    again.retrain([choose(pareto_front(again.records()), "accuracy")])
    newest = again.records()[-1]
    assert newest.number > last.number
    assert (newest.retrains, list(models)) == (last.retrains, [last.model_key])


def test_a_training_on_all_samples_that_was_killed_is_chosen_again(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=8)
    driver.search()
    driver.train_finalists()
    chosen = choose(pareto_front(driver.records()), "accuracy")
    screened = driver.engine.replayed(chosen.params, 2).screened
    driver.study.ask(
        chosen.params, chosen.steps, driver.engine.screen.candidate, screened, retrains=chosen.number
    )
    again, _models = make_driver(tmp_path, trials=8)
    assert again.study.opened() == []
    again.search()
    again.train_finalists()
    again.retrain([choose(pareto_front(again.records()), "accuracy")])
    assert [record.retrains for record in again.records() if record.retrains is not None] == [chosen.number]


def test_time_is_kept_for_the_training_on_all_samples(tmp_path: Path) -> None:
    timed = Timed(0.05)
    driver, _ = make_driver(tmp_path, evaluate=timed, trials=8)
    driver.plan = replace(driver.plan, limit=1000.0, finalist_steps=100_000, retrains=True)
    driver.search()
    driver._time.limit = TimeLimit(seconds=100.0, retrains=True, clock=lambda: timed.now)
    driver.train_finalists()
    first = choose(pareto_front(driver.records()), "accuracy")
    driver.retrain([first])
    last = driver.records()[-1]
    assert last.retrains == first.number
    assert last.trained_steps >= 0.8 * first.trained_steps > STEPS[-1]
    assert timed.now < 110
    assert choose(pareto_front(driver.records()), "accuracy") == last


class Folding:
    """Evaluations that are worse in folds the better they are on validation data."""

    def __init__(self) -> None:
        self.fake = FakeEvaluator(make_screen())

    def __call__(self, request: Request) -> Evaluation:
        ended = self.fake(request)
        assert isinstance(ended, Evaluated)
        if not request.folds:
            return ended
        accuracy = replace(ended.accuracy, correct=3000 - 2 * ended.accuracy.correct, total=3000)
        return replace(ended, accuracy=accuracy, tflm_accuracy=None)


def judged(folder: Path, *, folds: int = 5, **settings: Any) -> tuple[Driver, dict[str, bytes]]:
    """A search whose finalists are judged in folds."""
    driver, models = make_driver(folder, trials=12, folds=folds, **settings)
    driver.search()
    driver.train_finalists()
    driver.judge_in_folds(finalists_of(pareto_front(driver.records()), "accuracy", driver.plan.finalists))
    return driver, models


def test_the_finalists_are_judged_in_folds_and_the_policy_chooses_by_that(tmp_path: Path) -> None:
    folding = Folding()
    driver, models = judged(tmp_path, evaluate=folding)
    records = driver.records()
    front = pareto_front(records)
    plain = choose([replace(record, folded=None) for record in front], "accuracy")
    by_folds = [record for record in records if record.folded is not None]
    assert 2 <= len(by_folds) == min(driver.plan.finalists, sum(record.full for record in front))
    asked = [request for request in folding.fake.requests if request.folds]
    assert [(request.folds, request.full) for request in asked] == [(5, True)] * len(by_folds)
    chosen = choose(front, "accuracy")
    assert plain.number in {record.number for record in by_folds}
    assert chosen.number != plain.number
    assert chosen.folded is not None
    assert chosen.folded.value == max(record.folded.value for record in by_folds if record.folded)
    # They leave no models and are no trials of their own in the record.
    assert set(models) == {record.model_key for record in records}
    assert len(records) == len(folding.fake.requests) - len(asked)


def test_trainings_in_folds_are_made_once_and_teach_the_search_nothing(tmp_path: Path) -> None:
    driver, _ = judged(tmp_path)
    again, _ = judged(tmp_path, evaluate=(fake := FakeEvaluator(make_screen())))
    assert fake.requests == []
    assert again.records() == driver.records()
    taught = [len(one.engine._posterior) for one in (driver, again)]
    assert taught == [len(driver.records())] * 2


def test_other_folds_judge_again(tmp_path: Path) -> None:
    judged(tmp_path)
    driver, _ = judged(tmp_path, folds=3, evaluate=(fake := FakeEvaluator(make_screen())))
    assert {request.folds for request in fake.requests} == {3}
    assert len(fake.requests) == sum(record.folded is not None for record in driver.records())
    without, _ = make_driver(tmp_path, trials=12)
    assert all(record.folded is None for record in without.records())


def test_a_training_in_folds_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=12, folds=5)
    driver.search()
    driver.train_finalists()
    first, *_ = finalists_of(pareto_front(driver.records()), "accuracy", 3)
    screened = driver.engine.replayed(first.params, 2).screened
    driver.study.ask(first.params, first.steps, driver.engine.screen.candidate, screened, judges=first.number)
    again, _ = judged(tmp_path)
    assert again.records() == judged(tmp_path)[0].records()
    assert next(record for record in again.records() if record.number == first.number).folded is not None


def test_a_network_that_is_trained_on_all_samples_keeps_its_figure_by_folds(tmp_path: Path) -> None:
    driver, _ = judged(tmp_path)
    first = choose(pareto_front(driver.records()), "accuracy")
    driver.retrain([first])
    last = choose(pareto_front(driver.records()), "accuracy")
    assert last.retrains == first.number
    assert last.folded == first.folded is not None


def test_time_is_kept_for_the_trainings_in_folds(tmp_path: Path) -> None:
    timed = Timed(0.05)
    driver, _ = make_driver(tmp_path, evaluate=timed, trials=8, folds=4)
    driver.plan = replace(driver.plan, limit=1000.0, finalist_steps=100_000)
    driver.search()
    driver._time.limit = TimeLimit(seconds=200.0, clock=lambda: timed.now)
    driver.train_finalists()
    chosen = finalists_of(pareto_front(driver.records()), "accuracy", driver.plan.finalists)
    longer = [record for record in chosen if record.steps > STEPS[-1]]
    assert len(longer) >= 2
    driver.judge_in_folds(chosen)
    assert timed.now < 220
    whole = [record for record in driver.records() if record.folded is not None]
    assert {record.number for record in longer} <= {record.number for record in whole}


def test_a_finalist_that_there_is_no_time_to_judge_is_said_and_the_validation_part_decides(
    tmp_path: Path,
) -> None:
    timed = Timed(0.05)
    driver, _ = make_driver(tmp_path, evaluate=timed, trials=8, folds=4)
    driver.plan = replace(driver.plan, limit=1000.0)
    driver.search()
    driver.train_finalists()
    driver._time.limit = TimeLimit(seconds=1.0, clock=lambda: 0.0)
    chosen = finalists_of(pareto_front(driver.records()), "accuracy", driver.plan.finalists)
    driver.judge_in_folds(chosen)
    assert isinstance(driver.listener, Heard)
    assert driver.listener.said[-1] == f"no time left to judge {len(chosen)} more of the finalists in folds"
    assert choose(pareto_front(driver.records()), "accuracy") == chosen[0]


class Timed:
    """Evaluations that take time of a clock of their own."""

    def __init__(self, seconds_a_step: float) -> None:
        self.fake = FakeEvaluator(make_screen())
        self.seconds_a_step = seconds_a_step
        self.now = 0.0

    def __call__(self, request: Request) -> Evaluation:
        steps, times = request.steps, request.folds or 1
        if request.train_seconds is not None:
            steps = max(1, min(steps, int(request.train_seconds / times / self.seconds_a_step)))
        spent = times * steps * self.seconds_a_step
        self.now += spent
        ended = self.fake(request)
        assert isinstance(ended, Evaluated)
        seconds = {"train": spent}
        return replace(ended, seconds=seconds, cut_at=steps if steps < request.steps else None)


@pytest.mark.parametrize("seconds_a_step", [0.05, 0.15])
def test_the_engine_knows_the_pace_of_the_machine(tmp_path: Path, seconds_a_step: float) -> None:
    driver, _ = make_driver(tmp_path, evaluate=Timed(seconds_a_step), trials=8)
    driver.plan = replace(driver.plan, limit=1e6)
    driver.search()
    expected = [
        float(expected_seconds([driver.engine.replayed(one.params, 0).screened], one.trained_steps)[0])
        for one in driver.records()
    ]
    spent = [seconds_a_step * one.trained_steps for one in driver.records()]
    assert driver.engine.pace == pytest.approx(sum(spent) / sum(expected))


def test_finalists_share_the_time_that_is_left(tmp_path: Path) -> None:
    timed = Timed(0.05)
    driver, _ = make_driver(tmp_path, evaluate=timed, trials=8)
    driver.plan = replace(driver.plan, limit=1000.0, finalist_steps=100_000)
    driver.search()
    driver._time.limit = TimeLimit(seconds=100.0, clock=lambda: timed.now)
    timed.seconds_a_step = 0.1  # slower than the trainings so far
    driver.train_finalists()
    assert timed.now < 110
    longer = [r for r in driver.records() if r.steps > STEPS[-1]]
    assert len(longer) == driver.plan.finalists
    least, most = min(r.trained_steps for r in longer), max(r.trained_steps for r in longer)
    assert 2 * STEPS[-1] < least
    assert most < 1.2 * least


@pytest.mark.parametrize(("seconds_a_step", "cut"), [(0.05, True), (0.03, False)])
def test_finalists_that_turn_out_quicker_than_expected_have_more_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds_a_step: float, cut: bool
) -> None:
    """Three trainings of 400 steps seem to have time, 500 are asked for: 20 s of 0.05 or 0.03 s a step."""
    timed = Timed(0.05)
    driver, _ = make_driver(tmp_path, evaluate=timed, trials=8)
    driver.plan = replace(driver.plan, limit=1000.0, finalist_steps=100_000, finalists=3)
    driver.search()
    monkeypatch.setattr(
        TimePlan, "_times_as_long", lambda self, count: lambda networks: np.full(len(networks), 4.0)
    )
    monkeypatch.setattr(driver.engine, "least_error", lambda: 1.0)
    monkeypatch.setattr(TimePlan, "train_seconds", lambda self, proposal, rounds, shares: 20.0)
    timed.seconds_a_step = seconds_a_step
    driver.train_finalists()
    longer = [r for r in driver.records() if r.steps > STEPS[-1]]
    assert {(r.steps, r.trained_steps) for r in longer} == {(500, 400 if cut else 500)}
    driver.train_finalists()  # those that time ended are ended: nothing is left to do
    assert [r for r in driver.records() if r.steps > STEPS[-1]] == longer
    driver.plan = replace(driver.plan, finalist_steps=450)
    driver._time = driver._new_time()
    assert set(driver._time.finalists()[1]) == {450}


@pytest.mark.parametrize(
    ("times", "promise", "finalists", "each"),
    [
        (15, [0.2, 0.1, 0.3], 2, 7.5),
        (15, [0.1, 0.1, 0.3], 3, 5),
        (9, [0.3, 0.2, 0.1], 1, 9),
        (3.5, [0.1, 0.2, 0.3], 2, 1.75),  # three would have hardly more than a training in full
        (1.5, [0.1, 0.2, 0.3], 1, 1.5),
        (1.2, [0.1, 0.2, 0.3], 3, 1),
    ],
)
def test_as_many_finalists_are_trained_for_longer_as_promise_most(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    times: float,
    promise: list[float],
    finalists: int,
    each: float,
) -> None:
    """`times` trainings in full have time, one after the other; 3, 2 and 1 finalists promise such errors."""
    driver, _ = make_driver(tmp_path, trials=8)
    driver.plan = replace(driver.plan, finalist_steps=100_000, finalists=3)
    driver.search()
    monkeypatch.setattr(
        TimePlan, "_times_as_long", lambda self, count: lambda networks: np.full(len(networks), times / count)
    )
    monkeypatch.setattr(driver.engine, "expected_best", lambda chosen, times: promise[3 - len(chosen)])
    monkeypatch.setattr(driver.engine, "least_error", lambda: 0.31)
    chosen, steps = driver._time.finalists()
    assert (len(chosen), set(steps)) == (finalists, {int(each * STEPS[-1])})


def test_none_is_trained_for_longer_where_that_promises_no_better_network_than_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, _ = make_driver(tmp_path, trials=40)
    driver.plan = replace(driver.plan, finalist_steps=100_000, finalists=3)
    driver.search()
    monkeypatch.setattr(
        TimePlan, "_times_as_long", lambda self, count: lambda networks: np.full(len(networks), 4.0)
    )
    full = [record for record in driver.records() if record.steps == STEPS[-1] and record.value is not None]
    assert driver.engine.least_error() == pytest.approx(1 - max(record.value for record in full), rel=0.5)
    assert set(driver._time.finalists()[1]) == {4 * STEPS[-1]}
    monkeypatch.setattr(driver.engine, "least_error", lambda: 0.0)
    chosen, steps = driver._time.finalists()
    assert set(steps) <= {STEPS[-1]}
    assert not [record for record in full if record.params in chosen]
