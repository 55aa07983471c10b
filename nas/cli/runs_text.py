"""The output of `nas-runs`: runs as a table, one run, and runs side by side."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from cost_models.folded import folded
from nas.cli.columns import Column, table_lines
from nas.model.metrics import METRICS
from nas.model.words import printable
from nas.report.comparison import (
    by_value,
    change_rows,
    dominated,
    front_title,
    score_of,
    test_texts,
    value_text,
    volume_text,
)
from nas.report.quantities import FLASH, GAP, LATENCY, SRAM, UNKNOWN, percent, resource_of, seconds

if TYPE_CHECKING:
    from nas.model.comparison import Comparison
    from nas.run.stored_run import RunEntry, StoredRun

_NAME = 11  # columns before the text of a line
_CHANGE = 18  # the same, of a line that says what changed
_LONGEST_NAME, _LONGEST_TASK = 36, 28  # of a folder and a task in a terminal's table


def list_lines(entries: Sequence[RunEntry]) -> list[str]:
    """A row for each run; the columns that people miss least are on the right."""
    return table_lines(
        (
            Column("Run", [entry.name for entry in entries], right=False, most=_LONGEST_NAME),
            Column("Started", [_local(entry.time) for entry in entries], right=False),
            Column("State", [entry.state for entry in entries], right=False),
            Column("Test", [percent(entry.test_score) for entry in entries]),
            *_metrics(entries),
            Column("SRAM", [SRAM.text(entry.sram_bytes) for entry in entries]),
            Column("Flash", [FLASH.text(entry.flash_bytes) for entry in entries]),
            Column("Target", [entry.target for entry in entries], right=False, most=_LONGEST_TASK),
            Column("Budget", [entry.budget or UNKNOWN for entry in entries], right=False),
            Column("Trainings", [_count(entry.trainings) for entry in entries]),
            Column("Task", [entry.task for entry in entries], right=False, most=_LONGEST_TASK),
        )
    )


def _metrics(entries: Sequence[RunEntry]) -> Iterator[Column]:
    """The metric of each figure on test data, where some are not accuracies."""
    labels = ["" if entry.test_score is None else METRICS[entry.metric].label for entry in entries]
    if any(label not in ("", METRICS["accuracy"].label) for label in labels):
        yield Column("Metric", labels, right=False)


def _local(time: datetime | None) -> str:
    """A time on this machine's clock, as the names of run folders have it."""
    return UNKNOWN if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M")


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def show_lines(run: StoredRun) -> Iterator[str]:
    """What a run is, what came out, and where it lies; a damaged result can raise anything."""
    entry = run.entry
    yield _line("run", printable(str(run.path)))
    yield _line("started", _local(entry.time))
    yield _line("state", _state(run))
    yield _line("task", entry.task)
    yield _line("target", _target(run))
    changed = run.changed()
    if changed:
        yield "configuration that differs from the defaults"
    for name, (value, default) in changed.items():
        usual = "" if default is None else f" (default {value_text(default)})"
        yield f"  {name.replace('_', '-'):<15} {value_text(value)}{usual}"
    yield _line("versions", ", ".join(f"{name} {version}" for name, version in run.versions.items()))
    for line in ((run.content or {}).get("data") or {}).get("lines", ()):
        yield _line("data", str(line))
    yield _line("data", f"digest {run.data_sha256[:12]}")
    if run.content is None:
        yield _line("result", f"none yet; nas-run --resume {printable(str(run.path))} goes on")
    else:
        yield ""
        yield from _verdict(run)
    for name, file in (("report", run.folder.report_file), ("bundle", run.folder.bundle)):
        if file.exists():
            yield f"{name} {printable(str(file))}"


def _line(name: str, text: str) -> str:
    return _folded(f"{name:<{_NAME}} {text}", _NAME + 1)


def _state(run: StoredRun) -> str:
    count = run.entry.trainings
    ended = "" if count is None else f", {count:,} {'training' if count == 1 else 'trainings'}"
    if run.content is None:
        return f"{run.entry.state}{ended}"
    summary = run.summary
    return f"{run.entry.state}{ended} in {seconds(summary.seconds)}"


def _target(run: StoredRun) -> str:
    if run.content is None:
        return f"{run.entry.target}, {run.entry.budget or 'its own limits'}"
    summary = run.summary
    limits = [(resource_of(limit.resource), limit.limit) for limit in summary.budget]
    said = ", ".join(f"{resource.label} {resource.text(limit)}" for resource, limit in limits)
    return f"{summary.target.name or run.entry.target}: {said}"


def _verdict(run: StoredRun) -> Iterator[str]:
    """The front and the verdict, as nas-run prints them."""
    from rich.console import Console

    from nas.report import print_boards, print_front

    page = io.StringIO()
    real = Console()
    console = Console(
        file=page,
        width=real.width,
        force_terminal=real.is_terminal,
        color_system="auto" if real.is_terminal else None,
    )
    print_front(run.summary, console)
    if run.summary.boards:
        print_boards(run.summary, console)
    yield page.getvalue().rstrip("\n")


def compare_lines(comparison: Comparison) -> Iterator[str]:
    """The changes, the chosen models side by side, the fronts over each other."""
    from nas.run.stored_run import start_time

    for run in comparison.runs:
        yield f"{run.letter}  {printable(run.path)}, {_local(start_time(run.started))}, {run.state}"
    for note in comparison.notes:
        yield folded(f"note: {note}", sys.stdout, indent=6)
    yield ""
    changes = change_rows(comparison)
    yield "What changed" if changes else "Nothing changed: the same configuration, data and versions."
    for kind, name, texts in changes:
        title = name if kind == "configuration" else f"{kind} {name}"
        yield _folded(f"  {title:<{_CHANGE}} {by_value(texts, comparison.letters)}", _CHANGE + 3)
    yield ""
    yield "Chosen models"
    for line in table_lines(_chosen_columns(comparison)):
        yield f"  {line}"
    if not comparison.objectives:
        return
    yield ""
    yield f"Fronts by {front_title(comparison)}"
    for line in table_lines(_front_columns(comparison)):
        yield f"  {line}"
    yield _folded(volume_text(comparison), 0)


def _folded(text: str, indent: int) -> str:
    """The text with numbers on the line of their units."""
    return folded(text, sys.stdout, indent=indent).replace(GAP, " ")


def _chosen_columns(comparison: Comparison) -> Iterator[Column]:
    runs = comparison.runs
    tests = [test_texts(run) for run in runs]
    yield Column("", comparison.letters, right=False)
    yield Column("Trial", [UNKNOWN if run.chosen is None else str(run.chosen.number) for run in runs])
    yield Column("Test", [text for text, _ in tests])
    yield Column("95 % interval", [interval for _, interval in tests])
    scores = [score_of(run) for run in runs]
    if any(scores):
        yield Column("Searched by", [score or "accuracy" for score in scores], right=False)
    for resource in (SRAM, FLASH, LATENCY):
        costs = [{} if run.chosen is None else run.chosen.costs for run in runs]
        yield Column(resource.label, [resource.text(known.get(resource.key)) for known in costs])


def _front_columns(comparison: Comparison) -> Iterator[Column]:
    runs, lost = comparison.runs, dominated(comparison)
    yield Column("", comparison.letters, right=False)
    yield Column("Models", [str(run.front) for run in runs])
    yield Column("Hypervolume", [percent(run.hypervolume) for run in runs])
    for place, run in enumerate(runs):
        heading = f"{'by' if place else 'Dominated by'} {run.letter}"
        yield Column(heading, ["·" if row[place] is None else str(row[place]) for row in lost])
