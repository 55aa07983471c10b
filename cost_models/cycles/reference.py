"""Trip counts of TFLM's portable reference kernels."""

from __future__ import annotations

from cost_models.cycles.simple import SOFTMAX, softmax_rows
from cost_models.cycles.window import window
from cost_models.graph import Operator, Tensor

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

FEATURES: dict[str, tuple[str, ...]] = {
    "reference_conv": (
        "operator",
        "rows",
        "positions",
        "outputs",
        "output_rows",
        "output_taps",
        "columns_inside",
        "taps_inside",
        "macs_inside",
    ),
    "reference_depthwise": (
        "operator",
        "rows",
        "positions",
        "positions*inputs",
        "outputs",
        "output_rows",
        "output_taps",
        "columns_inside",
        "taps_inside",
    ),
    "reference_dense": ("operator", "batches", "outputs", "macs"),
    "reference_dense_per_channel": ("operator", "batches", "outputs", "macs"),
    "reference_average_pool": ("operator", "rows", "positions", "outputs", "output_rows", "taps_inside"),
    "reference_max_pool": ("operator", "rows", "positions", "outputs", "output_rows", "taps_inside"),
    "reference_add": ("operator", "elements"),
    "reference_mul": ("operator", "elements"),
    "reference_softmax": SOFTMAX,
}


def conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`ConvPerChannel`: seven nested loops."""
    at = window(op, tensors)
    filter_depth = tensors[op.inputs[1]].shape[3]
    inside = at.inside * at.channels
    outputs = at.positions * at.channels
    return "reference_conv", (
        1,
        at.out_h,
        at.positions,
        outputs,
        outputs * at.kernel_h,
        outputs * at.kernel_h * at.kernel_w,
        at.out_h * at.kernel_h * at.columns_in * at.channels,
        inside,
        inside * filter_depth,
    )


def depthwise_conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`DepthwiseConvPerChannel`."""
    at = window(op, tensors)
    outputs = at.positions * at.channels
    return "reference_depthwise", (
        1,
        at.out_h,
        at.positions,
        at.positions * at.depth,
        outputs,
        outputs * at.kernel_h,
        outputs * at.kernel_h * at.kernel_w,
        at.out_h * at.kernel_h * at.columns_in * at.channels,
        at.inside * at.channels,
    )


def fully_connected(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`FullyConnected`: one multiply-accumulate a step; `FullyConnectedPerChannel` was counted apart on RISC-V."""
    weights = tensors[op.inputs[1]]
    channels, depth = weights.shape[-2:]
    outputs = tensors[op.outputs[0]].elements
    apart = isa == "esp_rv32" and weights.scales > 1
    return f"reference_dense{'_per_channel' if apart else ''}", (
        1,
        outputs // channels,
        outputs,
        outputs * depth,
    )


def average_pool_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`AveragePool`: channel by channel."""
    return "reference_average_pool", _pool(op, tensors)


def max_pool_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`MaxPool`: channel by channel."""
    return "reference_max_pool", _pool(op, tensors)


def _pool(op: Operator, tensors: Tensors) -> tuple[float, ...]:
    at = window(op, tensors)
    outputs = at.positions * at.depth
    return (1, at.out_h, at.positions, outputs, at.rows_in * at.out_w * at.depth, at.inside * at.depth)


def elementwise(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`ElementWise` with one function call per element, of equal shapes."""
    elements = tensors[op.outputs[0]].elements
    return f"reference_{op.kind.lower()}", (1, elements)


def softmax(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`reference_ops::Softmax`: two exponentials per element."""
    return "reference_softmax", softmax_rows(op, tensors)
