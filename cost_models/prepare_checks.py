"""What TFLM's kernels demand of an operator's tensors in Prepare, or take for granted: one rule per operator kind.

A model that breaks a rule is refused by TFLM or makes a kernel read and write beyond its tensors. Here are the rules of
operators that compute values, in `prepare_layout` those of operators that only move them.

Source: tensorflow/lite/micro/kernels and tensorflow/lite/kernels/internal/reference, tflite-micro 90b983c2.
"""

from __future__ import annotations

from cost_models.flatbuffer import broken, refused
from cost_models.graph import Conv2DOptions, DepthwiseConv2DOptions, KernelOptions, SoftmaxOptions, Tensor
from cost_models.prepare_case import Case, Rules, cannot_make, made, retyped, too_deep
from cost_models.prepare_layout import LAYOUT_RULES

_MOST_BROADCAST = 4  # dimensions, of the kernels that walk them one by one
_POOL_TOLERANCE = 1e-6
# Scale, zero point and tolerance of a SOFTMAX's output: kernels/softmax_common.cc.
_SOFTMAX_ENDS = {
    ("int8", "int8"): (2**-8, -128, 0.0),
    ("int8", "int16"): (2**-16, -32768, 0.001),
    ("int16", "int16"): (2**-15, 0, 0.001),
}
_SUM_SHIFTS = {"int8": 20, "int16": 15}  # kernels/add_common.cc
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
    if any(at < 0 and place not in _OPTIONAL.get(op.kind, ()) for place, at in enumerate(op.inputs[:least])):
        raise broken(f"{name} lacks an input")
    if op.kind in _SYMMETRIC:
        for at in (*op.inputs, *op.outputs):
            if at >= 0 and case.tensors[at].dtype == "int16" and (case.quantization(at) or (0, 0))[1]:
                raise refused(f"{name} has an int16 tensor with a zero point")
    for at in (*op.inputs[:1], *op.outputs):
        if case.tensors[at].elements < 1:
            raise broken(f"{name} has a tensor of shape {list(case.tensors[at].shape)}")
    try:
        fault = rule(case)
    except (IndexError, ValueError, ZeroDivisionError):
        fault = "has shapes that do not fit"
    if fault is not None:
        raise refused(f"{name} {fault}")


def inputs_of(kind: str) -> tuple[int, int]:
    """The least and the most inputs of an operator, as far as a rule says so."""
    return _RULES[kind][0] if kind in _RULES else (0, _MANY)


def _same(case: Case) -> str | None:
    return retyped(case) or made(case, case.input(0).shape)


def _requantized(case: Case) -> str | None:
    return made(case, case.input(0).shape)


def _softmax(case: Case) -> str | None:
    options = case.op.options
    types = case.input(0).dtype, case.output.dtype
    out = case.quantization(case.op.outputs[0])
    if types in _SOFTMAX_ENDS:
        scale, zero_point, tolerance = _SOFTMAX_ENDS[types]
        if out is None or not abs(out[0] - scale) <= tolerance * scale or out[1] != zero_point:
            return f"has an output of another scale than 1/{1 / scale:.0f} or zero point than {zero_point}"
    if types[0] == "int8":
        beta = options.beta if isinstance(options, SoftmaxOptions) else 0.0
        scale = (case.quantization(case.op.inputs[0]) or (0.0, 0))[0]
        if not beta * scale * 2**26 > 1:
            return f"has a beta of {beta:g} that its kernel cannot scale by"
    return _requantized(case)


def _logistic(case: Case) -> str | None:
    quantization = case.quantization(case.op.outputs[0])
    if (
        case.op.kind == "LOGISTIC"
        and case.output.dtype == "int8"
        and quantization
        and quantization[1] != -128
    ):
        return f"has an output of zero point {quantization[1]}, not -128"
    if case.output.dtype == "int16" and quantization and quantization[0] != 2**-15:
        return f"has an output of scale {quantization[0]:g}, not 1/32768"
    return _same(case)


def _log_softmax(case: Case) -> str | None:
    if case.output.dtype == "int8" and case.quantization(case.op.outputs[0]) != (16 / 256, 127):
        return "has an output of another scale than 1/16 or zero point than 127"
    return _same(case)


