"""The words of a comparison of runs, for terminal and page; it reads the comparison as JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.model.metrics import METRICS
from nas.report.quantities import UNKNOWN, percent, resource_of

_LONGEST_VALUE = 120
Comparison = Mapping[str, Any]


def value_text(value: Any) -> str:
    """A value of a configuration, as a flag would take it; other values in one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " x ".join(map(str, value)) or UNKNOWN
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value_text(entry)}" for name, entry in value.items()) or UNKNOWN
    text = UNKNOWN if value is None else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def change_rows(comparison: Comparison) -> list[tuple[str, str, list[str]]]:
    """In what the runs differ: kind, name, and a text for each run."""
    return [
        (change["kind"], _change_name(change), [_change_text(change, value) for value in change["values"]])
        for change in comparison["changes"]
    ]


def _change_name(change: Mapping[str, Any]) -> str:
    name = str(change["name"])
    return resource_of(name).label if change["kind"] == "budget" else name.replace("_hz", "")


def _change_text(change: Mapping[str, Any], value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if change["kind"] == "budget":
            return resource_of(change["name"]).text(value)
        if change["name"] == "clock_hz":
            return f"{value / 1e6:g} MHz"
    return value_text(value)


def by_value(texts: Sequence[str], letters: Sequence[str]) -> str:
    """Each value with the runs that have it."""
    groups: dict[str, list[str]] = {}
    for letter, text in zip(letters, texts):
        groups.setdefault(text, []).append(letter)
    return "; ".join(f"{', '.join(who)}: {text}" for text, who in groups.items())


def interval_of(test: Mapping[str, Any] | None) -> str:
    """The 95 % interval of a test accuracy."""
    if not test or test.get("low") is None or test.get("high") is None:
        return UNKNOWN
    return f"{percent(test['low'])} to {percent(test['high'])}"


def score_of(run: Mapping[str, Any]) -> str:
    """The test value of the metric that a run was searched by, with its interval; empty for accuracy."""
    test = (run["chosen"] or {}).get("test_accuracy") or {}
    metric = METRICS[run["metric"]]
    if run["metric"] == "accuracy" or test.get("score") is None:
        return ""
    ends = (test.get("score_low"), test.get("score_high"))
    between = "" if None in ends else f" ({percent(ends[0])} to {percent(ends[1])})"
    return f"{metric.label} {percent(test['score'])}{between}"


def headline(comparison: Comparison) -> str:
    """The comparison in one sentence; of two fronts, which is ahead."""
    runs = comparison["runs"]
    if not comparison["objectives"]:
        return f"{len(runs)} runs on different data"
    if len(runs) != 2:
        return f"{len(runs)} runs and their fronts"
    one, other = runs
    lost, theirs = comparison["overlaps"][0]["dominated"]
    if not lost and not theirs:
        return "Neither front dominates a model of the other."
    if not theirs or not lost:
        ahead, behind, count = (other, one, lost) if lost else (one, other, theirs)
        of = f"{count} of {behind['letter']}’s {behind['front']}"
        return f"{ahead['letter']} is ahead: it dominates {of} models, and loses none."
    return (
        f"Each is ahead somewhere: {other['letter']} dominates {lost} of {one['letter']}’s {one['front']} models,"
        f" {one['letter']} {theirs} of {other['letter']}’s {other['front']}."
    )


def front_title(comparison: Comparison) -> str:
    """In what the fronts are compared."""
    labels = [_label(name) for name in comparison["objectives"]]
    return f"validation {', '.join(labels[:-1])} and {labels[-1]}"


def dominated(comparison: Comparison) -> list[list[int | None]]:
    """A row for each run: how many models of its front each other run dominates, None for itself."""
    letters = [run["letter"] for run in comparison["runs"]]
    lost: dict[tuple[str, str], int] = {}
    for overlap in comparison["overlaps"]:
        one, other = overlap["runs"]
        lost[one, other], lost[other, one] = overlap["dominated"]
    return [[lost.get((letter, rival)) for rival in letters] for letter in letters]


def volume_text(comparison: Comparison) -> str:
    """The reference of the hypervolumes; empty where there are none."""
    if not comparison["reference"]:
        return ""
    best = ", ".join(map(_objective, comparison["best"].items()))
    reference = ", ".join(map(_objective, comparison["reference"].items()))
    return (
        f"Hypervolume is the share of the box from the best of all fronts ({best}) to the reference ({reference}),"
        " a tenth of the range beyond their worst."
    )


def _objective(named: tuple[str, float]) -> str:
    name, value = named
    return f"{_label(name)} {percent(value) if name in METRICS else resource_of(name).text(value)}"


def _label(name: str) -> str:
    """Within a sentence; SRAM and MACs stay as they are."""
    if name in METRICS:
        return METRICS[name].label
    label = resource_of(name).label
    return label.lower() if label[1:].islower() else label
