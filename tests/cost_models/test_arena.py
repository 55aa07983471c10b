"""The tensor arena equals what real TFLM builds reported, to the byte, on every core and kernel library."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from cost_models.arena import Arena, arena, needs, persistent, plan, timeline, verify_plan
from cost_models.cores import CORES
from cost_models.errors import UserError
from cost_models.graph import DepthwiseConv2DOptions, NoOptions, Operator, OpGraph, Tensor
from cost_models.tflite_graph import read_graph

SAMPLE = Path(__file__).parents[1] / "data" / "calibration"
FULL = Path(__file__).parents[3] / "shared" / "calibration"
CORE = {
    "m0p": "cortex-m0plus",
    "m4": "cortex-m4",
    "m7": "cortex-m7",
    "m33": "cortex-m33",
    "m55": "cortex-m55",
}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def graph_of(path: Path) -> OpGraph:
    return read_graph(path.read_bytes())


SAMPLE_ROWS = rows(SAMPLE / "arena.csv")


def differences(row: dict[str, str], graph: OpGraph) -> list[str]:
    """Which measured figures of a row the model misses."""
    build = {"kernels": row["kernels"], "core": CORE[row["cpu"]]}
    memory = arena(graph, **build)
    tail = persistent(graph, **build)
    predicted = {
        "arena_used_bytes": memory.used_bytes,
        "min_arena_bytes": memory.min_bytes,
        "planned_bytes": memory.planned_bytes,
        "eval_tensor_bytes": tail.eval_tensor_bytes,
        "node_and_registration_bytes": tail.node_bytes,
        "persistent_buffer_bytes": tail.recorded_buffer_bytes,
    }
    return [
        f"{row['model']} {build} {name}: measured {row[name]}, predicted {value}"
        for name, value in predicted.items()
        if row[name] and int(row[name]) != value
    ]


@pytest.mark.parametrize("row", SAMPLE_ROWS, ids=lambda row: f"{row['model']}-{row['cpu']}-{row['kernels']}")
def test_arena_equals_the_measured_one_to_the_byte(row: dict[str, str]) -> None:
    assert not differences(row, graph_of(SAMPLE / row["model"]))


@pytest.mark.skipif(not FULL.exists(), reason="the whole calibration set is not beside the checkout")
def test_arena_equals_every_measured_one_of_the_whole_set() -> None:
    measured = rows(FULL / "runs.csv")
    assert len(measured) > 500
    wrong = [
        fault for row in measured for fault in differences(row, graph_of(FULL / "models" / row["model"]))
    ]
    assert not wrong


def test_the_sample_has_a_measured_smallest_arena_for_plain_dsp_and_helium_cores() -> None:
    assert {row["cpu"] for row in SAMPLE_ROWS if row["min_arena_bytes"]} >= {"m0p", "m4", "m55"}


@pytest.mark.parametrize("name", sorted({row["model"] for row in SAMPLE_ROWS}))
@pytest.mark.parametrize("core", CORES)
def test_plan_tail_and_needs_explain_the_arena(name: str, core: str) -> None:
    graph = graph_of(SAMPLE / name)
    kernels = "cmsis_nn" if core.startswith("cortex-m") else "reference"
    memory = arena(graph, kernels=kernels, core=core)
    buffers = plan(graph, kernels=kernels, core=core)
    tail = persistent(graph, kernels=kernels, core=core)
    steps = needs(graph, kernels=kernels, core=core)
    assert not verify_plan(buffers, memory.planned_bytes)
    assert verify_plan(buffers, memory.planned_bytes - 16)
    assert (
        tail.fixed_bytes
        + tail.eval_tensor_bytes
        + tail.node_bytes
        + tail.options_bytes
        + tail.operator_bytes
        + tail.scratch_handle_bytes
        + tail.variable_bytes
        + tail.io_tensor_bytes
        == memory.persistent_bytes
    )
    assert memory.planned_bytes + memory.persistent_bytes == memory.used_bytes
    assert memory.used_bytes <= memory.min_bytes
    assert len(steps) == len(graph.operators) + 2
    assert 0 <= memory.min_bytes - max(need for _, _, need in steps) < 16


@pytest.mark.parametrize("name", sorted({row["model"] for row in SAMPLE_ROWS}))
def test_timeline_shows_inputs_and_outputs_of_each_operator_alive(name: str) -> None:
    graph = graph_of(SAMPLE / name)
    line = timeline(graph, kernels="cmsis_nn", core="cortex-m4")
    assert len(line.steps) == len(graph.operators)
    for op, step in zip(graph.operators, line.steps):
        alive = {buffer.tensor for buffer in step.buffers if buffer.tensor is not None}
        wanted = {
            index
            for index in (*op.inputs, *op.outputs)
            if index >= 0 and not graph.tensors[index].is_constant
        }
        assert wanted <= alive
        assert step.live_bytes <= step.top_bytes <= line.planned_bytes
    assert line.steps[line.peak].live_bytes == max(step.live_bytes for step in line.steps)
    assert line.planned_bytes == line.steps[line.peak].live_bytes + line.gap_bytes


def relu_chain(count: int = 3, kind: str = "RELU") -> OpGraph:
    tensors = tuple(Tensor(shape=(1, 4, 4, 3), scales=1, zero_points=1) for _ in range(count + 1))
    operators = tuple(Operator(kind=kind, inputs=(index,), outputs=(index + 1,)) for index in range(count))
    return OpGraph(tensors=tensors, operators=operators, inputs=(0,), outputs=(count,))


def test_one_more_scale_adds_its_zero_point_to_an_output() -> None:
    graph = relu_chain()
    wider = replace(graph, tensors=(*graph.tensors[:-1], replace(graph.tensors[-1], scales=5)))
    build = {"kernels": "reference", "core": "cortex-m4"}
    assert arena(wider, **build).used_bytes - arena(graph, **build).used_bytes == 16


def test_scales_without_zero_points_are_no_quantization() -> None:
    graph = relu_chain()
    bare = replace(graph, tensors=(*graph.tensors[:-1], replace(graph.tensors[-1], zero_points=0)))
    build = {"kernels": "reference", "core": "cortex-m4"}
    assert arena(graph, **build).used_bytes - arena(bare, **build).used_bytes == 20


def test_an_unused_tensor_costs_its_records() -> None:
    graph = relu_chain()
    more = replace(graph, tensors=(*graph.tensors, Tensor(shape=(4,), data_bytes=4)))
    build = {"kernels": "reference", "core": "cortex-m4"}
    # 12 bytes of eval tensor, some of which the alignment of the next buffer swallows.
    assert 0 <= arena(more, **build).used_bytes - arena(graph, **build).used_bytes <= 16


def test_a_variable_lives_in_the_tail() -> None:
    graph = relu_chain()
    state = replace(
        graph, tensors=(*graph.tensors, Tensor(shape=(100,), scales=1, zero_points=1, is_variable=True))
    )
    build = {"kernels": "reference", "core": "cortex-m4"}
    before, after = arena(graph, **build), arena(state, **build)
    assert after.planned_bytes == before.planned_bytes
    assert after.persistent_bytes >= before.persistent_bytes + 112


def test_wide_enumerations_of_other_cores_take_more() -> None:
    graph = relu_chain()
    arm = arena(graph, kernels="reference", core="cortex-m4")
    other = arena(graph, kernels="reference", core="riscv32")
    # Two structs of 40 instead of 32 bytes; the alignment of the list between them swallows 8 of the 16.
    assert other.persistent_bytes - arm.persistent_bytes == 8
    assert other == arena(graph, kernels="reference", core="xtensa-lx7")


def test_cores_with_the_same_extension_need_the_same() -> None:
    graph = graph_of(SAMPLE / "plain-20067.tflite")

    def on(core: str) -> Arena:
        return arena(graph, kernels="cmsis_nn", core=core)

    assert on("cortex-m4") == on("cortex-m7") == on("cortex-m33")
    assert on("cortex-m0plus") == on("cortex-m3")
    assert on("cortex-m55") == on("cortex-m85")
    assert len({on(core).used_bytes for core in ("cortex-m3", "cortex-m4", "cortex-m55")}) == 3


def test_an_operator_without_a_rule_is_refused_by_name() -> None:
    with pytest.raises(UserError) as error:
        arena(relu_chain(kind="FFT2D"), kernels="reference", core="cortex-m4")
    assert error.value.message == "TFLM 90b983c2 has no operator FFT2D."
    assert error.value.hint == "Replace the operator."


def test_a_transposed_convolution_without_strides_is_refused() -> None:
    tensors = (
        Tensor(shape=(4,), dtype="int32", data_bytes=16),
        Tensor(shape=(8, 3, 3, 4), data_bytes=288, scales=8, zero_points=1),
        Tensor(shape=(1, 5, 5, 4), scales=1, zero_points=1),
        Tensor(shape=(1, 10, 10, 8), scales=1, zero_points=1),
    )
    op = Operator(kind="TRANSPOSE_CONV", inputs=(0, 1, 2), outputs=(3,), options=NoOptions())
    graph = OpGraph(tensors=tensors, operators=(op,), inputs=(2,), outputs=(3,))
    with pytest.raises(UserError) as error:
        arena(graph, kernels="cmsis_nn", core="cortex-m4")
    assert error.value.message == "The memory of TRANSPOSE_CONV is not known without its strides."


def test_an_operator_with_too_few_inputs_is_refused() -> None:
    with pytest.raises(UserError) as error:
        arena(relu_chain(kind="CONV_2D"), kernels="reference", core="cortex-m4")
    assert error.value.message == "Operator CONV_2D has 1 inputs and 1 outputs that its kernel does not take."
    assert error.value.hint == "Convert the model again."


def test_a_shape_that_is_not_static_is_refused() -> None:
    graph = relu_chain()
    dynamic = replace(graph, tensors=(*graph.tensors[:-1], replace(graph.tensors[-1], shape=(1, -1, 4, 3))))
    with pytest.raises(UserError) as error:
        arena(dynamic, kernels="reference", core="cortex-m4")
    assert error.value.message == "Tensor 3 has no static shape."
    assert error.value.hint == "Convert the model with a fixed shape."


@pytest.mark.parametrize(
    ("kernels", "core", "message", "hint"),
    [
        ("cmsis", "cortex-m4", "There is no kernel library 'cmsis'.", "Did you mean cmsis_nn?"),
        (
            "cmsis_nn",
            "cortex-m44",
            "The memory of TFLM on core 'cortex-m44' is not known.",
            "Did you mean cortex-m4?",
        ),
        (
            "cmsis_nn",
            "riscv32",
            "CMSIS-NN does not run on riscv32.",
            "Set kernels to esp_nn or reference.",
        ),
        (
            "esp_nn",
            "cortex-m4",
            "ESP-NN does not run on cortex-m4.",
            "Set kernels to cmsis_nn or reference.",
        ),
    ],
)
def test_an_unknown_build_is_refused(kernels: str, core: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        arena(relu_chain(), kernels=kernels, core=core)
    assert (error.value.message, error.value.hint) == (message, hint)


def test_a_depthwise_row_of_one_channel_is_refused_on_helium() -> None:
    tensors = (
        Tensor(shape=(1, 1, 30, 1), scales=1, zero_points=1),
        Tensor(shape=(1, 1, 5, 8), data_bytes=40, scales=8, zero_points=1),
        Tensor(shape=(1, 1, 30, 8), scales=1, zero_points=1),
    )
    op = Operator(
        kind="DEPTHWISE_CONV_2D",
        inputs=(0, 1),
        outputs=(2,),
        options=DepthwiseConv2DOptions(padding="SAME", depth_multiplier=8),
    )
    graph = OpGraph(tensors=tensors, operators=(op,), inputs=(0,), outputs=(2,))
    assert arena(graph, kernels="cmsis_nn", core="cortex-m4").used_bytes > 0
    assert arena(graph, kernels="reference", core="cortex-m55").used_bytes > 0
    with pytest.raises(UserError) as error:
        arena(graph, kernels="cmsis_nn", core="cortex-m55")
    assert error.value.message.startswith(
        "TFLM sizes the scratch of a DEPTHWISE_CONV_2D of one channel and one row for Helium"
    )
    assert error.value.hint == "Use a CONV_2D instead."


def test_more_tensors_than_tflm_concatenates_are_refused() -> None:
    def concatenation(count: int) -> OpGraph:
        tensors = tuple(Tensor(shape=(1, 4), scales=1, zero_points=1) for _ in range(count))
        output = Tensor(shape=(1, 4 * count), scales=1, zero_points=1)
        inputs = tuple(range(count))
        op = Operator(kind="CONCATENATION", inputs=inputs, outputs=(count,))
        return OpGraph(tensors=(*tensors, output), operators=(op,), inputs=inputs, outputs=(count,))

    assert arena(concatenation(10), kernels="reference", core="cortex-m4").used_bytes > 0
    with pytest.raises(UserError) as error:
        arena(concatenation(11), kernels="reference", core="cortex-m4")
    assert error.value.message == "TFLM concatenates at most 10 tensors, not 11."
    assert error.value.hint == "Concatenate in steps."
