"""`nas-run --targets`: one search, and a front, a choice, a bundle and a verdict for each board."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import nas
from nas.cli.export import main as nas_export
from nas.cli.run import main as nas_run
from nas.cli.runs import main as nas_runs
from nas.model.result import RunSummary
from nas.report.page import render

TINY = "--space mlp --trials 4 --finalists 2 --steps 30 --final-steps 60 --workers 1 --seed 1"


SHOWN: list[tuple[RunSummary, str]] = []  # what the page showed while the search ran


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of some seconds on the digits, for two boards."""

    def noted(summary: RunSummary) -> str:
        SHOWN.append((summary, render(summary)))
        return SHOWN[-1][1]

    place = tmp_path_factory.mktemp("boards") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.report.live.render", noted)
        assert nas_run([*TINY.split(), "--targets", "nrf52840, esp32s3", "--out", str(place)]) == 0
    return place


@pytest.mark.slow
def test_each_board_has_a_front_a_choice_a_bundle_and_a_report(run: Path) -> None:
    result = nas.load_run(run)
    assert list(result.boards) == ["nrf52840", "esp32s3"]
    assert result.delivered
    for name, board in result.boards.items():
        assert board.bundle is not None
        assert board.bundle.manifest.target.name == name
        assert board.content["config"]["target"] == name
        assert board.report.is_file()
        assert all(model.tflite.is_file() for model in board.front)
    bundle = result.bundle
    assert bundle is not None
    assert bundle.path == run / "nrf52840" / "bundle"
    entries = result.content["boards"]
    assert [entry["target"]["name"] for entry in entries] == ["nrf52840", "esp32s3"]
    assert all((run / entry["chosen"]["bundle"]).is_dir() for entry in entries)
    arm, xtensa = (board.front[0].cycles for board in result.boards.values())
    assert arm != xtensa
    assert "== esp32s3" in str(result)
    page = result.report.read_text(encoding="utf-8")
    assert 'href="./esp32s3/report.html"' in page


@pytest.mark.slow
def test_while_the_search_runs_the_page_shows_the_front_of_each_board(run: Path) -> None:
    summary, page = SHOWN[-1]
    assert summary.progress is not None
    assert [board.target.name for board in summary.boards] == ["nrf52840", "esp32s3"]
    assert all(board.front and board.chosen is None for board in summary.boards)
    assert "One search serves 2 boards" in page
    assert "esp32s3/report.html" not in page


@pytest.mark.slow
def test_lists_and_exports_know_the_boards(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nas_runs(["show", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "targets         nrf52840, esp32s3" in shown
    assert "what the choice for each board takes" in shown
    assert nas_runs([str(run.parent)]) == 0
    assert "nrf52840, esp32s3" in capsys.readouterr().out
    assert nas_export([str(run), "--target", "esp32s3", "--out", str(tmp_path / "b")]) == 0
    again = json.loads((tmp_path / "b" / "manifest.json").read_text())
    chosen = nas.load_run(run).boards["esp32s3"].chosen
    assert chosen is not None
    assert again["provenance"]["trial"] == chosen.number


@pytest.mark.slow
def test_a_resumed_run_goes_on_for_all_its_boards(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(run, again)
    before = json.loads((run / "result.json").read_text())
    assert nas_run(["--resume", str(again)]) == 0
    after = json.loads((again / "result.json").read_text())
    assert after["trials"] == before["trials"]
    assert [b["chosen"]["number"] for b in after["boards"]] == [
        b["chosen"]["number"] for b in before["boards"]
    ]
    assert nas_run(["--resume", str(again), "--targets", "nrf52840"]) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--targets nrf52840,picoo", "There is no target 'picoo'."),
        ("--targets nrf52840,nrf52840", "--targets names nrf52840 twice. Name each once."),
        ("--targets all", "--targets all is too many for one search. Name the boards that it shall serve."),
        ("--targets nrf52840, --seed 1", "--targets 'nrf52840,' has an empty part."),
        ("--targets rp2040,esp32 --target nrf52840", "--target and --targets are both given."),
        ("--targets rp2040,esp32 --target esp32 --target rp2040", "--target and --targets are both given."),
        ("--target nrf52840 --target nrf52840", "--targets names nrf52840 twice. Name each once."),
        (
            "--targets rp2040,esp32 --deliver .",
            "--deliver takes one bundle, and --targets makes one for each",
        ),
        ("--targets rp2040,esp32s3 --budget energy=1mJ", "energy cannot be limited: target rp2040"),
    ],
)
def test_a_mistake_about_boards_is_a_sentence(
    flags: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nas_run(flags.split()) == 2
    assert message in capsys.readouterr().err


def test_a_board_that_nothing_fits_is_named_before_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    flags = "--dry-run --space ds_cnn --targets rp2040,esp32s3 --budget flash=50KB --seed 1"
    assert nas_run(flags.split()) == 3
    captured = capsys.readouterr()
    assert "Nothing fits esp32s3: " in captured.err
    assert "or leave esp32s3 out of --targets." in captured.err
    assert "target  rp2040" in captured.out


def test_target_several_times_is_targets(capsys: pytest.CaptureFixture[str]) -> None:
    flags = "--dry-run --space mlp --seed 1 --json"
    assert nas_run([*flags.split(), "--target", "rp2040", "--target", "esp32s3"]) == 0
    several = capsys.readouterr().out
    assert nas_run([*flags.split(), "--targets", "rp2040,esp32s3"]) == 0
    assert several == capsys.readouterr().out
    assert "esp32s3" in several


def test_a_dry_run_says_how_much_fits_each_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        nas_run(
            [
                "--dry-run",
                "--space",
                "mlp",
                "--targets",
                "rp2040,esp32s3",
                "--budget",
                "1KB",
                "--seed",
                "1",
                "--json",
            ]
        )
        == 0
    )
    plan = json.loads(capsys.readouterr().out)
    assert [board["target"] for board in plan["boards"]] == ["rp2040", "esp32s3"]
    assert all(board["fitting"] <= board["drawn"] for board in plan["boards"])


def test_an_explanation_is_made_for_each_board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = f"--explain {tmp_path / 'page.html'} --space mlp --targets rp2040,esp32s3 --budget 2KB --json"
    assert nas_run(flags.split()) == 0
    content = json.loads(capsys.readouterr().out)
    assert [each["target"]["name"] for each in content["boards"]] == ["rp2040", "esp32s3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page-esp32s3.html", "page-rp2040.html"]
