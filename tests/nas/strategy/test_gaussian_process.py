"""The Gaussian process, the encoding it learns from, and the acquisition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from nas.strategy.acquisition import ExpectedHypervolumeImprovement, _expected_improvement, leader_improvement
from nas.strategy.candidate_pool import CandidatePool, TrialHistory
from nas.strategy.encoding import Encoder
from nas.strategy.gaussian_process import MultiFidelityGP, Observations
from nas.strategy.screening import Judgement, Screened
from nas.strategy.training_cost import expected_seconds
from tests.nas.strategy.search_fakes import make_screen


def draw(count: int, seed: int = 0) -> list[TrialHistory]:
    networks = CandidatePool(make_screen())
    found = networks.draw(np.random.default_rng(seed), parents=(), size=count, draws=10 * count)
    numbered = [networks.get(one.params) for one in found]
    return [one for one in numbered if one is not None]


def observations(networks: list[TrialHistory], fidelity: np.ndarray, error: np.ndarray) -> Observations:
    return Observations(
        graph=np.array([one.graph for one in networks]),
        choices=np.array([one.choices for one in networks]),
        network=np.arange(len(networks)),
        fidelity=fidelity,
        error=error,
        variance=np.full(len(networks), 1e-4),
    )


def predicted(
    model: MultiFidelityGP, networks: list[TrialHistory], first: int = -1
) -> tuple[np.ndarray, np.ndarray]:
    """Of networks that are new to the model, or stand in it from `first` on."""
    same = np.full(len(networks), -1) if first < 0 else first + np.arange(len(networks))
    seen = observations(networks, np.zeros(0), np.zeros(0))
    return model.predict(seen.graph, seen.choices, same)


def truth(networks: list[TrialHistory], fidelity: np.ndarray) -> np.ndarray:
    """Larger networks are better, and all are better after longer training."""
    work = np.array([one.graph[0] for one in networks])
    return -2 - 0.4 * (work - 11) - 0.5 * fidelity


def test_the_surrogate_ranks_networks_that_it_has_not_seen() -> None:
    networks = draw(60)
    rng = np.random.default_rng(1)
    fidelity = rng.choice([-1.0, 0.0], 40)
    seen = observations(networks[:40], fidelity, truth(networks[:40], fidelity) + rng.normal(0, 0.05, 40))
    model = MultiFidelityGP()
    model.learn(seen)
    model.condition(seen)
    mean, deviation = predicted(model, networks[40:])
    expected = truth(networks[40:], np.zeros(20))
    assert np.corrcoef(mean, expected)[0, 1] > 0.95
    assert np.mean(np.abs(mean - expected) < 2 * deviation) > 0.8


def test_what_was_trained_is_known_better_than_what_was_not_and_a_short_training_tells_something() -> None:
    networks = draw(30)
    zeros = np.zeros(10)
    model = MultiFidelityGP()
    model.condition(observations(networks[:10], zeros, truth(networks[:10], zeros)))
    mean, trained = predicted(model, networks[:10], 0)
    np.testing.assert_allclose(model.means, mean)
    _, new = predicted(model, networks[10:20])
    assert trained.max() < new.min()
    model.condition(observations(networks[:20], np.array([0.0] * 10 + [-1.0] * 10), np.zeros(20)))
    _, briefly = predicted(model, networks[10:20], 10)
    assert (briefly < new).all()


def test_a_training_under_way_makes_its_network_surer_and_no_other_likelier() -> None:
    networks = draw(12)
    errors = truth(networks[:10], np.zeros(10))
    model = MultiFidelityGP()
    model.condition(observations(networks[:10], np.zeros(10), errors))
    mean, deviation = predicted(model, networks)
    model.condition(observations(networks[:11], np.zeros(11), errors))
    np.testing.assert_allclose(predicted(model, networks)[0], mean)
    assert predicted(model, networks[10:11], 10)[1] < 0.8 * deviation[10]
    assert predicted(model, networks[11:])[1] <= deviation[11]


def test_learning_follows_the_gradient_of_the_likelihood() -> None:
    from scipy.optimize import approx_fprime

    from nas.strategy import gaussian_process

    networks = draw(25)
    fidelity = np.random.default_rng(0).choice([-2.0, -1.0, 0.0], 25)
    seen = observations(networks, fidelity, truth(networks, fidelity))
    loss = gaussian_process._loss(seen)
    logarithms = gaussian_process._CENTRE + 0.3
    numeric = approx_fprime(logarithms, lambda t: loss(t)[0], 1e-6)
    np.testing.assert_allclose(loss(logarithms)[1], numeric, rtol=1e-3, atol=1e-3)


def test_the_expected_gain_is_that_of_a_log_normal_error() -> None:
    mean, deviation, rival = -2.0, 0.3, 0.14
    draws = np.exp(norm.rvs(mean, deviation, 400_000, random_state=0))
    expected = np.maximum(rival - draws, 0).mean()
    found = _expected_improvement(np.array([mean]), np.array([deviation]), np.array([[rival]]))
    assert found[0, 0] == pytest.approx(expected, rel=0.01)


def priced(
    number: int, *costs: tuple[float, float, float], fits: tuple[bool, ...] | None = None
) -> TrialHistory:
    """A network of these costs on each board."""
    blank = np.zeros(1)
    screened: Any = None  # nothing asks for it
    return TrialHistory(
        index=number,
        params={},
        screened=screened,
        graph=blank,
        choices=blank,
        times=(0.0, 0.0),
        costs=np.array(costs),
        fits=(True,) * len(costs) if fits is None else fits,
    )


def acquisition_of(boards: int) -> ExpectedHypervolumeImprovement:
    return ExpectedHypervolumeImprovement(
        np.zeros((boards, 3)), np.ones((boards, 3)), np.random.default_rng(1)
    )


def test_the_acquisition_improves_by_what_the_hypervolume_gains() -> None:
    from nas.strategy.pareto import hypervolume

    rng = np.random.default_rng(5)
    acquisition = acquisition_of(1)
    acquisition._budgets = np.random.default_rng(2).random((1, 512, 3))
    known = [priced(i, tuple(rng.random(3))) for i in range(6)]
    errors = rng.random(6) * 0.5
    new = priced(-1, (0.2, 0.3, 0.1))
    sure = (np.log([0.1]), np.array([1e-6]))
    found = acquisition.expected_improvement([new], sure, known, errors, worst=0.6)
    points = [(error, *one.costs[0]) for one, error in zip(known, errors)]
    reference = (0.6, 1.0, 1.0, 1.0)
    exact = hypervolume([*points, (0.1, *new.costs[0])], reference) - hypervolume(points, reference)
    assert found[0] == pytest.approx(exact, rel=0.15)


def test_nothing_is_gained_by_a_dearer_and_worse_network_and_a_leader_competes_with_the_second() -> None:
    acquisition = acquisition_of(1)
    known = [priced(0, (0.1, 0.1, 0.1)), priced(1, (0.5, 0.5, 0.5))]
    errors = np.array([0.2, 0.1])
    predicted = (np.log([0.3, 0.2, 0.1]), np.full(3, 1e-6))
    worse, cheap, leader = acquisition.expected_improvement(
        [priced(-1, (0.6, 0.6, 0.6)), *known], predicted, known, errors, 0.5
    )
    assert worse == 0
    assert cheap > 0
    assert leader > 0
    alone = leader_improvement(known, (np.log(errors), np.full(2, 1e-6)), known, errors, boards=[0])
    assert alone[0] == pytest.approx(0.0)
    assert alone[1] == pytest.approx(0.1)


def test_features_tell_networks_apart_and_choices_lie_in_the_unit_box() -> None:
    networks = draw(40)
    graphs = np.array([one.graph for one in networks])
    choices = np.array([one.choices for one in networks])
    assert np.isfinite(graphs).all()
    assert len(np.unique(graphs.round(9), axis=0)) == len(networks)
    assert choices.min() >= 0
    assert choices.max() <= 1
    assert np.sort(choices.std(0))[1] > 0.1  # the first stride has one option here


def test_the_receptive_field_grows_by_kernels_and_strides() -> None:
    from nas.strategy.encoding import _shape_of
    from search_spaces.arch import Sketch
    from search_spaces.layers import INPUT, Conv, Dense, GlobalAveragePool

    net = Sketch((16, 16, 1))
    x = net.add(Conv(inputs=(INPUT,), filters=8, kernel=(5, 5), strides=(2, 2)))
    x = net.add(Conv(inputs=(x,), filters=12, kernel=(3, 3)))
    x = net.add(GlobalAveragePool(inputs=(x,)))
    net.add(Dense(inputs=(x,), units=10, activation="NONE"))
    field, places, last, low, high = _shape_of(net.spec())
    assert (field, places, last, low, high) == (9, 64, 12, 8, 12)


def test_of_several_boards_a_training_is_worth_the_mean_of_what_each_front_gains() -> None:
    costs, errors = [(0.1, 0.1, 0.1), (0.5, 0.5, 0.5)], np.array([0.2, 0.1])
    sure = (np.log([0.15]), np.array([1e-6]))
    new = (0.3, 0.3, 0.3)

    def gain(one: TrialHistory, *fits: tuple[bool, ...]) -> float:
        boards = len(one.fits)
        known = [priced(i, *[cost] * boards, fits=fit) for i, (cost, fit) in enumerate(zip(costs, fits))]
        acquisition = acquisition_of(boards)
        acquisition._budgets = np.repeat(np.random.default_rng(2).random((1, 512, 3)), boards, axis=0)
        return float(acquisition.expected_improvement([one], sure, known, errors, worst=0.6)[0])

    alone = gain(priced(-1, new), (True,), (True,))
    assert gain(priced(-1, new, new), (True,) * 2, (True,) * 2) == pytest.approx(alone)
    assert gain(priced(-1, new, new, fits=(True, False)), (True,) * 2, (True,) * 2) == pytest.approx(
        alone / 2
    )
    # Where the rivals do not fit the second board, the network has that front to itself.
    assert gain(priced(-1, new, new), (True, False), (True, False)) > 2 * alone


def test_a_leader_is_looked_for_on_each_board_that_a_network_fits() -> None:
    known = [priced(0, *[(0.1,) * 3] * 2), priced(1, *[(0.2,) * 3] * 2, fits=(True, False))]
    errors = np.array([0.2, 0.1])
    predicted = (np.log([0.15]), np.array([1e-6]))
    asked = [priced(-1, *[(0.1,) * 3] * 2)]
    found = [leader_improvement(asked, predicted, known, errors, boards=on)[0] for on in ([0], [1], [0, 1])]
    assert found == pytest.approx([0.0, 0.05, 0.05])


def test_a_refused_network_has_no_features() -> None:
    screen = make_screen()
    with pytest.raises(ValueError, match="without costs has no features"):
        Encoder(screen).graph(Screened(candidate=None, digest="", boards=(Judgement(costs=None),)))  # type: ignore[arg-type]


def test_longer_and_larger_trainings_are_expected_to_take_longer() -> None:
    networks = draw(20)
    screened = [one.screened for one in networks]
    short, long = expected_seconds(screened, 100), expected_seconds(screened, 400)
    assert (short > 0).all()
    assert (long > short).all()
    work = np.array([one.costs.macs for one in screened if one.costs is not None])
    assert np.corrcoef(work, long)[0, 1] > 0.5


def test_a_choice_that_was_not_asked_lies_in_the_middle() -> None:
    features = Encoder(make_screen())
    [network] = draw(1)
    less = {name: value for name, value in network.params.items() if name != "stem_kernel"}
    differs = features.choices(less) != network.choices
    assert differs.sum() <= 1
    assert features.choices(less)[1] == 0.5