def _sum(case: Case) -> str | None:
    """ADD and SUB, whose kernel shifts its inputs left and scales them down to the output."""
    known = [case.quantization(at) for at in (*case.op.inputs, case.op.outputs[0])]
    if case.output.dtype in _SUM_SHIFTS and all(one is not None for one in known):
        first, second, out = (one[0] for one in known if one is not None)
        if not 2 * max(first, second) < 2 ** _SUM_SHIFTS[case.output.dtype] * out:
            return "has an output whose scale is too small for its inputs"
    return _broadcast(case)


def _broadcast(case: Case) -> str | None:
    return _joined(case, *(case.tensors[at].shape for at in case.op.inputs))


def _joined(case: Case, *shapes: tuple[int, ...]) -> str | None:
    """The fault of an output of inputs that are broadcast to each other."""
    if len(set(shapes)) == 1:
        return made(case, shapes[0])
    rank = max(len(shape) for shape in shapes)
    if rank > _MOST_BROADCAST:
        return f"broadcasts {rank} dimensions, TFLM at most {_MOST_BROADCAST}"
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    for sizes in zip(*padded, strict=True):
        if len({size for size in sizes if size != 1}) > 1:
            return f"has inputs of the shapes {' and '.join(str(list(shape)) for shape in shapes)}"
    return made(case, tuple(max(sizes) for sizes in zip(*padded, strict=True)))


def _alike(case: Case) -> str | None:
    """ADD_N: inputs of one shape and, where they are int8, of one scale."""
    for at in case.op.inputs[1:]:
        if case.tensors[at].shape != case.input(0).shape:
            return f"adds {list(case.tensors[at].shape)} to {list(case.input(0).shape)}"
        if case.quantization(at) != case.quantization(case.op.inputs[0]):
            return "adds tensors of several scales, which TFLM's kernel does not rescale"
    return made(case, case.input(0).shape)


def _broadcast_to(case: Case) -> str | None:
    want = case.values(1)
    if want is None:
        return "broadcasts to a shape that is not a constant"
    return too_deep(want, 5) or made(case, want)


def _fill(case: Case) -> str | None:
    want = case.values(0)
    if want is None or case.input(1).shape:
        return "fills a shape that is not a constant, or with more than one value"
    return None if case.output.shape == want else cannot_make(case.output.shape, want)


def _batch_matmul(case: Case) -> str | None:
    options = case.op.options
    shapes = [case.input(0).shape, case.input(1).shape]
    if not all(2 <= len(shape) <= _MOST_BROADCAST for shape in shapes):
        return f"multiplies {list(shapes[0])} by {list(shapes[1])}, TFLM 2 to {_MOST_BROADCAST} dimensions"
    rank = max(len(shape) for shape in shapes)
    first, second = ((1,) * (rank - len(shape)) + shape for shape in shapes)
    turned = [isinstance(options, KernelOptions) and options[name] for name in ("adj_x", "adj_y")]
    rows, depth = first[-2:][::-1] if turned[0] else first[-2:]
    other, columns = second[-2:][::-1] if turned[1] else second[-2:]
    if depth != other or any(
        a != b and 1 not in (a, b) for a, b in zip(first[:-2], second[:-2], strict=True)
    ):
        return f"multiplies {list(shapes[0])} by {list(shapes[1])}"
    return made(case, (*map(max, first[:-2], second[:-2]), rows, columns))


def _update_slice(case: Case) -> str | None:
    shape, update = case.input(0).shape, case.input(1).shape
    fits = len(update) == len(shape) and all(a <= b for a, b in zip(update, shape, strict=True))
    if not fits or case.input(2).shape != (len(shape),):
        return f"puts {list(update)} into {list(shape)}"
    return made(case, shape)


def _gather_nd(case: Case) -> str | None:
    shape, places = case.input(0).shape, case.input(1).shape
    if not places or not shape or places[-1] > min(len(shape), 5):
        return f"gathers by {list(places)} of {list(shape)}"
    return made(case, (*places[:-1], *shape[places[-1] :]))


def _shape(case: Case) -> str | None:
    return (
        None if case.output.elements == len(case.input(0).shape) else "makes another shape than its input's"
    )


