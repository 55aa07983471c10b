"""Allocations of each operator's kernel, before and during Prepare: one rule per kind of operator, by name.

Source: tensorflow/lite/micro/kernels (and its cmsis_nn folder; the esp_nn folder of espressif/esp-tflite-micro
99f49e14), the parsers of
tensorflow/lite/core/api/flatbuffer_conversions.cc and the structs of tensorflow/lite/c/builtin_op_data.h,
tflite-micro 90b983c2.
"""

from __future__ import annotations

from cost_models.arena import layer_rules, moving_rules, value_rules
from cost_models.arena.build import TFLM_VERSION
from cost_models.arena.demand import Rule, blind, plain
from cost_models.arena.signal_rules import signal_demand
from cost_models.errors import UserError
from cost_models.graph import Operator
from cost_models.signal_operators import PARAMETERS

# Kernels with weights.
_LAYERS: dict[str, Rule] = {
    "BATCH_MATMUL": layer_rules.batch_matmul,
    "CONV_2D": layer_rules.conv_2d,
    "DEPTHWISE_CONV_2D": layer_rules.depthwise_conv_2d,
    "FULLY_CONNECTED": layer_rules.fully_connected,
    "SVDF": layer_rules.svdf,
    "TRANSPOSE_CONV": layer_rules.transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": layer_rules.lstm,
}

_POOLING_AND_REDUCTIONS: dict[str, Rule] = {
    "ARG_MAX": blind((1, 1), wide=(4, 4)),
    "ARG_MIN": blind((1, 1), wide=(4, 4)),
    "AVERAGE_POOL_2D": value_rules.pool,
    "CUMSUM": value_rules.cumsum,
    "L2_NORMALIZATION": plain(4, params=(1, 1), wide=(4, 4)),
    "L2_POOL_2D": value_rules.l2_pool,
    "MAX_POOL_2D": value_rules.pool,
    "MEAN": value_rules.reduce,
    "REDUCE_ALL": value_rules.reduce,
    "REDUCE_MAX": value_rules.reduce,
    "REDUCE_MIN": value_rules.reduce,
    "SUM": value_rules.reduce,
}

_ACTIVATIONS: dict[str, Rule] = {
    "ELU": plain(256),
    "HARD_SWISH": plain(20),
    "LEAKY_RELU": plain(24, params=(4, 4)),
    "LOGISTIC": plain(16),
    "LOG_SOFTMAX": value_rules.log_softmax,
    "PRELU": plain(28),
    "RELU": plain(28),
    "RELU6": value_rules.relu6,
    "SOFTMAX": value_rules.softmax,
    "TANH": value_rules.tanh,
}

# Value by value: arithmetic, comparisons, types.
_ELEMENTWISE: dict[str, Rule] = {
    "ABS": plain(28),
    "ADD": plain(60, params=(2, 1), wide=(8, 4)),
    "ADD_N": value_rules.add_n,
    "CAST": plain(params=(2, 1), wide=(8, 4)),
    "CEIL": plain(),
    "COS": plain(),
    "DEQUANTIZE": plain(32),
    "DIV": plain(28, params=(1, 1), wide=(4, 4)),
    "EQUAL": plain(32, outputs=0),
    "EXP": plain(),
    "FLOOR": blind(),
    "FLOOR_DIV": plain(),
    "FLOOR_MOD": plain(),
    "GREATER": plain(32, outputs=0),
    "GREATER_EQUAL": plain(32, outputs=0),
    "LESS": plain(32, outputs=0),
    "LESS_EQUAL": plain(32, outputs=0),
    "LOG": plain(),
    "LOGICAL_AND": blind(),
    "LOGICAL_NOT": plain(),
    "LOGICAL_OR": blind(),
    "MAXIMUM": blind(),
    "MINIMUM": blind(),
    "MUL": plain(36, params=(1, 1), wide=(4, 4)),
    "NEG": blind(),
    "NOT_EQUAL": plain(32, outputs=0),
    "QUANTIZE": plain(32),
    "ROUND": plain(),
    "RSQRT": plain(28),
    "SELECT_V2": plain(1),
    "SIN": plain(),
    "SQRT": plain(),
    "SQUARE": plain(),
    "SQUARED_DIFFERENCE": plain(112),
    "SUB": plain(52, params=(2, 1), wide=(8, 4)),
}

# Values as they are, in another place, shape or number.
_MOVING: dict[str, Rule] = {
    "BATCH_TO_SPACE_ND": plain(inputs=1),
    "BROADCAST_ARGS": plain(),
    "BROADCAST_TO": plain(),
    "CONCATENATION": moving_rules.concatenation,
    "DEPTH_TO_SPACE": moving_rules.writable_dims,
    "DYNAMIC_UPDATE_SLICE": plain(),
    "EMBEDDING_LOOKUP": moving_rules.copied_dims(8),
    "EXPAND_DIMS": plain(),
    "FILL": plain(),
    "GATHER": moving_rules.writable_dims,
    "GATHER_ND": moving_rules.copied_dims(),
    "MIRROR_PAD": moving_rules.mirror_pad,
    "PACK": blind((8, 4)),
    "PAD": plain(56),
    "PADV2": plain(56),
    "RESHAPE": plain(params=(36, 4), inputs=1),
    "RESIZE_BILINEAR": plain(params=(2, 1)),
    "RESIZE_NEAREST_NEIGHBOR": plain(params=(2, 1)),
    "REVERSE_V2": plain(),
    "SHAPE": blind((1, 1), wide=(4, 4)),
    "SLICE": plain(),
    "SPACE_TO_BATCH_ND": plain(4, inputs=1),
    "SPACE_TO_DEPTH": moving_rules.writable_dims,
    "SPLIT": moving_rules.split,
    "SPLIT_V": moving_rules.split,
    "SQUEEZE": plain(params=(36, 4)),
    "STRIDED_SLICE": plain(84, params=(24, 4)),
    "TRANSPOSE": plain(),
    "UNPACK": blind((8, 4)),
    "ZEROS_LIKE": plain(),
}

# State, and parts of a model that are not TFLM's operators.
_STATE_AND_CALLS: dict[str, Rule] = {
    "ASSIGN_VARIABLE": moving_rules.assign_variable,
    "CALL_ONCE": blind((4, 4), data=8),
    "CIRCULAR_BUFFER": plain(8),
    "ETHOS_U": moving_rules.ethos_u,
    "IF": plain(8, params=(8, 4), inputs=1, outputs=0),
    "READ_VARIABLE": plain(outputs=0),
    "TFLM_DECODE": moving_rules.decode,
    "TFLite_Detection_PostProcess": moving_rules.detection,
    "VAR_HANDLE": blind((8, 4), data=4),
    "WHILE": blind((8, 4), data=8),
}

RULES: dict[str, Rule] = {
    **_LAYERS,
    **_POOLING_AND_REDUCTIONS,
    **_ACTIVATIONS,
    **_ELEMENTWISE,
    **_MOVING,
    **_STATE_AND_CALLS,
    **dict.fromkeys(PARAMETERS, signal_demand),
}


def misused_operator(op: Operator) -> UserError:
    """The refusal of an operator whose tensors are not those that its kernel takes."""
    return UserError(
        f"Operator {op.kind} has {len(op.inputs)} inputs and {len(op.outputs)} outputs that its kernel does not take.",
        "Convert the model again.",
    )


def unknown_operator(kind: str) -> UserError:
    """The refusal of an operator that no rule covers."""
    return UserError(f"TFLM {TFLM_VERSION} has no operator {kind}.", "Replace the operator.")
