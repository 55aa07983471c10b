"""What longer training is worth, and what follows for the time kept for finalists and for who they are."""

from __future__ import annotations

import numpy as np
import pytest

from nas.strategy.engine import Proposal, SearchEngine
from nas.strategy.error_noise import ErrorNoise
from nas.strategy.growth import Longer, learn_growth
from nas.strategy.screening import Screened, survey
from nas.strategy.settings import LONGER_SHARE
from nas.strategy.time_reserve import MOST_SHARE, TimeReserve
from search_spaces.choices import Choices
from tests.nas.strategy.search_fakes import STEPS, make_screen

NOISE = ErrorNoise(samples=100_000)


def networks(count: int) -> list[Screened]:
    """Networks that fit, the smallest by multiplications first."""
    screen = make_screen()
    found = survey(screen, rng=np.random.default_rng(1), draws=400, wanted=count)
    return sorted((screen(Choices(params)) for params in found.feasible), key=macs)


def macs(network: Screened) -> int:
    assert network.costs is not None
    return network.costs.macs


def seen(power: float, slope: float = 0.0) -> list[Longer]:
    """Errors that fall by `power` of the steps, and by `slope` more for each doubling above the smallest network."""
    several = networks(20)
    return [
        Longer(
            network=one,
            steps=(100, 400),
            errors=(0.4, 0.4 * 4.0 ** -(power + slope * float(np.log2(macs(one) / macs(several[0]))))),
        )
        for one in several
    ]


def test_the_power_by_which_errors_fall_is_learned_and_a_third_of_it_expected_beyond() -> None:
    growth = learn_growth(seen(0.3), NOISE)
    assert growth.rate == pytest.approx(0.3, abs=0.01)
    assert growth.slope == pytest.approx(0.0, abs=0.002)
    small = [networks(20)[0]]
    assert growth.powers(small) == pytest.approx(0.35 * 0.3, rel=0.1)
    mean, deviation = growth.fall(small, np.array([4.0]))
    assert mean == pytest.approx(0.35 * 0.3 * np.log(4), rel=0.1)
    assert 0 < deviation < mean
    for figure in growth.fall(small, np.array([1.0])):
        assert figure == pytest.approx(0.0)


def test_errors_that_do_not_fall_promise_nothing() -> None:
    growth = learn_growth(seen(-0.2), NOISE)
    assert growth.powers(networks(3)) == pytest.approx(0.0)
    assert growth.fall(networks(3), np.full(3, 16.0))[0] == pytest.approx(0.0)


def test_large_networks_gain_more_where_they_were_seen_to() -> None:
    growth = learn_growth(seen(0.2, slope=0.03), NOISE)
    assert growth.slope == pytest.approx(0.03, abs=0.006)
    small, *_, large = networks(20)
    low, high = growth.powers([small, large])
    assert high > 2 * low > 0


def test_noise_alone_shows_no_difference_of_sizes() -> None:
    rng = np.random.default_rng(3)
    few = ErrorNoise(samples=100)
    noisy = [
        Longer(
            network=one.network,
            steps=one.steps,
            errors=(0.2 * float(np.exp(rng.normal(0, 0.2))), 0.2 * float(np.exp(rng.normal(0, 0.2)))),
        )
        for one in seen(0.1)
    ]
    growth = learn_growth(noisy, few)
    assert abs(growth.slope) < 0.02
    assert abs(growth.rate - 0.1) < 0.15


def test_the_line_is_not_drawn_beyond_the_sizes_that_were_seen() -> None:
    small, *middle, large = networks(20)
    growth = learn_growth([one for one in seen(0.05, slope=0.03) if one.network in middle[5:9]], NOISE)
    ends = growth.powers([small, middle[5], middle[8], large])
    assert 0.5 * ends[1] < ends[0] <= ends[1]
    assert ends[2] <= ends[3] < 1.5 * ends[2]


def test_growth_counts_as_known_after_some_networks() -> None:
    assert not learn_growth([], NOISE).known
    assert not learn_growth(seen(0.3)[:1], NOISE).known
    assert learn_growth(seen(0.3)[:2], NOISE).known


