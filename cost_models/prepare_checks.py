"""What TFLM's kernels demand of an operator's tensors in Prepare, or take for granted: one rule per operator kind.

A model that breaks a rule is refused by TFLM or makes a kernel read and write beyond its tensors. Here are the rules of
operators that compute values, in `prepare_layout` those of operators that only move them.

Source: tensorflow/lite/micro/kernels and tensorflow/lite/kernels/internal/reference, tflite-micro 90b983c2.
"""

from __future__ import annotations

from cost_models.flatbuffer import broken
from cost_models.graph import Conv2DOptions, DepthwiseConv2DOptions, SoftmaxOptions, Tensor
from cost_models.prepare_case import Case, Rules, cannot_make, made, retyped, too_deep
from cost_models.prepare_layout import LAYOUT_RULES

_MOST_BROADCAST = 4  # dimensions, of the kernels that walk them one by one
_POOL_TOLERANCE = 1e-6
_CAST_TYPES = frozenset({"int8", "int16", "int32", "uint32"})
_BIAS_TOLERANCE = 0.02  # of GetQuantizedConvolutionMultipler


def check_prepare(index: int, case: Case) -> None:
    """Refuse an operator whose tensors its kernel does not take.

    Raises:
        UserError: Which operator, and what does not fit.
    """
    op = case.op
    if op.kind not in _RULES:
        return
    (least, most), rule = _RULES[op.kind]
    name = f"operator {index} ({op.kind})"
    outputs_fit = len(op.outputs) == 1 or op.kind in _SEVERAL_OUTPUTS
    if not least <= len(op.inputs) <= most or not outputs_fit:
        raise broken(f"{name} has {len(op.inputs)} inputs and {len(op.outputs)} outputs")
    if -1 in op.inputs[:least]:
        raise broken(f"{name} lacks an input")
    for at in (*op.inputs[:1], *op.outputs):
        if case.tensors[at].elements < 1:
            raise broken(f"{name} has a tensor of shape {list(case.tensors[at].shape)}")
    try:
        fault = rule(case)
    except (IndexError, ValueError, ZeroDivisionError):
        fault = "has shapes that do not fit"
    if fault is not None:
        raise broken(f"{name} {fault}")


def _same(case: Case) -> str | None:
    return retyped(case) or made(case, case.input(0).shape)


def _requantized(case: Case) -> str | None:
    return made(case, case.input(0).shape)


def _cast(case: Case) -> str | None:
    for dtype in (case.input(0).dtype, case.output.dtype):
        if dtype not in _CAST_TYPES:
            return f"casts {dtype}, which TFLM's kernel does not"
    return made(case, case.input(0).shape)


def _softmax(case: Case) -> str | None:
    options = case.op.options
    if case.output.dtype == "int8":
        if case.quantization(case.op.outputs[0]) != (1 / 256, -128):
            return "has an output of another scale than 1/256 or zero point than -128"
        beta = options.beta if isinstance(options, SoftmaxOptions) else 0.0
        scale = (case.quantization(case.op.inputs[0]) or (0.0, 0))[0]
        if not beta * scale * 2**26 > 1:
            return f"has a beta of {beta:g} that its kernel cannot scale by"
    return _same(case)


def _logistic(case: Case) -> str | None:
    quantization = case.quantization(case.op.outputs[0])
    if case.output.dtype == "int8" and quantization is not None and quantization[1] != -128:
        return f"has an output of zero point {quantization[1]}, not -128"
    return _same(case)


def _sum(case: Case) -> str | None:
    """ADD and SUB, whose kernel shifts its inputs by 20 bits and scales them down to the output."""
    known = [case.quantization(at) for at in (*case.op.inputs, case.op.outputs[0])]
    if case.output.dtype == "int8" and all(one is not None for one in known):
        first, second, out = (one[0] for one in known if one is not None)
        if not 2 * max(first, second) < 2**20 * out:
            return "has an output whose scale is too small for its inputs"
    return _broadcast(case)


