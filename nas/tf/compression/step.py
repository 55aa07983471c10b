"""The compression seam: what a step does to a model, and for how long it is trained afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tf_keras

from nas.model.evaluation import Request
from search_spaces.space import Candidate


def _unchanged(model: tf_keras.Model) -> tf_keras.Model:
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A model that a compression step hands to the training.

    Attributes:
        model: What is trained.
        before_step: Called in the graph before each training step, with the step that the schedule is at.
        end: Makes the compressed model of the trained one.
    """

    model: tf_keras.Model
    before_step: Callable[[Any], None] | None = None
    end: Callable[[tf_keras.Model], tf_keras.Model] = _unchanged


class CompressionStep(ABC):
    """One way to make a trained network smaller."""

    @abstractmethod
    def steps(self, candidate: Candidate, request: Request, left: int) -> int:
        """Training steps that follow it.

        Args:
            candidate: The network, wide and narrow.
            request: The evaluation.
            left: Steps for it and for all that comes before it.

        Returns:
            How many of these it takes; 0 where it does not apply.
        """

    @abstractmethod
    def rate(self, request: Request) -> float:
        """The peak learning rate of its training, as a share of the recipe's."""

    @abstractmethod
    def begin(self, model: tf_keras.Model, candidate: Candidate, request: Request, steps: int) -> Training:
        """Begins the step.

        Args:
            model: Trained so far.
            candidate: The network, wide and narrow.
            request: The evaluation.
            steps: Training steps that follow.
        """
