"""Which CMSIS-NN kernel a depthwise convolution takes, and its trip counts."""

from __future__ import annotations

from cost_models.cycles.conv import convolution, repeated
from cost_models.cycles.counting import fill_instructions, pad_before, tap_inside, taps_inside
from cost_models.graph import DepthwiseConv2DOptions, Operator, Tensor

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
    "quads*entered(tap_pairs)",
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
DEPTHWISE_DILATED = (
    *DEPTHWISE_GENERIC,
    "outputs*dilated_height",
    "outputs*dilated_width",
    "quotient_bits",
    "negative_quotients",
)
DEPTHWISE_MULT_4 = ("operator", "rows", "positions", "positions*inputs", "tiles", "tile_rows", "tile_taps")

FEATURES: dict[str, tuple[str, ...]] = {
    "depthwise_3x3_dsp": DEPTHWISE_3X3,
    "depthwise_3x3_scalar": DEPTHWISE_3X3,
    "depthwise_opt_dsp": DEPTHWISE_OPT_DSP,
    "depthwise_opt_mve": DEPTHWISE_OPT_MVE,
    "depthwise_generic": DEPTHWISE_GENERIC,
    "depthwise_dilated": DEPTHWISE_DILATED,
    "depthwise_mult_4": DEPTHWISE_MULT_4,
}


def depthwise_conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_depthwise_conv_wrapper_s8`: 3x3, optimised, generic, or a convolution of one input channel."""
    options = op.options
    assert isinstance(options, DepthwiseConv2DOptions)
    batch, height, width, depth = tensors[op.inputs[0]].shape
    _, kernel_h, kernel_w, channels = tensors[op.inputs[1]].shape
    _, out_h, out_w, _ = tensors[op.outputs[0]].shape
    stride_h, stride_w = options.stride_h, options.stride_w
    dilation_h, dilation_w = options.dilation_h, options.dilation_w
    pad_h = pad_before(options.padding, height, out_h, kernel_h, stride_h, dilation_h)
    pad_w = pad_before(options.padding, width, out_w, kernel_w, stride_w, dilation_w)
    rows_in = taps_inside(height, out_h, kernel_h, stride_h, pad_h, dilation_h)
    multiplier = channels // depth

    if isa == "mve" and depth == 1 and channels > 1:
        # arm_depthwise_conv_to_conv_s8: arm_transpose_s8 on the filter, then the convolution's own wrapper.
        taps = kernel_h * kernel_w
        return convolution(
            isa,
            (height, width, 1),
            (channels, kernel_h, kernel_w, 1),
            (out_h, out_w),
            options,
            transposed=(1, kernel_h, taps, taps * channels),
            batch=batch,
        )
    # The fast kernels take batches of one.
    plain = multiplier == 1 and dilation_h == dilation_w == 1 and batch == 1
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
    if multiplier % 4 == 0 and dilation_h == dilation_w == 1 and batch == 1:
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
        return "depthwise_generic", repeated(DEPTHWISE_GENERIC, trips, batch)
    bits_h, negative_h = _divisions(height, out_h, stride_h, pad_h, dilation_h)
    bits_w, negative_w = _divisions(width, out_w, stride_w, pad_w, dilation_w)
    dilated = (
        *trips,
        outputs if dilation_h > 1 else 0,
        outputs if dilation_w > 1 else 0,
        (bits_h * out_w + bits_w * out_h) * channels,
        (negative_h * out_w + negative_w * out_h) * channels,
    )
    return "depthwise_dilated", repeated(DEPTHWISE_DILATED, dilated, batch)


def _divisions(extent: int, outputs: int, stride: int, pad: int, dilation: int) -> tuple[int, int]:
    """(bits, negative) of the quotients by which a dimension's outputs find their first and last tap.

    A core without a divider takes its time by the bits; a dilation of 1 is not divided by.
    """
    if dilation == 1:
        return 0, 0
    bits = negative = 0
    for output in range(outputs):
        base = output * stride - pad
        first = dilation - 1 - base
        bits += (abs(first) // dilation).bit_length()
        bits += ((extent - base + dilation - 1) // dilation).bit_length()
        negative += first < 0
    return bits, negative


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
        positions * quads if taps > 1 else 0,
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
