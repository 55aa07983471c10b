"""The rules of `prepare_checks` for operators that move values and compute none: reshape, pad, slice, join, split ...

Source: tensorflow/lite/micro/kernels and tensorflow/lite/kernels/internal/reference, tflite-micro 90b983c2.
"""

from __future__ import annotations

import math

from cost_models.graph import ConcatenationOptions
from cost_models.prepare_case import Case, Rules, cannot_make, made, retyped, too_deep


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
    if fault := retyped(case):
        return fault
    if case.input(0).elements != case.output.elements:
        return cannot_make(case.output.shape, case.input(0).shape)
    return None


def _transpose(case: Case) -> str | None:
    shape, order = case.input(0).shape, case.values(1)
    if order is None or sorted(order) != list(range(len(shape))):
        return "has an order of axes that is none"
    return too_deep(shape, 5) or made(case, tuple(shape[axis] for axis in order))


def _pad(case: Case) -> str | None:
    shape, amounts = case.input(0).shape, case.values(1)
    if amounts is None:
        return "has paddings that are not constant integers"
    if len(amounts) != 2 * len(shape) or case.input(1).shape != (len(shape), 2):
        return f"has {len(amounts)} paddings for {len(shape)} dimensions"
    if min(amounts) < 0:
        return f"has a padding of {min(amounts)}"
    mirror = case.op.kind == "MIRROR_PAD"
    if fault := too_deep(shape, 4 if mirror else 5):
        return fault
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
    want = tuple(
        before + size + behind
        for size, before, behind in zip(shape, amounts[::2], amounts[1::2], strict=True)
    )
    return retyped(case) or made(case, want)


def _slice(case: Case) -> str | None:
    shape, begin, size = case.input(0).shape, case.values(1), case.values(2)
    if fault := too_deep(shape, 5):
        return fault
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
    return made(case, want)


def _strided_slice(case: Case) -> str | None:
    shape = case.input(0).shape
    ends = [case.values(position) for position in (1, 2, 3)]
    if any(values is None or len(values) != len(shape) for values in ends):
        return f"has begin, end and strides that are not {len(shape)} constant integers"
    if fault := too_deep(shape, 4):
        return fault
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
    return made(case, tuple(want))


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
            return cannot_make(part.shape, source.shape)
        if any(a != b for i, (a, b) in enumerate(zip(part.shape, source.shape, strict=True)) if i != axis):
            return cannot_make(part.shape, source.shape)
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
    return made(case, (*shape[:axis], count, *shape[axis:]))


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
    return made(case, (*shape[:axis], *places[batch:], *shape[axis + 1 :]))


def _expand_dims(case: Case) -> str | None:
    shape, axes = case.input(0).shape, case.values(1)
    if axes is None or len(axes) != 1 or not -len(shape) - 1 <= axes[0] <= len(shape):
        return "expands an axis that it cannot have"
    axis = axes[0] + len(shape) + 1 if axes[0] < 0 else axes[0]
    return made(case, (*shape[:axis], 1, *shape[axis:]))


def _blocks(case: Case) -> str | None:
    """DEPTH_TO_SPACE and SPACE_TO_DEPTH."""
    block = int(case.scalars.get("block_size", 0))
    batch, height, width, depth = case.input(0).shape
    if block < 1:
        return f"has blocks of {block}"
    if case.op.kind == "SPACE_TO_DEPTH":
        if height % block or width % block:
            return f"cannot cut {[height, width]} into blocks of {block}"
        return made(case, (batch, height // block, width // block, depth * block * block))
    if depth % (block * block):
        return f"cannot cut {depth} channels into blocks of {block}"
    return made(case, (batch, height * block, width * block, depth // (block * block)))


def _batches(case: Case) -> str | None:
    """BATCH_TO_SPACE_ND and SPACE_TO_BATCH_ND."""
    shape, out = case.input(0).shape, case.output.shape
    if not 3 <= len(shape) <= 4 or len(out) != len(shape) or case.input(0).dtype != case.output.dtype:
        return cannot_make(out, shape)
    block, edges = case.values(1), case.values(2)
    spatial = len(shape) - 2
    if block is None or edges is None or len(block) != spatial or len(edges) != 2 * spatial:
        return f"has blocks and edges that are not constants of {spatial} dimensions"
    if min(block) < 1 or min(edges) < 0:
        return "has a block or an edge that is too small"
    cells = math.prod(block)
    if case.op.kind == "SPACE_TO_BATCH_ND":
        padded = [size + edges[2 * i] + edges[2 * i + 1] for i, size in enumerate(shape[1:-1])]
        if any(size % step for size, step in zip(padded, block, strict=True)):
            return f"cannot cut {padded} into blocks of {list(block)}"
        inner = [size // step for size, step in zip(padded, block, strict=True)]
        return made(case, (shape[0] * cells, *inner, shape[-1]))
    if shape[0] % cells:
        return f"cannot share a batch of {shape[0]} among blocks of {list(block)}"
    inner = [size * block[i] - edges[2 * i] - edges[2 * i + 1] for i, size in enumerate(shape[1:-1])]
    return made(case, (shape[0] // cells, *inner, shape[-1]))


_MANY = 1 << 16
LAYOUT_RULES: Rules = {
    **dict.fromkeys(("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), ((1, 1), _blocks)),
    **dict.fromkeys(("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"), ((3, 3), _batches)),
    "CONCATENATION": ((1, _MANY), _concatenation),
    "EXPAND_DIMS": ((2, 2), _expand_dims),
    "GATHER": ((2, 2), _gather),
    "MIRROR_PAD": ((2, 2), _pad),
    "PACK": ((1, _MANY), _pack),
    "PAD": ((2, 3), _pad),
    "PADV2": ((3, 3), _pad),
    "RESHAPE": ((1, 2), _reshape),
    "SLICE": ((3, 3), _slice),
    "SPLIT": ((2, 2), _split),
    "SPLIT_V": ((3, 3), _split),
    "SQUEEZE": ((1, 1), _reshape),
    "STRIDED_SLICE": ((4, 4), _strided_slice),
    "TRANSPOSE": ((2, 2), _transpose),
    "UNPACK": ((1, 1), _unpack),
}
