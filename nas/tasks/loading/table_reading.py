"""One table from one file, whichever its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nas.tasks.loading import parquet_file
from nas.tasks.loading.tables import Head, Table, read_text_head, read_text_table

PARQUET_SUFFIXES = (".parquet", ".pq")


def read_head(path: Path) -> Head:
    """Reads the beginning of a file.

    Raises:
        UserError: It is not a table.
    """
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return parquet_file.read_head(path)
    return read_text_head(path)


def read_table(head: Head, *, channels: Sequence[str], words: Sequence[str], time: str | None) -> Table:
    """Reads the named columns of a file.

    Raises:
        UserError: Something in it cannot be read as what the column is.
    """
    if head.text is None:
        return parquet_file.read_table(head, channels=channels, words=words, time=time)
    return read_text_table(head, head.text, channels=channels, words=words, time=time)
