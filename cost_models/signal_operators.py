"""TFLM's own signal operators: the custom operators of an audio front end, and the options that each has.

Source: signal/micro/kernels and tensorflow/lite/micro/micro_mutable_op_resolver.h, tflite-micro 90b983c2.
"""

from __future__ import annotations

from cost_models.errors import UserError
from cost_models.flatbuffer import Table, broken
from cost_models.flexbuffer import read_integers
from cost_models.graph import SignalOptions
from cost_models.tflite_schema import OP_CUSTOM_OPTIONS, TENSOR_TYPES

# What each kernel reads of its options, in the order in which it counts them: that of the names. "T" is the number
# of an element type in the .tflite schema.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "SignalDelay": ("delay_length",),
    "SignalEnergy": ("end_index", "start_index"),
    "SignalFftAutoScale": (),
    "SignalFilterBank": ("num_channels",),
    "SignalFilterBankLog": ("input_correction_bits", "output_scale"),
    "SignalFilterBankSpectralSubtraction": (
        "alternate_one_minus_smoothing",
        "alternate_smoothing",
        "clamping",
        "min_signal_remaining",
        "num_channels",
        "one_minus_smoothing",
        "smoothing",
        "smoothing_bits",
        "spectral_subtraction_bits",
    ),
    "SignalFilterBankSquareRoot": (),
    "SignalFramer": ("frame_size", "frame_step", "prefill"),
    "SignalIrfft": ("T", "fft_length"),
    "SignalOverlapAdd": ("T", "frame_step"),
    "SignalPCAN": ("snr_shift",),
    "SignalRfft": ("T", "fft_length"),
    "SignalStacker": (
        "num_channels",
        "stacker_left_context",
        "stacker_right_context",
        "stacker_step",
    ),
    "SignalWindow": ("shift",),
}


def signal_kind(custom_code: bytes) -> str | None:
    """The kind of the operator that a custom code names; None where it is not a signal operator."""
    name = custom_code.decode("ascii", "replace")
    return name if name in PARAMETERS else None


def read_signal_options(index: int, kind: str, op: Table, data: bytes) -> SignalOptions:
    """The options of a signal operator.

    Args:
        index: Its place in execution order.
        kind: Its custom code.
        op: Its table.
        data: The whole file.

    Raises:
        UserError: They are damaged, or not those that its kernel reads.
    """
    start, size = op.span(OP_CUSTOM_OPTIONS)
    wanted = PARAMETERS[kind]
    if not size and not wanted:
        return SignalOptions()
    values = read_integers(data[start : start + size])
    if tuple(values) != wanted:
        raise UserError(
            f"Operator {index} of the model ({kind}) has the options {', '.join(values) or 'none'}, where its"
            f" kernel reads {', '.join(wanted) or 'none'}.",
            "Make it with the operators of TFLM's signal library (python/tflite_micro/signal).",
        )
    if any(not -(1 << 31) <= value < 1 << 31 for value in values.values()):
        raise broken(f"operator {index} ({kind}) has an option beyond 32 bits")
    return SignalOptions(values=tuple(values.items()))


def element_type(options: SignalOptions) -> str:
    """The element type that option "T" stands for; empty where it is none."""
    number = options["T"]
    return TENSOR_TYPES[number] if 0 <= number < len(TENSOR_TYPES) else ""
