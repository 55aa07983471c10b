"""Trip counts of ESP-NN's generic C, which Espressif's chips without vector instructions run."""

from __future__ import annotations

from cost_models.cycles import reference
from cost_models.cycles.simple import SOFTMAX, softmax_rows
from cost_models.cycles.window import Window, window
from cost_models.graph import Conv2DOptions, DepthwiseConv2DOptions, Operator, Tensor

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

_POOL = ("operator", "rows", "positions", "outputs", "output_rows", "taps_inside")
# Input channels go in fours, the rest by themselves.
_DEPTH = ("entered(blocks4)", "blocks4", "entered(rest)", "rest")
_DEPTHWISE = (
    "operator",
    "rows",
    "positions",
    "positions*entered(blocks)",
    "positions*entered(singles)",
    "blocks",
    "blocks*tap_rows",
    "blocks*taps_inside",
    "singles",
    "singles*tap_rows",
    "singles*taps_inside",
    "fetched_weights",
)
# "fetched_weights" are no loop: they are fetched once an inference, and a cache holds them for the rest of it.
FEATURES: dict[str, tuple[str, ...]] = {
    "esp_nn_conv_1x1": ("operator", "rows", "positions", "outputs", *_DEPTH, "fetched_weights"),
    "esp_nn_conv": (
        "operator",
        "rows",
        "positions",
        "outputs",
        "output_rows",
        "output_taps",
        *_DEPTH,
        "fetched_weights",
    ),
    "esp_nn_conv_grouped": (
        "operator",
        "rows",
        "positions",
        "outputs",
        "output_rows",
        "output_taps",
        "macs_inside",
        "fetched_weights",
    ),
    "esp_nn_conv_dilated": (*reference.FEATURES["reference_conv"], "fetched_weights"),
    "esp_nn_depthwise": _DEPTHWISE,
    "esp_nn_depthwise_dilated": (*reference.FEATURES["reference_depthwise"], "fetched_weights"),
    "esp_nn_depthwise_multiplied": (*_DEPTHWISE[:-1], "positions*inputs", "fetched_weights"),
    **dict.fromkeys(
        ("esp_nn_dense", "esp_nn_dense_per_channel"),
        ("operator", "batches", "outputs", "macs", "fetched_weights"),
    ),
    "esp_nn_average_pool": _POOL,
    "esp_nn_max_pool": _POOL,
    "esp_nn_add": ("operator", "elements"),
    "esp_nn_mul": ("operator", "elements"),
    "esp_nn_softmax": SOFTMAX,
}
WEIGHT_BYTES: dict[str, dict[str, float]] = {
    path: {"fetched_weights": 1.0} for path, names in FEATURES.items() if "fetched_weights" in names
}


def conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_conv_s8_opt`: four input channels a step; TFLM's portable kernel where it is dilated."""
    options = op.options
    assert isinstance(options, Conv2DOptions)
    depth, weights = tensors[op.inputs[1]].shape[3], tensors[op.inputs[1]].elements
    if (options.dilation_h, options.dilation_w) != (1, 1):
        return "esp_nn_conv_dilated", (*reference.conv_2d(op, tensors, isa)[1], weights)
    at = window(op, tensors)
    outputs = at.positions * at.channels
    once = (1, at.out_h, at.positions, outputs)
    if at.kernel_h == at.kernel_w == 1:
        return "esp_nn_conv_1x1", (*once, *_depth(outputs, depth), weights)
    taps = at.inside * at.channels
    rows = at.rows_in * at.out_w * at.channels
    if depth != at.depth:
        return "esp_nn_conv_grouped", (*once, rows, taps, taps * depth, weights)
    return "esp_nn_conv", (*once, rows, taps, *_depth(taps, depth), weights)


def _depth(passes: int, depth: int) -> tuple[float, ...]:
    """Trips of the loops over that many input channels, entered so often."""
    blocks, rest = depth >> 2, depth & 3
    return passes if blocks else 0, passes * blocks, passes if rest else 0, passes * rest


def depthwise_conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_depthwise_conv_s8_opt`: four channels at once; TFLM's portable kernel where it is dilated."""
    options = op.options
    assert isinstance(options, DepthwiseConv2DOptions)
    weights = tensors[op.inputs[1]].elements
    if (options.dilation_h, options.dilation_w) != (1, 1):
        return "esp_nn_depthwise_dilated", (*reference.depthwise_conv_2d(op, tensors, isa)[1], weights)
    at = window(op, tensors)
    multiplier = at.channels // at.depth
    if multiplier == 1:
        return "esp_nn_depthwise", (*_in_fours(at, at.depth >> 2, at.depth & 3), weights)
    blocks, singles = at.depth * (multiplier >> 2), at.depth * (multiplier & 3)
    trips = (*_in_fours(at, blocks, singles), at.positions * at.depth, weights)
    return "esp_nn_depthwise_multiplied", trips


def _in_fours(at: Window, blocks: int, singles: int) -> tuple[float, ...]:
    rows = at.rows_in * at.out_w
    return (
        1,
        at.out_h,
        at.positions,
        at.positions if blocks else 0,
        at.positions if singles else 0,
        *(count * blocks for count in (at.positions, rows, at.inside)),
        *(count * singles for count in (at.positions, rows, at.inside)),
    )


def fully_connected(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_fully_connected_s8_ansi` and `..._per_ch_s8_ansi`: one multiply-accumulate a step."""
    weights = tensors[op.inputs[1]]
    channels, depth = weights.shape[-2:]
    outputs = tensors[op.outputs[0]].elements
    return f"esp_nn_dense{'_per_channel' if weights.scales > 1 else ''}", (
        1,
        outputs // channels,
        outputs,
        outputs * depth,
        channels * depth,
    )


def pool_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_avg_pool_s8_ansi` and `esp_nn_max_pool_s8_ansi`: channel by channel."""
    kind = "average_pool" if op.kind == "AVERAGE_POOL_2D" else "max_pool"
    at = window(op, tensors)
    rows = at.rows_in * at.out_w
    return f"esp_nn_{kind}", (
        1,
        at.out_h,
        at.positions,
        *(count * at.depth for count in (at.positions, rows, at.inside)),
    )


def elementwise(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_add_elementwise_s8_ansi` and `esp_nn_mul_elementwise_s8_ansi`, of equal shapes."""
    return f"esp_nn_{op.kind.lower()}", (1, tensors[op.outputs[0]].elements)


def softmax(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_softmax_s8_opt`: one exponential an element, kept in scratch."""
    return "esp_nn_softmax", softmax_rows(op, tensors)
