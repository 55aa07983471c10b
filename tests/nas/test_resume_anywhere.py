"""A run folder that was moved, renamed or copied goes on where it was: no recorded training is repeated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nas.cli.export import main as export
from nas.cli.run import main
from tests.nas.report.synthetic_summary import synthetic_summary
from tests.nas.runs_on_disk import write_run

MODEL = Path(__file__).parents[1] / "data" / "calibration" / "ae-20027.tflite"

TINY = "--space mlp --trials 4 --finalists 2 --steps 20 --final-steps 40 --workers 1 --seed 1"


def trainings(folder: Path) -> list[tuple[int, str, int]]:
    trials = json.loads((folder / "result.json").read_text())["trials"]
    return [(trial["number"], trial["digest"], trial["steps"]) for trial in trials]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of some seconds, and its data beside it."""
    home = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    x = rng.normal(0, 1, (120, 6))
    x[y == 1] += 2
    np.savez(home / "d.npz", X=x.astype(np.float32), y=y)
    assert main(["--task", f"npz:{home / 'd.npz'}", *TINY.split(), "--out", str(home / "run")]) == 0
    return home / "run"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["renamed", "moved", "copied", "renamed, of an older version"])
def test_a_folder_that_lies_elsewhere_is_resumed_without_a_training(
    how: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "deep" / "another name"
    shutil.copytree(finished, place)
    if "older" in how:
        # Before names were kept, a study was named like its folder.
        config = json.loads((place / "config.json").read_text())
        config.pop("study")
        (place / "config.json").write_text(json.dumps(config))
    before = trainings(place)
    assert main(["--resume", str(place)]) == 0
    assert trainings(place) == before
    assert (place / "bundle" / "manifest.json").is_file()
    # It goes on, too: with more networks, and none of the old ones.
    assert main(["--resume", str(place), "--trials", "6"]) == 0
    after = trainings(place)
    assert after[: len(before)] == before
    fresh = [(digest, steps) for _, digest, steps in after[len(before) :]]
    assert fresh
    assert not set(fresh) & {(digest, steps) for _, digest, steps in before}


@pytest.mark.slow
def test_a_copy_does_not_record_into_the_originals_study_of_a_database(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    task = json.loads((finished / "config.json").read_text())["config"]["task"]
    run, copy, moved = tmp_path / "run", tmp_path / "copy", tmp_path / "moved"
    assert main(["--task", task, *TINY.split(), "--out", str(run), "--storage", url]) == 0
    shutil.copytree(run, copy)
    assert main(["--resume", str(copy)]) == 2
    assert (
        f"{copy} is a copy of {run}, and both would record into one study of the database."
        f" Go on with --resume {run}, or learn from it in a new run: --warm-start {copy}."
    ) in capsys.readouterr().err
    before = trainings(run)
    run.rename(moved)
    assert main(["--resume", str(moved)]) == 0
    assert trainings(moved) == before


@pytest.mark.slow
def test_lost_models_are_said_and_final_candidates_are_trained_again(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "run"
    shutil.copytree(finished, place)
    for model in (place / "models").iterdir():
        model.unlink()
    shutil.rmtree(place / "bundle")
    assert main(["--resume", str(place)]) == 0
    said = capsys.readouterr().err
    assert "models are missing in" in said
    assert (place / "bundle" / "manifest.json").is_file()


@pytest.mark.slow
def test_code_that_only_the_run_folder_names_is_not_executed(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "run"
    shutil.copytree(finished, place)
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'RAN')!r}, 'w')\nfrom search_spaces.spaces.mlp import SPACE\n")
    config = json.loads((place / "config.json").read_text())
    config["config"]["space"] = str(trap)
    (place / "config.json").write_text(json.dumps(config))
    assert main(["--resume", str(place)]) == 2
    assert (
        f"The run {place} searches the space {trap}, which is code that a resume would execute."
        f" Add --trust-space if you trust it, or name it yourself: --space {trap}."
    ) in capsys.readouterr().err
    assert not (tmp_path / "RAN").exists()
    config["config"] |= {"space": "mlp", "sampler": str(trap)}
    (place / "config.json").write_text(json.dumps(config))
    assert main(["--resume", str(place)]) == 2
    assert (
        f"The run {place} searches by the sampler {trap}, which is code that a resume would execute."
        f" Add --trust-space if you trust it, or name it yourself: --sampler {trap}."
    ) in capsys.readouterr().err
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize("command", [["--resume"], ["--out", "b"]])
def test_a_relative_path_of_a_run_says_where_it_begins(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", synthetic_summary(), task="npz:d.npz", space="mlp", trials=4)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"folder": "/home/ann/work"}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nas.run.stored_model.model_bytes", lambda *_: MODEL.read_bytes())
    assert (main if command == ["--resume"] else export)([*command, str(run)]) == 2
    assert (
        "There is no file d.npz. Check the path after npz:."
        " The run was started in /home/ann/work: its relative paths begin there.\n"
    ) in capsys.readouterr().err
