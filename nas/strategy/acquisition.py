"""The acquisition: how much a full training of a network is expected to improve on the known networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from nas.strategy.candidate_pool import TrialHistory
from nas.strategy.gaussian_process import Array

_BUDGETS = 512  # of each board


class ExpectedHypervolumeImprovement:
    """Expected hypervolume improvement, by the most accurate network within each of many random budgets.

    The mean of their errors is the hypervolume under the front, but for a constant: so the expected reduction of
    that mean is the expected hypervolume improvement. Costs are known, which leaves one integral, over the error.

    Of several boards each has as many budgets, within its own costs; a network is within those of the boards that it
    fits. The mean over all is the mean of the boards' hypervolumes: a training serves every front that it improves.

    Source: Emmerich et al., Hypervolume-based expected improvement: monotonicity properties and exact computation,
    CEC 2011.

    Args:
        low: The least of each cost that budgets may be, on each board. Shape: (boards, costs).
        high: The most: the limits. Shape: (boards, costs).
        rng: Source of the budgets.
    """

    def __init__(self, low: Array, high: Array, rng: np.random.Generator) -> None:
        boards, costs = low.shape
        draws = rng.random((boards, _BUDGETS, costs))
        self._budgets = low[:, None] + (high - low)[:, None] * draws
        self._count = boards * _BUDGETS

    def expected_improvement(
        self,
        asked: Sequence[TrialHistory],
        predicted: tuple[Array, Array],
        known: Sequence[TrialHistory],
        errors: Array,
        worst: float,
    ) -> Array:
        """Expected mean reduction of the errors within the budgets, by each network. Shape: (n,).

        Args:
            asked: The networks; one that is among `known` competes with the others.
            predicted: Mean and deviation of the logarithm of their errors. Shape: (n,) each.
            known: Networks whose errors are known.
            errors: Their errors. Shape: (k,).
            worst: The error that counts as nothing.
        """
        first, second = self.best_two_within(known, errors)
        reachable = np.append(errors, worst)  # the last stands for no network
        numbers = np.array([*(one.index for one in known), -2])
        # Many budgets share their best two: the improvement is computed once for all of them.
        pairs, which = np.unique(first * len(reachable) + second, return_inverse=True)
        first, second = np.divmod(pairs, len(reachable))
        order = np.argsort(which, kind="stable")
        starts = np.searchsorted(which[order], np.arange(len(pairs)))
        counts = np.add.reduceat(self._within(asked)[:, order], starts, axis=1, dtype=np.int64)
        mine = np.array([one.index for one in asked])
        leads = numbers[first][None, :] == mine[:, None]
        rivals = np.minimum(np.where(leads, reachable[second][None, :], reachable[first][None, :]), worst)
        return np.asarray((_expected_improvement(*predicted, rivals) * counts).sum(1) / self._count)

    def best_two_within(
        self, known: Sequence[TrialHistory], errors: Array
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Indices of the most accurate network within each budget and of the second; k for none.

        Shape: (budgets,) each.
        """
        order = np.argsort(errors, kind="stable")
        within = self._within([known[i] for i in order])
        within = np.concatenate([within, np.ones((1, self._count), bool)])
        places = np.append(order, len(order))
        first = within.argmax(0)
        within[first, np.arange(self._count)] = False
        within[-1] = True
        return places[first], places[within.argmax(0)]

    def _within(self, networks: Sequence[TrialHistory]) -> npt.NDArray[np.bool_]:
        """Whether each network fits the board of each budget and is within it. Shape: (n, budgets)."""
        boards, budgets, objectives = self._budgets.shape
        costs = np.array([one.costs for one in networks]).reshape(-1, boards, objectives)
        within = np.repeat(np.array([one.fits for one in networks]).reshape(-1, boards, 1), budgets, axis=2)
        for objective in range(objectives):
            within &= costs[:, :, None, objective] <= self._budgets[None, :, :, objective]
        return within.reshape(len(within), self._count)


def leader_improvement(
    asked: Sequence[TrialHistory],
    predicted: tuple[Array, Array],
    known: Sequence[TrialHistory],
    errors: Array,
    *,
    boards: Sequence[int],
) -> Array:
    """Expected reduction of the least error within the whole budget of a board, summed over boards. Shape: (n,).

    The network that leads on a board competes there with the second.
    """
    order = np.argsort(errors, kind="stable")
    improvement = np.zeros(len(asked))
    for board in boards:
        ranked = [place for place in order if known[place].fits[board]]
        best = errors[ranked[0]] if ranked else 1.0
        second = errors[ranked[1]] if len(ranked) > 1 else 1.0
        leader = known[ranked[0]].index if ranked else None
        rivals = np.array([second if one.index == leader else best for one in asked])
        fits = np.array([one.fits[board] for one in asked])
        improvement += fits * _expected_improvement(*predicted, rivals[:, None])[:, 0]
    return improvement


def _expected_improvement(mean: Array, deviation: Array, rivals: Array) -> Array:
    """Expected reduction of each rival's error by a network whose error is log-normal.

    Shape: (n,), (n,), (n, m) -> (n, m).
    """
    mean, deviation = mean[:, None], deviation[:, None]
    z = (np.log(rivals) - mean) / deviation
    improvement = rivals * ndtr(z) - np.exp(mean + deviation**2 / 2) * ndtr(z - deviation)
    return np.asarray(np.maximum(improvement, 0.0))
