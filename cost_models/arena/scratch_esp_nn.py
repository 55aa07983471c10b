"""Scratch buffers that ESP-NN asks for: its get_scratch_size rules for generic C, the ESP32-S3 and the ESP32-P4.

Source: espressif/esp-nn d45b843c, the `esp_nn_get_*_scratch_size_*` functions, called with the dimensions that
espressif/esp-tflite-micro 99f49e14 passes in Prepare.
"""

from __future__ import annotations

from cost_models.arena.build import Build
from cost_models.arena.scratch import Shape, leading_padding
from cost_models.graph import Conv2DOptions, DepthwiseConv2DOptions

# Padded inputs above which the ESP32-S3's depthwise convolutions work in strips of rows.
_WHOLE_INPUT_BYTES = 40 * 1024
_WHOLE_INT16_BYTES = 48 * 1024
# What the ESP32-P4's convolution keeps of the first-level cache for one tile (L1D_BUDGET).
_TILE_BYTES = 32768


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def convolution(build: Build, options: Conv2DOptions, input_: Shape, filter_: Shape, output: Shape) -> int:
    """Bytes for CONV_2D; 0 means that none are asked for."""
    if build.esp_nn == "generic":
        return 0
    rule = _convolution_p4 if build.esp_nn == "esp32p4" else _convolution_s3
    _, height, width, channels = input_
    _, filter_h, filter_w, _ = filter_
    # Asked for with dilation as well, though a dilated convolution then runs TFLM's portable kernel.
    pad_h = leading_padding(options.padding, options.stride_h, options.dilation_h, height, filter_h)
    pad_w = leading_padding(options.padding, options.stride_w, options.dilation_w, width, filter_w)
    pointwise = filter_h == filter_w == options.stride_h == options.stride_w == 1 and not pad_h and not pad_w
    return rule(options, (height, width, channels), (filter_h, filter_w), (pad_h, pad_w), output, pointwise)


def _pointwise(height: int, width: int, channels: int, outputs: int) -> int:
    """Filter and, where channels are not a multiple of 8, input in whole blocks; eight transposed positions."""
    padded = _up(channels, 8)
    transposed = 16 * padded if height * width >= 8 else 0
    return (height * width * padded if channels % 8 else 0) + padded * outputs + transposed


def _convolution_s3(
    options: Conv2DOptions,
    input_: Shape,
    filter_: tuple[int, int],
    pads: tuple[int, int],
    output: Shape,
    pointwise: bool,
) -> int:
    height, width, channels = input_
    filter_h, filter_w = filter_
    pad_h, pad_w = pads
    _, out_h, out_w, outputs = output
    if pointwise:
        return _pointwise(height, width, channels, outputs) + 64
    row = filter_w * channels
    window = row * filter_h
    if row < 16 <= window:  # im2col: sums, the aligned filter and one window
        column = _up(window, 16)
        return 4 * outputs + 16 + outputs * column + 16 + column + 64
    padded_input = (width + 2 * pad_w) * (height + 2 * pad_h) * channels if pad_w or pad_h else 0
    filter_copy = filter_w * filter_h * _up(channels, 16) * outputs + _up(row, 16) * filter_h * outputs
    right = max(0, out_w * options.stride_w + filter_w - 1 - width)
    bottom = max(0, out_h * options.stride_h + filter_h - 1 - height)
    boundary = (width + right) * (height + bottom) * channels if right or bottom else 0
    return padded_input + filter_copy + boundary + 64 + 4 * outputs


