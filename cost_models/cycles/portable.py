"""Trip counts of the operators that TFLM runs with portable kernels on every core: elementwise, copies, loop nests.

The paths are named by kind and element type (`quantize_float32_int8`): each type is compiled of its own. What the
compiler makes of a loop is fitted; what is here is how often the loops run.

Source: tensorflow/lite/micro/kernels and tensorflow/lite/kernels/internal/reference, tflite-micro 90b983c2; for
MAXIMUM, MINIMUM and TRANSPOSE on int8 CMSIS-NN 4ab83cc3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from cost_models.cycles.counting import copy_at
from cost_models.cycles.simple import ODOMETER, mean
from cost_models.graph import KernelOptions, Operator, Tensor

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]
Shape = tuple[int, ...]

_TYPES = ("int8", "uint8", "int16", "int32", "float32", "bool", "int64")
_NEST_4 = ("operator", "elements", "rows", "planes", "samples")
_NEST_5 = (*_NEST_4, "blocks", "dimensions")
_MOVES = ("operator", "tensors", "copies", "elements")
_BROADCAST = ("operator", "dimensions", "pairs", "with_scalar", "runs", "calls")

# One pass for each element, whatever the shape.
FLAT = (
    "ABS", "HARD_SWISH", "LEAKY_RELU", "TANH", "ELU", "EXPAND_DIMS", "RELU", "RELU6", "LOGISTIC",
)  # fmt: skip
# A row along the last axis is gone through several times.
BY_ROW = ("L2_NORMALIZATION", "LOG_SOFTMAX")
BINARY = ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
_OF_KINDS: dict[tuple[str, ...], tuple[str, ...]] = {
    FLAT: ("operator", "elements"),
    BY_ROW: ("operator", "rows", "elements"),
    BINARY: ("operator", "elements"),
    ("DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "RESIZE_BILINEAR", "PRELU", "TRANSPOSE"): _NEST_4,
    ("SLICE", "STRIDED_SLICE"): _NEST_5,
    ("SPLIT", "SPLIT_V", "PACK", "UNPACK"): _MOVES,
    ("GATHER",): ("operator", "rows", "copies", "copy_instructions"),
    ("SQUEEZE",): ("operator", "copy_instructions"),
    ("RESIZE_NEAREST_NEIGHBOR", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"): (
        "operator",
        "positions",
        "rows",
        "samples",
        "copy_instructions",
    ),
    ("MIRROR_PAD",): ("operator", "elements", "elements*rank", "mirrored_before", "mirrored_behind"),
    ("ARG_MAX", "ARG_MIN"): ("operator", "outputs", "elements", "updates"),
    ("REDUCE_MAX", "REDUCE_MIN", "MEAN", "SUM"): ODOMETER,
    ("PAD",): (*_NEST_5, "inside", "comparisons"),
    ("SOFTMAX",): ("operator", "rows", "elements"),
}  # fmt: skip


def _paths() -> Iterable[tuple[str, tuple[str, ...]]]:
    for kinds, features in _OF_KINDS.items():
        for kind in kinds:
            for dtype in _TYPES:
                yield f"{kind.lower()}_{dtype}", features
    for dtype in _TYPES:
        for kind in BINARY:
            yield f"{kind.lower()}_{dtype}_broadcast", _BROADCAST
        for other in _TYPES:
            for kind in ("CAST", "QUANTIZE", "DEQUANTIZE"):
                yield f"{kind.lower()}_{dtype}_{other}", ("operator", "elements")
    for kind in ("maximum", "minimum"):
        yield f"{kind}_int8_runs", ("operator", "elements", "with_scalar", "runs", "rows", "samples")
        yield f"{kind}_int8_vectors", ("operator", "vectors", "runs", "rows", "samples")
    yield "transpose_portable_int8", _NEST_4
    yield "pad_portable_int8", (*_NEST_5, "inside", "comparisons")
    yield "transpose_int8_matrix", ("operator", "elements", "rows")
    yield "transpose_int8_line", ("operator", "copy_instructions")


FEATURES: dict[str, tuple[str, ...]] = dict(_paths())


def takes_floats(path: str) -> bool:
    """Whether a kernel computes floats, slow on a core without a unit for them; resizing scales by one."""
    return "float32" in path or path.startswith("resize_nearest")


def _path(op: Operator, tensors: Tensors) -> str:
    data = 1 if op.kind == "SPLIT" else 0
    return f"{op.kind.lower()}_{tensors[op.inputs[data]].dtype}"


def flat(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One pass for each element."""
    return _path(op, tensors), (1, tensors[op.outputs[0]].elements)


