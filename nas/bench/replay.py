"""Searches over the recorded benchmark in virtual time: the same proposals, no training."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nas.bench.table import STEPS
from nas.bench.truth import Answer, Truth
from nas.strategy.baselines import PlainOptuna
from nas.strategy.engine import SearchEngine
from nas.strategy.pareto import dominates, hypervolume
from nas.strategy.screening import Screen, Screened, survey
from nas.strategy.settings import SearchSettings
from nas.strategy.time_reserve import TimeReserve
from search_spaces.choices import Choices
from search_spaces.space import load_space

WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training of a replayed search.

    Attributes:
        ended: Virtual time, in seconds of the search.
    """

    params: Mapping[str, Any]
    screened: Screened
    steps: int
    ended: float
    answer: Answer

    @property
    def full(self) -> bool:
        return self.steps == STEPS[-1]


class Strategy(Protocol):
    """Something that searches: asked when a worker is free, told when a training ended."""

    def ask(self, now: float) -> tuple[Mapping[str, Any], int] | None:
        """Choices and training steps; None when there is nothing more to train."""

    def tell(self, training: Training) -> None:
        """A training ended."""


def replay(strategy: Strategy, truth: Truth, *, seed: int, horizon: float) -> list[Training]:
    """Every training that ended before the horizon (virtual seconds), in that order."""
    now = 0.0
    busy: list[tuple[float, int, Training]] = []
    done: list[Training] = []
    count = 0
    idle = WORKERS
    while True:
        while idle:
            asked = strategy.ask(now)
            if asked is None:
                break
            params, steps = asked
            screened = truth.screen(Choices(params))
            answer = truth.answer(screened, params, steps, seed)
            count += 1
            training = Training(
                params=params, screened=screened, steps=steps, ended=now + answer.seconds, answer=answer
            )
            heapq.heappush(busy, (training.ended, count, training))
            idle -= 1
        if not busy:
            return done
        now, _, training = heapq.heappop(busy)
        if now > horizon:
            return done
        idle += 1
        done.append(training)
        strategy.tell(training)


class Ours:
    """The engine of `nas-run`, with the time limit of a real run.

    Args:
        truth: The benchmark.
        seed: Of the search.
        horizon: The time limit, in virtual seconds.
        finalists: How many are trained in full at the end, where they are not yet.
        screen: Judges candidates; None takes the benchmark's.
        earlier: Trainings of an earlier search, for a warm start.
        settings: Of the engine, varied to see what a part is worth.
    """

    def __init__(
        self,
        truth: Truth,
        seed: int,
        horizon: float,
        *,
        finalists: int = 4,
        settings: SearchSettings | None = None,
        steps: Sequence[int] = STEPS,
        screen: Screen | None = None,
        earlier: Sequence[Training] = (),
    ) -> None:
        rng = np.random.default_rng([seed, 5])
        screen = screen or truth.screen
        seen = survey(screen, rng=rng, draws=100, wanted=20)
        self._engine = SearchEngine(
            screen=screen,
            steps=steps,
            seed=seed,
            samples=truth.task.val,
            feasible=seen.feasible,
            settings=settings,
            limit=horizon,
        )
        for training in earlier:
            self._engine.update_earlier(training.params, training.steps, training.answer.val_error)
        self._steps = list(steps)
        self._horizon = horizon
        self._reserve = TimeReserve(
            engine=self._engine, finalists=finalists, spread=True, workers=WORKERS, limit=horizon
        )
        self._finals: list[Any] | None = None
        self._order = 0
        self._orders: dict[tuple[int, int], int] = {}

    def ask(self, now: float) -> tuple[Mapping[str, Any], int] | None:
        if self._finals is None and self._reserve.reached(self._horizon - now):
            self._finals = self._engine.finalists(self._reserve.finalists, spread=True)
        if self._finals is not None:
            if not self._finals:
                return None
            proposal = self._finals.pop(0)
        else:
            proposal = self._engine.suggest(self._order)
            if proposal is None:
                return None
        self._orders[id(proposal.params), proposal.rung] = self._order
        self._order += 1
        self._engine.start(proposal)
        return proposal.params, self._steps[proposal.rung]

    def tell(self, training: Training) -> None:
        rung = self._steps.index(training.steps)
        order = self._orders.pop((id(training.params), rung))
        self._engine.update(order, training.params, rung, training.answer.val_error)
        self._reserve.tell(training.screened, training.steps, training.answer.seconds)


