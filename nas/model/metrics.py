"""What is searched, chosen by and stated: one row a metric, each read from what the int8 bytes answer.

Metrics of classes are read from the confusion matrix, metrics of anomalies from the scores of normal and anomalous
samples, metrics of numbers from how far predictions are off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.model.policy import AskedMetricName, MetricName
from nas.model.regression import Numbers
from nas.model.statistics import Z95, wilson

Confusion = Sequence[Sequence[int]]  # rows are true classes, columns answers
Scores = NDArray[Any]  # whole or real numbers; the higher, the less normal

_DRAWS = 2000  # of the bootstrap
_TAIL = 0.025
_FALSE_ALARMS = 0.1  # up to which the partial area goes
_AREA_DRAWS = 200
_NUMBER_DRAWS = 400
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
    by_class = np.divide(2 * right, whole, out=np.zeros_like(right), where=there)
    return np.asarray(by_class.sum(axis=1) / np.maximum(there.sum(axis=1), 1))


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


def _auc(normal: Scores, anomalous: Scores) -> float:
    """Share of pairs in which the anomaly scores higher; a tie counts half."""
    return float(_placements(np.sort(normal), anomalous).mean())


def _placements(ordered: Scores, scores: Scores) -> NDArray[np.float64]:
    """The share of the others that lie below each score; equal ones count half."""
    below, upto = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    return np.asarray((below + upto) / (2.0 * len(ordered)))


def _delong(normal: Scores, anomalous: Scores) -> tuple[float, float]:
    """The interval of the area, on the scale of its logit so that it stays within 0 and 1.

    Source: E. R. DeLong et al., Biometrics 44 (1988), 837-845; for the logit M. S. Pepe, The Statistical Evaluation of
    Medical Tests (2003), 5.2.5. Without a variance, as where no pair is out of order, the samples of the
    rarer kind are counted as trials.
    """
    of_anomalous = _placements(np.sort(normal), anomalous)
    of_normal = 1.0 - _placements(np.sort(anomalous), normal)
    area = float(of_anomalous.mean())

    def variance(values: NDArray[np.float64]) -> float:
        return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0

    error = math.sqrt(variance(of_anomalous) + variance(of_normal))
    if error == 0.0:
        trials = min(len(normal), len(anomalous))
        return wilson(round(area * trials), trials)
    middle, half = math.log(area / (1.0 - area)), Z95 * error / (area * (1.0 - area))

    def share(logit: float) -> float:
        return 1.0 / (1.0 + math.exp(-logit)) if logit > -700 else 0.0

    return share(middle - half), share(middle + half)


def _partial_auc(normal: Scores, anomalous: Scores) -> float:
    """The area up to a false alarm rate of 0.1, scaled so that chance is 0.5 and the best 1.

    Source: D. K. McClish, Medical Decision Making 9 (1989), 190-195.
    """
    steps = np.unique(np.concatenate([normal, anomalous]))[::-1]
    alarms = 1.0 - np.searchsorted(np.sort(normal), steps, "left") / len(normal)
    hits = 1.0 - np.searchsorted(np.sort(anomalous), steps, "left") / len(anomalous)
    alarms, hits = np.concatenate([[0.0], alarms]), np.concatenate([[0.0], hits])
    last = int(np.searchsorted(alarms, _FALSE_ALARMS, "right"))
    rates = np.append(alarms[:last], _FALSE_ALARMS)
    heights = np.append(
        hits[:last], np.interp(_FALSE_ALARMS, alarms[last - 1 : last + 1], hits[last - 1 : last + 1])
    )
    area = float(np.trapezoid(heights, rates))
    least = _FALSE_ALARMS**2 / 2
    return 0.5 * (1.0 + (area - least) / (_FALSE_ALARMS - least))


def _partial_bootstrap(normal: Scores, anomalous: Scores) -> tuple[float, float]:
    """The percentile interval of samples drawn again within normal and anomalous ones; the same for the same scores."""
    rng = np.random.default_rng(0)
    drawn = [
        _partial_auc(rng.choice(normal, len(normal)), rng.choice(anomalous, len(anomalous)))
        for _ in range(_AREA_DRAWS)
    ]
    low, high = np.quantile(drawn, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def _skill(of: Callable[[Numbers], Numbers]) -> Callable[[Numbers, Numbers], Numbers]:
    """One minus an error as a share of that of the training mean, for each number."""

    def skill(errors: Numbers, usual: Numbers) -> Numbers:
        base = of(usual)
        return np.asarray(1.0 - np.divide(of(errors), base, out=np.ones_like(base), where=base > 0))

    return skill


def _root_mean_square(errors: Numbers) -> Numbers:
    return np.asarray(np.sqrt(np.square(errors).mean(axis=0)))


def _mean_square(errors: Numbers) -> Numbers:
    return np.asarray(np.square(errors).mean(axis=0))


def _mean_absolute(errors: Numbers) -> Numbers:
    return np.asarray(np.abs(errors).mean(axis=0))


def bootstrap_rows(count: int) -> Iterator[NDArray[np.int64]]:
    """Rows of samples drawn again, the same for the same number of them."""
    rng = np.random.default_rng(0)
    for _ in range(_NUMBER_DRAWS):
        yield rng.integers(0, count, count)


def ends(drawn: Sequence[float] | Numbers) -> tuple[float, float]:
    """The 95 % percentile interval of a bootstrap."""
    low, high = np.quantile(drawn, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric; the search maximizes it, 1 is the best, and 0 is chance or, of numbers, as good as their mean.

    Attributes:
        name: What the command line calls it.
        label: What people read.
        interval_name: What kind of interval its 95 % interval is.
        balances: Whether training weighs classes by the inverse of their number of samples.
        plain: Of which metric it is the mean of two values, of samples as they are and of disturbed ones (`--robust`).
    """

    name: MetricName
    label: str
    interval_name: str
    balances: bool = False
    plain: MetricName | None = None

    @property
    def robust(self) -> bool:
        """Whether disturbed samples count as well."""
        return self.plain is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMetric(Metric):
    """A metric of answers that are classes.

    Attributes:
        of: Its value.
        interval: The ends of its 95 % interval.
    """

    of: Callable[[Confusion], float]
    interval: Callable[[Confusion], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyMetric(Metric):
    """A metric of scores that tell anomalous from normal samples; chance is 0.5.

    Attributes:
        of: Its value, of the scores of normal and of anomalous samples.
        interval: The ends of its 95 % interval.
    """

    of: Callable[[Scores, Scores], float]
    interval: Callable[[Scores, Scores], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberMetric(Metric):
    """A metric of predicted numbers.

    What is searched is a skill: 1 without an error, 0 where the mean of the training samples does as well. Several
    numbers count alike, whatever their units.

    Attributes:
        short: What people call its value in the unit of the data.
        skill: Of the errors, and of those of the training mean. Shape: (n, k), (n, k) -> (k,).
        of: Its value in the unit of the data, of errors and of those of the training mean. Shape: as above.
        has_unit: Whether the value is in the unit of the data.
    """

    short: str
    skill: Callable[[Numbers, Numbers], Numbers]
    of: Callable[[Numbers, Numbers], Numbers]
    has_unit: bool = True
    interval_name: str = "bootstrap interval"  # of all of them


CLASS_METRICS: dict[str, ClassMetric] = {
    row.name: row
    for row in (
        ClassMetric(
            name="accuracy",
            label="accuracy",
            of=_accuracy,
            interval=_wilson,
            interval_name="Wilson interval",
        ),
        ClassMetric(
            name="balanced_accuracy",
            label="balanced accuracy",
            of=_balanced_accuracy,
            interval=_mean_of_wilsons,
            interval_name="interval of the mean recall",
            balances=True,
        ),
        ClassMetric(
            name="macro_f1",
            label="macro F1",
            of=_macro_f1,
            interval=_bootstrap,
            interval_name="bootstrap interval",
            balances=True,
        ),
    )
}

ANOMALY_METRICS: dict[str, AnomalyMetric] = {
    row.name: row
    for row in (
        AnomalyMetric(
            name="auc",
            label="ROC AUC",
            of=_auc,
            interval=_delong,
            interval_name="DeLong interval",
        ),
        AnomalyMetric(
            name="partial_auc",
            label="partial ROC AUC",
            of=_partial_auc,
            interval=_partial_bootstrap,
            interval_name="bootstrap interval",
        ),
    )
}

NUMBER_METRICS: dict[str, NumberMetric] = {
    row.name: row
    for row in (
        NumberMetric(
            name="rmse",
            label="RMSE skill",
            short="RMSE",
            skill=_skill(_root_mean_square),
            of=lambda errors, usual: _root_mean_square(errors),
        ),
        NumberMetric(
            name="mae",
            label="MAE skill",
            short="MAE",
            skill=_skill(_mean_absolute),
            of=lambda errors, usual: _mean_absolute(errors),
        ),
        NumberMetric(
            name="r2",
            label="R2",
            short="R2",
            skill=_skill(_mean_square),
            of=_skill(_mean_square),
            has_unit=False,
        ),
    )
}

_ROBUST: dict[MetricName, MetricName] = {
    "accuracy": "robust_accuracy",
    "balanced_accuracy": "robust_balanced_accuracy",
    "macro_f1": "robust_macro_f1",
}
CLASS_METRICS |= {
    name: replace(
        CLASS_METRICS[plain],
        name=name,
        label=f"robust {CLASS_METRICS[plain].label}",
        interval_name=f"mean {CLASS_METRICS[plain].interval_name}",
        plain=plain,
    )
    for plain, name in _ROBUST.items()
}

METRICS: dict[str, Metric] = {**CLASS_METRICS, **ANOMALY_METRICS, **NUMBER_METRICS}


def robust_metric(name: MetricName) -> MetricName:
    """The metric that counts disturbed samples as well, of a metric of classes."""
    return _ROBUST[name]


def plain_metric(name: MetricName) -> MetricName:
    """The metric of samples as they are that a metric is made of: mostly itself."""
    return METRICS[name].plain or name


def metric_for(counts: Sequence[int]) -> tuple[AskedMetricName, str]:
    """The metric that fits the training samples of each class, and a sentence where it is not accuracy."""
    most, least = max(counts), max(min(counts), 1)
    if most <= _MOST_IMBALANCE * least:
        return "accuracy", ""
    return (
        "balanced_accuracy",
        f"Classes are unbalanced ({most:,} to {least:,} training samples): the search goes by balanced accuracy, the"
        " mean recall of all classes, and training weighs classes alike. --metric accuracy counts samples alike.",
    )
