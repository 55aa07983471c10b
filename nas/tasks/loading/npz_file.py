"""Reads arrays of an .npz, from a file that nobody vouches for: everything is checked before memory is taken.

The directory of the archive and the headers of the arrays say how large everything becomes; numpy itself would only
notice when it is too late. Nothing is unpickled.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.words import first_line
from nas.tasks.loading.mapped import LARGE_BYTES, release, room_for, spans
from nas.tasks.loading.memory import require_memory, work_bytes

Array = NDArray[np.generic]

_MOST_MEMBERS = 1000
_MOST_HEADER = 1 << 16
_BOMB_BYTES = 256 << 20
_BOMB_RATIO = 200  # deflate reaches 1,000 on zeros; recordings stay below 10
_ARRAY_FILE = ".npy"
_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The arrays that were read.

    Attributes:
        arrays: The wanted arrays.
        unused: Shapes of the arrays that were left alone, by name; None where the header cannot be read.
        strangers: Names of members that are not arrays.
    """

    arrays: dict[str, Array]
    unused: dict[str, tuple[int, ...] | None]
    strangers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    columns_first: bool

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_npz(path: Path, *, wanted: Callable[[str], bool], hint: str) -> Contents:
    """The arrays of an archive that the caller wants.

    Args:
        path: The file.
        wanted: Which arrays to read, by name.
        hint: What the file should hold, for messages.

    Raises:
        UserError: No such file, a damaged or hostile one, pickled objects, or more than fits into memory.
    """
    _check_file(path, hint)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            strangers = tuple(sorted(name for name in members if not name.endswith(_ARRAY_FILE)))
            arrays = {
                name.removesuffix(_ARRAY_FILE): info
                for name, info in members.items()
                if name not in strangers
            }
            headers = {key: _header(archive, info, path) for key, info in arrays.items() if wanted(key)}
            needed = sum(header.bytes + work_bytes(header.shape, header.dtype) for header in headers.values())
            require_memory(needed, str(path), "Store fewer or smaller samples.")
            return Contents(
                arrays={key: _array(archive, arrays[key], header, path) for key, header in headers.items()},
                unused={key: _shape(archive, info) for key, info in arrays.items() if key not in headers},
                strangers=strangers,
            )
    except UserError:
        raise
    except MemoryError:
        raise UserError(f"{path} does not fit into memory.", "Store fewer or smaller samples.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, struct.error) as error:
        raise _damaged(path, error) from None
    except (NotImplementedError, RuntimeError, TypeError, OverflowError, SyntaxError) as error:
        raise UserError(
            f"{path} cannot be read as .npz ({first_line(error)}).", "Write it with numpy.savez."
        ) from None


def _check_file(path: Path, hint: str) -> None:
    """Tells what is not an archive from one that is damaged."""
    try:
        if not path.exists():
            raise UserError(f"There is no file {path}.", "Check the path after npz:.")
        if not path.is_file():
            raise UserError(f"{path} is not a regular file.", "Check the path after npz:.")
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).", "Check its permissions.") from None
    except ValueError:  # a path with a null character
        raise UserError(f"There is no file {path!s}.", "Check the path after npz:.") from None
    if start.startswith(_MAGIC):
        raise UserError(f"{path} is a single array, not an .npz.", hint)
    if start.startswith(b"version https://git-lfs"):
        raise UserError(
            f"{path} cannot be read as .npz (it is a pointer of Git LFS).", "Fetch it with git lfs pull."
        )
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise UserError(f"{path} cannot be read as .npz (it is a web page).", "Download the file itself.")
    if not start.startswith(b"PK"):
        what = "it is empty" if not start else "it is not a zip archive"
        raise UserError(f"{path} cannot be read as .npz ({what}).", "Write it with numpy.savez.")


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
    if len(infos) > _MOST_MEMBERS:
        raise UserError(f"{path} has {len(infos):,} members.", f"Store at most {_MOST_MEMBERS:,} arrays.")
    name, times = Counter(info.filename for info in infos).most_common(1)[0] if infos else ("", 1)
    if times > 1:
        raise UserError(f"{path} holds {name!r} {times} times.", "Write it again with numpy.savez.")
    for info in infos:
        if info.flag_bits & 1:
            raise UserError(f"{path} is encrypted ({info.filename!r}).", "Store it without a password.")
    return {info.filename: info for info in infos}


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> _Header:
    """An array's type and shape from its header, checked against the directory of the archive."""
    name = info.filename.removesuffix(_ARRAY_FILE)
    with archive.open(info) as file:
        header, length = _parse(file.read(8), file.read)
    if header is None:
        raise UserError(f"{path}: the array {name} has no sound header.", "Write it again with numpy.savez.")
    if header.dtype.hasobject:
        raise UserError(
            f"{path} holds pickled objects, which are never loaded (array {name}).",
            "Save plain numeric arrays (no dtype=object).",
        )
    if header.dtype.names is not None or header.dtype.kind not in "biufcSU":
        kind = "a structured array" if header.dtype.names is not None else f"of type {header.dtype}"
        raise UserError(f"{path}: {name} is {kind}.", "Save plain arrays of numbers or text.")
    if header.bytes != info.file_size - length:
        raise UserError(
            f"{path}: the array {name} has {info.file_size - length:,} bytes where its header says"
            f" {header.bytes:,}.",
            "The file is damaged; write or download it again.",
        )
    if info.file_size > _BOMB_BYTES and info.file_size > _BOMB_RATIO * max(1, info.compress_size):
        raise UserError(
            f"{path}: the array {name} unpacks {info.compress_size:,} bytes to {info.file_size:,}, as only"
            " repetitions do.",
            "Check where the file comes from.",
        )
    return header


