"""Trip counts of BATCH_MATMUL and TRANSPOSE_CONV, and what their kernels do around the products.

Source: tensorflow/lite/micro/kernels (cmsis_nn and reference), tensorflow/lite/kernels/internal/reference,
tflite-micro 90b983c2; arm_batch_matmul_s8, arm_transpose_conv_s8 and what they call, CMSIS-NN 4ab83cc3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from cost_models.cycles import conv, dense, gemm
from cost_models.cycles.counting import copy_at, copy_instructions, fill_at, pad_before, taps_inside
from cost_models.graph import KernelOptions, Operator, Tensor, TransposeConv2DOptions

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

_AROUND = ("merged", "turned", "turned_elements", "turned_rows", "turned_planes")
# A loop costs when it is entered and for each of its trips.
_PRODUCT = ("1", "entered(blocks4)", "blocks4", "entered(rest)", "rest")
PAIRED = (
    "products*entered(pairs)",
    *(f"{rows}*{name}" for rows in ("pairs", "odd_channel") for name in _PRODUCT),
)
# With Helium four channels at once, so many columns a vector.
QUADS = ("products*entered(quads)", "quads", "quads*vectors", "singles", "singles*vectors")
_ROW_BY_ROW = ("channels", "rows", "taps")
_STEPS = {
    "dsp": ("taps*entered(blocks)", "taps*blocks", "taps*entered(rest)", "taps*rest"),
    "scalar": ("taps*entered(blocks)", "taps*blocks", "taps*rest"),
    "mve": ("taps*blocks",),
}
_DIRECT = {
    kind: (
        "operator",
        "input_rows",
        *(f"{name}_of_{columns}" for columns in (4, 2, 1) for name in (*_ROW_BY_ROW, *steps)),
        "positions",
        "outputs",
        "left_over_rows",
        "copies",
        "copy_instructions",
    )
    for kind, steps in _STEPS.items()
}
# A filter that is turned about first, tap by tap, and an image that is widened by zeros in between.
_REVERSED = ("reversed_taps", "reversed_instructions")
# Threshold of arm_transpose_conv_wrapper_s8 (REVERSE_TCOL_EFFICIENT_THRESHOLD).
_REVERSED_ABOVE = 16

FEATURES: dict[str, tuple[str, ...]] = {
    **{f"transpose_conv_direct_{kind}": features for kind, features in _DIRECT.items()},
    "transpose_conv_widened_mve": (*_REVERSED, *gemm.IM2COL_MVE),
    "transpose_conv_reversed_mve": (*_REVERSED, *gemm.IM2COL_MVE),
    "transpose_conv_widened_dsp": (*_REVERSED, *gemm.IM2COL_DSP),
    "transpose_conv_widened_scalar": (*_REVERSED, *gemm.IM2COL_SCALAR),
    "transpose_conv_reversed_dsp": (*_REVERSED, *gemm.IM2COL_DSP),
    "transpose_conv_reversed_scalar": (*_REVERSED, *gemm.IM2COL_SCALAR),
    **{
        f"transpose_conv_reference_{dtype}": (
            "operator",
            "pixels",
            "inputs",
            "filter_rows",
            "filter_taps",
            "products",
            "beside_a_column",
            "beside_a_row",
            "products_inside",
            "outputs",
        )
        for dtype in ("int8", "int16", "float32")
    },
    **{f"batch_matmul_{kind}dsp": (*dense.DENSE_DSP, *_AROUND) for kind in ("int8_", "int8_constant_")},
    **{f"batch_matmul_{kind}scalar": (*dense.DENSE_SCALAR, *_AROUND) for kind in ("int8_", "int8_constant_")},
    "batch_matmul_int16_dsp": ("operator", "products", *PAIRED, *_AROUND),
    **{
        f"batch_matmul_{kind}mve": (*dense.DENSE_MVE, "batches", "sums", "sums*vectors", *_AROUND)
        for kind in ("int8_", "int8_constant_")
    },
    "batch_matmul_int16_mve": ("operator", "products", *QUADS, *_AROUND),
    "batch_matmul_int16_scalar": ("operator", "products", "outputs", "macs", *_AROUND),
    **{
        f"batch_matmul_reference_{dtype}": ("operator", "batches", "columns", "outputs", "macs", *_AROUND)
        for dtype in ("int8", "int16", "float32")
    },
}


def kind_of(isa: str) -> str:
    """Which of CMSIS-NN's three sources a core compiles: "dsp", "mve" or "scalar"."""
    return isa if isa in ("dsp", "mve") else "scalar"


