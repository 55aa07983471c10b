"""What to train next: new networks and promotions, by what they are expected to add to the front."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from nas.candidates import Screen, Screened
from nas.search.belief import Belief, Row, expected_seconds
from nas.search.networks import Network, Networks
from nas.search.surrogate import Array
from nas.search.worth import Market, leading
from search_spaces.choices import Choices

ETA = 3  # of so many networks trained at a rung, one goes on to the next
_LEADER_EVERY = 3  # one proposal of so many looks for the most accurate within the whole budget
_RANDOM_FIRST = 6  # networks drawn at random before the surrogate is asked
_GENERATION = 12  # proposals that share their candidates
_POOL = 64  # candidates that a generation draws; it looks at those of the last one too
_TRIES = 4  # when nothing that was drawn is new
_MOST_WAITING = 256  # of those who may go on, the latest
_SAMPLE = 128  # networks that say between which costs budgets lie
_Method = TypeVar("_Method", bound=Callable[..., Any])


def _one_thread(method: _Method) -> _Method:
    """Matrices are small here: several threads are many times slower, the more so while workers have the cores."""
    limited: _Method = ThreadpoolController().wrap(limits=1, user_api="blas")(method)
    return limited


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One training to do.

    Attributes:
        params: The choices.
        screened: What the screen said of them.
        rung: Index of the fidelity.
    """

    params: dict[str, Any]
    screened: Screened
    rung: int


