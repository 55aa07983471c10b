"""The posterior over networks: their expected error after a full training, given all trainings so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.strategy.candidate_pool import TrialHistory
from nas.strategy.error_noise import ErrorNoise
from nas.strategy.gaussian_process import Array, MultiFidelityGP, Observations

_FIRST_LEARNED = 8  # rows before the covariance is learned
_GROWTH = 1.35  # of the record, until the covariance is learned again
_MOST_ROWS = 192  # that the surrogate is conditioned on
_MOST_PENDING = 32


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One training that ended.

    Attributes:
        order: Its number in the record; below zero from an earlier run.
        network: The network that was trained.
        rung: Index of the fidelity.
        error: Validation error.
    """

    order: int
    network: TrialHistory
    rung: int
    error: float


class Posterior:
    """The record of all trainings, and the surrogate conditioned on it.

    Args:
        steps: Training steps of each rung, ascending.
        noise: How exact an error is.
    """

    def __init__(self, *, steps: Sequence[int], noise: ErrorNoise) -> None:
        self._noise = noise
        self._fidelity = [math.log(one / steps[-1]) / math.log(4) for one in steps]
        self._gp = MultiFidelityGP()
        self._learned = 0
        self._places: dict[int, int] = {}  # rows of networks in the surrogate's observations, by number
        self._by_rung: list[list[Row]] = [[] for _ in steps]

    def add(self, row: Row) -> None:
        """A training ended."""
        self._by_rung[row.rung].append(row)

    def __len__(self) -> int:
        return sum(map(len, self._by_rung))

    def condition(
        self, *, before: int | None = None, pending: Sequence[TrialHistory] = ()
    ) -> list[TrialHistory]:
        """Conditions the surrogate on the record; of a long record on the latest and the longest trainings.

        Args:
            before: Leaves out trainings of this order and above.
            pending: Networks under way, which count as going as expected.

        Returns:
            The networks of those trainings, by their numbers.
        """
        by_rung: Sequence[Sequence[Row]] = self._by_rung
        if before is not None:
            by_rung = [[row for row in rows if row.order < before] for rows in by_rung]
        self._learn(by_rung)
        rows = _selected(by_rung)
        if not rows:
            return []
        observed, self._places = self._observed(rows, pending[-_MOST_PENDING:])
        self._gp.condition(observed)
        networks = {row.network.index: row.network for row in rows if row.network.usable}
        return [networks[index] for index in sorted(networks)]

    def _learn(self, by_rung: Sequence[Sequence[Row]]) -> None:
        """Learns the covariance from the first trainings that are due, so that a resumed search learns the same."""
        due = _due(sum(map(len, by_rung)))
        if due == self._learned:
            return
        self._learned = due
        self._gp = MultiFidelityGP()
        if due:
            last = sorted(row.order for rows in by_rung for row in rows)[due - 1]
            first = [[row for row in rows if row.order <= last] for rows in by_rung]
            self._gp.learn(self._observed(_selected(first))[0])

    def errors(self, known: Sequence[TrialHistory]) -> Array:
        """Expected errors of networks that `condition` returned, after a full training. Shape: (n,)."""
        return np.asarray(np.exp(self._gp.means[[self._places[one.index] for one in known]]))

    def predict(self, networks: Sequence[TrialHistory]) -> tuple[Array, Array]:
        """Mean and deviation of the logarithm of the error after a full training. Shape: (n,) each."""
        return self._gp.predict(
            np.array([one.graph for one in networks]),
            np.array([one.choices for one in networks]),
            np.array([self._places.get(one.index, -1) for one in networks]),
        )

    def _observed(
        self, rows: Sequence[Row], pending: Sequence[TrialHistory] = ()
    ) -> tuple[Observations, dict[int, int]]:
        """The observations for the surrogate, and the row of each network in them, by number."""
        networks = {one.index: one for one in (*(row.network for row in rows), *pending)}
        places = {index: place for place, index in enumerate(networks)}
        rungs = [*(row.rung for row in rows), *(one.pending or 0 for one in pending)]
        errors = np.array([row.error for row in rows])
        observed = Observations(
            graph=np.array([one.graph for one in networks.values()]),
            choices=np.array([one.choices for one in networks.values()]),
            network=np.array([places[one.index] for one in (*(row.network for row in rows), *pending)]),
            fidelity=np.array([self._fidelity[rung] for rung in rungs]),
            error=np.log(errors),
            variance=np.append(self._noise.variance(errors), np.zeros(len(pending))),
        )
        return observed, places


def _due(count: int) -> int:
    """The largest term of a geometric series of record lengths so far; 0 before the first."""
    due, mark = 0, float(_FIRST_LEARNED)
    while mark <= count:
        due, mark = int(mark), mark * _GROWTH
    return due


def _selected(by_rung: Sequence[Sequence[Row]]) -> list[Row]:
    """All of a short record; of a long one the latest, and then the longest trainings, the latest of them first."""
    recent = sorted((row for rows in by_rung for row in rows[-_MOST_ROWS:]), key=lambda row: row.order)
    chosen = dict.fromkeys(recent[-_MOST_ROWS // 2 :])
    for rows in reversed(by_rung):
        for row in reversed(rows[-_MOST_ROWS:]):
            if len(chosen) >= _MOST_ROWS:
                break
            chosen[row] = None
    return sorted(chosen, key=lambda row: row.order)
