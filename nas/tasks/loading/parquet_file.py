"""One table from a Parquet file, by pyarrow where it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.errors import UserError
from nas.model.words import first_line
from nas.tasks.loading.class_folders import show
from nas.tasks.loading.tables import Codes, Head, Kind, Table, Words
from nas.tasks.loading.times import Floats

_EXACT = 2**53  # integers beyond are rounded in float64


def read_head(path: Path) -> Head:
    """Reads the schema of a file.

    Raises:
        UserError: pyarrow is missing, or the file is none of Parquet, empty, or has columns that are not columns.
    """
    arrow = _arrow(path)
    with _opened(path) as file:
        schema = file.schema_arrow
        rows = file.metadata.num_rows
    names = tuple(" ".join(name.split()) for name in schema.names)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"{show(path)} has two columns {twice[0]!r}.", "Give each column a name of its own.")
    if not rows:
        raise UserError(f"{show(path)} has columns but no rows.", "Record data, or remove the file.")
    kinds = tuple(_kind(arrow.types, field.type) for field in schema)
    return Head(path=path, names=names, kinds=kinds, said="Parquet", notes=(), text=None)


def read_table(head: Head, *, channels: Sequence[str], words: Sequence[str], time: str | None) -> Table:
    """Reads the named columns of a file.

    Raises:
        UserError: The file is damaged, or holds integers that float64 rounds.
    """
    arrow = _arrow(head.path)
    with _opened(head.path) as file:
        stored = dict(zip(head.names, file.schema_arrow.names, strict=True))
        wanted = list(dict.fromkeys([*channels, *words, *([time] if time is not None else [])]))
        try:
            data = file.read(columns=[stored[name] for name in wanted])
        except (arrow.ArrowException, OSError) as error:
            raise _damaged(head.path, error) from None
    columns = {name: data.column(stored[name]) for name in wanted}
    values = np.empty((data.num_rows, len(channels)))
    for i, name in enumerate(channels):
        values[:, i] = _numbers(arrow, head, name, columns[name])
    kind, times = "number", None
    if time is not None:
        column = columns[time]
        if arrow.types.is_timestamp(column.type):
            kind, column = "text", column.cast(arrow.timestamp("us"), safe=False).cast(arrow.int64())
        elif not _is_number(arrow.types, column.type):
            raise UserError(
                f"{show(head.path)}: column {time} is of type {column.type}, no times.",
                "Store times as timestamps or numbers.",
            )
        # Nanoseconds since 1970 lose a quarter of a microsecond, nothing beside a step.
        times = np.asarray(column.to_numpy(), np.float64)
    return Table(
        head=head,
        channels=tuple(channels),
        values=values,
        words={name: _words(arrow, columns[name]) for name in words},
        times=times,
        times_kind=kind,
    )


def _arrow(path: Path) -> Any:
    try:
        return import_module("pyarrow")
    except ImportError:
        raise UserError(
            f"{show(path)} needs pyarrow, which is not installed.",
            "Install it: pip install 'mcu-nas[parquet]'; or save it as CSV.",
        ) from None


def _opened(path: Path) -> Any:
    arrow = _arrow(path)
    try:
        return import_module("pyarrow.parquet").ParquetFile(path)
    except (arrow.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{show(path)} cannot be read as Parquet ({first_line(error)}).", "Write or download it again."
    )


def _is_number(types: Any, kind: Any) -> bool:
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _kind(types: Any, kind: Any) -> Kind:
    if types.is_null(kind):
        return "empty"
    return "number" if _is_number(types, kind) else "text"


def _numbers(arrow: Any, head: Head, name: str, column: Any) -> Floats:
    if arrow.types.is_decimal(column.type):
        column = column.cast(arrow.float64())
    array = column.to_numpy()
    if array.dtype.kind in "iu" and len(array) and max(abs(int(array.min())), abs(int(array.max()))) > _EXACT:
        raise UserError(
            f"{show(head.path)}: column {name} has integers up to {array.max()}, which float64 rounds.",
            "Subtract a constant, such as the first one, or store a larger unit.",
        )
    return np.asarray(array, np.float64)


def _words(arrow: Any, column: Any) -> Words:
    """A column as codes; times and numbers as their text."""
    if arrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.cast(arrow.string()).combine_chunks().dictionary_encode()
    words = [str(word).strip() for word in encoded.dictionary.to_pylist()]
    codes: Codes = np.asarray(encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False), np.int32)
    return Words(codes, [*words, ""])