class Proposer:
    """Proposes trainings from the record and the seed alone: what was asked before leaves no other trace.

    Costs are known without training, so only accuracy is modelled, and nothing that breaks the budget is proposed.
    A network's worth is what it is expected to add to the front, a second of training. Some proposals look at the
    whole budget alone, for the most accurate network that fits. A share of the networks of each rung goes on
    to a longer training, the worthiest first and without waiting for the others (asynchronous successive halving).

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, arXiv:1810.05934; see `Market`.

    Args:
        screen: Judges candidates.
        steps: Training steps of each rung, ascending; the last is the full training.
        seed: Of all draws.
        samples: Validation samples, which say how exact an error is.
        feasible: Choices that fit, to start from.
    """

    def __init__(
        self,
        *,
        screen: Screen,
        steps: Sequence[int],
        seed: int,
        samples: int,
        feasible: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.screen = screen
        self._top = len(steps) - 1
        self._seed = seed
        self._samples = samples
        self._feasible = feasible
        self._networks = Networks(screen)
        self._steps = tuple(steps)
        self._belief = Belief(steps=steps, samples=samples)
        self._known: list[Network] | None = None  # whom the belief is about; None when there is news
        # By the highest rung that they reached.
        self._standing: list[dict[int, Network]] = [{} for _ in steps]
        self._pending: dict[int, Network] = {}
        self._failed = 0
        self._new = 0  # networks whose first training in this run has ended
        self._pools: dict[tuple[int, int], list[Network]] = {}  # by generation, and which try
        rng = np.random.default_rng([seed, *b"market"])
        sample = self._networks.pool(rng, parents=feasible, size=_SAMPLE, draws=2 * _SAMPLE, themselves=True)
        costs = np.array([one.costs for one in sample] or np.zeros((1, 3)))
        self._market = Market(costs.min(0), costs.max(0), rng)

    @property
    def begun(self) -> int:
        """How many networks were trained, or are being trained."""
        return self._new + self._failed + sum(not one.errors for one in self._pending.values())

    def replayed(self, params: Mapping[str, Any], rung: int) -> Proposal:
        """A training of given choices."""
        network = self._networks.get(params)
        screened = self.screen(Choices(params)) if network is None else network.screened
        return Proposal(params=dict(params), screened=screened, rung=rung)

    def has(self, proposal: Proposal) -> bool:
        """Whether a training ended already."""
        network = self._networks.get(proposal.params)
        return network is not None and (proposal.rung in network.errors or network.failed)

    def trained_steps(self, proposal: Proposal) -> int:
        """Steps of a network's longest training so far; 0 before any."""
        network = self._networks.get(proposal.params)
        return self._steps[max(network.errors)] if network is not None and network.errors else 0

    def start(self, proposal: Proposal) -> None:
        """A training is under way."""
        self._set_pending(proposal, proposal.rung)

    def forget(self, proposal: Proposal) -> None:
        """A training was given up."""
        self._set_pending(proposal, None)

    def _set_pending(self, proposal: Proposal, rung: int | None) -> None:
        network = self._networks.get(proposal.params, proposal.screened)
        if network is None:
            return
        network.pending = rung
        self._pending.pop(network.index, None)
        if rung is not None:
            self._pending[network.index] = network
        self._known = None

    def tell(self, order: int, params: Mapping[str, Any], rung: int, error: float | None) -> None:
        """What a training came to.

        Args:
            order: Its number in the record.
            params: The choices.
            rung: Index of the fidelity.
            error: Validation error; None when it failed.
        """
        network = self._networks.get(params)
        if network is None:
            return
        network.pending = None
        self._pending.pop(network.index, None)
        self._known = None
        if error is None:
            self._failed += not network.errors
            network.failed = True
            for standing in self._standing:
                standing.pop(network.index, None)
            return
        self._new += not network.errors
        self._note(order, network, rung, error, network.errors)

    def tell_earlier(self, params: Mapping[str, Any], steps: int, error: float) -> None:
        """What a training of an earlier run came to: it is believed, and the network may be trained again."""
        network = self._networks.get(params)
        if network is not None:
            # The nearest rung, by ratio.
            rung = min(range(self._top + 1), key=lambda i: abs(math.log(steps / self._steps[i])))
            self._note(-1 - len(self._belief), network, rung, error, network.earlier)

    def _note(self, order: int, network: Network, rung: int, error: float, errors: dict[int, float]) -> None:
        before = network.top
        # Half a sample's error stands for none: the surrogate takes logarithms.
        errors[rung] = max(error, 0.5 / self._samples)
        self._belief.add(Row(order, network, rung, errors[rung]))
        if network.usable:
            if before >= 0:
                self._standing[before].pop(network.index, None)
            self._standing[network.top][network.index] = network
        self._known = None

    @_one_thread
    def propose(self, order: int, *, more: bool = True) -> Proposal | None:
        """The next training; None when there is none.

        Args:
            order: How many trainings were proposed before.
            more: Whether a new network may be begun.
        """
        front = order % _LEADER_EVERY != 0
        rung, waiting = self._promotable()
        if waiting:
            worth = self._worth(waiting, self._believed(), front=front)
            seconds = expected_seconds([one.screened for one in waiting], self._steps[rung])
            best = waiting[int(np.argmax(worth / seconds))]
            return Proposal(params=best.params, screened=best.screened, rung=rung)
        new = self._candidates(order) if more else []
        if not new:
            return None
        known = self._believed()
        best = new[0]
        if len(self._networks.all) >= _RANDOM_FIRST and len(known) >= 3:
            best = new[int(np.argmax(self._worth(new, known, front=front) / self._ladder(new)))]
        return Proposal(params=best.params, screened=best.screened, rung=0)

    @_one_thread
    def finalists(self, count: int, *, spread: bool) -> list[Proposal]:
        """Networks to train in full that are not yet: the most promising, and if `spread` the cheap ones too.

        Args:
            count: How many should be trained in full, those that are already among them.
            spread: Whether every other one is picked for the front, not for its accuracy alone.
        """
        known = self._believed()
        picked: list[Network] = []
        left = list(known)
        while left and len(picked) < count:
            front = spread and len(picked) % 2 == 1
            best = left[int(np.argmax(self._worth(left, known, front=front)))]
            picked.append(best)
            left.remove(best)
        return [
            Proposal(params=one.params, screened=one.screened, rung=self._top)
            for one in picked
            if self._top not in one.errors and one.pending != self._top
        ]

    def ahead(self, count: int, *, spread: bool) -> tuple[list[float], list[float]]:
        """Expected times of the full trainings that `finalists` would ask for, and of what is under way."""
        todo = [one.screened for one in self.finalists(count, spread=spread)]
        under_way = [
            float(expected_seconds([one.screened], self._steps[one.pending or 0])[0])
            for one in self._pending.values()
        ]
        return (expected_seconds(todo, self._steps[self._top]).tolist() if todo else []), under_way

    # -- who is judged

    def _believed(self) -> list[Network]:
        """The networks that the belief is about, made up to date."""
        if self._known is None:
            self._known = self._belief.condition(pending=list(self._pending.values()))
        return self._known

    def _promotable(self) -> tuple[int, list[Network]]:
        """The highest rung that a share may go on to, and the latest who stand below it."""
        beyond = len(self._standing[self._top])
        for rung in range(self._top - 1, -1, -1):
            here = self._standing[rung]
            leaving = sum((one.pending or 0) > rung for one in self._pending.values() if one.index in here)
            if (beyond + leaving + 1) * ETA <= beyond + len(here):
                waiting = [
                    one
                    for one in itertools.islice(reversed(here.values()), _MOST_WAITING)
                    if one.pending is None
                ]
                if waiting:
                    return rung + 1, waiting
            beyond += len(here)
        return 0, []

    def _candidates(self, order: int) -> list[Network]:
        """New networks that fit: drawn for this generation of proposals, and left from the last one."""
        generation = order // _GENERATION
        for salt in range(_TRIES):
            drawn = self._drawn(generation, salt)
            if salt == 0 and generation > 0:
                drawn = [*drawn, *self._drawn(generation - 1)]
            new = [one for one in drawn if not self._networks.taken(one)]
            if new:
                return new
        return []

    def _drawn(self, generation: int, salt: int = 0) -> list[Network]:
        """Candidates, from what was known when a generation began."""
        if (generation, salt) not in self._pools:
            self._pools = {at: pool for at, pool in self._pools.items() if at[0] >= generation - 1}
            rng = np.random.default_rng([self._seed, generation, salt])
            best = self._parents(generation * _GENERATION)
            self._pools[generation, salt] = self._networks.pool(
                rng, parents=best or self._feasible, size=_POOL, draws=3 * _POOL, themselves=not best
            )
        return self._pools[generation, salt]

    def _parents(self, before: int) -> list[dict[str, Any]]:
        """What was worth changing: the networks that a random budget or the whole one would buy."""
        self._known = None
        known = self._belief.condition(before=before)
        if len(known) < 3:
            return []
        errors = self._belief.errors(known)
        first, _ = self._market.bought(known, errors)
        best = np.argsort(errors, kind="stable")[: max(3, len(known) // 20)]
        return [known[i].params for i in sorted({*first[first < len(known)].tolist(), *best.tolist()})]

    # -- what they are worth

    def _worth(self, asked: Sequence[Network], known: Sequence[Network], *, front: bool) -> Array:
        errors, belief = self._belief.errors(known), self._belief.predict(asked)
        if not front:
            return leading(asked, belief, known, errors)
        # The median of the first networks counts as nothing: those were drawn at random.
        first = itertools.islice(
            (one.latest_error for one in self._networks.all if one.top >= 0), _RANDOM_FIRST
        )
        return self._market.gain(asked, belief, known, errors, float(np.median(list(first))))

    def _ladder(self, networks: Sequence[Network]) -> Array:
        """Expected time of a new network: its first training, and its share of the longer ones."""
        screened = [one.screened for one in networks]
        rungs = [expected_seconds(screened, steps) / ETA**rung for rung, steps in enumerate(self._steps)]
        return np.asarray(np.sum(rungs, axis=0))
