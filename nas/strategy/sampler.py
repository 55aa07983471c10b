"""The search engine as an Optuna sampler: for anyone's own study over a search space."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from cost_models.budget import parse_budget
from cost_models.costing import CostModel
from cost_models.errors import UserError
from cost_models.target_file import load_target
from nas.strategy.distributions import distributions_of
from nas.strategy.engine import Proposal, SearchEngine
from nas.strategy.screening import Screen, survey
from nas.strategy.settings import SearchSettings
from search_spaces.space import Candidate, SearchSpace, load_space

STEPS = "steps"  # the user attribute of a trial that says how long to train


class McuSampler(BaseSampler):
    """Suggests networks that fit a microcontroller, and how long to train them, in any Optuna study.

    It works on one search space: the first objective is the validation error in [0, 1] (or the accuracy, where the
    study maximizes it); other objectives may be anything. Costs are known before training, so only networks within
    the budget are suggested, and a network that did well is suggested again for a longer training. A trial whose
    constraints are violated counts as failed. All that is known follows from the trials of the study: a
    new sampler of the same arguments goes on where an old one ended.

    Parameters that are not of the search space are drawn at random, and so are all parameters once every network of a
    small space was trained.

    Example:
        sampler = McuSampler("ds_cnn", input_shape=(28, 28, 1), classes=10, budget="sram=32KB", steps=(500, 2000))
        study = optuna.create_study(sampler=sampler)

        def objective(trial):
            proposed = sampler.candidate(trial)
            return error_of(proposed.narrow, steps=sampler.training_steps(trial))

        study.optimize(objective, n_trials=100)

    Args:
        space: A search space, or its name, file or module.
        input_shape: Shape of a sample.
        classes: Number of classes.
        target: Name or file of a chip or board.
        budget: Limits as in `nas-run --budget`; None takes the memory of the target.
        steps: Training steps of each fidelity, ascending; the last is the full training.
        validation_samples: How many samples the error is measured on, which says how exact it is.
        seed: Seed of all draws; None draws one.
        settings: How to search.

    Raises:
        UserError: The space, target or budget cannot be used, or no network fits.
    """

    def __init__(
        self,
        space: SearchSpace | str,
        *,
        input_shape: tuple[int, ...],
        classes: int,
        target: str = "nrf52840",
        budget: str | None = None,
        steps: Sequence[int] = (500, 2000),
        validation_samples: int = 1000,
        seed: int | None = None,
        settings: SearchSettings | None = None,
    ) -> None:
        _check(steps, validation_samples)
        chip = load_target(target)
        screen = Screen(
            space=load_space(space) if isinstance(space, str) else space,
            input_shape=input_shape,
            classes=classes,
            model=CostModel(chip),
            budget=parse_budget(budget, chip),
        )
        seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        seen = survey(screen, rng=np.random.default_rng([seed, *b"survey"]))
        if not seen.feasible:
            raise UserError(
                f"No network of the space fits: of {seen.drawn} random networks and a descent from the best of them"
                " none is within the budget.",
                "Raise the budget, or choose another space or target.",
            )
        self._screen = screen
        self._steps = tuple(steps)
        self._space = distributions_of(screen)
        self._independent = RandomSampler(seed=seed)
        self._engine_arguments: dict[str, Any] = {
            "screen": screen,
            "steps": self._steps,
            "samples": validation_samples,
            "feasible": seen.feasible,
            "settings": settings,
        }
        self._seed = seed
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        """Knows nothing of any study."""
        self._engine = SearchEngine(seed=self._seed, **self._engine_arguments)
        self._study: tuple[int, int] | None = None
        self._ended = 0  # all trials before this number were taken in
        self._seen: set[int] = set()  # numbers from there on that were taken in
        self._running: dict[int, Proposal] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    # -- for objectives

    def candidate(self, trial: Any) -> Candidate:
        """The network of a trial, which asks it for all choices of the space."""
        return self._screen.candidate(trial)

    def training_steps(self, trial: Trial | FrozenTrial) -> int:
        """How long to train the network of a trial; call `candidate` first.

        A trial whose choices were given (`Study.enqueue_trial`) is trained in full.
        """
        if isinstance(trial, Trial):
            return int(trial.storage.get_trial(trial._trial_id).user_attrs.get(STEPS, self._steps[-1]))
        return int(trial.user_attrs.get(STEPS, self._steps[-1]))

    # -- for Optuna

    def reseed_rng(self) -> None:
        """Draws a new seed, for workers that would otherwise draw alike."""
        self._independent.reseed_rng()
        with self._lock:
            self._seed = int(np.random.default_rng().integers(2**31))
            self._engine.reseed(self._seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The choices of the search space, which are the same for every trial."""
        return dict(self._space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The choices of the network to train next; its training steps become the trial's user attribute `steps`."""
        if search_space != self._space:
            return {
                name: self._independent.sample_independent(study, trial, name, distribution)
                for name, distribution in search_space.items()
            }
        with self._lock:
            self._read(study, trial)
            proposal = self._engine.suggest(trial.number)
            if proposal is None:
                return {}
            self._engine.start(proposal)
            self._running[trial.number] = proposal
        study._storage.set_trial_user_attr(trial._trial_id, STEPS, self._steps[proposal.rung])
        # `Trial.user_attrs` shows what the trial was opened with and what was set since by itself.
        trial.user_attrs = {**trial.user_attrs, STEPS: self._steps[proposal.rung]}
        return dict(proposal.params)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value, for a parameter that is not of the search space."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    # -- what the study knows

    def _read(self, study: Study, current: FrozenTrial) -> None:
        """Takes in the trials that ended or began since the last call."""
        where = (id(study._storage), study._study_id)
        if self._study != where:
            self._forget()
            self._study = where
        maximized = study.directions[0] == StudyDirection.MAXIMIZE
        for trial in study.get_trials(deepcopy=False)[self._ended :]:
            number = trial.number
            if number in self._seen or number == current.number:
                continue
            params = self._params(trial)
            if trial.state.is_finished():
                self._seen.add(number)
                running = self._running.pop(number, None)
                if running is not None:
                    self._engine.forget(running)
                if params is not None:
                    self._take_in(trial, params, maximized=maximized)
            elif params is not None and number not in self._running:
                self._running[number] = self._engine.replayed(params, self._rung(trial))
                self._engine.start(self._running[number])
        while self._ended in self._seen:
            self._seen.remove(self._ended)
            self._ended += 1

    def _take_in(self, trial: FrozenTrial, params: Mapping[str, Any], *, maximized: bool) -> None:
        error: float | None = None
        if trial.state == TrialState.PRUNED:
            return
        if trial.state == TrialState.COMPLETE and all(excess <= 0 for excess in trial.constraints.values()):
            value = trial.values[0]
            error = 1 - value if maximized else value
            if not 0 <= error <= 1:
                raise UserError(
                    f"The first objective of trial {trial.number} is {value:g}.",
                    "It must be a validation error, or an accuracy that the study maximizes, between 0 and 1.",
                )
        self._engine.update(trial.number, params, self._rung(trial), error)

    def _params(self, trial: FrozenTrial) -> dict[str, Any] | None:
        """The choices of a trial; None where it was not over this search space, or has not asked for all of them."""
        if any(trial.distributions.get(name) != distribution for name, distribution in self._space.items()):
            return None
        return {name: trial.params[name] for name in self._space}

    def _rung(self, trial: FrozenTrial) -> int:
        """The longest fidelity that the training covered; the shortest where it covered none."""
        steps = trial.user_attrs.get(STEPS, self._steps[-1])
        return max((rung for rung, asked in enumerate(self._steps) if asked <= steps), default=0)


def _check(steps: Sequence[int], samples: int) -> None:
    if not steps or steps[0] < 1 or any(a >= b for a, b in itertools.pairwise(steps)):
        raise UserError(f"steps is {tuple(steps)}.", "Give training steps that ascend, such as (500, 2000).")
    if samples < 1:
        raise UserError(f"validation_samples is {samples}.", "It must be at least 1.")
