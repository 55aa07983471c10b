"""The graph of a log-mel front end: which operators stand in it, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cost_models.arena import arena
from cost_models.graph import OpGraph
from cost_models.tflite_graph import read_graph
from nas.frontend.log_mel import log_mel
from nas.frontend.settings import LogMelSettings
from nas.frontend.signal_graph import ZERO_POINT

BEFORE = (
    "SignalWindow",
    "SignalFftAutoScale",
    "SignalRfft",
    "SignalEnergy",
    "SignalFilterBank",
    "SignalFilterBankSquareRoot",
)
SUBTRACTION = "SignalFilterBankSpectralSubtraction"
BEHIND = ("SignalFilterBankLog", "QUANTIZE")


def without_values(graph: OpGraph) -> OpGraph:
    return replace(graph, tensors=tuple(replace(tensor, values=None) for tensor in graph.tensors))


@pytest.mark.parametrize(
    ("pcan", "noise_subtraction", "between"),
    [
        (True, True, (SUBTRACTION, "SignalPCAN")),
        (True, False, (SUBTRACTION, "SignalPCAN")),
        (False, True, (SUBTRACTION,)),
        (False, False, ()),
    ],
)
def test_the_switches_decide_which_operators_there_are(
    pcan: bool, noise_subtraction: bool, between: tuple[str, ...]
) -> None:
    model = log_mel(LogMelSettings(pcan=pcan, noise_subtraction=noise_subtraction))
    assert model.graph.kinds() == (*BEFORE, *between, *BEHIND)


def test_without_noise_subtraction_pcan_adapts_what_it_was_given_whole() -> None:
    by_kind = {op.kind: op for op in log_mel(LogMelSettings(noise_subtraction=False)).graph.operators}
    pcan, subtraction = by_kind["SignalPCAN"], by_kind[SUBTRACTION]
    assert pcan.inputs[:2] == (subtraction.inputs[0], subtraction.outputs[1])
    by_kind = {op.kind: op for op in log_mel(LogMelSettings()).graph.operators}
    assert by_kind["SignalPCAN"].inputs[:2] == by_kind[SUBTRACTION].outputs


@pytest.mark.parametrize(
    "settings",
    [LogMelSettings(), LogMelSettings(pcan=False, bands=13, window_ms=25, sample_rate=8000, high_hz=4000)],
)
def test_the_flatbuffer_is_read_as_the_graph_that_it_was_written_of(settings: LogMelSettings) -> None:
    model = log_mel(settings)
    assert without_values(read_graph(model.tflite)) == model.graph
    assert model.tflite == log_mel(settings).tflite


def test_input_and_output_are_a_frame_and_its_bands() -> None:
    model = log_mel(LogMelSettings())
    (source,), (result,) = model.graph.inputs, model.graph.outputs
    assert (model.graph.tensors[source].shape, model.graph.tensors[source].dtype) == ((480,), "int16")
    assert (model.graph.tensors[result].shape, model.graph.tensors[result].dtype) == ((40,), "int8")
    assert abs(model.scale - 1 / 24) < 1e-8
    assert ZERO_POINT == -128


def test_a_front_end_is_small() -> None:
    """Arena as under QEMU (Cortex-M4, tflite-micro 90b983c2)."""
    model = log_mel(LogMelSettings())
    memory = arena(model.graph, kernels="cmsis_nn", core="cortex-m4")
    assert (memory.used_bytes, memory.min_bytes) == (7428, 7440)
    assert len(model.tflite) < 4600
