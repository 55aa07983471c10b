"""Operators that no measured model has: their loops by hand, and counts predicted on shapes that the fit never saw."""

from __future__ import annotations

import statistics
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cost_models.cores import CORES
from cost_models.cycles.counting import copy_at, fill_at
from cost_models.cycles.fit import Sample, fit_paths
from cost_models.cycles.matmul import kind_of
from cost_models.cycles.measurements import read_portable
from cost_models.cycles.paths import COUNTERS, FEATURES
from cost_models.cycles.table import core_table
from cost_models.graph import (
    KernelOptions,
    Operator,
    Options,
    ReducerOptions,
    Tensor,
    TransposeConv2DOptions,
    macs,
)

COUNTS = Path(__file__).parents[2] / "scripts" / "operator_counts.csv"
PRODUCTS = ("transpose_conv", "batch_matmul", "svdf", "lstm", "conv", "depthwise", "dense")


@cache
def counted() -> dict[tuple[str, str], list[Sample]]:
    return read_portable(COUNTS)


@pytest.mark.parametrize(
    ("library", "core"),
    [
        ("cmsis_nn", "cortex-m4"),
        ("cmsis_nn", "cortex-m7"),
        ("cmsis_nn", "cortex-m33"),
        ("cmsis_nn", "cortex-m0plus"),
        ("cmsis_nn", "cortex-m55"),
        ("reference", "cortex-m4"),
    ],
)
def test_a_fit_to_every_second_shape_predicts_the_products_on_the_others(library: str, core: str) -> None:
    by_path = defaultdict(list)
    for sample in counted()[library, core]:
        if sample.path.startswith(PRODUCTS) and sample.cost > 2000:
            by_path[sample.path].append(sample)
    errors: list[float] = []
    for path, samples in by_path.items():
        prices = fit_paths(samples[::2])[path]
        errors += [abs(float(np.dot(prices, sample.trips)) / sample.cost - 1) for sample in samples[1::2]]
    assert len(errors) > 150
    assert statistics.median(errors) < 0.02
    assert sorted(errors)[len(errors) * 9 // 10] < 0.06


def trips(
    kind: str, tensors: tuple[Tensor, ...], options: Options, isa: str = "dsp", library: str = "cmsis_nn"
) -> tuple[str, dict[str, float]]:
    op = Operator(
        kind=kind,
        inputs=tuple(range(len(tensors) - 1)),
        outputs=(len(tensors) - 1,),
        options=options,
    )
    path, counts = COUNTERS[library][kind](op, tensors, isa)
    return path, dict(zip(FEATURES[path], counts, strict=True))


def transposed(depth: int, stride: int, library: str = "cmsis_nn") -> tuple[str, dict[str, float]]:
    """3x3 filters to 4 channels over 5 x 6 pixels, padded so that the output has a stride of each."""
    shapes = ((4,), (4, 3, 3, depth), (1, 5, 6, depth), (1, 5 * stride, 6 * stride, 4))
    tensors = (Tensor(shape=shapes[0], dtype="int32"), *(Tensor(shape=shape) for shape in shapes[1:]))
    options = TransposeConv2DOptions(padding="SAME", stride_h=stride, stride_w=stride)
    return trips("TRANSPOSE_CONV", tensors, options, library=library)


def test_cmsis_nn_turns_the_filter_of_a_transposed_convolution_above_16_channels_and_strides_up_to_2() -> (
    None
):
    assert [transposed(*shape)[0] for shape in ((16, 2), (17, 2), (17, 1), (17, 3))] == [
        "transpose_conv_direct_dsp",
        "transpose_conv_widened_dsp",
        "transpose_conv_reversed_dsp",
        "transpose_conv_direct_dsp",
    ]
    _, widened = transposed(20, 2)
    # Each input pixel meets every tap whose output lies inside: 5 rows by 3 taps but one, 6 columns by 3 but one.
    assert widened["copies"] == 14 * 17
    assert widened["positions"] == 120


def test_products_of_a_transposed_convolution_are_asked_whether_they_lie_inside() -> None:
    path, counts = transposed(2, 2, library="reference")
    assert path == "transpose_conv_reference_int8"
    assert counts["products"] == 30 * 2 * 9 * 4
    assert counts["products_inside"] == 14 * 17 * 2 * 4
    assert counts["outputs"] == 10 * 12 * 4


def test_an_lstm_has_no_state_to_multiply_in_its_first_step() -> None:
    tensors = (Tensor(shape=(2, 3, 8)), Tensor(shape=(2, 3, 4)))
    path, counts = trips("UNIDIRECTIONAL_SEQUENCE_LSTM", tensors, KernelOptions(values=(("time_major", 0),)))
    assert path == "lstm_int8_dsp"
    # Four gates by two samples by three steps of the input, and two of the state.
    assert counts["products"] == 4 * 2 * (3 + 2)
    assert counts["pairs*blocks4"] == 4 * 2 * 2 * (3 * 2 + 2 * 1)
    assert (counts["steps"], counts["samples"]) == (6, 2)
    _, together = trips("UNIDIRECTIONAL_SEQUENCE_LSTM", tensors, KernelOptions(values=(("time_major", 1),)))
    assert (together["steps"], together["samples"]) == (2, 3)


def test_a_constant_matrix_is_turned_once_and_not_at_each_inference() -> None:
    options = KernelOptions(values=(("adj_x", 0), ("adj_y", 0)))
    first, second, output = Tensor(shape=(5, 8)), Tensor(shape=(8, 3)), Tensor(shape=(5, 3))
    _, counts = trips("BATCH_MATMUL", (first, second, output), options)
    assert (counts["turned"], counts["turned_elements"], counts["products"]) == (1, 24, 5)
    constant = Tensor(shape=(8, 3), data_bytes=24)
    path, counts = trips("BATCH_MATMUL", (first, constant, output), options)
    assert (path, counts["turned"]) == ("batch_matmul_int8_constant_dsp", 0)


@pytest.mark.parametrize(
    "core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"]
)
def test_every_counted_core_knows_16_bit_activations_and_floats(core: str) -> None:
    table = core_table("cmsis_nn", core)
    assert table is not None
    kind = kind_of(CORES[core].isa)
    for path in (f"conv_int16_{kind}", "depthwise_int16", f"dense_int16_{kind}", f"add_int16_{kind}"):
        assert path in table.instructions
        assert path in table.cycles
    for path in ("conv_float32", "depthwise_float32", "dense_float32", "average_pool_float32"):
        assert path in table.instructions
        assert path in table.cycles


