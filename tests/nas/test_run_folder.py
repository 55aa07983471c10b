"""Run folders are made exclusively, and only what a run made is removed again."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cost_models.errors import UserError
from nas.run.config import RunConfig
from nas.run.folder import RunFolder, create_run_folder, save_config

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
