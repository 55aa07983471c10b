"""How much memory this process can still take: of the machine, its container and its own limits."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.errors import UserError

resource: Any = import_module("resource") if find_spec("resource") else None  # Windows has none

_CGROUPS = Path("/sys/fs/cgroup")
_COPIES, _BYTE_COPIES = 24, 4  # bytes a value
_MOST_WORK = 128 << 20  # what is larger is worked on in pieces


def available_bytes() -> int:
    """The least that any limit leaves; a very large number where none is known."""
    left = [1 << 62]
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                left.append(int(line.split()[1]) * 1024)
    left += _cgroup_room()
    left += _own_room()
    return max(0, min(left))


def require_memory(needed_bytes: int, what: str, hint: str) -> None:
    """Refuses data before their memory is taken.

    Raises:
        UserError: They need more than is available.
    """
    room = available_bytes()
    if needed_bytes > room:
        raise UserError(
            f"{what} would take about {_size(needed_bytes)} of memory; {_size(room)} are available.", hint
        )


def work_bytes(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    """Bytes of the copies that are made of samples while they are split and their scaling is fitted; measured."""
    return min(_MOST_WORK, math.prod(shape) * (_BYTE_COPIES if dtype == np.uint8 else _COPIES))


def _own_room() -> list[int]:
    """Room below the limit that this process was started with (`ulimit -v`)."""
    if resource is None:
        return []
    with suppress(OSError, ValueError, IndexError):
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            return [limit - taken]
    return []


def _cgroup_room() -> list[int]:
    """Room below the limits of this process's control group and of those around it, of version 2 and 1."""
    rooms = []
    for top, limit_file, usage_file, controller in (
        (_CGROUPS, "memory.max", "memory.current", ""),
        (_CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory"),
    ):
        folder = top / _group_of(controller).lstrip("/")
        # In a container the path is that of the host: then only the top exists.
        for place in (folder, *folder.parents):
            with suppress(OSError, ValueError):  # no such file, or "max"
                limit = int((place / limit_file).read_text())
                rooms.append(limit - int((place / usage_file).read_text()) + _reclaimable(place))
            if place == top:
                break
    return rooms


def _reclaimable(place: Path) -> int:
    """Bytes of file cache, which count as used but are given back when needed."""
    with suppress(OSError, ValueError, IndexError):
        for line in (place / "memory.stat").read_text().splitlines():
            if line.startswith(("inactive_file ", "total_inactive_file ")):
                return int(line.split()[1])
    return 0


def _group_of(controller: str) -> str:
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return path
    return ""


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"
