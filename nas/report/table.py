"""The Pareto front and the verdict on stdout."""

from __future__ import annotations

from textwrap import TextWrapper

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas.model.result import ChosenSummary, RunSummary, TrialSummary
from nas.report import facts
from nas.report.boards import boards
from nas.report.quantities import (
    CYCLES,
    ENERGY,
    FLASH,
    GAP,
    LATENCY,
    MACS,
    SRAM,
    UNKNOWN,
    choices,
    cost_text,
    percent,
    sentence,
)
from nas.report.uses import tight, unused, uses
from nas.report.verdict import headline
from nas.runtimes.reference import NOT_BY_TFLM

_COLUMNS = (SRAM, FLASH, CYCLES, LATENCY, ENERGY, MACS)
_GAP = 3
"""Padding and divider of a column."""
_NAME_WIDTH = 17
"""Columns before the text of a row of the verdict."""
_LEAST_ROOM = 24
"""Characters below which the choices of a trial are not worth a column."""


def print_front(summary: RunSummary, console: Console) -> None:
    """Print the front as a table, the chosen row marked, and a verdict of a few lines."""
    members = facts.front(summary)
    if members:
        console.print(_table(summary, members, console.width))
    # A terminal would break a long line within words; a file keeps it whole.
    wrap = TextWrapper(
        console.width if console.is_terminal else 10**6,
        subsequent_indent=" " * _NAME_WIDTH,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in verdict(summary):
        for part in wrap.wrap(line.replace(GAP, " ")):
            console.print(part.rstrip(), markup=False, highlight=False, soft_wrap=True)


def print_boards(summary: RunSummary, console: Console) -> None:
    """The boards of a run for several side by side: the choice, its accuracy, and what it takes of each limit."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{sentence(facts.metric(summary))} on test data, and what the choice for each board takes",
        title_justify="left",
        pad_edge=False,
    )
    for heading in ("Board", "Trial", sentence(facts.metric(summary)), "SRAM", "Flash", "Latency", "Front"):
        table.add_column(heading, justify="left" if heading == "Board" else "right", no_wrap=True)
    for row in boards(summary):
        takes = {use.resource.name: use for use in row.uses}
        cells = [
            UNKNOWN
            if use is None
            else use.text
            if use.share is None
            else f"{use.text}, {percent(use.share, 0)}"
            for use in (takes.get(name) for name in ("sram", "flash", "latency"))
        ]
        trial = UNKNOWN if row.trial is None else str(row.trial)
        score = UNKNOWN if row.score is None else percent(row.score)
        table.add_row(row.name, trial, score, *(cell.replace(GAP, " ") for cell in cells), str(row.front))
    console.print(table)


def _table(summary: RunSummary, members: list[TrialSummary], width: int) -> Table:
    """The table; what has no room is left out from the right, so that no number is ever cut."""
    chosen = summary.chosen and summary.chosen.number
    columns = [
        ("Trial", [f"{'* ' if trial.number == chosen else ''}{trial.number}" for trial in members]),
        (sentence(facts.metric(summary)), [percent(facts.validation(trial)[0]) for trial in members]),
    ]
    for resource in _COLUMNS:
        values = [trial.known_costs.get(resource.key) for trial in members]
        if any(value is not None for value in values):
            columns.append((resource.label, [cost_text(resource, trial.known_costs) for trial in members]))
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"Pareto front (* chosen), {facts.metric(summary)} on validation data",
        title_justify="left",
        pad_edge=False,
    )
    room = width - 2
    shown = []
    for heading, cells in columns:
        room -= max(map(len, (heading, *cells))) + _GAP
        if room < 0:
            break
        shown.append([cell.replace(GAP, " ") for cell in cells])
        table.add_column(heading, justify="right", no_wrap=True)
    room -= _GAP
    if room >= _LEAST_ROOM:
        table.add_column("Choices", overflow="ellipsis", no_wrap=True, max_width=room)
        shown.append([escape(choices(trial.params)) for trial in members])
    for trial, row in zip(members, zip(*shown, strict=True), strict=True):
        table.add_row(*row, style="bold green" if trial.number == chosen else "")
    return table


def verdict(summary: RunSummary) -> list[str]:
    """What was chosen, how good it is and what it takes of each limit, a line each."""
    lines = [headline(summary)]
    chosen = summary.chosen
    if chosen is None:
        lines += [
            f"Closest miss: trial {miss.trial.number}, {'; '.join(miss.reasons)}"
            for miss in facts.closest_misses(summary, most=1)
        ]
        lines += [f"{times} failed: {reason}" for reason, times in facts.failures(summary)[:3]]
        return lines
    rows = [
        ("Chosen", f"trial {chosen.number} {_of_trials(summary)}"),
        ("Policy", str(chosen.policy)),
        (
            facts.tested(summary),
            f"{facts.accuracy_text(chosen.tested)}, int8, measured{_by(chosen)}",
        ),
        *([] if facts.metric(summary) == "accuracy" else [("Searched by", facts.score_text(summary))]),
        *([("Validation", text)] if (text := facts.validation_text(summary)) else []),
        *([("Folds", text)] if (text := facts.folds_text(summary)) else []),
        *([("By group", text)] if (text := facts.group_text(summary)) else []),
        *([("Trained on", text)] if (text := facts.trained_on_text(summary)) else []),
        *([("Began from", text)] if (text := facts.began_from_text(summary)) else []),
        *([("Quantization", text)] if (text := facts.quantization_text(summary)) else []),
        *([("Threshold", text)] if (text := facts.anomaly_text(summary)) else []),
        *([("Robustness", text)] if (text := facts.robustness_text(chosen, most=2)) else []),
        *([("Not verified", NOT_BY_TFLM)] if _by(chosen) else []),
        *(("Warning", text) for text in chosen.warnings),
    ]
    limits = uses(summary, chosen.costs)
    for use in limits:
        text = f"{use.text}, {use.verdict}" if use.value is not None and use.verdict else use.text
        rows.append((use.resource.label, f"{text} [{use.basis}]"))
    rows += [
        ("Note", f"{use.resource.label} fits, but the upper end of its interval does not")
        for use in tight(limits)
    ]
    rows += [("Duty cycle", text) for text in facts.duty_lines(chosen)[:1]]
    rows += [("Left unused", text) for text in unused(summary, limits)]
    rows += [("Front end", note) for note in facts.front_end_notes(summary)]
    if shares := facts.worker_time(summary):
        rows.append(("Worker time", shares))
    if chosen.npu:
        rows += [("On the NPU", text) for text in facts.npu_lines(chosen.npu)]
    return lines + [f"  {name:<{_NAME_WIDTH - 3}} {text}" for name, text in rows]


def _by(chosen: ChosenSummary) -> str:
    """Who measured where it was not TFLM's interpreter, which is what people take for granted."""
    engine = chosen.tested.engine
    return "" if engine == "tflm" else f" by {facts.engine_title(engine)}"


def _of_trials(summary: RunSummary) -> str:
    counted = facts.counts_by_state(summary)
    parts = ", ".join(f"{times} {state}" for state, times in counted.items())
    return f"of {sum(counted.values())} trials ({parts})"