def integers(*values: int) -> Tensor:
    return Tensor(shape=(len(values),), dtype="int32", data_bytes=4 * len(values), values=values)


def test_rows_of_a_slice_with_stride_1_are_copied_and_others_go_element_by_element() -> None:
    source, output = Tensor(shape=(4, 8, 16)), Tensor(shape=(4, 4, 16))
    ends = integers(4, 8, 16)
    tensors = (source, integers(0, 0, 0), ends, integers(1, 2, 1), output)
    path, counts = trips("STRIDED_SLICE", tensors, KernelOptions())
    # Sixteen rows of sixteen aligned bytes.
    assert (path, counts["copies"], counts["elements"]) == ("strided_slice_int8", 16, 0)
    assert counts["copy_instructions"] == 16 * copy_at(16, 0, 0, "dsp")
    thinned = Tensor(shape=(4, 8, 8))
    _, counts = trips(
        "STRIDED_SLICE", (source, integers(0, 0, 0), ends, integers(1, 1, 2), thinned), KernelOptions()
    )
    assert (counts["copies"], counts["elements"]) == (0, 256)


def test_fills_and_copies_of_a_pad_are_counted_at_the_alignment_that_they_have() -> None:
    tensors = (Tensor(shape=(1, 2, 5, 3)), integers(0, 0, 1, 0, 1, 0, 0, 0), Tensor(shape=(1, 3, 6, 3)))
    _, counts = trips("PAD", tensors, KernelOptions())
    # A row of 18 bytes above; then 3 before 15 copied, which begin at byte 21 of the output and 0 of the input, and
    # at 39 and 15.
    assert counts["copy_instructions"] == copy_at(15, 1, 0, "dsp") + copy_at(15, 3, 3, "dsp")
    fills = [(0, 0), (18, 0), (3, 18), (0, 36), (3, 36), (0, 54), (0, 54), (0, 54)]
    assert counts["fill_instructions"] == sum(fill_at(size, at & 3, "dsp") for size, at in fills)


