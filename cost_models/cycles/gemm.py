"""Trip counts of CMSIS-NN's matrix products: 1x1 and im2col convolution.

A loop costs when it is entered and for each of its trips, so `f*entered(n)` (f where n > 0) stands before
`f*n`. "tile" is two output channels by two output positions.
"""

from __future__ import annotations

NT_T_DSP = (
    "operator",
    "products",
    "products*entered(pairs)",
    "pairs",
    "pairs*entered(halves)",
    "pairs*depth",
    "tiles",
    "tiles*entered(blocks16)",
    "tiles*blocks16",
    "tiles*entered(blocks4)",
    "tiles*blocks4",
    "tiles*entered(rest)",
    "tiles*rest",
    "odd_rows",
    "odd_rows*entered(blocks16)",
    "odd_rows*blocks16",
    "odd_rows*entered(blocks4)",
    "odd_rows*blocks4",
    "odd_rows*entered(rest)",
    "odd_rows*rest",
    "odd_channel",
    "odd_channel*rows",
    "odd_channel*rows*depth",
)
NT_T_SCALAR = (
    "operator",
    "products",
    "products*entered(pairs)",
    "pairs",
    "pairs*entered(halves)",
    "pairs*depth",
    "tiles",
    "tiles*depth",
    "odd_rows",
    "odd_rows*depth",
    "odd_channel",
    "odd_channel*rows",
    "odd_channel*rows*depth",
)
NT_T_MVE = (
    "operator",
    "products",
    "products*entered(quads_of_rows)",
    "products*entered(single_rows)",
    "quads_of_rows",
    "tiles",
    "tiles*vectors",
    "single_rows",
    "singles",
    "singles*vectors",
    "singles_requantized_by_4",
    "single_rows*entered(requantized_by_1)",
    "singles_requantized_by_1",
)


def nt_t_dsp(rows: int, channels: int, depth: int, calls: int) -> tuple[float, ...]:
    """`arm_nn_mat_mult_nt_t_s8` with SMLAD: 2x2 tiles, 16 then 4 then 1 columns a step."""
    pairs = (channels >> 1) * calls
    tiles = pairs * (rows >> 1)
    odd = pairs if rows & 1 else 0
    single = calls if channels & 1 else 0
    blocks16 = depth >> 4
    blocks4 = (depth & 15) >> 2
    rest = depth & 3
    return (
        1,
        calls,
        calls if pairs else 0,
        pairs,
        pairs if rows > 1 else 0,
        pairs * depth,
        tiles,
        tiles if blocks16 else 0,
        tiles * blocks16,
        tiles if blocks4 else 0,
        tiles * blocks4,
        tiles if rest else 0,
        tiles * rest,
        odd,
        odd if blocks16 else 0,
        odd * blocks16,
        odd if blocks4 else 0,
        odd * blocks4,
        odd if rest else 0,
        odd * rest,
        single,
        single * rows,
        single * rows * depth,
    )


def nt_t_scalar(rows: int, channels: int, depth: int, calls: int) -> tuple[float, ...]:
    """`arm_nn_mat_mult_nt_t_s8` without SIMD: 2x2 tiles, one column a step."""
    pairs = (channels >> 1) * calls
    tiles = pairs * (rows >> 1)
    odd = pairs if rows & 1 else 0
    single = calls if channels & 1 else 0
    return (
        1,
        calls,
        calls if pairs else 0,
        pairs,
        pairs if rows > 1 else 0,
        pairs * depth,
        tiles,
        tiles * depth,
        odd,
        odd * depth,
        single,
        single * rows,
        single * rows * depth,
    )


def nt_t_mve(rows: int, channels: int, depth: int, calls: int) -> tuple[float, ...]:
    """`arm_nn_mat_mult_nt_t_s8` with Helium: four rows by one channel, 16 columns a step."""
    vectors = (depth + 15) >> 4
    quads = (rows >> 2) * calls
    tiles = quads * channels
    single_rows = (rows & 3) * calls
    singles = single_rows * channels
    tail = channels & 3
    return (
        1,
        calls,
        calls if quads else 0,
        calls if single_rows else 0,
        quads,
        tiles,
        tiles * vectors,
        single_rows,
        singles,
        singles * vectors,
        single_rows * (channels >> 2),
        single_rows if tail else 0,
        single_rows * tail,
    )


