"""Training curves: the loss of the chosen model's training over its steps, with the other full trainings behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.model.result import RunSummary, TrialSummary

_MOST_OTHERS = 12  # curves that a reader can still tell apart
_TICKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One training.

    Attributes:
        title: For those who point at it.
        points: Of an SVG polyline in a square of 100 by 100.
        chosen: Whether it is the chosen model's.
    """

    title: str
    points: str
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCurves:
    """The picture; positions in percent.

    Attributes:
        curves: The chosen model's last, so that it lies on top.
        losses: Position and text on the axis of the loss.
        steps: Position and text on the axis of the steps.
        text: What a screen reader says.
    """

    curves: tuple[Curve, ...]
    losses: tuple[tuple[float, str], ...]
    steps: tuple[tuple[float, str], ...]
    text: str


def training_curves(summary: RunSummary) -> TrainingCurves | None:
    """Curves of the full trainings; None where the chosen model's was not kept."""
    chosen = None if summary.chosen is None else summary.chosen.number
    known = {trial.number: trial for trial in summary.trials if len(trial.curve) > 1}
    if chosen is None or chosen not in known:
        return None
    others = [t for t in known.values() if t.rung == "full" and t.number != chosen]
    shown = [*others[-_MOST_OTHERS:], known[chosen]]
    most_steps = max(_steps(trial) for trial in shown)
    most_loss = max(max(trial.curve) for trial in shown) or 1.0
    mine = known[chosen].curve
    return TrainingCurves(
        curves=tuple(
            Curve(
                title=f"trial {trial.number}: loss {trial.curve[0]:.2f} to {trial.curve[-1]:.2f}"
                f" in {_steps(trial):,} steps",
                points=_points(trial.curve, _steps(trial) / most_steps, most_loss),
                chosen=trial.number == chosen,
            )
            for trial in shown
        ),
        losses=tuple((100.0 - 100 * i / _TICKS, f"{most_loss * i / _TICKS:.2f}") for i in range(_TICKS + 1)),
        steps=tuple((100 * i / _TICKS, f"{round(most_steps * i / _TICKS):,}") for i in range(_TICKS + 1)),
        text=f"Training loss of trial {chosen}: {mine[0]:.2f} at first, {mine[-1]:.2f} at the end,"
        f" {_steps(known[chosen]):,} steps",
    )


def _steps(trial: TrialSummary) -> int:
    done: int = trial.steps if trial.cut_at is None else trial.cut_at
    return done


def _points(curve: Sequence[float], share: float, most: float) -> str:
    """Each mean stands in the middle of its part of the training."""
    width = 100 * share / len(curve)
    return " ".join(f"{width * (i + 0.5):.2f},{100 - 100 * loss / most:.2f}" for i, loss in enumerate(curve))
