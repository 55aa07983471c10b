"""Trip counts of the operators that multiply no matrix: pools, elementwise, softmax, mean, copies."""

from __future__ import annotations

from cost_models.cycles import shares
from cost_models.cycles.counting import copy_at, copy_instructions, fill_at
from cost_models.cycles.window import Window, window
from cost_models.graph import ConcatenationOptions, Operator, SoftmaxOptions, Tensor
from cost_models.summing import ordered_sum

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

# A reduction that counts through all axes of its input, as an odometer does.
ODOMETER = (
    "operator",
    "elements",
    "elements*rank",
    "elements*comparisons",
    "elements*kept",
    "carries",
    "outputs",
)

# A branch for elements below zero: a product of theirs is rounded towards the other side.
SIGNED = ("operator", "elements", "negatives")
# Elements far from zero are not among those that are computed: they become the least or the greatest number.
SATURATING = ("operator", "elements", "far_below", "far_above")
# Nor are those of a softmax that are far below the greatest of their row.
SOFTMAX = ("operator", "rows", "elements", "skipped")

# A maximum pool copies the first tap and compares the others with it.
_MAX_POOL = ("operator", "rows", "positions", "tap_rows", "copy_instructions", "compares")
MAX_POOL_INT16 = (*_MAX_POOL, "compares*blocks2", "compares*rest", "clamps2", "clamps1")
MAX_POOL_INT16_MVE = (*_MAX_POOL, "compare_vectors", "clamp_vectors")
_MAX_POOL_MVE = (
    "operator",
    "rows",
    "positions",
    "tap_rows",
    "copy_vectors",
    "compares",
    "compare_vectors",
    "clamp_vectors",
)

FEATURES: dict[str, tuple[str, ...]] = {
    "average_pool_dsp": (
        "operator",
        "rows",
        "positions",
        "tap_rows",
        "taps",
        "first_channels",
        "more_channels",
        "outputs",
    ),
    "average_pool_scalar": (
        "operator",
        "positions",
        "outputs",
        "output_rows",
        "output_taps",
        "taps_inside*channels",
    ),
    "average_pool_mve": ("operator", "rows", "positions", "vectors", "vectors*tap_rows", "vectors*taps"),
    "max_pool": (
        *_MAX_POOL,
        "compares*entered(blocks4)",
        "compares*blocks4",
        "compares*entered(rest)",
        "compares*rest",
        "clamps4",
        "clamps1",
    ),
    "max_pool_mve": _MAX_POOL_MVE,
    "add_dsp": ("operator", "entered(blocks4)", "blocks4", "entered(rest)", "rest"),
    "add_scalar": ("operator", "elements"),
    "add_mve": ("operator", "blocks4"),
    "mul_dsp": ("operator", "entered(blocks4)", "blocks4", "entered(rest)", "rest"),
    "mul_scalar": ("operator", "elements"),
    "mul_mve": ("operator", "blocks4"),
    "softmax": SOFTMAX,
    "logistic": SATURATING,
    "relu": SIGNED,
    "relu6": ("operator", "elements", "far_below", "far_above"),
    "pad": ("operator", "rows", "pixels", "copy_instructions", "fill_instructions"),
    "pad_mve": ("operator", "rows", "pixels", "copies_and_fills", "vectors"),
    "mean": ODOMETER,
    "reshape": ("operator", "copy_instructions"),
    "concatenation": ("operator", "inputs", "rows", "copies", "copy_instructions"),
}


