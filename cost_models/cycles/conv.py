"""Which CMSIS-NN kernel a convolution, depthwise convolution or dense layer takes, and its trip counts."""

from __future__ import annotations

from cost_models.cycles import gemm
from cost_models.cycles.counting import (
    copy_instructions,
    fill_instructions,
    pad_before,
    tap_inside,
    taps_inside,
)
from cost_models.graph import Conv2DOptions, DepthwiseConv2DOptions, Operator, Tensor

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

# arm_nnsupportfunctions.h: channels that the Helium depthwise kernel takes at a time.
_CH_IN_BLOCK_MVE = 124

DEPTHWISE_3X3 = (
    "operator",
    "rows",
    "positions",
    "positions*entered(quads)",
    "quads",
    "quads*tap_rows",
    "quads*left_taps",
    "quads*right_taps",
    "positions*entered(singles)",
    "singles",
    "singles*tap_rows",
    "singles*left_taps",
    "singles*right_taps",
)
DEPTHWISE_OPT_DSP = (
    "operator",
    "rows",
    "positions",
    "row_fills",
    "row_fill_instructions",
    "tap_rows",
    "taps",
    "tap_fills",
    "tap_fill_instructions",
    "taps_inside",
    "taps_inside*entered(blocks4)",
    "taps_inside*blocks4",
    "taps_inside*entered(rest)",
    "taps_inside*rest",
    "positions*entered(quads)",
    "quads",
    "quads*tap_pairs",
    "quads*odd_tap",
    "positions*entered(singles)",
    "singles",
    "singles*taps",
)
DEPTHWISE_OPT_MVE = (
    "operator",
    "blocks",
    "rows",
    "positions",
    "tap_rows",
    "taps",
    "fills_by_row",
    "fills_by_column",
    "copy_vectors",
    "fill_vectors",
    "quads",
    "quads*channels4",
    "quads*channels4*taps",
    "left_over",
    "left_over*channels4",
    "left_over*channels4*taps",
)
DEPTHWISE_GENERIC = (
    "operator",
    "rows",
    "positions",
    "positions*inputs",
    "outputs",
    "output_rows",
    "output_taps",
)
DEPTHWISE_DILATED = (*DEPTHWISE_GENERIC, "outputs*dilated_height", "outputs*dilated_width")
DEPTHWISE_MULT_4 = ("operator", "rows", "positions", "positions*inputs", "tiles", "tile_rows", "tile_taps")

FEATURES: dict[str, tuple[str, ...]] = {
    "conv_1x1_dsp": ("strided", *gemm.NT_T_DSP),
    "conv_1x1_scalar": ("strided", *gemm.NT_T_SCALAR),
    "conv_1x1_mve": ("strided", *gemm.NT_T_MVE),
    "conv_1_x_n_mve": (*gemm.NT_T_MVE, "edge_vectors"),
    "conv_im2col_dsp": gemm.IM2COL_DSP,
    "conv_im2col_scalar": gemm.IM2COL_SCALAR,
    "conv_grouped_dsp": gemm.IM2COL_DSP,
    "conv_grouped_scalar": gemm.IM2COL_SCALAR,
    "conv_im2col_mve": gemm.IM2COL_MVE,
    "depthwise_as_conv_mve": ("filter_rows", "filter_elements", *gemm.IM2COL_MVE),
    "dense_dsp": gemm.DENSE_DSP,
    "dense_scalar": gemm.DENSE_SCALAR,
    "dense_mve": gemm.DENSE_MVE,
    "depthwise_3x3_dsp": DEPTHWISE_3X3,
    "depthwise_3x3_scalar": DEPTHWISE_3X3,
    "depthwise_opt_dsp": DEPTHWISE_OPT_DSP,
    "depthwise_opt_mve": DEPTHWISE_OPT_MVE,
    "depthwise_generic": DEPTHWISE_GENERIC,
    "depthwise_dilated": DEPTHWISE_DILATED,
    "depthwise_mult_4": DEPTHWISE_MULT_4,
}


def conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_convolve_wrapper_s8`: 1x1, 1xN (Helium only) or im2col."""
    options = op.options
    assert isinstance(options, Conv2DOptions)
    _, height, width, depth = tensors[op.inputs[0]].shape
    channels, kernel_h, kernel_w, filter_depth = tensors[op.inputs[1]].shape
    _, out_h, out_w, _ = tensors[op.outputs[0]].shape
    stride_h, stride_w = options.stride_h, options.stride_w
    dilation_h, dilation_w = options.dilation_h, options.dilation_w
    pad_h = pad_before(options.padding, height, out_h, kernel_h, stride_h, dilation_h)
    pad_w = pad_before(options.padding, width, out_w, kernel_w, stride_w, dilation_w)

    if (
        kernel_h == kernel_w == dilation_h == dilation_w == 1
        and pad_h == pad_w == 0
        and depth == filter_depth
    ):
        if stride_h == stride_w == 1:
            return product(isa, height * width, channels, depth, 1)
        return product(isa, out_w, channels, depth, out_h, strided=1)
    if isa == "mve" and height == kernel_h == dilation_w == 1 and depth == filter_depth:
        trips = _conv_1_x_n_mve(width, depth, channels, kernel_w, out_w, stride_w, pad_w)
        if trips is not None:
            return trips
    return im2col(
        isa,
        (height, width, depth),
        (channels, kernel_h, kernel_w, filter_depth),
        (out_h, out_w),
        (
            taps_inside(height, out_h, kernel_h, stride_h, pad_h, dilation_h),
            taps_inside(width, out_w, kernel_w, stride_w, pad_w, dilation_w),
        ),
    )


def product(isa: str, rows: int, channels: int, depth: int, calls: int, strided: int = 0) -> Trips:
    """The 1x1 convolution: one product, or with a stride one for each output row."""
    if isa == "dsp":
        return "conv_1x1_dsp", (strided, *gemm.nt_t_dsp(rows, channels, depth, calls))
    if isa == "mve":
        return "conv_1x1_mve", (strided, *gemm.nt_t_mve(rows, channels, depth, calls))
    return "conv_1x1_scalar", (strided, *gemm.nt_t_scalar(rows, channels, depth, calls))


def im2col(
    isa: str,
    source: tuple[int, int, int],
    filters: tuple[int, int, int, int],
    out: tuple[int, int],
    inside: tuple[int, int],
) -> Trips:
    """`arm_convolve_s8`; `inside` holds the taps inside the image, per dimension."""
    channels, kernel_h, kernel_w, filter_depth = filters
    groups = source[2] // filter_depth
    positions = out[0] * out[1]
    tap_rows = positions * kernel_h * groups
    taps = tap_rows * kernel_w
    copies = inside[0] * inside[1] * groups
    outside = taps - copies
    by_column = inside[0] * (out[1] * kernel_w - inside[1]) * groups
    by_row = outside - by_column
    columns = kernel_h * kernel_w * filter_depth
    group_channels = channels // groups
    if isa == "mve":
        vectors = (filter_depth + 15) >> 4
        moves = (tap_rows, taps, by_row, by_column, copies * vectors, outside * vectors)
        return "conv_im2col_mve", gemm.im2col_mve(out[0], positions, group_channels, columns, moves, groups)
    gather = (
        tap_rows,
        taps,
        copies,
        copies * copy_instructions(filter_depth, isa),
        by_row,
        by_column,
        outside * fill_instructions(filter_depth, isa),
    )
    # arm_nn_mat_mult_kernel_row_offset_s8_s16 takes the place of ..._kernel_s8_s16 where there are groups.
    name = "conv_im2col" if groups == 1 else "conv_grouped"
    if isa == "dsp":
        return f"{name}_dsp", gemm.im2col_dsp(out[0], positions, group_channels, columns, gather, groups)
    return f"{name}_scalar", gemm.im2col_scalar(out[0], positions, group_channels, columns, gather, groups)


def _conv_1_x_n_mve(
    width: int, depth: int, channels: int, kernel: int, out_w: int, stride: int, pad: int
) -> Trips | None:
    """`arm_convolve_1_x_n_s8`: padded left part, inner part, padded right part; None where it falls back."""
    if stride * depth % 4:
        return None
    total_pad = (out_w - 1) * stride + kernel - width
    asymmetric = abs(total_pad) % 2 * (1 if total_pad > 0 else -1)
    if pad * 2 + asymmetric != total_pad:
        return None
    right = max(1, (pad + asymmetric + stride - 1) // stride) if pad + asymmetric else 0
    left = max(1, (pad + stride - 1) // stride) if pad else 0
    inner = max(out_w - left - right, 0)
    if left + inner + right != out_w:
        return None
    columns = kernel * depth
    parts = [gemm.nt_t_mve(rows, channels, columns, 1) for rows in (left, inner, right)]
    edge = ((columns + 15) >> 4) + ((pad * depth + 15) >> 4) * 2 + ((columns - depth + 15) >> 4)
    return "conv_1_x_n_mve", (*(sum(counts) for counts in zip(*parts, strict=True)), edge)


def fully_connected(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_fully_connected_wrapper_s8`, or the 1x1 convolution for outputs of more than two dimensions."""
    out_shape = tensors[op.outputs[0]].shape
    channels, depth = tensors[op.inputs[1]].shape[-2:]
    bias = len(op.inputs) > 2 and op.inputs[2] >= 0
    batches = 1
    for extent in out_shape[:-1]:
        batches *= extent
    if len(out_shape) > 2 and depth % 4 == 0:
        return product(isa, batches, channels, depth, 1)
    if isa == "dsp":
        return "dense_dsp", gemm.dense_dsp(channels, depth, batches, bias)
    if isa == "mve":
        return "dense_mve", gemm.dense_mve(channels, depth, batches)
    return "dense_scalar", gemm.dense_scalar(channels, depth, batches, bias)


def depthwise_conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_depthwise_conv_wrapper_s8`: 3x3, optimised, generic, or a convolution of one input channel."""
    options = op.options
    assert isinstance(options, DepthwiseConv2DOptions)
    _, height, width, depth = tensors[op.inputs[0]].shape
    _, kernel_h, kernel_w, channels = tensors[op.inputs[1]].shape
    _, out_h, out_w, _ = tensors[op.outputs[0]].shape
    stride_h, stride_w = options.stride_h, options.stride_w
    dilation_h, dilation_w = options.dilation_h, options.dilation_w
    pad_h = pad_before(options.padding, height, out_h, kernel_h, stride_h, dilation_h)
    pad_w = pad_before(options.padding, width, out_w, kernel_w, stride_w, dilation_w)
    rows_in = taps_inside(height, out_h, kernel_h, stride_h, pad_h, dilation_h)
    multiplier = channels // depth

    if isa == "mve" and depth == 1 and channels > 1:
        # arm_depthwise_conv_to_conv_s8: as a convolution, once the filter is transposed.
        _, trips = im2col(
            isa,
            (height, width, 1),
            (channels, kernel_h, kernel_w, 1),
            (out_h, out_w),
            (rows_in, taps_inside(width, out_w, kernel_w, stride_w, pad_w, dilation_w)),
        )
        return "depthwise_as_conv_mve", (channels * kernel_h, channels * kernel_h * kernel_w, *trips)
    plain = multiplier == 1 and dilation_h == dilation_w == 1
    positions = out_h * out_w
    if plain and isa != "mve" and kernel_h == kernel_w == 3 and pad_h <= 1 and pad_w <= 1:
        left = rows_in * tap_inside(0, width, out_w, stride_w, pad_w)
        right = rows_in * tap_inside(2, width, out_w, stride_w, pad_w)
        tap_rows = rows_in * out_w
        quads, singles = depth >> 2, depth & 3
        return "depthwise_3x3_dsp" if isa == "dsp" else "depthwise_3x3_scalar", (
            1,
            out_h,
            positions,
            positions if quads else 0,
            positions * quads,
            tap_rows * quads,
            left * quads,
            right * quads,
            positions if singles else 0,
            positions * singles,
            tap_rows * singles,
            left * singles,
            right * singles,
        )
    columns_in = taps_inside(width, out_w, kernel_w, stride_w, pad_w, dilation_w)
    if plain and isa == "dsp":
        return _depthwise_opt_dsp(
            height, depth, kernel_h, kernel_w, out_h, out_w, stride_h, pad_h, rows_in, columns_in
        )
    if plain and isa == "mve":
        return _depthwise_opt_mve(depth, kernel_h, kernel_w, out_h, out_w, rows_in, columns_in)
    if multiplier % 4 == 0 and dilation_h == dilation_w == 1:
        tiles = channels >> 2
        return "depthwise_mult_4", (
            1,
            out_h,
            positions,
            positions * depth,
            positions * tiles,
            rows_in * out_w * tiles,
            rows_in * columns_in * tiles,
        )
    outputs = positions * channels
    trips = (
        1,
        out_h,
        positions,
        positions * depth,
        outputs,
        rows_in * out_w * channels,
        rows_in * columns_in * channels,
    )
    if dilation_h == dilation_w == 1:
        return "depthwise_generic", trips
    return "depthwise_dilated", (
        *trips,
        outputs if dilation_h > 1 else 0,
        outputs if dilation_w > 1 else 0,
    )


