"""The data report in the terminal and as JSON, and lines that a terminal does not break within words."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from cost_models.folded import folded
from nas.cli.run import main


@pytest.fixture
def task(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", X=rng.normal(0, 1, (60, 20, 24)), y=np.arange(60) % 2, rate=50)
    return f"npz:{tmp_path / 'd.npz'}"


def test_a_dry_run_prints_the_data_report(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--task", task, "--space", "mlp", "--seed", "1"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("data    ")]
    assert lines[0] == "data    pictures of 20 x 24, 1 channel, float32; 36 train, 12 val, 12 test"
    assert lines[1] == "data    classes (train/val/test) 0 18/6/6, 1 18/6/6"
    assert lines[4:] == [
        "data    note: Not used: rate.",
        "data    note: Samples of 20 x 24 are taken as pictures of one channel; --input-kind signals takes them as 20"
        " steps of 24 channels, channels-first as 24 steps of 20.",
    ]


def test_a_dry_run_says_what_will_be_trained(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--task", task, "--space", "mlp", "--trials", "7", "--final-on", "all"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("search  "))
    assert line == (
        "search  7 networks, trained for 500 steps, the best of them longer, the best 4 for 2000, the chosen one again"
        " on all samples"
    )


def test_a_dry_run_says_that_finalists_are_judged_in_folds(
    task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--dry-run", "--task", task, "--space", "mlp", "--trials", "7"]
    assert main([*asked, "--folds", "5"]) == 0
    out = capsys.readouterr().out
    assert "the best 4 for 2000 and judged in 5 folds\n" in out
    assert (
        "data    note: Finalists are judged in 5 folds of 48 training and validation samples, by class, as no groups"
        " are known.\n"
    ) in out
    assert main([*asked, "--folds", "2"]) == 2
    assert "--folds" in capsys.readouterr().err
    assert main([*asked, "--folds", "5", "--robust"]) == 2
    assert "--folds and --robust do not go together" in capsys.readouterr().err
    assert main([*asked, "--folds", "5", "--normal", "0", "--space", "autoencoder"]) == 2
    assert "--folds is not for anomalies" in capsys.readouterr().err


def test_a_dry_run_gives_the_data_report_as_json(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--json", "--task", task, "--space", "mlp", "--input-kind", "signals"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["data"]["taken_as"] == "signals of 20 steps, 24 channels"
    assert content["data"]["parts"]["train"]["classes"] == [18, 18]
    assert content["config"]["input_kind"] == "signals"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_broken_between_words_in_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = "data    " + "word-with-hyphens /a/long/path/that/nobody/wants/broken/anywhere " * 3
    lines = folded(text, Terminal(), indent=8).splitlines()
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    assert all(len(line) <= 40 or "/a/long/path" in line for line in lines)
    assert all(line.startswith(" " * 8) for line in lines[1:])
    assert folded(text, io.StringIO(), indent=8) == text