def _broadcast(case: Case) -> str | None:
    first, second = case.input(0), case.input(1)
    if not first.dtype == second.dtype == case.output.dtype:
        return f"has inputs of {first.dtype} and {second.dtype} and an output of {case.output.dtype}"
    if first.shape == second.shape:
        return made(case, first.shape)
    rank = max(len(first.shape), len(second.shape))
    if rank > _MOST_BROADCAST:
        return f"broadcasts {rank} dimensions, TFLM at most {_MOST_BROADCAST}"
    one = (1,) * (rank - len(first.shape)) + first.shape
    other = (1,) * (rank - len(second.shape)) + second.shape
    if any(a != b and 1 not in (a, b) for a, b in zip(one, other, strict=True)):
        return f"has inputs of the shapes {list(first.shape)} and {list(second.shape)}"
    return made(case, tuple(map(max, one, other)))


def _prelu(case: Case) -> str | None:
    shape, alpha = case.input(0).shape, case.input(1).shape
    padded = (1,) * (len(shape) - len(alpha)) + alpha
    if len(padded) != len(shape) or any(a not in (1, b) for a, b in zip(padded, shape, strict=True)):
        return f"has slopes of the shape {list(alpha)} for {list(shape)}"
    return too_deep(shape, _MOST_BROADCAST) or _same(case)


def _reduce(case: Case) -> str | None:
    shape, axes = case.input(0).shape, case.values(1)
    if case.input(1).dtype != "int32" or axes is None or not axes:
        return "reduces axes that are no constant of int32"
    if any(not -len(shape) <= axis < len(shape) for axis in axes):
        return f"reduces axes {list(axes)} of {list(shape)}"
    gone = {axis % len(shape) for axis in axes}
    kept = tuple(size for axis, size in enumerate(shape) if axis not in gone)
    ones = tuple(1 if axis in gone else size for axis, size in enumerate(shape))
    compares = case.op.kind.startswith("REDUCE_") and case.input(0).dtype == "int8"
    if compares and case.quantization(case.op.inputs[0]) != case.quantization(case.op.outputs[0]):
        return "has an output of another scale than its input, which TFLM's kernel does not rescale"
    if fault := retyped(case) or too_deep(shape, 4):
        return fault
    return None if case.output.shape in (kept, ones) else made(case, kept)


def _resize(case: Case) -> str | None:
    shape, size = case.input(0).shape, case.values(1)
    if len(shape) != 4 or case.input(1).dtype != "int32" or size is None or len(size) != 2 or min(size) < 1:
        return "resizes to a size that is no two constant integers, or other than a picture"
    if case.scalars.get("half_pixel_centers", 0) and case.scalars.get("align_corners", 0):
        return "aligns corners and centres of pixels at once"
    return retyped(case) or made(case, (shape[0], *size, shape[3]))


def _arg(case: Case) -> str | None:
    shape, axes = case.input(0).shape, case.values(1)
    if axes is None or len(axes) != 1 or not -len(shape) <= axes[0] < len(shape):
        return "looks along an axis that is no constant of its input's"
    axis = axes[0] % len(shape)
    if case.output.dtype != "int32":
        return f"makes {case.output.dtype}, TFLM int32"
    return made(case, (*shape[:axis], *shape[axis + 1 :]))


