"""Options of custom operators: a FlexBuffer that maps names to integers, read with every access checked, and written.

TFLM's kernels do not look values up by name: the values of a map stand in the order of their sorted names, and a
kernel takes the first, the second, and so on.

Source: https://flatbuffers.dev/flexbuffers and include/flatbuffers/flexbuffers.h, FlatBuffers 25.9.23;
tensorflow/lite/micro/flatbuffer_utils.h, tflite-micro 90b983c2.
"""

from __future__ import annotations

from collections.abc import Mapping

from cost_models.flatbuffer import broken

# Types by their number; a stored type is the number times 4 and, below, the exponent of the width.
_INT, _UINT, _KEY, _MAP, _BOOL = 1, 2, 4, 9, 26
_MOST_ENTRIES = 64
_LONGEST_NAME = 64
_WIDTHS = (1, 2, 4, 8)


def read_integers(data: bytes) -> dict[str, int]:
    """The integers and booleans of a map, by name, in the order of the bytes.

    Numbers are read as signed whatever their type says, as TFLM's kernels do.

    Raises:
        UserError: The bytes are not a map of integers.
    """
    entries = _entries(data)
    for name, value in entries.items():
        if value is None:
            raise broken(f"a custom operator's option {name} is not an integer")
    return read_numbers(data)


def read_numbers(data: bytes) -> dict[str, int]:
    """As `read_integers`, of a map that has other values too, such as fractions: those are left out.

    Raises:
        UserError: The bytes are not a map.
    """
    return {name: value for name, value in _entries(data).items() if value is not None}


def _entries(data: bytes) -> dict[str, int | None]:
    """The integers and booleans of a map by name, None for any other value."""
    if len(data) < 3:
        raise broken("a custom operator's options are no FlexBuffer")
    kind, child = divmod(data[-2], 4)
    if kind != _MAP or data[-1] not in _WIDTHS:
        raise broken("a custom operator's options are not a map")
    root = len(data) - 2 - data[-1]
    width = 1 << child
    at = _follow(data, root, data[-1])
    count = _number(data, at - width, width)
    keys = _follow(data, at - 3 * width, width)
    key_width = _number(data, at - 2 * width, width)
    if key_width not in _WIDTHS or not 0 <= count <= _MOST_ENTRIES:
        raise broken("a custom operator's options are not a map of a few names")
    if _number(data, keys - key_width, key_width) != count:
        raise broken("a custom operator's options have other names than values")
    entries: dict[str, int | None] = {}
    for index in range(count):
        name = _name(data, _follow(data, keys + index * key_width, key_width))
        stored = _number(data, at + count * width + index, 1)
        known = stored >> 2 in (_INT, _UINT, _BOOL)
        entries[name] = _number(data, at + index * width, width, signed=True) if known else None
    if len(entries) != count or list(entries) != sorted(entries):
        raise broken("a custom operator's options are not in the order of their names")
    return entries


def write_integers(values: Mapping[str, int | bool]) -> bytes:
    """The bytes of a map that `read_integers` reads, and TFLM's kernels.

    Args:
        values: Integers of at most 32 bits, and booleans.
    """
    names = sorted(values)
    numbers = [int(values[name]) for name in names]
    out = bytearray()
    places = []
    for name in names:
        places.append(len(out))
        out += name.encode("ascii") + b"\0"
    # One width for all: offsets back to the names, counts, and the values themselves.
    width = next(
        width
        for width in (1, 2, 4)
        if len(out) + width * (2 * len(names) + 5) < 1 << 8 * width
        and all(-(1 << 8 * width - 1) <= number < 1 << 8 * width - 1 for number in numbers)
    )
    out += bytes(-len(out) % width)
    out += len(names).to_bytes(width, "little")
    keys = len(out)
    for place in places:
        out += (len(out) - place).to_bytes(width, "little")
    out += (len(out) - keys).to_bytes(width, "little")
    out += width.to_bytes(width, "little")
    out += len(names).to_bytes(width, "little")
    at = len(out)
    for number in numbers:
        out += number.to_bytes(width, "little", signed=True)
    exponent = _WIDTHS.index(width)
    for name in names:
        out.append((_BOOL if isinstance(values[name], bool) else _INT) << 2 | exponent)
    root = len(out)
    root_width = 1 if root - at < 1 << 8 else 2
    out += bytes(-root % root_width)
    out += (len(out) - at).to_bytes(root_width, "little")
    out += bytes((_MAP << 2 | exponent, root_width))
    return bytes(out)


def _number(data: bytes, at: int, width: int, *, signed: bool = False) -> int:
    if at < 0 or at + width > len(data):
        raise broken("a custom operator's options point outside of themselves")
    return int.from_bytes(data[at : at + width], "little", signed=signed)


def _follow(data: bytes, at: int, width: int) -> int:
    """Where an offset leads: always back."""
    return at - _number(data, at, width)


def _name(data: bytes, at: int) -> str:
    end = data.find(b"\0", at, at + _LONGEST_NAME) if at >= 0 else -1
    if end < 0 or not data[at:end].isascii():
        raise broken("a custom operator's options have a name that is none")
    return data[at:end].decode("ascii")
