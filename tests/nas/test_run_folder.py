"""Run folders are made exclusively, and only what a run made is removed again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cost_models.errors import UserError
from nas.run.config import RunConfig
from nas.run.folder import RunFolder, create_run_folder, save_config, saved_config, write_atomically
from tests.nas.report.synthetic_summary import synthetic_summary
from tests.nas.runs_on_disk import write_run

ROOT = Path(__file__).parents[2]
RACER = """
import sys, time
from cost_models.errors import UserError
from nas.run.folder import create_run_folder
time.sleep(max(0.0, float(sys.argv[1]) - time.time()))
try:
    print(create_run_folder(sys.argv[2] or None, "digits").path)
except UserError as error:
    print("refused", error)
"""


def race(out: str, folder: Path, racers: int = 6) -> list[str]:
    """What processes say that make a run folder in the same instant."""
    command = [sys.executable, "-c", RACER, str(time.time() + 2.0), out]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=env)
        for _ in range(racers)
    ]
    return [process.communicate(timeout=60)[0].strip() for process in running]


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_of_starts_in_one_instant_a_folder_goes_to_one(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "out").mkdir()
    said = race("out", tmp_path)
    assert sorted(text.startswith("refused") for text in said) == [False] + [True] * 5
    assert (tmp_path / "out" / "models").is_dir()


@pytest.mark.slow
def test_default_names_of_one_second_differ(tmp_path: Path) -> None:
    said = race("", tmp_path)
    assert len(set(said)) == 6
    assert all((tmp_path / name / "models").is_dir() for name in said)


def test_a_run_that_never_began_leaves_nothing_of_its_own_and_everything_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = create_run_folder(str(out), "digits")
    save_config(folder, RunConfig(), "digest")
    folder.discard_unless_begun()
    assert not out.exists()

    out.mkdir()
    folder = create_run_folder(str(out), "digits")
    save_config(folder, RunConfig(), "digest")
    folder.discard_unless_begun()
    assert out.is_dir()
    assert not list(out.iterdir())

    folder = create_run_folder(str(out), "digits")
    (out / "somebody else's").write_text("work")
    folder.discard_unless_begun()
    assert [path.name for path in out.iterdir()] == ["somebody else's"]


def test_a_folder_that_another_start_took_is_refused(tmp_path: Path) -> None:
    first = create_run_folder(str(tmp_path / "out"), "digits")
    with pytest.raises(UserError, match="exists and is not a run"):
        create_run_folder(str(tmp_path / "out"), "digits")
    first.begin()
    first.discard_unless_begun()
    assert RunFolder(path=first.path).begun


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
@pytest.mark.parametrize("name", ["config.json", "result.json", "study.journal", "earlier.json"])
def test_a_file_of_a_run_that_is_none_is_refused_at_once(name: str, tmp_path: Path) -> None:
    from nas.run.result import load_run
    from nas.run.warm_start import load
    from nas.strategy.journal import RunJournal

    folder = RunFolder(path=write_run(tmp_path / "run", synthetic_summary()))
    (folder.path / name).unlink(missing_ok=True)
    os.mkfifo(folder.path / name)
    readers: dict[str, Callable[[], object]] = {
        "study.journal": lambda: RunJournal(folder.journal),
        "earlier.json": lambda: load(folder),
    }
    with pytest.raises(UserError, match=re.escape(name)):
        readers.get(name, lambda: load_run(folder.path))()


@pytest.mark.parametrize("content", ["", "5", "[5]", "[[1, 2]]", '[[{}, "x", 0.5]]', "[" * 100_000])
def test_earlier_trainings_that_are_damaged_are_a_sentence(content: str, tmp_path: Path) -> None:
    from nas.run.warm_start import load

    folder = RunFolder(path=tmp_path)
    (tmp_path / "earlier.json").write_text(content)
    with pytest.raises(UserError, match=r"earlier\.json cannot be read as earlier trainings\."):
        load(folder)


def test_models_without_their_record_are_not_searched_over(tmp_path: Path) -> None:
    from nas.run.pipeline import _refuse_lost_record

    folder = RunFolder(path=tmp_path)
    folder.models.mkdir()
    _refuse_lost_record(folder, RunConfig(), recorded=0)
    folder.save_model("a-20", b"model")
    _refuse_lost_record(folder, RunConfig(), recorded=1)
    with pytest.raises(UserError, match=r"holds models, but .*study\.journal has no trial of this run\."):
        _refuse_lost_record(folder, RunConfig(), recorded=0)


def test_a_run_without_its_seed_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json has no seed\."):
        saved_config(RunFolder(path=write_run(tmp_path / "run", None, seed=None)))


def test_a_file_that_cannot_be_written_is_named_as_people_know_it(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / "report.html", b"page")
    assert caught.value.filename == str(tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
