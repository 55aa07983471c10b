"""Numbers as people write them into text files: what is one, what says that a value is missing, and what is neither."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Compared in lower case. "none" and "null" may be words for a class, so that labels have fewer of them.
MISSING = frozenset(("", "nan", "na", "n/a", "#n/a", "<na>", "null", "none", "-", "--", "?"))
MISSING_LABELS = frozenset(("", "nan", "na", "n/a", "#n/a", "<na>"))

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?\d{1,3}([,.'\u2019 \u00a0\u202f]\d{3})+([.,]\d+)?")
_OTHER_DECIMAL = re.compile(r"[+-]?\d+[.,]\d+([eE][+-]?\d+)?", re.ASCII)
_WITH_UNIT = re.compile(r"[+-]?\d+([.,]\d+)?\s*[a-zA-Z%°µ/²^;:,]+\d?", re.ASCII)


class NoNumberError(Exception):
    """A cell that is neither a number nor missing.

    Args:
        row: Its index among the cells.
        cell: What it holds.
    """

    def __init__(self, row: int, cell: str) -> None:
        super().__init__(row, cell)
        self.row, self.cell = row, cell


def is_number(cell: str, decimal: str) -> bool:
    """Whether a cell holds a number with this decimal sign."""
    text = cell.strip()
    if decimal == ",":
        if "." in text:
            return False
        text = text.replace(",", ".")
    return _NUMBER.fullmatch(text) is not None


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.strip().lower() in MISSING


def to_numbers(cells: Sequence[str], decimal: str) -> NDArray[np.float64]:
    """The numbers of a column, NaN where they are missing.

    Raises:
        NoNumberError: Other text.
    """
    text = "\n".join(cells)
    # float() takes 1_000 and the digits of other scripts; and 1.234 in a file with decimal commas is a thousand.
    plain = text.isascii() and "_" not in text and (decimal == "." or "." not in text)
    if plain:
        if decimal == "," and text.count("\n") < len(cells):  # else a quoted cell holds an end of line
            cells = text.replace(",", ".").split("\n")
        try:
            return np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            pass
    return np.array([_number(row, cell, "." if plain else decimal) for row, cell in enumerate(cells)])


def _number(row: int, cell: str, decimal: str) -> float:
    if is_missing(cell):
        return math.nan
    if not is_number(cell, decimal):
        raise NoNumberError(row, cell.strip())
    return float(cell.replace(",", ".") if decimal == "," else cell)


def is_almost_number(cell: str) -> bool:
    """Whether a cell holds a number with a unit, a separator of thousands or another decimal sign, no word."""
    text = cell.strip()
    return any(kind.fullmatch(text) for kind in (_GROUPED, _OTHER_DECIMAL, _WITH_UNIT))


def hint_for(cell: str) -> str:
    """A hint on a cell that is not a number."""
    if _GROUPED.fullmatch(cell):
        return "Write numbers without separators of thousands, and with one decimal sign in the whole file."
    if _OTHER_DECIMAL.fullmatch(cell):
        return "Write one decimal sign in the whole file; with decimal commas, semicolons or tabs between the cells."
    if _WITH_UNIT.fullmatch(cell):
        return "Write units into the header, and nothing behind a number."
    return "Leave a missing value empty; a column of words alone is left out by itself."
