"""Arrays that took long to make, kept by what they were made of: npy files and a JSON in the folder of caches."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.tasks.loading.mapped import cache_folder, room_for

Array = NDArray[np.generic]

_FACTS = "facts.json"
_UNUSED_DAYS = 30.0

Fill = Callable[[Mapping[str, Array], Mapping[str, Path]], dict[str, Any]]
"""Fills arrays, whose files other processes may open, and returns what else is to be kept: JSON values."""


def kept(
    key: str, shapes: Mapping[str, tuple[int, ...]], dtype: type[np.generic], fill: Fill
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a key, mapped: of an earlier time, or made now.

    What nobody asked for in a month goes. Where the folder cannot be written, nothing is kept.

    Args:
        key: A hash of all that they are made of.
        shapes: Of each array, by name.
        dtype: Of all.
        fill: Makes them.
    """
    folder = cache_folder() / key
    if opened := _found(folder, shapes, dtype):
        return opened
    _tidy(folder.parent)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix="new-"))
        files = {name: _new_file(made / f"{name}.npy", shape, dtype) for name, shape in shapes.items()}
    except OSError:
        arrays = {name: room_for(shape, dtype) for name, shape in shapes.items()}
        return arrays, fill(arrays, {})
    try:
        arrays = {name: np.load(file, mmap_mode="r+") for name, file in files.items()}
        facts = fill(arrays, files)
        (made / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        with suppress(OSError):  # another process was faster: then the two are alike
            made.replace(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    again = _found(folder, shapes, dtype)
    shutil.rmtree(made, ignore_errors=True)
    return again or ({name: array.view(np.ndarray) for name, array in arrays.items()}, facts)


def _new_file(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> Path:
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    size = path.stat().st_size
    del array
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk is found out here, not by a signal later
    return path


def _found(
    folder: Path, shapes: Mapping[str, tuple[int, ...]], dtype: type[np.generic]
) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """The files that are there and whole, and from now on young again."""
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)
            for name in shapes
        }
        os.utime(folder / _FACTS)
    except (OSError, ValueError, EOFError):
        return None
    sound = all(array.shape == shapes[name] and array.dtype == dtype for name, array in arrays.items())
    return (arrays, facts) if sound and isinstance(facts, dict) else None


def _tidy(folder: Path) -> None:
    """Removes what was not asked for in a long time."""
    with suppress(OSError):
        for place in folder.iterdir():
            facts = place / _FACTS
            age = time.time() - (facts if facts.is_file() else place).stat().st_mtime
            if place.is_dir() and age > _UNUSED_DAYS * 86400:
                shutil.rmtree(place, ignore_errors=True)
