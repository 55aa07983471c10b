"""Reading files of unknown origin: regular files alone, and never more bytes than expected."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cost_models.errors import UserError

LARGEST_MODEL_BYTES = 64 << 20  # no microcontroller holds as much


def read_bounded(path: Path, limit: int, *, follow_links: bool = True) -> bytes:
    """The bytes of a regular file.

    Args:
        path: The file.
        limit: The largest size that is read.
        follow_links: Whether the path itself may be a symbolic link.

    Raises:
        UserError: It cannot be read, is a folder, FIFO, device or socket, or is larger than the limit.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        # Looked at before it is opened: opening a device can have effects, and a FIFO waits for its other end.
        _check_kind(path, path.stat(follow_symlinks=follow_links))
        descriptor = os.open(path, flags)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _check_kind(path, status)
            # Files of /proc and the like state a size of 0, so the bytes are counted as well.
            data = file.read(limit + 1) if status.st_size <= limit else None
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(f"{path} cannot be read: {reason}.", "Give a file that can be read.") from None
    if data is None or len(data) > limit:
        raise UserError(f"{path} has more than {_size(limit)}.", "That is no file of the kind expected here.")
    return data


def _check_kind(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
    )
    kind = next((name for test, name in kinds if test(status.st_mode)), "a device")
    raise UserError(f"{path} is {kind}.", "Give a regular file.")


def _size(limit: int) -> str:
    for unit, scale in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if limit >= scale and limit % scale == 0:
            return f"{limit // scale:,} {unit}"
    return f"{limit:,} B"
