"""Trip counts of TFLM's portable reference kernels."""

from __future__ import annotations

from cost_models.cycles import simple
from cost_models.cycles.counting import pad_before, taps_inside
from cost_models.graph import Conv2DOptions, DepthwiseConv2DOptions, Operator, Tensor

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
    "reference_average_pool": ("operator", "rows", "positions", "outputs", "output_rows", "taps_inside"),
    "reference_max_pool": ("operator", "rows", "positions", "outputs", "output_rows", "taps_inside"),
    "reference_add": ("operator", "elements"),
    "reference_mul": ("operator", "elements"),
    "reference_softmax": ("operator", "rows", "elements"),
}


def conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`ConvPerChannel`: seven nested loops."""
    options = op.options
    assert isinstance(options, Conv2DOptions)
    _, height, width, _ = tensors[op.inputs[0]].shape
    channels, kernel_h, kernel_w, depth = tensors[op.inputs[1]].shape
    _, out_h, out_w, _ = tensors[op.outputs[0]].shape
    rows_in, columns_in = inside_image(options, height, width, out_h, out_w, kernel_h, kernel_w)
    inside = rows_in * columns_in * channels
    outputs = out_h * out_w * channels
    return "reference_conv", (
        1,
        out_h,
        out_h * out_w,
        outputs,
        outputs * kernel_h,
        outputs * kernel_h * kernel_w,
        out_h * kernel_h * columns_in * channels,
        inside,
        inside * depth,
    )


def depthwise_conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`DepthwiseConvPerChannel`."""
    options = op.options
    assert isinstance(options, DepthwiseConv2DOptions)
    _, height, width, depth = tensors[op.inputs[0]].shape
    _, kernel_h, kernel_w, channels = tensors[op.inputs[1]].shape
    _, out_h, out_w, _ = tensors[op.outputs[0]].shape
    rows_in, columns_in = inside_image(options, height, width, out_h, out_w, kernel_h, kernel_w)
    inside = rows_in * columns_in * channels
    outputs = out_h * out_w * channels
    return "reference_depthwise", (
        1,
        out_h,
        out_h * out_w,
        out_h * out_w * depth,
        outputs,
        outputs * kernel_h,
        outputs * kernel_h * kernel_w,
        out_h * kernel_h * columns_in * channels,
        inside,
    )


def inside_image(
    options: Conv2DOptions | DepthwiseConv2DOptions,
    height: int,
    width: int,
    out_h: int,
    out_w: int,
    kernel_h: int,
    kernel_w: int,
) -> tuple[int, int]:
    """Taps inside the image, per dimension."""
    stride_h, stride_w = options.stride_h, options.stride_w
    dilation_h, dilation_w = options.dilation_h, options.dilation_w
    pad_h = pad_before(options.padding, height, out_h, kernel_h, stride_h, dilation_h)
    pad_w = pad_before(options.padding, width, out_w, kernel_w, stride_w, dilation_w)
    return (
        taps_inside(height, out_h, kernel_h, stride_h, pad_h, dilation_h),
        taps_inside(width, out_w, kernel_w, stride_w, pad_w, dilation_w),
    )


def fully_connected(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`FullyConnected`: one multiply-accumulate a step."""
    channels, depth = tensors[op.inputs[1]].shape[-2:]
    outputs = tensors[op.outputs[0]].elements
    return "reference_dense", (1, outputs // channels, outputs, outputs * depth)


def average_pool_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`AveragePool`: channel by channel."""
    return "reference_average_pool", _pool(op, tensors)


def max_pool_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`MaxPool`: channel by channel."""
    return "reference_max_pool", _pool(op, tensors)


def _pool(op: Operator, tensors: Tensors) -> tuple[float, ...]:
    depth, out_h, out_w, rows_in, columns_in, _ = simple.window(op, tensors)
    positions = out_h * out_w
    return (1, out_h, positions, positions * depth, rows_in * out_w * depth, rows_in * columns_in * depth)


def elementwise(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`ElementWise` with one function call per element, of equal shapes."""
    elements = tensors[op.outputs[0]].elements
    return f"reference_{op.kind.lower()}", (1, elements)


def softmax(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`reference_ops::Softmax`: two exponentials per element."""
    shape = tensors[op.inputs[0]].shape
    elements = tensors[op.inputs[0]].elements
    return "reference_softmax", (1, elements // shape[-1], elements)
