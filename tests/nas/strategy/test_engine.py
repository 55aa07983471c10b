"""What is proposed, given a record."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cost_models.budget import parse_budget
from cost_models.costing import CostModel
from cost_models.target_file import load_target
from nas.model.evaluation import Evaluated, Request
from nas.strategy.engine import Proposal, SearchEngine
from nas.strategy.screening import Screen, survey
from nas.strategy.settings import SearchSettings
from nas.strategy.training_cost import expected_seconds
from search_spaces.choices import Choices
from search_spaces.space import list_spaces, load_space
from tests.nas.strategy.search_fakes import STEPS, FakeEvaluator, make_screen


def make(screen: Screen, seed: int = 1, **settings: Any) -> SearchEngine:
    found = survey(screen, rng=np.random.default_rng(seed), draws=100, wanted=10)
    return SearchEngine(
        screen=screen,
        steps=STEPS,
        seed=seed,
        samples=1000,
        feasible=found.feasible,
        settings=SearchSettings(**settings),
    )


def error_of(screen: Screen, proposal: Proposal) -> float:
    evaluation = FakeEvaluator(screen)(
        Request(
            number=0, space="", params=proposal.params, steps=1, full=proposal.rung == 2, seed=0, sparsity=0.0
        )
    )
    assert isinstance(evaluation, Evaluated)
    return 1 - evaluation.accuracy.value


def run(engine: SearchEngine, count: int, start: int = 0) -> list[Proposal]:
    done: list[Proposal] = []
    for order in range(start, start + count):
        proposal = engine.suggest(order)
        assert proposal is not None
        engine.start(proposal)
        engine.update(order, proposal.params, proposal.rung, error_of(engine.screen, proposal))
        done.append(proposal)
    return done


def names(proposals: list[Proposal]) -> list[tuple[str, int]]:
    return [(one.screened.digest, one.rung) for one in proposals]


def test_proposals_follow_from_the_record_and_the_seed_alone() -> None:
    screen = make_screen("16KB")
    whole = run(make(screen), 40)
    resumed = make(screen)
    for order, proposal in enumerate(whole[:27]):
        resumed.update(order, proposal.params, proposal.rung, error_of(screen, proposal))
    assert names(run(resumed, 13, start=27)) == names(whole[27:])
    assert names(run(make(screen, seed=2), 10)) != names(whole[:10])


def test_whatever_is_proposed_fits_and_is_proposed_once_at_each_rung() -> None:
    screen = make_screen("sram=5KB,flash=60KB")
    done = names(run(make(screen), 60))
    assert len(done) == len(set(done))
    assert all(one.screened.fits for one in run(make(screen), 30))


def test_the_search_finds_better_networks_than_chance() -> None:
    screen = make_screen("8KB")
    guided = run(make(screen), 60)
    luck = survey(screen, rng=np.random.default_rng(3), draws=200, wanted=60).feasible
    chance = [Proposal(params=params, screened=screen(Choices(params)), rung=2) for params in luck]
    best = min(error_of(screen, one) for one in guided if one.rung == 2)
    assert best <= min(error_of(screen, one) for one in chance)


def test_a_share_of_each_rung_goes_on_and_the_rest_do_not() -> None:
    done = run(make(make_screen()), 60)
    counts = [sum(one.rung == rung for one in done) for rung in range(3)]
    assert counts[1] == counts[0] // SearchSettings().reduction_factor
    assert counts[2] == counts[1] // SearchSettings().reduction_factor


def test_settings_change_one_engine_and_no_other() -> None:
    screen = make_screen()
    usual = run(make(screen), 30)
    halved = run(make(screen, reduction_factor=2), 30)
    counts = [sum(one.rung == rung for one in halved) for rung in range(3)]
    assert counts[0] // 2 - counts[1] in (0, 1)
    assert counts[1] // 2 - counts[2] in (0, 1)
    assert names(run(make(screen, guided=False), 30)) != names(usual)
    assert names(run(make(screen, by_time=False), 30)) != names(usual)
    assert names(run(make(screen), 30)) == names(usual)


def test_no_more_networks_are_begun_when_none_are_wanted() -> None:
    engine = make(make_screen())
    run(engine, 11)
    last = engine.begun
    while (proposal := engine.suggest(50, more=False)) is not None:
        engine.start(proposal)
        engine.update(50, proposal.params, proposal.rung, 0.1)
    assert engine.begun == last


def test_a_failed_network_is_never_proposed_again() -> None:
    engine = make(make_screen())
    first = engine.suggest(0)
    assert first is not None
    engine.update(0, first.params, 0, None)
    assert first.screened.digest not in {key for key, _ in names(run(engine, 30, start=1))}
    assert engine.has(first)


def test_several_under_way_are_several_networks() -> None:
    engine = make(make_screen())
    run(engine, 12)
    started = []
    for order in range(12, 20):
        proposal = engine.suggest(order)
        assert proposal is not None
        engine.start(proposal)
        started.append(proposal)
    assert len(set(names(started))) == 8
    assert len({key for key, _ in names(started)}) == 8
    engine.forget(started[-1])
    again = engine.suggest(19)
    assert again is not None
    assert names([again]) == names(started[-1:])


def test_an_earlier_run_teaches_and_its_best_may_be_finalists() -> None:
    screen = make_screen("16KB")
    earlier = run(make(screen), 50)
    engine = make(screen, seed=9)
    for one in earlier:
        engine.update_earlier(one.params, STEPS[one.rung] + 1, error_of(screen, one))
    assert engine.begun == 0
    best = min(earlier, key=lambda one: error_of(screen, one))
    finalists = engine.finalists(3, spread=False)
    assert best.screened.digest in {one.screened.digest for one in finalists}
    assert {one.rung for one in finalists} == {2}
    new = run(engine, 6)
    assert not {one.screened.digest for one in new if one.rung == 0} & {
        one.screened.digest for one in earlier
    }
    # With what is known, the first proposals are good already.
    guided = np.median([error_of(screen, one) for one in new if one.rung == 0])
    unguided = np.median([error_of(screen, one) for one in earlier[:6]])
    assert guided < unguided


def test_an_earlier_network_that_breaks_the_new_limits_is_no_candidate() -> None:
    earlier = run(make(make_screen("64KB")), 30)
    tight = make_screen("4KB")
    engine = make(tight, seed=9)
    for one in earlier:
        engine.update_earlier(one.params, STEPS[one.rung], 0.01)
    assert all(one.screened.fits for one in engine.finalists(20, spread=True))
    assert all(one.screened.fits for one in run(engine, 20))


@pytest.mark.parametrize("name", list_spaces())
def test_every_space_can_be_searched(name: str) -> None:
    chip = replace(load_target("esp32c3"), class_rates=None)  # no calibration: work is counted in MACs
    screen = Screen(
        space=load_space(name),
        input_shape=(32, 3),
        classes=4,
        model=CostModel(chip),
        budget=parse_budget("sram=16KB,flash=100KB", chip),
    )
    engine = make(screen)
    seen = set()
    for order in range(30):
        proposal = engine.suggest(order)
        assert proposal is not None
        assert proposal.screened.fits
        engine.start(proposal)
        costs = proposal.screened.costs
        assert costs is not None
        engine.update(order, proposal.params, proposal.rung, 0.5 / (1 + costs.macs / 1e5))
        seen.add((proposal.screened.digest, proposal.rung))
    assert len(seen) == 30


def test_many_workers_may_end_in_any_order() -> None:
    screen = make_screen()
    engine = make(screen)
    started = []
    for order in range(30):
        proposal = engine.suggest(order)
        assert proposal is not None
        engine.start(proposal)
        started.append(proposal)
    for order, one in reversed(list(enumerate(started))[10:]):
        engine.update(order, one.params, one.rung, error_of(screen, one))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert engine.suggest(30) is not None
        assert engine.suggest(31) is not None


def limited(limit: float | None, *, stretch: float = 1.0) -> SearchEngine:
    screen = make_screen()
    found = survey(screen, rng=np.random.default_rng(1), draws=100, wanted=10)
    return SearchEngine(
        screen=screen,
        steps=STEPS,
        seed=1,
        samples=1000,
        feasible=found.feasible,
        limit=limit,
        stretch=stretch,
    )


def macs(proposal: Proposal) -> int:
    assert proposal.screened.costs is not None
    return proposal.screened.costs.macs


def test_a_short_search_begins_with_the_largest_networks_that_there_is_time_for() -> None:
    engine = limited(6.0)
    assert engine.settings == SearchSettings().hurried()
    first, second, *_ = run(engine, 3)
    share = engine.settings.full_share * 6.0
    assert max(expected_seconds([one.screened for one in (first, second)], STEPS[-1])) <= share
    candidates = [one for one in engine._candidates.new(0) if one.screened.digest != first.screened.digest]
    assert macs(first) >= max(one.screened.costs.macs for one in candidates if one.screened.costs)


def test_a_longer_limit_only_leaves_out_what_there_is_no_time_for() -> None:
    assert limited(None).settings == limited(1e6).settings == SearchSettings()
    engine = limited(20.0)
    assert engine.settings == SearchSettings()
    seconds = [float(expected_seconds([one.screened], STEPS[-1])[0]) for one in run(engine, 20)]
    assert max(seconds) <= engine.settings.full_share * 20.0


def test_what_there_is_no_time_for_is_not_suggested() -> None:
    engine = limited(None)
    run(engine, 20)
    usual = engine.suggest(20)
    assert usual is not None
    assert usual.rung > 0
    other = engine.suggest(
        20, fits=lambda network, rung: rung == 0 and network.digest != usual.screened.digest
    )
    assert other is not None
    assert other.rung == 0
    new = [one.screened.digest for one in engine._candidates.new(20)]
    few = engine.suggest(20, fits=lambda network, rung: rung == 0 and network.digest == new[3])
    assert few is not None
    assert few.screened.digest == new[3]
    assert engine.suggest(20, fits=lambda network, rung: False) is None
    assert engine.suggest(20) == usual


def test_on_a_slow_machine_there_is_time_for_smaller_networks() -> None:
    engine = limited(40.0)
    engine.pace = 4.0
    seconds = [4 * float(expected_seconds([one.screened], STEPS[-1])[0]) for one in run(engine, 20)]
    assert max(seconds) <= engine.settings.full_share * 40.0
    assert engine.settings == SearchSettings()  # it begins before any pace is known


def test_where_finalists_are_trained_for_longer_a_search_begins_with_two_large_networks() -> None:
    engine = limited(60.0, stretch=16.0)
    assert engine.settings == SearchSettings().ahead()
    first, second, *others = run(engine, 6)
    large = max(macs(first), macs(second))
    assert large > max(map(macs, others))
    assert large > 2 * np.median([macs(one) for one in run(limited(60.0), 6)])
    share = engine.settings.large_share * 60.0
    assert max(expected_seconds([one.screened for one in (first, second)], STEPS[-1])) <= share


def test_those_that_look_for_the_most_accurate_network_then_do_not_count_seconds() -> None:
    """The most promising of known networks, by a front's proposal and by a leader's."""
    engine = limited(60.0, stretch=16.0)
    proposals = run(engine, 20)
    known = engine._conditioned()
    improvement = engine._acquisition(known, known, front=False, longer=engine._times_at_end)
    leader = engine._most_promising(known, 1, front=False)
    assert leader is known[int(np.argmax(improvement))]
    by_time = engine._acquisition(known, known, front=True) / engine._expected_seconds(known, 1)
    assert engine._most_promising(known, 1, front=True) is known[int(np.argmax(by_time))]
    assert len(proposals) == 20
