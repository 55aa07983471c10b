"""What optuna-dashboard shows of a trial."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, download_artifact, get_all_artifact_meta

from nas.model.evaluation import Evaluation, Failed, Request
from nas.strategy.dashboard import readable_attributes
from nas.strategy.driver import Driver
from nas.strategy.study import Study, open_storage
from tests.nas.strategy.search_fakes import STEPS, FakeEvaluator, make_driver, make_screen


def searched(folder: Path, url: str | None = None) -> Driver:
    """A small search whose models are files."""
    driver, _ = make_driver(folder, trials=9, url=url)
    (folder / "models").mkdir()

    def save(key: str, tflite: bytes) -> Path:
        path = folder / "models" / f"{key}.tflite"
        path.write_bytes(tflite)
        return path

    driver.save_model = save
    storage = driver.study._storage
    driver.study = Study(storage=storage, name="run", identity={"seed": 1}, artifacts=folder / "artifacts")
    driver.search()
    driver.train_finalists()
    return driver


@pytest.mark.parametrize("database", [False, True])
def test_each_full_training_has_its_model_as_an_artifact_without_a_copy(
    tmp_path: Path, database: bool
) -> None:
    driver = searched(tmp_path, f"sqlite:///{tmp_path}/db" if database else None)
    study = driver.study._study
    store = FileSystemArtifactStore(tmp_path / "artifacts")
    full = 0
    for trial, record in zip(study.trials, driver.records(), strict=True):
        artifacts = get_all_artifact_meta(trial, storage=study._storage)
        assert len(artifacts) == record.full
        full += record.full
        for one in artifacts:
            model = tmp_path / "models" / f"{record.digest}-{STEPS[-1]}.tflite"
            assert one.filename == model.name
            assert model.samefile(tmp_path / "artifacts" / one.artifact_id), "a link, not a copy"
            there = tmp_path / f"{trial.number}.tflite"
            download_artifact(artifact_store=store, artifact_id=one.artifact_id, file_path=str(there))
            assert there.read_bytes() == model.read_bytes()
    assert full >= 3


def test_where_files_cannot_be_linked_the_model_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    searched(tmp_path)
    kept = sorted(path.read_bytes() for path in (tmp_path / "artifacts").iterdir())
    assert len(kept) >= 3
    assert set(kept) <= {path.read_bytes() for path in (tmp_path / "models").iterdir()}


def test_a_trial_says_its_result_in_words_that_people_read(tmp_path: Path) -> None:
    driver = searched(tmp_path)
    study = driver.study._study
    assert study.metric_names == ["int8 error", "sram_bytes", "flash_bytes", "cycles"]
    for trial, record in zip(study.trials, driver.records(), strict=True):
        shown = {name: value for name, value in trial.user_attrs.items() if name != "record"}
        assert record.costs is not None
        assert record.costs.cycles is not None
        kilobytes = f"{record.costs.sram_bytes / 1024:,.1f}"
        assert shown == {
            "steps": record.steps,
            "network": record.digest,
            "state": "evaluated",
            "worker": "inline",
            "accuracy": round(record.value, 4),
            "SRAM": f"{record.costs.sram_bytes:,} B ({kilobytes} KB)",
            "flash": f"{record.costs.flash_bytes:,} B ({record.costs.flash_bytes / 1024:,.1f} KB)",
            "cycles": f"{round(record.costs.cycles):,}",
        }


def test_trials_that_were_rejected_or_failed_say_why(tmp_path: Path) -> None:
    screen = make_screen()
    tight = FakeEvaluator(make_screen("2KB"))

    def evaluate(request: Request) -> Evaluation:
        if request.number % 2:
            return Failed(stage="train", reason="the loss is not a number", retryable=False)
        return tight(request)

    driver, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen, trials=6)
    driver.search()
    records = driver.records()
    rejected = next(one for one in records if one.state == "rejected")
    failed = next(one for one in records if one.state == "failed")
    assert "sram" in readable_attributes(rejected)["breaks"].lower()
    assert readable_attributes(failed)["reason"] == "train: the loss is not a number"
    trial = driver.study._study.trials[rejected.number]
    assert trial.constraints == {one.resource: one.excess for one in rejected.violations}
    assert trial.user_attrs["state"] == "rejected"
    assert "accuracy" not in trial.user_attrs


def test_a_result_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, _ = make_driver(tmp_path, trials=1)
    write, sizes = os.write, []

    def counted(descriptor: int, content: bytes) -> int:
        sizes.append(content.count(b"\n"))
        return write(descriptor, content)

    monkeypatch.setattr(os, "write", counted)
    driver.search()
    assert sizes[0] == 1, "the choices"
    assert len(sizes) == 2
    assert sizes[1] == 5, "three attributes, the record, the state"
    reader = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.journal"))
    )
    assert optuna.load_study(study_name="run", storage=reader).trials == driver.study._study.trials
    assert open_storage(None, tmp_path / "study.journal").get_all_studies()
