"""What TFLM's kernels demand of an operator's tensors in Prepare, or take for granted: one rule per operator kind.

A model that breaks a rule is refused by TFLM or makes a kernel read and write beyond its tensors.

Source: tensorflow/lite/micro/kernels and tensorflow/lite/kernels/internal/reference, tflite-micro 90b983c2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cost_models.flatbuffer import broken
from cost_models.graph import (
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    Operator,
    SoftmaxOptions,
    Tensor,
)

Shape = tuple[int, ...]
# Scale and zero point of a tensor with one of each; None where it has none or one per channel.
Quantization = Callable[[int], tuple[float, int] | None]

_MOST_BROADCAST = 4  # dimensions, of the kernels that walk them one by one
_POOL_TOLERANCE = 1e-6
_CAST_TYPES = frozenset({"int8", "int16", "int32", "uint32"})
_BIAS_TOLERANCE = 0.02  # of GetQuantizedConvolutionMultipler


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One operator with all that a rule may ask.

    Attributes:
        op: The operator.
        tensors: All tensors of the graph.
        scalars: Scalar options by name, of operators whose options cost nothing.
        quantization: Scale and zero point by tensor index.
    """

    op: Operator
    tensors: Sequence[Tensor]
    scalars: Mapping[str, int | float]
    quantization: Quantization

    def input(self, position: int) -> Tensor:
        return self.tensors[self.op.inputs[position]]

    @property
    def output(self) -> Tensor:
        return self.tensors[self.op.outputs[0]]

    def values(self, position: int) -> tuple[int, ...] | None:
        """The integers of a constant input that the kernel reads in Prepare."""
        if position >= len(self.op.inputs) or self.op.inputs[position] < 0:
            return None
        return self.tensors[self.op.inputs[position]].values


# A rule says what is wrong, or nothing.
Rule = Callable[[Case], str | None]


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


def _made(case: Case, want: Shape, position: int = 0) -> str | None:
    """Whether the output has the shape that the kernel writes."""
    if case.output.shape == want:
        return None
    return f"cannot make {list(case.output.shape)} of {list(case.input(position).shape)}"


def _same(case: Case) -> str | None:
    if case.input(0).dtype != case.output.dtype:
        return f"makes {case.output.dtype} of {case.input(0).dtype}"
    return _made(case, case.input(0).shape)


def _requantized(case: Case) -> str | None:
    return _made(case, case.input(0).shape)


def _cast(case: Case) -> str | None:
    for dtype in (case.input(0).dtype, case.output.dtype):
        if dtype not in _CAST_TYPES:
            return f"casts {dtype}, which TFLM's kernel does not"
    return _made(case, case.input(0).shape)


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
        return _made(case, first.shape)
    rank = max(len(first.shape), len(second.shape))
    if rank > _MOST_BROADCAST:
        return f"broadcasts {rank} dimensions, TFLM at most {_MOST_BROADCAST}"
    one = (1,) * (rank - len(first.shape)) + first.shape
    other = (1,) * (rank - len(second.shape)) + second.shape
    if any(a != b and 1 not in (a, b) for a, b in zip(one, other, strict=True)):
        return f"has inputs of the shapes {list(first.shape)} and {list(second.shape)}"
    return _made(case, tuple(map(max, one, other)))


def _prelu(case: Case) -> str | None:
    shape, alpha = case.input(0).shape, case.input(1).shape
    padded = (1,) * (len(shape) - len(alpha)) + alpha
    if len(padded) != len(shape) or any(a not in (1, b) for a, b in zip(padded, shape, strict=True)):
        return f"has slopes of the shape {list(alpha)} for {list(shape)}"
    if len(shape) > _MOST_BROADCAST:
        return f"has {len(shape)} dimensions, TFLM takes at most {_MOST_BROADCAST}"
    return _same(case)


def _concatenation(case: Case) -> str | None:
    options = case.op.options
    shape = case.output.shape
    if not isinstance(options, ConcatenationOptions) or not -len(shape) <= options.axis < len(shape):
        return "joins along an axis that its output does not have"
    if options.activation != "NONE":
        return "has an activation, which TFLM's kernel does not take"
    axis, total = options.axis % len(shape), 0
    own = case.quantization(case.op.outputs[0])
    for at in case.op.inputs:
        tensor = case.tensors[at]
        others = (*tensor.shape[:axis], *tensor.shape[axis + 1 :])
        if len(tensor.shape) != len(shape) or others != (*shape[:axis], *shape[axis + 1 :]):
            return f"cannot join {list(tensor.shape)} to {list(shape)}"
        if tensor.dtype != case.output.dtype:
            return f"joins {tensor.dtype} to {case.output.dtype}"
        if tensor.dtype == "int8" and case.quantization(at) != own:
            return "joins tensors of several scales, which TFLM's kernel does not rescale"
        total += tensor.shape[axis]
    return None if total == shape[axis] else f"joins {total} places to {shape[axis]}"


