"""How a text file of a table is written: encoding, separator, decimal sign and header, found by its first lines."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models.errors import UserError
from nas.model.words import listed
from nas.tasks.loading.class_folders import show
from nas.tasks.loading.gzip_file import open_bytes
from nas.tasks.loading.labels import is_printable
from nas.tasks.loading.numbers import is_missing, is_number

Row = list[str]

COMMENTS = ("#", "%", "//")
_SAMPLED_BYTES = 1 << 18
_SAMPLED_ROWS = 400
_WIDEST = 4096  # columns
_UNIT_LINES = 3
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
_STARTS = {
    b"PK": ("is a zip archive or an Excel workbook", "Save it as CSV."),
    b"\xd0\xcf\x11\xe0": ("is an Excel workbook", "Save it as CSV."),
    b"\x1f\x8b": ("is compressed", "Give it the suffix .csv.gz, or unpack it (gunzip)."),
    b"PAR1": ("is a Parquet file by its content", "Give it the suffix .parquet."),
    b"\x89HDF": ("is an HDF5 file", "Save it as CSV or Parquet."),
    b"\x93NUMPY": ("is a numpy array", "Save it as CSV, or use npz:PATH."),
    b"MATLAB": ("is a MATLAB file", "Save it as CSV."),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFormat:
    """How a file is written.

    Attributes:
        encoding: As Python calls it.
        separator: Between cells; a space stands for any white space.
        decimal: Point or comma.
        names: Of the columns; their positions from 0 where there is no header.
        lines: Before the first row of data.
        said: The format in words.
        notes: What was skipped or guessed.
    """

    encoding: str
    separator: str
    decimal: str
    names: tuple[str, ...]
    lines: int
    said: str
    notes: tuple[str, ...]


def find_format(path: Path) -> tuple[TextFormat, list[Row]]:
    """Looks at the first lines of a file: their format, and the first rows of data.

    Raises:
        UserError: It is empty or no text, has no rows of data, or its header does not fit them.
    """
    try:
        with open_bytes(path) as file:
            start = file.read(_SAMPLED_BYTES)
    except OSError as error:
        raise UserError(
            f"{show(path)} cannot be read ({error.strerror}).", "Check the path and its permissions."
        ) from None
    encoding, text = _decode(path, start, cut=len(start) == _SAMPLED_BYTES)
    lines = re.split(r"\r\n|\n|\r", text)
    if len(start) == _SAMPLED_BYTES and len(lines) > 1:
        lines.pop()
    if len(lines[0]) >= _SAMPLED_BYTES // 4:
        raise UserError(f"{show(path)} has no ends of lines.", "Write one line for each moment in time.")
    skipped, comment, given = _preamble(lines)
    separator, decimal = _separator(lines[skipped:], given)
    rows = _numbered(lines[skipped:], separator, skipped)
    if not rows:
        raise UserError(f"{show(path)} is empty.", "Give each file a header and rows, or remove it.")
    header, body, notes = _header(rows, decimal, comment, separator)
    _check_header(path, rows, header, body, separator)
    notes += ["Read as Windows-1252, not being UTF-8."] if encoding == "cp1252" else []
    words = [] if len(header) == 1 else [f"separated by {_SEPARATORS[separator]}"]
    words += ["decimal commas"] if decimal == "," else []
    words += [encoding.upper()] if encoding.startswith("utf-16") else []
    text_format = TextFormat(
        encoding=encoding,
        separator=separator,
        decimal=decimal,
        names=header,
        lines=body[0][0] - 1,
        said=", ".join(words),
        notes=tuple(notes),
    )
    return text_format, [row for _, row in body[:_SAMPLED_ROWS]]


def cells_of(lines: Iterable[str], separator: str) -> Iterator[Row]:
    """The cells of each line.

    Raises:
        csv.Error: Quotes that do not end.
    """
    if separator == " ":
        return (line.split() for line in lines)
    return csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)


def is_data(row: Row) -> bool:
    """Whether a row is neither a blank line nor a comment."""
    return bool(row) and not row[0].startswith(COMMENTS) and (len(row) > 1 or bool(row[0].strip()))


def _decode(path: Path, start: bytes, *, cut: bool) -> tuple[str, str]:
    """Encoding and text of the first bytes."""
    if not start.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0"):
        raise UserError(f"{show(path)} is empty.", "Give each file a header and rows, or remove it.")
    for magic, (what, hint) in _STARTS.items():
        if start.startswith(magic):
            raise UserError(f"{show(path)} {what}.", hint)
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise UserError(f"{show(path)} is a web page.", "Download the file itself.")
    encoding = _encoding(start)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start, final=not cut)
    except UnicodeDecodeError:
        # Every byte but five is a character there: what is not text shows by its control characters.
        encoding, text = "cp1252", start.decode("cp1252", errors="replace")
    if "\0" in text or sum(ord(char) < 9 for char in text[:4096]):
        raise UserError(f"{show(path)} is not text.", "Give CSV or Parquet files.")
    return encoding, text


def _encoding(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    # Without a mark: every other byte of plain text is zero.
    head = start[:200]
    if head[1::2].count(0) * 10 > 8 * len(head[1::2]):
        return "utf-16-le"
    if head[::2].count(0) * 10 > 8 * len(head[::2]):
        return "utf-16-be"
    return "utf-8"


def _preamble(lines: Sequence[str]) -> tuple[int, str, str]:
    """Lines to skip before the header, the last comment among them, and a separator that Excel's `sep=;` names."""
    comment = separator = ""
    for index, line in enumerate(lines):
        if (line_match := re.fullmatch(r'"?sep=(.)"?', line.strip(), re.IGNORECASE)) and index == 0:
            separator = line_match[1]
        elif line.startswith(COMMENTS):
            comment = line.lstrip("#%/ \t")
        elif line.strip():
            return index, comment, separator
    return len(lines), comment, separator


