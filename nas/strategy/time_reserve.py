"""The share of a time limit that is reserved for the full trainings at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nas.strategy.engine import SearchEngine
from nas.strategy.screening import Screened
from nas.strategy.settings import LONGER_SHARE
from nas.strategy.training_cost import expected_seconds

SHARE = 0.25  # of the limit less what comes after, at most
# From `LONGER_SHARE` to this where finalists may be trained for longer: the more, the more that is worth.
MOST_SHARE = 0.65
FOLDS_SHARE = 0.6  # where each of them is trained once without each fold besides
# The error of the best network falls by about this power of the time that is searched for: 0.035 and 0.11 in replays
# (docs/search.md, test error of the most accurate at 20 % and 100 % of the time).
_SEARCH_POWER = 0.06
_LATEST = 100  # trainings (seconds and expected ones) that say how fast this machine is
_MARGIN = 1.3
_SLOW = 0.8  # quantile of their paces that the estimate assumes


@dataclass(slots=True, kw_only=True)
class TimeReserve:
    """Estimates how long the full trainings at the end take, from the times of trainings so far.

    Attributes:
        engine: Knows which networks would be trained in full if the search ended now, and what is under way.
        finalists: How many networks are trained in full.
        spread: See `SearchEngine.finalists`.
        workers: How many train at a time.
        limit: The time limit in seconds.
        after: Seconds that the end of a run takes after its trainings.
        stretch: How many times as long as in full finalists may be trained.
        folds: How many times each finalist is trained besides, to be judged in folds.
    """

    engine: SearchEngine
    finalists: int
    spread: bool
    workers: int
    limit: float
    after: float = 0.0
    stretch: float = 1.0
    folds: int = 0
    _taken: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_LATEST))
    _longest: dict[str, tuple[int, float]] = field(default_factory=dict)  # steps and seconds, by network
    _needed: float | None = None

    def tell(self, screened: Screened, steps: int, seconds: float) -> None:
        """A training ended."""
        if screened.costs is not None:
            self._taken.append((seconds, float(expected_seconds([screened], steps)[0])))
            self._longest[screened.digest] = max(
                self._longest.get(screened.digest, (0, 0.0)), (steps, seconds)
            )
        self._needed = None

    def pace(self) -> float | None:
        """How slow this machine is against the expected times; None before a training ended."""
        if not self._taken:
            return None
        return _MARGIN * float(np.quantile([seconds / expected for seconds, expected in self._taken], _SLOW))

    def typical_seconds(self, networks: Sequence[Screened], steps: int) -> list[float] | None:
        """Seconds that trainings typically take, by the networks' own so far; None before any ended.

        Of a network that was not trained yet the pace of the others is taken, long trainings counting more.
        """
        pace = self.typical_pace()
        return None if pace is None else [self._seconds_of(one, steps, pace) for one in networks]

    def typical_pace(self) -> float | None:
        """How many times as long as expected trainings take here, long ones counting more; None before any ended."""
        if not self._taken:
            return None
        seconds, expected = np.sum(list(self._taken), axis=0)
        return float(seconds / expected)

    def surely_seconds(self, network: Screened, steps: int) -> float | None:
        """Seconds within which a training ends almost surely, as `pace` has it; None before any ended."""
        pace = self.pace()
        if pace is None:
            return None
        return self._seconds_of(network, steps, pace) * (_MARGIN if network.digest in self._longest else 1.0)

    def _seconds_of(self, network: Screened, steps: int, pace: float) -> float:
        expected = float(expected_seconds([network], steps)[0])
        if network.digest not in self._longest:
            return pace * expected
        own_steps, own_seconds = self._longest[network.digest]
        return own_seconds * expected / float(expected_seconds([network], own_steps)[0])

    def reached(self, left: float) -> bool:
        """Whether the time left, in seconds, is needed for the full trainings."""
        return left <= self._at_most(MOST_SHARE) and left <= self.seconds()

    def _at_most(self, share: float) -> float:
        return self.after + (self.limit - self.after) * share

    def _share(self) -> float:
        """Of the limit, at most.

        With a share f kept, the error is about (1 - f)^-s * f^-g for the powers s and g of time by which searching
        and longer training lower it: least at g / (g + s).
        """
        if self.stretch <= 1:
            share = SHARE
        else:
            best = self.engine.finalists(self.workers, spread=self.spread, trained=True)
            powers = self.engine.powers(best)
            power = 0.0 if powers is None or not len(powers) else float(powers.mean())
            wanted = power / (power + _SEARCH_POWER)
            share = min(max(wanted, LONGER_SHARE), MOST_SHARE)
        return max(share, FOLDS_SHARE) if self.folds else share

    def seconds(self) -> float:
        """Seconds to reserve now."""
        if self._needed is None:
            self._needed = self._estimate()
        return self._needed

    def _estimate(self) -> float:
        pace, most = self.pace(), self._at_most(self._share())
        if pace is None:
            return most
        longer = self.stretch > 1
        todo, under_way = self.engine.ahead(self.finalists, spread=self.spread, trained=longer)
        full = makespan(todo, self.workers)
        if self.folds:
            judged, _ = self.engine.ahead(self.finalists, spread=self.spread, trained=True)
            full += self.folds * makespan(judged, self.workers)
        full *= self.stretch
        return min(most, self.after + pace * (full + max(under_way, default=0.0)))


def makespan(times: Sequence[float], workers: int) -> float:
    """At most how long trainings take side by side: the longest may be the last to start."""
    longest = max(times, default=0.0)
    return longest + (sum(times) - longest) / workers
