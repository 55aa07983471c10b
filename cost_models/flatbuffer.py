"""Reading a flatbuffer that nobody vouches for: every access is checked, the total work is bounded.

The `flatbuffers` package trusts its input: it reads wherever an offset points and a few bytes can make it
loop for hours. A model file comes from anywhere, so reads go through here.
"""

from __future__ import annotations

import struct

from cost_models.errors import UserError

_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_F32 = struct.Struct("<f")
_SCALARS = {"b": struct.Struct("<b"), "B": struct.Struct("<B"), "i": _I32, "I": _U32, "Q": _U64, "f": _F32}

# Legitimate files share vectors (a lean model stores each shape once), so reading may touch a byte several
# times; a hostile one makes thousands of tables share one huge vector.
_READS_PER_BYTE = 16


class DamagedModelError(UserError):
    """The bytes start like a .tflite model and do not go on like one."""


def broken(detail: str) -> DamagedModelError:
    """The error for a damaged model."""
    return DamagedModelError(
        f"The .tflite model is truncated or damaged: {detail}.",
        "Convert or copy the model again.",
    )


class UnfitModelError(UserError):
    """A model is sound, but TFLM's kernels do not take it."""


def refused(detail: str) -> UnfitModelError:
    """The error for a sound model that TFLM's kernels do not take."""
    return UnfitModelError(
        f"TFLM does not run this model: {detail}.",
        "Convert the network again with other settings, or build it of other operators.",
    )


class Reader:
    """The bytes of a flatbuffer and what is left of the work allowed on them.

    Args:
        data: The whole file.
    """

    __slots__ = ("_budget", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._budget = _READS_PER_BYTE * len(data) + 4096

    def root(self) -> Table:
        """The root table."""
        return Table(self, self.u32(0))

    def scalar(self, code: struct.Struct, at: int) -> int | float:
        """One number at a byte offset."""
        self.spend(code.size)
        if at < 0 or at + code.size > len(self.data):
            raise broken("an offset points outside the file")
        value: int | float = code.unpack_from(self.data, at)[0]
        return value

    def u32(self, at: int) -> int:
        """The unsigned 32-bit integer at a byte offset."""
        return int(self.scalar(_U32, at))

    def spend(self, size: int) -> None:
        """Count work, and stop when a file asks for more than its length explains.

        Raises:
            UserError: The file makes its reader work for nothing.
        """
        self._budget -= size
        if self._budget < 0:
            raise broken("it refers to the same bytes too often")


class Table:
    """One table: fields by id, with their defaults.

    Args:
        reader: The file.
        at: Byte offset of the table.
    """

    __slots__ = ("_at", "_fields", "_reader")

    def __init__(self, reader: Reader, at: int) -> None:
        vtable = at - int(reader.scalar(_I32, at))
        vtable_size = int(reader.scalar(_U16, vtable))
        table_size = int(reader.scalar(_U16, vtable + 2))
        if vtable_size < 4 or vtable_size % 2 or vtable + vtable_size > len(reader.data):
            raise broken("a table has no valid description")
        reader.spend(vtable_size)
        if table_size < 4 or at + table_size > len(reader.data):
            raise broken("a table reaches past the end of the file")
        self._reader = reader
        self._at = at
        self._fields = struct.unpack_from(f"<{vtable_size // 2 - 2}H", reader.data, vtable + 4)
        if self._fields and max(self._fields) >= table_size:
            raise broken("a field lies beyond its table")

    def _position(self, field: int) -> int:
        offset = self._fields[field] if field < len(self._fields) else 0
        return self._at + offset if offset else 0

    def has(self, field: int) -> bool:
        """Whether the field is stored."""
        return self._position(field) != 0

    def integer(self, field: int, code: str = "i", default: int = 0) -> int:
        """A scalar field; `code` is its `struct` letter (b, B, i, I, Q)."""
        at = self._position(field)
        return int(self._reader.scalar(_SCALARS[code], at)) if at else default

    def real(self, field: int, default: float = 0.0) -> float:
        """A float32 field."""
        at = self._position(field)
        return float(self._reader.scalar(_F32, at)) if at else default

    def _target(self, field: int) -> int:
        at = self._position(field)
        return at + self._reader.u32(at) if at else 0

    def table(self, field: int) -> Table | None:
        """A table field, None when it is absent."""
        at = self._target(field)
        return Table(self._reader, at) if at else None

    def _span(self, field: int, item_bytes: int) -> tuple[int, int]:
        """Where the items of a vector field begin, and how many there are."""
        at = self._target(field)
        if not at:
            return 0, 0
        count = self._reader.u32(at)
        if at + 4 + count * item_bytes > len(self._reader.data):
            raise broken("a list is longer than the file")
        return at + 4, count

    def count(self, field: int, item_bytes: int) -> int:
        """The length of a vector field, 0 when it is absent."""
        return self._span(field, item_bytes)[1]

    def numbers(self, field: int, code: str) -> tuple[int, ...]:
        """A vector of integers; `code` is the `struct` letter of its items."""
        size = struct.calcsize(f"<{code}")
        start, count = self._span(field, size)
        self._reader.spend(count * size)
        return struct.unpack_from(f"<{count}{code}", self._reader.data, start) if count else ()

    def span(self, field: int, item_bytes: int = 1) -> tuple[int, int]:
        """Byte offset and length in bytes of a vector's items, without reading them."""
        start, count = self._span(field, item_bytes)
        return start, count * item_bytes

    def tables(self, field: int) -> tuple[Table, ...]:
        """A vector of tables."""
        start, count = self._span(field, 4)
        reader = self._reader
        return tuple(Table(reader, at + reader.u32(at)) for at in range(start, start + 4 * count, 4))
