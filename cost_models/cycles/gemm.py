"""Trip counts of CMSIS-NN's matrix products: 1x1 convolution, im2col convolution and fully connected."""

from __future__ import annotations

# Feature names of each path, in the order of the numbers that the functions below return.
# "pair" is two output channels by two output positions, "column" one output channel or position of it.
NT_T_DSP = (
    "calls",
    "channel_pairs",
    "channel_pairs*depth",
    "pairs",
    "pairs*blocks16",
    "pairs*blocks4",
    "pairs*rest",
    "odd_rows",
    "odd_rows*blocks16",
    "odd_rows*blocks4",
    "odd_rows*rest",
    "odd_channel",
    "odd_channel*rows",
    "odd_channel*rows*depth",
)
NT_T_SCALAR = (
    "calls",
    "channel_pairs",
    "channel_pairs*depth",
    "pairs",
    "pairs*depth",
    "odd_rows",
    "odd_rows*depth",
    "odd_channel",
    "odd_channel*rows",
    "odd_channel*rows*depth",
)
NT_T_MVE = (
    "calls",
    "quads",
    "quads*vectors",
    "single_rows",
    "singles",
    "singles*vectors",
    "singles_requantized_by_4",
    "singles_requantized_by_1",
)


def nt_t_dsp(rows: int, channels: int, depth: int, calls: int) -> tuple[int, ...]:
    """`arm_nn_mat_mult_nt_t_s8` with SMLAD: 2x2 tiles, 16 then 4 then 1 columns a step."""
    pairs = (channels >> 1) * calls
    tiles = pairs * (rows >> 1)
    odd = pairs if rows & 1 else 0
    single = calls if channels & 1 else 0
    blocks16 = depth >> 4
    blocks4 = (depth & 15) >> 2
    rest = depth & 3
    return (
        calls,
        pairs,
        pairs * depth,
        tiles,
        tiles * blocks16,
        tiles * blocks4,
        tiles * rest,
        odd,
        odd * blocks16,
        odd * blocks4,
        odd * rest,
        single,
        single * rows,
        single * rows * depth,
    )


def nt_t_scalar(rows: int, channels: int, depth: int, calls: int) -> tuple[int, ...]:
    """`arm_nn_mat_mult_nt_t_s8` without SIMD: 2x2 tiles, one column a step."""
    pairs = (channels >> 1) * calls
    tiles = pairs * (rows >> 1)
    odd = pairs if rows & 1 else 0
    single = calls if channels & 1 else 0
    return (
        calls,
        pairs,
        pairs * depth,
        tiles,
        tiles * depth,
        odd,
        odd * depth,
        single,
        single * rows,
        single * rows * depth,
    )


def nt_t_mve(rows: int, channels: int, depth: int, calls: int) -> tuple[int, ...]:
    """`arm_nn_mat_mult_nt_t_s8` with Helium: four rows by one channel, 16 columns a step."""
    vectors = (depth + 15) >> 4
    quads = (rows >> 2) * channels * calls
    single_rows = (rows & 3) * calls
    singles = single_rows * channels
    return (
        calls,
        quads,
        quads * vectors,
        single_rows,
        singles,
        singles * vectors,
        single_rows * (channels >> 2),
        single_rows * (channels & 3),
    )


DENSE_DSP = (
    "calls",
    "channel_pairs",
    "channel_pairs*blocks32",
    "channel_pairs*blocks4",
    "channel_pairs*rest",
    "odd_channel",
    "odd_channel*blocks4",
    "odd_channel*rest",
)
DENSE_SCALAR = (
    "calls",
    "channel_triples",
    "channel_triples*depth",
    "single_channels",
    "single_channels*depth",
)
DENSE_MVE = (
    "calls",
    "channel_quads",
    "channel_quads*vectors",
    "single_channels",
    "single_channels*vectors",
    "sum_quints",
    "sum_quints*vectors",
    "sum_singles",
    "sum_singles*vectors",
    "bias_copy",
)


def dense_dsp(channels: int, depth: int, calls: int) -> tuple[int, ...]:
    """`arm_nn_vec_mat_mult_t_per_ch_s8` with SMLAD: two channels, 4 columns a step, unrolled by 8."""
    pairs = (channels >> 1) * calls
    single = (channels & 1) * calls
    blocks = depth >> 2
    rest = depth & 3
    return (
        calls,
        pairs,
        pairs * (blocks >> 3),
        pairs * (blocks & 7),
        pairs * rest,
        single,
        single * blocks,
        single * rest,
    )


