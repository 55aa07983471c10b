"""Fits instructions per trip of every kernel path by non-negative least squares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from cost_models.cycles.paths import FEATURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measured operator: the path it took, how often that path's loops ran, and what it cost."""

    path: str
    trips: tuple[int, ...]
    cost: float
    group: str = ""


def fit_paths(samples: Iterable[Sample]) -> dict[str, tuple[float, ...]]:
    """Cost per trip of each path, none of them negative, that best explains the samples.

    Errors are relative: an operator of a thousand instructions weighs as much as one of ten million.

    Returns:
        For each path seen, one coefficient per feature in the order of `FEATURES[path]`; a feature that never
        occurs in the samples gets 0.
    """
    by_path: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_path[sample.path].append(sample)
    return {path: _solve([s.trips for s in seen], [s.cost for s in seen]) for path, seen in by_path.items()}


def _solve(trips: Sequence[tuple[int, ...]], costs: Sequence[float]) -> tuple[float, ...]:
    matrix = np.asarray(trips, dtype=float)
    cost = np.asarray(costs, dtype=float)
    matrix = matrix / cost[:, None]
    scale = np.sqrt((matrix**2).sum(axis=0))
    scale[scale == 0] = 1.0
    solution, _ = nnls(matrix / scale, np.ones(len(cost)), maxiter=200 * matrix.shape[1])
    return tuple(float(value) for value in solution / scale)


def check(path: str, trips: tuple[int, ...]) -> None:
    """Raises ValueError when a counter and its feature names disagree."""
    if len(FEATURES[path]) != len(trips):
        raise ValueError(f"{path}: {len(trips)} trip counts for {len(FEATURES[path])} features")
