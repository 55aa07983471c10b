"""The fronts of several runs in one picture, as data for the drawing script of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nas.model.result import RunSummary, TrialSummary
from nas.report import facts
from nas.report.picture import Heights, hover, is_near, scale, speeds, stairs
from nas.report.quantities import FLASH, SRAM, Resource

_LONGEST_NAME = 30
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "pentagon")
_LEAST_ROOM = 1.05  # beside points that hardly differ: small differences are what is looked for here
COLOURS = 6  # that the style has for runs; more runs repeat them with other symbols


def overlay(
    letters: Sequence[str],
    names: Sequence[str],
    summaries: Sequence[RunSummary],
    *,
    memory_alone: bool,
) -> dict[str, Any] | None:
    """Everything the browser draws, colours apart; None when no front has a model.

    Args:
        letters: Of the runs.
        names: Of the runs, for the legend.
        summaries: Of the runs, which go by one metric.
        memory_alone: Leave out what means something else on another target.
    """
    fronts = [[trial for trial in facts.front(one) if trial.costs] for one in summaries]
    drawn = [trial for front in fronts for trial in front]
    if not drawn:
        return None
    heights = Heights([a for trial in drawn if (a := facts.validation(trial)[0]) is not None])
    limits, metric = [facts.limits(one) for one in summaries], facts.metric(summaries[0])
    together = {name: limit for own in limits for name, limit in own.items()}
    resources = (SRAM,) if memory_alone else (SRAM, FLASH, *speeds(drawn, together))
    chosen = [None if one.chosen is None else one.chosen.number for one in summaries]
    return {
        "panels": [
            _panel(resource, letters, fronts, chosen, heights, limits, metric) for resource in resources
        ],
        "metric": metric,
        "y": heights.axis(untrained=False),
        "runs": [
            {
                "letter": letter,
                "name": f"{letter} {escape(_end(name))}",
                "symbol": _SYMBOLS[(place + place // COLOURS) % len(_SYMBOLS)],
                "colour": f"--run-{place % COLOURS}",
            }
            for place, (letter, name) in enumerate(zip(letters, names))
        ],
    }


def _end(name: str) -> str:
    """The end of a path, which tells runs apart."""
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"


def _panel(
    resource: Resource,
    letters: Sequence[str],
    fronts: Sequence[Sequence[TrialSummary]],
    chosen: Sequence[int | None],
    heights: Heights,
    limits: Sequence[Mapping[str, float]],
    metric: str,
) -> dict[str, Any]:
    points, lines = {}, {}
    at: list[float] = []
    for letter, front, star in zip(letters, fronts, chosen):
        shown = [trial for trial in front if trial.known_costs.get(resource.key) is not None]
        x = [max(float(trial.known_costs[resource.key]), 1.0) for trial in shown]
        kinds = ["chosen" if trial.number == star else "front" for trial in shown]
        at += x
        points[letter] = {
            "x": x,
            "y": [heights.of(facts.validation(trial)[0]) for trial in shown],
            "text": [f"<b>{letter}</b> " + hover(trial, kind, metric) for trial, kind in zip(shown, kinds)],
            "star": [kind == "chosen" for kind in kinds],
        }
        lines[letter] = stairs(shown, resource, heights)
    near, beyond = _limits(resource, letters, limits, at)
    return {
        **scale(resource, [*at, *(limit["at"] for limit in near)], _LEAST_ROOM),
        "limits": near,
        "beyond": beyond,
        "lines": lines,
        "points": points,
    }


def _limits(
    resource: Resource, letters: Sequence[str], limits: Sequence[Mapping[str, float]], at: Sequence[float]
) -> tuple[list[dict[str, Any]], str]:
    """The limits that can be drawn, equal ones as one; and those too far away, in words."""
    owners: dict[float, list[str]] = {}
    for letter, own in zip(letters, limits):
        if resource.name in own:
            owners.setdefault(own[resource.name], []).append(letter)
    near: list[dict[str, Any]] = []
    far: list[str] = []
    for value, who in sorted(owners.items()):
        of = "" if len(who) == len(letters) else f" {', '.join(who)}"
        text = f"limit{of} {resource.text(value)}"
        if is_near(value, at):
            # One after the other on several lines, or their texts would lie over each other.
            near.append({"at": value, "text": text, "line": len(near)})
        else:
            far.append(text)
    return near, f"{', '.join(far)}, outside" if far else ""
