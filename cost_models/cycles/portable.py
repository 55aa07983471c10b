"""Trip counts of the operators that TFLM runs with portable kernels on every core: elementwise and reductions;
`cost_models.cycles.moving` has those that only move elements.

The paths are named by kind and element type (`quantize_float32_int8`): each type is compiled of its own. What the
compiler makes of a loop is fitted; what is here is how often the loops run.

Source: tensorflow/lite/micro/kernels and tensorflow/lite/kernels/internal/reference, tflite-micro 90b983c2; for
MAXIMUM and MINIMUM on int8 CMSIS-NN 4ab83cc3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from cost_models.cycles import moving, shares
from cost_models.cycles.moving import TYPES, path_of
from cost_models.cycles.simple import ODOMETER, SATURATING, SIGNED, mean, saturating
from cost_models.graph import KernelOptions, Operator, ReducerOptions, Tensor
from cost_models.summing import ordered_sum

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]
Shape = tuple[int, ...]

# HARD_SWISH takes its input in 128ths of its scale and 3 as 32768 (`HardSwishPrepare`): their ratio is shifted left
# where it is 1 and more.
_HARD_SWISH_SCALE = 32768 / 128 / 3

# With Helium a broadcast calls for a run of the whole sample, row or position.
_RUNS = ("runs_of_samples", "runs_of_rows", "runs_of_positions")
# What a scalar takes by itself is taken once a run.
_BROADCAST = ("operator", "dimensions", "pairs", "with_scalar", "runs", "scalar_runs", "calls")

# One pass for each element, whatever the shape.
FLAT = (
    "HARD_SWISH", "LEAKY_RELU", "TANH", "ELU", "EXPAND_DIMS", "RELU", "RELU6", "LOGISTIC", "NEG", "SQUARE", "SQRT",
    "RSQRT", "EXP", "LOG", "SIN", "COS", "FLOOR", "CEIL", "ROUND", "LOGICAL_NOT",
)  # fmt: skip
# A row along the last axis is gone through several times.
BY_ROW = ("L2_NORMALIZATION", "LOG_SOFTMAX")
BINARY = (
    "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD", "EQUAL",
    "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "LOGICAL_AND", "LOGICAL_OR",
)  # fmt: skip
_OF_KINDS: dict[tuple[str, ...], tuple[str, ...]] = {
    FLAT: ("operator", "elements"),
    ("ABS",): ("operator", "elements", "rescaled"),
    BY_ROW: ("operator", "rows", "elements"),
    BINARY: ("operator", "elements"),
    ("ARG_MAX", "ARG_MIN"): ("operator", "outer", "outputs", "elements", "updates"),
    ("REDUCE_MAX", "REDUCE_MIN", "MEAN", "SUM"): ODOMETER,
    ("SOFTMAX",): ("operator", "rows", "elements"),
}  # fmt: skip


def _paths() -> Iterable[tuple[str, tuple[str, ...]]]:
    for kinds, features in _OF_KINDS.items():
        for kind in kinds:
            for dtype in TYPES:
                yield f"{kind.lower()}_{dtype}", features
    for dtype in TYPES:
        for kind in BINARY:
            yield f"{kind.lower()}_{dtype}_broadcast", _BROADCAST
        for other in TYPES:
            for kind in ("CAST", "QUANTIZE", "DEQUANTIZE"):
                yield f"{kind.lower()}_{dtype}_{other}", ("operator", "elements")
    for kind in ("maximum", "minimum"):
        yield f"{kind}_int8_runs", ("operator", "elements", "with_scalar", "runs", "rows", "samples")
        yield f"{kind}_int8_vectors", ("operator", "broadcast", "vectors", "scalars", "rows", *_RUNS)
    for kind in ("add", "sub", "mul", "squared_difference"):
        yield f"{kind}_int8", SIGNED
        yield f"{kind}_int8_broadcast", (*_BROADCAST, "negatives")
    yield "leaky_relu_int8", SIGNED
    yield "quantize_int8_int8", SIGNED
    yield "tanh_int8", SATURATING
    yield "hard_swish_int8", (*SIGNED, "far_below", "far_above", "unshifted", "unshifted_negatives")
    yield from (
        (f"quantize_{types}_flipped", ("operator", "elements")) for types in ("uint8_int8", "int8_uint8")
    )
    yield "mean_float32_image", ("operator", "outputs", "rows", "elements")


FEATURES: dict[str, tuple[str, ...]] = {**moving.FEATURES, **dict(_paths())}


def takes_floats(path: str) -> bool:
    """Whether a kernel computes floats, slow on a core without a unit for them; resizing scales by one."""
    return "float32" in path or path.startswith("resize_nearest")


def flat(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One pass for each element."""
    path, source, elements = path_of(op, tensors), tensors[op.inputs[0]], tensors[op.outputs[0]].elements
    if path == "tanh_int8":
        return path, saturating(source)
    if path == "hard_swish_int8":
        return path, _hard_swish(source)
    if path == "leaky_relu_int8":
        return path, (1, elements, elements * shares.negative(source))
    return path, (1, elements)


def _hard_swish(source: Tensor) -> tuple[float, ...]:
    """`HardSwish`: beyond -3 and 3 a shift to the left saturates; without that shift there are no such elements."""
    negative, low, high = (
        shares.negative(source),
        shares.far_below(source, -3.0),
        shares.far_above(source, 3.0),
    )
    if source.typical is not None and source.typical.scale * _HARD_SWISH_SCALE < 1:
        parts = (0.0, 0.0, 0.0, 0.0, 1.0, negative)
    else:
        parts = (1 - low - high, negative - low, low, high, 0.0, 0.0)
    return (1, *(source.elements * part for part in parts))


