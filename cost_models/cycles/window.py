"""Where the window of a convolution or a pool lies on its input."""

from __future__ import annotations

from typing import NamedTuple

from cost_models.cycles.counting import pad_before, taps_inside
from cost_models.graph import Conv2DOptions, DepthwiseConv2DOptions, Operator, Pool2DOptions, Tensor


class Window(NamedTuple):
    """Extents of a convolution or a pool of one sample."""

    depth: int
    """Channels of the input."""
    channels: int
    """Channels of the output."""
    out_h: int
    out_w: int
    kernel_h: int
    kernel_w: int
    rows_in: int
    """Pairs (output row, kernel row) whose tap lies inside the input."""
    columns_in: int
    """Pairs (output column, kernel column) whose tap lies inside the input."""

    @property
    def positions(self) -> int:
        """Places of the output, whatever the channel."""
        return self.out_h * self.out_w

    @property
    def inside(self) -> int:
        """Pairs (position, tap) whose tap lies inside the input."""
        return self.rows_in * self.columns_in


def window(op: Operator, tensors: tuple[Tensor, ...]) -> Window:
    """The window of a CONV_2D, DEPTHWISE_CONV_2D, AVERAGE_POOL_2D, MAX_POOL_2D or L2_POOL_2D."""
    options = op.options
    _, height, width, depth = tensors[op.inputs[0]].shape
    _, out_h, out_w, channels = tensors[op.outputs[0]].shape
    if isinstance(options, Pool2DOptions):
        kernel_h, kernel_w = options.filter_h, options.filter_w
        dilation_h = dilation_w = 1
    else:
        assert isinstance(options, Conv2DOptions | DepthwiseConv2DOptions)
        kernel_h, kernel_w = tensors[op.inputs[1]].shape[1:3]
        dilation_h, dilation_w = options.dilation_h, options.dilation_w
    stride_h, stride_w = options.stride_h, options.stride_w
    pad_h = pad_before(options.padding, height, out_h, kernel_h, stride_h, dilation_h)
    pad_w = pad_before(options.padding, width, out_w, kernel_w, stride_w, dilation_w)
    rows_in = taps_inside(height, out_h, kernel_h, stride_h, pad_h, dilation_h)
    columns_in = taps_inside(width, out_w, kernel_w, stride_w, pad_w, dilation_w)
    return Window(depth, channels, out_h, out_w, kernel_h, kernel_w, rows_in, columns_in)
