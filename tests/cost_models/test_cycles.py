"""Predicted instructions and cycles: they add up, follow the kernels, and say nothing where nothing is known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest

from cost_models.cores import CORES as ALL_CORES
from cost_models.cycles import Rates, Work, predict
from cost_models.cycles.counting import pad_before, tap_inside, taps_inside
from cost_models.cycles.paths import COUNTERS, FEATURES
from cost_models.cycles.table import core_table
from cost_models.graph import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    Operator,
    OpGraph,
    Tensor,
)

RATES = Rates(
    scale=1.3, scale_by_kind=(("CONV_2D", 1.5),), spread_model=0.05, spread_operator=0.1, source="test"
)


def conv_graph(
    size: int = 16, depth: int = 8, channels: int = 12, kernel: int = 3, stride: int = 1
) -> OpGraph:
    out = -(-size // stride)
    return OpGraph(
        tensors=(
            Tensor(shape=(1, size, size, depth)),
            Tensor(shape=(channels, kernel, kernel, depth), data_bytes=channels * kernel * kernel * depth),
            Tensor(shape=(channels,), dtype="int32", data_bytes=4 * channels),
            Tensor(shape=(1, out, out, channels)),
            Tensor(shape=(1, 3, 3, channels), data_bytes=9 * channels),
            Tensor(shape=(1, out, out, channels)),
        ),
        operators=(
            Operator(
                kind="CONV_2D",
                inputs=(0, 1, 2),
                outputs=(3,),
                options=Conv2DOptions(padding="SAME", stride_h=stride, stride_w=stride),
            ),
            Operator(
                kind="DEPTHWISE_CONV_2D",
                inputs=(3, 4, 2),
                outputs=(5,),
                options=DepthwiseConv2DOptions(padding="SAME"),
            ),
        ),
        inputs=(0,),
        outputs=(5,),
    )


TABLES = {pair: table for pair in product(COUNTERS, ALL_CORES) if (table := core_table(*pair)) is not None}
CORES = [pair for pair, table in TABLES.items() if table.counted]


@pytest.mark.parametrize(("kernels", "core"), CORES)
def test_operator_parts_add_up_to_the_whole(kernels: str, core: str) -> None:
    work = predict(conv_graph(), kernels=kernels, core=core, rates=RATES)
    parts = work.operators()
    assert len(parts) == 2
    assert work.instructions is not None
    assert work.cycles is not None
    assert math.isclose(sum(part.instructions or 0.0 for part in parts), work.instructions)
    assert math.isclose(sum(part.cycles or 0.0 for part in parts), work.cycles)


@pytest.mark.parametrize(("kernels", "core"), CORES)
def test_every_shipped_path_names_its_features(kernels: str, core: str) -> None:
    table = core_table(kernels, core)
    assert table is not None
    assert set(table.instructions) == set(table.cycles) <= set(FEATURES)
    assert all(min(values) >= 0 for values in table.instructions.values())


@pytest.mark.parametrize(("kernels", "core"), sorted(set(TABLES) - set(CORES)))
def test_a_core_with_published_cycles_has_no_instructions(kernels: str, core: str) -> None:
    work = predict(conv_graph(), kernels=kernels, core=core, rates=RATES)
    parts = work.operators()
    assert [part.instructions for part in parts] == [None, None]
    assert (work.instructions, work.instructions_low, work.instructions_high) == (None, None, None)
    assert work.cycles is not None
    assert math.isclose(sum(part.cycles or 0.0 for part in parts), work.cycles)
    assert predict(conv_graph(), kernels=kernels, core=core).cycles is None
    table = TABLES[kernels, core]
    assert set(table.cycles) <= set(FEATURES)
    assert all(len(prices) == len(FEATURES[path]) for path, prices in table.cycles.items())


def test_interval_contains_the_prediction_and_widens_with_the_spread() -> None:
    work = predict(conv_graph(), kernels="cmsis_nn", core="cortex-m4", rates=RATES)
    assert work.cycles_low is not None
    assert work.cycles_high is not None
    assert work.cycles is not None
    assert work.cycles_low < work.cycles < work.cycles_high


def test_without_rates_there_are_instructions_but_no_cycles() -> None:
    work = predict(conv_graph(), kernels="cmsis_nn", core="cortex-m4")
    assert work.instructions is not None
    assert work.cycles is None
    assert work.cycles_low is None
    assert work.operators()[0].cycles is None


def test_a_core_never_counted_gives_nothing() -> None:
    work = predict(conv_graph(), kernels="cmsis_nn", core="xtensa-lx6", rates=RATES)
    assert work.instructions is None
    assert work.cycles is None
    assert work.operators() == ()


def beside_relu(kind: str) -> OpGraph:
    return OpGraph(
        tensors=(Tensor(shape=(1, 80)), Tensor(shape=(1, 80)), Tensor(shape=(1, 80))),
        operators=(
            Operator(kind="RELU", inputs=(0,), outputs=(1,)),
            Operator(kind=kind, inputs=(1,), outputs=(2,)),
        ),
        inputs=(0,),
        outputs=(2,),
    )


def test_an_unknown_operator_is_named_and_leaves_the_others_as_at_least() -> None:
    work = predict(beside_relu("BROADCAST_ARGS"), kernels="cmsis_nn", core="cortex-m4", rates=RATES)
    relu, unknown = work.operators()
    assert (unknown.instructions, unknown.cycles, unknown.basis) == (None, None, "none")
    assert work.instructions == relu.instructions
    assert work.cycles == relu.cycles
    assert work.instructions_low is not None
    assert (work.instructions_high, work.cycles_high) == (None, None)
    assert work.unknown_kinds == ("BROADCAST_ARGS",)


def test_an_uncounted_operator_of_elements_is_bounded_by_the_quickest_and_the_slowest_kernel() -> None:
    work = predict(beside_relu("ROUND"), kernels="cmsis_nn", core="cortex-m4", rates=RATES)
    _, bounded = work.operators()
    assert (work.unknown_kinds, work.bounded_kinds, bounded.basis) == ((), ("ROUND",), "interval")
    copy, softmax = (
        predict(beside_relu(kind), kernels="cmsis_nn", core="cortex-m4", rates=RATES)
        for kind in ("EXPAND_DIMS", "SOFTMAX")
    )
    for low, quick in ((work.instructions_low, copy.instructions), (work.cycles_low, copy.cycles)):
        assert low is not None
        assert quick is not None
        assert low == pytest.approx(quick, rel=0.2)
    for high, slow in ((work.instructions_high, softmax.instructions), (work.cycles_high, softmax.cycles)):
        assert high is not None
        assert slow is not None
        assert slow < high < 2.5 * slow


def test_float_arithmetic_without_a_floating_point_unit_has_no_bound() -> None:
    def on_floats(kind: str, core: str) -> Work:
        graph = beside_relu(kind)
        tensors = tuple(replace(tensor, dtype="float32") for tensor in graph.tensors)
        return predict(replace(graph, tensors=tensors), kernels="cmsis_nn", core=core)

    assert on_floats("CUMSUM", "cortex-m0plus").unknown_kinds == ("CUMSUM",)
    assert on_floats("CUMSUM", "cortex-m4").bounded_kinds == ("CUMSUM",)
    # What only moves floats needs no unit for them.
    assert on_floats("REVERSE_V2", "cortex-m0plus").bounded_kinds == ("REVERSE_V2",)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_kernels_of_other_types_have_counts_of_their_own(dtype: str) -> None:
    graph = conv_graph()
    other = replace(graph, tensors=tuple(replace(each, dtype=dtype) for each in graph.tensors))
    paths = [
        [op.path for op in predict(each, kernels="cmsis_nn", core="cortex-m4").operators()]
        for each in (graph, other)
    ]
    assert all(dtype in path for path in paths[1][:2])
    assert not set(paths[0][:2]) & set(paths[1][:2])
    assert predict(other, kernels="cmsis_nn", core="cortex-m4").unknown_kinds == ()


def test_an_empty_graph_takes_nothing() -> None:
    work = predict(
        OpGraph(tensors=(), operators=(), inputs=(), outputs=()),
        kernels="cmsis_nn",
        core="cortex-m4",
        rates=RATES,
    )
    assert work.instructions == 0
    assert work.cycles == 0


@pytest.mark.parametrize(("kernels", "core"), CORES)
def test_more_channels_never_take_fewer_instructions(kernels: str, core: str) -> None:
    counts = []
    for channels in (8, 16, 24, 32):
        work = predict(conv_graph(channels=channels), kernels=kernels, core=core)
        assert work.instructions is not None
        counts.append(work.instructions)
    assert counts == sorted(counts)


def test_taps_inside_equals_counting_them_one_by_one() -> None:
    for extent, kernel, stride, dilation, padding in product(
        (1, 4, 7, 10), (1, 2, 3, 5, 40), (1, 2, 3), (1, 2), ("SAME", "VALID")
    ):
        reach = (kernel - 1) * dilation + 1
        outputs = -(-extent // stride) if padding == "SAME" else (extent - reach) // stride + 1
        if outputs < 1:
            continue
        pad = pad_before(padding, extent, outputs, kernel, stride, dilation)
        starts = [output * stride - pad for output in range(outputs)]
        counted = sum(0 <= start + tap * dilation < extent for start in starts for tap in range(kernel))
        assert taps_inside(extent, outputs, kernel, stride, pad, dilation) == counted
        if dilation == 1:
            assert sum(tap_inside(tap, extent, outputs, stride, pad) for tap in range(kernel)) == counted


def path_of(op: Operator, tensors: tuple[Tensor, ...], isa: str) -> str:
    return COUNTERS["cmsis_nn"][op.kind](op, tensors, isa)[0]


@pytest.mark.parametrize(
    ("isa", "kernel", "stride", "expected"),
    [
        ("dsp", 1, 1, "conv_1x1_dsp"),
        ("dsp", 1, 2, "conv_1x1_dsp"),
        ("dsp", 3, 1, "conv_im2col_dsp"),
        ("scalar", 3, 1, "conv_im2col_scalar"),
        ("mve", 3, 1, "conv_im2col_mve"),
    ],
)
def test_convolution_takes_the_path_of_its_shape(isa: str, kernel: int, stride: int, expected: str) -> None:
    graph = conv_graph(kernel=kernel, stride=stride)
    assert path_of(graph.operators[0], graph.tensors, isa) == expected


@pytest.mark.parametrize(
    ("isa", "kernel", "multiplier", "dilation", "expected"),
    [
        ("dsp", 3, 1, 1, "depthwise_3x3_dsp"),
        ("scalar", 3, 1, 1, "depthwise_3x3_scalar"),
        ("dsp", 5, 1, 1, "depthwise_opt_dsp"),
        ("scalar", 5, 1, 1, "depthwise_generic"),
        ("dsp", 3, 2, 1, "depthwise_generic"),
        ("dsp", 3, 4, 1, "depthwise_mult_4"),
        ("dsp", 3, 1, 2, "depthwise_dilated"),
        ("mve", 3, 1, 1, "depthwise_opt_mve"),
    ],
)
def test_depthwise_takes_the_path_of_its_shape(
    isa: str, kernel: int, multiplier: int, dilation: int, expected: str
) -> None:
    op = Operator(
        kind="DEPTHWISE_CONV_2D",
        inputs=(0, 1),
        outputs=(2,),
        options=DepthwiseConv2DOptions(
            padding="SAME", depth_multiplier=multiplier, dilation_h=dilation, dilation_w=dilation
        ),
    )
    tensors = (
        Tensor(shape=(1, 9, 9, 6)),
        Tensor(shape=(1, kernel, kernel, 6 * multiplier)),
        Tensor(shape=(1, 9, 9, 6 * multiplier)),
    )
    assert path_of(op, tensors, isa) == expected


def test_dense_layer_of_more_than_two_dimensions_runs_as_a_convolution() -> None:
    op = Operator(kind="FULLY_CONNECTED", inputs=(0, 1), outputs=(2,), options=FullyConnectedOptions())
    flat = (Tensor(shape=(1, 16)), Tensor(shape=(8, 16)), Tensor(shape=(1, 8)))
    rows = (Tensor(shape=(1, 5, 16)), Tensor(shape=(8, 16)), Tensor(shape=(1, 5, 8)))
    assert path_of(op, flat, "dsp") == "dense_dsp"
    assert path_of(op, rows, "dsp") == "conv_1x1_dsp"


def test_padding_counts_rows_and_moved_bytes() -> None:
    op = Operator(kind="PAD", inputs=(0, 1), outputs=(2,))
    tensors = (
        Tensor(shape=(1, 4, 4, 8)),
        Tensor(shape=(4, 2), dtype="int32", data_bytes=32, values=(0, 0, 1, 1, 1, 1, 0, 0)),
        Tensor(shape=(1, 6, 6, 8)),
    )
    path, trips = COUNTERS["cmsis_nn"]["PAD"](op, tensors, "dsp")
    assert path == "pad"
    assert trips[:3] == (1, 4, 0)
    assert COUNTERS["cmsis_nn"]["PAD"](op, tensors, "mve")[0] == "pad_mve"


def test_padding_of_another_rank_is_padding_of_missing_axes() -> None:
    graph = OpGraph(
        tensors=(
            Tensor(shape=(1, 4, 8)),
            Tensor(shape=(3, 2), dtype="int32", data_bytes=24, values=(0, 0, 1, 1, 0, 0)),
            Tensor(shape=(1, 6, 8)),
        ),
        operators=(Operator(kind="PAD", inputs=(0, 1), outputs=(2,)),),
        inputs=(0,),
        outputs=(2,),
    )
    tensors = (
        Tensor(shape=(1, 1, 4, 8)),
        Tensor(shape=(4, 2), dtype="int32", data_bytes=32, values=(0, 0, 0, 0, 1, 1, 0, 0)),
        Tensor(shape=(1, 1, 6, 8)),
    )
    both = (
        predict(each, kernels="cmsis_nn", core="cortex-m4")
        for each in (graph, replace(graph, tensors=tensors))
    )
    first, second = (each.instructions for each in both)
    assert first is not None
    assert first == second


def test_a_dense_layer_of_one_scale_takes_its_own_kernel() -> None:
    op = Operator(kind="FULLY_CONNECTED", inputs=(0, 1), outputs=(2,), options=FullyConnectedOptions())
    for scales, expected in ((1, "dense_tensor_dsp"), (8, "dense_dsp")):
        tensors = (Tensor(shape=(1, 16)), Tensor(shape=(8, 16), scales=scales), Tensor(shape=(1, 8)))
        assert path_of(op, tensors, "dsp") == expected


def mean_trips(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[float, ...]:
    op = Operator(kind="MEAN", inputs=(0, 1), outputs=(2,))
    tensors = (
        Tensor(shape=shape),
        Tensor(shape=(len(axes),), dtype="int32", data_bytes=4 * len(axes), values=axes),
        Tensor(shape=tuple(extent for index, extent in enumerate(shape) if index not in axes)),
    )
    return COUNTERS["cmsis_nn"]["MEAN"](op, tensors, "dsp")[1]


def test_a_mean_compares_each_dimension_with_the_axes_until_one_is_equal() -> None:
    _, elements, steps, comparisons, kept, carries, outputs = mean_trips((1, 4, 4, 8), (1, 2))
    assert (elements, steps, kept, outputs) == (128, 4 * 128, 2 * 128, 8)
    # Dimensions 0 and 3 are compared with both axes, 1 with the first alone.
    assert comparisons == (2 + 1 + 2 + 2) * 128
    # The innermost dimension wraps 16 times, the next 4 times, and once.
    assert carries == 16 + 4 + 1


def test_axes_counted_from_the_end_are_those_counted_from_the_start() -> None:
    assert mean_trips((1, 6, 8), (1,)) != mean_trips((1, 6, 8), (2,))
    tensors = (
        Tensor(shape=(1, 6, 8)),
        Tensor(shape=(1,), dtype="int32", data_bytes=4, values=(-1,)),
        Tensor(shape=(1, 6)),
    )
    op = Operator(kind="MEAN", inputs=(0, 1), outputs=(2,))
    assert COUNTERS["cmsis_nn"]["MEAN"](op, tensors, "dsp")[1] == mean_trips((1, 6, 8), (2,))


@pytest.mark.parametrize(
    ("height", "kernel", "stride", "expected"),
    [
        (9, 3, 1, "conv_im2col_mve"),
        (9, 1, 1, "conv_1x1_mve"),
        (1, 1, 4, "conv_1x1_mve"),
        (1, 4, 4, "conv_1_x_n_mve"),
    ],
)
def test_with_helium_a_depthwise_of_one_channel_is_transposed_and_takes_the_convolutions_path(
    height: int, kernel: int, stride: int, expected: str
) -> None:
    kernel_h = min(height, kernel)
    outputs = (8 - kernel) // stride + 1
    op = Operator(
        kind="DEPTHWISE_CONV_2D",
        inputs=(0, 1),
        outputs=(2,),
        options=DepthwiseConv2DOptions(padding="VALID", depth_multiplier=6, stride_h=stride, stride_w=stride),
    )
    tensors = (
        Tensor(shape=(1, height, 8, 1)),
        Tensor(shape=(1, kernel_h, kernel, 6)),
        Tensor(shape=(1, (height - kernel_h) // stride + 1, outputs, 6)),
    )
    path, trips = COUNTERS["cmsis_nn"]["DEPTHWISE_CONV_2D"](op, tensors, "mve")
    assert path == expected
    assert trips[-4:] == (1, kernel_h, kernel_h * kernel, kernel_h * kernel * 6)


def test_a_dilated_depthwise_counts_the_divisions_that_find_its_taps() -> None:
    options = DepthwiseConv2DOptions(padding="VALID", depth_multiplier=1, dilation_h=1, dilation_w=2)
    op = Operator(kind="DEPTHWISE_CONV_2D", inputs=(0, 1), outputs=(2,), options=options)
    tensors = (Tensor(shape=(1, 3, 6, 4)), Tensor(shape=(1, 1, 3, 4)), Tensor(shape=(1, 3, 2, 4)))
    path, trips = COUNTERS["cmsis_nn"]["DEPTHWISE_CONV_2D"](op, tensors, "scalar")
    assert path == "depthwise_dilated"
    # Outputs at 0 and 1: first taps (1 - 0) / 2 = 0 and (1 - 1) / 2 = 0, last ones 7 / 2 = 3 and 6 / 2 = 3.
    assert trips[-2:] == ((2 + 2) * 3 * 4, 0)
    stride = replace(op, options=replace(options, stride_w=3))
    wider = (Tensor(shape=(1, 3, 9, 4)), tensors[1], Tensor(shape=(1, 3, 2, 4)))
    _, trips = COUNTERS["cmsis_nn"]["DEPTHWISE_CONV_2D"](stride, wider, "scalar")
    # The second output starts at 3: (1 - 3) / 2 is negative, of one bit.
    assert trips[-2:] == ((3 + 1 + 2) * 3 * 4, 3 * 4)
