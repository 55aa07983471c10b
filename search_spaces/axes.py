"""Shared parts of the spaces: task shapes as maps, choices that scale with the length of an axis, first layers."""

from __future__ import annotations

from cost_models.errors import UserError
from search_spaces.arch import Sketch
from search_spaces.layers import INPUT, Conv, LayerActivation, Shape
from search_spaces.space import Suggest

LONGEST_SIGNAL = 2048  # positions after the first convolution
LONGEST_SIDE = 128
SHORTEST = 7
SMALLEST = 4  # a map shorter than this is not halved any more


def as_map(input_shape: Shape) -> tuple[int, int, int]:
    """The task's example as a map (height, width, channels); a signal (time, channels) is a map of width 1."""
    if len(input_shape) == 3:
        height, width, channels = input_shape
        return height, width, channels
    if len(input_shape) == 2:
        return input_shape[0], 1, input_shape[1]
    raise UserError(
        f"This search space needs images (height, width, channels) or signals (time, channels), not {input_shape}.",
        "For plain vectors take the space mlp.",
    )


def width(trial: Suggest, name: str, low: int, high: int) -> int:
    """Ask for a number of channels, evenly by ratio, and round it to a multiple of four."""
    return max(4, round(trial.suggest_int(name, low, high, log=True) / 4) * 4)


def stem_strides(height: int, width: int) -> tuple[int, int]:
    """Smallest and largest exponent of two for the first stride, given the map that it strides over.

    A raw signal of thousands of samples must shrink at once, a small image can hardly shrink at all.
    """
    length = max(height, width)
    longest = LONGEST_SIGNAL if min(height, width) == 1 else LONGEST_SIDE
    low = 0
    while length >> low > longest:
        low += 1
    high = low
    while high < low + 3 and length >> (high + 1) >= SHORTEST:
        high += 1
    return low, high


def stem_kernel(size: int, stride: int) -> int:
    """The first kernel's length: it grows with the stride so that no sample is skipped; always odd."""
    return (size * max(1, stride // 2)) | 1


def along(height: int, width: int, value: int) -> tuple[int, int]:
    """`value` along both axes of an image, along time only for a signal (a map of width 1)."""
    return (value if height > 1 else 1, value if width > 1 else 1)


def stem(
    trial: Suggest, shape: tuple[int, int, int], *, widest: int, activation: LayerActivation = "RELU"
) -> tuple[Sketch, int]:
    """Ask for the first convolution of a map, and draw it.

    Args:
        trial: Where choices come from.
        shape: The map, see `as_map`.
        widest: Most channels.
        activation: Behind it.

    Returns:
        The network so far, and the layer's index in it.
    """
    net = Sketch(shape)
    stride = 2 ** trial.suggest_int("stem_stride_log2", *stem_strides(shape[0], shape[1]))
    kernel = stem_kernel(trial.suggest_int("stem_kernel", 3, 7, step=2), stride)
    layer = Conv(
        inputs=(INPUT,),
        filters=width(trial, "stem_width", 4, widest),
        kernel=along(shape[0], shape[1], kernel),
        strides=along(shape[0], shape[1], stride),
        activation=activation,
    )
    return net, net.add(layer)


def block_stride(net: Sketch, source: int, *, halves: bool) -> int:
    """2 for a block that is to halve the map it reads, as long as that has something left to halve; else 1."""
    height, breadth, _ = net.shape_of(source)
    return 2 if halves and max(height, breadth) >= SMALLEST else 1
