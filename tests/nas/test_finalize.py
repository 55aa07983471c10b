from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from cost_models.target_file import load_target
from nas.model.optimism import packed
from nas.model.records import TrialRecord
from nas.model.trained import Accuracy
from nas.run import finalize
from nas.run.folder import RunFolder
from nas.tasks.dataset import make_dataset


def trial(number: int, correct: int) -> TrialRecord:
    accuracy = Accuracy(part="val", engine="tflm", correct=correct, total=100)
    costs: Any = SimpleNamespace(sram_bytes=correct, flash_bytes=1, cycles=None, macs=1, latency_us=None)
    return TrialRecord(
        number=number,
        state="evaluated",
        full=True,
        steps=100,
        digest=f"{number}",
        params={},
        accuracy=accuracy,
        tflm_accuracy=accuracy,
        costs=costs,
    )


FRONT = [trial(3, 90), trial(4, 80), trial(5, 70)]


def export_best(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    refused: set[int],
    target: str = "corstone300-u55-128",
    lost: frozenset[int] = frozenset(),
) -> tuple[int, tuple[str, ...]]:
    def export(
        job: object, folder: object, record: TrialRecord, tflite: bytes, validated: bytes | None
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        assert tflite == b"model"
        if record.number in refused:
            raise UserError(f"Vela cannot compile {record.number}.", "Do something.")
        return {"number": record.number}, ("verified",)

    monkeypatch.setattr(finalize, "_export", export)
    job: Any = SimpleNamespace(config=SimpleNamespace(policy="accuracy"), target=load_target(target))
    folder = RunFolder(path=tmp_path)
    (tmp_path / "models").mkdir()
    for record in FRONT:
        if record.number not in lost:
            folder.save_model(f"{record.digest}-{record.steps}", b"model")
    part, notes = finalize._export_best(job, folder, FRONT, FRONT)
    return part["number"], notes


def test_the_policys_choice_is_exported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert export_best(monkeypatch, tmp_path, set()) == (3, ("verified",))


def test_a_model_that_vela_refuses_is_passed_over_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    number, notes = export_best(monkeypatch, tmp_path, {3, 4})
    assert number == 5
    assert notes == (
        "Trial 3 was passed over. Vela cannot compile 3.",
        "Trial 4 was passed over. Vela cannot compile 4.",
        "verified",
    )


def test_when_all_are_refused_the_last_reason_is_the_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="Vela cannot compile 5"):
        export_best(monkeypatch, tmp_path, {3, 4, 5})


def test_without_an_npu_nothing_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Vela cannot compile 3"):
        export_best(monkeypatch, tmp_path, {3}, target="nrf52840")


def test_a_model_that_is_gone_is_passed_over_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    number, notes = export_best(monkeypatch, tmp_path, set(), target="nrf52840", lost=frozenset({3}))
    assert number == 4
    assert notes[0] == f"Trial 3 was passed over. The model of trial 3 is not in {tmp_path}."


def test_a_swapped_model_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(path=tmp_path)
    (tmp_path / "models").mkdir()
    folder.save_model("k-5", b"another")
    with pytest.raises(UserError) as caught:
        folder.load_model("k-5", trial=7, sha256=hashlib.sha256(b"model").hexdigest())
    assert str(caught.value) == (
        f"The model of trial 7 in {tmp_path} is not the one that was trained: its hash differs."
        f" Take another of the front, or train it again with --resume {tmp_path}."
    )
    assert folder.model_lost("k-5", hashlib.sha256(b"model").hexdigest())
    assert not folder.model_lost("k-5", None)


def cut(trial: TrialRecord, at: int) -> TrialRecord:
    return replace(trial, cut_at=at, seconds={"train": 10.0, "build": 2.0, "waiting": 50.0})


