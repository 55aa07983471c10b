"""One table from one text file: columns by name, numbers as float64, labels and groups as codes, lines of rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Literal, NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.tasks.loading.class_folders import show
from nas.tasks.loading.gzip_file import open_bytes
from nas.tasks.loading.numbers import (
    NoNumberError,
    hint_for,
    is_almost_number,
    is_missing,
    is_number,
    to_numbers,
)
from nas.tasks.loading.text_format import COMMENTS, Row, TextFormat, cells_of, find_format, is_data
from nas.tasks.loading.times import Floats, to_times

Codes = NDArray[np.int32]
Kind = Literal["number", "text", "empty"]

_ROWS = 2048  # that are text in memory: more do not stay in the caches
_MOST_WORDS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The header of a table, and its format.

    Attributes:
        path: The file.
        names: Of its columns, in order.
        kinds: What each column holds at the beginning.
        said: The format in words.
        notes: What was skipped or guessed.
        text: The format of a text file; None for Parquet.
    """

    path: Path
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    said: str
    notes: tuple[str, ...]
    text: TextFormat | None


@dataclass(slots=True)
class Words:
    """A column of words. Shape of codes: (rows,), indices into words."""

    codes: Codes
    words: list[str]


@dataclass(slots=True, kw_only=True)
class Table:
    """The columns of a file that were asked for.

    Attributes:
        head: Of the file.
        channels: Names of the channels.
        values: Channels, NaN where values are missing. Shape: (rows, channels), float64.
        words: Columns of labels and groups by name.
        times: Numbers as they are, or microseconds of ISO 8601 text; None without. Shape: (rows,).
        times_kind: Which of the two.
        comments: Lines of remarks between the rows.
        breaks: Rows before which there are blank lines, where these are not a habit of the file. Shape: (n,).
    """

    head: Head
    channels: tuple[str, ...]
    values: Floats
    words: dict[str, Words]
    times: Floats | None
    times_kind: str = "number"
    comments: int = 0
    breaks: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))

    def place(self, row: int) -> str:
        """The place of a row in words: "line 7"."""
        return place_of(self.head, row)


def place_of(head: Head, row: int) -> str:
    """The place of a row of data, counted from 0, in words."""
    if head.text is None:
        return f"row {row + 1}"
    number = next(islice((number for number, _ in _rows(head.path, head.text)), row, None), row)
    return f"line {number}"


def read_text_head(path: Path) -> Head:
    """Reads the beginning of a text file.

    Raises:
        UserError: It is not a table.
    """
    text, sample = find_format(path)
    kinds = tuple(
        _kind([row[i] for row in sample if i < len(row)], text.decimal) for i in range(len(text.names))
    )
    return Head(path=path, names=text.names, kinds=kinds, said=text.said, notes=text.notes, text=text)


def read_text_table(
    head: Head, text: TextFormat, *, channels: Sequence[str], words: Sequence[str], time: str | None
) -> Table:
    """Reads the named columns of a text file.

    Raises:
        UserError: A row of another length, a cell that is not a number, quotes that do not end, another encoding
            further down.
    """
    return _Reader(head, text, tuple(channels), tuple(words), time).table()


def _kind(cells: Sequence[str], decimal: str) -> Kind:
    there = [cell for cell in cells if not is_missing(cell)]
    if not there:
        return "empty"
    # Numbers with units are refused where they stand: left out as words, a channel would be lost.
    numbers = sum(is_number(cell, decimal) or is_almost_number(cell) for cell in there)
    return "number" if 2 * numbers >= len(there) else "text"


