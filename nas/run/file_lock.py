"""A lock on an open file that ends with its process, by what the operating system has."""

from __future__ import annotations

import os
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None  # Windows has none
_TRIES, _PAUSE = 5, 0.02


def lock_exclusively(descriptor: int) -> None:
    """Locks an open file, or fails within a moment: a look by `is_locked` does not keep it out.

    Raises:
        OSError: Another process holds the lock.
    """
    for _ in range(_TRIES - 1):
        try:
            return _lock(descriptor)
        except OSError:
            time.sleep(_PAUSE)
    return _lock(descriptor)


def _lock(descriptor: int) -> None:
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    msvcrt: Any = import_module("msvcrt")
    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)


def is_locked(path: Path) -> bool:
    """Whether a process has locked the file, as far as this machine can tell; writes nothing.

    The look itself holds a shared lock for an instant.
    """
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC"):  # a FIFO or link in its place is not a lock
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return False
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        else:
            msvcrt: Any = import_module("msvcrt")
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False
