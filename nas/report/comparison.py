"""The words of a comparison of runs, for terminal and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.model.comparison import Change, ComparedRun, Comparison
from nas.model.metrics import METRICS, NUMBER_METRICS
from nas.model.words import counted
from nas.report.quantities import UNKNOWN, percent, resource_of

_LONGEST_VALUE = 120


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
    """The differences between the runs: kind, name, and a text for each run."""
    return [
        (change.kind, _change_name(change), [_change_text(change, value) for value in change.values])
        for change in comparison.changes
    ]


def _change_name(change: Change) -> str:
    """The name of what changed; of the configuration as its flag has it."""
    if change.kind == "budget":
        return resource_of(change.name).label
    return change.name.replace("_", "-") if change.kind == "configuration" else change.name.replace("_hz", "")


def _change_text(change: Change, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if change.kind == "budget":
            return resource_of(change.name).text(value)
        if change.name == "clock_hz":
            return f"{value / 1e6:g} MHz"
    return value_text(value)


def by_value(texts: Sequence[str], letters: Sequence[str]) -> str:
    """Each value with the runs that have it."""
    groups: dict[str, list[str]] = {}
    for letter, text in zip(letters, texts):
        groups.setdefault(text, []).append(letter)
    return "; ".join(f"{', '.join(who)}: {text}" for text, who in groups.items())


def test_texts(run: ComparedRun) -> tuple[str, str]:
    """The chosen model's accuracy on test data and its 95 % interval; of numbers the error, in the data's unit."""
    test = None if run.chosen is None else run.chosen.test_accuracy
    if test is None:
        return UNKNOWN, UNKNOWN
    if test.numbers:
        row, first, left = NUMBER_METRICS[run.metric], test.numbers[0], len(test.numbers) - 1
        text = f"{row.short} {first[row.name]:.4g}"
        if left:
            return f"{first['name']}: {text}, and {counted(left, 'other')}", UNKNOWN
        return text, f"{first['low']:.4g} to {first['high']:.4g}"
    if test.low is None or test.high is None:
        return percent(test.value), UNKNOWN
    return percent(test.value), f"{percent(test.low)} to {percent(test.high)}"


def score_of(run: ComparedRun) -> str:
    """The test value of the metric that a run was searched by, with its interval; empty for accuracy."""
    test = None if run.chosen is None else run.chosen.test_accuracy
    if run.metric == "accuracy" or test is None or test.score is None:
        return ""
    between = ""
    if test.score_low is not None and test.score_high is not None:
        between = f" ({percent(test.score_low)} to {percent(test.score_high)})"
    return f"{METRICS[run.metric].label} {percent(test.score)}{between}"


def headline(comparison: Comparison) -> str:
    """The comparison in one sentence; of two fronts, which is ahead."""
    runs = comparison.runs
    if not comparison.objectives:
        return f"{len(runs)} runs whose fronts are not comparable"
    if len(runs) != 2:
        return f"{len(runs)} runs and their fronts"
    first, second = runs
    lost, theirs = comparison.overlaps[0].dominated
    if not lost and not theirs:
        return "Neither front dominates a model of the other."
    if not theirs or not lost:
        ahead, behind, count = (second, first, lost) if lost else (first, second, theirs)
        of = f"{count} of {behind.letter}’s {behind.front}"
        return f"{ahead.letter} is ahead: it dominates {of} models, and loses none."
    return (
        f"Each is ahead somewhere: {second.letter} dominates {lost} of {first.letter}’s {first.front} models,"
        f" {first.letter} {theirs} of {second.letter}’s {second.front}."
    )


def front_title(comparison: Comparison) -> str:
    """The objectives in which the fronts are compared."""
    labels = [_label(name) for name in comparison.objectives]
    return f"validation {', '.join(labels[:-1])} and {labels[-1]}"


def dominated(comparison: Comparison) -> list[list[int | None]]:
    """A row for each run: how many models of its front each other run dominates, None for itself."""
    lost: dict[tuple[str, str], int] = {}
    for overlap in comparison.overlaps:
        first, second = overlap.runs
        lost[first, second], lost[second, first] = overlap.dominated
    return [[lost.get((letter, rival)) for rival in comparison.letters] for letter in comparison.letters]


def volume_text(comparison: Comparison) -> str:
    """The reference of the hypervolumes; empty where there are none."""
    if not comparison.reference:
        return ""
    best = ", ".join(map(_objective, comparison.best.items()))
    reference = ", ".join(map(_objective, comparison.reference.items()))
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
