"""Large arrays as files that are mapped into memory: what is not looked at takes none, and workers share the pages."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

LARGE_BYTES = 16 << 20
"""Bytes from which on an array is a file's."""

CHUNK_BYTES = 4 << 20
"""Bytes that are looked at a time, about."""


def cache_folder() -> Path:
    """Where large arrays and features lie: MCU_NAS_CACHE, or `mcu-nas` in the user's folder of caches."""
    if given := os.environ.get("MCU_NAS_CACHE"):
        return Path(given)
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given, "mcu-nas")
    # The folder for temporary files is memory on many machines: it is for users without a home alone.
    try:
        return Path.home() / ".cache" / "mcu-nas"
    except RuntimeError:
        return Path(tempfile.gettempdir(), "mcu-nas")


def room_for(shape: tuple[int, ...], dtype: np.dtype[Any] | type[np.generic]) -> Array:
    """An array to be filled: of zeros in memory, or of a file without a name where it is large."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size < LARGE_BYTES:
        return np.zeros(shape, kind)
    folder = cache_folder()
    with suppress(OSError):  # a home that is not there or full: memory takes it
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(
                    file.fileno(), 0, size
                )  # a full disk is found out here, not by a signal later
            else:
                file.truncate(size)
            # Of the plain class: what is of another is copied on its way to an object store.
            return np.memmap(file, kind, "r+", shape=shape).view(np.ndarray)
    return np.zeros(shape, kind)


def chunks(array: Array) -> Iterator[Array]:
    """Views of some rows each; a mapped array gives up its memory behind them.

    Shape: (n, ...) -> (a few, ...).
    """
    for start, stop in spans(array):
        yield array[start:stop]
        release(array)


def spans(array: Array) -> list[tuple[int, int]]:
    """First row and the row behind the last one of each chunk."""
    rows = max(1, CHUNK_BYTES // max(1, array[:1].nbytes))
    return [(start, min(start + rows, len(array))) for start in range(0, len(array), rows)]


def release(array: Array) -> None:
    """Gives up the memory of a mapped array; its file keeps the values."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
        with suppress(ValueError):  # closed
            base.madvise(mmap.MADV_DONTNEED)


def gathered(array: Array, index: NDArray[np.int64]) -> Array:
    """Some rows of an array, in the order of `index`, as an array of their own."""
    made = room_for((len(index), *array.shape[1:]), array.dtype)
    for start, stop in spans(made):
        made[start:stop] = array[index[start:stop]]
        release(made)
        release(array)
    return made


def converted(array: Array, dtype: np.dtype[Any]) -> Array:
    """The array in one piece and of a type: itself where it is that already."""
    if array.dtype == dtype and array.flags.c_contiguous:
        return array
    made = room_for(array.shape, dtype)
    for start, stop in spans(made):
        made[start:stop] = array[start:stop]
        release(made)
        release(array)
    return made


def extremes(array: Array) -> tuple[Array, Array]:
    """Least and largest value of each channel, the last axis. Shape: (channels,) each."""
    axes = tuple(range(array.ndim - 1))
    low, high = array[0].min(axis=axes[:-1]), array[0].max(axis=axes[:-1])
    for chunk in chunks(array):
        low, high = np.minimum(low, chunk.min(axis=axes)), np.maximum(high, chunk.max(axis=axes))
    return low, high