def twice(engine: SearchEngine, network: Screened, errors: tuple[float, float]) -> Proposal:
    """A network trained at the shortest rung and in full."""
    params = network.candidate
    proposal = next(p for p in known_params(engine) if p.screened.candidate == params)
    for order, (rung, error) in enumerate(zip((0, len(STEPS) - 1), errors, strict=True)):
        engine.update(order, proposal.params, rung, error)
    return proposal


def known_params(engine: SearchEngine) -> list[Proposal]:
    found = survey(engine.screen, rng=np.random.default_rng(1), draws=400, wanted=20)
    return [engine.replayed(params, len(STEPS) - 1) for params in found.feasible]


def grown_engine() -> SearchEngine:
    """All networks are as accurate in full, and the large ones gained more on the way there."""
    engine = SearchEngine(screen=make_screen(), steps=STEPS, seed=1, samples=100_000)
    several = networks(20)
    for one in several:
        gain = 0.1 + 0.04 * float(np.log2(macs(one) / macs(several[0])))
        twice(engine, one, (0.1 * (STEPS[-1] / STEPS[0]) ** gain, 0.1))
    return engine


def test_finalists_are_those_that_gain_by_the_time_that_each_of_them_has() -> None:
    engine = grown_engine()
    sizes = [macs(one) for one in networks(20)]

    def first(times: object) -> int:
        chosen = engine.finalists(1, spread=False, trained=True, times=times)  # type: ignore[arg-type]
        return macs(chosen[0].screened)

    assert first(lambda several: np.full(len(several), 16.0)) >= np.quantile(sizes, 0.8)
    middle = float(np.median(sizes))
    # The large ones are so slow that there is no time to train them for longer.
    assert first(lambda several: np.where([macs(one) > middle for one in several], 1.0, 16.0)) <= middle


def test_networks_without_time_for_as_long_as_asked_are_no_finalists() -> None:
    engine = grown_engine()
    chosen = engine.finalists(
        9, spread=False, trained=True, times=lambda several: np.arange(len(several)) / 4, least=4.0
    )
    assert len(chosen) == 4


@pytest.mark.parametrize(("power", "share"), [(0.0, LONGER_SHARE), (0.06, 0.5), (5.0, MOST_SHARE)])
def test_the_more_longer_trainings_are_worth_the_more_time_is_kept_for_them(
    monkeypatch: pytest.MonkeyPatch, power: float, share: float
) -> None:
    engine = SearchEngine(screen=make_screen(), steps=STEPS, seed=1, samples=1000)
    monkeypatch.setattr(engine, "powers", lambda chosen: np.array([power, power]))
    reserve = TimeReserve(
        engine=engine, finalists=3, spread=False, workers=2, limit=120.0, after=20.0, stretch=16.0
    )
    assert reserve.seconds() == pytest.approx(20.0 + 100.0 * share)
    # Anomalies and other policies train for no longer: nothing is gained by time kept for that.
    reserve.stretch, reserve._needed = 1.0, None
    assert reserve.seconds() == pytest.approx(20.0 + 100.0 * 0.25)


def test_nothing_more_is_kept_before_enough_networks_were_trained_twice() -> None:
    assert SearchEngine(screen=make_screen(), steps=STEPS, seed=1, samples=1000).powers([]) is None


@pytest.mark.parametrize(("power", "most"), [(0.5, 1), (0.0, 4)])
def test_fewer_finalists_promise_more_where_longer_training_pays_and_more_of_them_where_it_does_not(
    power: float, most: int
) -> None:
    engine = SearchEngine(screen=make_screen(), steps=STEPS, seed=1, samples=400)
    for one in networks(20):
        twice(engine, one, (0.1 * (STEPS[-1] / STEPS[0]) ** power, 0.1))
    chosen = engine.finalists(4, spread=False, trained=True)

    def promised(count: int) -> float:
        return engine.expected_best(chosen[:count], lambda several: np.full(len(several), 16.0 / count))

    errors = {count: promised(count) for count in (1, 2, 4)}
    assert min(errors, key=lambda count: errors[count]) == most
    assert errors[2] == sorted(errors.values())[1]
