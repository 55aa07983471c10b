"""Reads gzipped text, from a file that nobody vouches for: a bomb ends at a limit, and damage is a sentence."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from cost_models.errors import UserError
from nas.model.words import first_line
from nas.tasks.loading.class_folders import show

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SUFFIX = ".gz"
_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 20
_BOMB_BYTES = 256 << 20
_BOMB_RATIO = 200  # deflate reaches 1,000 on zeros; recordings stay below 10


def open_bytes(path: Path) -> BinaryIO:
    """The content of a file, unpacked where its name ends in .gz.

    Raises:
        OSError: It cannot be opened.
        UserError: When it is read: it is damaged, or a bomb.
    """
    if path.suffix.lower() != SUFFIX:
        return path.open("rb")
    return cast(BinaryIO, io.BufferedReader(_Unpacked(path), _CHUNK_BYTES))


def content_bytes(path: Path, most: int) -> int:
    """The size of the content of a file; a packed one is unpacked for it, until it is beyond `most`.

    Raises:
        UserError: It is damaged, or a bomb.
    """
    if path.suffix.lower() != SUFFIX:
        return path.stat().st_size
    count = 0
    # The size at the end of the file is modulo 2^32, and may be anything.
    with open_bytes(path) as file:
        while count <= most and (chunk := file.read(_CHUNK_BYTES)):
            count += len(chunk)
    return count


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, counted while it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            if file.read(2) != _MAGIC:
                raise UserError(f"{show(path)} is not compressed, though its name says so.", "Rename it.")
        self._packed = path.stat().st_size
        self._count = 0
        self._file = gzip.GzipFile(path, "rb")

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
        super().close()

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            count = self._file.readinto(buffer)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(
                f"{show(self._path)} cannot be unpacked ({first_line(error)}).",
                "The file is damaged or was not downloaded wholly; write or download it again.",
            ) from None
        self._count += count
        if self._count > _BOMB_BYTES and self._count > _BOMB_RATIO * self._packed:
            raise UserError(
                f"{show(self._path)} unpacks {self._packed:,} bytes to more than {_BOMB_RATIO} times as many, as only"
                " repetitions do.",
                "Check where the file comes from.",
            )
        return count
