"""A job made real: names have become objects, and every mistake in them has been found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cost_models.budget import Budget, parse_budget
from cost_models.costing import CostModel
from cost_models.errors import UserError
from cost_models.on_targets import ALL, chosen_targets
from cost_models.target import Target
from cost_models.target_file import load_target
from nas.run.config import RunConfig, check_sampler
from nas.run.folder import TAKEN_NAMES
from nas.run.limits import network_budget, users_duty
from nas.runtimes.vela import require_vela
from nas.strategy.screening import Board, Screen
from nas.tasks import check_task, load_task
from nas.tasks.dataset import Dataset
from search_spaces.mlperf_tiny import check_start, starting_point
from search_spaces.space import SearchSpace, load_space


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A configuration made real: names have become objects."""

    config: RunConfig
    target: Target
    budget: Budget
    space: SearchSpace
    dataset: Dataset
    model: CostModel
    screen: Screen
    start: dict[str, Any] | None = None

    @property
    def boards(self) -> tuple[Board, ...]:
        """What the run serves: target, budget and model are those of the first."""
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
        )

    @property
    def seed(self) -> int:
        assert self.config.seed is not None
        return self.config.seed

    def rng(self, purpose: str) -> np.random.Generator:
        """The generator of one purpose."""
        return np.random.default_rng([self.seed, *purpose.encode()])


def prepare(config: RunConfig) -> Job:
    """Turns names into objects; every mistake in them is found here, the cheap ones first.

    Raises:
        UserError: A name, limit or data set that cannot be used.
    """
    check_task(config.task)
    check_sampler(config.sampler)
    if config.start is not None:
        check_start(config.start, config.space)
    _check_delivery(config)
    targets = _targets(config)
    for target in targets:
        if target.npu is not None:
            require_vela(target)
        # Mistakes in it are told before the data are read, on which the network's limits depend.
        parse_budget(config.budget, target, certain=config.certain, duty=users_duty(config, target))
    space = load_space(config.space)
    dataset = load_task(config.task, config).judged_by(config.metric)
    first, *others = (
        Board(
            model=CostModel(target),
            budget=network_budget(
                config.budget,
                target,
                dataset.info.frontend,
                certain=config.certain,
                duty=users_duty(config, target),
            ),
        )
        for target in targets
    )
    screen = Screen(
        space=space,
        input_shape=dataset.info.input_shape,
        classes=dataset.info.outputs,
        model=first.model,
        budget=first.budget,
        others=others,
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
        ),
    )


def _targets(config: RunConfig) -> tuple[Target, ...]:
    """The boards of the run.

    Raises:
        UserError: One of them is no target, or is named twice.
    """
    if config.targets is None:
        return (load_target(config.target),)
    if config.targets.strip() == ALL:
        raise UserError("--targets all is too many for one search.", "Name the boards that it shall serve.")
    found = chosen_targets(config.targets)
    if taken := [target.name for target in found if target.name in TAKEN_NAMES]:
        raise UserError(
            f"A board of several cannot be called {taken[0]}: the run folder has a part of that name.",
            "Call its target file otherwise.",
        )
    return found


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