def _depthwise_opt_dsp(
    height: int,
    depth: int,
    kernel_h: int,
    kernel_w: int,
    out_h: int,
    out_w: int,
    stride_h: int,
    pad_h: int,
    rows_in: int,
    columns_in: int,
) -> Trips:
    """`arm_depthwise_conv_s8_opt`: 16-bit columns of every tap, then four channels by two taps a step."""
    positions = out_h * out_w
    taps = kernel_h * kernel_w
    row_bytes = kernel_w * depth * 2
    above = out_h - tap_inside(0, height, out_h, stride_h, pad_h)
    below = out_h - tap_inside(kernel_h - 1, height, out_h, stride_h, pad_h)
    row_fills = (above + below) * out_w
    missing = (out_h * kernel_h - rows_in) * out_w
    # A fill takes what its rows need; its own overhead is counted by `row_fills`.
    row_fill_instructions = missing * (fill_instructions(row_bytes, "dsp") - fill_instructions(0, "dsp"))
    tap_rows = rows_in * out_w
    inside = rows_in * columns_in
    outside = tap_rows * kernel_w - inside
    quads, singles = depth >> 2, depth & 3
    return "depthwise_opt_dsp", (
        1,
        out_h,
        positions,
        row_fills,
        row_fill_instructions,
        tap_rows,
        tap_rows * kernel_w,
        outside,
        outside * fill_instructions(2 * depth, "dsp"),
        inside,
        inside if quads else 0,
        inside * quads,
        inside if singles else 0,
        inside * singles,
        positions if quads else 0,
        positions * quads,
        positions * quads * (taps >> 1),
        positions * quads * (taps & 1),
        positions if singles else 0,
        positions * singles,
        positions * singles * taps,
    )


