"""Closed forms for how often the kernels' loops run: taps inside the image, bytes copied and filled."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def taps_inside(extent: int, outputs: int, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """Pairs (output, kernel tap) of one dimension whose tap lies inside the input."""
    if pad == 0 and (outputs - 1) * stride + (kernel - 1) * dilation < extent:
        return outputs * kernel
    total = 0
    # Taps before and after these lie beside the input for every output.
    first_tap = max(0, -(((outputs - 1) * stride - pad) // dilation))
    for tap in range(first_tap, min(kernel, (extent - 1 + pad) // dilation + 1)):
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


# The instruction counts of newlib's memcpy and memset below follow its assembly (newlib 3.3, Debian 12,
# libc_nano.a; for RISC-V newlib's sources as picolibc 1.8 has them) and equal what QEMU counts for every size and
# alignment tried. The kernels copy runs of channels, whose addresses are multiples of the run's size: its residue
# says which alignments occur.
_RESIDUES = {0: (0,), 1: (0, 1, 2, 3), 2: (0, 2), 3: (0, 1, 2, 3)}


@lru_cache(maxsize=2048)
def copy_instructions(size_bytes: int, isa: str) -> float:
    """Instructions of one `memcpy` of a run of channels, on average over the alignments that occur."""
    residues = _RESIDUES[size_bytes & 3]
    counts = [copy_at(size_bytes, target, source, isa) for target in residues for source in residues]
    return sum(counts) / len(counts)


@lru_cache(maxsize=2048)
def fill_instructions(size_bytes: int, isa: str) -> float:
    """Instructions of one `memset` of a run of channels, on average over the alignments that occur."""
    residues = _RESIDUES[size_bytes & 3]
    return sum(fill_at(size_bytes, target, isa) for target in residues) / len(residues)


def copy_at(size_bytes: int, target: int, source: int, isa: str) -> int:
    """Instructions of one `memcpy`, given both addresses modulo 4."""
    if isa == "scalar":
        return _copy_v6(size_bytes, aligned=target == source == 0)
    if isa == "esp_rv32":
        return _copy_rv32(size_bytes, target, source)
    if target == source == 0:
        return _copy_v7(size_bytes)
    if size_bytes < 8:
        return 16 + 4 * (size_bytes - 3) if size_bytes > 3 else _copy_v7(size_bytes) - 2
    if source == 0:
        return _copy_v7(size_bytes) + 4
    if target == 0:
        return _copy_v7(size_bytes) + 6
    lead = 4 - target
    return _copy_v7(size_bytes - lead) + (13 if lead == 1 else 16)


def _copy_v7(size_bytes: int) -> int:
    rest = size_bytes & 3
    return (
        14
        + 34 * (size_bytes >> 6)
        + 10 * ((size_bytes & 63) >> 4)
        + 4 * ((size_bytes & 15) >> 2)
        + ((7 if rest >= 2 else 5) if rest else 0)
    )


def _copy_v6(size_bytes: int, *, aligned: bool) -> int:
    if size_bytes < 16:
        return 9 + 6 * size_bytes
    if not aligned:
        return 15 + 6 * size_bytes
    words = (size_bytes & 15) >> 2
    rest = size_bytes & 3
    return 33 + 13 * (size_bytes >> 4) + (8 + 6 * words if words else 2) + (1 + 6 * rest if rest else 0)


def _copy_rv32(size_bytes: int, target: int, source: int) -> int:
    """newlib's memcpy.c for RISC-V: bytes unless both addresses lie alike, then nine words at once."""
    if target != source or size_bytes < 4:
        entered = 6 if target != source else 8
        return entered + (6 + 5 * size_bytes + (3 if size_bytes > 6 else 0) if size_bytes else 1)
    lead = -target & 3
    count = 13 + 6 * lead + (1 if lead == 2 else 0)
    words, tail = divmod(size_bytes - lead, 4)
    blocks = (words - 8 + 8) // 9 if words > 8 else 0
    words -= 9 * blocks
    count += 3 + (3 + 22 * blocks if blocks else 0) + (5 * words + 6 if words else 0) + 1
    return count + (5 + 5 * tail + (1 if blocks else 0) if tail else 0) + (3 if blocks else 1)


def fill_at(size_bytes: int, target: int, isa: str) -> int:
    """Instructions of one `memset`, given its address modulo 4."""
    if isa == "esp_rv32":
        leads = [lead for lead in range(16) if (lead + target) & 3 == 0]
        return round(sum(_fill_rv32(size_bytes, lead) for lead in leads) / len(leads))
    lead = -target & 3
    fill = _fill_v6 if isa == "scalar" else _fill_v7
    if lead == 0 or size_bytes <= lead:
        return fill(size_bytes)
    return fill(size_bytes - lead) + (7 if isa == "scalar" else 5) * lead + 1


def _fill_rv32(size_bytes: int, lead: int) -> int:
    """newlib's memset.S for RISC-V, so many bytes before a multiple of 16."""
    if size_bytes < 16:
        return 9 + size_bytes
    count = 5 + (11 + lead if lead else 0)
    size_bytes -= lead
    if size_bytes < 16:
        return count + 6 + size_bytes
    blocks, tail = divmod(size_bytes, 16)
    return count + (1 if lead else 0) + 11 + 6 * blocks + (6 + tail if tail else 1)


def _fill_v7(size_bytes: int) -> int:
    words = (size_bytes & 15) >> 2
    rest = size_bytes & 3
    tail = 2 + 3 * rest if rest else 0
    if size_bytes < 4:
        return 12 + 3 * size_bytes
    if size_bytes < 16:
        return 23 + 3 * words + tail
    blocks = 24 + 7 * (size_bytes >> 4)
    if words:
        return blocks + 7 + 3 * words + tail
    return blocks + 6 + (1 + 3 * rest if rest else 0)


def _fill_v6(size_bytes: int) -> int:
    words = (size_bytes & 15) >> 2
    rest = size_bytes & 3
    tail = 2 + 4 * rest if rest else 0
    if size_bytes < 4:
        return 12 + tail
    if size_bytes < 16:
        return 34 + 3 * words + tail
    return 39 + 7 * (size_bytes >> 4) + (12 + 3 * words if words else 0) + tail
