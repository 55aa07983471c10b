"""Typical values: what signs and sizes a file leaves its tensors, and what kernels that branch by them execute."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cost_models.cycles import predict, shares
from cost_models.cycles.paths import COUNTERS, FEATURES
from cost_models.cycles.table import core_table
from cost_models.graph import (
    ElementwiseOptions,
    KernelOptions,
    NoOptions,
    Operator,
    OpGraph,
    SoftmaxOptions,
    Tensor,
    TransposeConv2DOptions,
)
from cost_models.tflite_graph import read_graph
from cost_models.tflite_writer import write_model
from cost_models.typical_values import evenly_spread

Scale = tuple[float, int]
ACTIVATION = Tensor(shape=(1, 300), scales=1, zero_points=1)


def read(
    kinds: tuple[str, ...], scales: tuple[Scale, ...], second: tuple[Scale, int] | None = None
) -> OpGraph:
    """A chain of operators as read from its file; each also takes a constant scalar where `second` gives it."""
    tensors = [ACTIVATION] * (len(kinds) + 1)
    quantization = dict(enumerate(scales))
    constants: dict[int, bytes] = {}
    beside: tuple[int, ...] = ()
    if second is not None:
        beside = (len(tensors),)
        tensors.append(Tensor(shape=(1, 1), data_bytes=1, scales=1, zero_points=1))
        constants[beside[0]] = second[1].to_bytes(1, "little", signed=True)
        quantization[beside[0]] = second[0]
    operators = tuple(
        Operator(
            kind=kind,
            inputs=(index, *beside),
            outputs=(index + 1,),
            options=ElementwiseOptions() if kind in ("ADD", "SUB", "MUL") else NoOptions(),
        )
        for index, kind in enumerate(kinds)
    )
    graph = OpGraph(tensors=tuple(tensors), operators=operators, inputs=(0,), outputs=(len(kinds),))
    return read_graph(write_model(graph, constants, quantization))


@pytest.mark.parametrize(
    ("kinds", "zero_points", "negative"),
    [
        (("RELU",), (0, 0), 0.0),
        (("RELU", "RELU"), (0, 0, 0), 0.0),
        (("QUANTIZE",), (-128, 0), 0.0),
        (("QUANTIZE",), (127, 0), 1.0),
        (("QUANTIZE",), (0, 0), 0.5),
    ],
)
def test_nothing_behind_an_activation_is_below_zero(
    kinds: tuple[str, ...], zero_points: tuple[int, ...], negative: float
) -> None:
    graph = read(kinds, tuple((0.1, point) for point in zero_points))
    assert shares.negative(graph.tensors[len(kinds)]) == pytest.approx(negative, abs=0.02)


def test_floats_that_are_quantized_are_spread_as_the_inputs_of_a_model() -> None:
    tensors = (Tensor(shape=(1, 300), dtype="float32"), ACTIVATION, ACTIVATION)
    operators = tuple(
        Operator(kind=kind, inputs=(index,), outputs=(index + 1,))
        for index, kind in enumerate(("QUANTIZE", "RELU"))
    )
    graph = OpGraph(tensors=tensors, operators=operators, inputs=(0,), outputs=(2,))
    typical = read_graph(write_model(graph, {}, {1: (0.1, 0), 2: (0.1, 0)})).tensors[1].typical
    assert typical is not None
    assert (min(typical.numbers), max(typical.numbers)) == pytest.approx((-12.7, 12.6), abs=0.3)


def test_what_is_less_than_half_a_step_is_rounded_to_zero() -> None:
    graph = read(("QUANTIZE",), ((0.01, 0), (4.0, 0)))
    assert shares.negative(graph.tensors[0]) == 0.5
    assert shares.negative(graph.tensors[1]) == 0.0


@pytest.mark.parametrize(
    ("kind", "constant", "negative"), [("SUB", 60, 0.5), ("SUB", -60, 0.0), ("MUL", -60, 0.98)]
)
def test_a_constant_says_its_sign(kind: str, constant: int, negative: float) -> None:
    # Inputs from 0 to 25.5, the constant 12 or -12.
    graph = read((kind,), ((0.1, -128), (0.2 if kind == "SUB" else 4.0, 0)), ((0.2, 0), constant))
    assert shares.negative(graph.tensors[1]) == pytest.approx(negative, abs=0.06)


def test_a_predicted_graph_equals_that_of_its_file_which_knows_typical_values() -> None:
    graph = read(("RELU",), ((0.1, 3), (0.1, 3)))
    assert graph.tensors[1].typical is not None
    assert graph == replace(graph, tensors=(ACTIVATION,) * 2)


# Counted under QEMU on the Cortex-M4 and the M0+, shapes that no fit saw: elements, least and greatest value, scale.
HELD_OUT = [
    ("RELU", 700, (0, 7.42, 0.0291), 32407, 84605),
    ("RELU", 700, (-19.54, 0, 0.0766), 37300, 89214),
    ("RELU6", 300, (-16.9, 6.04, 0.0901), 4409, 4009),
    ("LEAKY_RELU", 1200, (-7.71, 0, 0.03025), 68575, 153454),
    ("LEAKY_RELU", 700, (0, 18.75, 0.0735), 31735, 80840),
    ("HARD_SWISH", 300, (0, 17.5, 0.0688), 23585, 50230),
    ("HARD_SWISH", 700, (-8.45, 0, 0.03315), 60242, 116846),
    ("HARD_SWISH", 300, (-1.448, 1.578, 0.01187), 26854, 52953),
    ("QUANTIZE", 300, (0, 23.9, 0.0936), 12456, 35812),
    ("LOGISTIC", 300, (-1.8, 1.22, 0.01184), 110414, 426898),
    ("LOGISTIC", 1200, (0, 23.36, 0.0916), 210321, 798861),
    ("TANH", 700, (0, 11.73, 0.046), 241263, 985989),
]


@pytest.mark.parametrize(("kind", "elements", "values", "m4", "m0plus"), HELD_OUT)
def test_kernels_that_branch_by_their_values_are_predicted_on_values_spread_as_they_were_counted(
    kind: str, elements: int, values: tuple[float, float, float], m4: int, m0plus: int
) -> None:
    source = Tensor(shape=(1, elements), typical=evenly_spread(*values))
    op = Operator(kind=kind, inputs=(0,), outputs=(1,))
    for core, isa, counted in (("cortex-m4", "dsp", m4), ("cortex-m0plus", "scalar", m0plus)):
        table = core_table("cmsis_nn", core)
        assert table is not None
        path, trips = COUNTERS["cmsis_nn"][kind](op, (source, Tensor(shape=(1, elements))), isa)
        assert float(np.dot(table.instructions[path], trips)) == pytest.approx(counted, rel=0.04)


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH", "SOFTMAX"])
def test_where_a_scale_leaves_room_for_elements_that_are_not_computed_the_interval_is_wider(
    kind: str,
) -> None:
    options = SoftmaxOptions() if kind == "SOFTMAX" else NoOptions()
    op = Operator(kind=kind, inputs=(1,), outputs=(2,), options=options)

    def low(scale: float) -> float:
        tensors = (
            ACTIVATION,
            Tensor(shape=(1, 300), typical=evenly_spread(-scale, scale, scale)),
            ACTIVATION,
        )
        work = predict(
            OpGraph(tensors=tensors, operators=(op,), inputs=(1,), outputs=(2,)),
            kernels="cmsis_nn",
            core="cortex-m4",
        )
        assert work.instructions is not None
        assert work.instructions_low is not None
        return work.instructions_low / work.instructions

    assert low(0.01) > 0.9
    assert low(1.0) < 0.75


def test_a_softmax_skips_what_lies_31_and_more_below_the_greatest_of_its_row() -> None:
    def skipped(width: float, scale: float) -> float:
        return shares.skipped_exponentials(Tensor(shape=(1, 2), typical=evenly_spread(0, width, scale)), 1.0)

    # A scale of 0.5 has the mantissa 0.5: 15.5 is the reach. Of two the lesser lies further below with (1 - r)^2.
    assert skipped(15, 0.5) == 0
    assert skipped(31, 0.5) == pytest.approx(0.25 / 2, abs=0.02)
    assert skipped(62, 0.5) == pytest.approx(0.75**2 / 2, abs=0.02)


def test_a_tap_of_a_transposed_convolution_enters_a_loop_of_four_channels_and_one_of_the_rest() -> None:
    names = [f"taps*entered({part})_of_4" for part in ("blocks", "rest")]

    def entered(depth: int) -> tuple[bool, ...]:
        shapes = ((4,), (8, 3, 3, depth), (1, 4, 4, depth), (1, 4, 4, 8))
        op = Operator(
            kind="TRANSPOSE_CONV",
            inputs=(0, 1, 2),
            outputs=(3,),
            options=TransposeConv2DOptions(padding="SAME"),
        )
        path, trips = COUNTERS["cmsis_nn"]["TRANSPOSE_CONV"](
            op, tuple(Tensor(shape=s) for s in shapes), "dsp"
        )
        return tuple(trips[FEATURES[path].index(name)] > 0 for name in names)

    assert entered(4) == (True, False)
    assert entered(3) == (False, True)
    assert entered(5) == (True, True)


def branches(then: str, otherwise: str) -> OpGraph:
    """An IF of a map with one operator in each branch."""
    parts = tuple(
        OpGraph(
            tensors=(ACTIVATION, ACTIVATION),
            operators=(Operator(kind=kind, inputs=(0,), outputs=(1,)),),
            inputs=(0,),
            outputs=(1,),
        )
        for kind in (then, otherwise)
    )
    options = KernelOptions(values=(("then_subgraph", 1), ("else_subgraph", 2)))
    return OpGraph(
        tensors=(Tensor(shape=(1,), dtype="bool"), ACTIVATION, ACTIVATION),
        operators=(Operator(kind="IF", inputs=(0, 1), outputs=(2,), options=options),),
        inputs=(0, 1),
        outputs=(2,),
        others=parts,
    )


def test_an_if_takes_between_its_cheaper_and_its_dearer_branch() -> None:
    work = predict(branches("RELU", "LOGISTIC"), kernels="cmsis_nn", core="cortex-m4")
    cheap, dear = (
        predict(branches(kind, kind), kernels="cmsis_nn", core="cortex-m4") for kind in ("RELU", "LOGISTIC")
    )
    assert work.bounded_kinds == ("IF",)
    assert work.instructions_low == pytest.approx(cheap.instructions_low)
    assert work.instructions_high == pytest.approx(dear.instructions_high)
    # Counted under QEMU with 249 elements: 1,034 around the branch.
    relu = predict(branches("RELU", "RELU").others[0], kernels="cmsis_nn", core="cortex-m4").instructions
    assert relu is not None
    assert cheap.instructions == pytest.approx(relu + 1100, rel=0.02)


def test_an_if_with_a_branch_that_nobody_counted_is_at_least_the_rest() -> None:
    work = predict(branches("RELU", "DETECTION"), kernels="cmsis_nn", core="cortex-m4")
    assert work.unknown_kinds == ("IF",)


@pytest.mark.parametrize(
    "core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"]
)
def test_every_counted_core_knows_a_quantize_from_int16_to_int32(core: str) -> None:
    table = core_table("cmsis_nn", core)
    assert table is not None
    assert math.prod(table.instructions["quantize_int16_int32"]) > 0
