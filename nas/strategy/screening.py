"""From choices to a judged candidate: drawing, replaying, mutating, and screening against the budget."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cost_models.budget import Budget, Violation, worst_of
from cost_models.costing import CostModel, Costs
from cost_models.errors import UserError
from search_spaces.choices import Choices
from search_spaces.lower import lower
from search_spaces.space import Candidate, SearchSpace, candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """A candidate with its predicted costs.

    Attributes:
        candidate: The networks.
        digest: Name of the network: equal ones are trained alike.
        costs: Predicted from the graph that the converter will make; None when they cannot be known.
        violations: The limits it breaks.
        refused: Why the target has no costs for it, such as a kernel that TFLM gets wrong there.
    """

    candidate: Candidate
    digest: str
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
        return 0.0 if self.worst is None else self.worst.excess

    @property
    def worst(self) -> Violation | None:
        """The limit with the largest relative excess; None when none is broken."""
        return worst_of(self.violations) if self.violations else None


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
        self.budget = budget

    def candidate(self, trial: Any) -> Candidate:
        """Asks `trial` for the choices."""
        return candidate(self._space, trial, input_shape=self._input_shape, classes=self._classes)

    def __call__(self, trial: Any) -> Screened:
        """Asks `trial` for the choices, and costs the network that would be exported."""
        return self.judge(self.candidate(trial))

    def judge(self, proposed: Candidate) -> Screened:
        """Costs the network that would be exported."""
        digest = network_digest(proposed)
        try:
            costs = self._model.estimate(lower(proposed.narrow))
        except UserError as error:
            return Screened(candidate=proposed, digest=digest, costs=None, refused=str(error))
        return Screened(
            candidate=proposed, digest=digest, costs=costs, violations=self.budget.violations(costs)
        )


def network_digest(proposed: Candidate) -> str:
    """The name of a network: a hash of what is trained (`wide`) and of what it is pruned to (`narrow`)."""
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


def survey(screen: Screen, *, rng: np.random.Generator, draws: int = 500, wanted: int = 20) -> Survey:
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
            feasible.setdefault(found.digest, choices.params)
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
