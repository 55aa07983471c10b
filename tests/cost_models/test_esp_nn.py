"""Espressif's kernels: memory as ESP-NN's own functions ask for it, code, and which targets take them."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cost_models.arena import arena, needs
from cost_models.arena.allocator import demands
from cost_models.arena.build import find_build
from cost_models.arena.demand import Demand
from cost_models.code_size import CodeSizes
from cost_models.cores import CORES as ALL_CORES
from cost_models.costing import CostModel, explain
from cost_models.cycles.boards import Measurement, fit_rates
from cost_models.cycles.classes import class_rates
from cost_models.cycles.espressif import CHIPS, PRICES, chip_rates
from cost_models.cycles.kernel_table import graph_of as shape_graph
from cost_models.cycles.model import predict
from cost_models.cycles.paths import COUNTERS
from cost_models.cycles.rates import Rates
from cost_models.cycles.table import core_table
from cost_models.errors import UserError
from cost_models.graph import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    Operator,
    OpGraph,
    Options,
    Padding,
    SoftmaxOptions,
    Tensor,
)
from cost_models.target_file import load_target
from tests.cost_models.conftest import Run
from tests.cost_models.tflite_models import edited

SCRIPTS = Path(__file__).parents[2] / "scripts"
SCRATCH = Path(__file__).parents[1] / "data" / "esp_nn_scratch.csv"
CORES = {
    "generic": ("xtensa-lx6", "riscv32"),
    "esp32s3": ("xtensa-lx7",),
    "esp32p4": ("riscv32-pie",),
}
KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "SOFTMAX")


def rows() -> list[dict[str, str]]:
    with SCRATCH.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def layer(
    kind: str,
    input_: tuple[int, int, int],
    filter_: tuple[int, ...],
    output: tuple[int, int],
    options: Options,
) -> OpGraph:
    """A graph of one convolution with a bias."""
    channels = filter_[0] if kind == "CONV_2D" else filter_[3]
    return OpGraph(
        tensors=(
            Tensor(shape=(1, *input_), scales=1, zero_points=1),
            Tensor(shape=filter_, data_bytes=1, scales=channels, zero_points=channels),
            Tensor(shape=(channels,), dtype="int32", data_bytes=4 * channels, scales=channels),
            Tensor(shape=(1, *output, channels), scales=1, zero_points=1),
        ),
        operators=(Operator(kind=kind, inputs=(0, 1, 2), outputs=(3,), options=options),),
        inputs=(0,),
        outputs=(3,),
    )


def softmax(shape: tuple[int, ...], output: str = "int8") -> OpGraph:
    return OpGraph(
        tensors=(
            Tensor(shape=shape, scales=1, zero_points=1),
            Tensor(shape=shape, dtype=output, scales=1, zero_points=1),
        ),
        operators=(Operator(kind="SOFTMAX", inputs=(0,), outputs=(1,), options=SoftmaxOptions()),),
        inputs=(0,),
        outputs=(1,),
    )


def graph_of(row: dict[str, str]) -> OpGraph:
    def numbers(name: str) -> tuple[int, ...]:
        return tuple(int(part) for part in row[name].split("x"))

    height, width, channels = (int(row[name]) for name in ("height", "width", "channels"))
    filter_ = numbers("filter")
    (stride_h, stride_w), (dilation_h, dilation_w) = numbers("strides"), numbers("dilations")
    out_h, out_w = numbers("output")
    padding: Padding = "SAME" if row["padding"] == "SAME" else "VALID"
    common = Conv2DOptions(
        padding=padding, stride_h=stride_h, stride_w=stride_w, dilation_h=dilation_h, dilation_w=dilation_w
    )
    options: Options = common
    if row["kind"] == "DEPTHWISE_CONV_2D":
        options = DepthwiseConv2DOptions(
            padding=padding,
            stride_h=stride_h,
            stride_w=stride_w,
            dilation_h=dilation_h,
            dilation_w=dilation_w,
            depth_multiplier=filter_[3] // channels,
        )
    return layer(row["kind"], (height, width, channels), filter_, (out_h, out_w), options)


@pytest.mark.parametrize("row", rows(), ids=lambda row: "-".join(row.values()))
def test_scratch_is_what_esp_nns_own_functions_return(row: dict[str, str]) -> None:
    graph, expected = graph_of(row), int(row["bytes"])
    for core in CORES[row["chip"]]:
        scratches = demands(graph, find_build("esp_nn", core))[0].scratch
        assert scratches == ((expected,) if expected else ())


def test_every_path_of_the_scratch_rules_is_among_the_rows() -> None:
    counts = {(row["chip"], row["kind"]): 0 for row in rows()}
    for row in rows():
        counts[row["chip"], row["kind"]] += 1
    assert counts["esp32s3", "CONV_2D"] >= 9
    assert counts["esp32s3", "DEPTHWISE_CONV_2D"] >= 15
    assert counts["esp32p4", "CONV_2D"] >= 15


def test_a_softmax_keeps_its_exponentials_by_the_second_dimension() -> None:
    for core in ("xtensa-lx6", "xtensa-lx7", "riscv32", "riscv32-pie"):
        build = find_build("esp_nn", core)
        assert demands(softmax((1, 12)), build)[0] == Demand((4, 4), (64,), (), 120, (48,))
        assert demands(softmax((1, 5, 7, 3)), build)[0].scratch == (20,)
        assert demands(softmax((1, 12), output="int16"), build)[0].scratch == ()
    assert demands(softmax((1, 12)), find_build("reference", "riscv32"))[0].scratch == ()


def test_a_softmax_of_one_dimension_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        arena(softmax((12,)), kernels="esp_nn", core="xtensa-lx7")
    assert str(caught.value) == (
        "ESP-NN's SOFTMAX sizes its scratch by the second dimension, which this tensor does not have, so it cannot be"
        " predicted. Give the softmax a batch dimension, or set kernels to reference."
    )
    assert arena(softmax((12,)), kernels="reference", core="xtensa-lx7").min_bytes > 0


def test_generic_kernels_take_the_portable_ones_memory_and_the_s3_more() -> None:
    row = next(row for row in rows() if row["chip"] == "esp32s3" and int(row["bytes"]) > 1000)
    graph = graph_of(row)
    portable = arena(graph, kernels="reference", core="xtensa-lx6")
    generic = arena(graph, kernels="esp_nn", core="xtensa-lx6")
    vector = arena(graph, kernels="esp_nn", core="xtensa-lx7")
    assert generic.planned_bytes == portable.planned_bytes
    assert generic.persistent_bytes - portable.persistent_bytes in (0, 16)
    assert vector.planned_bytes >= generic.planned_bytes + int(row["bytes"])
    assert max(size for _, _, size in needs(graph, kernels="esp_nn", core="xtensa-lx7")) <= vector.min_bytes


@pytest.mark.parametrize("name", ["esp32", "esp32s3", "esp32c3", "esp32p4"])
def test_espressifs_targets_take_esp_nn_and_a_file_can_ask_for_the_portable_kernels(
    name: str, tmp_path: Path
) -> None:
    target = load_target(name)
    assert (target.kernels, target.weights_memory) == ("esp_nn", "xip")
    assert target.sources["kernels"] == "espressif/esp-tflite-micro@99f49e14: ESP-NN is its default"
    sram = CostModel(target).bases()["sram_bytes"]
    assert sram == (
        "exact for TFLM 90b983c2 in esp-tflite-micro 99f49e14 with ESP-NN d45b843c on " + target.core
    )
    path = tmp_path / "portable.toml"
    path.write_text(f'extends = "{name}"\nkernels = "reference"\n', encoding="utf-8")
    portable = load_target(path)
    assert portable == replace(
        target, name="portable", kernels="reference", class_rates=chip_rates(target.core, "reference")
    )
    assert CostModel(portable).bases()["sram_bytes"] == f"exact for TFLM 90b983c2 on {target.core}"


def test_esp_nn_adds_code_to_the_portable_kernels_with_a_wider_interval() -> None:
    for core, added in (
        ("riscv32", 11154),
        ("riscv32-pie", 21584),
        ("xtensa-lx6", 12882),
        ("xtensa-lx7", 30750),
    ):
        portable = CodeSizes(kernels="reference", core=core).of(KINDS)
        sizes = CodeSizes(kernels="esp_nn", core=core)
        size = sizes.of(KINDS)
        assert abs(size.value_bytes - portable.value_bytes - added) <= 1
        assert abs(portable.low_bytes - size.low_bytes + 0.6 * added) <= 2
        assert abs(size.high_bytes - portable.high_bytes - 1.4 * added) <= 2
        assert sizes.basis.startswith("estimated, +-25% of the code: ")
        assert sizes.basis.endswith(", and what ESP-NN's kernels add, +-40% of that")
        assert sizes.of(["RESHAPE"]) == CodeSizes(kernels="reference", core=core).of(["RESHAPE"])
    with pytest.raises(UserError, match="ESP-NN does not run on cortex-m4"):
        CodeSizes(kernels="esp_nn", core="cortex-m4")


def table(name: str) -> list[dict[str, str]]:
    with (SCRIPTS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def kernel_cycles(row: dict[str, str], isa: str) -> float:
    """What the prices say of a published kernel, without call to TFLM and without flash."""
    shape = {"op": row["kernel"], "input_shape": row["input"], "output_shape": row["output"]}
    same = row["kernel"] == "DEPTHWISE_CONV_2D" and row["input"].startswith("1x12x12")
    shape |= {
        "filter_shape": row["filter"],
        "stride_h": "1",
        "stride_w": "1",
        "padding": "same" if same else "valid",
    }
    graph = shape_graph([shape])
    path, trips = COUNTERS["esp_nn"][row["kernel"]](graph.operators[0], graph.tensors, isa)
    return sum(price * trip for price, trip in zip(PRICES[path], trips, strict=True))


@pytest.mark.parametrize(
    "row", table("espressif_kernels.csv"), ids=lambda row: f"{row['chip']}-{row['kernel']}-{row['input']}"
)
def test_prices_are_those_of_the_published_kernels(row: dict[str, str]) -> None:
    isa = {"esp32s3": "esp_s3", "esp32p4": "esp_p4"}[row["chip"]]
    assert kernel_cycles(row, isa) == pytest.approx(float(row["ticks_optimized"]), rel=0.04)
    if row["chip"] == "esp32s3":
        # Plain C takes the price of its 1x1 convolutions for the larger window too, and of 3x3 taps for 5x5.
        off = 0.7 if row["filter"] == "64x3x3x3" else 0.52 if row["filter"] == "1x5x5x32" else 0.1
        assert kernel_cycles(row, "esp_c") == pytest.approx(float(row["ticks_c"]), rel=off)


def networks() -> dict[str, OpGraph]:
    rows = {"person_detect": table("person_detect_operators.csv")}
    for row in table("mlperf_tiny_operators.csv"):
        rows.setdefault(row["model"], []).append(row)
    return {name: shape_graph(operators) for name, operators in rows.items()}


def predicted(row: dict[str, str], rates: Rates | None = None) -> tuple[float, float, float, float]:
    """Measured cycles, then predicted ones with their interval."""
    target = load_target(row["target"])
    assert int(row["mhz"]) * 1_000_000 == target.clock_hz
    rates = rates or class_rates(target.core, row["kernels"], target.weights_memory)
    work = predict(networks()[row["model"]], kernels=row["kernels"], core=target.core, rates=rates)
    assert work.cycles is not None
    assert work.cycles_low is not None
    assert work.cycles_high is not None
    return float(row["ms"]) * target.clock_hz / 1e3, work.cycles, work.cycles_low, work.cycles_high


@pytest.mark.parametrize(
    "row",
    table("espressif_models.csv"),
    ids=lambda row: "-".join((row["target"], row["kernels"], row["model"], row["ms"])),
)
def test_published_networks_lie_in_the_interval(row: dict[str, str]) -> None:
    measured, value, low, high = predicted(row)
    assert low < measured < high
    if row["kernels"] == "reference" and row["target"] != "esp32c3":
        assert value == pytest.approx(measured, rel=0.01)
    if (row["target"], row["kernels"]) == ("esp32c3", "esp_nn"):
        # No fit saw it: counted instructions, and the cycles of CoreMark's.
        assert value == pytest.approx(1.17 * measured, rel=0.02)
    if row["target"] in ("esp32s3", "esp32p4") and row["kernels"] == "esp_nn":
        # No fit saw a network: single kernels alone.
        assert value == pytest.approx(measured, rel=0.1)


def test_a_network_left_out_of_the_esp32s_scale_lies_in_its_interval() -> None:
    rows = [
        row for row in table("espressif_models.csv") if (row["target"], row["kernels"]) == ("esp32", "esp_nn")
    ]
    rates = chip_rates("xtensa-lx6", "esp_nn")
    assert rates is not None
    factors = []
    for row in rows:
        measured, value, _, _ = predicted(row)
        factors.append(math.log(measured / value))
    assert abs(statistics.mean(factors)) < 0.02
    for index, row in enumerate(rows):
        others = statistics.mean([*factors[:index], *factors[index + 1 :]])
        ratio = math.exp(others)
        left_out = replace(
            rates, scale=ratio * rates.scale, cycles_per_weight_byte=ratio * rates.cycles_per_weight_byte
        )
        measured, _, low, high = predicted(row, left_out)
        assert low < measured < high


def test_an_operator_without_counted_instructions_is_priced_and_not_counted() -> None:
    graph = softmax((1, 10))
    for target in ("esp32s3", "nrf52840"):
        (part,) = explain(graph, load_target(target)).operators
        assert part.cycles is not None
        assert part.basis == ("counted" if part.instructions is not None else "priced")


def test_what_rests_on_less_is_wider() -> None:
    s3, p4, esp32, c3 = (
        chip_rates(core, "esp_nn") for core in ("xtensa-lx7", "riscv32-pie", "xtensa-lx6", "riscv32")
    )
    assert s3 is not None
    assert p4 is not None
    assert esp32 is not None
    assert c3 is not None
    assert 0.25 <= s3.spread_model < p4.spread_model <= c3.spread_model < esp32.spread_model
    assert (s3.basis, c3.basis) == ("class", "bound")
    portable = chip_rates("xtensa-lx7", "reference")
    assert portable is not None
    assert portable.spread_model >= esp32.spread_model
    assert portable.source == (
        "person detection without ESP-NN on an ESP32-S3: espressif/esp-nn@d45b843c: README.md"
    )
    assert chip_rates("xtensa-lx7", "cmsis_nn") is None
    assert chip_rates("cortex-m4", "esp_nn") is None
    assert set(CHIPS) == {name for name, core in ALL_CORES.items() if core.isa.startswith("esp_")}


def test_shapes_that_the_vector_kernels_leave_to_plain_c_take_its_price() -> None:
    def path(kind: str, input_: str, filter_: str, output: str, isa: str, dilation: str = "1") -> str:
        row = {"op": kind, "input_shape": input_, "filter_shape": filter_, "output_shape": output}
        row |= {
            "stride_h": "1",
            "stride_w": "1",
            "padding": "same",
            "dilation_h": dilation,
            "dilation_w": dilation,
        }
        graph = shape_graph([row])
        return COUNTERS["esp_nn"][kind](graph.operators[0], graph.tensors, isa)[0]

    shape = "1x8x8x16"
    assert path("CONV_2D", shape, "16x3x3x16", shape, "esp_s3") == "esp_s3_conv"
    assert path("CONV_2D", shape, "16x3x3x16", shape, "esp_s3", "2") == "esp_s3_conv_c"
    assert path("CONV_2D", shape, "16x3x3x4", shape, "esp_p4") == "esp_p4_conv_c"
    assert path("CONV_2D", shape, "16x3x3x16", shape, "esp_c", "2") == "esp_c_conv"
    assert path("DEPTHWISE_CONV_2D", shape, "1x3x3x16", shape, "esp_s3") == "esp_s3_depthwise"
    assert path("DEPTHWISE_CONV_2D", shape, "1x3x3x16", shape, "esp_s3", "2") == "esp_s3_depthwise_c"
    assert path("DEPTHWISE_CONV_2D", "1x8x8x3", "1x3x3x3", "1x8x8x3", "esp_s3") == "esp_s3_depthwise_c"
    assert path("DEPTHWISE_CONV_2D", "1x8x8x8", "1x3x3x8", "1x8x8x8", "esp_p4") == "esp_p4_depthwise_c"
    assert (
        path("DEPTHWISE_CONV_2D", "1x8x8x1", "1x3x3x8", "1x8x8x8", "esp_p4") == "esp_p4_depthwise_multiplied"
    )
    assert path("DEPTHWISE_CONV_2D", "1x8x8x1", "1x3x3x6", "1x8x8x6", "esp_s3") == "esp_s3_depthwise_c"
    row = {
        "op": "AVERAGE_POOL_2D",
        "input_shape": "1x8x8x6",
        "filter_shape": "8x8",
        "output_shape": "1x1x1x6",
    }
    graph = shape_graph([{**row, "stride_h": "8", "stride_w": "8", "padding": "valid"}])
    assert COUNTERS["esp_nn"]["AVERAGE_POOL_2D"](graph.operators[0], graph.tensors, "esp_s3")[0] == (
        "esp_c_average_pool"
    )


def test_a_board_of_ones_own_is_fitted_to_these_prices() -> None:
    board = Rates(
        scale=1.3, cycles_per_weight_byte=12.0, spread_model=0.05, spread_operator=0.05, source="a board"
    )
    measurements = []
    for name, graph in networks().items():
        parts = predict(graph, kernels="esp_nn", core="xtensa-lx7", rates=board).operators()
        cycles = tuple(part.cycles or 0.0 for part in parts)
        measurements.append(Measurement(model=name, graph=graph, cycles=cycles))
    prices = core_table("esp_nn", "xtensa-lx7")
    assert prices is not None
    rates, _ = fit_rates(measurements, table=prices, kernels="esp_nn", core="xtensa-lx7", source="mine")
    assert rates.scale == pytest.approx(1.3, rel=0.02)
    assert rates.cycles_per_weight_byte == pytest.approx(12.0, rel=0.05)


DS_CNN = Path(__file__).parents[1] / "data" / "calibration" / "ds_cnn-20059.tflite"


def without_biases(kinds: Sequence[int]) -> bytes:
    """A network whose operators of these kinds (of the schema's options) have no bias."""

    def edit(model: Any) -> None:
        for op in model.subgraphs[0].operators:
            if op.builtinOptionsType in kinds:
                op.inputs = [*op.inputs[:2], -1] if op.builtinOptionsType == 2 else op.inputs[:2]

    return edited(DS_CNN.read_bytes(), edit)


def test_convolutions_without_a_bias_are_said_to_stop_espressifs_chips(tmp_path: Path, run: Run) -> None:
    lacking, dense = tmp_path / "lacking.tflite", tmp_path / "dense.tflite"
    lacking.write_bytes(without_biases((1, 2)))  # Conv2DOptions, DepthwiseConv2DOptions
    dense.write_bytes(without_biases((8,)))  # FullyConnectedOptions
    said = "without a bias ESP-NN's kernel reads through a null pointer"
    for target in ("esp32", "esp32s3", "esp32c3", "esp32p4"):
        assert said in run(str(lacking), "--target", target)[1]
    out = json.loads(run(str(lacking), "--target", "esp32s3", "--json")[1])
    (fault,) = out["models"][0]["faults"]
    assert fault.startswith("CONV_2D (operator 0), DEPTHWISE_CONV_2D (operator 1), CONV_2D (operator 2): ")
    own = tmp_path / "own.toml"
    own.write_text('extends = "esp32s3"\nkernels = "reference"\n')
    for path, target in ((lacking, "nrf52840"), (lacking, str(own)), (dense, "esp32s3"), (DS_CNN, "esp32s3")):
        code, text, error = run(str(path), "--target", target)
        assert (code, error) == (0, "")
        assert "null pointer" not in text
    table = run(str(lacking), "--targets", "nrf52840,esp32,esp32s3")[1]
    (line,) = (line for line in table.splitlines() if said in line)
    assert line.startswith(("On esp32, esp32s3: CONV_2D", "On esp32s3, esp32: CONV_2D"))


@pytest.mark.parametrize(
    ("shape", "faulty"), [((1, 10), False), ((1, 8, 8), False), ((1, 3, 7), True), ((1, 9, 9, 10), True)]
)
def test_a_softmax_that_writes_past_its_scratch_is_said_to(shape: tuple[int, ...], faulty: bool) -> None:
    for target in ("esp32", "esp32s3", "esp32p4"):
        assert bool(explain(softmax(shape), load_target(target)).faults) == faulty
    assert not explain(softmax(shape), load_target("nrf52840")).faults
    assert not explain(softmax(shape, "int16"), load_target("esp32")).faults