def test_a_time_limit_that_cut_the_chosen_training_is_said_with_the_time_that_would_do() -> None:
    assert finalize._time_notes(FRONT[1], 100) == ()
    assert finalize._time_notes(cut(FRONT[0], 10), 100) == (
        "The time limit ended the training of trial 3 after 10 of 100 steps. A whole training of this network takes"
        " about 120 s here: give --timeout 4m, or fewer --steps and --final-steps.",
    )
    assert finalize._time_notes(None, 100) == ()
    assert (
        finalize._time_notes(replace(cut(FRONT[0], 150), steps=800), 100) == ()
    )  # a finalist, trained for longer


def test_a_model_near_chance_is_not_delivered_and_told_how_to_get_a_better_one(tmp_path: Path) -> None:
    accuracy = Accuracy(part="val", engine="tflm", correct=14, total=100, confusion=((7, 43), (43, 7)))
    text = finalize._near_chance(cut(FRONT[0], 10), accuracy, RunFolder(path=tmp_path), 100)
    assert text.startswith("Trial 3 is the best and is not delivered. The 14.0 % accuracy on validation data")
    assert "give --timeout 4m" in text
    assert text.endswith(f"nas-export {tmp_path} --model 3 --out FOLDER exports it all the same.")
    text = finalize._near_chance(FRONT[0], accuracy, RunFolder(path=tmp_path), 100)
    assert "Train longer (--steps, --final-steps), or look at the data." in text


def test_a_failed_trial_is_told_with_its_log(tmp_path: Path) -> None:
    failed = replace(FRONT[0], state="failed", reason="train: the loss is not finite.", log="trials/3.log")
    folder = RunFolder(path=tmp_path)
    assert finalize._nothing_chosen(folder, [failed]) == (
        f"No trial succeeded: train: the loss is not finite. The traceback is in {tmp_path}/trials/3.log."
    )
    assert finalize._nothing_chosen(folder, []) == (
        f"Stopped before a training ended. --resume {tmp_path} goes on."
    )


def hits(seed: int, samples: int) -> Accuracy:
    right = np.random.default_rng(seed).random(samples) < 0.8
    correct = int(right.sum())
    return Accuracy(part="val", engine="litert", correct=correct, total=samples, hits=packed(right))


def test_a_choice_by_folds_states_their_figure_and_its_optimism() -> None:
    labels = {part: np.arange(size) % 2 for part, size in (("train", 60), ("val", 20), ("test", 20))}
    samples = {part: np.random.default_rng(1).normal(0, 1, (len(of), 3)) for part, of in labels.items()}
    dataset = make_dataset(name="waves", samples=samples, labels=labels)
    job: Any = SimpleNamespace(dataset=dataset, config=SimpleNamespace(policy="accuracy", folds=4))
    validated = [
        replace(trial(number, 16), accuracy=hits(number, 20), tflm_accuracy=None) for number in range(3)
    ]
    judged = [replace(record, folded=hits(10 + record.number, 80)) for record in validated[:2]]
    records = [*judged, validated[2]]
    by_folds = finalize._optimism(job, records)
    assert by_folds is not None
    assert (by_folds["folds"], by_folds["networks"], by_folds["paired"]) == (4, 2, True)
    folded = finalize._folded(job, judged[0], records)
    assert folded is not None
    assert (folded["folds"], folded["networks"], folded["samples"]) == (4, 2, 80)
    assert folded["low"] < folded["score"] < folded["high"]
    # Before two of them are judged, the validation part decides; the same network trained again is no second one.
    again = replace(judged[0], number=9, retrains=judged[0].number)
    alone = finalize._optimism(job, [judged[0], *validated[1:], again])
    assert alone is not None
    assert (alone["folds"], alone["networks"], alone["paired"]) == (0, 3, True)
    by_validation = finalize._optimism(job, validated)
    assert by_validation is not None
    assert (by_validation["folds"], by_validation["networks"], by_validation["paired"]) == (0, 3, True)
    assert finalize._folded(job, validated[0], validated) is None
