"""Trip counts of DECODE: each weight looked up in a table, sixteen or thirty-two at a time where the indices align.

Paths are named by the bits of an index and fitted as in `cost_models.cycles.portable`.

Source: tensorflow/lite/micro/kernels/decode.cc and decode_state_lut.cc, tflite-micro 90b983c2.
"""

from __future__ import annotations

from cost_models.graph import KernelOptions, Operator, Tensor

# Indices that a loop of its own takes at a time, by their bits.
_GROUPED = {2: 16, 3: 32, 4: 16}

FEATURES: dict[str, tuple[str, ...]] = {
    **{f"decode_{bits}": ("operator", "tensors", "channels", "groups", "elements") for bits in _GROUPED},
    **{f"decode_{bits}": ("operator", "tensors", "channels", "elements") for bits in (1, 5, 6, 7)},
    **{f"decode_{bits}_last_axis": ("operator", "rows", "elements") for bits in range(1, 8)},
}


def decode(op: Operator, tensors: tuple[Tensor, ...], isa: str) -> tuple[str, tuple[float, ...]]:
    """Restores its outputs one after the other; of several codes in one operator nobody knows."""
    options = op.options
    assert isinstance(options, KernelOptions)
    paths: set[str] = set()
    trips: list[tuple[float, ...]] = []
    for place, index in enumerate(op.outputs):
        bits, channels, last_axis = (options[f"{key}_{place}"] for key in ("bits", "channels", "last_axis"))
        output = tensors[index]
        if output.dtype != "int8":
            return f"decode_{output.dtype}", ()
        paths.add(f"decode_{bits}_last_axis" if last_axis else f"decode_{bits}")
        if last_axis:
            trips.append((output.elements // channels, output.elements))
        elif bits in _GROUPED:
            trips.append((channels, *_grouped(output.elements // channels, channels, _GROUPED[bits])))
        else:
            trips.append((channels, output.elements))
    if len(paths) > 1:
        return "decode_of_several", ()
    [path] = paths
    restored = () if path.endswith("_last_axis") else (len(op.outputs),)
    return path, (1, *restored, *(sum(passes) for passes in zip(*trips, strict=True)))


def _grouped(run: int, channels: int, group: int) -> tuple[int, int]:
    """(groups, elements outside of groups) of runs of equal length, whose groups begin at multiples of their length."""
    groups = 0
    for channel in range(channels):
        before = min(-run * channel % group, run)
        groups += (run - before) // group
    return groups, run * channels - group * groups
