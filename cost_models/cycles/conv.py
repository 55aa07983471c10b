"""Which CMSIS-NN kernel a convolution or dense layer takes, and its trip counts."""

from __future__ import annotations

from cost_models.cycles import dense, gemm
from cost_models.cycles.counting import (
    copy_instructions,
    fill_instructions,
    pad_before,
    taps_inside,
)
from cost_models.graph import Conv2DOptions, DepthwiseConv2DOptions, Operator, Tensor
from cost_models.summing import ordered_sum

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

# What a depthwise convolution of one channel does first with Helium: its filter is transposed, tap by tap.
TRANSPOSED = ("transposed", "transposed_rows", "transposed_taps", "transposed_elements")
_NOT_TRANSPOSED = (0, 0, 0, 0)
# What an operator does once, however many samples its batch has.
_ONCE = frozenset({"operator", "strided", *TRANSPOSED})

FEATURES: dict[str, tuple[str, ...]] = {
    "conv_1x1_dsp": ("strided", *gemm.NT_T_DSP),
    "conv_1x1_scalar": ("strided", *gemm.NT_T_SCALAR),
    "conv_1x1_mve": ("strided", *gemm.NT_T_MVE, *TRANSPOSED),
    "conv_1_x_n_mve": (*gemm.NT_T_MVE, "edge_vectors", *TRANSPOSED),
    "conv_im2col_dsp": gemm.IM2COL_DSP,
    "conv_im2col_scalar": gemm.IM2COL_SCALAR,
    "conv_grouped_dsp": gemm.IM2COL_DSP,
    "conv_grouped_scalar": gemm.IM2COL_SCALAR,
    "conv_im2col_mve": (*gemm.IM2COL_MVE, *TRANSPOSED),
    "dense_dsp": dense.DENSE_DSP,
    "dense_scalar": dense.DENSE_SCALAR,
    "dense_mve": dense.DENSE_MVE,
    # One scale for all channels, as converters before TensorFlow 2.17 wrote: arm_nn_vec_mat_mult_t_s8.
    "dense_tensor_dsp": dense.DENSE_DSP,
    "dense_tensor_scalar": dense.DENSE_SCALAR,
    "dense_tensor_mve": dense.DENSE_MVE,
}


def conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_convolve_wrapper_s8`."""
    options = op.options
    assert isinstance(options, Conv2DOptions)
    batch, height, width, depth = tensors[op.inputs[0]].shape
    _, out_h, out_w, _ = tensors[op.outputs[0]].shape
    filters = tensors[op.inputs[1]].shape
    return convolution(isa, (height, width, depth), filters, (out_h, out_w), options, batch=batch)


def repeated(names: tuple[str, ...], trips: tuple[float, ...], batch: int) -> tuple[float, ...]:
    """Trip counts of a kernel that goes round once for each sample of a batch, but for what it does once."""
    return tuple(count if name in _ONCE else count * batch for name, count in zip(names, trips, strict=True))


def convolution(
    isa: str,
    source: tuple[int, int, int],
    filters: tuple[int, ...],
    out: tuple[int, int],
    options: Conv2DOptions | DepthwiseConv2DOptions,
    transposed: tuple[float, ...] = _NOT_TRANSPOSED,
    batch: int = 1,
) -> Trips:
    """1x1, 1xN (Helium only) or im2col, as the wrapper chooses; `transposed` is counted with Helium only."""
    if batch != 1:
        return _of_a_batch(isa, source, filters, out, options, transposed, batch)
    height, width, depth = source
    channels, kernel_h, kernel_w, filter_depth = filters
    out_h, out_w = out
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
            return product(isa, height * width, channels, depth, 1, 0, transposed)
        return product(isa, out_w, channels, depth, out_h, 1, transposed)
    if isa == "mve" and height == kernel_h == dilation_w == 1 and depth == filter_depth:
        counts = _conv_1_x_n_mve(width, depth, channels, kernel_w, out_w, stride_w, pad_w)
        if counts is not None:
            return "conv_1_x_n_mve", (*counts, *transposed)
    return im2col(
        isa,
        source,
        (channels, kernel_h, kernel_w, filter_depth),
        out,
        (
            taps_inside(height, out_h, kernel_h, stride_h, pad_h, dilation_h),
            taps_inside(width, out_w, kernel_w, stride_w, pad_w, dilation_w),
        ),
        transposed,
    )


def _of_a_batch(
    isa: str,
    source: tuple[int, int, int],
    filters: tuple[int, ...],
    out: tuple[int, int],
    options: Conv2DOptions | DepthwiseConv2DOptions,
    transposed: tuple[float, ...],
    batch: int,
) -> Trips:
    """The kernels loop over the samples; only the 1x1 product without strides takes all their rows at once."""
    path, trips = convolution(isa, source, filters, out, options, transposed)
    if path.startswith("conv_1x1") and options.stride_h == options.stride_w == 1:
        return product(isa, batch * source[0] * source[1], filters[0], source[2], 1, 0, transposed)
    return path, repeated(FEATURES[path], trips, batch)


def product(
    isa: str,
    rows: int,
    channels: int,
    depth: int,
    calls: int,
    strided: int = 0,
    transposed: tuple[float, ...] = _NOT_TRANSPOSED,
) -> Trips:
    """The 1x1 convolution: one product, or with a stride one for each output row."""
    if isa == "dsp":
        return "conv_1x1_dsp", (strided, *gemm.nt_t_dsp(rows, channels, depth, calls))
    if isa == "mve":
        return "conv_1x1_mve", (strided, *gemm.nt_t_mve(rows, channels, depth, calls), *transposed)
    return "conv_1x1_scalar", (strided, *gemm.nt_t_scalar(rows, channels, depth, calls))


def im2col(
    isa: str,
    source: tuple[int, int, int],
    filters: tuple[int, int, int, int],
    out: tuple[int, int],
    inside: tuple[int, int],
    transposed: tuple[float, ...] = _NOT_TRANSPOSED,
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
        counts = gemm.im2col_mve(out[0], positions, group_channels, columns, moves, groups)
        return "conv_im2col_mve", (*counts, *transposed)
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
) -> tuple[float, ...] | None:
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
    return (*(ordered_sum(counts) for counts in zip(*parts, strict=True)), edge)


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
    name = "dense_tensor" if tensors[op.inputs[1]].scales == 1 else "dense"
    if isa == "dsp":
        return f"{name}_dsp", dense.dense_dsp(channels, depth, batches, bias)
    if isa == "mve":
        return f"{name}_mve", dense.dense_mve(channels, depth, batches)
    return f"{name}_scalar", dense.dense_scalar(channels, depth, batches, bias)