def _reshape(case: Case) -> str | None:
    if case.input(0).dtype != case.output.dtype:
        return f"makes {case.output.dtype} of {case.input(0).dtype}"
    if case.input(0).elements != case.output.elements:
        return f"cannot make {list(case.output.shape)} of {list(case.input(0).shape)}"
    return None


def _squeeze(case: Case) -> str | None:
    return _reshape(case)


def _transpose(case: Case) -> str | None:
    shape, order = case.input(0).shape, case.values(1)
    if order is None or sorted(order) != list(range(len(shape))):
        return "has an order of axes that is none"
    if len(shape) > 5:
        return f"has {len(shape)} dimensions, TFLM takes at most 5"
    return _made(case, tuple(shape[axis] for axis in order))


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
    if case.input(0).dtype != case.output.dtype:
        return f"makes {case.output.dtype} of {case.input(0).dtype}"
    if len(shape) > 4:
        return f"has {len(shape)} dimensions, TFLM takes at most 4"
    return None if case.output.shape in (kept, ones) else _made(case, kept)


def _pad(case: Case) -> str | None:
    shape, amounts = case.input(0).shape, case.values(1)
    if amounts is None:
        return "has paddings that are no constant integers"
    if len(amounts) != 2 * len(shape) or case.input(1).shape != (len(shape), 2):
        return f"has {len(amounts)} paddings for {len(shape)} dimensions"
    if min(amounts) < 0:
        return f"has a padding of {min(amounts)}"
    mirror = case.op.kind == "MIRROR_PAD"
    if len(shape) > (4 if mirror else 5):
        return f"has {len(shape)} dimensions, TFLM takes at most {4 if mirror else 5}"
    if mirror:
        # Mode 0 (REFLECT) does not repeat the border, mode 1 (SYMMETRIC) does.
        spare = 1 if case.scalars.get("mode", 0) == 0 else 0
        if any(amount > shape[at // 2] - spare for at, amount in enumerate(amounts)):
            return "mirrors more than there is"
    elif len(case.op.inputs) > 2 and case.op.inputs[2] >= 0:
        filler = case.input(2)
        if filler.dtype != case.input(0).dtype or filler.elements != 1:
            return "fills with another type than its input's"
        if case.quantization(case.op.inputs[2]) != case.quantization(case.op.outputs[0]):
            return "fills with a value of another scale than its output's"
    if case.input(0).dtype != case.output.dtype:
        return f"makes {case.output.dtype} of {case.input(0).dtype}"
    want = tuple(
        before + size + behind
        for size, before, behind in zip(shape, amounts[::2], amounts[1::2], strict=True)
    )
    return _made(case, want)


def _slice(case: Case) -> str | None:
    shape, begin, size = case.input(0).shape, case.values(1), case.values(2)
    if len(shape) > 5:
        return f"has {len(shape)} dimensions, TFLM takes at most 5"
    if begin is None or size is None:  # computed: the kernel reads them when it runs
        return None
    if not len(begin) == len(size) == len(shape):
        return f"has {len(begin)} beginnings and {len(size)} sizes for {len(shape)} dimensions"
    want = tuple(
        extent - first if count == -1 else count
        for extent, first, count in zip(shape, begin, size, strict=True)
    )
    if any(
        first < 0 or count < 0 or first + count > extent
        for extent, first, count in zip(shape, begin, want, strict=True)
    ):
        return f"takes {list(want)} from {list(begin)} on of {list(shape)}"
    return _made(case, want)


def _strided_slice(case: Case) -> str | None:
    shape = case.input(0).shape
    ends = [case.values(position) for position in (1, 2, 3)]
    if any(values is None or len(values) != len(shape) for values in ends):
        return f"has begin, end and strides that are no {len(shape)} constant integers"
    if len(shape) > 4:
        return f"has {len(shape)} dimensions, TFLM takes at most 4"
    begin, end, strides = (values or () for values in ends)
    masks = [int(case.scalars.get(f"{name}_mask", 0)) for name in ("begin", "end", "shrink_axis")]
    if case.scalars.get("ellipsis_mask", 0) or case.scalars.get("new_axis_mask", 0):
        return "has an ellipsis or a new axis, which TFLM's kernel does not take"
    want = []
    for axis, extent in enumerate(shape):
        if strides[axis] == 0:
            return "has a stride of 0"
        if masks[2] >> axis & 1:
            first = begin[axis] + extent if begin[axis] < 0 else begin[axis]
            if masks[0] >> axis & 1 == 0 and not 0 <= first < extent:
                return f"takes place {begin[axis]} of {extent}"
            continue
        span = slice(
            None if masks[0] >> axis & 1 else begin[axis],
            None if masks[1] >> axis & 1 else end[axis],
            strides[axis],
        )
        want.append(len(range(*span.indices(extent))))
    return _made(case, tuple(want))


def _split(case: Case) -> str | None:
    sized = case.op.kind == "SPLIT_V"
    source = case.input(0 if sized else 1)
    axes = case.values(2 if sized else 0)
    if axes is None or len(axes) != 1 or not -len(source.shape) <= axes[0] < len(source.shape):
        return "splits along an axis that its input does not have"
    axis = axes[0] % len(source.shape)
    total = 0
    for at in case.op.outputs:
        part = case.tensors[at]
        if part.dtype != source.dtype or len(part.shape) != len(source.shape):
            return f"cannot make {list(part.shape)} of {list(source.shape)}"
        if any(a != b for i, (a, b) in enumerate(zip(part.shape, source.shape, strict=True)) if i != axis):
            return f"cannot make {list(part.shape)} of {list(source.shape)}"
        if not sized and part.shape != case.output.shape:
            return "makes parts of several sizes"
        total += part.shape[axis]
    if int(case.scalars.get("num_splits", len(case.op.outputs))) != len(case.op.outputs):
        return f"has {len(case.op.outputs)} outputs for {case.scalars['num_splits']} parts"
    return None if total == source.shape[axis] else f"makes {total} places of {source.shape[axis]}"


def _pack(case: Case) -> str | None:
    shape, rank = case.input(0).shape, len(case.input(0).shape) + 1
    axis, count = int(case.scalars.get("axis", 0)), len(case.op.inputs)
    if not -rank <= axis < rank or int(case.scalars.get("values_count", count)) != count:
        return "packs along an axis or a number of tensors that do not fit"
    if any(
        case.tensors[at].shape != shape or case.tensors[at].dtype != case.output.dtype
        for at in case.op.inputs
    ):
        return "packs tensors of several shapes or types"
    axis %= rank
    return _made(case, (*shape[:axis], count, *shape[axis:]))


def _unpack(case: Case) -> str | None:
    shape = case.input(0).shape
    axis, count = int(case.scalars.get("axis", 0)), len(case.op.outputs)
    if not -len(shape) <= axis < len(shape) or int(case.scalars.get("num", count)) != count:
        return "unpacks an axis or a number of tensors that do not fit"
    axis %= len(shape)
    want = (*shape[:axis], *shape[axis + 1 :])
    if shape[axis] != count or any(case.tensors[at].shape != want for at in case.op.outputs):
        return f"cannot unpack {list(shape)} into {count} tensors"
    return None


def _gather(case: Case) -> str | None:
    shape, places = case.input(0).shape, case.input(1).shape
    axis, batch = int(case.scalars.get("axis", 0)), int(case.scalars.get("batch_dims", 0))
    axis = axis + len(shape) if axis < 0 else axis
    batch = batch + len(places) if batch < 0 else batch
    if case.input(1).dtype != "int32" or not (0 <= batch <= axis < len(shape) and batch <= len(places)):
        return "gathers along axes that its input does not have"
    if shape[:batch] != places[:batch] or case.input(0).dtype != case.output.dtype:
        return f"cannot gather {list(places)} of {list(shape)}"
    if any(not 0 <= place < shape[axis] for place in case.values(1) or ()):
        return f"gathers a place beyond the {shape[axis]} that there are"
    return _made(case, (*shape[:axis], *places[batch:], *shape[axis + 1 :]))


def _expand_dims(case: Case) -> str | None:
    shape, axes = case.input(0).shape, case.values(1)
    if axes is None or len(axes) != 1 or not -len(shape) - 1 <= axes[0] <= len(shape):
        return "expands an axis that it cannot have"
    axis = axes[0] + len(shape) + 1 if axes[0] < 0 else axes[0]
    return _made(case, (*shape[:axis], 1, *shape[axis:]))


def _resize(case: Case) -> str | None:
    shape, size = case.input(0).shape, case.values(1)
    if len(shape) != 4 or case.input(1).dtype != "int32" or size is None or len(size) != 2 or min(size) < 1:
        return "resizes to a size that is no two constant integers, or other than a picture"
    if case.scalars.get("half_pixel_centers", 0) and case.scalars.get("align_corners", 0):
        return "aligns corners and centres of pixels at once"
    if case.input(0).dtype != case.output.dtype:
        return f"makes {case.output.dtype} of {case.input(0).dtype}"
    return _made(case, (shape[0], *size, shape[3]))


def _blocks(case: Case) -> str | None:
    """DEPTH_TO_SPACE and SPACE_TO_DEPTH."""
    block = int(case.scalars.get("block_size", 0))
    batch, height, width, depth = case.input(0).shape
    if block < 1:
        return f"has blocks of {block}"
    if case.op.kind == "SPACE_TO_DEPTH":
        if height % block or width % block:
            return f"cannot cut {[height, width]} into blocks of {block}"
        return _made(case, (batch, height // block, width // block, depth * block * block))
    if depth % (block * block):
        return f"cannot cut {depth} channels into blocks of {block}"
    return _made(case, (batch, height * block, width * block, depth // (block * block)))


def _batches(case: Case) -> str | None:
    """BATCH_TO_SPACE_ND and SPACE_TO_BATCH_ND."""
    shape, out = case.input(0).shape, case.output.shape
    if not 3 <= len(shape) <= 4 or len(out) != len(shape) or case.input(0).dtype != case.output.dtype:
        return f"cannot make {list(out)} of {list(shape)}"
    block, edges = case.values(1), case.values(2)
    spatial = len(shape) - 2
    if block is None or edges is None or len(block) != spatial or len(edges) != 2 * spatial:
        return f"has blocks and edges that are no constants of {spatial} dimensions"
    if min(block) < 1 or min(edges) < 0:
        return "has a block or an edge that is too small"
    cells = math.prod(block)
    if case.op.kind == "SPACE_TO_BATCH_ND":
        padded = [size + edges[2 * i] + edges[2 * i + 1] for i, size in enumerate(shape[1:-1])]
        if any(size % step for size, step in zip(padded, block, strict=True)):
            return f"cannot cut {padded} into blocks of {list(block)}"
        inner = [size // step for size, step in zip(padded, block, strict=True)]
        return _made(case, (shape[0] * cells, *inner, shape[-1]))
    if shape[0] % cells:
        return f"cannot share a batch of {shape[0]} among blocks of {list(block)}"
    inner = [size * block[i] - edges[2 * i] - edges[2 * i + 1] for i, size in enumerate(shape[1:-1])]
    return _made(case, (shape[0] // cells, *inner, shape[-1]))


def _arg(case: Case) -> str | None:
    shape, axes = case.input(0).shape, case.values(1)
    if axes is None or len(axes) != 1 or not -len(shape) <= axes[0] < len(shape):
        return "looks along an axis that is no constant of its input's"
    axis = axes[0] % len(shape)
    if case.output.dtype != "int32":
        return f"makes {case.output.dtype}, TFLM int32"
    return _made(case, (*shape[:axis], *shape[axis + 1 :]))


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
            return f"cannot make {list(case.output.shape)} of {list(source.shape)}"
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
    if case.input(0).dtype != case.output.dtype:
        return f"makes {case.output.dtype} of {case.input(0).dtype}"
    ends = case.quantization(case.op.inputs[0]), case.quantization(case.op.outputs[0])
    if ends[0] is None or ends[1] is None:
        return None
    if not abs(ends[0][0] - ends[1][0]) <= _POOL_TOLERANCE or ends[0][1] != ends[1][1]:
        return "has an output of another scale or zero point than its input"
    return None


_MANY = 1 << 16
_SEVERAL_OUTPUTS = frozenset({"SPLIT", "SPLIT_V", "UNPACK"})
_RULES: dict[str, tuple[tuple[int, int], Rule]] = {
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
    **dict.fromkeys(("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), ((1, 1), _blocks)),
    **dict.fromkeys(("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"), ((3, 3), _batches)),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), ((1, 1), _pool)),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), ((2, 3), _convolution)),
    "CAST": ((1, 1), _cast),
    "CONCATENATION": ((1, _MANY), _concatenation),
    "EXPAND_DIMS": ((2, 2), _expand_dims),
    "FULLY_CONNECTED": ((2, 3), _fully_connected),
    "GATHER": ((2, 2), _gather),
    "MIRROR_PAD": ((2, 2), _pad),
    "PACK": ((1, _MANY), _pack),
    "PAD": ((2, 3), _pad),
    "PADV2": ((3, 3), _pad),
    "PRELU": ((2, 2), _prelu),
    "RESHAPE": ((1, 2), _reshape),
    "SLICE": ((3, 3), _slice),
    "SOFTMAX": ((1, 1), _softmax),
    "SPLIT": ((2, 2), _split),
    "SPLIT_V": ((3, 3), _split),
    "SQUEEZE": ((1, 1), _squeeze),
    "STRIDED_SLICE": ((4, 4), _strided_slice),
    "TRANSPOSE": ((2, 2), _transpose),
    "TRANSPOSE_CONV": ((3, 4), _transpose_conv),
    "UNPACK": ((1, 1), _unpack),
}