def paired(channels: int, depth: int, calls: int) -> tuple[float, ...]:
    """A vector by matrix product of two channels at once, four columns a step."""
    passes = (1, depth > 3, depth >> 2, depth & 3 > 0, depth & 3)
    rows = (channels >> 1, channels & 1)
    return (calls if channels > 1 else 0, *(calls * number * count for number in rows for count in passes))


def quads(channels: int, depth: int, calls: int, lanes: int) -> tuple[float, ...]:
    """A vector by matrix product of four channels at once, with Helium."""
    vectors = (depth + lanes - 1) // lanes
    whole, single = (channels >> 2) * calls, (channels & 3) * calls
    return (calls if channels > 3 else 0, whole, whole * vectors, single, single * vectors)


def _around(op: Operator, tensors: Tensors) -> tuple[float, ...]:
    """Whether batches are merged, and what turns rows and columns about before: a constant the first time alone."""
    assert isinstance(op.options, KernelOptions)
    first, second = (tensors[index] for index in op.inputs[:2])
    turned = [first.shape] if op.options["adj_x"] else []
    turned += [second.shape] if not op.options["adj_y"] and not second.is_constant else []
    return (
        min(len(first.shape), len(second.shape)) > 2 and second.shape[-3] == 1,
        len(turned),
        sum(math.prod(shape) for shape in turned),
        sum(math.prod(shape[:-2]) * shape[-1] for shape in turned),
        sum(math.prod(shape[:-2]) for shape in turned),
    )