def average_pool_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_avgpool_s8`: sums of whole channel rows (DSP, Helium) or channel by channel."""
    at = window(op, tensors)
    outputs = at.positions * at.depth
    if isa == "dsp":
        return "average_pool_dsp", (
            1,
            at.out_h,
            at.positions,
            at.rows_in * at.out_w,
            at.inside,
            outputs,
            (at.inside - at.positions) * at.depth,
            outputs,
        )
    if isa == "mve":
        return "average_pool_mve", average_vectors(at, lanes=16)
    return "average_pool_scalar", (
        1,
        at.positions,
        outputs,
        outputs * at.kernel_h,
        outputs * at.kernel_h * at.kernel_w,
        at.inside * at.depth,
    )


def average_vectors(at: Window, lanes: int) -> tuple[float, ...]:
    """Trips of an average pool with Helium, so many channels at once."""
    vectors = (at.depth + lanes - 1) // lanes
    passes = (at.positions, at.rows_in * at.out_w, at.inside)
    return (1, at.out_h, at.positions, *(count * vectors for count in passes))


def max_pool_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_max_pool_s8`: copy the first tap, compare with the others, clamp everything at the end."""
    at = window(op, tensors)
    compares = at.inside - at.positions
    total = at.positions * at.depth
    once = (1, at.out_h, at.positions, at.rows_in * at.out_w)
    if isa == "mve":
        vectors = (at.depth + 15) >> 4
        return "max_pool_mve", (
            *once,
            at.positions * vectors,
            compares,
            compares * vectors,
            (total + 15) >> 4,
        )
    blocks, rest = at.depth >> 2, at.depth & 3
    return "max_pool", (
        *once,
        at.positions * copy_instructions(at.depth, isa),
        compares,
        compares if blocks else 0,
        compares * blocks,
        compares if rest else 0,
        compares * rest,
        total >> 2,
        total & 3,
    )


def elementwise(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_elementwise_add_s8` and `..._mul_s8`, of equal shapes."""
    name = op.kind.lower()
    elements = tensors[op.outputs[0]].elements
    if isa == "dsp":
        blocks, rest = elements >> 2, elements & 3
        return f"{name}_dsp", (1, 1 if blocks else 0, blocks, 1 if rest else 0, rest)
    if isa == "mve":
        return f"{name}_mve", (1, (elements + 3) >> 2)
    return f"{name}_scalar", (1, elements)