def _embedding(case: Case) -> str | None:
    rows, table = case.input(0).shape, case.input(1).shape
    if len(rows) != 1 or len(table) < 2 or len(case.output.shape) != len(table):
        return f"looks up {list(rows)} of {list(table)}"
    return made(case, (rows[0], *table[1:]))


def _svdf(case: Case) -> str | None:
    options = case.op.options
    rank = options["rank"] if isinstance(options, KernelOptions) else 0
    source, features, times = (case.input(position).shape for position in range(3))
    state = case.input(4)
    if len(source) != 2 or len(features) != 2 or len(times) != 2 or rank < 1 or features[0] % rank:
        return f"has weights of {list(features)} and {list(times)} for {list(source)} and a rank of {rank}"
    if not state.is_variable:
        return "has a state that is not a variable"
    if (
        features[1] != source[1]
        or times[0] != features[0]
        or state.shape != (source[0], times[1] * features[0])
    ):
        return f"has weights of {list(features)} and {list(times)} and a state of {list(state.shape)}"
    if case.op.inputs[3] >= 0 and case.input(3).elements != features[0] // rank:
        return f"has a bias of {case.input(3).elements} for {features[0] // rank} units"
    if case.input(0).dtype == "int8" and case.op.inputs[3] < 0:
        return "has no bias, which TFLM's kernel reads"
    return made(case, (source[0], features[0] // rank))


def _lstm(case: Case) -> str | None:
    source, states = case.input(0).shape, [case.input(position) for position in (18, 19)]
    if len(source) != 3 or case.op.inputs[18] < 0 or case.op.inputs[19] < 0:
        return f"has an input of {list(source)}, TFLM three dimensions"
    if any(len(state.shape) != 2 or not state.is_variable for state in states):
        return "has states that are not variables of two dimensions"
    if any(case.op.inputs[position] < 0 for position in (*range(1, 9), *range(12, 16))):
        return "lacks weights or biases: TFLM has no coupled gates"
    if any(case.op.inputs[position] >= 0 for position in (9, 10, 11, 16, 17, 20, 21, 22, 23)):
        return "has peepholes, a projection or normalisation, which TFLM does not have"
    if states[1].dtype != ("float32" if case.input(0).dtype == "float32" else "int16"):
        return f"has a cell state of {states[1].dtype}"
    return made(case, (*source[:2], states[0].shape[1]))


def _detection(case: Case) -> str | None:
    boxes, scores, anchors = (case.input(position).shape for position in range(3))
    if (len(boxes), len(scores), len(anchors)) != (3, 3, 2) or boxes[1] != scores[1]:
        return f"has boxes of {list(boxes)}, scores of {list(scores)} and anchors of {list(anchors)}"
    return None


def _circular_buffer(case: Case) -> str | None:
    source, shape = case.input(0).shape, case.output.shape
    if len(source) != 4 or source[1] != 1 or not case.output.is_variable:
        return "is not a buffer of rows that keeps its output"
    return None if (source[0], *source[2:]) == (shape[0], *shape[2:]) else cannot_make(shape, source)


def _prelu(case: Case) -> str | None:
    shape, alpha = case.input(0).shape, case.input(1).shape
    padded = (1,) * (len(shape) - len(alpha)) + alpha
    if len(padded) != len(shape) or any(a not in (1, b) for a, b in zip(padded, shape, strict=True)):
        return f"has slopes of the shape {list(alpha)} for {list(shape)}"
    return too_deep(shape, _MOST_BROADCAST) or _same(case)


def _reduce(case: Case) -> str | None:
    shape, axes = case.input(0).shape, case.values(1)
    if case.input(1).dtype != "int32" or axes is None or not axes:
        return "reduces axes that are not a constant of int32"
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
        return "resizes to a size that is not two constant integers, or other than a picture"
    if case.scalars.get("half_pixel_centers", 0) and case.scalars.get("align_corners", 0):
        return "aligns corners and centres of pixels at once"
    return retyped(case) or made(case, (shape[0], *size, shape[3]))


def _arg(case: Case) -> str | None:
    shape, axes = case.input(0).shape, case.values(1)
    if axes is None or len(axes) != 1 or not -len(shape) <= axes[0] < len(shape):
        return "looks along an axis that its input does not have, or that is not a constant"
    axis = axes[0] % len(shape)
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
    per_channel = filters.scales == channels and (channels == 1 or filters.quantized_dimension == axis)
    if filters.dtype == "int8" and filters.scales != 1 and not per_channel:
        return f"has {filters.scales} scales for {channels} channels"
    if position < len(case.op.inputs) and case.op.inputs[position] >= 0:
        bias = case.input(position)
        if bias.elements != channels:
            return f"has a bias of {bias.elements} {bias.dtype} for {channels} channels"
    return None


def _transpose_conv(case: Case) -> str | None:
    filters, source = case.input(1), case.input(2)
    if len(source.shape) != 4 or len(case.output.shape) != 4 or filters.shape[3] != source.shape[3]:
        return f"has filters of {list(filters.shape)} for {list(source.shape)}"
    # TFLM goes by the output's shape: the first input may be known only when it runs.
    if case.values(0) not in (None, case.output.shape) or case.output.shape[3] != filters.shape[0]:
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


_MANY = 1 << 16
_SEVERAL_OUTPUTS = frozenset({"SPLIT", "SPLIT_V", "TFLite_Detection_PostProcess", "UNPACK"})
# TFLM's kernels of these take quantized int16 without a zero point alone.
_SYMMETRIC = frozenset(
    """
    ABS ADD BATCH_MATMUL CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED LOGISTIC MUL RELU SQUARED_DIFFERENCE SUB TANH
    TRANSPOSE_CONV
    """.split()  # noqa: SIM905 - a list of names
)
_RULES: Rules = {
    **LAYOUT_RULES,
    **dict.fromkeys(
        """
        ABS CEIL COS ELU EXP HARD_SWISH L2_NORMALIZATION LEAKY_RELU LOG LOGICAL_NOT NEG RELU RELU6 ROUND RSQRT SIN
        SQRT SQUARE ZEROS_LIKE FLOOR
        """.split(),  # noqa: SIM905 - a list of names
        ((1, 1), _same),
    ),
    **dict.fromkeys(("QUANTIZE", "DEQUANTIZE", "CAST"), ((1, 1), _requantized)),
    **dict.fromkeys(
        """
        MUL DIV MAXIMUM MINIMUM SQUARED_DIFFERENCE EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL FLOOR_DIV
        FLOOR_MOD LOGICAL_AND LOGICAL_OR
        """.split(),  # noqa: SIM905 - a list of names
        ((2, 2), _broadcast),
    ),
    **dict.fromkeys(("ADD", "SUB"), ((2, 2), _sum)),
    **dict.fromkeys(("LOGISTIC", "TANH"), ((1, 1), _logistic)),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ALL"), ((2, 2), _reduce)),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), ((2, 2), _arg)),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), ((2, 2), _resize)),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), ((1, 1), _pool)),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), ((2, 3), _convolution)),
    **dict.fromkeys(("CUMSUM", "REVERSE_V2"), ((2, 2), _same)),
    "ADD_N": ((2, _MANY), _alike),
    "BATCH_MATMUL": ((2, 2), _batch_matmul),
    "BROADCAST_TO": ((2, 2), _broadcast_to),
    "CIRCULAR_BUFFER": ((1, 1), _circular_buffer),
    "DYNAMIC_UPDATE_SLICE": ((3, 3), _update_slice),
    "EMBEDDING_LOOKUP": ((2, 2), _embedding),
    "FILL": ((2, 2), _fill),
    "FULLY_CONNECTED": ((2, 3), _fully_connected),
    "GATHER_ND": ((2, 2), _gather_nd),
    "LOG_SOFTMAX": ((1, 1), _log_softmax),
    "PRELU": ((2, 2), _prelu),
    "SELECT_V2": ((3, 3), _broadcast),
    "SHAPE": ((1, 1), _shape),
    "SOFTMAX": ((1, 1), _softmax),
    "SVDF": ((5, 5), _svdf),
    "TFLite_Detection_PostProcess": ((3, 3), _detection),
    "TRANSPOSE_CONV": ((3, 4), _transpose_conv),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ((24, 24), _lstm),
}
_OPTIONAL = {"SVDF": (3,), "UNIDIRECTIONAL_SEQUENCE_LSTM": tuple(range(1, 24))}