def batch_matmul(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_batch_matmul_s8` and `..._s16`: a vector by matrix product for each row of the first input."""
    first, second, output = (tensors[index] for index in (*op.inputs[:2], op.outputs[0]))
    if first.dtype == "float32" or not isinstance(op.options, KernelOptions):
        return reference_batch_matmul(op, tensors, isa)
    depth = first.shape[-2] if op.options["adj_x"] else first.shape[-1]
    channels = output.shape[-1]
    calls = output.elements // max(channels, 1)
    around = _around(op, tensors)
    kind = kind_of(isa)
    if first.dtype == "int16":
        if kind == "mve":
            return "batch_matmul_int16_mve", (1, calls, *quads(channels, depth, calls, 8), *around)
        if kind == "dsp":
            return "batch_matmul_int16_dsp", (1, calls, *paired(channels, depth, calls), *around)
        outputs = calls * channels
        return "batch_matmul_int16_scalar", (1, calls, outputs, outputs * depth, *around)
    # Weights have the zero point 0, which the kernel leaves out; activations hardly ever do.
    path = f"batch_matmul_int8_{'constant_' if second.is_constant else ''}{kind}"
    if kind == "mve":
        # Each matrix is summed up first.
        batches = calls // max(output.shape[-2], 1)
        sums = (batches, batches * channels, batches * channels * ((depth + 15) >> 4))
        return path, (*dense.dense_mve(channels, depth, calls), *sums, *around)
    if kind == "dsp":
        return path, (*dense.dense_dsp(channels, depth, calls, False), *around)
    return path, (*dense.dense_scalar(channels, depth, calls, False), *around)


def reference_batch_matmul(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`reference_ops::BatchMatMul`: one multiply-accumulate a step."""
    first, output = tensors[op.inputs[0]], tensors[op.outputs[0]]
    path = f"batch_matmul_reference_{first.dtype}"
    if not isinstance(op.options, KernelOptions):
        return f"{path}_other", ()
    depth = first.shape[-2] if op.options["adj_x"] else first.shape[-1]
    batches = math.prod(output.shape[:-2])
    # What is called the columns are the rows of the first input, and the other way round.
    columns = batches * output.shape[-2]
    return path, (1, batches, columns, output.elements, output.elements * depth, *_around(op, tensors))


class _Places(NamedTuple):
    """A transpose convolution: its output is larger than its source."""

    batch: int
    height: int
    width: int
    depth: int
    channels: int
    kernel_h: int
    kernel_w: int
    out_h: int
    out_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    rows_in: int
    """Pairs (source row, filter row) whose product lies inside the output."""
    columns_in: int
    """Pairs (source column, filter column) whose product lies inside the output."""


def _places(op: Operator, tensors: Tensors) -> _Places:
    options = op.options
    assert isinstance(options, TransposeConv2DOptions)
    channels, kernel_h, kernel_w, depth = tensors[op.inputs[1]].shape
    batch, height, width, _ = tensors[op.inputs[2]].shape
    out_h, out_w = tensors[op.outputs[0]].shape[1:3]
    stride_h, stride_w = options.stride_h, options.stride_w
    pad_h = pad_before(options.padding, out_h, height, kernel_h, stride_h, 1)
    pad_w = pad_before(options.padding, out_w, width, kernel_w, stride_w, 1)
    return _Places(
        batch=batch,
        height=height,
        width=width,
        depth=depth,
        channels=channels,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        out_h=out_h,
        out_w=out_w,
        stride_h=stride_h,
        stride_w=stride_w,
        pad_h=pad_h,
        pad_w=pad_w,
        rows_in=taps_inside(out_h, height, kernel_h, stride_h, pad_h, 1),
        columns_in=taps_inside(out_w, width, kernel_w, stride_w, pad_w, 1),
    )


def transpose_conv(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_transpose_conv_wrapper_s8`: a convolution with the filter turned about, or products that are scattered."""
    if tensors[op.inputs[2]].dtype != "int8":
        return reference_transpose_conv(op, tensors, isa)
    at = _places(op, tensors)
    if max(at.stride_h, at.stride_w) <= 2 and at.depth > _REVERSED_ABOVE:
        return _reversed(at, isa)
    return _direct(at, isa, bias=len(op.inputs) > 3 and op.inputs[3] >= 0)


def _reversed(at: _Places, isa: str) -> Trips:
    """`arm_convolve_s8` over the input, between whose pixels zeros are thought where there is a stride.

    Output y meets row r of the input by the tap y + pad - stride * r of the filter as it was given.
    """
    taps = at.channels * at.kernel_h * at.kernel_w
    columns = at.kernel_h * at.kernel_w * at.depth
    positions = at.out_h * at.out_w
    copies = at.rows_in * at.columns_in
    tap_rows = positions * at.kernel_h
    all_taps = tap_rows * at.kernel_w
    widened = max(at.stride_h, at.stride_w) > 1
    by_column = at.rows_in * (at.out_w * at.kernel_w - at.columns_in)
    by_row = (all_taps - copies - by_column) / (at.kernel_w if widened else 1)
    path = f"transpose_conv_{'widened' if widened else 'reversed'}_{kind_of(isa)}"
    if isa == "mve":
        vectors = (at.depth + 15) >> 4
        filled = positions * ((columns + 15) >> 4) if widened else (all_taps - copies) * vectors
        moved = (tap_rows, all_taps, by_row, by_column, copies * vectors, filled)
        names: tuple[str, ...] = gemm.IM2COL_MVE
        trips = gemm.im2col_mve(at.out_h, positions, at.channels, columns, moved, 1)
        return path, (taps, taps * vectors, *conv.repeated(names, trips, at.batch))
    copied = copy_instructions(at.depth, isa)
    if widened:
        filled = positions * fill_at(columns, 0, isa)
    else:
        filled = (all_taps - copies) * fill_at(at.depth, 0, isa)
    gather = (tap_rows, all_taps, copies, copies * copied, by_row, by_column, filled)
    if isa == "dsp":
        names, counter = gemm.IM2COL_DSP, gemm.im2col_dsp
    else:
        names, counter = gemm.IM2COL_SCALAR, gemm.im2col_scalar
    trips = counter(at.out_h, positions, at.channels, columns, gather, 1)
    return path, (taps, taps * copied, *conv.repeated(names, trips, at.batch))


def _direct(at: _Places, isa: str, *, bias: bool) -> Trips:
    """`arm_transpose_conv_s8`: a row of the input at a time into a ring of output rows, four columns at once."""
    channels, kernel_w, stride_h = at.channels, at.kernel_w, at.stride_h
    filter_rows = written = 0
    for row in range(at.height):
        above = max(0, at.pad_h - row * stride_h)
        below = max(0, row * stride_h + at.kernel_h - (at.pad_h + at.out_h) - 1)
        filter_rows += at.kernel_h - above - below
        written += stride_h if above == 0 else 0
    last = max(at.kernel_h - stride_h, 0)
    left_over = sum(at.pad_h <= at.height * stride_h + row < at.pad_h + at.out_h for row in range(last))
    counts: list[float] = []
    for columns, groups in ((4, at.width >> 2), (2, (at.width >> 1) & 1), (1, at.width & 1)):
        visited = groups * channels
        taps = visited * filter_rows * kernel_w
        # With SMLAD four input channels a step; without, two of them for four columns, else one.
        step = 4 if isa == "dsp" else (2 if columns == 4 else 1)
        blocks, rest = ((at.depth + 15) >> 4, 0) if isa == "mve" else divmod(at.depth, step)
        steps = {
            "taps*entered(blocks)": taps if blocks else 0,
            "taps*blocks": taps * blocks,
            "taps*entered(rest)": taps if rest else 0,
            "taps*rest": taps * rest,
        }
        counts += [
            visited * at.height,
            visited * filter_rows,
            taps,
            *(steps[name] for name in _STEPS[kind_of(isa)]),
        ]
    ring_w = (at.width - 1) * at.stride_w + max(kernel_w, at.stride_w)
    ring_h = max(at.kernel_h, stride_h)
    resets = ring_h + written
    if bias:
        move = (channels + 3) >> 2 if isa == "mve" else copy_at(4 * channels, 0, 0, isa)
        copies, moved = ring_w * resets, ring_w * resets * move
    else:
        copies = 0
        moved = fill_at(4 * ring_w * ring_h * channels, 0, isa)
        moved += written * fill_at(4 * ring_w * channels, 0, isa)
    positions = (written + left_over) * at.out_w
    outputs = positions * (((channels + 3) >> 2) if isa == "mve" else channels)
    once = (at.height, *counts, positions, outputs, last, copies, moved)
    return f"transpose_conv_direct_{kind_of(isa)}", (1, *(at.batch * count for count in once))


def reference_transpose_conv(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`TransposeConv`: each input scatters its products with every filter over the output."""
    at = _places(op, tensors)
    pixels = at.batch * at.height * at.width
    taps = pixels * at.depth * at.kernel_h * at.kernel_w
    # Whether an output column lies inside is asked before its row.
    products = at.batch * at.depth * at.columns_in * at.channels
    in_column = products * at.height * at.kernel_h
    inside = products * at.rows_in
    return f"transpose_conv_reference_{tensors[op.inputs[2]].dtype}", (
        1,
        pixels,
        pixels * at.depth,
        pixels * at.depth * at.kernel_h,
        taps,
        taps * at.channels,
        taps * at.channels - in_column,
        in_column - inside,
        inside,
        tensors[op.outputs[0]].elements,
    )