def dense_scalar(channels: int, depth: int, calls: int) -> tuple[int, ...]:
    """`arm_nn_vec_mat_mult_t_per_ch_s8` without SIMD: three channels, one column a step."""
    triples = (channels // 3) * calls
    singles = (channels % 3) * calls
    return (calls, triples, triples * depth, singles, singles * depth)


def dense_mve(channels: int, depth: int, calls: int, bias_copy: int) -> tuple[int, ...]:
    """`arm_nn_vec_mat_mult_t_per_ch_s8` with Helium, after the kernel sums (five channels a step)."""
    vectors = (depth + 15) >> 4
    quads = (channels >> 2) * calls
    singles = (channels & 3) * calls
    quints, sums = divmod(channels, 5)
    return (
        calls,
        quads,
        quads * vectors,
        singles,
        singles * vectors,
        quints,
        quints * vectors,
        sums,
        sums * vectors,
        bias_copy,
    )


IM2COL_DSP = (
    "calls",
    "positions",
    "positions*blocks4",
    "positions*rest",
    "tap_rows",
    "taps",
    "copies",
    "copy_instructions",
    "unaligned_copies",
    "fills",
    "fill_instructions",
    "position_pairs",
    "pairs",
    "pairs*blocks4",
    "pairs*rest",
    "odd_channel",
    "odd_channel*blocks4",
    "odd_channel*rest",
    "left_over",
    "left_over*blocks4",
    "left_over*rest",
)
IM2COL_SCALAR = (
    "calls",
    "positions",
    "positions*depth",
    "tap_rows",
    "taps",
    "copies",
    "copy_instructions",
    "unaligned_copies",
    "fills",
    "fill_instructions",
    "position_pairs",
    "pairs",
    "pairs*depth",
    "odd_channel",
    "odd_channel*depth",
    "left_over",
    "left_over*depth",
)
IM2COL_MVE = ("positions", "tap_rows", "taps", "fills", "copy_vectors", "fill_vectors", *NT_T_MVE)


def im2col_dsp(
    positions: int, channels: int, depth: int, gather: tuple[int, ...], calls: int
) -> tuple[int, ...]:
    """`arm_convolve_s8` with SMLAD: 16-bit im2col, then two positions by two channels, 4 columns a step.

    Args:
        positions: Output positions of one group.
        channels: Output channels of one group.
        depth: Columns: kernel height x width x channels of one filter.
        gather: The seven numbers from `tap_rows` to `fill_instructions` of all groups together.
        calls: Number of groups.
    """
    blocks4 = depth >> 2
    rest = depth & 3
    visits = positions * calls
    halves = (positions >> 1) * calls
    pairs = halves * (channels >> 1)
    odd = halves if channels & 1 else 0
    left = channels * calls if positions & 1 else 0
    return (
        calls,
        visits,
        visits * blocks4,
        visits * rest,
        *gather,
        halves,
        pairs,
        pairs * blocks4,
        pairs * rest,
        odd,
        odd * blocks4,
        odd * rest,
        left,
        left * blocks4,
        left * rest,
    )


def im2col_scalar(
    positions: int, channels: int, depth: int, gather: tuple[int, ...], calls: int
) -> tuple[int, ...]:
    """`arm_convolve_s8` without SIMD; arguments as `im2col_dsp`."""
    visits = positions * calls
    halves = (positions >> 1) * calls
    pairs = halves * (channels >> 1)
    odd = halves if channels & 1 else 0
    left = channels * calls if positions & 1 else 0
    return (
        calls,
        visits,
        visits * depth,
        *gather,
        halves,
        pairs,
        pairs * depth,
        odd,
        odd * depth,
        left,
        left * depth,
    )


def im2col_mve(
    positions: int, channels: int, depth: int, gather: tuple[int, ...], calls: int
) -> tuple[int, ...]:
    """`arm_convolve_s8` with Helium: 8-bit im2col of four positions, then the 4-row product.

    Args:
        positions: Output positions of one group.
        channels: Output channels of one group.
        depth: Columns: kernel height x width x channels of one filter.
        gather: The five numbers from `tap_rows` to `fill_vectors` of all groups together.
        calls: Number of groups.
    """
    product = nt_t_mve(positions, channels, depth, 1)
    products = (positions + 3) >> 2
    return (
        positions * calls,
        *gather,
        products * calls,
        *(count * calls for count in product[1:]),
    )
