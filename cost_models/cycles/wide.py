"""Trip counts of the kernels for other element types than int8: 16-bit activations, and floats.

Source: arm_convolve_s16, arm_depthwise_conv_s16, arm_fully_connected_s16, arm_avgpool_s16, arm_max_pool_s16,
arm_elementwise_add_s16 and ..._mul_s16, CMSIS-NN 4ab83cc3; tensorflow/lite/kernels/internal/reference, tflite-micro
90b983c2.
"""

from __future__ import annotations

from cost_models.cycles import portable, reference, simple
from cost_models.cycles.counting import copy_instructions, fill_instructions
from cost_models.cycles.gemm import GATHER
from cost_models.cycles.matmul import PAIRED, QUADS, kind_of, paired, quads
from cost_models.cycles.window import window
from cost_models.graph import DepthwiseConv2DOptions, Operator, Tensor

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

# The fast inner loop takes that many columns, whose 32-bit sum cannot overflow; the others go one by one.
_FAST_COLUMNS = 512
_CONV = ("operator", "samples", "rows", "positions", *GATHER, "tiles_of_two", "odd_positions")
_BLOCKS = ("entered(blocks)", "blocks", "entered(rest)", "rest", "slow")

_BIASED = ("reference_conv", "reference_depthwise", "reference_dense")

FEATURES: dict[str, tuple[str, ...]] = {
    **{
        f"conv_int16_{bias}{kind}": (
            *_CONV,
            *(f"{tile}*{name}" for tile in ("tiles", "odd_channel", "left_over") for name in ("1", *_BLOCKS)),
        )
        for bias in ("", "bias32_")
        for kind in ("dsp", "scalar")
    },
    **{
        f"conv_int16_{bias}mve": (
            *_CONV,
            *(f"{tile}*{name}" for tile in ("tiles", "left_over") for name in ("1", "vectors", "slow")),
        )
        for bias in ("", "bias32_")
    },
    "depthwise_int16": (
        "operator",
        "samples",
        "rows",
        "positions",
        "positions*inputs",
        "outputs",
        "outputs*dilated",
        "rows_inside",
        "taps_inside",
    ),
    "dense_int16_dsp": (
        "operator",
        "products",
        *PAIRED,
        "slow_products",
        "biases",
    ),
    "dense_int16_mve": ("operator", "products", *QUADS, "slow_products", "biases"),
    "dense_int16_scalar": ("operator", "products", "outputs", "macs", "biases"),
    "l2_pool_float32": reference.FEATURES["reference_average_pool"],
    "average_pool_int16_dsp": simple.FEATURES["average_pool_dsp"],
    "average_pool_int16_scalar": simple.FEATURES["average_pool_scalar"],
    "average_pool_int16_mve": simple.FEATURES["average_pool_mve"],
    "max_pool_int16_mve": simple.MAX_POOL_INT16_MVE,
    "max_pool_int16": simple.MAX_POOL_INT16,
    **{
        f"{name}_int16_{kind}": ("operator", "pairs", "odd_element")
        for name in ("add", "mul")
        for kind in ("dsp", "scalar")
    },
    "add_int16_mve": ("operator", "vectors"),
    "mul_int16_mve": ("operator", "vectors"),
    **{
        f"{path.replace('reference_', '')}_{dtype}": (*features, *(("biases",) if path in _BIASED else ()))
        for path, features in reference.FEATURES.items()
        if path in (*_BIASED, "reference_average_pool", "reference_max_pool")
        for dtype in ("float32", "int16_reference", "int16_reference_bias32")
    },
}


def _types(op: Operator, tensors: Tensors) -> str:
    """How the path is called after the types of the tensors: sums of 16-bit products have 64 bits, or the bias's 32."""
    dtype = tensors[op.inputs[0]].dtype
    if dtype != "int16":
        return dtype
    return "int16_reference" + (
        "_bias32" if op.kind == "CONV_2D" and _bias_type(op, tensors) == "int32" else ""
    )


def _biases(op: Operator, tensors: Tensors) -> int:
    """How often a bias is added."""
    return tensors[op.outputs[0]].elements if _bias_type(op, tensors) else 0


def _bias_type(op: Operator, tensors: Tensors) -> str:
    """Element type of the bias, "" where there is none."""
    return tensors[op.inputs[2]].dtype if len(op.inputs) > 2 and op.inputs[2] >= 0 else ""


def conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_convolve_s16` on 16-bit activations: im2col of two positions, by two channels."""
    source, filters = (tensors[index] for index in op.inputs[:2])
    if source.dtype != "int16":
        return reference_conv(op, tensors, isa)
    if source.shape[3] != filters.shape[3]:
        return "conv_int16_other", ()
    at = window(op, tensors)
    channels, positions = at.channels, at.positions
    taps = positions * at.kernel_h * at.kernel_w
    by_column = at.rows_in * (at.out_w * at.kernel_w - at.columns_in)
    columns = at.kernel_h * at.kernel_w * at.depth
    fast = min(columns, _FAST_COLUMNS)
    moved = (
        at.out_h,
        positions,
        positions * at.kernel_h,
        taps,
        at.inside,
        at.inside * copy_instructions(2 * at.depth, isa),
        taps - at.inside - by_column,
        by_column,
        (taps - at.inside) * fill_instructions(2 * at.depth, isa),
    )
    # A missing bias is taken for one of 32 bits.
    path = f"conv_int16_{'' if _bias_type(op, tensors) == 'int64' else 'bias32_'}{kind_of(isa)}"
    if isa == "mve":
        fours, left = positions >> 2, positions & 3
        passes = (1, (fast + 7) >> 3, columns - fast)
        return path, (
            1,
            1,
            *moved,
            fours,
            left,
            *(rows * channels * count for rows in (fours, left) for count in passes),
        )
    step = 4 if isa == "dsp" else 1
    blocks = (fast >= step, fast // step, fast % step > 0, fast % step, columns - fast)
    last = (columns >= step, columns // step, columns % step > 0, columns % step, 0)
    halves, left = positions >> 1, positions & 1
    return path, (
        1,
        1,
        *moved,
        halves,
        left,
        *(halves * number * count for number in (channels >> 1, channels & 1) for count in (1, *blocks)),
        *(left * channels * count for count in (1, *last)),
    )


def depthwise_conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_depthwise_conv_s16` on 16-bit activations: the generic loop, tap by tap."""
    if tensors[op.inputs[0]].dtype != "int16":
        return reference_depthwise(op, tensors, isa)
    options = op.options
    assert isinstance(options, DepthwiseConv2DOptions)
    at = window(op, tensors)
    outputs = at.positions * at.channels
    dilated = (options.dilation_h > 1) + (options.dilation_w > 1)
    return "depthwise_int16", (
        1,
        1,
        at.out_h,
        at.positions,
        at.positions * at.depth,
        outputs,
        outputs * dilated,
        at.rows_in * at.out_w * at.channels,
        at.inside * at.channels,
    )


def fully_connected(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_fully_connected_s16` on 16-bit activations."""
    if tensors[op.inputs[0]].dtype != "int16":
        return reference_dense(op, tensors, isa)
    channels, depth = tensors[op.inputs[1]].shape[-2:]
    outputs = tensors[op.outputs[0]].elements
    calls = outputs // max(channels, 1)
    biases = _biases(op, tensors)
    if isa == "mve":
        fast = min(depth, _FAST_COLUMNS)
        products = quads(channels, fast, calls, 8)
        return "dense_int16_mve", (1, calls, *products, outputs * (depth - fast), biases)
    if isa != "dsp":
        return "dense_int16_scalar", (1, calls, outputs, outputs * depth, biases)
    fast = min(depth, _FAST_COLUMNS)
    slow = outputs * (depth - fast)
    return "dense_int16_dsp", (1, calls, *paired(channels, fast, calls), slow, biases)


def average_pool_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_avgpool_s16`, which goes as the one for int8."""
    if tensors[op.inputs[0]].dtype != "int16":
        return reference_pool(op, tensors, isa)
    if isa == "mve":
        return "average_pool_int16_mve", simple.average_vectors(window(op, tensors), lanes=8)
    path, trips = simple.average_pool_2d(op, tensors, isa)
    return path.replace("pool", "pool_int16"), trips


def max_pool_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_max_pool_s16`: copies the first tap, compares two channels a step with the others, clamps at the end."""
    if tensors[op.inputs[0]].dtype != "int16":
        return reference_pool(op, tensors, isa)
    at = window(op, tensors)
    compares = at.inside - at.positions
    total = at.positions * at.depth
    once = (
        1,
        at.out_h,
        at.positions,
        at.rows_in * at.out_w,
        at.positions * copy_instructions(2 * at.depth, isa),
        compares,
    )
    if isa == "mve":
        return "max_pool_int16_mve", (*once, compares * ((at.depth + 7) >> 3), (total + 7) >> 3)
    return "max_pool_int16", (
        *once,
        compares * (at.depth >> 1),
        compares * (at.depth & 1),
        total >> 1,
        total & 1,
    )


def elementwise(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_elementwise_add_s16` and `..._mul_s16`: two elements a step."""
    source, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    if source.dtype != "int16":
        return portable.binary(op, tensors, isa)
    if isa == "mve":
        return f"{op.kind.lower()}_int16_mve", (1, (output.elements + 3) >> 2)
    return f"{op.kind.lower()}_int16_{kind_of(isa)}", (1, output.elements >> 1, output.elements & 1)


def reference_conv(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's own, on floats and on 16-bit activations."""
    trips = reference.conv_2d(op, tensors, isa)[1]
    return f"conv_{_types(op, tensors)}", (*trips, _biases(op, tensors) // tensors[op.outputs[0]].shape[0])


def reference_depthwise(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's own, on floats and on 16-bit activations."""
    trips = reference.depthwise_conv_2d(op, tensors, isa)[1]
    return f"depthwise_{_types(op, tensors)}", (
        *trips,
        _biases(op, tensors) // tensors[op.outputs[0]].shape[0],
    )


def reference_dense(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's own, on floats and on 16-bit activations."""
    trips = reference.fully_connected(op, tensors, isa)[1]
    return f"dense_{_types(op, tensors)}", (*trips, _biases(op, tensors))


def reference_pool(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's own, on floats and on 16-bit activations."""
    return f"{op.kind.lower().removesuffix('_2d')}_{_types(op, tensors)}", reference.average_pool_2d(
        op, tensors, isa
    )[1]
