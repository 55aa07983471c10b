"""Baselines that a user would write by hand: Optuna's samplers on full trainings, the budget checked afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from nas.strategy.samplers import make_sampler
from nas.strategy.study import quietly
from search_spaces.space import SearchSpace, candidate


class PlainOptuna:
    """A study in memory that trains all it proposes, and is told costs and excesses when that is done.

    Args:
        sampler: "random", "nsga2" or "tpe".
        space: What to search.
        input_shape: Of the task.
        classes: Of the task.
        seed: Of the sampler.
    """

    def __init__(
        self, sampler: str, *, space: SearchSpace, input_shape: tuple[int, ...], classes: int, seed: int
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with quietly():
            self._study = optuna.create_study(
                directions=["minimize"] * 4, sampler=make_sampler(sampler, seed)
            )
        self._space, self._shape, self._classes = space, input_shape, classes

    def ask(self) -> tuple[optuna.Trial, Mapping[str, Any]]:
        """A trial and its choices."""
        with quietly():
            trial = self._study.ask()
            candidate(self._space, trial, input_shape=self._shape, classes=self._classes)
        return trial, trial.params

    def tell(
        self, trial: optuna.Trial, objectives: Sequence[float] | None, excesses: Mapping[str, float]
    ) -> None:
        """Error, SRAM, flash and work of a training, None where it failed; and by how much limits are broken."""
        with quietly():
            if objectives is None:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                return
            for limit, excess in excesses.items():
                trial.set_constraint(limit, excess)
            self._study.tell(trial, list(objectives))
