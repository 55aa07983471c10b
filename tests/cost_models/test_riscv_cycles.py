"""RISC-V: instructions of ESP-NN's generic C and of TFLM's portable kernels, as QEMU counted them for rv32imc."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from cost_models.cycles.instruction_cycles import CYCLES_PER_INSTRUCTION
from cost_models.cycles.measurements import read_portable
from cost_models.cycles.model import CALL_SPREAD, Z90, predict
from cost_models.cycles.paths import COUNTERS
from cost_models.cycles.table import CoreTable, core_table
from cost_models.graph import FullyConnectedOptions, Operator, OpGraph, Tensor
from cost_models.target_file import load_target

# Shapes that no fit saw.
HELD = Path(__file__).parents[1] / "data" / "riscv_counts.csv"


def counted(kernels: str) -> CoreTable:
    table = core_table(kernels, "riscv32")
    assert table is not None
    return table


def dense(scales: int) -> OpGraph:
    return OpGraph(
        tensors=(
            Tensor(shape=(1, 64), scales=1, zero_points=1),
            Tensor(shape=(44, 64), data_bytes=44 * 64, scales=scales, zero_points=1),
            Tensor(shape=(1, 44), scales=1, zero_points=1),
        ),
        operators=(
            Operator(
                kind="FULLY_CONNECTED", inputs=(0, 1, -1), outputs=(2,), options=FullyConnectedOptions()
            ),
        ),
        inputs=(0,),
        outputs=(2,),
    )


@pytest.mark.parametrize("kernels", ["esp_nn", "reference"])
def test_shapes_that_no_fit_saw_take_what_qemu_counted(kernels: str) -> None:
    table = counted(kernels)
    samples = read_portable(HELD)[kernels, "riscv32"]
    errors, inside = [], 0
    for sample in samples:
        prices = table.instructions[sample.path]
        error = sum(map(math.prod, zip(prices, sample.trips, strict=True))) / sample.cost - 1
        own = table.spread_by_path.get(sample.path, 0.0)
        reach = Z90 * math.hypot(table.spread_model, table.spread_operator, own, CALL_SPREAD / sample.cost)
        errors.append(abs(error))
        inside += abs(math.log1p(error)) <= reach
    assert len(errors) >= 25
    assert sorted(errors)[len(errors) // 2] < 0.01
    assert max(errors) < 0.1
    assert inside >= 0.9 * len(errors)


def test_a_dense_layer_with_scales_for_each_channel_is_another_kernel() -> None:
    # Counted: 28,227 with ESP-NN and 25,596 without; the interpreter adds 10 to an operator and 106 to an inference.
    for kernels, instructions in (("esp_nn", 28_227), ("reference", 25_596)):
        table = counted(kernels)
        assert (table.dispatch[0], table.invoke[0]) == (10, 106)
        whole = predict(dense(44), kernels=kernels, core="riscv32").instructions
        assert whole == pytest.approx(instructions + 116, rel=0.02)
        assert (
            predict(dense(44), kernels=kernels, core="riscv32").operators()[0].path.endswith("_per_channel")
        )
        assert (
            not predict(dense(1), kernels=kernels, core="riscv32")
            .operators()[0]
            .path.endswith("_per_channel")
        )


def test_weights_cost_no_instructions_and_are_fetched_once() -> None:
    table = counted("esp_nn")
    graph = dense(1)
    path, trips = COUNTERS["esp_nn"]["FULLY_CONNECTED"](graph.operators[0], graph.tensors, "esp_rv32")
    assert trips[-1] == 44 * 64
    assert table.instructions[path][-1] == 0
    rates = load_target("esp32c3").class_rates
    assert rates is not None
    assert rates.basis == "bound"
    work = predict(graph, kernels="esp_nn", core="riscv32", rates=rates)
    assert work.cycles is not None
    assert work.instructions is not None
    assert work.cycles == pytest.approx(
        CYCLES_PER_INSTRUCTION["riscv32"] * work.instructions + rates.cycles_per_weight_byte * 44 * 64,
        rel=0.001,
    )