def test_the_mean_of_a_float_map_is_a_kernel_of_its_own_where_it_keeps_its_dimensions() -> None:
    tensors = (Tensor(shape=(1, 4, 5, 6), dtype="float32"), integers(1, 2), Tensor(shape=(1, 1, 1, 6)))
    assert trips("MEAN", tensors, ReducerOptions(keep_dims=True))[0] == "mean_float32_image"
    assert trips("MEAN", tensors, ReducerOptions(keep_dims=False))[0] == "mean_float32"


def test_helium_multiplies_sixteen_columns_of_four_channels_at_once() -> None:
    first, second, output = Tensor(shape=(5, 40)), Tensor(shape=(7, 40)), Tensor(shape=(5, 7))
    options = KernelOptions(values=(("adj_x", 0), ("adj_y", 1)))
    path, counts = trips("BATCH_MATMUL", (first, second, output), options, isa="mve")
    # Five rows by one group of four channels and three single ones, in three vectors each; seven sums before.
    assert path == "batch_matmul_int8_mve"
    assert (counts["quads*vectors"], counts["singles*vectors"], counts["sums"]) == (15, 45, 7)


def test_the_products_of_recurrent_and_transposed_operators_are_multiply_accumulates() -> None:
    def products(kind: str, options: Options, *shapes: tuple[int, ...]) -> int:
        tensors = tuple(Tensor(shape=shape) for shape in shapes)
        inputs, outputs = tuple(range(len(shapes) - 1)), (len(shapes) - 1,)
        return macs(Operator(kind=kind, inputs=inputs, outputs=outputs, options=options), tensors)

    transpose = TransposeConv2DOptions(padding="SAME", stride_h=2, stride_w=2)
    # Each of 5 x 6 pixels meets every weight of 4 filters.
    assert products("TRANSPOSE_CONV", transpose, (4,), (4, 3, 3, 2), (1, 5, 6, 2), (1, 10, 12, 4)) == 30 * 72
    rows, turned = (KernelOptions(values=(("adj_x", adj), ("adj_y", 0))) for adj in (0, 1))
    assert products("BATCH_MATMUL", rows, (2, 5, 8), (8, 3), (2, 5, 3)) == 2 * 5 * 8 * 3
    assert products("BATCH_MATMUL", turned, (2, 8, 5), (8, 3), (2, 5, 3)) == 2 * 5 * 8 * 3
    # Sixteen filters of 10 features and a memory of 8 for each of two samples.
    rank = KernelOptions(values=(("rank", 2),))
    assert products("SVDF", rank, (2, 10), (16, 10), (16, 8), (8,), (2, 8)) == 2 * 16 * (10 + 8)
    # Four gates of 4 units by 8 inputs and 4 states, two samples, three steps.
    first = KernelOptions(values=(("time_major", 0),))
    assert products("UNIDIRECTIONAL_SEQUENCE_LSTM", first, (2, 3, 8), (2, 3, 4)) == 2 * 3 * 4 * 4 * (8 + 4)