def _parse(start: bytes, read: Callable[[int], bytes]) -> tuple[_Header | None, int]:
    """The header after its first 8 bytes, and its length with them; None if it is not sound."""
    if start[:6] != _MAGIC or start[6:] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        return None, 0
    width = 2 if start[6] == 1 else 4
    size_bytes = read(width)
    size = int.from_bytes(size_bytes, "little")
    # numpy reads as many bytes as the header claims to have before it looks at them.
    if len(size_bytes) < width or size > _MOST_HEADER:
        return None, 0
    text = size_bytes + read(size)
    parse = np.lib.format.read_array_header_1_0 if start[6] == 1 else np.lib.format.read_array_header_2_0
    try:
        shape, columns_first, dtype = parse(io.BytesIO(text))
    except (
        ValueError,
        SyntaxError,
        TokenError,
        TypeError,
        LookupError,
        RecursionError,
        MemoryError,
        OverflowError,
    ):
        return None, 0
    if any(not 0 <= n < 1 << 62 for n in shape):
        return None, 0
    return _Header(shape=tuple(shape), dtype=dtype, columns_first=bool(columns_first)), 8 + len(text)


def _shape(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[int, ...] | None:
    try:
        with archive.open(info) as file:
            header, _ = _parse(file.read(8), file.read)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError):
        return None
    return None if header is None else header.shape


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: _Header, path: Path) -> Array:
    with archive.open(info) as file:
        if header.bytes >= LARGE_BYTES and not header.columns_first:
            return _mapped(file, header)
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
    if array.shape != header.shape:
        raise UserError(f"{path} changed while it was read.", "Start again.")
    return array


def _mapped(file: IO[bytes], header: _Header) -> Array:
    """A large array, chunk by chunk into one that takes no memory."""
    _parse(file.read(8), file.read)
    array = room_for(header.shape, header.dtype)
    for start, stop in spans(array):
        left = memoryview(array[start:stop].reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        while left:
            some = file.read(len(left))
            if not some:
                raise EOFError("it ends early")
            left[: len(some)] = some
            left = left[len(some) :]
        release(array)
    file.read(1)  # its end, where the checksum is compared
    return array


def _damaged(path: Path, error: Exception) -> UserError:
    cut = isinstance(error, zipfile.BadZipFile) and "not a zip file" in str(error)
    reason = "its end is missing" if cut else first_line(error)
    return UserError(
        f"{path} cannot be read as .npz ({reason}).",
        "The file is damaged or was not downloaded wholly; write or download it again.",
    )
