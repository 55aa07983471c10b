"""Arrays as an `.npz` of the same bytes for the same arrays, read back without pickle and within a bound."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_END = ".npy"


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An uncompressed npz of the same bytes for the same arrays: numpy's own would hold the time."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for key, array in arrays.items():
            inner = io.BytesIO()
            np.save(inner, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}{_END}"), inner.getvalue())
    return stream.getvalue()


def npz_arrays(content: bytes, limit: int) -> dict[str, NDArray[Any]]:
    """The arrays of an npz of unknown origin.

    Args:
        content: The file.
        limit: Bytes that its members may take when they are unpacked, together.

    Raises:
        ValueError: It is not one, holds objects, or is larger than that.
    """
    members = unpacked(content, limit)
    if any(not name.endswith(_END) for name in members):
        raise ValueError("it holds something else than arrays")
    try:
        return {
            name.removesuffix(_END): np.load(io.BytesIO(member), allow_pickle=False)
            for name, member in members.items()
        }
    except (ValueError, EOFError, OSError, SyntaxError, MemoryError, OverflowError) as error:
        raise ValueError("an array in it cannot be read") from error


def unpacked(content: bytes, limit: int, names: tuple[str, ...] | None = None) -> dict[str, bytes]:
    """The members of a zip archive of unknown origin, by name.

    Args:
        content: The archive.
        limit: Bytes that they may take when they are unpacked, together.
        names: The members to unpack, those that are there; None for all.

    Raises:
        ValueError: It is not an archive, is damaged, or unpacks to more than the limit.
    """
    members: dict[str, bytes] = {}
    left = limit
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                if left >= 0 and (names is None or entry.filename in names):
                    with archive.open(entry) as file:
                        members[entry.filename] = file.read(left + 1)  # whatever size the archive states
                    left -= len(members[entry.filename])
    except (
        zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError
    ) as error:  # fmt: skip
        raise ValueError("it is not a zip archive, or damaged") from error
    if left < 0:
        raise ValueError(f"it unpacks to more than {limit >> 20} MB")
    return members
