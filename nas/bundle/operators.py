"""Which TFLM registration each operator kind takes: the int8 kernels alone where TFLM offers them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cost_models.errors import UserError

# Kinds with an int8-only registration; their Add method takes a registration.
# Source: tensorflow/lite/micro/kernels/*.h and micro_mutable_op_resolver.h of tflite-micro 90b983c2.
_INT8_ONLY = {
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "BATCH_MATMUL": "AddBatchMatMul",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "FULLY_CONNECTED": "AddFullyConnected",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MAXIMUM": "AddMaximum",
    "MINIMUM": "AddMinimum",
    "MUL": "AddMul",
    "PAD": "AddPad",
    "SOFTMAX": "AddSoftmax",
    "SVDF": "AddSvdf",
    "TRANSPOSE": "AddTranspose",
    "TRANSPOSE_CONV": "AddTransposeConv",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}

# Their headers are not among those that micro_mutable_op_resolver.h includes.
_OWN_HEADERS = {"PAD": "pad.h", "TRANSPOSE": "transpose.h"}

# Kinds that TFLM has with one registration for all types, and whose Add method is not the kind in camel case.
_SPELLED = {
    "BATCH_TO_SPACE_ND": "AddBatchToSpaceNd",
    "CUMSUM": "AddCumSum",
    "L2_POOL_2D": "AddL2Pool2D",
    "PADV2": "AddPadV2",
    "SELECT_V2": "AddSelectV2",
    "TFLM_DECODE": "AddDecode",
}

# Signal operators of front ends, which are int16 throughout; custom operators all.
# Source: signal/micro/kernels/*.cc and micro_mutable_op_resolver.h of tflite-micro 90b983c2.
_SIGNAL = {
    "SignalEnergy": "AddEnergy",
    "SignalFftAutoScale": "AddFftAutoScale",
    "SignalFilterBank": "AddFilterBank",
    "SignalFilterBankLog": "AddFilterBankLog",
    "SignalFilterBankSpectralSubtraction": "AddFilterBankSpectralSubtraction",
    "SignalFilterBankSquareRoot": "AddFilterBankSquareRoot",
    "SignalPCAN": "AddPCAN",
    "SignalRfft": "AddRfft",
    "SignalWindow": "AddWindow",
}
_SIGNAL_ARGUMENTS = {"SignalRfft": "tflite::tflm_signal::Register_RFFT_INT16()"}

_DEFAULT = frozenset(
    [
        "ABS",
        "ADD_N",
        "ARG_MAX",
        "ARG_MIN",
        "BATCH_TO_SPACE_ND",
        "BROADCAST_TO",
        "CAST",
        "CEIL",
        "CONCATENATION",
        "CUMSUM",
        "DEPTH_TO_SPACE",
        "DEQUANTIZE",
        "DIV",
        "ELU",
        "EQUAL",
        "ETHOS_U",
        "EXPAND_DIMS",
        "FILL",
        "FLOOR",
        "GATHER",
        "GATHER_ND",
        "GREATER",
        "GREATER_EQUAL",
        "HARD_SWISH",
        "L2_NORMALIZATION",
        "L2_POOL_2D",
        "LEAKY_RELU",
        "LESS",
        "LESS_EQUAL",
        "LOG_SOFTMAX",
        "LOGISTIC",
        "MEAN",
        "MIRROR_PAD",
        "NEG",
        "NOT_EQUAL",
        "PACK",
        "PADV2",
        "PRELU",
        "QUANTIZE",
        "REDUCE_MAX",
        "REDUCE_MIN",
        "RELU",
        "RELU6",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "SELECT_V2",
        "SHAPE",
        "SLICE",
        "SPACE_TO_BATCH_ND",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SPLIT_V",
        "SQUARED_DIFFERENCE",
        "SQUEEZE",
        "STRIDED_SLICE",
        "SUB",
        "SUM",
        "TANH",
        "TFLM_DECODE",
        "UNPACK",
        "ZEROS_LIKE",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One line of the resolver.

    Attributes:
        kind: The operator, by its schema name.
        method: Of `MicroMutableOpResolver`.
        argument: The registration handed to it; empty where TFLM has only the default.
        header: Under tensorflow/lite/micro/kernels, where the registration needs one of its own.
    """

    kind: str
    method: str
    argument: str = ""
    header: str = ""


def registrations(kinds: Iterable[str]) -> tuple[Registration, ...]:
    """The resolver's lines for operator kinds, in the order given.

    Raises:
        UserError: TFLM has no kernel for a kind.
    """
    return tuple(registration(kind) for kind in kinds)


def front_end_registrations(kinds: Iterable[str]) -> tuple[Registration, ...]:
    """The resolver's lines for the operators of a front end, each kind once, in the order of its first.

    Raises:
        UserError: TFLM has no kernel for a kind.
    """
    return tuple(
        Registration(kind=kind, method=_SIGNAL[kind], argument=_SIGNAL_ARGUMENTS.get(kind, ""))
        if kind in _SIGNAL
        else registration(kind)
        for kind in dict.fromkeys(kinds)
    )


def registration(kind: str) -> Registration:
    """The resolver's line for one operator kind.

    Raises:
        UserError: TFLM has no kernel for it.
    """
    if kind in _INT8_ONLY:
        argument = f"tflite::Register_{kind}_INT8()"
        header = _OWN_HEADERS.get(kind, "")
        return Registration(kind=kind, method=_INT8_ONLY[kind], argument=argument, header=header)
    if kind in _DEFAULT:
        method = _SPELLED.get(kind) or "Add" + "".join(word.capitalize() for word in kind.split("_"))
        return Registration(kind=kind, method=method)
    raise UserError(
        f"TFLM's resolver has no operator {kind}.",
        "Export a model of operators that TFLM has int8 kernels for.",
    )
