"""Labels of intervals: which rows of a recording have which label, by their times or by their numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.tasks.loading.class_folders import show
from nas.tasks.loading.numbers import NoNumberError
from nas.tasks.loading.times import Floats, base_name, to_times

SPELT = {"number": "numbers", "text": "text"}
_UNIT = r"(_?(time|row|index|s|sec|ms|us|ns))?"
_START = re.compile(rf"(start|begin|from|onset){_UNIT}", re.I)
_END = re.compile(rf"(end|stop|to|until){_UNIT}", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Labelled intervals of one recording: they rise, and none overlaps another.

    Attributes:
        kind: How they are written: "number", or "text" for ISO 8601, in microseconds.
        starts: First times or rows. Shape: (n,).
        ends: Times or rows that follow the last. Shape: (n,).
        labels: One each.
    """

    kind: str
    starts: Floats
    ends: Floats
    labels: tuple[str, ...]

    def place(self, at: Floats) -> NDArray[np.intp]:
        """The interval in which each time or row lies; -1 for none. Shape: as at."""
        index = np.searchsorted(self.starts, at, side="right") - 1
        inside = (index >= 0) & (at < self.ends[index])  # false for a time that is missing
        return np.where(inside, index, -1)


def interval_columns(names: Sequence[str]) -> tuple[str, str] | None:
    """The columns of starts and ends, where a table has both."""
    start = next((name for name in names if _START.fullmatch(base_name(name))), None)
    end = next((name for name in names if _END.fullmatch(base_name(name))), None)
    return None if start is None or end is None else (start, end)


def read_intervals(
    path: Path,
    files: Sequence[str],
    columns: tuple[str, str],
    cells: tuple[Sequence[str], Sequence[str]],
    labels: Sequence[str],
    *,
    decimal: str,
    place: Callable[[int], str],
) -> dict[str, Intervals]:
    """The intervals of each file.

    Args:
        path: The table.
        files: The file of each line.
        columns: Names of the columns of starts and ends.
        cells: What is in them.
        labels: The label of each line.
        decimal: Decimal sign of numbers.
        place: Says where a line is.

    Raises:
        UserError: No times or rows, an end before its start, or intervals that overlap.
    """
    (starts, kind), (ends, other) = (
        _times(path, name, text, decimal, place) for name, text in zip(columns, cells, strict=True)
    )
    if kind != other:
        raise UserError(
            f"{show(path)} writes {columns[0]} as {SPELT[kind]}, {columns[1]} as {SPELT[other]}.",
            "Write both alike.",
        )
    for row in np.flatnonzero(ends <= starts).tolist()[:1]:
        raise UserError(
            f"{show(path)}: {place(row)} ends at {cells[1][row]}, but starts at {cells[0][row]}.",
            "An end is the first time or row after the interval.",
        )
    by_file: dict[str, list[int]] = {}
    for row, file in enumerate(files):
        by_file.setdefault(file, []).append(row)
    intervals = {}
    for file, rows in by_file.items():
        order = np.array(rows)[np.argsort(starts[rows], kind="stable")]
        across = np.flatnonzero(starts[order[1:]] < ends[order[:-1]])
        if len(across):
            _refuse_overlap(path, file, order[across[0] : across[0] + 2], cells, labels, place)
        intervals[file] = Intervals(
            kind=kind,
            starts=starts[order],
            ends=ends[order],
            labels=tuple(labels[row] for row in order.tolist()),
        )
    return intervals


def _times(
    path: Path, name: str, cells: Sequence[str], decimal: str, place: Callable[[int], str]
) -> tuple[Floats, str]:
    try:
        times, kind = to_times(cells, decimal)
    except NoNumberError as error:
        raise UserError(
            f"{show(path)}: {error.cell!a} in {place(error.row)}, column {name}, is not a time or row.",
            "Write it as the recordings write their times; or the number of a row, from 0, where they have none.",
        ) from None
    bad = ~np.isfinite(times)
    if bad.any():
        raise UserError(
            f"{show(path)}: {place(int(np.argmax(bad)))} has no time in column {name}.",
            "Each interval needs both ends.",
        )
    return times, kind


def _refuse_overlap(
    path: Path,
    file: str,
    rows: NDArray[np.intp],
    cells: tuple[Sequence[str], Sequence[str]],
    labels: Sequence[str],
    place: Callable[[int], str],
) -> NoReturn:
    first, second = (
        f"{place(row)} ({labels[row]}, {cells[0][row]} to {cells[1][row]})" for row in rows.tolist()
    )
    raise UserError(
        f"{show(path)}: the intervals of {first} and {second} overlap in {file}.",
        "A row has one label: end the first where the second starts.",
    )
