"""Closed forms for how often the kernels' loops run: taps inside the image, bytes copied and filled."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def taps_inside(extent: int, outputs: int, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """Pairs (output, kernel tap) of one dimension whose tap lies inside the input."""
    if pad == 0 and (outputs - 1) * stride + (kernel - 1) * dilation < extent:
        return outputs * kernel
    total = 0
    for tap in range(kernel):
        offset = tap * dilation - pad
        first = 0 if offset >= 0 else (stride - 1 - offset) // stride
        last = (extent - 1 - offset) // stride
        if last >= outputs:
            last = outputs - 1
        if last >= first:
            total += last - first + 1
    return total


def tap_inside(tap: int, extent: int, outputs: int, stride: int, pad: int) -> int:
    """Outputs of one dimension for which one given kernel tap lies inside the input."""
    offset = tap - pad
    first = 0 if offset >= 0 else (stride - 1 - offset) // stride
    last = min((extent - 1 - offset) // stride, outputs - 1)
    return max(0, last - first + 1)


def pad_before(padding: str, extent: int, outputs: int, kernel: int, stride: int, dilation: int) -> int:
    """Padding in front of one dimension, as TFLite computes it."""
    if padding == "VALID":
        return 0
    total = (outputs - 1) * stride + (kernel - 1) * dilation + 1 - extent
    return total // 2 if total > 0 else 0


@lru_cache(maxsize=1024)
def copy_instructions(size_bytes: int) -> int:
    """Instructions of newlib's Thumb-2 `memcpy` between word-aligned addresses.

    Source: disassembly of libc_nano.a (newlib 3.3, Debian 12) for v7e-m.
    """
    rest = size_bytes & 3
    return (
        14
        + 34 * (size_bytes >> 6)
        + 10 * ((size_bytes & 63) >> 4)
        + 4 * ((size_bytes & 15) >> 2)
        + ((7 if rest >= 2 else 5) if rest else 0)
    )


@lru_cache(maxsize=1024)
def copy_instructions_v6(size_bytes: int) -> int:
    """Instructions of newlib's Armv6-M `memcpy`: 16-byte blocks when both ends are aligned, else single bytes.

    Runs of channels start at multiples of their own size, so a size that is no multiple of 4 is aligned at
    both ends only in a share of the copies. Source: disassembly of libc_nano.a (newlib 3.3) for v6-m.
    """
    by_byte = 15 + 6 * size_bytes
    if size_bytes < 16:
        return by_byte - 6
    words = (size_bytes & 15) >> 2
    rest = size_bytes & 3
    aligned = 33 + 13 * (size_bytes >> 4) + (8 + 5 * words if words else 2) + (1 + 6 * rest if rest else 0)
    if rest == 0:
        return aligned
    share = 4 if rest == 2 else 16
    return by_byte + (aligned - by_byte) // share


@lru_cache(maxsize=1024)
def fill_instructions(size_bytes: int) -> int:
    """Instructions of newlib's `memset` of a word-aligned block (v7e-m; v6-m differs by a few per call)."""
    if size_bytes < 4:
        return 12 + 3 * size_bytes
    blocks = size_bytes >> 4
    words = (size_bytes & 15) >> 2
    rest = size_bytes & 3
    return 17 + (11 + 7 * blocks if blocks else 2) + (4 + 3 * words if words else 0) + 3 * rest
