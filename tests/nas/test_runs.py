"""`nas-runs`: runs listed and shown from what lies on the disk, whatever its state."""

from __future__ import annotations

import json
import os
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.cli.runs import main
from nas.run.file_lock import is_locked, lock_exclusively
from nas.run.folder import RunFolder
from nas.run.stored_run import list_runs, look_at
from tests.nas.report.kinds_of_run import of_anomalies, of_numbers
from tests.nas.report.synthetic_summary import synthetic_summary
from tests.nas.runs_on_disk import write_run, write_two_runs

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with runs/ of two runs, and a clock in UTC."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    write_two_runs(tmp_path / "runs")
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


def printed(capsys: Capture, *argv: str, code: int = 0) -> str:
    """What a call prints to stdout."""
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert not err, err
    return out


def refused(capsys: Capture, *argv: str) -> str:
    """The sentence on stderr."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "Traceback" not in err
    return err.removeprefix("nas-runs: ").rstrip("\n")


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))


# --- list


def test_runs_are_listed_by_their_start(here: Path, capsys: Capture) -> None:
    heading, *rows = printed(capsys).splitlines()
    assert heading.split() == [
        "Run", "Started", "State", "Test", "SRAM", "Flash", "Target", "Budget", "Trainings", "Task",
    ]  # fmt: skip
    assert [row.split()[0] for row in rows] == ["first", "second"]
    assert re.split(r"  +", rows[0]) == [
        "first", "2026-11-23 08:14", "finished", "98.6 %", "16.1 KB", "72.5 KB", "nrf52840", "24KB", "32", "digits",
    ]  # fmt: skip
    assert printed(capsys, "list", "runs") == printed(capsys, "list") == printed(capsys, "runs")


def test_the_list_is_json_as_well(here: Path, capsys: Capture) -> None:
    listed = json.loads(printed(capsys, "--json"))
    assert [run["path"] for run in listed["runs"]] == ["runs/first", "runs/second"]
    chosen = json.loads((here / "runs/first/result.json").read_text())["chosen"]
    one = listed["runs"][0]
    assert one["test_accuracy"] == chosen["test_accuracy"]["value"]
    assert (one["sram_bytes"], one["flash_bytes"]) == (
        chosen["costs"]["sram_bytes"],
        chosen["costs"]["flash_bytes"],
    )
    assert (one["state"], one["problem"], one["budget"], one["trainings"]) == ("finished", "", "24KB", 32)


def test_a_figure_that_is_no_accuracy_is_named(here: Path, capsys: Capture) -> None:
    write_run(here / "runs/numbers", of_numbers(synthetic_summary(), skill=0.5))
    write_run(here / "runs/sound", of_anomalies(synthetic_summary()))
    heading, *rows = printed(capsys).splitlines()
    assert heading.split()[3:6] == ["Test", "Metric", "SRAM"]
    told = {row.split()[0]: re.split(r"  +", row)[3:5] for row in rows}
    assert told["numbers"] == ["50.0 %", "RMSE skill"]
    assert told["sound"] == ["93.2 %", "ROC AUC"]
    assert told["first"] == ["98.6 %", "accuracy"]
    (entry,) = [run for run in json.loads(printed(capsys, "--json"))["runs"] if run["name"] == "numbers"]
    assert (entry["metric"], entry["test_score"], entry["test_accuracy"]) == ("rmse", 0.5, None)


def test_a_skill_below_zero_is_no_damage(tmp_path: Path) -> None:
    entry = look_at(write_run(tmp_path / "run", of_numbers(synthetic_summary(), skill=-0.25)))
    assert (entry.state, entry.test_score) == ("finished", -0.25)


def test_how_a_run_ended_is_its_state(tmp_path: Path) -> None:
    for reason, state in (
        ("trials", "finished"),
        ("exhausted", "finished"),
        ("timeout", "time limit"),
        ("interrupt", "Ctrl-C"),
        ("failures", "failed"),
        ("a reason of the future", "finished"),
    ):
        path = write_run(tmp_path / reason, synthetic_summary() | {"stopped_by": reason})
        assert look_at(path).state == state


def test_a_run_without_a_result_runs_or_was_interrupted_or_never_began(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", None, recorded=5)
    assert (look_at(path).state, look_at(path).trainings) == ("interrupted", 5)
    with RunFolder(path=path).locked():
        assert (look_at(path).state, look_at(path).trainings) == ("running", 5)
    assert look_at(path).state == "interrupted"
    assert look_at(write_run(tmp_path / "new", None, begun=False)).state == "not begun"


def test_a_resumed_run_that_was_cut_short_is_interrupted_though_it_has_an_earlier_result(
    tmp_path: Path,
) -> None:
    trained = sum(trial["state"] != "rejected" for trial in synthetic_summary()["trials"])
    assert look_at(write_run(tmp_path / "a", synthetic_summary(), recorded=trained)).state == "finished"
    cut = look_at(write_run(tmp_path / "b", synthetic_summary(), recorded=trained + 1))
    assert (cut.state, cut.trainings) == ("interrupted", trained + 1)
    assert cut.test_accuracy is not None


def test_a_result_fetched_without_hidden_files_is_a_run(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", synthetic_summary())
    for name in (".begun", ".lock"):
        (path / name).unlink()
    assert [one.state for one in list_runs(tmp_path)] == ["finished"]


def put_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def put_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 36)


def put_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "deep": lambda path: path.write_text("[" * 200_000),
    "a list": lambda path: path.write_text("[]"),
    "a long number": lambda path: path.write_text("1" * 10_000),
    "device": put_device,
    "FIFO": put_fifo,
    "folder": put_folder,
    "huge": put_huge,
}


@pytest.mark.parametrize("name", ["config.json", "result.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run_is_a_row_that_says_so(here: Path, capsys: Capture, name: str, damage: str) -> None:
    DAMAGE[damage](here / "runs/first" / name)
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert sorted(line.split()[0] for line in out.splitlines()[1:]) == ["first", "second"]
    assert "damaged" in next(line for line in out.splitlines() if line.startswith("first"))
    assert len(err.splitlines()) == 1
    assert "runs/first" in err
    for argv in (["show", "first"], ["compare", "first", "second"]):
        assert name in refused(capsys, *argv)


def test_a_loop_of_links_is_no_result(here: Path, capsys: Capture) -> None:
    put_loop(here / "runs/first/result.json")
    assert main([]) == 0
    assert "first" in capsys.readouterr().out


def test_any_nonsense_in_a_result_is_a_sentence_at_most(here: Path, capsys: Capture) -> None:
    """Values of other kinds anywhere in the file, by a generator whose seed is fixed."""
    rng = random.Random(7)
    file = here / "runs/first/result.json"
    whole = file.read_text()
    bad: list[Any] = [None, [], {}, "x", -1, 1e308, float("nan"), 10**300, True, [1], "\x1b[2J", [None], [[]]]
    for _ in range(40):
        content: Any = json.loads(whole)
        inner, key = content, rng.choice(list(content))
        for _ in range(rng.randrange(4)):
            under = inner[key]
            if not isinstance(under, dict | list) or not under:
                break
            inner = under
            key = rng.choice(list(under)) if isinstance(under, dict) else rng.randrange(len(under))
        inner[key] = rng.choice(bad)
        file.write_text(json.dumps(content))
        for argv in (
            [],
            ["show", "first"],
            ["compare", "first", "second"],
            ["compare", "second", "first", "--json"],
        ):
            assert main(argv) in ((0,) if not argv else (0, 2))
            out, err = capsys.readouterr()
            assert "\x1b" not in out + err


def test_many_damaged_runs_do_not_flood_the_terminal(tmp_path: Path, capsys: Capture) -> None:
    for number in range(9):
        write_run(tmp_path / f"{number}", synthetic_summary())
        (tmp_path / f"{number}/result.json").write_text("{")
    assert main([str(tmp_path)]) == 0
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 6
    assert err[-1] == "nas-runs: 4 more are damaged; --json says how."


def test_a_folder_that_may_not_be_looked_into_is_a_row(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists = Path.exists

    def refuse(path: Path, **how: Any) -> bool:
        if path.parent.name == "first":
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path, **how)

    monkeypatch.setattr(Path, "exists", refuse)  # root may look into any
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert "damaged" in next(line for line in out.splitlines() if line.startswith("first"))
    assert err == "nas-runs: runs/first cannot be read (Permission denied).\n"
    assert refused(capsys, "show", "first") == (
        "runs/first cannot be read (Permission denied). Check its permissions."
    )


def test_what_is_no_run_is_no_row(here: Path, capsys: Capture) -> None:
    (here / "runs/notes.txt").write_text("mine")
    (here / "runs/bert").mkdir()
    (here / "runs/bert/config.json").write_text('{"hidden_size": 768}')
    (here / "runs/nothing").mkdir()
    (here / "runs/gone").symlink_to("nowhere")
    assert len(printed(capsys).splitlines()) == 3


def test_names_cannot_drive_the_terminal(here: Path, capsys: Capture) -> None:
    write_run(here / "runs/\x1b[2Jevil\n", synthetic_summary(), started="\x1b]0;x\x07", task="\x1b[31mred")
    (here / "runs/\x1b[2Jevil\n/result.json").write_text("{")
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "evil" in out
    assert len(out.splitlines()) == 4


@pytest.mark.parametrize("columns", [20, 50, 64, 80, 100, 200])
def test_no_number_is_cut_at_any_width(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    write_run(here / "runs/a-name-as-long-as-people-make-them-when-they-mean-well", synthetic_summary(seed=3))
    whole = [re.split(r"  +", line) for line in printed(capsys).splitlines()]
    on_terminal(monkeypatch, columns)
    rows = [re.split(r"  +", line) for line in printed(capsys).splitlines()]
    assert all(sum(map(len, row)) + 2 * (len(row) - 1) <= columns for row in rows)
    for row, full in zip(rows, whole, strict=True):
        assert row[1:] == full[1 : len(row)]
    assert len(rows[0]) >= {20: 1, 50: 3, 64: 4, 80: 6, 100: 7, 200: 10}[columns]


def test_an_empty_folder_is_no_mistake(tmp_path: Path, capsys: Capture) -> None:
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", f"nas-runs: There is no run in {tmp_path}.\n")
    assert json.loads(printed(capsys, str(tmp_path), "--json")) == {"schema": 1, "runs": []}


def test_looking_changes_nothing_and_keeps_no_driver_out(here: Path, capsys: Capture) -> None:
    def state() -> list[tuple[str, int, int]]:
        found = [(str(path), path.lstat()) for path in sorted((here / "runs").rglob("*"))]
        return [(name, status.st_mtime_ns, status.st_size) for name, status in found]

    (here / "runs/second/models").rmdir()
    before = state()
    for argv in ([], ["show", "second"], ["compare", "first", "second"]):
        printed(capsys, *argv)
    assert state() == before


def test_a_driver_waits_out_a_look_at_its_lock(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    lock = tmp_path / ".lock"
    lock.touch()
    looking = os.open(lock, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert not is_locked(lock)  # another look is none of a driver's
    threading.Timer(0.03, os.close, [looking]).start()
    descriptor = os.open(lock, os.O_RDWR)
    lock_exclusively(descriptor)
    assert is_locked(lock)
    os.close(descriptor)
    assert not is_locked(lock)
    assert not is_locked(tmp_path / "none")


# --- show


def test_a_run_is_shown_with_its_configuration_front_and_verdict(here: Path, capsys: Capture) -> None:
    text = printed(capsys, "show", "second")
    lines = text.splitlines()
    assert lines[:3] == [
        "run         runs/second",
        "started     2026-11-24 10:00",
        "state       finished, 35 trainings in 2 min 51 s",
    ]
    assert "  budget          24KB" in lines
    assert "  steps           1000 (default 500)" in lines
    assert not any(line.startswith(("  trials", "  out")) for line in lines)
    assert "versions    mcu-nas 0.1.0, tensorflow 2.21.0" in text
    assert "Pareto front (* chosen)" in text
    assert "fits nrf52840, at 98.6 % test accuracy." in text
    assert lines[-1] == "report runs/second/report.html"
    assert printed(capsys, "show", str(here / "runs/second")).splitlines()[1:-1] == lines[1:-1]


def test_what_is_shown_is_json_as_well(here: Path, capsys: Capture) -> None:
    shown = json.loads(printed(capsys, "show", "second", "--json"))
    assert shown["changed"] == {"budget": "24KB", "seed": 1234, "steps": 1000}
    assert shown["result"]["chosen"]["number"] == shown["result"]["chosen"]["number"]
    assert (shown["report"], shown["bundle"]) == ("runs/second/report.html", None)


def test_a_run_that_has_not_ended_is_shown_as_far_as_it_is(here: Path, capsys: Capture) -> None:
    write_run(here / "runs/third", None, recorded=1)
    text = printed(capsys, "show", "third")
    assert "state       interrupted, 1 training\n" in text
    assert text.endswith("result      none yet; nas-run --resume runs/third goes on\n")


# --- mistakes

NO_RESULT = "runs/open has no result yet. Let nas-run end, or go on with it by --resume runs/open."
NOT_WRITTEN = "no/c.html cannot be written (No such file or directory). Give another --html."


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["nowhere"], "There is no folder nowhere. Give the folder that holds run folders; nas-run makes runs/."),
        (["file"], "file is a file. Give the folder that holds run folders."),
        (["runs/first"], "runs/first is a run, not a folder of runs. nas-runs show runs/first shows it."),
        (["shwo", "first"], "There is no command or folder shwo. Did you mean show?"),
        (["runs", "more"], "'more' is not expected here. nas-runs --help lists what is."),
        (["--jsno"], "There is no flag --jsno. Did you mean --json?"),
        (["show"], "The following arguments are required: RUN. nas-runs show --help lists the flags."),
        (["show", "third"], "There is no run folder third. nas-runs FOLDER lists the runs of a folder."),
        (["show", "x" * 5000], f"There is no run folder {'x' * 5000}. nas-runs FOLDER lists the runs of a folder."),
        (["show", "a\0b"], "There is no run folder a\0b. nas-runs FOLDER lists the runs of a folder."),
        (["show", "file"], "file is not a run: it has no config.json. Give a folder that nas-run made."),
        (["show", "runs"], "runs is not a run: it has no config.json. Give a folder that nas-run made."),
        (["compare"], "It takes two runs to compare, and none is given. nas-runs lists what there is."),
        (["compare", "first"], "It takes two runs to compare, and one is given. nas-runs show runs/first shows it."),
        (["compare", "first", "third"], "There is no run folder third. nas-runs FOLDER lists the runs of a folder."),
        (["compare", "first", "open"], NO_RESULT),
        (["compare", "first", "second", "--html", "no/c.html"], NOT_WRITTEN),
        (["compare", *["first"] * 13], "13 runs are given, and 12 can be compared at once. Leave some out."),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence_and_a_hint(here: Path, capsys: Capture, argv: list[str], text: str) -> None:
    (here / "file").touch()
    write_run(here / "runs/open", None)
    assert refused(capsys, *argv) == text


def test_a_run_of_another_version_is_named(here: Path, capsys: Capture) -> None:
    mark = here / "runs/first/config.json"
    mark.write_text(mark.read_text().replace('"schema": 1', '"schema": 99'))
    assert refused(capsys, "show", "first") == (
        "runs/first was written by another version of nas-run. Start a new run."
    )


def test_help_names_every_command(capsys: Capture) -> None:
    for argv in (["--help"], ["show", "--help"], ["compare", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(argv)
        assert ended.value.code == 0
    assert "--html FILE" in capsys.readouterr().out