def _convolution(case: Case) -> str | None:
    options = case.op.options
    filters = case.input(1)
    depthwise = isinstance(options, DepthwiseConv2DOptions)
    channels = filters.shape[3 if depthwise else 0]
    if isinstance(options, DepthwiseConv2DOptions):
        depth = case.input(0).shape[3]
        if options.depth_multiplier not in (0, channels // depth):
            return f"has a multiplier of {options.depth_multiplier} for {depth} to {channels} channels"
    elif isinstance(options, Conv2DOptions):
        groups = case.input(0).shape[3] // filters.shape[3]
        if channels % groups:
            return f"has {channels} filters for {groups} groups"
    return _weights(case, filters, channels, 3 if depthwise else 0, position=2)


def _weights(case: Case, filters: Tensor, channels: int, axis: int, *, position: int) -> str | None:
    if filters.dtype != "int8":
        return f"has weights of {filters.dtype}"
    if filters.scales not in (1, channels) or (filters.scales > 1 and filters.quantized_dimension != axis):
        return f"has {filters.scales} scales for {channels} channels"
    if position < len(case.op.inputs) and case.op.inputs[position] >= 0:
        bias = case.input(position)
        if bias.dtype != "int32" or bias.elements != channels:
            return f"has a bias of {bias.elements} {bias.dtype} for {channels} channels"
    return None


def _transpose_conv(case: Case) -> str | None:
    filters, source = case.input(1), case.input(2)
    if len(source.shape) != 4 or len(case.output.shape) != 4 or filters.shape[3] != source.shape[3]:
        return f"has filters of {list(filters.shape)} for {list(source.shape)}"
    if case.values(0) != case.output.shape or case.output.shape[3] != filters.shape[0]:
        return f"makes {list(case.output.shape)} of filters of {list(filters.shape)}"
    strides = [int(case.scalars.get(name, 0)) for name in ("stride_h", "stride_w")]
    if min(strides) < 1 or case.output.shape[0] != source.shape[0]:
        return f"has strides of {strides}"
    same = case.scalars.get("padding", 0) == 0
    for at, stride in enumerate(strides, 1):
        # The convolution that it turns round makes the input's size of the output's.
        size = case.output.shape[at] if same else case.output.shape[at] - filters.shape[at] + 1
        if -(-size // stride) != source.shape[at]:
            return cannot_make(case.output.shape, source.shape)
    return _weights(case, filters, filters.shape[0], 0, position=3)


def _fully_connected(case: Case) -> str | None:
    filters = case.input(1)
    fault = _weights(case, filters, filters.shape[0], 0, position=2)
    if fault is not None or len(case.op.inputs) < 3 or case.op.inputs[2] < 0 or filters.scales != 1:
        return fault
    places = (case.op.inputs[0], case.op.inputs[1], case.op.inputs[2], case.op.outputs[0])
    source, weight, bias, out = ((case.quantization(at) or (0.0, 0))[0] for at in places)
    if out <= 0 or not abs(source * weight - bias) / out <= _BIAS_TOLERANCE:
        return "has a bias of another scale than its input's times its weights'"
    return None


def _pool(case: Case) -> str | None:
    if fault := retyped(case):
        return fault
    ends = case.quantization(case.op.inputs[0]), case.quantization(case.op.outputs[0])
    if ends[0] is None or ends[1] is None:
        return None
    if not abs(ends[0][0] - ends[1][0]) <= _POOL_TOLERANCE or ends[0][1] != ends[1][1]:
        return "has an output of another scale or zero point than its input"
    return None


_SEVERAL_OUTPUTS = frozenset({"SPLIT", "SPLIT_V", "UNPACK"})
_RULES: Rules = {
    **LAYOUT_RULES,
    **dict.fromkeys(
        ("ABS", "ELU", "HARD_SWISH", "L2_NORMALIZATION", "LEAKY_RELU", "RELU", "RELU6", "TANH"),
        ((1, 1), _same),
    ),
    **dict.fromkeys(("QUANTIZE", "DEQUANTIZE"), ((1, 1), _requantized)),
    **dict.fromkeys(("MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"), ((2, 2), _broadcast)),
    **dict.fromkeys(("ADD", "SUB"), ((2, 2), _sum)),
    "LOGISTIC": ((1, 1), _logistic),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), ((2, 2), _reduce)),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), ((2, 2), _arg)),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), ((2, 2), _resize)),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), ((1, 1), _pool)),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), ((2, 3), _convolution)),
    "CAST": ((1, 1), _cast),
    "FULLY_CONNECTED": ((2, 3), _fully_connected),
    "PRELU": ((2, 2), _prelu),
    "SOFTMAX": ((1, 1), _softmax),
    "TRANSPOSE_CONV": ((3, 4), _transpose_conv),
}
