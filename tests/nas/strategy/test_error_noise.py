from __future__ import annotations

import numpy as np
import pytest

from nas.model.policy import MetricName
from nas.strategy.engine import SearchEngine
from nas.strategy.error_noise import ErrorNoise
from nas.strategy.screening import survey
from tests.nas.strategy.search_fakes import STEPS, make_screen


@pytest.mark.parametrize(("metric", "power"), [("rmse", 2), ("mae", 1), ("r2", 2)])
def test_the_noise_of_an_error_of_numbers_is_about_what_it_is(metric: MetricName, power: int) -> None:
    """Of errors with the tails of Student's t with seven degrees of freedom, whose kurtosis is 5."""
    errors = np.random.default_rng(0).standard_t(7, size=(4000, 200))
    means = (np.abs(errors) ** power).mean(axis=1)
    true = float(np.log(np.sqrt(means) if metric == "rmse" else means).var())
    said = float(ErrorNoise(samples=200, metric=metric).variance(np.ones(1))[0])
    assert 0.7 * said < true < 1.3 * said if metric != "mae" else true < said < 2 * true


def test_the_noise_of_a_share_is_binomial_and_never_below_nothing() -> None:
    noise = ErrorNoise(samples=100)
    assert noise.least == 0.005
    np.testing.assert_allclose(noise.variance(np.array([0.5, 0.1, 1.0, 1.5])), [0.01, 0.09, 0.0, 0.0])


def test_a_search_outlives_networks_that_predict_far_worse_than_the_mean() -> None:
    screen = make_screen()
    found = survey(screen, rng=np.random.default_rng(1), draws=60, wanted=5)
    engine = SearchEngine(screen=screen, steps=STEPS, seed=1, samples=2, metric="r2", feasible=found.feasible)
    rng = np.random.default_rng(2)
    for order in range(30):
        proposal = engine.suggest(order)
        assert proposal is not None
        engine.start(proposal)
        engine.update(order, proposal.params, proposal.rung, float(rng.choice([40.0, 1.2, 1e-4, 0.0])))
