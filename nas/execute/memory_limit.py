"""A limit on a worker's resident memory, kept by a thread of its own."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

resource: Any = import_module("resource") if find_spec("resource") else None  # Windows has none

_GIB = 1 << 30
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 2.0
_GRACE_SHARE = 1.25
_EXIT_CODE = 70


def fair_share() -> int:
    """Bytes that one of as many workers as cores may take of this machine or container, at least 4 GiB."""
    whole = 0  # unknown, on Windows
    with suppress(AttributeError, OSError, ValueError):
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no cgroup, or "max"
        whole = min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return max(4 * _GIB, int(0.9 * whole) // (os.cpu_count() or 1))


def peak_bytes() -> int:
    """The most memory that this process ever took; 0 where the system does not say."""
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


class MemoryLimit:
    """A context in which this thread gets a `MemoryError` when the process outgrows the limit.

    Code that swallows it, or that is deep in C, is not asked twice: the process ends.
    Without /proc there is no limit.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._thread = threading.get_ident()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryLimit:
        if Path("/proc/self/statm").exists():
            self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), None)

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        raised = 0.0
        while not self._over.wait(_POLL_SECONDS):
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * page
            if resident <= self._limit_bytes:
                continue
            if not raised:
                raised = time.monotonic()
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread), ctypes.py_object(MemoryError)
                )
            elif time.monotonic() > raised + _GRACE_SECONDS or resident > _GRACE_SHARE * self._limit_bytes:
                os._exit(_EXIT_CODE)
