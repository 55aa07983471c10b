"""The boards of a run for several, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.model.result import RunSummary
from nas.report.uses import Use, uses
from nas.report.verdict import headline


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRow:
    """One board of a run for several, as tables lay them side by side.

    Attributes:
        name: The target's name.
        title: What people call it.
        verdict: What was chosen for it, or that nothing was.
        trial: Number of the chosen trial.
        score: The run's metric on test data.
        uses: What the chosen model takes of each resource.
        front: How many models are on its front.
        folder: Within the run folder.
        bundle: Within the run folder; empty without a choice.
    """

    name: str
    title: str
    verdict: str
    trial: int | None
    score: float | None
    uses: tuple[Use, ...]
    front: int
    folder: str
    bundle: str


def boards(summary: RunSummary) -> list[BoardRow]:
    """The boards of a run for several; nothing for one."""
    rows = []
    for board in summary.boards:
        part = summary.model_copy(
            update={name: getattr(board, name) for name in ("target", "budget", "notes", "front", "chosen")}
        )
        chosen = board.chosen
        test = None if chosen is None else chosen.test_accuracy
        rows.append(
            BoardRow(
                name=board.target.name,
                title=board.target.title,
                verdict=headline(part),
                trial=None if chosen is None else chosen.number,
                score=None if test is None else test.objective,
                uses=() if chosen is None else tuple(uses(part, chosen.costs)),
                front=len(board.front),
                folder=board.folder,
                bundle="" if chosen is None else chosen.bundle or "",
            )
        )
    return rows


def boards_headline(rows: Sequence[BoardRow], *, running: bool) -> str:
    """The verdict of a run for several boards in one sentence; of a run for one it is empty."""
    if not rows:
        return ""
    served = sum(row.trial is not None for row in rows)
    if running:
        return f"One search for {len(rows)} boards"
    if served == len(rows):
        return f"{len(rows)} boards, each with a model that fits"
    return f"{served} of {len(rows)} boards have a model that fits"