def absolute(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One pass for each element, which is multiplied where the output has another scale than the input."""
    elements = tensors[op.outputs[0]].elements
    rescales = isinstance(op.options, KernelOptions) and op.options["rescales"]
    return path_of(op, tensors), (1, elements, elements if rescales else 0)


def converted(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One pass for each element, from one type to another; between int8 and uint8 it may turn the top bit alone."""
    source, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    flips = op.kind == "QUANTIZE" and isinstance(op.options, KernelOptions) and op.options["flips"]
    path = f"{path_of(op, tensors)}_{output.dtype}{'_flipped' if flips else ''}"
    signed = (output.elements * shares.negative(source),) if path == "quantize_int8_int8" else ()
    return path, (1, output.elements, *signed)


def by_row(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """Several passes over each row of the last axis."""
    source = tensors[op.inputs[0]]
    return path_of(op, tensors), (1, source.elements // source.shape[-1], source.elements)


def arg_max(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """A comparison, through a function pointer, for each element of the axis."""
    source, outputs = tensors[op.inputs[0]], tensors[op.outputs[0]].elements
    extent = source.elements // max(outputs, 1)
    # Of values in any order the k-th is the largest so far once in k times.
    updates = outputs * ordered_sum([1 / place for place in range(2, extent + 1)])
    values = tensors[op.inputs[1]].values
    outer = math.prod(source.shape[: values[0] % len(source.shape)]) if values else 1
    return path_of(op, tensors), (1, outer, outputs, source.elements, updates)


def odometer(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """REDUCE_MAX, MEAN and SUM on other types than int8: as `simple.mean`, the means of float maps in plain loops."""
    source, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    axes = tensors[op.inputs[1]].values if len(op.inputs) > 1 else None
    keeps = isinstance(op.options, ReducerOptions) and op.options.keep_dims
    image = len(source.shape) == 4 and axes is not None and sorted(axis % 4 for axis in axes) == [1, 2]
    if op.kind == "MEAN" and source.dtype == "float32" and keeps and image:
        outputs = output.elements
        return "mean_float32_image", (1, outputs, outputs * source.shape[1], source.elements)
    return path_of(op, tensors), mean(op, tensors, isa)[1]


def binary(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One pass for each element where the shapes are equal, else loops fused where the strides allow it."""
    first, second = (tensors[index].shape for index in op.inputs[:2])
    output = tensors[op.outputs[0]]
    signed = _negatives(op, tensors)
    if first == second:
        return path_of(op, tensors), (1, output.elements, *signed)
    extents, scalar = _fused(first, second, output.shape)
    runs = math.prod(extents[1:])
    calls, total = 0, 1
    for extent in reversed(extents[1:]):
        total *= extent
        calls += total
    pairs, with_scalar = (0, output.elements) if scalar else (output.elements, 0)
    trips = (1, len(output.shape), pairs, with_scalar, runs, runs if scalar else 0, calls, *signed)
    return f"{path_of(op, tensors)}_broadcast", trips


def _negatives(op: Operator, tensors: Tensors) -> tuple[float, ...]:
    """How often arithmetic on int8 scales a number below zero: an input, their sum or difference, their product."""
    first, second = (tensors[index] for index in op.inputs[:2])
    if first.dtype != "int8" or op.kind not in ("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"):
        return ()
    if op.kind == "MUL":
        scaled = shares.negative_product(first, second)
    else:
        scaled = shares.negative(first) + shares.negative(second)
        if op.kind != "SQUARED_DIFFERENCE":
            scaled += shares.negative_sum(first, second, 1 if op.kind == "ADD" else -1)
    return (tensors[op.outputs[0]].elements * scaled,)


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
    scalar, deepest = False, -1
    runs, rows, samples, length = 1, 0, 0, output.elements
    if first != second and 1 in sizes:
        scalar = True
    elif first != second:
        samples, runs, deepest = n, n, 0
        for level, extent in enumerate((h, w)):
            a, b = first[level + 1 :], second[level + 1 :]
            if a == b or 1 in (math.prod(a), math.prod(b)):
                scalar = a != b
                break
            runs *= extent
            deepest = level + 1
            rows = runs if level == 0 else rows
        else:
            scalar = first[3] != second[3]
        length = output.elements // runs
    path = f"{op.kind.lower()}_int8"
    if isa == "mve":
        vectors = runs * ((length + 15) >> 4)
        within = [runs if at == deepest else 0 for at in range(3)]
        return f"{path}_vectors", (
            1,
            samples > 0,
            vectors,
            runs if scalar else 0,
            rows if deepest == 2 else 0,
            *within,
        )
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
    **moving.COUNTERS,
    **dict.fromkeys(FLAT, flat),
    "ABS": absolute,
    **dict.fromkeys(("CAST", "QUANTIZE", "DEQUANTIZE"), converted),
    **dict.fromkeys(BY_ROW, by_row),
    **dict.fromkeys(BINARY, binary),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), arg_max),
    **dict.fromkeys(("REDUCE_MAX", "REDUCE_MIN"), odometer),
}
CMSIS_NN: dict[str, Callable[[Operator, Tensors, str], Trips]] = {
    "MAXIMUM": extremum,
    "MINIMUM": extremum,
    "TRANSPOSE": moving.transpose,
}
