"""Reading files of unknown origin: regular files alone, and never more bytes than expected."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

from cost_models.errors import UserError

LARGEST_MODEL_BYTES = 64 << 20  # no microcontroller holds as much
LARGEST_TEXT_BYTES = 16 << 20  # logs of a board
_LARGEST_TOML_BYTES = 1 << 17
_MOST_DOTS = 32  # of a dotted key: its reader takes time by the square of them
_LONG_NUMBER = re.compile(r"[\d_]{100,}")


def read_bounded(path: Path, limit: int, *, follow_links: bool = True, called: str = "") -> bytes:
    """The bytes of a regular file.

    Args:
        path: The file.
        limit: The largest size that is read.
        follow_links: Whether the path itself may be a symbolic link.
        called: What messages call the file; by default its path.

    Raises:
        UserError: It cannot be read, is a folder, FIFO, device or socket, or is larger than the limit.
    """
    name = called or str(path)
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        # Looked at before it is opened: opening a device can have effects, and a FIFO waits for its other end.
        _check_kind(name, path.stat(follow_symlinks=follow_links))
        descriptor = os.open(path, flags)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _check_kind(name, status)
            # Files of /proc and the like state a size of 0, so the bytes are counted as well.
            data = file.read(limit + 1) if status.st_size <= limit else None
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(f"{name} cannot be read: {reason}.", "Give a file that can be read.") from None
    if data is None or len(data) > limit:
        raise UserError(
            f"{name} has more than {_size(limit)}.", "That is not a file of the kind expected here."
        )
    return data


def read_text(path: Path, limit: int = LARGEST_TEXT_BYTES) -> str:
    """The text of a regular file in UTF-8.

    Raises:
        UserError: As `read_bounded`, or it is no UTF-8.
    """
    try:
        return read_bounded(path, limit).decode("utf-8-sig")  # some editors write a byte order mark
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not text in UTF-8 ({error.reason} at byte {error.start}).", "Save it as UTF-8."
        ) from None


def read_toml(path: Path, hint: str) -> tuple[str, dict[str, Any]]:
    """The text and the values of a TOML file from any source, within a moment.

    Args:
        path: The file.
        hint: What to do about a file that is not TOML.

    Raises:
        UserError: As `read_text`, it is not TOML, or it asks its reader for too much.
    """
    import tomllib

    text = read_text(path, _LARGEST_TOML_BYTES)
    for number, line in enumerate(text.splitlines(), 1):
        if line.partition("=")[0].count(".") > _MOST_DOTS:
            raise UserError(f"{path}, line {number} has a key of more than {_MOST_DOTS} dots.", hint)
        if long_number := _LONG_NUMBER.search(line):
            raise UserError(f"{path}, line {number} has a number of {len(long_number[0]):,} digits.", hint)
    try:
        return text, tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UserError(f"{path} is not TOML: {reason}.", hint) from None


def _check_kind(name: str, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
    )
    kind = next((kind for test, kind in kinds if test(status.st_mode)), "a device")
    raise UserError(f"{name} is {kind}.", "Give a regular file.")


def _size(limit: int) -> str:
    for unit, scale in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if limit >= scale and limit % scale == 0:
            return f"{limit // scale:,} {unit}"
    return f"{limit:,} B"
