"""A lock on an open file that ends with its process, by what the operating system has."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None  # Windows has none


def lock_exclusively(descriptor: int) -> None:
    """Locks an open file, or fails at once.

    Raises:
        OSError: Another process holds the lock.
    """
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    msvcrt: Any = import_module("msvcrt")
    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
