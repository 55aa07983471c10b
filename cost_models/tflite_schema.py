"""The numbers of the .tflite schema: operator and type names, field ids, option tables.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs (tflite-micro 90b983c2).
"""

from __future__ import annotations

from cost_models.graph import Activation, Padding

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3

# BuiltinOperator: a name's place in the list is its code.
OPERATOR_NAMES: tuple[str, ...] = tuple(
    """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP
    FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC
    LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX
    SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
    UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
    UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX
    DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER
    GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL
    NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT
    LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE
    RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2
    ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND
    HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY
    SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D
    IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
    CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL
    BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD
    UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
    RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
    STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION
    STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE
    STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR
    STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH
    STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE
    STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
    STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE
    STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT
    STABLEHLO_CASE
    """.split()  # noqa: SIM905 - 210 names read better as prose
)
CUSTOM = 32
ETHOS_U = "ETHOS_U"
"""The kind of the custom operator that Vela makes of what the NPU runs; the schema itself has no name for it."""
ETHOS_U_CODE = b"ethos-u"
DETECTION = "TFLite_Detection_PostProcess"
CIRCULAR_BUFFER = "CIRCULAR_BUFFER"
DECODE = "TFLM_DECODE"
"""TFLM's own custom operators besides those of signals and of the NPU; their kinds are their names."""
CALLED_SUBGRAPHS: dict[str, tuple[str, ...]] = {
    "CALL_ONCE": ("init_subgraph",),
    "IF": ("then_subgraph", "else_subgraph"),
    "WHILE": ("cond_subgraph", "body_subgraph"),
}
"""Options of an operator that name subgraphs, in the order in which TFLM plans them."""

# TensorType: a name's place in the list is its code; names are numpy's where numpy has one.
TENSOR_TYPES: tuple[str, ...] = (
    "float32",
    "float16",
    "int32",
    "uint8",
    "int64",
    "string",
    "bool",
    "int16",
    "complex64",
    "int8",
    "float64",
    "complex128",
    "uint64",
    "resource",
    "variant",
    "uint32",
    "uint16",
    "int4",
    "bfloat16",
    "int2",
    "uint4",
    "float8_e4m3fn",
    "float8_e5m2",
)

PADDINGS: tuple[Padding, ...] = ("SAME", "VALID")
ACTIVATIONS: tuple[Activation, ...] = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")

# Field ids, table by table.
MODEL_VERSION, MODEL_OPERATOR_CODES, MODEL_SUBGRAPHS, MODEL_BUFFERS, MODEL_METADATA = 0, 1, 2, 4, 6
METADATA_NAME, METADATA_BUFFER = 0, 1
CODE_DEPRECATED, CODE_CUSTOM, CODE_VERSION, CODE_BUILTIN = 0, 1, 2, 3
SUBGRAPH_TENSORS, SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS, SUBGRAPH_OPERATORS = 0, 1, 2, 3
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_QUANTIZATION = 0, 1, 2, 4
TENSOR_IS_VARIABLE, TENSOR_SPARSITY, TENSOR_SHAPE_SIGNATURE, TENSOR_EXTERNAL_BUFFER = 5, 6, 7, 10
QUANT_SCALE, QUANT_ZERO_POINT, QUANT_DETAILS_TYPE, QUANT_DIMENSION = 2, 3, 4, 6
OP_CODE, OP_INPUTS, OP_OUTPUTS, OP_OPTIONS_TYPE, OP_OPTIONS = 0, 1, 2, 3, 4
OP_CUSTOM_OPTIONS, OP_INTERMEDIATES, OP_LARGE_CUSTOM_OFFSET, OP_OPTIONS2 = 5, 8, 9, 12
BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE = 0, 1, 2

Field = tuple[int, str, int | float]
"""Field id, `struct` letter, and the default that a reader takes when the field is not stored."""

_ACTIVATION: Field = (0, "b", 0)
_CONV: dict[str, Field] = {
    "padding": (0, "b", 0),
    "stride_w": (1, "i", 0),
    "stride_h": (2, "i", 0),
    "activation": (3, "b", 0),
    "dilation_w": (4, "i", 1),
    "dilation_h": (5, "i", 1),
}
_DEPTHWISE: dict[str, Field] = {
    "padding": (0, "b", 0),
    "stride_w": (1, "i", 0),
    "stride_h": (2, "i", 0),
    "depth_multiplier": (3, "i", 0),
    "activation": (4, "b", 0),
    "dilation_w": (5, "i", 1),
    "dilation_h": (6, "i", 1),
}
_POOL: dict[str, Field] = {
    "padding": (0, "b", 0),
    "stride_w": (1, "i", 0),
    "stride_h": (2, "i", 0),
    "filter_w": (3, "i", 0),
    "filter_h": (4, "i", 0),
    "activation": (5, "b", 0),
}
_FULLY_CONNECTED: dict[str, Field] = {
    "activation": _ACTIVATION,
    "weights_format": (1, "b", 0),
    "keep_num_dims": (2, "B", 0),
}
_REDUCER: dict[str, Field] = {"keep_dims": (0, "B", 0)}
_RESIZE: dict[str, Field] = {"align_corners": (2, "B", 0), "half_pixel_centers": (3, "B", 0)}
_STRIDED_SLICE: dict[str, Field] = {
    "begin_mask": (0, "i", 0),
    "end_mask": (1, "i", 0),
    "ellipsis_mask": (2, "i", 0),
    "new_axis_mask": (3, "i", 0),
    "shrink_axis_mask": (4, "i", 0),
    "offset": (5, "B", 0),
}

