"""Trip counts of the portable kernels that move elements: copies, slices, pads, transposes, resizing.

Paths are named and fitted as in `cost_models.cycles.portable`, whose part this is.

Source: tensorflow/lite/micro/kernels and tensorflow/lite/kernels/internal/reference, tflite-micro 90b983c2; for
TRANSPOSE on int8 CMSIS-NN 4ab83cc3.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Sequence

from cost_models.cycles import shares
from cost_models.cycles.counting import copy_at, fill_at
from cost_models.graph import KernelOptions, Operator, Tensor
from cost_models.summing import ordered_sum

# Alignments are looked at in so many rows; they go round after a few.
_ROWS_SEEN = 64

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]
Shape = tuple[int, ...]

TYPES = ("int8", "uint8", "int16", "int32", "uint32", "float32", "bool", "int64")
_NEST_4 = ("operator", "elements", "rows", "planes", "samples")
_NEST_5 = (*_NEST_4, "blocks", "dimensions")
_COPIES = ("operator", "positions", "rows", "samples", "copy_instructions")
_MOVES = ("operator", "tensors", "copies", "elements")

_OF_KINDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "PRELU", "TRANSPOSE"): _NEST_4,
    ("SLICE",): _NEST_5,
    ("STRIDED_SLICE",): ("operator", "elements", *_NEST_5[2:], "copies", "copy_instructions"),
    ("SPLIT", "SPLIT_V", "PACK", "UNPACK"): _MOVES,
    ("GATHER",): ("operator", "rows", "copies", "copy_instructions"),
    ("SQUEEZE",): ("operator", "copy_instructions"),
    ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"): _COPIES,
    ("RESIZE_NEAREST_NEIGHBOR",): (*_COPIES, "half_pixels", "division_steps", "powers_of_two"),
    ("RESIZE_BILINEAR",): (*_NEST_4, "half_pixels"),
    ("MIRROR_PAD",): ("operator", "elements", "elements*rank", "mirrored_before", "mirrored_behind"),
    ("PAD",): (*_NEST_5, "inside", "comparisons"),
}


def _paths() -> Iterable[tuple[str, tuple[str, ...]]]:
    for kinds, features in _OF_KINDS.items():
        for kind in kinds:
            for dtype in TYPES:
                yield f"{kind.lower()}_{dtype}", features
    yield "prelu_int8", (*_NEST_4, "sloped", "negatives")
    yield "transpose_portable_int8", _NEST_4
    yield "transpose_int8_of_3", _NEST_4
    yield "pad_portable_int8", (*_NEST_5, "inside", "comparisons")
    yield "transpose_int8_matrix", ("operator", "elements", "rows")
    yield "transpose_int8_line", ("operator", "copy_instructions")
    yield "transpose_int8_vectors", ("operator", "planes", "columns", "vectors")
    yield "shape", ("operator", "dimensions")
    yield "zeros_like", ("operator", "fill_instructions")


FEATURES: dict[str, tuple[str, ...]] = dict(_paths())


def path_of(op: Operator, tensors: Tensors) -> str:
    """A path by the operator's kind and the element type of its data."""
    data = 1 if op.kind == "SPLIT" else 0
    return f"{op.kind.lower()}_{tensors[op.inputs[data]].dtype}"


