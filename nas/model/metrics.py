"""What is searched, chosen by and stated: one row a metric, each read from the confusion matrix of the int8 bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.model.policy import MetricName
from nas.model.statistics import wilson

Confusion = Sequence[Sequence[int]]  # rows are true classes, columns answers

_DRAWS = 2000  # of the bootstrap
_TAIL = 0.025
_MOST_IMBALANCE = 3.0  # samples of the largest class to those of the smallest, beyond which accuracy misleads


def _accuracy(table: Confusion) -> float:
    total = sum(map(sum, table))
    return sum(row[i] for i, row in enumerate(table)) / total if total else 0.0


def _balanced_accuracy(table: Confusion) -> float:
    recalls = [row[i] / sum(row) for i, row in enumerate(table) if sum(row)]
    return sum(recalls) / len(recalls) if recalls else 0.0


def _macro_f1(table: Confusion) -> float:
    counts = np.asarray(table, np.float64)
    return float(_f1(counts[None])[0])


def _f1(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Macro F1 of many tables; classes without samples and without answers are left out. Shape: (n, c, c)."""
    right = np.diagonal(tables, axis1=1, axis2=2)
    whole = tables.sum(axis=1) + tables.sum(axis=2)
    there = whole > 0
    each = np.divide(2 * right, whole, out=np.zeros_like(right), where=there)
    return np.asarray(each.sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def _wilson(table: Confusion) -> tuple[float, float]:
    return wilson(sum(row[i] for i, row in enumerate(table)), sum(map(sum, table)))


def _mean_of_wilsons(table: Confusion) -> tuple[float, float]:
    """The interval of a mean of independent proportions from the interval of each.

    Source: G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008), 1693-1702 (MOVER).
    """
    below = above = 0.0
    rows = [(row[i], sum(row)) for i, row in enumerate(table) if sum(row)]
    for right, total in rows:
        low, high = wilson(right, total)
        below += (right / total - low) ** 2
        above += (high - right / total) ** 2
    mean, count = _balanced_accuracy(table), max(len(rows), 1)
    return max(0.0, mean - math.sqrt(below) / count), min(1.0, mean + math.sqrt(above) / count)


def _bootstrap(table: Confusion) -> tuple[float, float]:
    """The percentile interval of tables that are drawn again, sample by sample; the same for the same table."""
    counts = np.asarray(table, np.int64)
    total = int(counts.sum())
    if total == 0:
        return 0.0, 1.0
    drawn = np.random.default_rng(0).multinomial(total, counts.ravel() / total, size=_DRAWS)
    low, high = np.quantile(_f1(drawn.reshape(_DRAWS, *counts.shape).astype(np.float64)), [_TAIL, 1 - _TAIL])
    return float(low), float(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric; all lie between 0 and 1, and more is better.

    Attributes:
        name: What the command line calls it.
        label: What people read.
        of: Its value.
        interval: The ends of its 95 % interval.
        interval_name: What kind of interval that is.
        balances: Whether training weighs classes by the inverse of their number of samples.
    """

    name: MetricName
    label: str
    of: Callable[[Confusion], float]
    interval: Callable[[Confusion], tuple[float, float]]
    interval_name: str
    balances: bool


METRICS: dict[str, Metric] = {
    row.name: row
    for row in (
        Metric(
            name="accuracy",
            label="accuracy",
            of=_accuracy,
            interval=_wilson,
            interval_name="Wilson interval",
            balances=False,
        ),
        Metric(
            name="balanced_accuracy",
            label="balanced accuracy",
            of=_balanced_accuracy,
            interval=_mean_of_wilsons,
            interval_name="interval of the mean recall",
            balances=True,
        ),
        Metric(
            name="macro_f1",
            label="macro F1",
            of=_macro_f1,
            interval=_bootstrap,
            interval_name="bootstrap interval",
            balances=True,
        ),
    )
}


def metric_for(counts: Sequence[int]) -> tuple[MetricName, str]:
    """The metric that fits the training samples of each class, and a sentence where it is not accuracy."""
    most, least = max(counts), max(min(counts), 1)
    if most <= _MOST_IMBALANCE * least:
        return "accuracy", ""
    return (
        "balanced_accuracy",
        f"Classes are unbalanced ({most:,} to {least:,} training samples): the search goes by balanced accuracy, the"
        " mean recall of all classes, and training weighs classes alike. --metric accuracy counts samples alike.",
    )
