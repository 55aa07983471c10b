"""Which element types TFLM's kernels take: a pattern for each operator that its resolver can register.

Source: Prepare and Eval of tensorflow/lite/micro/kernels and of its cmsis_nn folder, tflite-micro 90b983c2.
"""

from __future__ import annotations

import re
from functools import cache

from cost_models.graph import Operator, Tensor

# One letter for a type, so that a pattern stays readable; "-" is an absent optional input, "x" any other type.
_LETTERS = {
    "float32": "f",
    "int8": "b",
    "uint8": "u",
    "int16": "h",
    "int32": "i",
    "int64": "l",
    "uint32": "I",
    "bool": "t",
    "resource": "r",
}
_ABSENT, _OTHER = "-", "x"

_FLOAT = "f>f"
_INT8 = "b>b|f>f"
_INT16 = "b>b|f>f|h>h"
_COMPARED = "ff>t|ii>t|ll>t|bb>t"
_REDUCED = "bi>b|fi>f"
_GATHERED = "bi>b|fi>f"
_BLOCKS = "bii>b|fii>f"

# Types of the inputs, ">", types of the outputs: a regular expression that has to match all of it.
_PATTERNS: dict[str, str] = {
    "ABS": _INT16,
    "ADD": "bb>b|ff>f|hh>h|ii>i",
    "ADD_N": "b+>b|f+>f",
    "ARG_MAX": "[bf]i>i",
    "ARG_MIN": "[bf]i>i",
    "ASSIGN_VARIABLE": "r.>",
    "AVERAGE_POOL_2D": _INT16,
    "BATCH_MATMUL": "bb>b|ff>f|hh>h",
    "BATCH_TO_SPACE_ND": _BLOCKS,
    "BROADCAST_ARGS": "ii>i|ll>l",
    "BROADCAST_TO": r"(.)[il]>\1",
    "CALL_ONCE": ">",
    "CAST": "[bhiIft]>[bhiIf]",
    "CEIL": _FLOAT,
    "CIRCULAR_BUFFER": "b>b",
    "CONCATENATION": "b+>b|f+>f|h+>h|i+>i|l+>l|t+>t",
    "CONV_2D": "bb[i-]?>b|hb[il-]?>h|ff[f-]?>f",
    "COS": _FLOAT,
    "CUMSUM": _REDUCED,
    "DEPTHWISE_CONV_2D": "bb[i-]?>b|hb[l-]?>h|ff[f-]?>f",
    "DEPTH_TO_SPACE": _INT8,
    "DEQUANTIZE": "[bhu]>f",
    "DIV": "bb>b|ff>f|ii>i",
    "DYNAMIC_UPDATE_SLICE": r"([bfhi])\1[il]>\1",
    "ELU": _INT8,
    "EMBEDDING_LOOKUP": "ib>[bf]|if>f",
    "EQUAL": _COMPARED + "|tt>t",
    "EXP": _FLOAT,
    "EXPAND_DIMS": r"([bfh])i>\1",
    "FILL": r"[il]([bfi])>\1",
    "FLOOR": _FLOAT,
    "FLOOR_DIV": "ff>f",
    "FLOOR_MOD": "ff>f",
    "FULLY_CONNECTED": "bb[i-]?>b|hb[il-]?>h|ff[f-]?>f",
    "GATHER": _GATHERED,
    "GATHER_ND": _GATHERED,
    "GREATER": _COMPARED + "|hh>t",
    "GREATER_EQUAL": _COMPARED,
    "HARD_SWISH": _INT8,
    "IF": "t.*>.*",
    "L2_NORMALIZATION": _INT8,
    "L2_POOL_2D": _FLOAT,
    "LEAKY_RELU": _INT16,
    "LESS": _COMPARED,
    "LESS_EQUAL": _COMPARED,
    "LOG": _FLOAT,
    "LOGICAL_AND": "tt>t",
    "LOGICAL_NOT": "t>t",
    "LOGICAL_OR": "tt>t",
    "LOGISTIC": _INT16,
    "LOG_SOFTMAX": _INT8,
    "MAXIMUM": r"([bfhil])\1>\1",
    "MAX_POOL_2D": _INT16,
    "MEAN": r"([bfh])i>\1",
    "MINIMUM": r"([bfhil])\1>\1",
    "MIRROR_PAD": r"([bf])[il]>\1",
    "MUL": "bb>b|ff>f|hh>h|ii>i",
    "NEG": _FLOAT,
    "NOT_EQUAL": _COMPARED + "|tt>t",
    "PACK": r"([bfhil])\1*>\1",
    "PAD": r"([bfhi])i\1?>\1",
    "PADV2": r"([bfhi])i\1>\1",
    "PRELU": "bb>b|ff>f|hb>h",
    "QUANTIZE": "f>[bh]|i>[bh]|h>[bhi]|b>[bhiu]|u>b",
    "READ_VARIABLE": "r>.",
    "REDUCE_ALL": "ti>t",
    "REDUCE_MAX": _REDUCED,
    "REDUCE_MIN": _REDUCED,
    "RELU": _INT16,
    "RELU6": _INT16,
    "RESHAPE": r"(.)[il-]?>\1",
    "RESIZE_BILINEAR": _REDUCED,
    "RESIZE_NEAREST_NEIGHBOR": r"([bfh])i>\1",
    "REVERSE_V2": r"([bfhilut])i>\1",
    "ROUND": _FLOAT,
    "RSQRT": _INT8,
    "SELECT_V2": r"t([bfh])\1>\1",
    "SHAPE": ".>i",
    "SIN": _FLOAT,
    "SLICE": r"([bfhit])[il][il]>\1",
    "SOFTMAX": "b>[bh]|f>f|h>h",
    "SPACE_TO_BATCH_ND": _BLOCKS,
    "SPACE_TO_DEPTH": _INT8,
    "SPLIT": r"i([bfhi])>\1+",
    "SPLIT_V": r"([bfhi])[il]i>\1+",
    "SQRT": _FLOAT,
    "SQUARE": _FLOAT,
    "SQUARED_DIFFERENCE": "bb>b|ff>f|hh>h|ii>i",
    "SQUEEZE": r"(.)>\1",
    "STRIDED_SLICE": r"([bfhit])iii>\1",
    "SUB": "bb>b|ff>f|hh>h|ii>i",
    "SUM": r"([bfh])i>\1",
    "SVDF": r"bb([bh])[i-]\1>b|fff[f-]f>f",
    "TANH": _INT16,
    "TFLM_DECODE": "(uu)+>[fbhilt]+",
    "TFLite_Detection_PostProcess": "[uf]ff>ffff|[uf][uf][uf]>ffff",
    "TRANSPOSE": r"([bfh])i>\1",
    "TRANSPOSE_CONV": "ibb[i-]?>b|ibh[hil]>h|iff[f-]?>f",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "b.{23}>b|h.{23}>h|f.{23}>f",
    "UNPACK": r"([bfhi])>\1+",
    "VAR_HANDLE": ">r",
    "WHILE": ".*>.*",
    "ZEROS_LIKE": r"([bfil])>\1",
}

