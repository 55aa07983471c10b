"""Fits what one trip of each kernel loop costs, by non-negative least squares on relative errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from cost_models.cycles.paths import FEATURES

Coefficients = dict[str, tuple[float, ...]]

# Weight of what is expected of a loop, beside samples of weight 1: it decides only what they leave open.
_WHISPER = 0.001
_EXPECTED = {
    "operator": 300.0,
    "copy_instructions": 1.0,
    "fill_instructions": 1.0,
    # The portable kernels share their loops' bodies; these are the convolution's, which all shapes settle.
    "outputs": 80.0,
    "output_taps": 7.5,
    "columns_inside": 1.0,
    "taps_inside": 25.0,
    # No loop: what is fetched once.
    "fetched_weights": 0.0,
}

# Weight of the prior in `fit_ratios`, beside samples of weight 1: it decides only what samples leave open.
_PRIOR_WEIGHT = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measured operator: the path it took, how often that path's loops ran, and what it cost.

    Attributes:
        path: The kernel path.
        trips: Trip counts, in the order of `FEATURES[path]`.
        cost: Instructions or cycles.
        bare: The kernel was called by itself, without the interpreter's operator around it.
    """

    path: str
    trips: tuple[float, ...]
    cost: float
    bare: bool = False


def fit_paths(samples: Iterable[Sample]) -> Coefficients:
    """Cost per trip of each path, none of them negative, that best explains the samples.

    Errors are relative: an operator of a thousand instructions weighs as much as one of ten million. Bare
    kernels have a constant of their own in the place of the operator's; a path that was only ever measured
    bare takes the typical difference of the paths that were measured both ways.
    """
    by_path: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_path[sample.path].append(sample)
    fitted: Coefficients = {}
    around: dict[str, float] = {}
    only_bare: list[str] = []
    for path, seen in by_path.items():
        fixed = FEATURES[path].index("operator")
        rows = [_row(sample, fixed) for sample in seen]
        costs = np.asarray([sample.cost for sample in seen])
        solution = _solve(np.asarray(rows), costs, _expected(path))
        bare = float(solution[-1])
        values = [float(value) for value in solution[:-1]]
        if all(sample.bare for sample in seen):
            values[fixed] = bare
            only_bare.append(path)
        elif any(sample.bare for sample in seen):
            around[path] = values[fixed] - bare
        fitted[path] = tuple(values)
    for path in only_bare:
        fixed = FEATURES[path].index("operator")
        typical = _typical(around, path)
        fitted[path] = tuple(
            value + (typical if index == fixed else 0.0) for index, value in enumerate(fitted[path])
        )
    return fitted


def _row(sample: Sample, fixed: int) -> list[float]:
    check(sample.path, sample.trips)
    row = [*map(float, sample.trips), 0.0]
    if sample.bare:
        row[-1], row[fixed] = row[fixed], 0.0
    return row


def _typical(around: Mapping[str, float], path: str) -> float:
    kind = path.split("_", maxsplit=1)[0]
    alike = [value for other, value in around.items() if other.startswith(kind)] or list(around.values())
    return max(0.0, float(np.median(alike))) if alike else 0.0


def _solve(
    matrix: NDArray[np.float64], cost: NDArray[np.float64], expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    relative = np.vstack([matrix / cost[:, None] * expected, _WHISPER * np.eye(len(expected))])
    target = np.concatenate([np.ones(len(cost)), np.full(len(expected), _WHISPER)])
    solution, _ = nnls(relative, target, maxiter=500 * len(expected))
    result: NDArray[np.float64] = solution * expected
    return result


def _expected(path: str) -> NDArray[np.float64]:
    """Expected cost of a trip without samples: some hundred instructions a call, some ten a pass of a loop."""
    names = (*FEATURES[path], "operator")
    return np.asarray([_EXPECTED.get(name, 15.0) for name in names])


def fit_ratios(samples: Iterable[Sample], instructions: Coefficients) -> Coefficients:
    """Cycles per trip: instructions per trip times a ratio for each loop, close to the core's ratio.

    The ratio of a loop that no sample with cycles ran is its path's, that of a path without samples the
    core's.
    """
    by_path: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_path[sample.path].append(sample)
    overall = _ratio([sample for seen in by_path.values() for sample in seen], instructions)
    return {path: _ratios(by_path.get(path, ()), counts, overall) for path, counts in instructions.items()}


def _ratio(samples: Sequence[Sample], instructions: Coefficients) -> float:
    ratios = [sample.cost / np.dot(instructions[sample.path], sample.trips) for sample in samples]
    return float(np.median(ratios)) if ratios else 1.0


def _ratios(samples: Sequence[Sample], counts: tuple[float, ...], overall: float) -> tuple[float, ...]:
    if not samples:
        return tuple(overall * count for count in counts)
    parts = np.asarray([sample.trips for sample in samples], dtype=float) * np.asarray(counts)
    cost = np.asarray([sample.cost for sample in samples])
    typical = float(np.median(cost / parts.sum(axis=1)))
    prior = _PRIOR_WEIGHT * np.sqrt(len(cost)) * np.eye(len(counts))
    matrix = np.vstack([parts / cost[:, None], prior])
    target = np.concatenate([np.ones(len(cost)), typical * prior.sum(axis=1)])
    ratios, _ = nnls(matrix, target, maxiter=500 * len(counts))
    return tuple(float(ratio * count) for ratio, count in zip(ratios, counts, strict=True))


def check(path: str, trips: Sequence[float]) -> None:
    """Raises ValueError when a counter and its feature names disagree."""
    if len(FEATURES[path]) != len(trips):
        raise ValueError(f"{path}: {len(trips)} trip counts for {len(FEATURES[path])} features")
