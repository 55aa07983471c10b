"""Trip counts of CMSIS-NN's vector by matrix products: fully connected layers.

A loop costs when it is entered and for each of its trips: see `cost_models.cycles.gemm`.
"""

from __future__ import annotations

DENSE_DSP = (
    "operator",
    "products",
    "pairs",
    "pairs*bias",
    "pairs*entered(blocks)",
    "pairs*entered(blocks16)",
    "pairs*blocks16",
    "pairs*(blocks4=1)",
    "pairs*(blocks4=2)",
    "pairs*(blocks4=3)",
    "pairs*(rest=1)",
    "pairs*(rest=2)",
    "pairs*(rest=3)",
    "odd_channel",
    "odd_channel*bias",
    "odd_channel*entered(blocks)",
    "odd_channel*entered(blocks16)",
    "odd_channel*blocks16",
    "odd_channel*(blocks4=1)",
    "odd_channel*(blocks4=2)",
    "odd_channel*(blocks4=3)",
    "odd_channel*(rest=1)",
    "odd_channel*(rest=2)",
    "odd_channel*(rest=3)",
)
DENSE_SCALAR = (
    "operator",
    "products",
    "products*entered(triples)",
    "products*entered(singles)",
    "triples",
    "triples*bias",
    "triples*depth",
    "singles",
    "singles*bias",
    "singles*depth",
)
DENSE_MVE = (
    "operator",
    "products",
    "products*entered(quads)",
    "quads",
    "quads*vectors",
    "products*entered(singles)",
    "singles",
    "singles*vectors",
)


def dense_dsp(channels: int, depth: int, calls: int, bias: bool) -> tuple[float, ...]:
    """`arm_nn_vec_mat_mult_t_per_ch_s8` with SMLAD: two channels, 4 columns a step, unrolled by 4.

    The compiler unrolls the loop (the source asks for it), so each number of left-over steps has its own way
    in.
    """
    return (
        1,
        calls,
        *_unrolled((channels >> 1) * calls, depth, bias),
        *_unrolled((channels & 1) * calls, depth, bias),
    )


def _unrolled(count: int, depth: int, bias: bool) -> tuple[int, ...]:
    blocks16 = depth >> 4
    blocks4 = (depth >> 2) & 3
    rest = depth & 3
    return (
        count,
        count if bias else 0,
        count if depth > 3 else 0,
        count if blocks16 else 0,
        count * blocks16,
        count if blocks4 == 1 else 0,
        count if blocks4 == 2 else 0,
        count if blocks4 == 3 else 0,
        count if rest == 1 else 0,
        count if rest == 2 else 0,
        count if rest == 3 else 0,
    )


def dense_scalar(channels: int, depth: int, calls: int, bias: bool) -> tuple[float, ...]:
    """`arm_nn_vec_mat_mult_t_per_ch_s8` without SIMD: three channels, one column a step."""
    triples = (channels // 3) * calls
    singles = (channels % 3) * calls
    return (
        1,
        calls,
        calls if triples else 0,
        calls if singles else 0,
        triples,
        triples if bias else 0,
        triples * depth,
        singles,
        singles if bias else 0,
        singles * depth,
    )


def dense_mve(channels: int, depth: int, calls: int) -> tuple[float, ...]:
    """`arm_nn_vec_mat_mult_t_per_ch_s8` with Helium; the kernel sums were made in Prepare."""
    vectors = (depth + 15) >> 4
    quads = (channels >> 2) * calls
    singles = (channels & 3) * calls
    return (
        1,
        calls,
        calls if quads else 0,
        quads,
        quads * vectors,
        calls if singles else 0,
        singles,
        singles * vectors,
    )
