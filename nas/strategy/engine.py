"""The search engine: suggests new networks and promotions by what they are expected to add to the front."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from nas.model.policy import MetricName
from nas.strategy.acquisition import ExpectedHypervolumeImprovement, leader_improvement
from nas.strategy.candidate_pool import CandidatePool, TrialHistory
from nas.strategy.candidates import Candidates
from nas.strategy.error_noise import ErrorNoise
from nas.strategy.gaussian_process import Array
from nas.strategy.growth import Growth, Longer, learn_growth
from nas.strategy.objectives import COSTS
from nas.strategy.posterior import Posterior, Row
from nas.strategy.screening import Screen, Screened
from nas.strategy.settings import LONGER_SHARE, SearchSettings
from nas.strategy.training_cost import expected_seconds, seconds_of
from search_spaces.choices import Choices

_DRAWS = 1024  # of errors, to compare sets of finalists

_Method = TypeVar("_Method", bound=Callable[..., Any])
Times = Callable[[Sequence[Screened]], Array]
"""How many times as long as in full each network would be trained. Shape: (n,)."""
FitsTime = Callable[[Screened, int], bool]
"""Whether there is time to train a network at a rung."""
_Longer = Callable[[Sequence[TrialHistory]], Array]  # the same


def _one_thread(method: _Method) -> _Method:
    """Matrices are small here: several threads are many times slower, the more so while workers have the cores."""
    limited: _Method = ThreadpoolController().wrap(limits=1, user_api="blas")(method)
    return limited


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One training to do.

    Attributes:
        params: The choices.
        screened: Their network and its predicted costs.
        rung: Index of the fidelity.
        trial: The trial of the study that asked for the choices; None where it is still to be opened.
        longer: Training steps of a finalist that is trained for more than those of the rung.
    """

    params: dict[str, Any]
    screened: Screened
    rung: int
    trial: Any = None
    longer: int | None = None