class Plain:
    """Optuna's own samplers on full trainings, see `nas.strategy.baselines`.

    Args:
        sampler: Its name.
        truth: The benchmark.
        seed: Of the sampler.
        screened: Whether what breaks the budget is told by its costs and excess at once, and not trained.
    """

    def __init__(self, sampler: str, truth: Truth, seed: int, *, screened: bool = False) -> None:
        self._screen = truth.screen if screened else None
        task = truth.task
        self._study = PlainOptuna(
            sampler, space=load_space(task.space), input_shape=task.shape, classes=task.classes, seed=seed
        )
        self._open: dict[int, Any] = {}

    def ask(self, now: float) -> tuple[Mapping[str, Any], int]:
        while True:
            trial, params = self._study.ask()
            if self._screen is None or (screened := self._screen(Choices(params))).fits:
                break
            self._end(trial, screened, 1.0)
        self._open[id(params)] = trial
        return params, STEPS[-1]

    def tell(self, training: Training) -> None:
        self._end(self._open.pop(id(training.params)), training.screened, training.answer.val_error)

    def _end(self, trial: Any, screened: Screened, error: float) -> None:
        costs = screened.costs
        assert costs is not None
        objectives = (error, costs.sram_bytes, costs.flash_bytes, costs.cycles or costs.macs)
        excesses = dict.fromkeys(("sram", "flash"), 0.0)
        excesses |= {broken.resource: broken.excess for broken in screened.violations}
        self._study.tell(trial, objectives, excesses)


class Evolution:
    """Ageing evolution with random scalarisation; every child is trained in full, its costs are learned after.

    Source: Liberis et al., uNAS: Constrained Neural Architecture Search for Microcontrollers, arXiv:2010.14246.
    Population and sample are a quarter of theirs: their search trains 2,000 networks.
    """

    _POPULATION, _SAMPLE = 25, 7

    def __init__(self, truth: Truth, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 9])
        self._screen = truth.screen
        self._limits = dict(truth.screen.budget.limits())
        self._population: list[Training] = []

    def ask(self, now: float) -> tuple[Mapping[str, Any], int]:
        choices = Choices(rng=self._rng)
        if len(self._population) >= self._POPULATION:
            picks = self._rng.choice(len(self._population), self._SAMPLE, replace=False)
            weights = self._rng.random(4)
            parent = max((self._population[i] for i in picks), key=lambda one: self._fitness(one, weights))
            choices = Choices(parent.params, self._rng, 1.5 / max(1, len(parent.params)))
        self._screen(choices)
        return choices.params, STEPS[-1]

    def _fitness(self, training: Training, weights: Any) -> float:
        costs = training.screened.costs
        assert costs is not None
        shares = (
            training.answer.val_error / 0.1,
            costs.sram_bytes / self._limits["sram"],
            costs.flash_bytes / self._limits["flash"],
            costs.macs / 1e6,
        )
        return -max(min(share, 10.0) / max(float(weight), 1e-6) for share, weight in zip(shares, weights))

    def tell(self, training: Training) -> None:
        self._population.append(training)
        if len(self._population) > self._POPULATION:
            self._population.pop(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Scores what a search has found.

    Attributes:
        low: Least (SRAM, flash, cycles) of the recorded networks that fit: nothing is cheaper.
        high: The budget's limits, and for cycles the most of the recorded networks that fit.
        error: Test error that counts as nothing: the median of recorded random networks that fit.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    error: float

    @classmethod
    def of(cls, truth: Truth, rows: Iterable[Mapping[str, str]]) -> Judge:
        limits = dict(truth.screen.budget.limits())
        fitting = [
            row
            for row in rows
            if int(row["steps"]) == STEPS[-1]
            and int(row["sram_bytes"]) <= limits["sram"]
            and int(row["flash_bytes"]) <= limits["flash"]
        ]
        costs = np.array(
            [[float(row[c]) for c in ("sram_bytes", "flash_bytes", "cycles")] for row in fitting]
        )
        errors = [
            1 - int(row["test_correct"]) / truth.task.test for row in fitting if row["origin"] == "random"
        ]
        return cls(
            low=tuple(costs.min(0)),
            high=(limits["sram"], limits["flash"], float(costs[:, 2].max())),
            error=float(np.median(errors)),
        )

    def score(self, done: Iterable[Training]) -> tuple[float, float]:
        """Hypervolume of the front (share of the box), and test error of the most accurate; both as tested.

        The front and the most accurate are chosen by validation error among full trainings that fit.
        """
        known: dict[str, tuple[tuple[float, ...], float]] = {}
        for training in done:
            if training.full and training.screened.fits:
                costs = training.screened.costs
                assert costs is not None
                where = (costs.sram_bytes, costs.flash_bytes, float(costs.cycles or costs.macs))
                places = [(c - a) / (b - a) for c, a, b in zip(where, self.low, self.high)]
                known[training.screened.digest] = (
                    (training.answer.val_error, *places),
                    training.answer.test_error,
                )
        if not known:
            return 0.0, 1.0
        answers = list(known.values())
        front = [
            (test / self.error, *(max(0.0, c) for c in vector[1:]))
            for vector, test in answers
            if not any(dominates(other, vector) for other, _ in answers)
        ]
        best = min(answers, key=lambda training: training[0])
        return hypervolume(front, (1.0, 1.0, 1.0, 1.0)), best[1]
