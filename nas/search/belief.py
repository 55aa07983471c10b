"""What a search believes of networks: their error after a full training, and how long trainings take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.search.networks import Network
from nas.search.surrogate import Array, Observations, Surrogate, joined

_FIRST_LEARNED = 8  # rows before the covariance is learned
_GROWTH = 1.35  # of the record, until it is learned again
_MOST_ROWS = 192  # that the surrogate looks at
_MOST_PENDING = 32
_RATES = (0.3, 0.077, 2.1e-4, 1.1e-8)  # seconds, see `expected_seconds`


@dataclass(frozen=True, slots=True)
class Row:
    """One training that ended.

    Attributes:
        order: Its number in the record; below zero from an earlier run.
        network: Whose.
        rung: At which fidelity.
        error: What it came to.
    """

    order: int
    network: Network
    rung: int
    error: float


class Belief:
    """The surrogate, as the record has it.

    Args:
        steps: Training steps of each rung, ascending.
        samples: Validation samples, which say how exact an error is.
    """

    def __init__(self, *, steps: Sequence[int], samples: int) -> None:
        self._samples = samples
        self._fidelity = [math.log(one / steps[-1]) / math.log(4) for one in steps]
        self._surrogate = Surrogate()
        self._learned = 0

    def condition(self, rows: Sequence[Row], pending: Sequence[Network] = ()) -> None:
        """Believes the rows; what is under way counts as going as expected."""
        due = _due(len(rows))
        if due != self._learned:
            first = sorted(rows, key=lambda row: row.order)[:due]
            self._surrogate.learn(self._observed(longest(first)))
            self._learned = due
        seen = self._observed(longest(rows))
        self._surrogate.condition(seen)
        if pending:
            pending = pending[-_MOST_PENDING:]
            asked = self._asked(pending, [one.pending or 0 for one in pending])
            expected, _ = self._surrogate.predict(asked)
            self._surrogate.condition(joined([seen, asked.with_errors(expected)]))

    def predict(self, networks: Sequence[Network]) -> tuple[Array, Array]:
        """Mean and deviation of the logarithm of the error after a full training. Shape: (n,) each."""
        return self._surrogate.predict(self._asked(networks, [len(self._fidelity) - 1] * len(networks)))

    def _observed(self, rows: Sequence[Row]) -> Observations:
        asked = self._asked([row.network for row in rows], [row.rung for row in rows])
        errors = np.array([row.error for row in rows])
        return asked.with_errors(np.log(errors), (1 - errors) / (errors * self._samples))

    def _asked(self, networks: Sequence[Network], rungs: Sequence[int]) -> Observations:
        # A candidate is no network yet: each has a number of its own, below zero.
        numbers = [one.index if one.index >= 0 else -1 - i for i, one in enumerate(networks)]
        nothing = np.zeros(len(networks))
        return Observations(
            graph=np.array([one.graph for one in networks]),
            choices=np.array([one.choices for one in networks]),
            network=np.array(numbers),
            fidelity=np.array([self._fidelity[rung] for rung in rungs]),
            error=nothing,
            variance=nothing,
        )


def _due(count: int) -> int:
    """The last of a geometric row of record lengths; 0 before the first. A resumed search learns at the same ones."""
    due, mark = 0, float(_FIRST_LEARNED)
    while mark <= count:
        due, mark = int(mark), mark * _GROWTH
    return due


def longest(rows: Sequence[Row]) -> Sequence[Row]:
    """Of a long record the longest trainings, and of those the latest."""
    if len(rows) <= _MOST_ROWS:
        return rows
    return sorted(rows, key=lambda row: (row.rung, row.order))[-_MOST_ROWS:]


def expected_seconds(networks: Sequence[Network], steps: int) -> Array:
    """About how long trainings take, relative to each other: what is measured would make a run unrepeatable.

    Start, then graphs by layer (two with channel pruning), then steps by layer and by multiplications.

    Source: fitted to the trainings of `scripts/record_search` on one CPU.
    """
    work = np.array([_work(one, steps) for one in networks])
    return np.asarray(work @ np.array(_RATES))


def _work(network: Network, steps: int) -> tuple[float, ...]:
    costs, candidate = network.screened.costs, network.screened.candidate
    assert costs is not None
    kept = 1 - candidate.prune_ratio
    graphs = costs.ops * (1 if kept == 1 else 2)
    return 1.0, graphs, steps * costs.ops, steps * costs.macs / kept**2
