from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nas.runtimes import several
from nas.runtimes.tflm import Port, TflmError, TflmModel

TCN = (Path(__file__).parent / "bundle" / "data" / "tcn.tflite").read_bytes()


def test_tflm_answers_as_it_did_when_the_calibration_set_was_measured() -> None:
    """Source: the output column of the measured runs for this network (tcn-20122)."""
    sample = np.random.default_rng(1).integers(-128, 128, (1, 64, 1, 9)).astype(np.int8)
    assert TflmModel(TCN).run(sample).tobytes().hex() == "b792c3b1c3"


def test_each_sample_is_answered_for_itself() -> None:
    samples = np.random.default_rng(2).integers(-128, 128, (3, 64, 1, 9)).astype(np.int8)
    model = TflmModel(TCN)
    together = model.run(samples)
    assert together.shape == (3, 5)
    assert [model.run(sample[None])[0].tolist() for sample in samples[::-1]] == together[::-1].tolist()


def test_ports_state_shape_scale_and_zero_point() -> None:
    model = TflmModel(TCN)
    assert model.input == Port(shape=(64, 1, 9), scale=model.input.scale, zero_point=model.input.zero_point)
    assert model.input.size == 576
    assert model.output == Port(shape=(5,), scale=1 / 256, zero_point=-128)


def test_inputs_of_another_shape_or_type_are_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs are int8 \(64, 9\), not int8 \(64, 1, 9\)"):
        TflmModel(TCN).run(np.zeros((1, 64, 9), np.int8))
    with pytest.raises(ValueError, match="inputs are float32"):
        TflmModel(TCN).run(np.zeros((1, 64, 1, 9), np.float32))


@pytest.mark.parametrize("data", [b"", b"TFL3", TCN[:1000]])
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(TflmError, match="The model is not a readable flatbuffer"):
        TflmModel(data)


def test_several_processes_answer_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "_WORTH_SECONDS", 1e-9)
    samples = np.random.default_rng(3).integers(-128, 128, (40, 64, 1, 9)).astype(np.int8)
    model = several.SeveralTflmModels(TCN, 3)
    started = _count_helpers(monkeypatch)
    assert model.run(samples).tobytes() == TflmModel(TCN).run(samples).tobytes()
    assert started == [1, 1]
    assert model.run(samples[:0]).shape == (0, 5)


def test_few_samples_are_answered_by_this_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    started = _count_helpers(monkeypatch)
    samples = np.zeros((40, 64, 1, 9), np.int8)
    assert several.SeveralTflmModels(TCN, 3).run(samples).shape == (40, 5)
    assert not started


def test_the_part_of_a_process_that_was_ended_is_done_by_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "_WORTH_SECONDS", 1e-9)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    samples = np.random.default_rng(4).integers(-128, 128, (4000, 64, 1, 9)).astype(np.int8)
    model = several.SeveralTflmModels(TCN, 2)
    assert model.run(samples).tobytes() == TflmModel(TCN).run(samples).tobytes()


def _count_helpers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by one with each process that is started."""
    started: list[int] = []
    helper = several._Helper

    def start() -> several._Helper:
        started.append(1)
        return helper()

    monkeypatch.setattr(several, "_Helper", start)
    return started


def test_no_more_processes_measure_than_there_are_cores_or_workers() -> None:
    assert several.processes_for(1) == 1
    assert several.processes_for(10_000) == several.processes_for(None) >= 1
