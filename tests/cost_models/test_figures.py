"""The developers' scripts: each says which figures it lacks instead of failing inside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cost_models.errors import UserError
from cost_models.figures import run_on_figures

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("eval_costs", "fit_boards", "fit_code_size", "fit_cycles")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_without_its_figures_says_which_folder_it_wants(name: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / f"{name}.py"), str(tmp_path / "none")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"{name}: {tmp_path / 'none'} holds no measured figures (runs.csv)."
        f" Give the folder of the measured figures: {name} FOLDER.\n"
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_starts_in_the_projects_own_environment(name: str) -> None:
    text = (ROOT / "scripts" / name).read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert 'source "$(dirname "${BASH_SOURCE[0]}")/environment"' in text
    assert os.access(ROOT / "scripts" / name, os.X_OK)


def test_a_file_that_the_folder_lacks_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs.csv").write_text("")

    def work(folder: Path, as_json: bool) -> None:
        assert not as_json
        (folder / "code_size.json").read_text()

    assert run_on_figures("fit", "Fit.", work, [str(tmp_path)]) == 2
    assert f"fit: {tmp_path / 'code_size.json'} is missing. Give the folder" in capsys.readouterr().err


def test_a_script_passes_its_folder_and_flag_on(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("")
    got: list[object] = []
    code = run_on_figures("fit", "Fit.", lambda *given: got.extend(given), [str(tmp_path), "--json"])
    assert (code, got) == (0, [tmp_path, True])


def test_a_mistake_inside_the_work_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs.csv").write_text("")

    def work(folder: Path, as_json: bool) -> None:
        raise UserError("It is wrong.", "Mend it.")

    assert run_on_figures("fit", "Fit.", work, [str(tmp_path)]) == 2
    assert capsys.readouterr().err == "fit: It is wrong. Mend it.\n"
