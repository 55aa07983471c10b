"""Splits samples into train, val and test, stratified, and by group where groups are given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError

Indices = NDArray[np.int64]


def hold_out(
    labels: NDArray[np.generic],
    groups: NDArray[np.generic] | None,
    *,
    share: float,
    seed: int,
    name: str,
) -> tuple[Indices, Indices]:
    """Indices that stay and indices held out.

    Args:
        labels: One label a sample; each class is held out in proportion.
        groups: Subjects (persons, machines, recordings); no group is on both sides.
        share: Share of the samples to hold out.
        seed: Seed of the shuffle.
        name: The task, for messages.

    Raises:
        UserError: Too few samples of a class, or too few groups.
    """
    # scikit-learn takes a second to import, so only who splits pays for it.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedShuffleSplit

    blank = np.zeros(len(labels))
    if groups is not None:
        folds = max(2, round(1 / share))
        found = len(np.unique(groups))
        if found < folds:
            raise UserError(
                f"{name}: {found} groups are too few to hold out {share:.0%} of the samples by group.",
                f"Give at least {folds} groups, or the parts themselves (X_train, X_val, X_test).",
            )
        splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
        stay, held = next(iter(splitter.split(blank, labels, groups)))
        return stay.astype(np.int64), held.astype(np.int64)
    _, counts = np.unique(labels, return_counts=True)
    classes = len(counts)
    if counts.min() < 2 or round(len(labels) * share) < classes:
        raise UserError(
            f"{name}: {len(labels)} samples of {classes} classes are too few to split.",
            "Each part needs samples of each class: about 10 samples a class at the least.",
        )
    shuffle = StratifiedShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    stay, held = next(iter(shuffle.split(blank, labels)))
    return np.sort(stay).astype(np.int64), np.sort(held).astype(np.int64)
