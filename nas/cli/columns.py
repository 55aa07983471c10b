"""Tables of plain text: what has no room is left out from the right, and no number is ever cut."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.report.quantities import GAP

_BETWEEN = "  "
_LEAST = 12  # characters of a text by which it can still be known


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        heading: Its name.
        cells: A text for each row.
        right: Whether it holds numbers.
        most: Characters of text that a terminal shows, the middle left out, and no more than a third of its width; 0
            for all.
    """

    heading: str
    cells: Sequence[str]
    right: bool = True
    most: int = 0


def table_lines(columns: Iterable[Column]) -> list[str]:
    """The table for stdout: as wide as the terminal, whole in a file or pipe."""
    from rich.cells import cell_len

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    shown: list[list[str]] = []
    room = width
    for column in columns:
        most = 0 if width is None else min(column.most, max(width // 3, _LEAST))
        cells = [_shortened(cell.replace(GAP, " "), most) for cell in (column.heading, *column.cells)]
        size = max(map(cell_len, cells))
        if room is not None:
            room -= size + (len(_BETWEEN) if shown else 0)
            if room < 0:
                break
        pads = [" " * (size - cell_len(cell)) for cell in cells]
        shown.append([pad + cell if column.right else cell + pad for cell, pad in zip(cells, pads)])
    return [_BETWEEN.join(row).rstrip() for row in zip(*shown)]


def _shortened(text: str, most: int) -> str:
    if not most or len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}…{text[head + 1 - most :]}"
