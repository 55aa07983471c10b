"""A job made real: names have become objects, and every mistake in them has been found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cost_models.budget import Budget
from cost_models.costing import CostModel
from cost_models.errors import UserError
from cost_models.on_targets import ALL, chosen_targets
from cost_models.target import Target
from cost_models.target_file import load_target
from nas.frontend.costs import cost_model
from nas.model.weights import FloatWeights
from nas.run.config import RunConfig, check_sampler
from nas.run.folder import TAKEN_NAMES
from nas.run.limits import less_front_end, taken_by, users_budget
from nas.runtimes.npu import compiler_for
from nas.strategy.screening import FRONT_END, Board, FrontEndChoice, Screen
from nas.tasks import check_task, load_task
from nas.tasks.dataset import Dataset
from nas.tasks.folds import make_folds
from search_spaces.mlperf_tiny import check_start, starting_point
from search_spaces.space import SearchSpace, load_space


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A configuration made real: names have become objects.

    `init` are the weights that networks begin with, where they are given.
    """

    config: RunConfig
    target: Target
    budget: Budget
    space: SearchSpace
    dataset: Dataset
    model: CostModel
    screen: Screen
    start: dict[str, Any] | None = None
    init: FloatWeights | None = None
    front_ends: tuple[FrontEndChoice, ...] = ()

    @property
    def boards(self) -> tuple[Board, ...]:
        """The boards that the run serves: target, budget and model are those of the first."""
        return self.screen.boards

    def on(self, index: int) -> Job:
        """The same job for one of its boards alone."""
        board = self.boards[index]
        return replace(
            self,
            config=self.config.on(self.config.boards()[index]),
            target=board.model.target,
            budget=board.budget,
            model=board.model,
            screen=self.screen.on(board),
            front_ends=tuple(replace(each, boards=(each.boards[index],)) for each in self.front_ends),
        )

    def behind(self, params: Mapping[str, Any]) -> Job:
        """The same job, of one board, for the front end of a network alone, where the front end is searched.

        Args:
            params: The network's choices.
        """
        if not self.front_ends:
            return self
        chosen = next(each for each in self.front_ends if each.name == params[FRONT_END])
        dataset, (board,) = self.dataset.behind[chosen.name], chosen.boards
        screen = Screen(
            space=self.space,
            input_shape=dataset.info.input_shape,
            classes=dataset.info.outputs,
            model=board.model,
            budget=board.budget,
        )
        return replace(
            self, dataset=dataset, budget=board.budget, model=board.model, screen=screen, front_ends=()
        )

    def taken(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """The costs that a network's front end adds to its own, where the front end is searched."""
        return next((each.boards[0].taken for each in self.front_ends if each.name == params[FRONT_END]), {})

    @property
    def seed(self) -> int:
        assert self.config.seed is not None
        return self.config.seed

    def rng(self, purpose: str) -> np.random.Generator:
        """The generator of one purpose."""
        return np.random.default_rng([self.seed, *purpose.encode()])


def prepare(config: RunConfig, *, init: FloatWeights | None = None) -> Job:
    """Turns names into objects; every mistake in them is found here, the cheap ones first.

    Args:
        config: The configuration.
        init: Weights that networks begin with.

    Raises:
        UserError: A name, limit or data set that cannot be used.
    """
    check_task(config.task)
    check_sampler(config.sampler)
    if config.start is not None:
        check_start(config.start, config.space)
    _check_delivery(config)
    targets = _targets(config)
    budgets = []
    for target in targets:
        if target.npu is not None:
            compiler_for(target).require(target)
        # Before the data are read, on which what is left to the network depends.
        budgets.append(users_budget(config, target, text=config.budget))
    space = load_space(config.space)
    dataset = load_task(config.task, config).judged_by(config.metric, robust=config.robust)
    folds = None if config.folds is None else make_folds(dataset, config.folds)
    if folds is not None and config.init_from is not None:
        raise UserError(
            "--folds and --init-from do not go together: the given weights may have learned from what a fold leaves"
            " out.",
            "Leave one of the two out.",
        )
    if config.retrains and dataset.info.false_alarms is not None:
        raise UserError(
            "--final-on all is not for anomalies: their threshold is set by validation samples that the network has"
            " not seen.",
            "Leave --final-on out.",
        )
    spec = None if dataset.behind else dataset.info.frontend
    boards = [
        Board(
            model=cost_model(target, spec),
            budget=less_front_end(budget, target, spec),
        )
        for target, budget in zip(targets, budgets, strict=True)
    ]
    front_ends, dropped = _front_ends(dataset, boards)
    first, *others = boards
    if front_ends:
        dataset = dataset.among([each.name for each in front_ends], dropped)
        first, *others = (replace(board, budget=_of_both(board.budget)) for board in boards)
    if folds is not None:
        dataset = replace(dataset, report=dataset.report.saying(folds.note()))
    screen = Screen(
        space=space,
        input_shape=dataset.info.input_shape,
        classes=dataset.info.outputs,
        model=first.model,
        budget=first.budget,
        others=others,
        front_ends=front_ends,
    )
    return Job(
        config=config,
        target=first.model.target,
        budget=first.budget,
        space=space,
        dataset=dataset,
        model=first.model,
        screen=screen,
        start=None
        if config.start is None
        else starting_point(
            config.start,
            config.space,
            input_shape=dataset.info.input_shape,
            classes=dataset.info.outputs,
        )
        | ({FRONT_END: front_ends[0].name} if front_ends else {}),
        front_ends=front_ends,
        init=init,
    )


def _front_ends(dataset: Dataset, boards: Sequence[Board]) -> tuple[tuple[FrontEndChoice, ...], list[str]]:
    """The front ends that leave a network something on each board, and a sentence for each other one.

    Raises:
        UserError: None does.
    """
    choices, dropped = [], []
    errors: list[UserError] = []
    for name, data in dataset.behind.items():
        spec = data.info.frontend
        assert spec is not None
        try:
            left = tuple(
                replace(
                    board,
                    model=cost_model(board.model.target, spec),
                    budget=less_front_end(board.budget, board.model.target, spec),
                    taken=taken_by(spec, board.model.target),
                )
                for board in boards
            )
        except UserError as error:
            errors.append(error)
            dropped.append(f"Not searched: {name}. {error.message}")
            continue
        choices.append(FrontEndChoice(name=name, input_shape=data.info.input_shape, boards=left))
    if errors and not choices:
        raise errors[-1]
    return tuple(choices), dropped


def _of_both(budget: Budget) -> Budget:
    note = "The limits hold for front end and network together, and costs of trials are those of both."
    return replace(budget, notes=(*budget.notes, note))


def _targets(config: RunConfig) -> tuple[Target, ...]:
    """The boards of the run.

    Raises:
        UserError: One of them is not a target, or is named twice.
    """
    if config.targets is None:
        return (load_target(config.target),)
    if config.targets.strip() == ALL:
        raise UserError("--targets all is too many for one search.", "Name the boards that it shall serve.")
    targets = chosen_targets(config.targets)
    if taken := [target.name for target in targets if target.name in TAKEN_NAMES]:
        raise UserError(
            f"A board of several cannot be called {taken[0]}: the run folder has a part of that name.",
            "Call its target file otherwise.",
        )
    return targets


def _check_delivery(config: RunConfig) -> None:
    """Finds out before the search, not after it, that its result could not be delivered."""
    from nas.bundle.layout import load_layout
    from nas.bundle.names import check_name

    check_name(config.name)
    load_layout(config.format)
    if config.deliver is not None and config.targets is not None:
        raise UserError(
            "--deliver takes one bundle, and --targets makes one for each board.",
            "Deliver them afterwards: nas-export RUN --target NAME --out DIR --deliver REPO[:PATH].",
        )
    if config.deliver is not None:
        from nas.bundle.delivery import check_place

        check_place(config.deliver, config.branch or f"mcu-nas/{config.name}")
    elif config.branch is not None:
        raise UserError("--branch needs --deliver.", "Say which repository: --deliver REPO[:PATH].")
