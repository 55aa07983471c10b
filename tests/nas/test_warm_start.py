"""What `--warm-start` takes of an earlier run, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cost_models.errors import UserError
from nas.cli.run import main
from nas.run.config import RunConfig
from nas.run.folder import RunFolder, save_config
from nas.run.warm_start import EarlierTraining, earlier_trainings, load, save
from nas.tasks import load_task

CONFIG = RunConfig(seed=1, space="mlp")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(path=tmp_path / "run")
    folder.path.mkdir()
    save_config(folder, CONFIG, "digest")
    trial = {
        "number": 0,
        "digest": "abcdef",
        "state": "evaluated",
        "params": {"layers": 1},
        "steps": 500,
        "accuracy": 0.75,
        "tflm_accuracy": None,
    }
    trials = [trial, trial | {"state": "failed"}, trial | {"steps": 2000, "tflm_accuracy": 0.875}]
    folder.result_file.write_text(json.dumps({"trials": trials, "front": [0], "chosen": None}))
    return folder


def test_every_training_that_ended_is_taken_with_its_steps_and_kept_with_the_run(
    run: RunFolder, tmp_path: Path
) -> None:
    found = earlier_trainings(str(run.path), config=CONFIG, data_digest="digest")
    assert found == (
        EarlierTraining(params={"layers": 1}, steps=500, error=0.25),
        EarlierTraining(params={"layers": 1}, steps=2000, error=0.125),
    )
    other = RunFolder(path=tmp_path / "other")
    other.path.mkdir()
    assert load(other) == ()
    save(other, found)
    assert load(other) == found


@pytest.mark.parametrize(
    ("space", "digest", "message"),
    [
        ("ds_cnn", "digest", "searched the space mlp, not ds_cnn. Add --space mlp, or leave it out."),
        ("mlp", "else", "was trained on other data than digits. A warm start needs the same data."),
    ],
)
def test_a_run_of_another_space_or_other_data_is_refused(
    run: RunFolder, space: str, digest: str, message: str
) -> None:
    config = CONFIG.model_copy(update={"space": space})
    with pytest.raises(UserError) as error:
        earlier_trainings(str(run.path), config=config, data_digest=digest)
    assert str(error.value) == f"{run.path} {message}"


def test_arrays_taken_in_another_way_are_other_data(run: RunFolder) -> None:
    config = CONFIG.model_copy(update={"input_kind": "signals"})
    with pytest.raises(UserError, match=r"took its arrays as auto, not as signals\. Add --input-kind auto\."):
        earlier_trainings(str(run.path), config=config, data_digest="digest")


def test_what_is_no_finished_run_is_one_sentence(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--warm-start", "nowhere", "--out", str(run.path / "a")]) == 2
    message = "nas-run: nowhere is not a run. --warm-start takes the folder of an earlier run.\n"
    assert capsys.readouterr().err == message
    assert not (run.path / "a").exists()
    run.result_file.write_text('{"trials": [{"state": "evaluated"}]}')
    with pytest.raises(UserError, match="The run is damaged; leave --warm-start out"):
        earlier_trainings(str(run.path), config=CONFIG, data_digest="digest")
    run.result_file.unlink()
    with pytest.raises(UserError, match=r"has no result yet\. Let it end first: --resume"):
        earlier_trainings(str(run.path), config=CONFIG, data_digest="digest")


def test_a_space_that_has_changed_since_is_one_sentence(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    save_config(run, CONFIG, load_task("digits").digest())
    out = run.path.with_name("new")
    assert main(["--warm-start", str(run.path), "--space", "mlp", "--seed", "1", "--out", str(out)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == (
        f"nas-run: The choices of {run.path} are not those that mlp asks for."
        " The space has changed since; leave --warm-start out."
    )
    assert not out.exists()
