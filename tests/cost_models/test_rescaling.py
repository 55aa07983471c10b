"""Kernels that multiply each element or not, as the scales of their tensors say."""

from __future__ import annotations

import pytest

from cost_models.cycles import predict
from cost_models.cycles.paths import COUNTERS
from cost_models.graph import Operator, OpGraph, Tensor
from cost_models.tflite_graph import read_graph
from cost_models.tflite_writer import write_model

Scale = tuple[float, int]


def model(kind: str, dtypes: tuple[str, str], first: Scale, second: Scale) -> OpGraph:
    """One operator of 3,000 elements, as it is read from its file."""
    tensors: tuple[Tensor, ...] = tuple(
        Tensor(shape=(1, 3000), dtype=dtype, scales=1, zero_points=1) for dtype in dtypes
    )
    op = Operator(kind=kind, inputs=(0,), outputs=(1,))
    graph = OpGraph(tensors=tensors, operators=(op,), inputs=(0,), outputs=(1,))
    return read_graph(write_model(graph, {}, {0: first, 1: second}))


def instructions(graph: OpGraph) -> float:
    counted = predict(graph, kernels="cmsis_nn", core="cortex-m4").instructions
    assert counted is not None
    return counted


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_an_absolute_value_multiplies_where_the_scales_differ(dtype: str) -> None:
    same, other = (model("ABS", (dtype, dtype), (0.5, 0), (scale, 0)) for scale in (0.5, 0.25))
    # Counted under QEMU: 42 and 100 instructions an element on int8.
    assert instructions(other) > 2 * instructions(same)


@pytest.mark.parametrize(
    ("dtypes", "points", "path"),
    [
        (("uint8", "int8"), (128, 0), "quantize_uint8_int8_flipped"),
        (("int8", "uint8"), (-128, 0), "quantize_int8_uint8_flipped"),
        (("uint8", "int8"), (127, 0), "quantize_uint8_int8"),
        (("int8", "int8"), (0, 0), "quantize_int8_int8"),
    ],
)
def test_between_int8_and_uint8_of_one_meaning_the_top_bit_is_turned(
    dtypes: tuple[str, str], points: tuple[int, int], path: str
) -> None:
    graph = model("QUANTIZE", dtypes, (0.5, points[0]), (0.5, points[1]))
    assert COUNTERS["cmsis_nn"]["QUANTIZE"](graph.operators[0], graph.tensors, "dsp")[0] == path


def test_turning_the_top_bit_takes_an_eighth_of_a_multiplication() -> None:
    flipped, scaled = (model("QUANTIZE", ("uint8", "int8"), (0.5, 128), (scale, 0)) for scale in (0.5, 0.25))
    assert instructions(scaled) == pytest.approx(8.2 * instructions(flipped), rel=0.1)
