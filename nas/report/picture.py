"""The front's picture as data: points, limits, staircases and ticks of its three panels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nas.model.result import RunSummary, TrialSummary
from nas.report import facts
from nas.report.quantities import (
    CYCLES,
    ENERGY,
    FLASH,
    GAP,
    LATENCY,
    MACS,
    SRAM,
    Resource,
    cost_text,
    interval_text,
    percent,
)

KINDS = ("rejected", "evaluated", "front", "chosen")
_MARKS = (
    (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 1.0),
    (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, *(0.9 + step / 100 for step in range(11)), 0.995),
    tuple(step / 200 for step in range(201)),
    tuple(step / 1000 for step in range(1001)),
)
"""Accuracies worth a tick, from coarse to fine."""
_LANE = 0.16
"""Distance of the lane of untrained trials below the worst accuracy, as a share of the axis."""


def picture(summary: RunSummary) -> dict[str, Any] | None:
    """Everything the browser draws, colours apart; None when no trial has costs.

    Accuracy is drawn by the logarithm of its error, so that 98 and 99 % are as far apart as 80 and 90 %.
    """
    drawn = ("evaluated", "rejected")
    trials = [t for t in summary.trials if t.costs and t.state in drawn]
    if not trials:
        return None
    heights = Heights([a for t in trials if (a := facts.validation(t)[0]) is not None])
    kinds, limits, metric = _kinds(summary), facts.limits(summary), facts.metric(summary)
    resources = (SRAM, FLASH, *speeds(trials, limits))
    return {
        "panels": [_panel(resource, trials, kinds, heights, limits, metric) for resource in resources],
        "metric": metric,
        "y": heights.axis(untrained=any(facts.validation(t)[0] is None for t in trials)),
    }


def speeds(trials: Sequence[TrialSummary], limits: Mapping[str, float]) -> list[Resource]:
    """Resources drawn next to memory: those of latency, energy and cycles that are limited, else cycles, else MACs."""
    known = [
        r for r in (LATENCY, ENERGY, CYCLES) if any(t.known_costs.get(r.key) is not None for t in trials)
    ]
    limited = [resource for resource in known if resource.name in limits]
    return limited or ([CYCLES] if CYCLES in known else [MACS])


class Heights:
    """The vertical axis: where an accuracy lies, and its ticks.

    Args:
        accuracies: All that is drawn.
    """

    def __init__(self, accuracies: Sequence[float]) -> None:
        self.trained = bool(accuracies)
        errors = [1 - accuracy for accuracy in accuracies if accuracy < 1]
        self._floor = min(errors) / 2 if errors else 0.005
        at = [self.of(accuracy) for accuracy in accuracies] or [0.0, 1.0]
        self.low, self.high = min(at), max(at)
        if self.high - self.low < 0.3:
            middle = (self.high + self.low) / 2
            self.low, self.high = middle - 0.15, middle + 0.15
        self.lane = self.low - _LANE * (self.high - self.low)

    def of(self, accuracy: float | None) -> float:
        """Height of an accuracy, or of the lane of the untrained."""
        if accuracy is None:
            return self.lane
        return -math.log10(max(1 - accuracy, self._floor))

    def axis(self, *, untrained: bool) -> dict[str, Any]:
        """Range, ticks and lane."""
        span = self.high - self.low
        ticks: list[tuple[float, str]] = []
        for marks in _MARKS:
            ticks = self._ticks(marks, span)
            if len(ticks) >= 4:
                ticks = ticks[:: math.ceil(len(ticks) / 7)]
                break
        bottom, top = self.low - 0.08 * span, self.high + 0.07 * span
        if not self.trained:
            ticks, top = [], self.lane + 0.06 * span
        if untrained:
            ticks.insert(0, (self.lane, "not trained"))
            bottom = self.lane - 0.06 * span
        return {
            "range": [bottom, top],
            "values": [at for at, _ in ticks],
            "texts": [text for _, text in ticks],
            "trained": self.trained,
            "lane": (self.lane + self.low) / 2 if untrained else None,
        }

    def _ticks(self, marks: Sequence[float], span: float) -> list[tuple[float, str]]:
        """Ticks within the axis, each with room for its text."""
        kept: list[tuple[float, str]] = []
        for accuracy in marks:
            at = self.of(accuracy)
            inside = self.low - 0.03 * span <= at <= self.high + 0.03 * span
            if inside and (not kept or at - kept[-1][0] > 0.06 * span):
                kept.append((at, _accuracy_tick(accuracy)))
        return kept


def _accuracy_tick(accuracy: float) -> str:
    return f"{round(100 * accuracy, 2):g}{GAP}%"


def _kinds(summary: RunSummary) -> dict[int, str]:
    kinds = dict.fromkeys(summary.front, "front")
    if summary.chosen is not None:
        kinds[summary.chosen.number] = "chosen"
    return kinds


def _panel(
    resource: Resource,
    trials: Sequence[TrialSummary],
    kinds: Mapping[int, str],
    heights: Heights,
    limits: Mapping[str, float],
    metric: str,
) -> dict[str, Any]:
    shown = [trial for trial in trials if trial.known_costs.get(resource.key) is not None]
    points: dict[str, list[tuple[float, float, str, int]]] = {kind: [] for kind in KINDS}
    for trial in shown:
        own = "rejected" if trial.violations or trial.state == "rejected" else "evaluated"
        kind = kinds.get(trial.number, own)
        x = max(float(trial.known_costs[resource.key]), 1.0)
        height = heights.of(facts.validation(trial)[0])
        points[kind].append((x, height, hover(trial, kind, metric), trial.number))
    at = [point[0] for group in points.values() for point in group]
    limit = limits.get(resource.name)
    inside = limit is not None and is_near(limit, at)
    return {
        **scale(resource, [*at, limit] if inside and limit is not None else at),
        "limit": limit if inside else None,
        "limit_text": "" if limit is None else f"limit {resource.text(limit)}",
        "limit_beyond": limit is not None and not inside,
        "stairs": stairs([t for t in shown if kinds.get(t.number)], resource, heights),
        "points": {
            kind: {
                "x": [p[0] for p in g],
                "y": [p[1] for p in g],
                "text": [p[2] for p in g],
                "n": [p[3] for p in g],
            }
            for kind, g in points.items()
        },
    }


def is_near(limit: float, at: Sequence[float]) -> bool:
    """Whether a limit lies so near the points that it can be drawn beside them."""
    return bool(at) and min(at) / 2 <= limit <= 3 * max(at)


def scale(resource: Resource, at: Sequence[float], least: float = 2.0) -> dict[str, Any]:
    """A logarithmic axis of one resource.

    Args:
        resource: Its title and ticks.
        at: What has to lie on it.
        least: Room on both sides, as a factor, where the points hardly differ.
    """
    low, high = min(at, default=1.0), max(at, default=10.0)
    # A single point, or points that hardly differ, lie in the middle of an axis with round ticks.
    margin = max((high / low) ** 0.06, least if high < 1.2 * low else 1.04)
    low, high = low / margin, high * margin
    ticks = log_ticks(low, high, binary=resource.scale == "bytes")
    return {
        "title": f"{resource.label}, KB" if resource.scale == "bytes" else resource.label,
        "basis": resource.basis,
        "range": [math.log10(low), math.log10(high)],
        "values": ticks,
        "texts": tick_texts(resource, ticks),
    }


def stairs(trials: Sequence[TrialSummary], resource: Resource, heights: Heights) -> list[tuple[float, float]]:
    """The front's best accuracy at this cost or less, from left to right."""
    best = -1.0
    steps = []
    for trial in sorted(trials, key=lambda t: (t.known_costs[resource.key], -(facts.validation(t)[0] or 0))):
        accuracy = facts.validation(trial)[0]
        if accuracy is not None and accuracy > best:
            best = accuracy
            steps.append((max(float(trial.known_costs[resource.key]), 1.0), heights.of(best)))
    return steps


