"""The distributions of a search space: the range of each choice as Optuna has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from nas.strategy.screening import Screen
from search_spaces.choices import Choices


class DistributionRecorder(Choices):
    """Answers a search space, see `Choices`, and records the distributions that it asked for.

    Attributes:
        distributions: The range of each choice, by name.
    """

    def __init__(
        self, known: Mapping[str, Any] | None = None, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(known, rng)
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.distributions[name] = IntDistribution(low, high, log=log, step=step)
        return super().suggest_int(name, low, high, step=step, log=log)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.distributions[name] = FloatDistribution(low, high, log=log, step=step)
        return super().suggest_float(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.distributions[name] = CategoricalDistribution(choices)
        return super().suggest_categorical(name, choices)


def distributions_of(screen: Screen) -> dict[str, BaseDistribution]:
    """The distribution of each choice that a screen's space asks for, by name."""
    recorder = DistributionRecorder(rng=np.random.default_rng(0))
    screen.candidate(recorder)
    return recorder.distributions
