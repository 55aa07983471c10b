"""Conditions of TFLM's signal operators on their tensors, checked in Prepare or taken for granted: one rule per kind.

As `cost_models.prepare_checks`: a model that breaks a rule is refused by TFLM, or makes a kernel read and write beyond
its tensors.

Source: signal/micro/kernels and signal/src, tflite-micro 90b983c2.
"""

from __future__ import annotations

from collections.abc import Callable

from cost_models.flatbuffer import broken, refused
from cost_models.graph import SignalOptions
from cost_models.prepare_case import Case
from cost_models.signal_operators import element_type

_GAIN_ENTRIES = 125  # of PCAN's table: one, one, and four for each further bit of 32, less the last padding
_LONGEST_TRANSFORM = 1 << 16
_WORD_BITS = 32

# Element types and ranks of inputs and outputs; "T" is the option's, None any rank.
_Ends = tuple[tuple[str, int | None], ...]
_SCALAR = ("int32", 0)
_VALID = ("bool", 0)
_ENERGIES = ("uint32", 1)
_TABLE = ("int16", 1)
_SAMPLES = ("int16", None)

# A rule says what is wrong, or nothing.
_Rule = Callable[[Case, SignalOptions], str | None]


def check_signal(index: int, case: Case) -> None:
    """Refuse a signal operator whose tensors or options its kernel does not take; let all others through.

    Raises:
        UserError: Which operator, and what does not fit.
    """
    op, options = case.op, case.op.options
    if not isinstance(options, SignalOptions):
        return
    inputs, outputs, rule = _RULES[op.kind]
    name = f"operator {index} ({op.kind})"
    if (len(op.inputs), len(op.outputs)) != (len(inputs), len(outputs)) or -1 in op.inputs:
        raise broken(f"{name} has {len(op.inputs)} inputs and {len(op.outputs)} outputs")
    for at, (dtype, rank) in zip((*op.inputs, *op.outputs), (*inputs, *outputs), strict=True):
        tensor = case.tensors[at]
        wanted = element_type(options) if dtype == "T" else dtype
        if tensor.dtype != wanted:
            raise broken(f"{name} has a tensor of {tensor.dtype}, not {wanted or 'a type that TFLM knows'}")
        if tensor.elements < 1 or (len(tensor.shape) != rank if rank is not None else not tensor.shape):
            raise broken(f"{name} has a tensor of shape {list(tensor.shape)}")
    try:
        fault = rule(case, options)
    except (IndexError, ValueError, ZeroDivisionError):
        fault = "has shapes that do not fit"
    if fault is not None:
        raise refused(f"{name} {fault}")


def _shifts(options: SignalOptions, *names: str) -> str | None:
    for name in names:
        if not 0 <= options[name] < _WORD_BITS:
            return f"shifts by {options[name]} bits ({name})"
    return None


def _made(case: Case, want: tuple[int, ...], output: int = 0) -> str | None:
    shape = case.tensors[case.op.outputs[output]].shape
    return None if shape == want else f"cannot make {list(shape)} of {list(case.input(0).shape)}"


def _same(case: Case, options: SignalOptions) -> str | None:
    return _made(case, case.input(0).shape)


def _window(case: Case, options: SignalOptions) -> str | None:
    if case.input(0).elements % case.input(1).elements:
        return f"has a window of {case.input(1).elements} for {list(case.input(0).shape)}"
    return _shifts(options, "shift") or _same(case, options)


def _transform(case: Case, options: SignalOptions) -> str | None:
    """SignalRfft takes at most `fft_length` samples to half as many complex numbers and one more; SignalIrfft back."""
    length = options["fft_length"]
    if not 2 <= length <= _LONGEST_TRANSFORM or length % 2:
        return f"transforms {length} samples"
    source, shape = case.input(0).shape, case.output.shape
    if case.op.kind == "SignalRfft":
        fits = source[-1] <= length and shape[-1] == length + 2
    else:
        fits = source[-1] == length + 2 and shape[-1] == length
    return None if fits and source[:-1] == shape[:-1] else _made(case, ())


