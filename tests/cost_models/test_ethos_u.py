"""Models that Vela compiled: a small temporal network whole, and with its softmax left to the core."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from cost_models.errors import UserError
from cost_models.ethos_u import CompiledModel, compiled_arena, read_compiled_model
from cost_models.tflite_graph import read_graph

# Made by Vela 5.2.0 for ethos-u55-128, Ethos_U55_High_End_Embedded, Shared_Sram, of tests/nas/bundle/data/tcn.tflite.
DATA = Path(__file__).parents[1] / "data" / "ethos_u"
WHOLE = (DATA / "whole.tflite").read_bytes()
MIXED = (DATA / "mixed.tflite").read_bytes()
PLAN = struct.pack("<8i", 0, 1, 5, -1, -1, 0, 64, 0)


def edited(old: bytes, new: bytes) -> bytes:
    assert WHOLE.count(old) == 1
    assert len(old) == len(new)
    return WHOLE.replace(old, new)


def refusal(data: bytes) -> str:
    with pytest.raises(UserError) as caught:
        read_compiled_model(data)
    return str(caught.value)


def test_what_the_npu_runs_is_one_operator() -> None:
    found = read_compiled_model(WHOLE)
    assert found.graph.kinds() == ("ETHOS_U",)
    assert (found.npu_operators, found.core_kinds()) == (1, ())
    assert found.offsets == (-1, -1, 0, 64, 0)


def test_what_vela_leaves_to_the_core_is_told_apart() -> None:
    found = read_compiled_model(MIXED)
    assert (found.npu_operators, found.core_kinds()) == (1, ("SOFTMAX",))


@pytest.mark.parametrize(("data", "used", "least"), [(WHOLE, 1348, 1360), (MIXED, 1460, 1472)])
def test_the_arena_is_what_tflm_took_and_the_least_it_worked_in(data: bytes, used: int, least: int) -> None:
    """Seen under QEMU (Cortex-M55, tflite-micro 90b983c2), TFLM's Ethos-U kernel over a driver that does nothing:
    AllocateTensors and Invoke succeed in `least`, and AllocateTensors fails in 16 bytes less."""
    found = compiled_arena(read_compiled_model(data), kernels="cmsis_nn", core="cortex-m55")
    assert (found.used_bytes, found.min_bytes) == (used, least)


def test_scratch_lies_behind_what_the_model_placed() -> None:
    model = read_compiled_model(WHOLE)
    placed = compiled_arena(model, kernels="cmsis_nn", core="cortex-m55")
    assert placed.planned_bytes == 896 + 48 + 32  # the NPU's memory, six 64-bit addresses, six sizes
    free = CompiledModel(graph=model.graph, offsets=(-1,) * 5)
    # Without its plan input and output would lie beside the NPU's memory instead of in it.
    assert (
        compiled_arena(free, kernels="cmsis_nn", core="cortex-m55").planned_bytes == 896 + 576 + 48 + 32 + 16
    )


def test_a_compiled_model_has_no_cost_on_the_core() -> None:
    with pytest.raises(UserError, match=r"compiled for Arm's Ethos-U NPU \(operator ethos-u\)"):
        read_graph(WHOLE)


def test_another_custom_operator_is_refused() -> None:
    assert "custom operator" in refusal(edited(b"ethos-u\0", b"ethos-v\0"))


@pytest.mark.parametrize(
    "plan",
    [(0, 1, 6, -1, -1, 0, 64, 0), (0, 1, 5, -1, -1, 0, 60, 0), (0, 1, 5, -1, -1, 0, -64, 0)],
    ids=["of another length", "unaligned", "negative"],
)
def test_a_memory_plan_that_does_not_fit_is_refused(plan: tuple[int, ...]) -> None:
    assert "its memory plan is not one of all its tensors" in refusal(edited(PLAN, struct.pack("<8i", *plan)))


def test_a_model_without_a_memory_plan_leaves_it_to_tflm() -> None:
    data = edited(b"OfflineMemoryAllocation", b"OfflineMemoryAllocatioN")
    assert read_compiled_model(data).offsets == (-1,) * 5


def test_damaged_bytes_are_refused_or_read_and_never_fault() -> None:
    rng = random.Random(5)
    refused = 0
    for _ in range(400):
        data = bytearray(MIXED)
        for _ in range(rng.randint(1, 4)):
            data[rng.choice([rng.randrange(900), rng.randrange(len(data) - 900, len(data))])] = rng.randrange(
                256
            )
        try:
            model = read_compiled_model(bytes(data))
            compiled_arena(model, kernels="cmsis_nn", core="cortex-m55")
        except UserError:
            refused += 1
    assert refused > 50