class SearchEngine:
    """Suggests trainings. They follow from the record and the seed, with a time limit from `pace` too.

    Costs are known without training, so only accuracy is modelled, and nothing that breaks the budget is suggested.
    Networks are ranked by their expected hypervolume improvement for each second of training. Some suggestions
    instead look for the most accurate network within the whole budget. A share of the networks of each rung goes on
    to a longer training, the best first and without waiting for the others (asynchronous successive halving).

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, arXiv:1810.05934; see
    `ExpectedHypervolumeImprovement`.

    Args:
        screen: Judges candidates.
        steps: Training steps of each rung, ascending; the last is the full training.
        seed: Of all draws.
        samples: Validation samples, which say how exact an error is.
        metric: What the error is one less of; the same.
        feasible: Choices that fit, to start from.
        settings: How to search.
        limit: Seconds of a time limit that is to buy accuracy; None without one.
        stretch: How many times as long as in full finalists may be trained.
        source: Gives new networks in place of the surrogate, or None when it has no more. Promotions stay the same.
    """

    def __init__(
        self,
        *,
        screen: Screen,
        steps: Sequence[int],
        seed: int,
        samples: int,
        metric: MetricName = "accuracy",
        feasible: Sequence[Mapping[str, Any]] = (),
        settings: SearchSettings | None = None,
        limit: float | None = None,
        stretch: float = 1.0,
        source: Callable[[], Proposal | None] | None = None,
    ) -> None:
        self.screen = screen
        self.settings = settings or SearchSettings()
        self.source = source
        self._stretch, self._limit = stretch, limit
        self._top = len(steps) - 1
        self._seed = seed
        self._noise = ErrorNoise(samples=samples, metric=metric)
        self._pool = CandidatePool(screen)
        self._steps = tuple(steps)
        self._posterior = Posterior(steps=steps, noise=self._noise)
        # Networks of the posterior; None when it is out of date.
        self._known: list[TrialHistory] | None = None
        self._growth: Growth | None = None  # the same
        # Networks by the highest rung that they were trained at.
        self._members_by_rung: list[dict[int, TrialHistory]] = [{} for _ in steps]
        self._pending: dict[int, TrialHistory] = {}
        self._failed = 0
        self._new = 0  # networks whose first training in this run has ended
        rng = np.random.default_rng([seed, *b"market"])  # the word decides the draws: it stays
        size = self.settings.cost_sample
        sample = self._pool.draw(rng, parents=feasible, size=size, draws=2 * size, themselves=True)
        self._boards = range(len(screen.boards))
        within = [
            np.array([one.costs[board] for one in sample if one.fits[board]] or np.zeros((1, len(COSTS))))
            for board in self._boards
        ]
        low, high = (np.array([end(costs, axis=0) for costs in within]) for end in (np.min, np.max))
        self._improvement = ExpectedHypervolumeImprovement(low, high, rng)
        if limit is not None and sample:
            typical = float(np.median(_seconds(sample, steps[-1])))
            if limit < self.settings.short * typical:
                self.settings = self.settings.hurried()
            elif stretch > 1:
                self.settings = self.settings.ahead()
        self._candidates = Candidates(
            self._pool,
            self.settings,
            seed=seed,
            steps=steps[-1],
            limit=limit,
            feasible=feasible,
            parents=self._parents,
        )

    @property
    def pace(self) -> float:
        """How many times as long as expected trainings take here; matters with a time limit alone."""
        return self._candidates.pace

    @pace.setter
    def pace(self, times: float) -> None:
        self._candidates.pace = times

    @property
    def begun(self) -> int:
        """How many networks were trained, or are being trained."""
        return self._new + self._failed + sum(not one.errors for one in self._pending.values())

    def replayed(self, params: Mapping[str, Any], rung: int) -> Proposal:
        """A training of given choices."""
        network = self._pool.get(params)
        screened = self.screen(Choices(params)) if network is None else network.screened
        return Proposal(params=dict(params), screened=screened, rung=rung)

    def reseed(self, seed: int) -> None:
        """Draws candidates by another seed from now on."""
        self._seed = seed
        self._candidates.reseed(seed)

    def taken(self, params: Mapping[str, Any]) -> bool:
        """Whether a network was trained, failed, or is being trained."""
        network = self._pool.find(params)
        return network is not None and self._pool.taken(network)

    def known_error(self, params: Mapping[str, Any]) -> float | None:
        """The error after a network's longest training; None before any."""
        network = self._pool.find(params)
        return network.latest_error if network is not None and network.top >= 0 else None

    def has(self, proposal: Proposal) -> bool:
        """Whether a training ended already."""
        network = self._pool.get(proposal.params)
        return network is not None and (proposal.rung in network.errors or network.failed)

    def trained_steps(self, proposal: Proposal) -> int:
        """Steps of a network's longest training so far; 0 before any."""
        network = self._pool.get(proposal.params)
        return self._steps[max(network.errors)] if network is not None and network.errors else 0

    def start(self, proposal: Proposal) -> None:
        """A training is under way."""
        self._set_pending(proposal, proposal.rung)

    def forget(self, proposal: Proposal) -> None:
        """A training was given up."""
        self._set_pending(proposal, None)

    def _set_pending(self, proposal: Proposal, rung: int | None) -> None:
        network = self._pool.get(proposal.params, proposal.screened)
        if network is None:
            return
        network.pending = rung
        self._pending.pop(network.index, None)
        if rung is not None:
            self._pending[network.index] = network
        self._known = None

    def update(self, order: int, params: Mapping[str, Any], rung: int, error: float | None) -> None:
        """Takes in the result of a training.

        Args:
            order: Its number in the record.
            params: The choices.
            rung: Index of the fidelity.
            error: Validation error; None when it failed.
        """
        network = self._pool.get(params)
        if network is None:
            return
        network.pending = None
        self._pending.pop(network.index, None)
        self._known = None
        if error is None:
            self._failed += not network.errors
            network.failed = True
            for members in self._members_by_rung:
                members.pop(network.index, None)
            return
        self._new += not network.errors
        self._note(order, network, rung, error, network.errors)

    def update_earlier(self, params: Mapping[str, Any], steps: int, error: float) -> None:
        """Takes in a training of an earlier run. The network may be trained again."""
        network = self._pool.get(params)
        if network is not None:
            # The nearest rung, by ratio.
            rung = min(range(self._top + 1), key=lambda i: abs(math.log(steps / self._steps[i])))
            self._note(-1 - len(self._posterior), network, rung, error, network.earlier)

    def _note(
        self, order: int, network: TrialHistory, rung: int, error: float, errors: dict[int, float]
    ) -> None:
        before = network.top
        errors[rung] = max(error, self._noise.least)
        self._posterior.add(Row(order, network, rung, errors[rung]))
        if network.usable:
            if before >= 0:
                self._members_by_rung[before].pop(network.index, None)
            self._members_by_rung[network.top][network.index] = network
        self._known = self._growth = None

    @_one_thread
    def suggest(self, order: int, *, more: bool = True, fits: FitsTime | None = None) -> Proposal | None:
        """The next training; None when there is none.

        Args:
            order: How many trainings were proposed before.
            more: Whether a new network may be begun.
            fits: Leaves out what there is no time for; None for nothing. Other samplers than this engine cannot.
        """
        settings = self.settings
        front = order % settings.turns >= settings.leaders
        rung, waiting = self._next_promotion(fits)
        if waiting:
            best = self._most_promising(waiting, rung, front=front)
            return Proposal(params=best.params, screened=best.screened, rung=rung)
        if not more:
            return None
        if self.source is not None:
            return self.source() if fits is None else None
        new = [one for one in self._candidates.new(order) if fits is None or fits(one.screened, 0)]
        if not new:
            return None
        known = self._conditioned()
        begun = len(self._pool.all)
        if settings.guided and begun >= settings.random_first and len(known) >= 3:
            best = self._most_promising(new, 0, front=front)
        elif begun < settings.large_first and fits is None:
            best = self._candidates.largest(new, order)
        else:
            best = new[0]
        return Proposal(params=best.params, screened=best.screened, rung=0)

    @_one_thread
    def finalists(
        self,
        count: int,
        *,
        spread: bool,
        trained: bool = False,
        times: Times | None = None,
        least: float = 1.0,
    ) -> list[Proposal]:
        """Networks to train in full that are not yet: the most promising, and if `spread` the cheap ones too.

        Args:
            count: How many should be trained in full, those that are already among them.
            spread: Whether every other one is picked for the front, not for its accuracy alone.
            trained: Whether those that are trained in full already are given too.
            times: By how much longer each would be trained; None for no longer.
            least: Networks that would be trained for fewer times as long are left out.

        Of several boards each gets its most promising network, if need be beyond `count`; then they take turns.
        """
        known, longer = self._conditioned(), None
        if times is not None:
            longer = _longer(times)
            known = [one for one, long in zip(known, longer(known)) if long >= least]
        picked: list[TrialHistory] = []
        left = list(known)
        unserved = [board for board in self._boards if any(one.fits[board] for one in known)]
        turns = itertools.cycle(self._boards)
        while left and (unserved or len(picked) < count):
            if unserved:
                board = unserved.pop(0)
                best = self._best([one for one in known if one.fits[board]], known, (board,), longer)
                if best in picked:
                    continue
            elif spread and len(picked) % 2 == 1:
                best = self._best(left, known, None, longer)
            else:
                board = next(turns)
                best = self._best([one for one in left if one.fits[board]] or left, known, (board,), longer)
            picked.append(best)
            left.remove(best)
        return [
            Proposal(params=one.params, screened=one.screened, rung=self._top)
            for one in picked
            if trained or (self._top not in one.errors and one.pending != self._top)
        ]

    def _best(
        self,
        asked: Sequence[TrialHistory],
        known: Sequence[TrialHistory],
        boards: Sequence[int] | None,
        longer: _Longer | None,
    ) -> TrialHistory:
        """The most promising network: for the least error on some boards, or for the fronts."""
        improvement = self._acquisition(asked, known, front=boards is None, boards=boards, longer=longer)
        return asked[int(np.argmax(improvement))]

    @_one_thread
    def expected_best(self, chosen: Sequence[Proposal], times: Times) -> float:
        """The expected error of the best of several networks, each trained for so many times as long as in full."""
        self._conditioned()
        networks = [network for one in chosen if (network := self._pool.get(one.params)) is not None]
        mean, deviation = self._after(networks, _longer(times))
        draws = np.random.default_rng(self._seed).standard_normal((_DRAWS, len(networks)))
        return float(np.exp(mean + deviation * draws).min(1).mean())

    @_one_thread
    def least_error(self) -> float:
        """The expected error of the best network that was trained in full; infinite before any was."""
        full = [one for one in self._conditioned() if self._top in one.errors]
        return float(np.min(self._posterior.errors(full))) if full else math.inf

    def _after(self, networks: Sequence[TrialHistory], longer: _Longer) -> tuple[Array, Array]:
        """Mean and deviation of the logarithm of the error after longer trainings. Shape: (n,) each."""
        mean, deviation = self._posterior.predict(networks)
        fall, spread = self.growth().fall([one.screened for one in networks], longer(networks))
        return mean - fall, np.hypot(deviation, spread)

    def powers(self, chosen: Sequence[Proposal]) -> Array | None:
        """By which power of the steps each network's error falls beyond a training in full; None as long as unknown.

        Shape: (n,).
        """
        growth = self.growth()
        return growth.powers([one.screened for one in chosen]) if growth.known else None

    def growth(self) -> Growth:
        """What longer training is worth, by the networks of this run that were trained at two rungs."""
        if self._growth is not None:
            return self._growth
        seen = [
            Longer(
                network=one.screened,
                steps=(self._steps[short], self._steps[long]),
                errors=(one.errors[short], one.errors[long]),
            )
            for one in self._pool.all
            if len(one.errors) > 1
            for short, long in [sorted(one.errors)[-2:]]
        ]
        self._growth = learn_growth(seen, self._noise)
        return self._growth

    def ahead(self, count: int, *, spread: bool, trained: bool = False) -> tuple[list[float], list[float]]:
        """Expected times of the full trainings that `finalists` suggests, and of trainings under way."""
        todo = [one.screened for one in self.finalists(count, spread=spread, trained=trained)]
        under_way = [
            float(_seconds([one], self._steps[one.pending or 0])[0]) for one in self._pending.values()
        ]
        return expected_seconds(todo, self._steps[self._top]).tolist(), under_way

    # -- which networks are compared

    def _conditioned(self) -> list[TrialHistory]:
        """The networks of the posterior, after bringing it up to date."""
        if self._known is None:
            self._known = self._posterior.condition(pending=list(self._pending.values()))
        return self._known

    def _next_promotion(self, fits: FitsTime | None) -> tuple[int, list[TrialHistory]]:
        """The highest rung that a network may be promoted to, and the latest networks below it."""
        beyond = len(self._members_by_rung[self._top])
        for rung in range(self._top - 1, -1, -1):
            here = self._members_by_rung[rung]
            leaving = sum((one.pending or 0) > rung for one in self._pending.values() if one.index in here)
            if (beyond + leaving + 1) * self.settings.reduction_factor <= beyond + len(here):
                waiting = [
                    one
                    for one in itertools.islice(reversed(here.values()), self.settings.most_waiting)
                    if one.pending is None and (fits is None or fits(one.screened, rung + 1))
                ]
                if waiting:
                    return rung + 1, waiting
            beyond += len(here)
        return 0, []

    def _parents(self, before: int) -> list[dict[str, Any]]:
        """Networks to mutate: the most accurate within random budgets, and within the whole budget."""
        self._known = None
        known = self._posterior.condition(before=before)
        if len(known) < 3:
            return []
        errors = self._posterior.errors(known)
        first, _ = self._improvement.best_two_within(known, errors)
        best = np.argsort(errors, kind="stable")[: max(3, len(known) // 20)]
        return [known[i].params for i in sorted({*first[first < len(known)].tolist(), *best.tolist()})]

    # -- how they are compared

    def _acquisition(
        self,
        asked: Sequence[TrialHistory],
        known: Sequence[TrialHistory],
        *,
        front: bool,
        boards: Sequence[int] | None = None,
        longer: _Longer | None = None,
    ) -> Array:
        if longer is None:
            errors, predicted = self._posterior.errors(known), self._posterior.predict(asked)
        else:
            errors, predicted = np.exp(self._after(known, longer)[0]), self._after(asked, longer)
        if not front:
            return leader_improvement(asked, predicted, known, errors, boards=boards or self._boards)
        # The reference error is the median of the first networks, which were drawn at random.
        ended = (one.latest_error for one in self._pool.all if one.top >= 0)
        first = itertools.islice(ended, self.settings.random_first)
        return self._improvement.expected_improvement(
            asked, predicted, known, errors, float(np.median(list(first)))
        )

    def _most_promising(self, asked: Sequence[TrialHistory], rung: int, *, front: bool) -> TrialHistory:
        """The network to train next at a rung: by what it is expected to improve for each second of training."""
        longer = None if front or self._stretch <= 1 else self._times_at_end
        improvement = self._acquisition(asked, self._conditioned(), front=front, longer=longer)
        if self.settings.by_time and (front or self.settings.leaders_by_time):
            improvement = improvement / self._expected_seconds(asked, rung)
        return asked[int(np.argmax(improvement))]

    def _times_at_end(self, networks: Sequence[TrialHistory]) -> Array:
        """How many times as long as in full a finalist may be trained: large ones are slow. Shape: (n,)."""
        if self._limit is None:
            return np.full(len(networks), self._stretch)
        return np.clip(
            LONGER_SHARE * self._limit / self._candidates.full_seconds(networks), 1.0, self._stretch
        )

    def _expected_seconds(self, networks: Sequence[TrialHistory], rung: int) -> Array:
        """Expected time at a rung; of new networks also a share of the longer trainings. Shape: (n,)."""
        if rung > 0:
            return _seconds(networks, self._steps[rung])
        factor = self.settings.reduction_factor
        shares = [_seconds(networks, steps) / factor**at for at, steps in enumerate(self._steps)]
        return np.asarray(np.sum(shares, axis=0))


def _seconds(networks: Sequence[TrialHistory], steps: int) -> Array:
    """Expected times of trainings. Shape: (n,)."""
    return seconds_of([one.times for one in networks], steps)


def _longer(times: Times) -> _Longer:
    return lambda networks: times([one.screened for one in networks])