REGISTERED = frozenset(_PATTERNS)
"""Operators that TFLM's resolver can register; the signal operators and the NPU's apart."""


@cache
def _pattern(kind: str) -> re.Pattern[str]:
    return re.compile(_PATTERNS[kind])


def takes(op: Operator, tensors: tuple[Tensor, ...]) -> bool:
    """Whether the kernel of a registered operator takes tensors of these types."""
    ends = (_ABSENT if at < 0 else _LETTERS.get(tensors[at].dtype, _OTHER) for at in op.inputs)
    outputs = (_LETTERS.get(tensors[at].dtype, _OTHER) for at in op.outputs)
    return _pattern(op.kind).fullmatch(f"{''.join(ends)}>{''.join(outputs)}") is not None


def activation_types(kind: str) -> tuple[str, ...]:
    """Types that the first input of a registered operator may hold, of a graph whose other tensors fit."""
    pattern = _PATTERNS[kind]
    if pattern.startswith((">", ".", "(.)")):
        return ("any",) if not pattern.startswith(">") else ("none",)
    types: list[str] = []
    for choice in pattern.replace("(", "").split("|"):
        first = choice[1 : choice.index("]")] if choice.startswith("[") else choice[:1]
        types += [name for name, letter in _LETTERS.items() if letter in first]
    return tuple(name for name in _LETTERS if name in types)
