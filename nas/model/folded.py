"""What a run says of a choice by folds: training and validation samples, each left out of one training."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """The chosen network's figures on samples that were each left out of one training of it.

    Attributes:
        folds: How many trainings there were.
        networks: How many networks were judged so.
        samples: Of all folds.
        score: The run's metric.
        low: The lower end of its 95 % interval.
        high: The upper end.
    """

    folds: int
    networks: int
    samples: int
    score: float
    low: float
    high: float


def folded_from_json(content: object) -> Folded | None:
    """What a result or a manifest says of it; None where it says nothing, or nothing that can be."""
    if not isinstance(content, dict):
        return None
    counts = [content.get(name) for name in ("folds", "networks", "samples")]
    figures = [content.get(name) for name in ("score", "low", "high")]
    if not all(type(count) is int and count > 0 for count in counts):
        return None
    if not all(isinstance(figure, (int, float)) and isfinite(figure) for figure in figures):
        return None
    return Folded(**{name: content[name] for name in Folded.__slots__})


def folded_text(folded: Folded, label: str) -> str:
    """The figure with its samples and interval.

    Args:
        folded: The figures.
        label: People's name for the metric.
    """
    return (
        f"{label} {100 * folded.score:.1f} % on {folded.samples:,} training and validation samples, each left out of"
        f" one of {folded.folds} trainings (95 % interval {100 * folded.low:.1f} to {100 * folded.high:.1f} %)"
    )
