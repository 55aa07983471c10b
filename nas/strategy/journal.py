"""The journal file of a run: Optuna's own format, written by one driver, synced when a result is in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from cost_models.errors import UserError


class _Lines(BaseJournalBackend):
    """Appends whole lines, or nothing.

    Optuna's backend locks, syncs and reads the file again for each choice of each trial: some 20 times a trial.
    The run folder's lock keeps other drivers out, so what this one wrote need not be read again; others may read
    at any time (optuna-dashboard does).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.exists() and not path.is_file():  # a FIFO would be waited for
            raise UserError(
                f"{path} is not a regular file.", "Bring the run's record back, or start a new run."
            )
        binary = getattr(os, "O_BINARY", 0)  # or Windows would write each line end as two bytes
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | binary, 0o644)
        self._mend()
        self._held: list[bytes] | None = None  # lines of a batch
        self._fresh: list[bytes] = []
        self._first_fresh: int | None = None  # number of the first of `_fresh`; None before the file was read

    def _mend(self) -> None:
        """Cuts off the half line that a killed driver was writing."""
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._file, whole)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        if self._first_fresh is None or log_number_from < self._first_fresh:
            lines = self._path.read_bytes().splitlines()
            self._first_fresh, self._fresh = len(lines), []
            lines = lines[log_number_from:]
        else:
            lines = self._fresh[log_number_from - self._first_fresh :]
            self._first_fresh, self._fresh = self._first_fresh + len(self._fresh), []
        return (_entry(line, number) for number, line in enumerate(lines, log_number_from + 1))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = [json.dumps(log, separators=(",", ":")).encode() for log in logs]
        if self._held is None:
            self._write(lines)
        else:
            self._held += lines
        if self._first_fresh is not None:
            self._fresh += lines

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Holds lines back, and writes them at once at the end."""
        self._held = []
        try:
            yield
        finally:
            lines, self._held = self._held, None
            self._write(lines)

    def _write(self, lines: Iterable[bytes]) -> None:
        content = b"".join(line + b"\n" for line in lines)
        before = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, content)
            while written < len(content):
                written += os.write(self._file, content[written:])
        except OSError as error:
            os.ftruncate(self._file, before)
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def sync(self) -> None:
        os.fsync(self._file)


def _entry(line: bytes, number: int) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise UserError(
            f"Line {number} of the run's record study.journal cannot be read.",
            "The file is damaged: bring back an undamaged copy, or start a new run.",
        )
    return entry


class RunJournal(JournalStorage):
    """Optuna's storage on the journal file of a run.

    Args:
        path: The file; made if it does not exist. The caller keeps other writers out.
    """

    def __init__(self, path: Path) -> None:
        for lock in path.parent.glob(f"{path.name}.lock*"):
            lock.unlink(missing_ok=True)  # of an optuna-dashboard that was killed
        self._lines = _Lines(path)
        super().__init__(self._lines)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Writes all that is told within at once: a killed driver leaves all of it or none."""
        with self._lines.batch():
            yield

    def sync(self) -> None:
        """Returns when what was written is on the disk."""
        self._lines.sync()
