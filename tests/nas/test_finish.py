from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cost_models.errors import UserError
from cost_models.target import load_target
from nas import finish
from nas.finished import Accuracy
from nas.search.records import TrialRecord


def trial(number: int, correct: int) -> TrialRecord:
    accuracy = Accuracy(part="val", engine="tflm", correct=correct, total=100)
    costs: Any = SimpleNamespace(sram_bytes=correct, flash_bytes=1, cycles=None, macs=1, latency_us=None)
    return TrialRecord(
        number=number,
        state="evaluated",
        rung="full",
        steps=100,
        key=f"{number}",
        params={},
        accuracy=accuracy,
        tflm_accuracy=accuracy,
        costs=costs,
    )


FRONT = [trial(3, 90), trial(4, 80), trial(5, 70)]


def export_best(
    monkeypatch: pytest.MonkeyPatch, refused: set[int], target: str = "corstone300-u55-128"
) -> tuple[int, tuple[str, ...]]:
    def export(job: object, folder: object, record: TrialRecord) -> tuple[dict[str, Any], tuple[str, ...]]:
        if record.number in refused:
            raise UserError(f"Vela cannot compile {record.number}.", "Do something.")
        return {"number": record.number}, ("verified",)

    monkeypatch.setattr(finish, "_export", export)
    job: Any = SimpleNamespace(config=SimpleNamespace(policy="accuracy"), target=load_target(target))
    part, notes = finish._export_best(job, None, FRONT)  # type: ignore[arg-type]
    return part["number"], notes


def test_the_policys_choice_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert export_best(monkeypatch, set()) == (3, ("verified",))


def test_a_model_that_vela_refuses_is_passed_over_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    number, notes = export_best(monkeypatch, {3, 4})
    assert number == 5
    assert notes == (
        "Trial 3 was passed over. Vela cannot compile 3.",
        "Trial 4 was passed over. Vela cannot compile 4.",
        "verified",
    )


def test_when_all_are_refused_the_last_reason_is_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="Vela cannot compile 5"):
        export_best(monkeypatch, {3, 4, 5})


def test_without_an_npu_nothing_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="Vela cannot compile 3"):
        export_best(monkeypatch, {3}, target="nrf52840")
