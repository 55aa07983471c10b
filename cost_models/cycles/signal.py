"""Trip counts of TFLM's signal operators, of which audio front ends are made: plain C on every core.

What depends on the signal is in the paths' own errors: the square root takes a step for each two bits of an energy,
with 64-bit arithmetic where that has more than 32; the branches of logarithms and gains are a few instructions.

Source: signal/micro/kernels, signal/src, tflite-micro 90b983c2; kissfft as that fetches it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from cost_models.cycles.counting import copy_at, fill_at
from cost_models.graph import Operator, SignalOptions, Tensor

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

_BY_BAND = (
    "SignalFilterBankLog", "SignalFilterBankSpectralSubtraction", "SignalFilterBankSquareRoot", "SignalPCAN",
)  # fmt: skip


def _name(kind: str) -> str:
    return f"signal_{kind.removeprefix('Signal').lower()}"


_TRANSFORM = ("operator", "frames", "calls", "places", "radix_4", "radix_2")
# A ring's alignments are looked at for so many turns.
_TURNS = 48
_RING = ("operator", "frames", "copy_instructions")

FEATURES: dict[str, tuple[str, ...]] = {
    **{_name(kind): ("operator", "bands") for kind in _BY_BAND},
    "signal_window": ("operator", "frames", "elements"),
    "signal_fftautoscale": ("operator", "elements"),
    **{
        f"signal_rfft_{dtype}": (*_TRANSFORM, "copy_instructions", "fill_instructions")
        for dtype in ("int16", "int32", "float32")
    },
    **{f"signal_irfft_{dtype}": _TRANSFORM for dtype in ("int16", "int32", "float32")},
    "signal_delay": _RING,
    "signal_framer": _RING,
    "signal_stacker": _RING,
    **{
        f"signal_overlapadd_{dtype}": (
            "operator",
            "frames",
            "elements",
            "moved_by_words",
            "moved_by_bytes",
            "copy_instructions",
            "fill_instructions",
        )
        for dtype in ("int16", "float32")
    },
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
    passes = _transform(op, source)
    if passes is None:
        return f"signal_rfft_{source.dtype}_other", ()
    frames, samples = passes[0], source.shape[-1]
    size = source.size_bytes // max(source.elements, 1)
    length = op.options["fft_length"] if isinstance(op.options, SignalOptions) else 0
    return f"signal_rfft_{source.dtype}", (
        1,
        *passes,
        frames * copy_at(size * samples, 0, 0, isa),
        frames * fill_at(size * (length - samples), size * samples & 3, isa),
    )


def irfft(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """kissfft's inverse of the real transform: a first pass, then the complex one of half the length."""
    source = tensors[op.inputs[0]]
    passes = _transform(op, source)
    if passes is None:
        return f"signal_irfft_{source.dtype}_other", ()
    return f"signal_irfft_{source.dtype}", (1, *passes)