@pytest.mark.parametrize(
    ("extents", "steps"),
    [
        ((16, 16), 0),  # by a power of two there is no loop
        ((5, 3), 6),  # never ends: all 24 bits of the quotient
        ((14, 7), 1),
        ((15, 20), 1),  # 0.75 has two bits
        ((33, 12), 1),  # 2.75 has four
        ((99, 48), 2),  # 2.0625 has six
    ],
)
def test_a_library_divides_floats_four_bits_at_a_time_until_nothing_is_left(
    extents: tuple[int, int], steps: int
) -> None:
    source, output = (Tensor(shape=(1, 1, extent, 2)) for extent in extents)
    size = Tensor(shape=(2,), dtype="int32", values=output.shape[1:3])
    options = KernelOptions(values=(("align_corners", 0), ("half_pixel_centers", 0)))
    _, counts = trips("RESIZE_NEAREST_NEIGHBOR", (source, size, output), options)
    width = extents[1]
    assert counts["division_steps"] == width * steps
    # The height of 1 is one by itself.
    assert counts["powers_of_two"] == 1 + (width if steps == 0 else 0)


@pytest.mark.parametrize(
    ("begin", "end", "output", "rows"),
    [
        ((0, 3, 0), (2, 4, 6), (2, 6), 2),  # the middle axis is dropped
        ((1, 0, 0), (2, 5, 6), (5, 6), 5),
        ((0, 0, 4), (2, 5, 5), (2, 5), 10),  # a row is one element
    ],
)
def test_begin_and_end_tell_which_axis_a_slice_drops(
    begin: tuple[int, ...], end: tuple[int, ...], output: tuple[int, ...], rows: int
) -> None:
    tensors = (
        Tensor(shape=(2, 5, 6), dtype="int32"),
        *(Tensor(shape=(3,), dtype="int32", values=values) for values in (begin, end, (1, 1, 1))),
        Tensor(shape=output, dtype="int32"),
    )
    path, counts = trips("STRIDED_SLICE", tensors, KernelOptions(values=()))
    assert (path, counts["copies"]) == ("strided_slice_int32", rows)


def test_helium_gathers_eight_rows_of_a_column_at_once() -> None:
    order = Tensor(shape=(4,), dtype="int32", values=(0, 1, 3, 2))
    tensors = (Tensor(shape=(2, 3, 9, 5)), order, Tensor(shape=(2, 3, 5, 9)))
    path, counts = trips("TRANSPOSE", tensors, KernelOptions(values=()), isa="mve")
    assert path == "transpose_int8_vectors"
    # Two vectors of nine rows for each of five columns of six planes.
    assert (counts["planes"], counts["columns"], counts["vectors"]) == (6, 30, 60)


def test_the_shape_is_asked_of_tensors_of_any_type_at_a_price_for_each_dimension() -> None:
    tensors = (Tensor(shape=(1, 8, 8, 3), dtype="float32"), Tensor(shape=(4,), dtype="int32"))
    assert trips("SHAPE", tensors, KernelOptions(values=())) == ("shape", {"operator": 1, "dimensions": 4})
    for table in (core_table("cmsis_nn", core) for core in ("cortex-m0plus", "cortex-m4", "cortex-m55")):
        assert table is not None
        assert "shape" in table.instructions


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_a_fit_to_every_second_compressed_tensor_predicts_the_others(core: str) -> None:
    by_path = defaultdict(list)
    for sample in counted()["cmsis_nn", core]:
        if sample.path.startswith("decode") and not sample.path.endswith("last_axis") and sample.cost > 2000:
            by_path[sample.path].append(sample)
    assert len(by_path) == 7
    errors: list[float] = []
    for path, samples in by_path.items():
        prices = fit_paths(samples[::2])[path]
        errors += [abs(float(np.dot(prices, sample.trips)) / sample.cost - 1) for sample in samples[1::2]]
    assert statistics.median(errors) < 0.02
