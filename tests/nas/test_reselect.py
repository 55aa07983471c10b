"""Another choice from a finished run, without training: by policy, limits and target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cost_models.cycles.paths import COUNTERS
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


def test_the_list_for_another_target_is_there_as_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nas_export([str(run), "--list", "--target", "rp2040", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["target"] == "rp2040"
    assert listed["chosen"] in [model["number"] for model in listed["front"]]
    trials = {t["number"]: t for t in json.loads((run / "result.json").read_text())["trials"]}
    for model in listed["front"]:
        assert model["costs"]["model_bytes"] == trials[model["number"]]["costs"]["model_bytes"]
        assert model["costs"]["cycles"] != trials[model["number"]]["costs"]["cycles"]


def test_a_choice_that_was_trained_briefly_is_said_to_be(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = json.loads((run / "result.json").read_text())["trials"]
    brief = min((t for t in trials if t["state"] == "evaluated"), key=lambda t: t["costs"]["flash_bytes"])
    assert brief["rung"] == "search"
    limit = brief["costs"]["flash_bytes"]
    assert nas_export([str(run), "--list", "--budget", f"flash={limit}B"]) == 0
    captured = capsys.readouterr()
    assert "was trained for 40 of 80 steps: none that was trained in full is on the front" in captured.err
    assert "after 40 steps, SRAM" in captured.out


def test_models_without_costs_on_a_target_are_left_out_and_that_is_said(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = {k: v for k, v in COUNTERS["cmsis_nn"].items() if k != "FULLY_CONNECTED"}
    monkeypatch.setitem(COUNTERS, "cmsis_nn", fewer)
    assert nas_export([str(run), "--list", "--budget", "latency=1s"]) == 2
    assert "can be judged on nrf52840, such as trial" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget", "sram=600B", "--out", "x"], "fits nrf52840 under these limits: the closest is trial"),
        (["--policy", "smallest"], "--out is missing. Give the folder of the bundle, or --list to see what there is."),
        (["--model", "1", "--policy", "smallest", "--out", "x"], "--model names the model"),
        (["--target", "picoo", "--out", "x"], "There is no target 'picoo'."),
        (["--list", "--out", "x"], "--list exports nothing; --out says where to. Leave one of them out."),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence(
    words: list[str], message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nas_export([str(run), *words]) == 2
    assert message in capsys.readouterr().err
