"""The metric by group (speaker, person, machine, file): how it varies between those that a product will meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.model.metrics import ANOMALY_METRICS, METRICS, NUMBER_METRICS
from nas.model.policy import MetricName
from nas.model.regression import NumberError
from nas.model.words import counted

LEAST_SAMPLES = 5
"""Samples of a group from which on its metric is told."""

MOST_SHOWN = 20
"""Groups that are kept; of more the worst and the best, half each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScore:
    """The metric of one group.

    Attributes:
        name: Of the group.
        samples: Samples that are of it.
        score: The searched metric; of numbers, errors are set against those of the training mean on all samples.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        numbers: Of a regression, how far each number is off.
    """

    name: str
    samples: int
    score: float
    low: float
    high: float
    numbers: tuple[NumberError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScores:
    """The metric by group on one part of the data.

    Attributes:
        measured: Groups that have a metric.
        left_out: Groups that have none: too few samples, or of anomalies samples of one kind alone.
        groups: The worst first; of more than `MOST_SHOWN` the worst and the best.
    """

    measured: int
    left_out: int
    groups: tuple[GroupScore, ...]

    @property
    def worst(self) -> GroupScore:
        """The group of the lowest metric."""
        return self.groups[0]

    @property
    def best(self) -> GroupScore:
        """The group of the highest metric."""
        return self.groups[-1]


def group_scores(content: Mapping[str, Any] | None) -> GroupScores | None:
    """The scores of a result or manifest, as `dataclasses.asdict` writes them."""
    if content is None:
        return None
    return GroupScores(
        measured=content["measured"],
        left_out=content["left_out"],
        groups=tuple(
            GroupScore(**{**group, "numbers": tuple(NumberError(**one) for one in group["numbers"])})
            for group in content["groups"]
        ),
    )


def groups_text(scores: GroupScores, metric: MetricName) -> str:
    """The worst and the best group, and how many have no metric."""
    left = left_out_text(scores, metric)
    if scores.measured == 0:
        return left
    if scores.measured == 1:
        text = f"{scores.worst.name} alone with {_score_text(scores.worst, metric)}"
    else:
        text = (
            f"of {scores.measured:,} the worst is {scores.worst.name} with {_score_text(scores.worst, metric)},"
            f" the best {scores.best.name} with {_score_text(scores.best, metric)}"
        )
    return f"{text}; {left}" if left else text


def left_out_text(scores: GroupScores, metric: MetricName) -> str:
    """Why groups have no metric; empty where all have one."""
    if not scores.left_out:
        return ""
    kinds = " or without both normal and anomalous samples" if metric in ANOMALY_METRICS else ""
    verb = "is" if scores.left_out == 1 else "are"
    return (
        f"{counted(scores.left_out, 'group')} with fewer than {LEAST_SAMPLES} samples{kinds} {verb} left out"
    )


def rows_text(scores: GroupScores, metric: MetricName) -> list[tuple[str, int, str, str]]:
    """Name, samples, metric and 95 % interval of each group that is told, the worst first."""
    return [(group.name, group.samples, *_score(group, metric)) for group in scores.groups]


def column_title(scores: GroupScores, metric: MetricName) -> str:
    """The heading of the metric in those rows."""
    row = NUMBER_METRICS.get(metric)
    in_unit = row is not None and bool(scores.groups) and len(scores.worst.numbers) == 1
    return row.short if row is not None and in_unit else METRICS[metric].label


def _score_text(group: GroupScore, metric: MetricName) -> str:
    value, interval = _score(group, metric)
    row = NUMBER_METRICS.get(metric)
    named = f"{row.short} {value}" if row is not None and len(group.numbers) == 1 else value
    return f"{named} ({counted(group.samples, 'sample')}; {interval})"


def _score(group: GroupScore, metric: MetricName) -> tuple[str, str]:
    """The metric of a group and its interval; of a single number its error in the unit of the data."""
    row = NUMBER_METRICS.get(metric)
    if row is not None and len(group.numbers) == 1:
        number = group.numbers[0]
        return f"{getattr(number, row.name):.4g}", f"{number.low:.4g} to {number.high:.4g}"
    return f"{100 * group.score:.1f} %", f"{100 * group.low:.1f} to {100 * group.high:.1f} %"