def _transform(op: Operator, source: Tensor) -> tuple[float, ...] | None:
    """Frames, and of the complex transform calls, places, and butterflies of radix 4 and 2; None for other lengths."""
    length = op.options["fft_length"] if isinstance(op.options, SignalOptions) else 0
    half = length // 2
    if half < 4 or half & (half - 1):
        return None
    frames = math.prod(source.shape[:-1])
    stages = [4] * ((half.bit_length() - 1) // 2) + [2] * ((half.bit_length() - 1) % 2)
    calls = sum(math.prod(stages[:depth]) for depth in range(len(stages)))
    fours = stages.count(4)
    return (
        frames,
        frames * calls,
        frames * half,
        frames * fours * half // 4,
        frames * (len(stages) - fours) * half // 2,
    )


@lru_cache(maxsize=256)
def _ring(
    capacity: int,
    written: int,
    read: int,
    dropped: int,
    filled: int,
    isa: str,
    pieces: int = 1,
    rows: int = 1,
) -> float:
    """Instructions of the copies of a turn of a ring, on average once it is under way.

    Args:
        capacity: Samples of 16 bits that it holds; they stand in memory twice, so that what is read lies in one piece.
        written: Samples that a turn writes.
        read: Samples that it reads, once so many are there.
        dropped: Samples that it then leaves behind.
        filled: Samples that are there at first.
        isa: Which instructions the copies have.
        pieces: Turns of one inference, which lie one behind the other in input and output.
        rows: Rings of the same kind, whose inputs and outputs lie one behind the other.
    """
    if not 0 < written <= capacity:
        return 0.0
    write, first, available, moved = filled % capacity, 0, filled, 0
    # Alignments go round after two rows.
    rows = min(rows, 2)
    for turn in range(-_TURNS // 4, _TURNS):
        ahead = min(written, capacity - write)
        gives = available + written >= read
        for row in range(rows):
            piece = row * pieces + turn % pieces
            source = piece * written
            copies = copy_at(2 * written, 2 * write & 3, 2 * source & 3, isa)
            copies += copy_at(2 * ahead, 2 * (capacity + write) & 3, 2 * source & 3, isa)
            if written > ahead:
                copies += copy_at(2 * (written - ahead), 0, 2 * (source + ahead) & 3, isa)
            if gives:
                copies += copy_at(2 * read, 2 * piece * read & 3, 2 * first & 3, isa)
            moved += copies if turn >= 0 else 0
        write = (write + written) % capacity
        available = min(available + written, capacity)
        if gives:
            first = (first + dropped) % capacity
            available = max(available - dropped, 0)
    return moved / (_TURNS * rows)


def delay(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A frame goes into a ring, and one comes out."""
    if not isinstance(op.options, SignalOptions):
        return "signal_delay_other", ()
    shape, behind = tensors[op.inputs[0]].shape, op.options["delay_length"]
    frames, samples = math.prod(shape[:-1]), shape[-1]
    moves = _ring(samples + behind, samples, samples, samples, behind, isa, rows=frames)
    return "signal_delay", (1, frames, frames * moves)


def framer(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A step goes into a ring and a frame comes out, once the ring is full."""
    if not isinstance(op.options, SignalOptions):
        return "signal_framer_other", ()
    step, size = op.options["frame_step"], op.options["frame_size"]
    shape = tensors[op.inputs[0]].shape
    pieces, rows = shape[-1] // max(step, 1), math.prod(shape[:-1])
    frames = pieces * rows
    filled = size - step if op.options["prefill"] else 0
    moves = _ring(-(-size // step) * step, step, size, step, filled, isa, pieces, rows)
    return "signal_framer", (1, frames, frames * moves)


def stacker(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A frame goes into a ring; after so many steps what stands in it comes out: the mean of these inferences."""
    if not isinstance(op.options, SignalOptions):
        return "signal_stacker_other", ()
    channels, stacked = tensors[op.inputs[0]].elements, tensors[op.outputs[0]].elements
    before = channels * op.options["stacker_left_context"]
    dropped = channels * op.options["stacker_step"]
    return "signal_stacker", (1, 1, _ring(stacked, channels, stacked, dropped, before, isa))


def overlap_add(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Each frame is added to what is left of those before; a step of it comes out, the rest moves to the front."""
    source, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    frames, size = source.elements // max(source.shape[-1], 1), source.shape[-1]
    step = output.elements // max(frames, 1)
    item = source.size_bytes // max(source.elements, 1)
    rest = frames * (size - step) * item
    # memmove takes words where both places are multiples of one.
    by_bytes = item * step % 4 != 0
    return f"signal_overlapadd_{source.dtype}", (
        1,
        frames,
        source.elements,
        0 if by_bytes else rest,
        rest if by_bytes else 0,
        sum(copy_at(item * step, item * step * frame & 3, 0, isa) for frame in range(frames)),
        frames * fill_at(item * step, item * (size - step) & 3, isa),
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
    "SignalIrfft": irfft,
    "SignalDelay": delay,
    "SignalFramer": framer,
    "SignalStacker": stacker,
    "SignalOverlapAdd": overlap_add,
    "SignalEnergy": energy,
    "SignalFilterBank": filter_bank,
}
