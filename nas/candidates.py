"""From choices to a judged candidate: drawing, replaying, mutating, and screening against the budget."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cost_models.budget import Budget, Violation
from cost_models.costing import CostModel, Costs
from cost_models.errors import UserError
from search_spaces.lower import lower
from search_spaces.space import Candidate, SearchSpace, candidate


class Choices:
    """Answers a search space: from known choices, at random, or a mixture of both (a mutation).

    Args:
        known: Choices to repeat.
        rng: Where new choices come from; None replays only.
        change: Probability with which a known choice is drawn anew.
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
            raise KeyError(f"the choice {name} is not among those to replay")
        return self._rng

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Optuna's signature."""
        if self._keeps(name):
            value = int(self._known[name])
        elif log:
            exponent = self._draw(name).uniform(np.log(low - 0.5), np.log(high + 0.5))
            value = int(np.clip(round(float(np.exp(exponent))), low, high))
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
            value = float(np.exp(self._draw(name).uniform(np.log(low), np.log(high))))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """A candidate with its predicted costs.

    Attributes:
        candidate: The networks.
        key: Name of the training job: equal keys train equal networks.
        costs: Predicted from the graph that the converter will make; None when they cannot be known.
        violations: The limits it breaks.
        refused: Why the target has no costs for it, such as a kernel that TFLM gets wrong there.
    """

    candidate: Candidate
    key: str
    costs: Costs | None
    violations: tuple[Violation, ...] = ()
    refused: str | None = None

    @property
    def fits(self) -> bool:
        return not self.violations and self.refused is None

    @property
    def excess(self) -> float:
        """The largest relative excess over a limit; 0 when it fits."""
        if self.refused is not None:
            return math.inf
        return max((v.excess for v in self.violations), default=0.0)


class Screen:
    """Judges candidates of one space for one task, target and budget, in well under a millisecond each."""

    def __init__(
        self,
        *,
        space: SearchSpace,
        input_shape: tuple[int, ...],
        classes: int,
        model: CostModel,
        budget: Budget,
    ) -> None:
        self._space = space
        self._input_shape = input_shape
        self._classes = classes
        self._model = model
        self._budget = budget

    def __call__(self, trial: Any) -> Screened:
        """Asks `trial` for the choices, and costs the network that would be exported."""
        proposed = candidate(self._space, trial, input_shape=self._input_shape, classes=self._classes)
        key = job_key(proposed)
        try:
            costs = self._model.estimate(lower(proposed.narrow))
        except UserError as error:
            return Screened(candidate=proposed, key=key, costs=None, refused=str(error))
        return Screened(candidate=proposed, key=key, costs=costs, violations=self._budget.violations(costs))


def job_key(proposed: Candidate) -> str:
    """A name for training `wide` and pruning it to `narrow`."""
    if proposed.wide is proposed.narrow:
        return proposed.wide.digest()[:16]
    both = proposed.wide.digest() + proposed.narrow.digest()
    return hashlib.sha256(both.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a quick look at the space found.

    Attributes:
        drawn: Candidates drawn at random.
        fitting: How many of them fit.
        feasible: Choices of distinct candidates that fit, in the order found.
        closest: The choices and the screening of the candidate nearest to fitting.
    """

    drawn: int
    fitting: int
    feasible: tuple[dict[str, Any], ...]
    closest: Screened


def survey(screen: Screen, *, rng: np.random.Generator, draws: int, wanted: int) -> Survey:
    """Draws candidates at random, and climbs from the closest miss when hardly any fits.

    Nothing is trained: this is how a search starts from networks that fit, and how it knows within a second
    or two that none does.

    Args:
        screen: The judge.
        rng: Source of the draws.
        draws: How many candidates to draw.
        wanted: How many distinct feasible ones are enough.
    """
    feasible: dict[str, dict[str, Any]] = {}
    best: tuple[Screened, dict[str, Any]] | None = None
    fitting = 0

    def look(choices: Choices) -> Screened:
        nonlocal best
        found = screen(choices)
        if found.fits and len(feasible) < wanted:
            feasible.setdefault(found.key, choices.params)
        if best is None or found.excess < best[0].excess:
            best = (found, choices.params)
        return found

    for _ in range(draws):
        fitting += look(Choices(rng=rng)).fits
    assert best is not None
    for _ in range(2 * draws):
        if len(feasible) >= wanted:
            break
        seed = best[1]
        if feasible:
            picks = list(feasible.values())
            seed = picks[int(rng.integers(len(picks)))]
        look(Choices(seed, rng, change=0.3))
    return Survey(drawn=draws, fitting=fitting, feasible=tuple(feasible.values()), closest=best[0])
