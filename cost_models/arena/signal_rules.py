"""Allocations of TFLM's signal operators, whose kernels are TFLM's own on every core.

State lives in buffers that Init takes where the options tell its size, and Prepare where the tensors do.

Source: signal/micro/kernels, signal/src/circular_buffer.h and, for the state of a Fourier transform, kiss_fft.c and
tools/kiss_fftr.c of KissFFT v130; tflite-micro 90b983c2.
"""

from __future__ import annotations

from cost_models.arena.build import Build
from cost_models.arena.demand import Demand, Temporaries, Tensors
from cost_models.errors import UserError
from cost_models.graph import ITEM_BYTES, Operator, SignalOptions

_POINTER = 4
_NO_BYTES: tuple[int, ...] = ()
# sizeof(CircularBuffer); its items of 16 bits follow, each stored twice.
_CIRCULAR_BUFFER = 24
_ITEM_TWICE = 4
# struct kiss_fftr_state: three pointers. struct kiss_fft_state without twiddles: length, direction, 64 factors.
_REAL_TRANSFORM = 3 * _POINTER
_TRANSFORM = 4 * (2 + 64)


def signal_demand(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """The demand of any signal operator.

    Raises:
        UserError: Its options are missing.
    """
    options = op.options
    if not isinstance(options, SignalOptions):
        raise UserError(f"The memory of {op.kind} is not known without its options.", "Replace the operator.")
    temp = sum(temps[index] for index in (*op.inputs, *op.outputs))
    data, persistent, scratch = _BUFFERS[op.kind](options, op, tensors)
    return Demand(data=data, persistent=persistent, temporaries=temp, scratch=scratch)


def transform_bytes(length: int, item_bytes: int) -> int:
    """State of a real Fourier transform of KissFFT.

    A transform of half the length does the work: its twiddles, the second half's, and room for its result.

    Args:
        length: Number of real samples, even.
        item_bytes: Of one number.
    """
    half, complex_bytes = length // 2, 2 * item_bytes
    inner = _TRANSFORM + complex_bytes + complex_bytes * (half - 1)
    return _REAL_TRANSFORM + inner + complex_bytes * (half * 3 // 2)


# Buffers of Init, of Prepare, and scratch.
_Buffers = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _circular(items: int) -> int:
    return _CIRCULAR_BUFFER + _ITEM_TWICE * items


def _rows(shape: tuple[int, ...]) -> int:
    """How many rows of the innermost dimension there are."""
    rows = 1
    for size in shape[:-1]:
        rows *= size
    return rows


def _delay(options: SignalOptions, op: Operator, tensors: Tensors) -> _Buffers:
    shape = tensors[op.inputs[0]].shape
    rows, state = _rows(shape), _circular(shape[-1] + options["delay_length"])
    return (20,), (_POINTER * rows, _POINTER * rows, *[state] * rows), _NO_BYTES


def _framer(options: SignalOptions, op: Operator, tensors: Tensors) -> _Buffers:
    size, step = options["frame_size"], options["frame_step"]
    rows, state = _rows(tensors[op.inputs[0]].shape), _circular(-(-size // step) * step)
    return (28,), (_POINTER * rows, _POINTER * rows, *[state] * rows), _NO_BYTES


def _overlap_add(options: SignalOptions, op: Operator, tensors: Tensors) -> _Buffers:
    source = tensors[op.inputs[0]]
    rows = _rows(source.shape[:-1])
    state = source.shape[-1] * ITEM_BYTES[source.dtype]
    return (24,), (_POINTER * rows, *[state] * rows), _NO_BYTES


def _rfft(options: SignalOptions, op: Operator, tensors: Tensors) -> _Buffers:
    length, item = options["fft_length"], ITEM_BYTES[tensors[op.inputs[0]].dtype]
    return (32, transform_bytes(length, item)), _NO_BYTES, (length * item,)


def _irfft(options: SignalOptions, op: Operator, tensors: Tensors) -> _Buffers:
    item = ITEM_BYTES[tensors[op.inputs[0]].dtype]
    return (24, transform_bytes(options["fft_length"], item)), _NO_BYTES, _NO_BYTES


def _filter_bank(options: SignalOptions, op: Operator, tensors: Tensors) -> _Buffers:
    # Sums of 64 bits, one more than there are bands.
    return (36, 8 * (options["num_channels"] + 1)), _NO_BYTES, _NO_BYTES


def _spectral_subtraction(options: SignalOptions, op: Operator, tensors: Tensors) -> _Buffers:
    return (44, 4 * options["num_channels"]), _NO_BYTES, _NO_BYTES


def _stacker(options: SignalOptions, op: Operator, tensors: Tensors) -> _Buffers:
    frames = options["stacker_left_context"] + 1 + options["stacker_right_context"]
    return (36, _circular(options["num_channels"] * frames)), _NO_BYTES, _NO_BYTES


def _fixed(data: int = 0) -> _Buffers:
    return (data,) if data else _NO_BYTES, _NO_BYTES, _NO_BYTES


_BUFFERS = {
    "SignalDelay": _delay,
    "SignalEnergy": lambda *_: _fixed(8),
    "SignalFftAutoScale": lambda *_: _fixed(),
    "SignalFilterBank": _filter_bank,
    "SignalFilterBankLog": lambda *_: _fixed(8),
    "SignalFilterBankSpectralSubtraction": _spectral_subtraction,
    "SignalFilterBankSquareRoot": lambda *_: _fixed(),
    "SignalFramer": _framer,
    "SignalIrfft": _irfft,
    "SignalOverlapAdd": _overlap_add,
    "SignalPCAN": lambda *_: _fixed(4),
    "SignalRfft": _rfft,
    "SignalStacker": _stacker,
    "SignalWindow": lambda *_: _fixed(8),
}
