"""New networks to choose among: drawn for some proposals at a time, and what a time limit leaves of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nas.strategy.candidate_pool import CandidatePool, TrialHistory
from nas.strategy.gaussian_process import Array
from nas.strategy.settings import SearchSettings
from nas.strategy.training_cost import seconds_of

_CLIMBS, _CLIMB_SIZE = 4, 32  # of changes of a large network


class Candidates:
    """Draws the candidates of each generation of proposals, by the seed and what was known when it began.

    Args:
        pool: The networks of the search.
        seed: Of the draws.
        steps: Of a training in full.
        limit: Seconds of a time limit that is to buy accuracy; None without one.
        feasible: Choices that fit, to start from.
        parents: Choices to mutate, by what so many proposals knew.

    Attributes:
        settings: How to search.
        feasible: The same as given.
        pace: How many times as long as expected trainings take here; matters with a time limit alone.
    """

    def __init__(
        self,
        pool: CandidatePool,
        settings: SearchSettings,
        *,
        seed: int,
        steps: int,
        limit: float | None,
        feasible: Sequence[Mapping[str, Any]],
        parents: Callable[[int], list[dict[str, Any]]],
    ) -> None:
        self.settings = settings
        self.pace = 1.0
        self._pool = pool
        self._seed = seed
        self._steps, self._limit = steps, limit
        self.feasible = feasible
        self._parents = parents
        self._pools: dict[tuple[int, int], list[TrialHistory]] = {}  # by generation, and which try

    def reseed(self, seed: int) -> None:
        """Draws by another seed from now on."""
        self._seed = seed
        self._pools = {}

    def full_seconds(self, networks: Sequence[TrialHistory]) -> Array:
        """Expected times of trainings in full, at the pace of this machine. Shape: (n,)."""
        return self.pace * seconds_of([one.times for one in networks], self._steps)

    def new(self, order: int) -> list[TrialHistory]:
        """New networks that fit, for a proposal: of its generation's, and left from the last one."""
        generation = order // self.settings.generation
        for salt in range(self.settings.pool_attempts):
            drawn = self._drawn(generation, salt)
            if salt == 0 and generation > 0:
                drawn = [*drawn, *self._drawn(generation - 1)]
            new = [one for one in drawn if not self._pool.taken(one)]
            if new:
                return self._in_time(new, self.settings.full_share) or [
                    new[int(np.argmin(self.full_seconds(new)))]
                ]
        return []

    def largest(self, networks: Sequence[TrialHistory], order: int) -> TrialHistory:
        """The one of the most work, or in every other order of the most weights, and what changes of it come to."""

        def size(network: TrialHistory) -> int:
            costs = network.screened.costs
            assert costs is not None
            return costs.model_bytes if order % 2 else costs.macs

        share = self.settings.large_share
        best = max(self._in_time(networks, share) or networks, key=size)
        rng = np.random.default_rng([self._seed, order, *b"large"])
        for _ in range(_CLIMBS):
            drawn = self._pool.draw(rng, parents=[best.params], size=_CLIMB_SIZE, draws=2 * _CLIMB_SIZE)
            new = self._in_time([one for one in drawn if not self._pool.taken(one)], share)
            best = max([best, *new], key=size)
        return best

    def _in_time(self, networks: Sequence[TrialHistory], share: float) -> list[TrialHistory]:
        """Those whose training in full takes no more than a share of the time limit."""
        if self._limit is None:
            return list(networks)
        took = self.full_seconds(networks)
        return [one for one, seconds in zip(networks, took) if seconds <= share * self._limit]

    def _drawn(self, generation: int, salt: int = 0) -> list[TrialHistory]:
        """Candidates, from what was known when a generation began."""
        if (generation, salt) not in self._pools:
            self._pools = {at: pool for at, pool in self._pools.items() if at[0] >= generation - 1}
            rng = np.random.default_rng([self._seed, generation, salt])
            best = self._parents(generation * self.settings.generation)
            size = self.settings.pool_size
            self._pools[generation, salt] = self._pool.draw(
                rng, parents=best or self.feasible, size=size, draws=3 * size, themselves=not best
            )
        return self._pools[generation, salt]
