"""Executors: where evaluations run. One protocol, Ray for real work, inline for tests and tools."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nas.model.evaluation import Evaluation, Request

Evaluate = Callable[[Request], Evaluation]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatorSpec:
    """Names what evaluates, so that a worker can make it on its own machine.

    Attributes:
        factory: "package.module:function"; called with `settings`, returns a function of a `Request`.
        settings: Keyword arguments; large arrays in it travel to each worker once.
        variables: Environment variables that must be set before anything is imported.
    """

    factory: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def make(self) -> Evaluate:
        """Imports and calls the factory."""
        module, _, function = self.factory.partition(":")
        evaluate: Evaluate = getattr(importlib.import_module(module), function)(**self.settings)
        return evaluate


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One evaluation that came back.

    Attributes:
        request: What was asked.
        evaluation: Its result.
        worker: Which worker did it.
        waited: Seconds from submission to return.
    """

    request: Request
    evaluation: Evaluation
    worker: str
    waited: float


class Executor(Protocol):
    """Runs evaluations, several at a time."""

    @property
    def slots(self) -> int:
        """How many evaluations run at a time."""

    @property
    def up(self) -> bool:
        """Whether a worker is up."""

    def submit(self, request: Request) -> None:
        """Starts an evaluation; at most `slots` may be under way."""

    def wait(self, timeout: float) -> Sequence[Done]:
        """Evaluations that came back within `timeout` seconds; at once when there is one."""

    def abandon(self) -> None:
        """Gives up what is under way; every slot is free again."""

    def close(self) -> None:
        """Ends all workers, whatever they are doing."""
