"""Another choice from a finished run, without training: by policy, limits and target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.cli.export import main as nas_export
from nas.cli.run import main as nas_run

TINY = "--space mlp --trials 6 --finalists 2 --steps 40 --final-steps 80 --workers 1 --seed 1"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of some seconds on the digits."""
    place = tmp_path_factory.mktemp("reselect") / "run"
    assert nas_run([*TINY.split(), "--out", str(place)]) == 0
    return place


def exported(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return content


def test_another_policy_takes_another_model_of_the_run(run: Path, tmp_path: Path) -> None:
    trials = {t["number"]: t for t in json.loads((run / "result.json").read_text())["trials"]}
    before = sorted(path.name for path in (run / "models").iterdir())
    taken = {}
    for policy in ("accuracy", "smallest"):
        assert nas_export([str(run), "--policy", policy, "--out", str(tmp_path / policy)]) == 0
        taken[policy] = exported(tmp_path / policy)["provenance"]["trial"]
    small, accurate = (trials[taken[policy]]["costs"]["sram_bytes"] for policy in ("smallest", "accuracy"))
    assert small <= accurate
    assert sorted(path.name for path in (run / "models").iterdir()) == before


def test_another_target_is_costed_anew(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nas_export([str(run), "--target", "Pico", "--out", str(tmp_path / "b")]) == 0
    manifest = exported(tmp_path / "b")
    assert manifest["target"]["name"] == "rp2040"


def test_the_list_has_the_front_and_the_choice(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nas_export([str(run), "--list"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    result = json.loads((run / "result.json").read_text())
    assert head == f"front of {run} on nrf52840 (* would be exported)"
    assert [int(row[1:].split()[0]) for row in rows] == [
        number for number in (int(row[1:].split()[0]) for row in rows) if number in result["front"]
    ]
    assert [int(row[1:].split()[0]) for row in rows if row.startswith("*")] == [result["chosen"]["number"]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget", "sram=600B", "--out", "x"], "fits nrf52840 under these limits: the closest is trial"),
        (["--policy", "smallest"], "--out is missing. Give the folder of the bundle, or --list to see what there is."),
        (["--model", "1", "--policy", "smallest", "--out", "x"], "--model names the model"),
        (["--target", "picoo", "--out", "x"], "There is no target 'picoo'."),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence(
    words: list[str], message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nas_export([str(run), *words]) == 2
    assert message in capsys.readouterr().err
