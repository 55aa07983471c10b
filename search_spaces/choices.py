"""Answers to a search space that no sampler gives: replayed, drawn at random, or mutated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from search_spaces.space import NoChoiceError


class Choices:
    """Answers a search space: from known choices, at random, or a mixture of both (a mutation).

    Args:
        known: Choices to repeat.
        rng: Where new choices come from; None replays only.
        change: Probability with which a known choice is drawn again.
    """

    def __init__(
        self,
        known: Mapping[str, Any] | None = None,
        rng: np.random.Generator | None = None,
        change: float = 0.0,
    ) -> None:
        self._known = known or {}
        self._rng = rng
        self._change = change
        self.params: dict[str, Any] = {}

    def _keeps(self, name: str) -> bool:
        return name in self._known and (
            self._rng is None or self._change <= 0.0 or self._rng.random() >= self._change
        )

    def _draw(self, name: str) -> np.random.Generator:
        if self._rng is None:
            raise NoChoiceError(f"the choice {name} is not among those to replay")
        return self._rng

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Optuna's signature."""
        if self._keeps(name):
            value = int(self._known[name])
        elif log:
            exponent = self._draw(name).uniform(math.log(low - 0.5), math.log(high + 0.5))
            value = min(max(round(math.exp(exponent)), low), high)
        else:
            value = low + step * int(self._draw(name).integers((high - low) // step + 1))
        self.params[name] = value
        return value

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Optuna's signature."""
        if self._keeps(name):
            value = float(self._known[name])
        elif log:
            value = math.exp(self._draw(name).uniform(math.log(low), math.log(high)))
        elif step is not None:
            value = low + step * int(self._draw(name).integers(int((high - low) / step + 1e-9) + 1))
        else:
            value = float(self._draw(name).uniform(low, high))
        self.params[name] = value
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Optuna's signature."""
        if self._keeps(name):
            known = self._known[name]
            value = choices[choices.index(known)]
        else:
            value = choices[int(self._draw(name).integers(len(choices)))]
        self.params[name] = value
        return value
