"""What a finished run looks like: `report.html` for people, the front as a table on stdout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from nas.model.result import RunSummary

__all__ = ["print_boards", "print_front", "write_report"]


def write_report(
    path: Path, summary: RunSummary, write: Callable[[Path, bytes], object] = Path.write_bytes
) -> None:
    """Write the self-contained `report.html` of a run; see `nas.report.page`."""
    from nas.report import page

    page.write_report(path, summary, write)


def print_boards(summary: RunSummary, console: Console) -> None:
    """Print the boards of a run for several side by side; see `nas.report.table`."""
    from nas.report import table

    table.print_boards(summary, console)


def print_front(summary: RunSummary, console: Console) -> None:
    """Print the Pareto front and the verdict; see `nas.report.table`."""
    from nas.report import table

    table.print_front(summary, console)
