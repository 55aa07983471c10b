"""`nas-calibrate --run`: a command flashes and runs, and its output or a fake board on a pseudo-terminal is read."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from cost_models.calibrate import main
from cost_models.cycles import predict
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph

MODEL = Path(__file__).parents[1] / "data" / "calibration" / "ds_cnn-20059.tflite"
FACTOR = 1.5  # of the shipped figure, that the fake board takes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model of a log that is not there yet, and what the board will print."""
    (tmp_path / "kws.tflite").write_bytes(MODEL.read_bytes())
    target = load_target("nrf52840")
    work = predict(
        read_graph(MODEL.read_bytes()), kernels=target.kernels, core=target.core, rates=target.cycle_rates
    )
    lines = ["booting", '"Event","Tag","Ticks"']
    lines += [f"{part.index},{part.kind},{round((part.cycles or 0) * FACTOR)}" for part in work.operators()]
    (tmp_path / "board.txt").write_text("\r\n".join([*lines, '"Event","Tag","Ticks"', "0,CONV"]))
    return tmp_path


def arguments(folder: Path, command: str, *more: str) -> list[str]:
    log, target = folder / "kws.csv", folder / "mine.toml"
    return [str(log), "--run", command, "--target", str(target), "--extends", "nrf52840", *more]


def python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


@pytest.fixture
def port() -> Iterator[tuple[int, str]]:
    """A pseudo-terminal: the board's end, and the name of the other."""
    board, other = os.openpty()
    tty.setraw(other)
    yield board, os.ttyname(other)
    os.close(board)
    os.close(other)


def test_a_command_that_prints_the_log_calibrates_and_says_how_far_off_the_shipped_figure_was(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = python(f"print(open({str(folder / 'board.txt')!r}).read())")
    assert main(arguments(folder, command, "--json")) == 0
    captured = capsys.readouterr()
    (shipped,) = json.loads(captured.out)["shipped"]
    assert shipped["error"] == pytest.approx(1 / FACTOR - 1, abs=1e-3)
    assert not shipped["inside"]
    assert "booting" in captured.err
    assert (folder / "kws.csv").is_file()
    assert main([str(folder / "kws.csv"), "--target", str(folder / "mine.toml")]) == 0
    assert "the target's rates so far were off by" in capsys.readouterr().out


def test_a_fake_board_on_a_serial_port_is_read_until_its_log_is_whole(
    folder: Path, port: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    board, name = port
    flashed = folder / "flashed"

    def print_slowly() -> None:
        while not flashed.exists():
            threading.Event().wait(0.02)
        said = (folder / "board.txt").read_bytes()
        for at in range(0, len(said), 40):
            os.write(board, said[at : at + 40])

    thread = threading.Thread(target=print_slowly)
    thread.start()
    command = python(f"open({str(flashed)!r}, 'w')")
    assert main(arguments(folder, command, "--port", name)) == 0
    thread.join()
    assert load_target(str(folder / "mine.toml")).rates is not None
    assert "were off by -33.3%, outside their 90 % interval" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "more", "message"),
    [
        ("raise SystemExit(3)", (), "The command ended with exit code 3."),
        ("import os; os.kill(os.getpid(), 9)", (), "The command was ended by signal 9."),
        ("import time; time.sleep(60)", ("--timeout", "0.5"), "The command has not ended after 0.5 s."),
        ("print('hello')", (), "No whole log came from the command's stdout"),
        ("pass", ("--port", "/dev/null", "--timeout", "1"), "/dev/null is not a serial port. Check --port."),
        ("pass", ("--port", "nowhere", "--timeout", "2"), "nowhere cannot be opened"),
        ("pass", ("--baud", "9600"), "--baud needs --port. Name the serial port."),
        ("pass", ("--timeout", "0"), "--timeout is not a number above zero."),
    ],
)
def test_a_board_that_says_nothing_is_a_sentence(
    code: str, more: tuple[str, ...], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(folder, python(code), *more)) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "kws.csv").exists()
    assert not (folder / "mine.toml").exists()


def test_an_unfinished_log_is_kept_beside(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = python(f"print(open({str(folder / 'board.txt')!r}).read()[:60])")
    assert main(arguments(folder, command)) == 2
    part = folder / "kws.csv.part"
    assert f"What was read is in {part}." in capsys.readouterr().err
    assert part.read_bytes().startswith(b"booting")


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in the background, whose shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_keeps_what_was_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = python(
        "import os, signal, time\n"
        "print('booting', flush=True)\n"
        "time.sleep(0.5)\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "time.sleep(60)"
    )
    assert main(arguments(folder, command)) == 130
    part = folder / "kws.csv.part"
    assert f"What was read is in {part}." in capsys.readouterr().err
    assert part.read_bytes().startswith(b"booting")


def test_a_board_that_starts_again_in_the_middle_is_read_from_there(folder: Path) -> None:
    whole = (folder / "board.txt").read_text()
    begun = whole[: len(whole) // 2]
    command = python(f"print({begun!r}); print({whole!r})")
    assert main(arguments(folder, command)) == 0


def test_a_whole_log_of_another_model_leaves_its_name_free(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = folder / "board.txt"
    right = board.read_text()
    board.write_text(right.replace("CONV_2D", "ADD"))
    command = python(f"print(open({str(board)!r}).read())")
    assert main(arguments(folder, command)) == 2
    said = capsys.readouterr().err
    assert "at operator 0 the model has CONV_2D" in said
    assert f"it is kept as {folder / 'kws.csv.part'}." in said
    board.write_text(right)
    assert main(arguments(folder, command)) == 0


def test_a_log_that_is_there_is_not_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "kws.csv").write_text("mine")
    assert main(arguments(folder, "true")) == 2
    assert "--run writes one log, and 0 of the named ones are not there yet." in capsys.readouterr().err
    assert (folder / "kws.csv").read_text() == "mine"
    assert main([str(folder / "kws.csv"), "--port", "x", "--target", "t.toml", "--extends", "nrf52840"]) == 2
    assert "--port needs --run." in capsys.readouterr().err
    (folder / "kws.csv").unlink()
    assert main(arguments(folder, "no-such-program")) == 2
    assert "cannot be run: No such file or directory." in capsys.readouterr().err
