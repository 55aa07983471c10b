"""The metric of each group of samples, from what a model answers to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.model.groups import LEAST_SAMPLES, MOST_SHOWN, GroupScore, GroupScores
from nas.model.trained import Accuracy
from nas.model.words import printable

Rows = NDArray[np.int64]


def score_groups(
    groups: NDArray[np.generic],
    *,
    value: Callable[[Rows], float | None],
    judge: Callable[[Rows], Accuracy],
) -> GroupScores:
    """The metric by group.

    Args:
        groups: The group of each sample. Shape: (n,).
        value: The metric of some samples by their indices; None where they have none.
        judge: The same with its interval, which takes longer and is asked for what is shown alone.
    """
    names, members = np.unique(_text(groups), return_inverse=True)
    order = np.argsort(members, kind="stable")
    ends = np.cumsum(np.bincount(members, minlength=len(names)))[:-1]
    scored: list[tuple[float, int, Rows]] = []
    for index, rows in enumerate(np.split(order, ends)):
        score = value(rows) if len(rows) >= LEAST_SAMPLES else None
        if score is not None:
            scored.append((score, index, rows))
    scored.sort(key=lambda group: group[:2])
    half = MOST_SHOWN // 2
    shown = scored if len(scored) <= MOST_SHOWN else [*scored[:half], *scored[-half:]]
    return GroupScores(
        measured=len(scored),
        left_out=len(names) - len(scored),
        groups=tuple(_group(str(names[index]), rows, judge(rows)) for _, index, rows in shown),
    )


def _text(groups: NDArray[np.generic]) -> NDArray[np.generic]:
    """Groups as they are, text of bytes decoded."""
    if groups.dtype.kind != "S":
        return groups
    return np.array([word.decode("utf-8", "replace") for word in groups.tolist()])


def _group(name: str, rows: Rows, judged: Accuracy) -> GroupScore:
    low, high = judged.objective_interval()
    return GroupScore(
        name=printable(name),
        samples=len(rows),
        score=judged.objective,
        low=low,
        high=high,
        numbers=judged.numbers,
    )
