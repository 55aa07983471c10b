"""What is kept of a time limit."""

from __future__ import annotations

import numpy as np
import pytest

from nas.model.records import TrialRecord
from nas.model.trained import Accuracy
from nas.strategy.engine import SearchEngine
from nas.strategy.screening import survey
from nas.strategy.time_limit import TimeLimit
from nas.strategy.time_reserve import SHARE, TimeReserve
from nas.strategy.training_cost import expected_seconds
from search_spaces.choices import Choices
from tests.nas.strategy.search_fakes import STEPS, make_screen


def searched(count: int, *, workers: int, limit: float, finalists: int = 3) -> TimeReserve:
    """After so many trainings that took twice their expected time."""
    screen = make_screen()
    found = survey(screen, rng=np.random.default_rng(1), draws=100, wanted=10)
    engine = SearchEngine(screen=screen, steps=STEPS, seed=1, samples=1000, feasible=found.feasible)
    reserve = TimeReserve(engine=engine, finalists=finalists, spread=False, workers=workers, limit=limit)
    for order in range(count):
        proposal = engine.suggest(order)
        assert proposal is not None
        assert proposal.screened.costs is not None
        error = 0.5 / (1 + proposal.screened.costs.macs / 1e5)
        engine.update(order, proposal.params, proposal.rung, error)
        steps = STEPS[proposal.rung]
        reserve.tell(proposal.screened, steps, 2 * float(expected_seconds([proposal.screened], steps)[0]))
    return reserve


def test_a_quarter_is_kept_while_nothing_is_known_and_never_more() -> None:
    assert searched(0, workers=1, limit=100.0).seconds() == 100.0 * SHARE
    assert searched(20, workers=1, limit=1.0).seconds() == SHARE


def test_no_more_is_kept_than_the_full_trainings_that_are_missing_will_take() -> None:
    reserve = searched(20, workers=1, limit=1e6)
    missing = reserve.engine.finalists(3, spread=False)
    assert missing
    times = [2 * float(expected_seconds([one.screened], STEPS[-1])[0]) for one in missing]
    assert sum(times) <= reserve.seconds() <= 1.5 * sum(times)
    three = searched(20, workers=3, limit=1e6)
    assert max(times) <= three.seconds() < reserve.seconds()


def test_what_is_under_way_may_end() -> None:
    reserve = searched(20, workers=1, limit=1e6)
    before = reserve.seconds()
    proposal = reserve.engine.suggest(20)
    assert proposal is not None
    reserve.engine.start(proposal)
    reserve.tell(proposal.screened, 10, 1.0)
    assert reserve.seconds() > before


def test_nothing_is_kept_when_all_finalists_are_trained() -> None:
    reserve = searched(20, workers=1, limit=1e6)
    order = 20
    while missing := reserve.engine.finalists(3, spread=False):
        reserve.engine.update(order, missing[0].params, missing[0].rung, 0.0)
        reserve.tell(missing[0].screened, STEPS[-1], 1.0)
        order += 1
    assert reserve.seconds() == pytest.approx(0.0)


def test_a_network_that_was_trained_is_timed_by_itself_and_others_by_the_pace_of_all() -> None:
    reserve = searched(20, workers=1, limit=1e6)
    quick = reserve.engine.suggest(20)
    other = reserve.engine.suggest(21)
    assert quick is not None
    assert other is not None
    assert quick.screened.digest != other.screened.digest
    expected = [float(expected_seconds([one.screened], 1000)[0]) for one in (quick, other)]
    assert reserve.typical_pace() == pytest.approx(2)
    before = reserve.typical_seconds([quick.screened, other.screened], 1000)
    assert before == pytest.approx([2 * seconds for seconds in expected])
    reserve.tell(quick.screened, 100, 0.5 * float(expected_seconds([quick.screened], 100)[0]))
    reserve.tell(quick.screened, 10, 9.0)  # a shorter one says less
    after = reserve.typical_seconds([quick.screened, other.screened], 1000)
    assert after is not None
    assert after[0] == pytest.approx(0.5 * expected[0])
    assert after[1] > expected[1]


def test_nothing_is_said_of_seconds_before_a_training_ended() -> None:
    reserve = searched(0, workers=1, limit=100.0)
    assert reserve.typical_seconds([], 1000) is None
    assert reserve.typical_pace() is None


def test_what_a_training_surely_takes_has_a_margin_above_its_own_times_and_above_those_of_others() -> None:
    reserve = searched(20, workers=1, limit=1e6)
    known, other = reserve.engine.suggest(20), reserve.engine.suggest(21)
    assert known is not None
    assert other is not None
    expected = float(expected_seconds([known.screened], 1000)[0])
    reserve.tell(known.screened, 100, 5 * float(expected_seconds([known.screened], 100)[0]))
    pace = reserve.pace()
    assert pace is not None
    assert reserve.surely_seconds(known.screened, 1000) == pytest.approx(1.3 * 5 * expected)
    assert reserve.surely_seconds(other.screened, 1000) == pytest.approx(
        pace * float(expected_seconds([other.screened], 1000)[0])
    )
    assert searched(0, workers=1, limit=1.0).surely_seconds(known.screened, 1000) is None


def test_what_comes_after_the_trainings_is_no_part_of_the_share_for_them() -> None:
    reserve = searched(0, workers=1, limit=100.0)
    reserve.after = 20.0
    assert reserve.seconds() == 20.0 + 80.0 * SHARE


def test_several_processes_measure_the_chosen_model_in_their_share_of_the_time() -> None:
    """Validation samples took 2 s, and there are four test samples for each: 8 s by one process."""
    accuracy = Accuracy(part="val", engine="tflm", correct=9, total=10)
    record = TrialRecord(
        number=0,
        state="evaluated",
        full=True,
        steps=10,
        digest="d",
        params={},
        costs=make_screen()(Choices(rng=np.random.default_rng(0))).costs,
        accuracy=accuracy,
        tflm_accuracy=accuracy,
        seconds={"train": 5.0, "evaluate": 2.0},
    )
    after = []
    for processes in (1, 2, 4):
        limit = TimeLimit(seconds=1e4, test_share=4.0, measuring=processes)
        limit.tell(record)
        after.append(limit.after - TimeLimit(seconds=1e4).after)
    assert after == pytest.approx([8.0, 1.3 * 4.0, 1.3 * 2.0])
