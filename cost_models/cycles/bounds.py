"""What an operator that nobody counted may take, where its work goes by the elements of its tensors.

A kernel that passes once over its elements takes between what the quickest and the slowest counted kernels of that sort
take for each. Multiplying kernels, loops over subgraphs and float arithmetic without a floating-point unit have no such
bound; floats that are only moved do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from cost_models.cycles.paths import FEATURES
from cost_models.graph import Operator, Tensor

# The counted kernels that give the bounds, from a copy to the exponentials of a softmax.
_REFERENCES = ("relu", "relu6", "logistic", "softmax", "expand_dims_int8", "quantize_int8_int8", "tanh_int8")
# A few kernels take a row or an odometer's step for each element: that much more than the slowest.
_ALLOWANCE = 1.5
BY_ELEMENT = frozenset((
    "ABS", "ADD", "ADD_N", "ARG_MAX", "ARG_MIN", "ASSIGN_VARIABLE", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CAST",
    "CEIL", "CONCATENATION", "COS", "CUMSUM", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "DYNAMIC_UPDATE_SLICE",
    "ELU", "EMBEDDING_LOOKUP", "EQUAL", "EXP", "EXPAND_DIMS", "FILL", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "GATHER",
    "GATHER_ND", "GREATER", "GREATER_EQUAL", "HARD_SWISH", "L2_NORMALIZATION", "LEAKY_RELU", "LESS", "LESS_EQUAL",
    "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC", "LOG_SOFTMAX", "MAXIMUM", "MEAN", "MINIMUM",
    "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "PACK", "PAD", "PADV2", "PRELU", "QUANTIZE", "READ_VARIABLE",
    "REDUCE_ALL", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "RSQRT", "SELECT", "SELECT_V2", "SHAPE", "SIN", "SLICE",
    "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT", "SQUARE", "SQUARED_DIFFERENCE",
    "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TFLM_DECODE", "TRANSPOSE", "UNPACK", "VAR_HANDLE", "ZEROS_LIKE",
))  # fmt: skip

# Kernels that move elements, whatever these are.
_MOVES = frozenset((
    "ASSIGN_VARIABLE", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CONCATENATION", "DEPTH_TO_SPACE", "DYNAMIC_UPDATE_SLICE",
    "EXPAND_DIMS", "FILL", "GATHER", "GATHER_ND", "MIRROR_PAD", "PACK", "PAD", "PADV2", "READ_VARIABLE", "RESHAPE",
    "REVERSE_V2", "SELECT", "SELECT_V2", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V",
    "SQUEEZE", "STRIDED_SLICE", "TFLM_DECODE", "TRANSPOSE", "UNPACK",
))  # fmt: skip


def bounds(
    op: Operator, tensors: tuple[Tensor, ...], per_trip: Mapping[str, tuple[float, ...]], *, fpu: bool
) -> tuple[float, float] | None:
    """(least, most) of an operator's work, in what the coefficients are of; None where there is no such bound.

    Args:
        op: An operator without coefficients.
        tensors: Of its graph.
        per_trip: Coefficients by path.
        fpu: Whether the core has a floating-point unit.
    """
    used = [tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0]
    if op.kind not in BY_ELEMENT:
        return None
    if not fpu and op.kind not in _MOVES and any(tensor.dtype == "float32" for tensor in used):
        return None
    known = [path for path in _REFERENCES if path in per_trip]
    if not known:
        return None
    calls = [per_trip[path][FEATURES[path].index("operator")] for path in known]
    passes = [per_trip[path][FEATURES[path].index("elements")] for path in known]
    elements = max((math.prod(tensor.shape) for tensor in used), default=0)
    return min(calls) + min(passes) * elements, _ALLOWANCE * (max(calls) + max(passes) * elements)
