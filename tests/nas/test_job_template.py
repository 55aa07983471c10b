from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from nas.cli.run import _parser, main
from nas.run.config import RunConfig, make_config, read_job_file


def uncommented(text: str) -> str:
    return re.sub(r"(?m)^# (\w+ = )", r"\1", text)


def test_init_writes_every_key_with_its_default_and_what_it_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.toml"
    assert main(["--init", str(path)]) == 0
    assert capsys.readouterr().out == f"job file {path}; nas-run --config {path} runs it\n"
    assert read_job_file(path) == {}, "all is commented out"
    text = path.read_text(encoding="utf-8")
    keys = tomllib.loads(uncommented(text))
    assert set(keys) == set(RunConfig.model_fields)
    for key, field in RunConfig.model_fields.items():
        assert field.default is None or keys[key] == field.default
    assert "# training steps of the best (default: 2000)\n# final_steps = 2000\n" in text
    assert max(map(len, text.splitlines())) <= 110
    assert make_config(keys, {}).timeout == 28800.0
    assert make_config(keys, {}).workers == 4


def test_every_key_of_a_job_file_has_a_flag_with_its_help() -> None:
    helps = {action.dest: action.help for action in _parser()._actions}
    assert all(helps.get(key) for key in RunConfig.model_fields)


def test_every_key_with_a_value_says_its_default() -> None:
    switches = {key for key, field in RunConfig.model_fields.items() if field.default is False}
    helps = {action.dest: action.help or "" for action in _parser()._actions}
    assert not [key for key in set(RunConfig.model_fields) - switches if "(default: " not in helps[key]]


def test_init_without_a_name_writes_job_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--init"]) == 0
    assert read_job_file(tmp_path / "job.toml") == {}


def test_flags_given_with_init_are_set_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    task = 'npz:a "b" \\ \x7f\u00e9.npz'
    words = ["--task", task, "--trials", "100", "--timeout", "8h", "--sparsity", "0.5", "--certain"]
    assert main([*words, "--init", str(path)]) == 0
    assert read_job_file(path) == {
        "task": task, "trials": 100, "timeout": "8h", "sparsity": 0.5, "certain": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--init", "there.toml"], "there.toml exists and was left as it is. Give --init a new file name."),
        (
            ["--init", "no/such/job.toml"],
            "no/such/job.toml cannot be written (No such file or directory). Give --init another file name.",
        ),
        (["--init", "a.toml", "--trials", "0"], "--trials is 0. It must be at least 1."),
        (
            ["--init", "a.toml", "--dry-run"],
            "--init takes no --config, --resume, --submit, --follow, --dry-run, --explain and --json."
            " Give it flags that a job file can hold.",
        ),
    ],
)
def test_mistakes_with_init_are_a_sentence_and_write_nothing(
    words: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.toml").write_text("trials = 3\n")
    assert main(words) == 2
    assert " ".join(capsys.readouterr().err.split()) == f"nas-run: {text}"
    assert (tmp_path / "there.toml").read_text() == "trials = 3\n"
    assert not (tmp_path / "a.toml").exists()
