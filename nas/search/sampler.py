"""What proposes: Optuna's TPE on a bounded memory of the record, reproducible trial by trial."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from nas.search.front import dominates, objectives
from nas.search.records import TrialRecord

# TPE's time grows with what it looks at: a third of a millisecond a trial, for each proposal. It splits off the
# best of all and weighs down what is old, so the best and the latest are what it needs.
_RECENT = 80
_BEST = 32
_SLACK = 16  # trials that wait to be ranked: ranking each would take longer than TPE itself
_RUNNING = 32


class Memory:
    """The trials that a sampler looks at: all of a short study, the best and the latest of a long one."""

    def __init__(self) -> None:
        self._recent: list[tuple[FrozenTrial, TrialRecord]] = []
        self._best: list[tuple[FrozenTrial, TrialRecord]] = []
        self.space: dict[str, BaseDistribution] | None = None

    def add(self, trial: FrozenTrial, record: TrialRecord) -> None:
        """Takes note of a trial that ended; one without costs teaches nothing."""
        if trial.state != TrialState.COMPLETE:
            return
        if self.space is None:
            self.space = dict(sorted(trial.distributions.items()))
        elif not self.space.items() <= trial.distributions.items():
            mine = trial.distributions
            self.space = {name: kind for name, kind in self.space.items() if mine.get(name) == kind}
        self._recent.append((trial, record))
        if len(self._recent) >= _RECENT + _SLACK:
            pool = self._best + self._recent[:-_RECENT]
            del self._recent[:-_RECENT]
            self._best = _best(pool)

    def trials(self) -> list[FrozenTrial]:
        """In the order of their numbers, which TPE takes for their age."""
        return sorted((trial for trial, _ in self._best + self._recent), key=lambda trial: trial.number)


def _best(pool: list[tuple[FrozenTrial, TrialRecord]]) -> list[tuple[FrozenTrial, TrialRecord]]:
    """Those that fit and are dominated by the fewest, the lonelier first; then those that miss by the least."""
    vectors = [objectives(record) for _, record in pool]
    fitting = [vector for vector, (_, record) in zip(vectors, pool) if not record.violations]
    room = _loneliness(vectors)
    ranked = []
    for index, (trial, record) in enumerate(pool):
        excess = max((violation.excess for violation in record.violations), default=0.0)
        beaten = 0 if record.violations else sum(dominates(other, vectors[index]) for other in fitting)
        ranked.append((excess, beaten, -room[index], trial.number, index))
    return [pool[index] for *_, index in sorted(ranked)[:_BEST]]


def _loneliness(vectors: list[tuple[float, ...]]) -> list[float]:
    """Crowding distance: the best of each objective are infinitely far from the next.

    Source: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002.
    """
    room = [0.0] * len(vectors)
    for axis in range(len(vectors[0])):
        order = sorted(range(len(vectors)), key=lambda index: vectors[index][axis])
        low, high = vectors[order[0]][axis], vectors[order[-1]][axis]
        room[order[0]] = math.inf
        for before, index, after in zip(order, order[1:], order[2:]):
            room[index] += (vectors[after][axis] - vectors[before][axis]) / ((high - low) or 1.0)
    return room


class _View(optuna.Study):
    """A study that shows some of its trials."""

    def __init__(self, study: optuna.Study, trials: list[FrozenTrial]) -> None:
        self.__dict__.update(study.__dict__)
        self._shown = trials

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return [trial for trial in self._shown if states is None or trial.state in states]


class SteadySampler(BaseSampler):
    """TPE whose proposal for a trial depends on the record and the seed, not on what was asked before.

    Each choice that is drawn by itself has a seed by its name, so a trial that a crash cut in two goes on as it began.

    Args:
        seed: Of this trial.
        startup: How many trials must have ended before they are modelled.
        memory: What to model.
    """

    def __init__(self, seed: int, startup: int, memory: Memory) -> None:
        self._seed = seed
        self._startup = startup
        self._memory = memory
        self._seen: optuna.Study | None = None

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What all trials chose; kept up by the memory, where Optuna would compare all trials again."""
        space = self._memory.space or {}
        return {name: kind for name, kind in space.items() if not kind.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._tpe("").sample_relative(self._view(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        tpe = self._tpe(param_name)
        return tpe.sample_independent(self._view(study), trial, param_name, param_distribution)

    def _view(self, study: optuna.Study) -> optuna.Study:
        """The same for all choices of a trial."""
        if self._seen is None:
            running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            self._seen = _View(study, self._memory.trials() + running[-_RUNNING:])
        return self._seen

    def _tpe(self, name: str) -> TPESampler:
        with quietly():
            return TPESampler(
                seed=derived_seed(self._seed, name),
                n_startup_trials=self._startup,
                multivariate=True,
                constant_liar=True,
                warn_independent_sampling=False,
            )


def derived_seed(seed: int, what: int | str) -> int:
    """A seed for one purpose."""
    digest = hashlib.sha256(f"{seed}:{what}:sampler".encode()).digest()
    return int.from_bytes(digest[:4], "little")


@contextmanager
def quietly() -> Iterator[None]:
    """Without Optuna's warnings of what is experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
