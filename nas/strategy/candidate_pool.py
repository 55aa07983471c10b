"""The pool of a search: its networks with their trainings, and candidates for new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas.strategy.encoding import Encoder, Vector
from nas.strategy.objectives import board_objectives
from nas.strategy.screening import Screen, Screened
from nas.strategy.training_cost import training_times
from search_spaces.choices import Choices

_RANDOM_SHARE = 3  # one draw in so many is random, the others mutate a parent
_CHANGES = (0.06, 0.15, 0.4)  # shares of a parent's choices that a mutation draws again


@dataclass(slots=True, kw_only=True, eq=False)
class TrialHistory:
    """One network: what is known without training, and the results of its trainings.

    Attributes:
        index: Its number among the networks that were trained; -1 for a candidate.
        params: The choices.
        screened: Its predicted costs and the limits that it breaks.
        graph: Features of its graph.
        choices: Its choices, encoded.
        times: What its trainings take, see `training_times`.
        costs: What is minimized besides the error, on each board; see `nas.strategy.objectives.COSTS`. Shape:
            (boards, costs).
        fits: Whether it keeps the limits of each board.
        errors: Validation errors by rung.
        earlier: The same from an earlier run, by rung.
        pending: The rung of a training under way.
        failed: Whether a training failed; the network is not trained again.
    """

    index: int
    params: dict[str, Any]
    screened: Screened
    graph: Vector
    choices: Vector
    times: tuple[float, float]
    costs: Vector
    fits: tuple[bool, ...]
    errors: dict[int, float] = field(default_factory=dict)
    earlier: dict[int, float] = field(default_factory=dict)
    pending: int | None = None
    failed: bool = False

    @property
    def usable(self) -> bool:
        """False for a network that failed, and for one of an earlier run that breaks the limits of this run."""
        return self.screened.fits and not self.failed

    @property
    def latest_error(self) -> float:
        """The error after its longest training; 1 before any."""
        return self.errors.get(self.top, self.earlier.get(self.top, 1.0))

    @property
    def top(self) -> int:
        """The highest rung that it was trained at, now or in an earlier run; -1 before."""
        return max((*self.errors, *self.earlier), default=-1)


class CandidatePool:
    """All networks of a search, by their keys.

    Args:
        screen: Judges candidates.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._encoder = Encoder(screen)
        self._by_digest: dict[str, TrialHistory] = {}
        self._by_choices: dict[frozenset[tuple[str, Any]], TrialHistory] = {}  # spares the screen
        self.all: list[TrialHistory] = []

    def taken(self, candidate: TrialHistory) -> bool:
        """Whether a candidate was trained, failed, or is under way."""
        known = self._by_digest.get(candidate.screened.digest)
        return known is not None and (known.top >= 0 or known.failed or known.pending is not None)

    def get(self, params: Mapping[str, Any], screened: Screened | None = None) -> TrialHistory | None:
        """The network of these choices, numbered when it is new; None where the target has no costs for it.

        Args:
            params: The choices.
            screened: The result of screening them, where it is known.
        """
        choices = frozenset(params.items())
        known = self._by_choices.get(choices)
        if known is not None:
            return known
        screened = screened or self._screen(Choices(params))
        known = self._by_digest.get(screened.digest)
        if known is None:
            known = self._made(dict(params), screened)
            if known is not None:
                known.index = len(self.all)
                self.all.append(known)
                self._by_digest[screened.digest] = known
        if known is not None:
            self._by_choices[choices] = known
        return known

    def find(self, params: Mapping[str, Any]) -> TrialHistory | None:
        """The network of these choices, if it is known."""
        return self._by_digest.get(self._screen(Choices(params)).digest)

    def _made(self, params: dict[str, Any], screened: Screened) -> TrialHistory | None:
        if screened.costs is None:
            return None
        return TrialHistory(
            index=-1,
            params=params,
            screened=screened,
            graph=self._encoder.graph(screened),
            choices=self._encoder.choices(params),
            times=training_times(screened),
            costs=np.array([board_objectives(each.costs) for each in screened.boards], np.float64),
            fits=tuple(each.fits for each in screened.boards),
        )

    def draw(
        self,
        rng: np.random.Generator,
        *,
        parents: Sequence[Mapping[str, Any]],
        size: int,
        draws: int,
        themselves: bool = False,
    ) -> list[TrialHistory]:
        """Candidates that fit: drawn at random, and mutations of the parents.

        Some may be taken already: a pool must not depend on trainings that ended since, or a resumed search would
        draw another one.

        Args:
            rng: Source of the draws.
            parents: Choices that fit.
            themselves: Whether the parents may be candidates too.
            size: How many are wanted.
            draws: How many are looked at, at most.
        """
        drawn: dict[str, TrialHistory] = {}
        given = list(parents) if themselves else []
        for draw in range(draws):
            if len(drawn) >= size:
                break
            parent: Mapping[str, Any] | None = None
            if given:
                choices = Choices(given.pop())
            elif not parents or draw % _RANDOM_SHARE == 0:
                choices = Choices(rng=rng)
            else:
                change = _CHANGES[int(rng.integers(len(_CHANGES)))]
                parent = parents[int(rng.integers(len(parents)))]
                choices = Choices(parent, rng, change)
            candidate = self._screen.candidate(choices)
            if choices.params == parent:
                continue
            screened = self._screen.judge(candidate)
            if screened.fits and screened.digest not in drawn:
                made = self._made(choices.params, screened)
                if made is not None:
                    drawn[screened.digest] = made
        return list(drawn.values())