def _separator(lines: Sequence[str], given: str) -> tuple[str, str]:
    """The separator and decimal sign that leave the most numbers in rows of one length."""
    sample = [line for line in lines if line.strip() and not line.startswith(COMMENTS)][:_SAMPLED_ROWS]
    best, signs = (-1.0, 0), (",", ".")
    for separator in [given] if given in _SEPARATORS else _SEPARATORS:
        rows = [row for _, row in _numbered(sample, separator, 0)]
        for decimal in ".,":
            if decimal == separator:
                continue
            score = _score(rows, decimal)
            if score > best:
                best, signs = score, (separator, decimal)
    return signs


def _score(rows: Sequence[Row], decimal: str) -> tuple[float, int]:
    (width, count), *_ = Counter(map(len, rows)).most_common(1) or [(0, 0)]
    cells = [cell for row in rows[1:] or rows for cell in row]
    numbers = sum(is_number(cell, decimal) or is_missing(cell) for cell in cells)
    # A single column that holds no numbers is rather one that the separator does not cut.
    share = numbers / max(1, len(cells)) + (0.01 if width > 1 else 0)
    return round(share * count / max(1, len(rows)), 6), width


def _numbered(lines: Sequence[str], separator: str, before: int) -> list[tuple[int, Row]]:
    """Line number, counted from 1, and cells of the rows; a row that cannot be read ends them."""
    rows: list[tuple[int, Row]] = []
    reader = cells_of(lines, separator)
    number = 0
    try:
        for row in reader:
            last, number = number, getattr(reader, "line_num", number + 1)
            if is_data(row):
                rows.append((before + last + 1, row))
    except csv.Error:
        pass  # an open quote at the end of the sample; reading it all will tell
    return rows


def _header(
    rows: list[tuple[int, Row]], decimal: str, comment: str, separator: str
) -> tuple[tuple[str, ...], list[tuple[int, Row]], list[str]]:
    """The names, the rows below them, and what was guessed."""
    (_, first), body = rows[0], rows[1:]
    below = [row for _, row in body[:50]]
    if not _is_header(first, below, decimal):
        named = next(cells_of([comment], separator), []) if comment else []
        if len(named) == len(first) and not any(is_number(name, decimal) for name in named):
            return _clean(named), rows, ["The names of the columns are those of the comment above the data."]
        names = tuple(map(str, range(len(first))))
        last = f" to {names[-1]}" if len(names) > 1 else ""
        return names, rows, [f"There is no header: columns are called by their position, 0{last}."]
    notes = []
    for _ in range(_UNIT_LINES):
        if (
            len(body) > 1
            and len(body[0][1]) == len(first)
            and _is_units(body[0][1], [row for _, row in body[1:50]], decimal)
        ):
            cells = [cell.strip() for cell in body[0][1] if cell.strip()]
            notes.append(
                f"Line {body[0][0]} below the header is not data and is left out: {listed(cells, 6)}."
            )
            body = body[1:]
    return _clean(first), body, notes


def _is_header(first: Row, below: Sequence[Row], decimal: str) -> bool:
    """Whether a row names the columns: words over numbers, or positions such as pandas writes."""
    positions = [str(i) for i in range(len(first))]
    if len(first) > 2 and [cell.strip() for cell in first] in (positions, ["", *positions[:-1]]):
        return True
    words = _words(first, decimal)
    return _over_numbers(words, below, decimal) or (
        bool(words) and all(i in words or not cell.strip() for i, cell in enumerate(first))
    )


def _is_units(row: Row, below: Sequence[Row], decimal: str) -> bool:
    """Whether a row below the names holds units or other words, and no number."""
    return not any(is_number(cell, decimal) for cell in row) and _over_numbers(
        _words(row, decimal), below, decimal
    )


def _words(row: Row, decimal: str) -> list[int]:
    return [i for i, cell in enumerate(row) if not is_number(cell, decimal) and not is_missing(cell)]


def _over_numbers(words: Sequence[int], below: Sequence[Row], decimal: str) -> bool:
    for column in words:
        cells = [row[column] for row in below if column < len(row) and not is_missing(row[column])]
        if cells and sum(is_number(cell, decimal) for cell in cells) * 2 > len(cells):
            return True
    return False


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def _clean(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(" ".join(name.split()) for name in names)


def _check_header(
    path: Path,
    rows: Sequence[tuple[int, Row]],
    header: tuple[str, ...],
    body: Sequence[tuple[int, Row]],
    separator: str,
) -> None:
    """Refuses a header that does not go with the rows below it."""
    if not body:
        raise UserError(f"{show(path)} has a header but no rows.", "Record data, or remove the file.")
    line, row = body[0]
    if len(row) != len(header):
        raise UserError(
            f"{show(path)}: line {rows[0][0]} has {_cells(len(header))}, but line {line} has {len(row)}.",
            "Numbers with decimal commas need semicolons or tabs between them."
            if separator == "," and len(row) > len(header)
            else "Give each line as many cells as the header; mark remarks above it with #.",
        )
    if len(header) > _WIDEST:
        raise UserError(
            f"{show(path)} has {len(header):,} columns.",
            "Give one column for each channel, one row for each time.",
        )
    if strange := [name for name in header if not is_printable(name)]:
        raise UserError(
            f"{show(path)} has a column {strange[0]!a}, which cannot be printed.",
            "Write its header as plain text.",
        )
    twice = [name for name, count in Counter(name for name in header if name).items() if count > 1]
    if twice:
        raise UserError(
            f"{show(path)} has {twice[0]!r} twice in its header.", "Give each column a name of its own."
        )
