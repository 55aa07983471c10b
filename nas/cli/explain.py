"""`nas-run --explain`: what a budget admits of each search space, in words, as JSON, as a page."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.errors import UserError
from cost_models.folded import folded
from nas.cli.exit_codes import DONE, NOTHING_FEASIBLE
from nas.report import explained
from nas.report.quantities import GAP

if TYPE_CHECKING:
    from rich.console import Console

    from nas.model.explanation import ExplainedSpace, Explanation
    from nas.run.config import RunConfig


def explain_run(config: RunConfig, values: Mapping[str, Any], page: str, *, as_json: bool) -> int:
    """Looks, prints, and writes the page where one is asked for.

    Args:
        config: The run.
        values: What was given, by key: without a space, all are looked at.
        page: An HTML file; empty for none. Of several boards each has one, with its name behind the file's.
        as_json: Print JSON instead of words.

    Returns:
        The exit code: 3 where nothing fits one of the boards.

    Raises:
        UserError: Something that was given cannot be used.
    """
    from nas.run.explain import SECONDS, explain

    file = _page_file(page)
    spaces = [config.space] if "space" in values else None
    boards = config.boards()
    explanations = [
        explain(config.on(board), spaces=spaces, seconds=SECONDS / len(boards), say=_say) for board in boards
    ]
    pages = []
    if file is not None:
        for explanation in explanations:
            name = explanation.target.name
            pages.append(file if len(boards) == 1 else file.with_name(f"{file.stem}-{name}{file.suffix}"))
            _write_page(pages[-1], explanation)
    if as_json:
        contents = [explanation.as_json() for explanation in explanations]
        print(json.dumps(contents[0] if len(boards) == 1 else {"schema": 1, "boards": contents}))
    else:
        for place, explanation in enumerate(explanations):
            if place:
                print()
            print_explanation(explanation)
    for path in pages:
        print(f"page {path}", file=sys.stderr if as_json else sys.stdout)
    return DONE if all(explanation.fits for explanation in explanations) else NOTHING_FEASIBLE


def _write_page(file: Path, explanation: Explanation) -> None:
    from nas.report.explain_page import render_explanation
    from nas.run.folder import write_atomically

    try:
        write_atomically(file, render_explanation(explanation).encode())
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}).", "Name another file.") from error


def _page_file(page: str) -> Path | None:
    """Finds out before the work that its result could not be written.

    Raises:
        UserError: No HTML file, or no folder for it.
    """
    if not page:
        return None
    path = Path(page)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--explain takes {page} for the page.", "Name it FILE.html, or give no name.")
    if not path.parent.is_dir() or path.is_dir():
        raise UserError(f"{page} cannot be written.", "Name a file in a folder that exists.")
    return path


def _say(space: str) -> None:
    print(f"looking at the space {space}", file=sys.stderr)


def print_explanation(explanation: Explanation) -> None:
    """The explanation in words."""
    from rich.console import Console

    console = Console(soft_wrap=False)
    target = explanation.target
    for line in (
        explained.headline(explanation),
        f"task    {explained.title(explanation)}",
        f"target  {target.name} ({target.title}): {explained.limits_text(explanation)}",
        *(f"        {note}" for note in explanation.notes),
    ):
        _line(line)
    spaces = explanation.open_spaces
    if spaces:
        _fitting(console, spaces)
        _smallest(console, spaces)
        _doubling(console, spaces, explained.record_heading(explanation))
    for line in explained.misses(explanation):
        _line(line)
    for name, reason in explained.refused(explanation):
        _line(f"{name} is left out: {reason}")
    for line in explained.how(explanation):
        _line(line)


def _line(text: str) -> None:
    # Folded first, so that no line ends between a number and its unit.
    print(folded(text, sys.stdout, indent=8).replace(GAP, " "))


def _fitting(console: Console, spaces: Sequence[ExplainedSpace]) -> None:
    rows = [(explained.rows(space)[0], explained.binding_text(space)) for space in spaces]
    _table(
        console,
        "What fits",
        ("Space", "Fits", "95 % interval", "Limit that most break", "Most MACs", "Most weights"),
        [(row.space, row.fits, row.between, binding, row.macs, row.weights) for row, binding in rows],
    )


def _smallest(console: Console, spaces: Sequence[ExplainedSpace]) -> None:
    rows = [explained.limit_rows(space) for space in spaces]
    _table(
        console,
        "The smallest limit that admits a network, the others as given",
        ("Space", *(row.label for row in rows[0])),
        [(limits[0].space, *(row.least for row in limits)) for limits in rows],
    )


def _doubling(console: Console, spaces: Sequence[ExplainedSpace], recorded: str) -> None:
    lines: list[tuple[str, ...]] = []
    for space in spaces:
        for index, row in enumerate(explained.rows(space)):
            doubled = row.doubled or "nothing"
            doubled += " (beyond the chip)" if row.beyond else ""
            cells = (row.space if not index else "", doubled, row.fits, row.macs, row.weights)
            lines.append((*cells, row.recorded) if recorded else cells)
    headings = ("Space", "Doubled", "Fits", "Most MACs", "Most weights", *((recorded,) if recorded else ()))
    _table(console, "What doubling a limit buys", headings, lines)


def _table(console: Console, heading: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        words = index == 0 or name in ("Doubled", "Limit that most break")
        table.add_column(name, justify="left" if words else "right", overflow="fold")
    for cells in lines:
        table.add_row(*(escape(cell.replace(GAP, " ")) for cell in cells))
    print(heading)  # a title of the table's own would be folded to its width
    console.print(table)