def softmax(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_softmax_s8`: two exponentials per element."""
    return "softmax", softmax_rows(op, tensors)


def softmax_rows(op: Operator, tensors: Tensors) -> tuple[float, ...]:
    """Trips of a softmax on int8, by `SOFTMAX`."""
    source = tensors[op.inputs[0]]
    beta = op.options.beta if isinstance(op.options, SoftmaxOptions) else 1.0
    skipped = source.elements * shares.skipped_exponentials(source, beta)
    return (1, source.elements // source.shape[-1], source.elements - skipped, skipped)


def logistic(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's fixed-point sigmoid, one element at a time."""
    return "logistic", saturating(tensors[op.inputs[0]])


def saturating(source: Tensor) -> tuple[float, ...]:
    """Trips of a sigmoid or hyperbolic tangent on int8."""
    low, high = shares.saturated(source)
    return (1, *(source.elements * share for share in (1 - low - high, low, high)))


def relu(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's `ReluQuantized` (rescales) and `ReluQuantized6` (clamps), one element at a time."""
    source = tensors[op.inputs[0]]
    elements, negative = source.elements, shares.negative(source)
    if op.kind == "RELU":
        return "relu", (1, elements, elements * negative)
    above = shares.far_above(source, 6.0)
    return "relu6", (1, *(elements * share for share in (1 - negative - above, negative, above)))


def pad(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_pad_s8`: a fill before and after every row, whole rows copied unless channels are padded too."""
    values = tensors[op.inputs[1]].values or ()
    shape, padded = tensors[op.inputs[0]].shape, tensors[op.outputs[0]].shape
    if len(values) != 2 * len(shape) or len(shape) > 4:
        return "pad_of_other_rank", ()
    missing = 4 - len(shape)
    batch, height, width, depth = (1,) * missing + shape
    _, out_h, out_w, out_depth = (1,) * missing + padded
    first, last, above, below, left, right, before, behind = (0,) * (2 * missing) + values
    row = out_w * out_depth
    rows = height * batch
    pixels = rows * width if depth != out_depth else 0
    if isa == "mve":
        moves = [
            (1, first * out_h * row),
            (batch, above * row),
            (batch, below * row),
            (1, last * out_h * row),
        ]
        moves += [(rows, left * out_depth), (rows, right * out_depth)]
        moves += [(pixels, before), (pixels, behind), (pixels, depth)] if pixels else [(rows, width * depth)]
        vectors = sum(count * ((size + 15) >> 4) for count, size in moves)
        return "pad_mve", (1, rows, pixels, sum(count for count, _ in moves), vectors)

    # What one row moves: (bytes of the output, bytes of the input) of each run, those of a fill without an input.
    runs = [(before, 0), (depth, depth), (behind, 0)] * width if pixels else [(width * depth, width * depth)]
    runs = [(left * out_depth, 0), *runs, (right * out_depth, 0)]
    copied = filled = 0
    target = first * out_h * row
    filled += fill_at(target, 0, isa)
    for sample in range(batch):
        filled += fill_at(above * row, target & 3, isa)
        target += above * row
        source = sample * height * width * depth
        # Alignments go round after four rows.
        for turn in range(min(height, 4)):
            count = (height - turn + 3) // 4
            at, taken = target + turn * row, source + turn * width * depth
            for size, read in runs:
                if read:
                    copied += count * copy_at(size, at & 3, taken & 3, isa)
                else:
                    filled += count * fill_at(size, at & 3, isa)
                at += size
                taken += read
        target += height * row
        filled += fill_at(below * row, target & 3, isa)
        target += below * row
    filled += fill_at(last * out_h * row, target & 3, isa)
    return "pad", (1, rows, pixels, copied, filled)


def mean(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's `QuantizedMeanOrSum`: an odometer over all elements, then one scaling per output.

    Each element's place in the output is computed from scratch (`ReducedOutputOffset`): a step for every
    dimension, a comparison with the axes until one is equal, a product for every dimension that is kept.
    """
    shape = tensors[op.inputs[0]].shape
    rank, elements = len(shape), tensors[op.inputs[0]].elements
    axes = _axes(op, tensors, rank)
    comparisons = sum(axes.index(index) + 1 if index in axes else len(axes) for index in range(rank))
    carries, outer = 0, 1
    for extent in shape[:-1]:
        outer *= extent
        carries += outer
    return "mean", (
        1,
        elements,
        elements * rank,
        elements * comparisons,
        elements * (rank - len(axes)),
        carries,
        tensors[op.outputs[0]].elements,
    )


def _axes(op: Operator, tensors: Tensors, rank: int) -> tuple[int, ...]:
    """The axes that are reduced, in the order of the file; a map's height and width where it names none."""
    if len(op.inputs) > 1:
        amounts = tensors[op.inputs[1]]
        if amounts.values is not None:
            return tuple(dict.fromkeys(int(axis) % rank for axis in amounts.values)) if rank else ()
        return tuple(range(1, 1 + amounts.elements))
    return (1, 2)


def reshape(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One copy: planned tensors never share memory."""
    return "reshape", (1, copy_at(tensors[op.inputs[0]].size_bytes, 0, 0, isa))


def concatenation(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """One copy per input and outer index."""
    options = op.options
    assert isinstance(options, ConcatenationOptions)
    shape = tensors[op.outputs[0]].shape
    axis = options.axis % len(shape)
    outer = 1
    for extent in shape[:axis]:
        outer *= extent
    sizes = [tensors[index].size_bytes // outer for index in op.inputs]
    row = sum(sizes)
    copies = outer * len(sizes)
    instructions = 0.0
    offset = 0
    for size in sizes:
        # Alignments repeat after four rows.
        cycle = [
            copy_at(size, (index * row + offset) & 3, index * size & 3, isa) for index in range(min(outer, 4))
        ]
        instructions += ordered_sum(cycle) * outer / len(cycle)
        offset += size
    return "concatenation", (1, len(sizes), outer, copies, instructions)