def hover(trial: TrialSummary, kind: str, metric: str) -> str:
    """The text of a trial's point; HTML that names of choices cannot break."""
    costs = trial.known_costs
    lines = [f"<b>Trial {trial.number}</b> · {kind}"]
    accuracy, engine = facts.validation(trial)
    if accuracy is None:
        lines.append("rejected before training")
    else:
        trained = "trained in full" if trial.rung == "full" else "short training"
        lines.append(f"{metric} {percent(accuracy)} (int8, validation, {engine}, {trained})")
    for resource in (SRAM, FLASH, CYCLES, LATENCY, MACS):
        if costs.get(resource.key) is not None:
            ends = interval_text(resource, costs)
            exact = f" ({resource.exact(costs[resource.key])})" if resource.scale == "bytes" else ""
            between = f" ({resource.between} {ends})" if ends and resource is not FLASH else exact
            lines.append(f"{resource.label} {cost_text(resource, costs)}{between}")
    lines.append("")
    lines += [f"{name} = {value}" for name, value in trial.params.items()]
    return "<br>".join([lines[0], *(escape(line) for line in lines[1:])])


def log_ticks(low: float, high: float, *, binary: bool) -> list[float]:
    """Three to six round values between `low` and `high`, for a logarithmic axis.

    Args:
        low: Lower end, above 0.
        high: Upper end.
        binary: Whether round means powers of two and multiples of 1024 (bytes), or of ten.
    """
    unit = 1024.0 if binary else 1.0
    base = 2.0 if binary else 10.0
    first, last = math.floor(math.log(low / unit, base)) - 1, math.ceil(math.log(high / unit, base)) + 1
    mantissas: tuple[tuple[float, ...], ...] = (
        ((1.0,), (1.0, 1.5)) if binary else ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0))
    )
    ticks: list[float] = []
    for marks in mantissas:
        ticks = [unit * mark * base**power for power in range(first, last + 1) for mark in marks]
        ticks = [value for value in ticks if low <= value <= high]
        if len(ticks) >= 3:
            return ticks if len(ticks) <= 6 else ticks[:: math.ceil(len(ticks) / 6)]
    return linear_ticks(low / unit, high / unit, unit)


def linear_ticks(low: float, high: float, unit: float = 1.0, most: int = 5) -> list[float]:
    """Up to `most` multiples of 1, 2 or 5 times a power of ten between `low` and `high`, times `unit`."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = next(power * mark for mark in (1, 2, 5, 10) if power * mark >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [unit * step * index for index in range(first, last + 1)]


def tick_texts(resource: Resource, ticks: Sequence[float]) -> list[str]:
    """Texts at the ticks of a resource's axis."""
    if resource.scale == "bytes":
        return [f"{tick / 1024:,.4g}" for tick in ticks]
    return [resource.text(tick) if resource.scale in ("time", "energy") else _short(tick) for tick in ticks]


def _short(value: float) -> str:
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.4g}{GAP}{unit}"
    return f"{value:.4g}"
