"""Models with TFLM's signal operators: read as written, refused where a kernel would read or write elsewhere."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from cost_models.arena import arena, plan, verify_plan
from cost_models.arena.signal_rules import transform_bytes
from cost_models.errors import UserError
from cost_models.graph import Operator, OpGraph, SignalOptions
from cost_models.lean import lean
from cost_models.signal_operators import PARAMETERS
from cost_models.tflite_graph import read_graph
from cost_models.tflite_writer import write_model
from tests.cost_models.signal_models import (
    INT32,
    activation,
    filter_bank,
    numbers,
    rfft,
    single,
    window,
)


def refusal(data: bytes) -> str:
    with pytest.raises(UserError) as caught:
        read_graph(data)
    return str(caught.value)


def test_a_signal_operator_is_read_with_its_options() -> None:
    (op,) = read_graph(rfft()).operators
    assert (op.kind, op.inputs, op.outputs) == ("SignalRfft", (0,), (1,))
    assert isinstance(op.options, SignalOptions)
    assert (op.options["T"], op.options["fft_length"]) == (7, 32)


def test_a_filter_bank_keeps_the_edges_of_its_bands() -> None:
    assert [tensor.values for tensor in read_graph(filter_bank()).tensors[3:6]] == [(1, 3), (0, 2), (2, 2)]


def test_the_state_of_a_transform_is_that_of_kissfft() -> None:
    # Three pointers; length, direction and 64 factors; twiddles of 256; 256 results and 128 twiddles of 4 bytes.
    assert transform_bytes(512, 2) == 12 + 264 + 4 * 256 + 4 * 384


def test_the_arena_holds_what_a_transform_keeps() -> None:
    graph = read_graph(rfft())
    memory = arena(graph, kernels="cmsis_nn", core="cortex-m4")
    assert not verify_plan(plan(graph, kernels="cmsis_nn", core="cortex-m4"), memory.planned_bytes)
    longer = arena(read_graph(rfft(length=64, made=66)), kernels="cmsis_nn", core="cortex-m4")
    assert longer.persistent_bytes - memory.persistent_bytes == 16 * 4 + 24 * 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (window(samples=9, made=9), "operator 0 (SignalWindow) has a window of 8 for [9]"),
        (window(shift=32), "operator 0 (SignalWindow) shifts by 32 bits (shift)"),
        (window(made=7), "operator 0 (SignalWindow) cannot make [7] of [8]"),
        (rfft(length=31), "operator 0 (SignalRfft) transforms 31 samples"),
        (rfft(length=1 << 20), "operator 0 (SignalRfft) transforms 1048576 samples"),
        (rfft(samples=33), "operator 0 (SignalRfft) cannot make [34] of [33]"),
        (rfft(made=32), "operator 0 (SignalRfft) cannot make [32] of [24]"),
        (rfft(number=INT32), "operator 0 (SignalRfft) has a tensor of int16, not int32"),
        (rfft(number=99), "operator 0 (SignalRfft) has a tensor of int16, not a type that TFLM knows"),
        (filter_bank(starts=(1, 8)), "has a band that reaches beyond the 9 places or the 4 weights"),
        (filter_bank(places=(0, 3)), "has a band that reaches beyond the 9 places or the 4 weights"),
        (filter_bank(widths=(2, -1)), "has a band that reaches beyond the 9 places or the 4 weights"),
        (filter_bank(bands=2), "has band edges that are not 3 constants"),
        (
            single(
                "SignalEnergy",
                [activation((8,), "int16")],
                [activation((4,), "uint32")],
                start_index=1,
                end_index=5,
            ),
            "operator 0 (SignalEnergy) takes places 1 to 5 of 4",
        ),
        (
            single(
                "SignalPCAN",
                [activation((4,), "uint32"), activation((4,), "uint32"), numbers([1] * 124)],
                [activation((4,), "uint32")],
                snr_shift=6,
            ),
            "operator 0 (SignalPCAN) has a table of 124 gains, not 125",
        ),
        (
            single(
                "SignalFramer",
                [activation((30,), "int16")],
                [activation((3, 9), "int16"), activation((), "bool")],
                frame_size=9,
                frame_step=10,
                prefill=0,
            ),
            "operator 0 (SignalFramer) takes frames of 9 every 10 of 30 samples",
        ),
        (
            single(
                "SignalOverlapAdd",
                [activation((2, 9), "int16")],
                [activation((20,), "int16")],
                T=7,
                frame_step=10,
            ),
            "operator 0 (SignalOverlapAdd) adds frames of 9 every 10",
        ),
        (
            single(
                "SignalStacker",
                [activation((5,), "int16")],
                [activation((10,), "int16"), activation((), "bool")],
                num_channels=5,
                stacker_left_context=1,
                stacker_right_context=0,
                stacker_step=3,
            ),
            "operator 0 (SignalStacker) stacks 1, 1 and 0 frames every 3",
        ),
        (
            single("SignalDelay", [activation((5,), "int16")], [activation((5,), "int16")], delay_length=-1),
            "operator 0 (SignalDelay) delays by -1",
        ),
        (
            single("SignalFilterBankLog", [activation((5,), "int16")], [activation((5,), "int16")],
                   input_correction_bits=3, output_scale=64),
            "operator 0 (SignalFilterBankLog) has a tensor of int16, not uint32",
        ),
        (
            single("SignalFftAutoScale", [activation((2, 5), "int16")],
                   [activation((2, 5), "int16"), activation((), "int32")]),
            "operator 0 (SignalFftAutoScale) has a tensor of shape [2, 5]",
        ),
        (
            single("SignalFilterBankSquareRoot", [activation((5,), "uint64")], [activation((5,), "uint32")]),
            "operator 0 (SignalFilterBankSquareRoot) has 1 inputs and 1 outputs",
        ),
    ],
    ids=lambda value: re.sub(r"\W+", "_", value)[:60] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_a_kernel_does_not_take_is_refused(data: bytes, message: str) -> None:
    assert message in refusal(data)


def test_options_that_a_kernel_does_not_read_are_refused_by_name() -> None:
    data = single(
        "SignalWindow", [activation((8,), "int16"), numbers([1] * 8)], [activation((8,), "int16")], shifts=12
    )
    assert refusal(data) == (
        "Operator 0 of the model (SignalWindow) has the options shifts, where its kernel reads shift."
        " Make it with the operators of TFLM's signal library (python/tflite_micro/signal)."
    )


def test_another_custom_operator_is_refused() -> None:
    data = window()
    assert data.count(b"SignalWindow") == 1
    assert "custom operator" in refusal(data.replace(b"SignalWindow", b"SignalWindox"))


def test_the_name_of_an_operator_has_to_end() -> None:
    data = window()
    assert data.count(b"SignalWindow\0") == 1
    message = refusal(data.replace(b"SignalWindow\0", b"SignalWindow!"))
    assert "the name of a custom operator does not end" in message


def test_operators_between_signal_operators_take_what_their_kernels_take() -> None:
    graph = read_graph(window())
    tensors = (*graph.tensors, activation((8,), "int16"))
    graph = OpGraph(
        tensors=tensors,
        operators=(*graph.operators, Operator(kind="TANH", inputs=graph.outputs, outputs=(3,))),
        inputs=graph.inputs,
        outputs=(3,),
    )
    data = write_model(graph, {1: (4096).to_bytes(2, "little") * 8})
    assert "TANH has an int16 tensor without scales" in refusal(data)


def test_a_cast_of_a_type_that_tflm_does_not_cast_is_refused() -> None:
    graph = read_graph(window())
    tensors = (*graph.tensors, activation((8,), "bool"))
    graph = OpGraph(
        tensors=tensors,
        operators=(*graph.operators, Operator(kind="CAST", inputs=graph.outputs, outputs=(3,))),
        inputs=graph.inputs,
        outputs=(3,),
    )
    data = write_model(graph, {1: (4096).to_bytes(2, "little") * 8})
    assert "TFLM has no kernel of CAST that takes int16 and makes bool" in refusal(data)


def test_a_front_end_cannot_be_made_lean() -> None:
    with pytest.raises(UserError, match="an operator SignalWindow, which cannot be made lean"):
        lean(window())


def test_an_operator_without_its_options_has_no_known_memory() -> None:
    graph = read_graph(window())
    bare = replace(
        graph,
        operators=tuple(
            Operator(kind=op.kind, inputs=op.inputs, outputs=op.outputs) for op in graph.operators
        ),
    )
    with pytest.raises(UserError, match="memory of SignalWindow is not known without its options"):
        arena(bare, kernels="reference", core="cortex-m4")


def test_the_options_of_each_kind_are_in_the_order_in_which_kernels_count_them() -> None:
    assert all(list(names) == sorted(names) for names in PARAMETERS.values())
    assert SignalOptions(values=(("a", 1), ("b", 2)))["b"] == 2


@pytest.mark.parametrize("data", [window(), rfft(), filter_bank()], ids=["window", "rfft", "filter_bank"])
def test_damaged_bytes_are_refused_or_costed_and_never_fault(data: bytes) -> None:
    rng = random.Random(11)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            arena(read_graph(bytes(damaged)), kernels="reference", core="cortex-m4")
        except UserError:
            refused += 1
    assert refused > 300