def shape_of(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A number for each dimension of the input, whatever that holds."""
    return "shape", (1, len(tensors[op.inputs[0]].shape))


def zeros_like(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A fill."""
    return "zeros_like", (1, fill_at(tensors[op.outputs[0]].size_bytes, 0, isa))


def squeeze(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One copy, as RESHAPE's."""
    source = tensors[op.inputs[0]]
    return path_of(op, tensors), (1, copy_at(source.size_bytes, 0, 0, isa))


def _nest(shape: Shape, depth: int) -> tuple[float, ...]:
    """How often each loop of a nest over a shape is passed, the innermost first; missing axes are 1 in front."""
    passes: list[float] = []
    total = 1
    for extent in (1,) * (depth - len(shape)) + shape:
        total *= extent
        passes.append(total)
    return tuple(reversed(passes))


def output_nest(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Four loops over the output."""
    return path_of(op, tensors), (1, *_nest(tensors[op.outputs[0]].shape, 4))


def prelu(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Four loops over the output; on int8 an element below zero is multiplied by its slope before it is scaled."""
    path, trips = output_nest(op, tensors, isa)
    if path != "prelu_int8":
        return path, trips
    source, slope = (tensors[index] for index in op.inputs[:2])
    sloped = tensors[op.outputs[0]].elements * shares.negative(source)
    return path, (*trips, sloped, sloped * (1 - shares.negative(slope)))


def input_nest(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Four loops over the input."""
    return path_of(op, tensors), (1, *_nest(tensors[op.inputs[0]].shape, 4))


def slices(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Five loops over the output."""
    dimensions = len(tensors[op.inputs[0]].shape)
    return path_of(op, tensors), (1, *_nest(tensors[op.outputs[0]].shape, 5), dimensions)


def strided_slice(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Four loops over the output, whose rows are copied where their stride is 1; dropped axes are loops of one."""
    source, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    begin, end, strides = (tensors[index].values or () for index in op.inputs[1:4])
    rank = len(source.shape)
    extents = _with_dropped(source.shape, output.shape, begin, end, strides)
    elements, rows, *outer = _nest(extents, 5)
    if not strides or strides[-1] != 1 or len(begin) != rank:
        return path_of(op, tensors), (1, elements, rows, *outer, rank, 0, 0)
    size = source.size_bytes // max(source.elements, 1)
    width = extents[-1] * size if extents else size
    steps = [size * math.prod(source.shape[axis + 1 :]) for axis in range(rank)]
    places = itertools.product(*(range(extent) for extent in extents[:-1]))
    counts = [
        copy_at(
            width,
            row * width & 3,
            sum(
                (first % max(extent, 1) + stride * index) * step
                for first, extent, stride, index, step in zip(
                    begin, source.shape, strides, (*place, 0), steps, strict=True
                )
            )
            & 3,
            isa,
        )
        for row, place in enumerate(itertools.islice(places, _ROWS_SEEN))
    ]
    copied = rows * ordered_sum(counts) / max(len(counts), 1)
    return path_of(op, tensors), (1, 0, rows, *outer, rank, rows, copied)


def _with_dropped(
    shape: Shape, output: Shape, begin: Sequence[int], end: Sequence[int], strides: Sequence[int]
) -> Shape:
    """The output's extents with 1 for each axis of the input that was dropped: those that begin and end tell of."""
    rank = len(shape)
    dropped = rank - len(output)
    if not dropped:
        return output
    spans = [0] * rank
    if len(begin) == len(end) == len(strides) == rank:
        spans = [
            -(-((last % extent or extent) - first % extent) // step) if step > 0 and extent else 0
            for extent, first, last, step in zip(shape, begin, end, strides, strict=True)
        ]

    def restored(axes: tuple[int, ...]) -> Shape:
        kept = iter(output)
        return tuple(1 if axis in axes else next(kept) for axis in range(rank))

    choices = (restored(axes) for axes in itertools.combinations(range(rank), dropped))
    # Of several that begin and end leave open the last: a row is one element then.
    return max(reversed(list(choices)), key=lambda extents: sum(map(operator.eq, extents, spans)))


def moves(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Runs of elements copied one by one, from and to several tensors in turn."""
    runs, parts = _runs(op, tensors)
    whole = tensors[op.outputs[0] if op.kind == "PACK" else op.inputs[1 if op.kind == "SPLIT" else 0]]
    return path_of(op, tensors), (1, parts, runs * parts, whole.elements)


def _runs(op: Operator, tensors: Tensors) -> tuple[int, int]:
    """(runs of each part, parts) of what is joined or taken apart along an axis."""
    if op.kind in ("SPLIT", "SPLIT_V"):
        axis_tensor, data = (
            (op.inputs[0], op.inputs[1]) if op.kind == "SPLIT" else (op.inputs[2], op.inputs[0])
        )
        shape, parts = tensors[data].shape, len(op.outputs)
        values = tensors[axis_tensor].values
        if values:
            return math.prod(shape[: values[0] % len(shape)]), parts
        return _changed(shape, tensors[op.outputs[0]].shape), parts
    whole, part, parts = (
        (tensors[op.outputs[0]].shape, tensors[op.inputs[0]].shape, len(op.inputs))
        if op.kind == "PACK"
        else (tensors[op.inputs[0]].shape, tensors[op.outputs[0]].shape, len(op.outputs))
    )
    axis = _axis(op)
    if axis is not None:
        return math.prod(whole[: axis % max(len(whole), 1)]), parts
    # A row of counts says shapes alone. The axis that is new; of several that the shapes allow the last.
    axes = [
        axis
        for axis, extent in enumerate(whole)
        if extent == parts and whole[:axis] + whole[axis + 1 :] == part
    ]
    return math.prod(whole[: axes[-1]]) if axes else 1, parts


def _axis(op: Operator) -> int | None:
    """The axis among an operator's options, below 0 from the last on; None where there are none."""
    return op.options["axis"] if isinstance(op.options, KernelOptions) else None


def _changed(shape: Shape, other: Shape) -> int:
    """Product of the extents before the first axis in which two shapes differ."""
    same = 1
    for extent, beside in zip(shape, other, strict=False):
        if extent != beside:
            break
        same *= extent
    return same


def gather(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A copy of what lies behind the axis for each index and each place before the axis."""
    source, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    indices = tensors[op.inputs[1]].elements
    rank, places = len(source.shape), len(tensors[op.inputs[1]].shape)
    shape, into = source.shape, output.shape
    axis = _axis(op)
    if axis is None:
        axes = [at for at in range(rank) if shape[:at] + into[at : at + places] + shape[at + 1 :] == into]
        axis = axes[-1] if axes else 0
    axis %= max(rank, 1)
    outer = math.prod(shape[:axis])
    size = source.size_bytes // max(math.prod(shape[: axis + 1]), 1)
    copies = outer * indices
    return path_of(op, tensors), (1, outer, copies, copies * _copy(size, isa))


def _copy(size_bytes: int, isa: str) -> float:
    """Instructions of a copy between places that are multiples of its size: on average over their alignments."""
    step = math.gcd(size_bytes, 4)
    places = range(0, 4, step)
    counts = [copy_at(size_bytes, target, source, isa) for target in places for source in places]
    return sum(counts) / len(counts)


def resize_nearest(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A copy of the channels for each position of the output, whose place is worked out in floats.

    The ratio of the extents is divided out each time: once a row for its height, once a position for its width.
    """
    source, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    path, trips = _copied(op, tensors, isa, output)
    _, positions, rows, *_ = trips
    steps = powers = 0.0
    for times, axis in ((rows, 1), (positions, 2)):
        passes = _quotient_steps(source.shape[axis], output.shape[axis])
        steps += times * passes
        powers += times if passes == 0 else 0
    return path, (*trips, _half_pixels(op, output), steps, powers)


def _quotient_steps(dividend: int, divisor: int) -> int:
    """Passes of `__aeabi_fdiv`, four bits of the quotient each: none for a power of two, until nothing is left.

    Source: libgcc 12.2, config/arm/ieee754-sf.S.
    """
    if divisor & (divisor - 1) == 0:
        return 0
    part = divisor // math.gcd(dividend, divisor)
    if part & (part - 1):
        return 6
    odd = dividend // math.gcd(dividend, divisor)
    odd //= odd & -odd
    return (odd.bit_length() + 3) // 4


def resize_bilinear(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Four loops over the output."""
    output = tensors[op.outputs[0]]
    return path_of(op, tensors), (1, *_nest(output.shape, 4), _half_pixels(op, output))


def _half_pixels(op: Operator, output: Tensor) -> int:
    """Positions that are shifted by half a pixel."""
    shifted = isinstance(op.options, KernelOptions) and op.options["half_pixel_centers"]
    return output.elements // max(output.shape[-1], 1) if shifted else 0


def space_to_batch(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A copy, or a fill, of the channels for each position of the output."""
    return _copied(op, tensors, isa, tensors[op.outputs[0]])


def batch_to_space(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A copy of the channels for each position of the input."""
    return _copied(op, tensors, isa, tensors[op.inputs[0]])


def _copied(op: Operator, tensors: Tensors, isa: str, over: Tensor) -> Trips:
    shape = over.shape if len(over.shape) != 3 else (*over.shape[:2], 1, over.shape[2])
    _, positions, rows, samples = _nest(shape, 4)
    size = over.size_bytes // max(int(positions), 1)
    return path_of(op, tensors), (1, positions, rows, samples, positions * _copy(size, isa))


def mirror_pad(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Each element's place is worked out from its index, axis by axis."""
    output = tensors[op.outputs[0]]
    amounts = tensors[op.inputs[1]].values or ()
    before = behind = 0.0
    for axis, extent in enumerate(output.shape):
        if len(amounts) == 2 * len(output.shape):
            before += output.elements * amounts[2 * axis] / extent
            behind += output.elements * amounts[2 * axis + 1] / extent
    elements = output.elements
    return path_of(op, tensors), (1, elements, elements * len(output.shape), before, behind)


def transpose(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """CMSIS-NN's on int8: four loops over the input, or over a matrix where the rank is 2.

    With Helium the rows of matrices are gathered eight elements at a time, column by column.
    """
    source = tensors[op.inputs[0]]
    if source.dtype != "int8":
        return any_transpose(op, tensors, isa)
    if len(source.shape) == 1:
        return "transpose_int8_line", (1, copy_at(source.elements, 0, 0, isa))
    if len(source.shape) == 2:
        if isa == "mve":
            return _gathered((1, *source.shape))
        return "transpose_int8_matrix", (1, source.elements, source.shape[0])
    if isa == "mve" and (tensors[op.inputs[1]].values or ())[:2] == (0, 1) and len(source.shape) == 4:
        return _gathered((source.shape[0] * source.shape[1], *source.shape[2:]))
    path = path_of(op, tensors) + ("_of_3" if len(source.shape) == 3 else "")
    return path, (1, *_nest(source.shape, 4))


def _gathered(shape: Shape) -> Trips:
    planes, rows, columns = shape
    return "transpose_int8_vectors", (1, planes, planes * columns, planes * columns * ((rows + 7) >> 3))


def any_transpose(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Four loops over the output."""
    source = tensors[op.inputs[0]]
    path = f"transpose_{'portable_' if source.dtype == 'int8' else ''}{source.dtype}"
    return path, (1, *_nest(tensors[op.outputs[0]].shape, 4))


def pad(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's own PAD: five loops, and for each element comparisons until it is known to lie outside, or inside."""
    source, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    amounts = tensors[op.inputs[1]].values or ()
    rank = len(output.shape)
    if len(amounts) != 2 * rank or rank > 5:
        return "pad_of_other_rank", ()
    left = output.elements
    comparisons = 0.0
    for axis, extent in enumerate(output.shape, 5 - rank):
        before, behind = amounts[2 * (axis - 5 + rank) : 2 * (axis - 5 + rank) + 2]
        first, last = left * before // extent, left * behind // extent
        comparisons += first * (2 * axis + 1) + last * (2 * axis + 2)
        left -= first + last
    comparisons += 10 * left
    return f"pad_{'portable_' if source.dtype == 'int8' else ''}{source.dtype}", (
        1,
        *_nest(output.shape, 5),
        rank,
        left,
        comparisons,
    )


COUNTERS: dict[str, Callable[[Operator, Tensors, str], Trips]] = {
    **dict.fromkeys(("SPLIT", "SPLIT_V", "PACK", "UNPACK"), moves),
    "SHAPE": shape_of,
    "ZEROS_LIKE": zeros_like,
    "SLICE": slices,
    "STRIDED_SLICE": strided_slice,
    "DEPTH_TO_SPACE": output_nest,
    "SPACE_TO_DEPTH": input_nest,
    "RESIZE_BILINEAR": resize_bilinear,
    "PRELU": prelu,
    "SQUEEZE": squeeze,
    "GATHER": gather,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "BATCH_TO_SPACE_ND": batch_to_space,
    "MIRROR_PAD": mirror_pad,
    "TRANSPOSE": any_transpose,
}
