"""Scratch buffers that CMSIS-NN asks for: its get_buffer_size rules for plain, DSP and Helium cores.

Source: CMSIS-NN 4ab83cc3, Source/*/arm_*_get_buffer_sizes_s8.c, compiled by GCC (no __ARMCC_VERSION).
"""

from __future__ import annotations

from cost_models.arena.build import Build
from cost_models.errors import UserError
from cost_models.graph import Conv2DOptions, DepthwiseConv2DOptions, TransposeConv2DOptions

Shape = tuple[int, ...]

# Channels that one block of the Helium depthwise convolution takes (CH_IN_BLOCK_MVE).
_DEPTHWISE_BLOCK = 124
# Input channels above which a transposed convolution runs as a convolution (REVERSE_TCOL_EFFICIENT_THRESHOLD).
_REVERSE_CHANNELS = 16


def leading_padding(padding: str, stride: int, dilation: int, size: int, filter_size: int) -> int:
    """Padding on the leading side of one axis.

    Source: tensorflow/lite/kernels/padding.h, ComputePaddingHeightWidth.
    """
    if padding != "SAME":
        return 0
    total = ((size + stride - 1) // stride - 1) * stride + (filter_size - 1) * dilation + 1 - size
    return total // 2 if total > 0 else 0


def convolution(build: Build, options: Conv2DOptions, input_: Shape, filter_: Shape, output: Shape) -> int:
    """Bytes for CONV_2D; 0 means that none are asked for."""
    _, height, width, channels = input_
    _, filter_h, filter_w, filter_c = filter_
    length = filter_h * filter_w * channels
    if filter_h == 1 and channels == filter_c and options.dilation_w == 1:
        # A 1x1 or a 1xN convolution, if the padding and the strides allow it.
        pad_w = leading_padding(options.padding, options.stride_w, 1, width, filter_w)
        if filter_w == 1 and options.dilation_h == 1:
            pad_h = leading_padding(options.padding, options.stride_h, 1, height, 1)
            if pad_h == pad_w == 0:
                return 0
        if build.mve and height == 1 and options.stride_w * channels % 4 == 0:
            return _one_row(channels, width, filter_w, output[2], pad_w, options.stride_w)
    return _im2col(build, length)


def convolution_int16(build: Build, input_: Shape, filter_: Shape) -> int:
    """Bytes for CONV_2D on int16: two columns, or four in whole Helium registers, of all channels however grouped."""
    length = filter_[1] * filter_[2] * input_[3]
    return 64 * -(-length // 8) if build.mve else 4 * length


def _im2col(build: Build, length: int) -> int:
    """Two columns of 16-bit values, or four of 8-bit values in whole Helium registers."""
    if build.mve:
        return 64 * ((length + 15) // 16)
    return 4 * ((length + 3) // 4 * 4)


def _one_row(channels: int, width: int, filter_w: int, out_w: int, pad_w: int, stride_w: int) -> int:
    """Helium's 1xN convolution copies only the padded ends of the row."""
    total = (out_w - 1) * stride_w + filter_w - width
    odd = total % 2 if total >= 0 else -(-total % 2)
    right = 0
    if pad_w + odd != 0:
        # C's division truncates: a negative numerator gives 0, and the maximum takes over.
        right = max(1, max(0, pad_w + odd + stride_w - 1) // stride_w)
    left = max(1, (pad_w + stride_w - 1) // stride_w) if pad_w else 0
    if right + left + max(out_w - right - left, 0) != out_w:
        return 64 * ((filter_w * channels + 15) // 16)
    size_left = pad_w * channels
    size_right = right * channels if odd else size_left
    elements = filter_w * channels
    return max(elements + size_left, elements - channels + size_right)


def depthwise(
    build: Build, options: DepthwiseConv2DOptions, input_: Shape, filter_: Shape, output: Shape
) -> int:
    """Bytes for DEPTHWISE_CONV_2D; 0 means that none are asked for.

    Raises:
        UserError: A case that depends on memory that TFLM leaves uninitialized.
    """
    if not (build.mve or build.dsp):
        return 0
    batch, height, width, channels = input_
    _, filter_h, filter_w, _ = filter_
    out_channels = output[3]
    if build.mve and channels == 1 and out_channels > 1:
        # The layer runs as a convolution; the transposed filter follows the im2col buffer.
        padding, length = options.padding, filter_h * filter_w
        pads = leading_padding(
            padding, options.stride_h, options.dilation_h, height, filter_h
        ) or leading_padding(padding, options.stride_w, options.dilation_w, width, filter_w)
        if length == options.dilation_h == options.dilation_w == 1 and not pads:
            return out_channels
        if height == filter_h == options.dilation_w == 1:
            raise UserError(
                "TFLM sizes the scratch of a DEPTHWISE_CONV_2D of one channel and one row for Helium from an "
                "uninitialized value, so it cannot be predicted.",
                "Use a CONV_2D instead.",
            )
        return _im2col(build, length) + out_channels * length
    if channels != out_channels or batch != 1 or options.dilation_h != 1 or options.dilation_w != 1:
        return 0
    if build.mve:
        return 4 * _DEPTHWISE_BLOCK * filter_w * filter_h
    if (
        filter_h == filter_w == 3
        and leading_padding(options.padding, options.stride_h, 1, height, 3) <= 1
        and leading_padding(options.padding, options.stride_w, 1, width, 3) <= 1
    ):
        return 0
    return 2 * channels * filter_w * filter_h


def transpose_convolution(
    build: Build, options: TransposeConv2DOptions, input_: Shape, filter_: Shape, output: Shape
) -> tuple[int, int]:
    """Bytes for TRANSPOSE_CONV: the working buffer and the reversed filter; both are always asked for."""
    _, _, width, channels = input_
    out_channels, filter_h, filter_w, _ = filter_
    stride_h, stride_w = options.stride_h, options.stride_w
    if stride_h <= 2 and stride_w <= 2 and channels > _REVERSE_CHANNELS:
        length = filter_h * filter_w * channels
        return _im2col(build, length), length * out_channels
    columns = ((width - 1) * stride_w + max(filter_w, stride_h)) * output[3]
    return columns * max(filter_h, stride_h) * 4, 0