def _depthwise_opt_mve(
    depth: int, kernel_h: int, kernel_w: int, out_h: int, out_w: int, rows_in: int, columns_in: int
) -> Trips:
    """`arm_depthwise_conv_s8_opt` with Helium: blocks of 124 channels, four positions a step."""
    taps = kernel_h * kernel_w
    positions = out_h * out_w
    blocks, rest = divmod(depth, _CH_IN_BLOCK_MVE)
    channels4 = blocks * (_CH_IN_BLOCK_MVE >> 2) + ((rest + 3) >> 2)
    vectors = blocks * ((_CH_IN_BLOCK_MVE + 15) >> 4) + ((rest + 15) >> 4)
    blocks += 1 if rest else 0
    inside = rows_in * columns_in
    outside = positions * taps - inside
    by_column = rows_in * (out_w * kernel_w - columns_in)
    quads = positions >> 2
    left = positions & 3
    return "depthwise_opt_mve", (
        1,
        blocks,
        out_h * blocks,
        positions * blocks,
        positions * kernel_h * blocks,
        positions * taps * blocks,
        (outside - by_column) * blocks,
        by_column * blocks,
        inside * vectors,
        outside * vectors,
        quads * blocks,
        quads * channels4,
        quads * channels4 * taps,
        left * blocks,
        left * channels4,
        left * channels4 * taps,
    )
