"""Trip counts of TFLM's signal operators, of which audio front ends are made: plain C on every core.

What depends on the signal is in the paths' own errors: the square root takes a step for each two bits of an energy,
with 64-bit arithmetic where that has more than 32; the branches of logarithms and gains are a few instructions.

Source: signal/micro/kernels, signal/src, tflite-micro 90b983c2; kissfft as that fetches it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cost_models.cycles.counting import copy_at, fill_at
from cost_models.graph import Operator, SignalOptions, Tensor

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

_BY_BAND = (
    "SignalFilterBankLog", "SignalFilterBankSpectralSubtraction", "SignalFilterBankSquareRoot", "SignalPCAN",
)  # fmt: skip


def _name(kind: str) -> str:
    return f"signal_{kind.removeprefix('Signal').lower()}"


FEATURES: dict[str, tuple[str, ...]] = {
    **{_name(kind): ("operator", "bands") for kind in _BY_BAND},
    "signal_window": ("operator", "frames", "elements"),
    "signal_fftautoscale": ("operator", "elements"),
    "signal_rfft_int16": (
        "operator",
        "frames",
        "calls",
        "places",
        "radix_4",
        "radix_2",
        "copy_instructions",
        "fill_instructions",
    ),
    "signal_energy": ("operator", "places"),
    "signal_filterbank": ("operator", "bands", "weights"),
}


def by_band(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One pass for each band."""
    return _name(op.kind), (1, tensors[op.inputs[0]].elements)


def window(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A product for each sample of each frame."""
    samples = tensors[op.inputs[0]].elements
    return "signal_window", (1, samples // max(tensors[op.inputs[1]].elements, 1), samples)


def auto_scale(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Two passes over the samples: for the largest, and to shift them."""
    return "signal_fftautoscale", (1, tensors[op.outputs[0]].elements)


def rfft(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """kissfft's real transform: a complex one of half the length, in stages of radix 4 and one of 2, and a last pass.

    The stages call themselves; the innermost copies each place. Samples are copied first, the rest of the length is
    filled with zeros.
    """
    source = tensors[op.inputs[0]]
    length = op.options["fft_length"] if isinstance(op.options, SignalOptions) else 0
    half = length // 2
    if source.dtype != "int16" or half < 4 or half & (half - 1):
        return f"signal_rfft_{source.dtype}_other", ()
    frames, samples = math.prod(source.shape[:-1]), source.shape[-1]
    stages = [4] * ((half.bit_length() - 1) // 2) + [2] * ((half.bit_length() - 1) % 2)
    calls = sum(math.prod(stages[:depth]) for depth in range(len(stages)))
    fours = stages.count(4)
    return "signal_rfft_int16", (
        1,
        frames,
        frames * calls,
        frames * half,
        frames * fours * half // 4,
        frames * (len(stages) - fours) * half // 2,
        frames * copy_at(2 * samples, 0, 0, isa),
        frames * fill_at(2 * (length - samples), 2 * samples & 3, isa),
    )


def energy(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Two squares for each place from the first to the last."""
    if not isinstance(op.options, SignalOptions):
        return "signal_energy_other", ()
    return "signal_energy", (1, op.options["end_index"] - op.options["start_index"])


def filter_bank(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Two products for each place; one more section than bands."""
    return "signal_filterbank", (1, tensors[op.outputs[0]].elements + 1, tensors[op.inputs[1]].elements)


COUNTERS: dict[str, Callable[[Operator, Tensors, str], Trips]] = {
    **dict.fromkeys(_BY_BAND, by_band),
    "SignalWindow": window,
    "SignalFftAutoScale": auto_scale,
    "SignalRfft": rfft,
    "SignalEnergy": energy,
    "SignalFilterBank": filter_bank,
}