def _convolution_p4(
    options: Conv2DOptions,
    input_: Shape,
    filter_: tuple[int, int],
    pads: tuple[int, int],
    output: Shape,
    pointwise: bool,
) -> int:
    height, width, channels = input_
    filter_h, filter_w = filter_
    pad_h, pad_w = pads
    _, out_h, _, outputs = output
    sums = 4 * outputs
    if pointwise:
        if channels < 16:
            return sums + 16 * outputs + 32 + 32
        return _pointwise(height, width, channels, outputs) + 32
    taps = filter_w * filter_h
    padded = pad_w or pad_h
    if not padded and filter_w * channels >= 16:
        return taps * _up(channels, 16) * outputs + 32 + sums
    if taps * channels >= 16:
        return sums + taps * channels + 32
    # A window of fewer than 16 values: rows are widened to 16 channels' worth.
    wide = _up(_up(16, filter_w) // filter_w, 16)
    wide_filter = taps * wide * outputs
    if not padded:
        return sums + wide_filter + width * height * wide + 32
    padded_w = width + 2 * pad_w
    whole = padded_w * (height + 2 * pad_h) * channels
    if whole + sums <= _TILE_BYTES:
        return whole + taps * _up(channels, 16) * outputs + 32 + sums
    row = padded_w * wide
    left = _TILE_BYTES - sums - wide_filter
    rows = 1
    if left > 0 and filter_h * row <= left:
        rows = min((left - filter_h * row) // (options.stride_h * row) + 1, out_h)
    tile = ((rows - 1) * options.stride_h + filter_h + 2 * pad_h) * row
    return tile + wide_filter + 32 + sums


def depthwise(
    build: Build, options: DepthwiseConv2DOptions, input_: Shape, filter_: Shape, output: Shape
) -> int:
    """Bytes for DEPTHWISE_CONV_2D; 0 means that none are asked for."""
    if build.esp_nn != "esp32s3":
        return 0
    _, height, width, channels = input_
    _, filter_h, filter_w, _ = filter_
    _, out_h, out_w, _ = output
    multiplier = options.depth_multiplier
    taps = filter_w * filter_h
    weights = taps * channels * multiplier
    values = width * height * channels
    if multiplier == 1 and channels % 8 == 0:
        if filter_w == filter_h == 3 and channels > 8:
            return _depthwise_3x3(options, (height, width, channels), (out_h, out_w))
        if filter_w == filter_h == 3 or 2 * (weights + values) <= _WHOLE_INT16_BYTES:
            return 2 * (weights + values) + 32
        return 2 * (weights + width * filter_h * channels) + 32
    if multiplier == 1 and channels > 3:
        padded = _up(channels, 8)
        # Filter and input as int16, the output, then bias, shifts and multipliers: each from a multiple of 16 on.
        total = 0
        for size in (2 * taps * padded, 2 * width * height * padded, out_w * out_h * padded):
            total = _up(total + size, 16)
        return total + 12 * padded + 16
    if multiplier % 4 == 0:
        return 2 * (weights + values) + 32
    return 32


def _depthwise_3x3(options: DepthwiseConv2DOptions, input_: Shape, output: tuple[int, int]) -> int:
    """The ESP32-S3's 3x3 kernel for 16 channels at a time."""
    height, width, channels = input_
    out_h, out_w = output
    pad_h = leading_padding(options.padding, options.stride_h, options.dilation_h, height, 3)
    pad_w = leading_padding(options.padding, options.stride_w, options.dilation_w, width, 3)
    beyond_h = out_h * options.stride_h + 2 - height
    beyond_w = out_w * options.stride_w + 2 - width
    if channels % 16:
        padded = _up(channels, 16)
        in_h = height + 2 * pad_h + max(0, beyond_h)
        in_w = width + 2 * pad_w + max(0, beyond_w)
        return (9 + in_w * in_h + out_w * out_h) * padded + 64
    more_h, more_w = (2 * pad_h, 2 * pad_w) if pad_h or pad_w else (beyond_h, beyond_w)
    if not (more_h or more_w):
        return 9 * channels + 16
    whole = (width + more_w) * (height + more_h) * channels
    if whole > _WHOLE_INPUT_BYTES:
        whole = (width + more_w) * 3 * channels
    return 9 * channels + whole + 16