def converted(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One pass for each element, from one type to another."""
    output = tensors[op.outputs[0]]
    return f"{_path(op, tensors)}_{output.dtype}", (1, output.elements)


def by_row(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Several passes over each row of the last axis."""
    source = tensors[op.inputs[0]]
    return _path(op, tensors), (1, source.elements // source.shape[-1], source.elements)


def squeeze(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One copy, as RESHAPE's."""
    source = tensors[op.inputs[0]]
    return _path(op, tensors), (1, copy_at(source.size_bytes, 0, 0, isa))


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
    return _path(op, tensors), (1, *_nest(tensors[op.outputs[0]].shape, 4))


def input_nest(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Four loops over the input."""
    return _path(op, tensors), (1, *_nest(tensors[op.inputs[0]].shape, 4))


def slices(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Five loops over the output; axes that STRIDED_SLICE drops are loops of one pass."""
    dimensions = len(tensors[op.inputs[0]].shape)
    return _path(op, tensors), (1, *_nest(tensors[op.outputs[0]].shape, 5), dimensions)


def moves(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Runs of elements copied one by one, from and to several tensors in turn."""
    runs, parts = _runs(op, tensors)
    whole = tensors[op.outputs[0] if op.kind == "PACK" else op.inputs[1 if op.kind == "SPLIT" else 0]]
    return _path(op, tensors), (1, parts, runs * parts, whole.elements)


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
    return _path(op, tensors), (1, outer, copies, copies * _copy(size, isa))


def _copy(size_bytes: int, isa: str) -> float:
    """Instructions of a copy between places that are multiples of its size: on average over their alignments."""
    step = math.gcd(size_bytes, 4)
    places = range(0, 4, step)
    counts = [copy_at(size_bytes, target, source, isa) for target in places for source in places]
    return sum(counts) / len(counts)


def resize_nearest(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A copy of the channels for each position of the output."""
    return _copied(op, tensors, isa, tensors[op.outputs[0]])


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
    return _path(op, tensors), (1, positions, rows, samples, positions * _copy(size, isa))


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
    return _path(op, tensors), (1, elements, elements * len(output.shape), before, behind)


def arg_max(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A comparison, through a function pointer, for each element of the axis."""
    source, outputs = tensors[op.inputs[0]], tensors[op.outputs[0]].elements
    extent = source.elements // max(outputs, 1)
    # Of values in any order the k-th is the largest so far once in k times.
    updates = outputs * sum(1 / place for place in range(2, extent + 1))
    return _path(op, tensors), (1, outputs, source.elements, updates)


def transpose(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """CMSIS-NN's on int8: four loops over the input, or over a matrix where the rank is 2."""
    source = tensors[op.inputs[0]]
    if source.dtype != "int8":
        return any_transpose(op, tensors, isa)
    if len(source.shape) == 1:
        return "transpose_int8_line", (1, copy_at(source.elements, 0, 0, isa))
    if len(source.shape) == 2:
        if isa == "mve":
            return "transpose_int8_vectors", ()
        return "transpose_int8_matrix", (1, source.elements, source.shape[0])
    if isa == "mve" and (tensors[op.inputs[1]].values or ())[:2] == (0, 1) and len(source.shape) == 4:
        return "transpose_int8_vectors", ()
    return _path(op, tensors), (1, *_nest(source.shape, 4))


def any_transpose(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Four loops over the output."""
    source = tensors[op.inputs[0]]
    path = f"transpose_{'portable_' if source.dtype == 'int8' else ''}{source.dtype}"
    return path, (1, *_nest(tensors[op.outputs[0]].shape, 4))


def odometer(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """REDUCE_MAX, and MEAN and SUM on other types than int8: the steps of `simple.mean`."""
    return _path(op, tensors), mean(op, tensors, isa)[1]


def pad(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's own PAD: five loops, and for each element comparisons until it is known to lie outside, or inside."""
    source, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    amounts = tensors[op.inputs[1]].values or ()
    rank = len(output.shape)
    if len(amounts) != 2 * rank or rank > 5:
        return "pad_of_other_rank", ()
    image = source.dtype == "float32" and rank == 4 and not any(amounts[:2] + amounts[6:])
    if image:
        return "pad_float32_image", ()
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


def binary(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One pass for each element where the shapes are equal, else loops fused where the strides allow it."""
    first, second = (tensors[index].shape for index in op.inputs[:2])
    output = tensors[op.outputs[0]]
    if first == second:
        return _path(op, tensors), (1, output.elements)
    extents, scalar = _fused(first, second, output.shape)
    runs = math.prod(extents[1:])
    calls, total = 0, 1
    for extent in reversed(extents[1:]):
        total *= extent
        calls += total
    pairs, with_scalar = (0, output.elements) if scalar else (output.elements, 0)
    return f"{_path(op, tensors)}_broadcast", (1, len(output.shape), pairs, with_scalar, runs, calls)


def _fused(first: Shape, second: Shape, output: Shape) -> tuple[list[int], bool]:
    """Extents of the loops that broadcasting takes, the innermost first, and whether that has a scalar on a side."""
    rank = len(output)
    first, second = (1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second
    extents: list[int] = []
    strides: list[tuple[int, int]] = []
    steps = [1, 1]
    for a, b, extent in zip(reversed(first), reversed(second), reversed(output), strict=True):
        stride = tuple(
            0 if own == 1 and extent != 1 else step for own, step in zip((a, b), steps, strict=True)
        )
        if extents and (
            extent == 1
            or all(
                (now == 0) if last == 0 else now == step
                for now, last, step in zip(stride, strides[-1], steps, strict=True)
            )
        ):
            extents[-1] *= extent
        else:
            extents.append(extent)
            strides.append((stride[0], stride[1]))
        steps = [steps[0] * a, steps[1] * b]
    return extents, 0 in strides[0]


def extremum(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_maximum_s8` and `arm_minimum_s8` on int8: runs as long as the shapes agree; others as `binary`."""
    source, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    if source.dtype != "int8":
        return binary(op, tensors, isa)
    first, second = (_four(tensors[index].shape) for index in op.inputs[:2])
    n, h, w, _ = _four(output.shape)
    sizes = math.prod(first), math.prod(second)
    scalar = False
    runs, rows, samples, length = 1, 0, 0, output.elements
    if first != second and 1 in sizes:
        scalar = True
    elif first != second:
        samples, runs = n, n
        for level, extent in enumerate((h, w)):
            a, b = first[level + 1 :], second[level + 1 :]
            if a == b or 1 in (math.prod(a), math.prod(b)):
                scalar = a != b
                break
            runs *= extent
            rows = runs if level == 0 else rows
        else:
            scalar = first[3] != second[3]
        length = output.elements // runs
    path = f"{op.kind.lower()}_int8"
    if isa == "mve":
        return f"{path}_vectors", (1, runs * ((length + 15) >> 4), runs, rows, samples)
    return f"{path}_runs", (
        1,
        0 if scalar else output.elements,
        output.elements if scalar else 0,
        runs,
        rows,
        samples,
    )


def _four(shape: Shape) -> Shape:
    return (1,) * (4 - len(shape)) + shape


COUNTERS: dict[str, Callable[[Operator, Tensors, str], Trips]] = {
    **dict.fromkeys(FLAT, flat),
    **dict.fromkeys(("CAST", "QUANTIZE", "DEQUANTIZE"), converted),
    **dict.fromkeys(BY_ROW, by_row),
    **dict.fromkeys(("SUB", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"), binary),
    **dict.fromkeys(("SPLIT", "SPLIT_V", "PACK", "UNPACK"), moves),
    **dict.fromkeys(("SLICE", "STRIDED_SLICE"), slices),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), arg_max),
    "DEPTH_TO_SPACE": output_nest,
    "SPACE_TO_DEPTH": input_nest,
    "RESIZE_BILINEAR": output_nest,
    "PRELU": output_nest,
    "SQUEEZE": squeeze,
    "GATHER": gather,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "BATCH_TO_SPACE_ND": batch_to_space,
    "MIRROR_PAD": mirror_pad,
    "TRANSPOSE": any_transpose,
    "REDUCE_MAX": odometer,
    "REDUCE_MIN": odometer,
}
CMSIS_NN: dict[str, Callable[[Operator, Tensors, str], Trips]] = {
    "MAXIMUM": extremum,
    "MINIMUM": extremum,
    "TRANSPOSE": transpose,
}
