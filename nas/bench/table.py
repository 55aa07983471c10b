"""The recorded benchmark: which tasks, and the tables of what trained networks came to, one for each space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.budget import parse_budget
from cost_models.costing import CostModel
from cost_models.target_file import load_target
from nas.strategy.screening import Screen
from search_spaces.choices import Choices
from search_spaces.space import load_space

STEPS = (75, 300, 1200)  # the fidelities that were recorded
TABLES = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchTask:
    """One task of the benchmark.

    Attributes:
        file: The data set's file.
        shrink: Pictures are averaged over squares of this side.
        shape: Shape of a sample, after that.
        classes: Number of classes.
        val: Validation samples.
        test: Test samples.
        budget: The limits that searches are given.
        front_end: Makes the samples of recordings; None where they are the network's input as they are.
    """

    name: str
    file: str
    shrink: int
    shape: tuple[int, ...]
    classes: int
    val: int
    test: int
    budget: str
    space: str = "ds_cnn"
    target: str = "nrf52840"
    front_end: str | None = None

    @property
    def table(self) -> str:
        """Name of the file with the networks of its space."""
        return f"search_table_{self.space}.csv"


TASKS = {
    task.name: task
    for task in (
        BenchTask(
            name="fashion14",
            file="fashion_mnist_28k10k.npz",
            shrink=2,
            shape=(14, 14, 1),
            classes=10,
            val=4000,
            test=10_000,
            budget="sram=16KB,flash=64KB",
        ),
        BenchTask(
            name="har",
            file="sp_sw_har_50hz.npz",
            shrink=1,
            shape=(64, 6),
            classes=5,
            val=989,
            test=1824,
            budget="sram=8KB,flash=64KB",
        ),
        BenchTask(
            name="fsdd",
            file="fsdd_8k.npz",
            shrink=1,
            shape=(49, 24, 1),
            classes=10,
            val=500,
            test=500,
            budget="sram=8KB,flash=64KB",
            space="tcn",
            front_end="pcan",
        ),
    )
}


def params_of(row: Mapping[str, Any], screen: Screen) -> dict[str, Any]:
    """The choices of a row, as the types that the space asks for."""
    asked = Choices(rng=np.random.default_rng(0))
    screen(asked)
    return {name: _like(row[name], value) for name, value in asked.params.items()}


def _like(text: Any, example: Any) -> Any:
    return str(text) == "True" if isinstance(example, bool) else type(example)(text)


def screen_of(task: BenchTask, budget: str | None = None) -> Screen:
    """Judges candidates as the task's searches do."""
    target = load_target(task.target)
    return Screen(
        space=load_space(task.space),
        input_shape=task.shape,
        classes=task.classes,
        model=CostModel(target),
        budget=parse_budget(budget or task.budget, target),
    )
