"""TFLM's portable kernels: their counts are predicted on shapes that the fit never saw, and on no other type."""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from cost_models.cycles.fit import fit_paths
from cost_models.cycles.measurements import read_portable
from cost_models.cycles.paths import COUNTERS, FEATURES
from cost_models.cycles.portable import COUNTERS as PORTABLE
from cost_models.cycles.table import core_table
from cost_models.graph import KernelOptions, Operator, Tensor

COUNTS = Path(__file__).parents[2] / "scripts" / "portable_counts.csv"


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m33", "cortex-m0plus"])
def test_a_fit_to_every_second_shape_predicts_the_int8_kernels_on_the_others(core: str) -> None:
    by_path = defaultdict(list)
    for sample in read_portable(COUNTS)["cmsis_nn", core]:
        if "float32" not in sample.path and sample.cost > 2000:
            by_path[sample.path].append(sample)
    errors: list[float] = []
    for path, samples in by_path.items():
        # Which element is the largest so far, and so what ARG_MAX does, is the data's.
        if len(samples) < 8 or path.startswith("arg_max"):
            continue
        prices = fit_paths(samples[::2])[path]
        errors += [abs(float(np.dot(prices, sample.trips)) / sample.cost - 1) for sample in samples[1::2]]
    assert len(errors) > 100
    assert statistics.median(errors) < 0.02
    # The Cortex-M0+ divides by a library whose steps are the data's.
    assert sorted(errors)[len(errors) * 9 // 10] < (0.09 if core == "cortex-m0plus" else 0.06)


def test_every_counted_core_knows_the_portable_kernels_of_int8() -> None:
    for core in ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"):
        table = core_table("cmsis_nn", core)
        assert table is not None
        for path in ("hard_swish_int8", "leaky_relu_int8", "strided_slice_int8", "split_int8", "gather_int8"):
            assert path in table.instructions
            assert path in table.cycles


def test_floats_are_not_taken_from_a_core_that_has_a_unit_for_them() -> None:
    ours, with_unit = (core_table("cmsis_nn", core) for core in ("cortex-m3", "cortex-m4"))
    assert ours is not None
    assert with_unit is not None
    # Additions are a call of the library.
    for path, name in (("add_float32", "elements"), ("dense_float32", "macs")):
        index = FEATURES[path].index(name)
        assert ours.instructions[path][index] > 3 * with_unit.instructions[path][index]
    riscv, xtensa = (core_table("esp_nn", core) for core in ("riscv32", "xtensa-lx6"))
    assert riscv is not None
    assert xtensa is not None
    for path, name in (("add_float32", "elements"), ("dense_float32", "macs")):
        index = FEATURES[path].index(name)
        assert riscv.instructions[path][index] > 3 * with_unit.instructions[path][index]
    assert not xtensa.instructions
    assert "hard_swish_float32" in xtensa.cycles


def moved(kind: str, shapes: tuple[tuple[int, ...], ...], inputs: int) -> tuple[float, ...]:
    tensors = tuple(Tensor(shape=shape) for shape in shapes)
    op = Operator(kind=kind, inputs=tuple(range(inputs)), outputs=tuple(range(inputs, len(shapes))))
    path, trips = PORTABLE[kind](op, tensors, "dsp")
    assert len(FEATURES[path]) == len(trips)
    return trips


def test_parts_along_an_axis_are_runs_of_what_lies_behind_it() -> None:
    # Operator, tensors, copies, elements.
    assert moved("PACK", ((2, 5), (2, 5), (2, 5), (2, 3, 5)), 3) == (1, 3, 6, 30)
    assert moved("UNPACK", ((4, 3), (4,), (4,), (4,)), 1) == (1, 3, 12, 12)


def test_an_axis_is_read_where_shapes_leave_it_open() -> None:
    def trips(kind: str, axis: int, shapes: tuple[tuple[int, ...], ...], inputs: int) -> tuple[float, ...]:
        op = Operator(
            kind=kind,
            inputs=tuple(range(inputs)),
            outputs=tuple(range(inputs, len(shapes))),
            options=KernelOptions(values=(("axis", axis),)),
        )
        return PORTABLE[kind](op, tuple(Tensor(shape=shape) for shape in shapes), "dsp")[1]

    packed = ((3, 3), (3, 3), (3, 3), (3, 3, 3))
    # Operator, tensors, copies, elements.
    assert [trips("PACK", axis, packed, 3)[2] for axis in (0, 1, 2, -1, -3)] == [3, 9, 27, 27, 3]
    # Operator, rows before the axis, copies.
    gathered = ((4, 4), (4,), (4, 4))
    assert [trips("GATHER", axis, gathered, 2)[1:3] for axis in (0, 1, -1)] == [(1, 4), (4, 16), (4, 16)]


def test_broadcasting_fuses_the_loops_that_the_strides_let_it() -> None:
    # Operator, dimensions, pairs, with a scalar, runs, those with a scalar, calls, and half of each number scaled.
    assert moved("SUB", ((4, 5, 6), (1, 1, 1), (4, 5, 6)), 2) == (1, 3, 0, 120, 1, 1, 0, 180)
    assert moved("SUB", ((4, 5, 6), (1, 1, 6), (4, 5, 6)), 2) == (1, 3, 120, 0, 20, 0, 20, 180)
    assert moved("SUB", ((4, 5, 6), (4, 5, 6), (4, 5, 6)), 2) == (1, 120, 180)
    assert moved("SUB", ((4, 5, 6), (4, 1, 1), (4, 5, 6)), 2) == (1, 3, 0, 120, 4, 4, 4, 180)


def test_cmsis_nn_finds_a_maximum_in_runs_as_long_as_the_shapes_agree() -> None:
    def trips(second: tuple[int, ...], isa: str = "dsp") -> tuple[str, tuple[float, ...]]:
        tensors = (Tensor(shape=(2, 3, 4, 5)), Tensor(shape=second), Tensor(shape=(2, 3, 4, 5)))
        op = Operator(kind="MAXIMUM", inputs=(0, 1), outputs=(2,))
        return COUNTERS["cmsis_nn"]["MAXIMUM"](op, tensors, isa)

    # Operator, pairs, with a scalar, runs, rows, samples.
    assert trips((2, 3, 4, 5)) == ("maximum_int8_runs", (1, 120, 0, 1, 0, 0))
    assert trips((1, 1, 1, 1)) == ("maximum_int8_runs", (1, 0, 120, 1, 0, 0))
    assert trips((1, 1, 1, 5)) == ("maximum_int8_runs", (1, 120, 0, 24, 6, 2))
    assert trips((1, 3, 4, 5)) == ("maximum_int8_runs", (1, 120, 0, 2, 0, 2))
    # Operator, broadcast, vectors, with a scalar, rows, runs of samples, of rows, of positions.
    assert trips((2, 3, 4, 5), "mve") == ("maximum_int8_vectors", (1, 0, 8, 0, 0, 0, 0, 0))
    assert trips((1, 3, 4, 5), "mve") == ("maximum_int8_vectors", (1, 1, 8, 0, 0, 2, 0, 0))
    assert trips((1, 1, 1, 5), "mve") == ("maximum_int8_vectors", (1, 1, 24, 0, 6, 0, 0, 24))