def _energy(case: Case, options: SignalOptions) -> str | None:
    start, end = options["start_index"], options["end_index"]
    if not 0 <= start <= end <= min(case.input(0).elements // 2, case.output.elements):
        return f"takes places {start} to {end} of {case.input(0).elements // 2}"
    return None


def _filter_bank(case: Case, options: SignalOptions) -> str | None:
    bands = options["num_channels"]
    if case.output.elements != bands:
        return f"makes {case.output.elements} bands, not {bands}"
    lists = [case.values(position) for position in (3, 4, 5)]
    if any(values is None or len(values) != bands + 1 for values in lists):
        return f"has band edges that are not {bands + 1} constants"
    spectrum = case.input(0).elements
    weights = min(case.input(1).elements, case.input(2).elements)
    starts, places, widths = (values or () for values in lists)
    for start, place, width in zip(starts, places, widths, strict=True):
        if min(start, place, width) < 0 or start + width > spectrum or place + width > weights:
            return f"has a band that reaches beyond the {spectrum} places or the {weights} weights"
    return None


def _spectral_subtraction(case: Case, options: SignalOptions) -> str | None:
    bands = (options["num_channels"],)
    if case.input(0).shape != bands:
        return f"has {case.input(0).elements} bands, not {bands[0]}"
    fault = _shifts(options, "smoothing_bits", "spectral_subtraction_bits")
    return fault or _made(case, bands) or _made(case, bands, 1)


def _pcan(case: Case, options: SignalOptions) -> str | None:
    if case.input(2).elements < _GAIN_ENTRIES:
        return f"has a table of {case.input(2).elements} gains, not {_GAIN_ENTRIES}"
    if case.input(1).shape != case.input(0).shape:
        return f"has {case.input(1).elements} noise estimates for {case.input(0).elements} bands"
    return _shifts(options, "snr_shift") or _same(case, options)


def _log(case: Case, options: SignalOptions) -> str | None:
    return _shifts(options, "input_correction_bits") or _same(case, options)


def _delay(case: Case, options: SignalOptions) -> str | None:
    if not 0 <= options["delay_length"] < 1 << 24:
        return f"delays by {options['delay_length']}"
    return _same(case, options)


def _framer(case: Case, options: SignalOptions) -> str | None:
    size, step, shape = options["frame_size"], options["frame_step"], case.input(0).shape
    if not 1 <= step <= size < 1 << 24 or shape[-1] % step:
        return f"takes frames of {size} every {step} of {shape[-1]} samples"
    return _made(case, (*shape[:-1], shape[-1] // step, size))


def _overlap_add(case: Case, options: SignalOptions) -> str | None:
    step, shape = options["frame_step"], case.input(0).shape
    if len(shape) < 2 or not 1 <= step <= shape[-1]:
        return f"adds frames of {shape[-1]} every {step}"
    return _made(case, (*shape[:-2], shape[-2] * step))


def _stacker(case: Case, options: SignalOptions) -> str | None:
    bands, step = options["num_channels"], options["stacker_step"]
    left, right = options["stacker_left_context"], options["stacker_right_context"]
    if min(left, right) < 0 or max(left, right) >= 1 << 16 or not 1 <= step <= left + 1 + right:
        return f"stacks {left}, 1 and {right} frames every {step}"
    if case.input(0).elements != bands:
        return f"has {case.input(0).elements} bands, not {bands}"
    return _made(case, (bands * (left + 1 + right),))


_RULES: dict[str, tuple[_Ends, _Ends, _Rule]] = {
    "SignalDelay": ((_SAMPLES,), (_SAMPLES,), _delay),
    "SignalEnergy": ((_TABLE,), (_ENERGIES,), _energy),
    "SignalFftAutoScale": ((_TABLE,), (_TABLE, _SCALAR), _same),
    "SignalFilterBank": ((_ENERGIES, *[_TABLE] * 5), (("uint64", 1),), _filter_bank),
    "SignalFilterBankLog": ((_ENERGIES,), (_TABLE,), _log),
    "SignalFilterBankSpectralSubtraction": ((_ENERGIES,), (_ENERGIES, _ENERGIES), _spectral_subtraction),
    "SignalFilterBankSquareRoot": ((("uint64", 1), _SCALAR), (_ENERGIES,), _same),
    "SignalFramer": ((_SAMPLES,), (_SAMPLES, _VALID), _framer),
    "SignalIrfft": ((("T", None),), (("T", None),), _transform),
    "SignalOverlapAdd": ((("T", None),), (("T", None),), _overlap_add),
    "SignalPCAN": ((_ENERGIES, _ENERGIES, _TABLE), (_ENERGIES,), _pcan),
    "SignalRfft": ((("T", None),), (("T", None),), _transform),
    "SignalStacker": ((_TABLE,), (_TABLE, _VALID), _stacker),
    "SignalWindow": ((_SAMPLES, _TABLE), (_SAMPLES,), _window),
}
