"""Who is told how a run goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from nas.model.records import TrialRecord

if TYPE_CHECKING:
    from nas.strategy.driver import Listener


class RunListener(Protocol):
    """Is told how a run goes, from its data to its bundle."""

    def reading(self, text: str, done: int, total: int) -> None:
        """So many of all things of a data set are read."""

    def stage(self, text: str, total: int) -> None:
        """A stage of about `total` trainings begins; 0 where only the time says when it ends."""

    def trial(self, record: TrialRecord) -> None:
        """A training ended."""

    def say(self, text: str) -> None:
        """A sentence that stays."""

    def end_stage(self) -> None:
        """The stage that was begun last is over."""


class Silent:
    """A listener that keeps what it hears to itself."""

    def reading(self, text: str, done: int, total: int) -> None:
        """So many things are read."""

    def stage(self, text: str, total: int) -> None:
        """A stage of `total` trainings begins."""

    def trial(self, record: TrialRecord) -> None:
        """A training ended."""

    def say(self, text: str) -> None:
        """A sentence that stays."""

    def end_stage(self) -> None:
        """The stage is over."""


class Listeners:
    """Several who want to know how a search goes."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)

    def stage(self, text: str, total: int) -> None:
        """A stage of `total` trainings begins."""
        for listener in self._listeners:
            listener.stage(text, total)

    def trial(self, record: TrialRecord) -> None:
        """A training ended."""
        for listener in self._listeners:
            listener.trial(record)

    def say(self, text: str) -> None:
        """A sentence that stays."""
        for listener in self._listeners:
            listener.say(text)