# Operators whose options `OpGraph` holds: number in the union BuiltinOptions, fields.
MODELLED_OPTIONS: dict[str, tuple[int, dict[str, Field]]] = {
    "CONV_2D": (1, _CONV),
    "DEPTHWISE_CONV_2D": (2, _DEPTHWISE),
    "AVERAGE_POOL_2D": (5, _POOL),
    "MAX_POOL_2D": (5, _POOL),
    "L2_POOL_2D": (5, _POOL),
    "FULLY_CONNECTED": (8, _FULLY_CONNECTED),
    "SOFTMAX": (9, {"beta": (0, "f", 0.0)}),
    "CONCATENATION": (10, {"axis": (0, "i", 0), "activation": (1, "b", 0)}),
    "ADD": (11, {"activation": _ACTIVATION}),
    "SUB": (28, {"activation": _ACTIVATION}),
    "MUL": (21, {"activation": _ACTIVATION}),
    "MEAN": (27, _REDUCER),
    "SUM": (27, _REDUCER),
    "REDUCE_MAX": (27, _REDUCER),
    "REDUCE_MIN": (27, _REDUCER),
    "REDUCE_PROD": (27, _REDUCER),
    "REDUCE_ANY": (27, _REDUCER),
    "REDUCE_ALL": (27, _REDUCER),
}

# Operators of whose options a few integers decide the memory, as `KernelOptions`.
KERNEL_OPTIONS: dict[str, tuple[int, dict[str, Field]]] = {
    "CALL_ONCE": (103, {"init_subgraph": (0, "i", 0)}),
    "IF": (92, {"then_subgraph": (0, "i", 0), "else_subgraph": (1, "i", 0)}),
    "SVDF": (6, {"rank": (0, "i", 0), "activation": (1, "b", 0)}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (71, {"time_major": (3, "B", 0)}),
    "WHILE": (93, {"cond_subgraph": (0, "i", 0), "body_subgraph": (1, "i", 0)}),
}
# Of those below whose scalar fields are read: transpositions decide memory, an axis how often a kernel's loops run.
READ_OPTIONS = ("BATCH_MATMUL", "GATHER", "PACK", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "UNPACK")
VAR_HANDLE = "VAR_HANDLE"
VAR_HANDLE_OPTIONS, VAR_HANDLE_CONTAINER, VAR_HANDLE_NAME = 111, 0, 1

# Operators whose options decide values but hardly a cost: `lean` keeps all their scalar fields.
OTHER_OPTIONS: dict[str, tuple[int, dict[str, Field]]] = {
    "ARG_MAX": (40, {"output_type": (0, "b", 0)}),
    "ARG_MIN": (57, {"output_type": (0, "b", 0)}),
    "BATCH_MATMUL": (101, {"adj_x": (0, "B", 0), "adj_y": (1, "B", 0)}),
    "CAST": (37, {"in_data_type": (0, "b", 0), "out_data_type": (1, "b", 0)}),
    "CUMSUM": (102, {"exclusive": (0, "B", 0), "reverse": (1, "B", 0)}),
    "DEPTH_TO_SPACE": (94, {"block_size": (0, "i", 0)}),
    "DIV": (29, {"activation": _ACTIVATION}),
    "GATHER": (23, {"axis": (0, "i", 0), "batch_dims": (1, "i", 0)}),
    "L2_NORMALIZATION": (12, {"activation": _ACTIVATION}),
    "LEAKY_RELU": (75, {"alpha": (0, "f", 0.0)}),
    "MIRROR_PAD": (77, {"mode": (0, "b", 0)}),
    "PACK": (59, {"values_count": (0, "i", 0), "axis": (1, "i", 0)}),
    "RESIZE_BILINEAR": (15, _RESIZE),
    "RESIZE_NEAREST_NEIGHBOR": (74, {"align_corners": (0, "B", 0), "half_pixel_centers": (1, "B", 0)}),
    "SHAPE": (55, {"out_type": (0, "b", 0)}),
    "SPACE_TO_DEPTH": (19, {"block_size": (0, "i", 0)}),
    "SPLIT": (35, {"num_splits": (0, "i", 0)}),
    "SPLIT_V": (79, {"num_splits": (0, "i", 0)}),
    "STRIDED_SLICE": (32, _STRIDED_SLICE),
    "TRANSPOSE_CONV": (
        49,
        {
            "padding": (0, "b", 0),
            "stride_w": (1, "i", 0),
            "stride_h": (2, "i", 0),
            "activation": (3, "b", 0),
        },
    ),
    "UNPACK": (64, {"num": (0, "i", 0), "axis": (1, "i", 0)}),
}

# Operators that run the same without their (empty or vector) options.
NO_OPTIONS = frozenset(
    """
    ABS ADD_N BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CEIL COS DEQUANTIZE ELU EQUAL EXP EXPAND_DIMS
    FILL FLOOR FLOOR_DIV FLOOR_MOD GATHER_ND GREATER GREATER_EQUAL HARD_SWISH LESS LESS_EQUAL LOG LOGICAL_AND
    LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MINIMUM NEG NOT_EQUAL PAD PADV2 PRELU QUANTIZE RELU
    RELU6 RELU_0_TO_1 RELU_N1_TO_1 REVERSE_V2 ROUND RSQRT SELECT SELECT_V2 SIN SLICE SPACE_TO_BATCH_ND SQRT
    SQUARE SQUARED_DIFFERENCE TANH TILE TRANSPOSE ZEROS_LIKE
    """.split()  # noqa: SIM905 - a list of names
)
# Operators with one list of integers as options: number in the union, field id.
LIST_OPTIONS = {"RESHAPE": (17, 0), "SQUEEZE": (30, 0)}

QUANTIZE_HINT = (
    "Quantize it fully: optimizations = [tf.lite.Optimize.DEFAULT], a representative_dataset, "
    "target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8], "
    "inference_input_type = inference_output_type = tf.int8."
)