GATHER = (
    "tap_rows",
    "taps",
    "copies",
    "copy_instructions",
    "fills_by_row",
    "fills_by_column",
    "fill_instructions",
)
IM2COL_DSP = (
    "operator",
    "groups",
    "rows",
    "positions",
    "positions*entered(blocks4)",
    "positions*blocks4",
    "positions*entered(rest)",
    "positions*rest",
    *GATHER,
    "halves",
    "halves*entered(tiles)",
    "tiles",
    "tiles*entered(blocks4)",
    "tiles*blocks4",
    "tiles*entered(rest)",
    "tiles*rest",
    "odd_channel",
    "odd_channel*entered(blocks4)",
    "odd_channel*blocks4",
    "odd_channel*entered(rest)",
    "odd_channel*rest",
    "left_over",
    "left_over*entered(blocks4)",
    "left_over*blocks4",
    "left_over*entered(rest)",
    "left_over*rest",
)
IM2COL_SCALAR = (
    "operator",
    "groups",
    "rows",
    "positions",
    "positions*depth",
    *GATHER,
    "halves",
    "halves*entered(tiles)",
    "tiles",
    "tiles*depth",
    "odd_channel",
    "odd_channel*depth",
    "left_over",
    "left_over*depth",
)
IM2COL_MVE = (
    "rows",
    "positions",
    "tap_rows",
    "taps",
    "fills_by_row",
    "fills_by_column",
    "copy_vectors",
    "fill_vectors",
    *NT_T_MVE,
)


def im2col_dsp(
    rows: int, positions: int, channels: int, depth: int, gather: tuple[float, ...], groups: int
) -> tuple[float, ...]:
    """`arm_convolve_s8` with SMLAD: 16-bit im2col, then two positions by two channels, 4 columns a step.

    Args:
        rows: Output rows.
        positions: Output positions of one group.
        channels: Output channels of one group.
        depth: Columns: kernel height x width x channels of one filter.
        gather: The numbers named by `GATHER`, of all groups together.
        groups: Number of groups.
    """
    blocks4 = depth >> 2
    rest = depth & 3
    visits = positions * groups
    halves = (positions >> 1) * groups
    tiles = halves * (channels >> 1)
    odd = halves if channels & 1 else 0
    left = channels * groups if positions & 1 else 0
    return (
        1,
        groups,
        rows * groups,
        visits,
        visits if blocks4 else 0,
        visits * blocks4,
        visits if rest else 0,
        visits * rest,
        *gather,
        halves,
        halves if tiles else 0,
        tiles,
        tiles if blocks4 else 0,
        tiles * blocks4,
        tiles if rest else 0,
        tiles * rest,
        odd,
        odd if blocks4 else 0,
        odd * blocks4,
        odd if rest else 0,
        odd * rest,
        left,
        left if blocks4 else 0,
        left * blocks4,
        left if rest else 0,
        left * rest,
    )


def im2col_scalar(
    rows: int, positions: int, channels: int, depth: int, gather: tuple[float, ...], groups: int
) -> tuple[float, ...]:
    """`arm_convolve_s8` without SIMD; arguments as `im2col_dsp`."""
    visits = positions * groups
    halves = (positions >> 1) * groups
    tiles = halves * (channels >> 1)
    odd = halves if channels & 1 else 0
    left = channels * groups if positions & 1 else 0
    return (
        1,
        groups,
        rows * groups,
        visits,
        visits * depth,
        *gather,
        halves,
        halves if tiles else 0,
        tiles,
        tiles * depth,
        odd,
        odd * depth,
        left,
        left * depth,
    )


def im2col_mve(
    rows: int, positions: int, channels: int, depth: int, gather: tuple[float, ...], groups: int
) -> tuple[float, ...]:
    """`arm_convolve_s8` with Helium: 8-bit im2col of four positions, then the 4-row product.

    Args:
        rows: Output rows.
        positions: Output positions of one group.
        channels: Output channels of one group.
        depth: Columns: kernel height x width x channels of one filter.
        gather: The six numbers from `tap_rows` to `fill_vectors`, of all groups together.
        groups: Number of groups.
    """
    product = nt_t_mve(positions, channels, depth, groups)
    quads = (positions >> 2) * groups
    left = groups if positions & 3 else 0
    return (rows * groups, positions * groups, *gather, 1, quads + left, quads, left, *product[4:])
