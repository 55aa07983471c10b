"""How much a search is to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas.model.policy import Policy
from nas.strategy.engine import Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much to do.

    Attributes:
        trials: Networks to train, most of them briefly; None for as many as there is time for.
        steps: Training steps of each rung, ascending; the last is the full training.
        finalists: How many of the best are trained in full at the end, where they are not yet.
        space: Name of the space, for the requests.
        seed: The run's seed.
        sparsity: Of magnitude pruning.
        policy: How the one will be chosen, which decides who is trained in full.
        limit: Seconds that the run may take from its first worker on: a part of it is kept for the end.
        validation: Validation samples.
        test_share: Test samples for each of them.
        measuring: Processes that measure the chosen model side by side.
        starts: Choices of networks to train before any that is proposed.
        finalist_steps: Training steps of the finalists, where a time limit leaves time for more than in full; None
            for in full.
        longest: Seconds that one training may take; None for as many as it takes.
        retrains: Whether `Driver.retrain` comes after the finalists, for which time is kept.
        folds: In how many folds `Driver.judge_in_folds` judges the finalists, for which time is kept; 0 for not at all.
    """

    trials: int | None
    steps: tuple[int, ...]
    finalists: int
    space: str
    seed: int
    sparsity: float
    policy: Policy = "accuracy"
    limit: float | None = None
    validation: int = 1000
    test_share: float = 1.0
    measuring: int = 1
    starts: tuple[dict[str, Any], ...] = ()
    finalist_steps: int | None = None
    longest: float | None = None
    retrains: bool = False
    folds: int = 0

    @property
    def stretch(self) -> float:
        """How many times as long as in full finalists may be trained."""
        return max(1.0, (self.finalist_steps or 0) / self.steps[-1])

    @property
    def spread(self) -> bool:
        """Whether every other finalist is picked for the front, not for its accuracy alone."""
        return self.policy != "accuracy"

    def steps_of(self, proposal: Proposal) -> int:
        """Training steps of a proposal."""
        return proposal.longer or self.steps[proposal.rung]