class _Index(dict[str, int]):
    """Codes of cells; a new one gets the next code, or that of the same word with other spaces around it."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._codes: dict[str, int] = {}

    def __missing__(self, cell: str) -> int:
        word = cell.strip()
        if word not in self._codes:
            self._codes[word] = len(self.words)
            self.words.append(word)
        self[cell] = self._codes[word]
        return self[cell]


@dataclass(slots=True)
class _Reader:
    head: Head
    text: TextFormat
    channels: tuple[str, ...]
    words: tuple[str, ...]
    time: str | None
    row: int = 0
    comments: int = 0
    blank: bool = False
    breaks: list[int] = field(default_factory=list)
    times_kind: str = ""
    books: dict[str, _Index] = field(default_factory=dict)

    def table(self) -> Table:
        index = {name: i for i, name in enumerate(self.head.names)}
        self.books = {name: _Index() for name in self.words}
        values: list[Floats] = []
        times: list[Floats] = []
        codes: dict[str, list[Codes]] = {name: [] for name in self.words}
        for rows in self._chunks():
            columns = list(zip(*rows, strict=True))
            block = np.empty((len(rows), len(self.channels)))
            for i, name in enumerate(self.channels):
                block[:, i] = self._numbers(name, columns[index[name]])
            values.append(block)
            for name in self.words:
                codes[name].append(self._codes(name, columns[index[name]]))
            if self.time is not None:
                times.append(self._times(self.time, columns[index[self.time]]))
            self.row += len(rows)
        return Table(
            head=self.head,
            channels=self.channels,
            values=np.concatenate(values),
            words={name: Words(np.concatenate(codes[name]), self.books[name].words) for name in self.words},
            times=np.concatenate(times) if self.time is not None else None,
            times_kind=self.times_kind or "number",
            comments=self.comments,
            breaks=np.array(self.breaks if len(self.breaks) * 2 < self.row else [], np.intp),
        )

    def _chunks(self) -> Iterator[list[Row]]:
        """Rows of one length, some thousands at a time."""
        path, width = self.head.path, len(self.head.names)
        try:
            with _open(path, self.text) as file:
                _skip(file, self.text.lines)
                reader = cells_of(file, self.text.separator)
                while rows := list(islice(reader, _ROWS)):
                    kept = rows
                    if set(map(len, rows)) - {width} or not _plain(rows):
                        kept = self._without_remarks(rows)
                    if set(map(len, kept)) - {width}:
                        first = next(i for i, row in enumerate(kept) if len(row) != width)
                        self._ragged(first, kept[first], width)
                    if kept:
                        yield kept
        except csv.Error as error:
            open_quote = "end of data" in str(error) or "field limit" in str(error)
            what = "a quote opens that does not end" if open_quote else str(error)
            raise UserError(
                f"{show(path)} cannot be read as a table ({what}).", "Check its quotes."
            ) from None
        except UnicodeError:
            raise UserError(
                f"{show(path)} has characters further down that are not {self.text.encoding.upper()}.",
                "Save it as UTF-8.",
            ) from None
        except OSError as error:
            raise UserError(
                f"{show(path)} cannot be read ({error.strerror}).", "Check its permissions."
            ) from None

    def _without_remarks(self, rows: Sequence[Row]) -> list[Row]:
        """Rows of data; comments are counted, and blank lines noted as the ends of recordings."""
        kept: list[Row] = []
        for row in rows:
            if is_data(row):
                if self.blank and self.row + len(kept):
                    self.breaks.append(self.row + len(kept))
                self.blank = False
                kept.append(row)
            elif any(map(str.strip, row)):
                self.comments += 1
            else:
                self.blank = True
        return kept

    def _ragged(self, row: int, cells: Row, width: int) -> NoReturn:
        raise UserError(
            f"{show(self.head.path)}: line {self._line(row)} has {len(cells)} cell{'' if len(cells) == 1 else 's'}"
            f" instead of {width}.",
            "Complete the line or remove it; a file that was cut while it was written ends in such a line."
            if len(cells) < width
            else "Give each line as many cells as the header; text with separators in it needs quotes.",
        )

    def _line(self, row: int) -> int:
        return next(
            islice((number for number, _ in _rows(self.head.path, self.text)), self.row + row, None), 0
        )

    def _numbers(self, name: str, cells: Sequence[str]) -> Floats:
        try:
            return to_numbers(cells, self.text.decimal)
        except NoNumberError as error:
            self._refuse(name, error, "is not a number", hint_for(error.cell))

    def _times(self, name: str, cells: Sequence[str]) -> Floats:
        try:
            times, kind = to_times(cells, self.text.decimal)
        except NoNumberError as error:
            hint = (
                "Write numbers or ISO 8601 (2026-01-31T12:00:00.25), or give --time none and --sample-rate."
            )
            self._refuse(name, error, "is not a time", hint)
        if not np.isnan(times).all():
            if self.times_kind not in ("", kind):
                first = NoNumberError(0, cells[0])
                self._refuse(
                    name, first, "is written in another way than the times before", "Write all times alike."
                )
            self.times_kind = kind
        return times

    def _codes(self, name: str, cells: Sequence[str]) -> Codes:
        book = self.books[name]
        codes = np.fromiter(map(book.__getitem__, cells), np.int32, len(cells))
        if len(book) > _MOST_WORDS:
            raise UserError(
                f"{show(self.head.path)}: column {name} holds more than {_MOST_WORDS:,} different values.",
                "Labels and groups repeat: name another column.",
            )
        return codes

    def _refuse(self, name: str, error: NoNumberError, what: str, hint: str) -> NoReturn:
        cell = error.cell if len(error.cell) <= 40 else f"{error.cell[:40]}..."
        raise UserError(
            f"{show(self.head.path)}: {cell!a} in line {self._line(error.row)}, column {name}, {what}.", hint
        ) from None


def _open(path: Path, text: TextFormat) -> TextIO:
    return TextIOWrapper(open_bytes(path), encoding=text.encoding, newline="")


def _plain(rows: Sequence[Row]) -> bool:
    """Whether no row can be a comment or blank."""
    starts = "".join(row[0] for row in rows)
    return bool(starts) and not any(mark[0] in starts for mark in COMMENTS) and len(rows[0]) > 1


def _skip(file: Iterator[str], lines: int) -> None:
    for _ in islice(file, lines):
        pass


def _rows(path: Path, text: TextFormat) -> Iterator[tuple[int, Row]]:
    """Line numbers from 1 and cells of the rows of data: slower than reading, for messages."""
    with _open(path, text) as file:
        _skip(file, text.lines)
        reader = cells_of(file, text.separator)
        number = 0
        for row in reader:
            last, number = number, getattr(reader, "line_num", number + 1)
            if is_data(row):
                yield text.lines + last + 1, row
