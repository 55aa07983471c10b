"""Commands in a hostile place: closed pipes, full disks, narrow encodings, signals."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cost_models.command_line import Parser
from cost_models.errors import UserError

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests" / "data" / "calibration" / "ae-20027.tflite"
COMMANDS = ("cost_models.cli", "cost_models.calibrate", "nas.cli.run", "nas.cli.export", "nas.cli.check")


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of shell in which `$cost` is nas-cost on a model that fits."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "python": sys.executable} | environment
    env["cost"] = f"{sys.executable} -m cost_models.cli {MODEL}"
    return subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_an_output_that_is_not_utf8_keeps_the_exit_code(encoding: str) -> None:
    done = run("$cost", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ae-20027.tflite" in done.stdout


def test_what_an_encoding_lacks_is_replaced() -> None:
    done = run(
        """$python -c "
from cost_models.command_line import run_command
raise SystemExit(run_command('x', lambda words: print('5 \u00b5s \u2264 \u65e5') or 3, []))" """,
        PYTHONIOENCODING="ascii",
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "5 ?s ? ?\n", "")


@pytest.mark.parametrize(
    "script",
    [
        "$cost | head -c 1; exit ${PIPESTATUS[0]}",
        "$cost --json | head -c 1; exit ${PIPESTATUS[0]}",
        "$python -m cost_models.cli --targets | true; exit ${PIPESTATUS[0]}",
        "$python -m nas --dry-run --json --seed 1 | true; exit ${PIPESTATUS[0]}",
        "$cost >&-",
        "$cost 2>&-",
        "$cost <&- >&- 2>&-",
    ],
)
def test_a_reader_that_leaves_early_changes_no_exit_code(script: str) -> None:
    done = run(script)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_a_sentence() -> None:
    done = run("$cost > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "nas-cost: The output cannot be written (No space left on device).\n"


@pytest.mark.parametrize("columns", ["20", "40"])
def test_a_narrow_console_breaks_nothing(columns: str) -> None:
    done = run("$cost --per-op", COLUMNS=columns)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_tells_its_version_and_loads_nothing_for_it(module: str) -> None:
    code = (
        f"import sys; from {module} import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit as end:\n    code = end.code or 0\n"
        "assert not {'tensorflow', 'ray', 'optuna', 'numpy'} & set(sys.modules)\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("nas-")
    assert len(done.stdout.split()) >= 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["smal"], "KIND is 'smal'. Did you mean small?"),
        (["small", "--bits", "9"], "--bits is 9. Known: 4, 8."),
        (["small", "--bits", "x"], "--bits is 'x'. Write a whole number in digits, such as 1000."),
        (["small", "--bits="], "--bits is empty. Give it a value, or leave it out."),
        (["small", "--bits", ""], "--bits is empty. Give it a value, or leave it out."),
        ([""], "An argument is empty. Give it a value, or leave it out."),
    ],
)
def test_a_word_that_is_no_choice_is_told_the_closest(words: list[str], text: str) -> None:
    parser = Parser(prog="x", description="", epilog="")
    parser.add_argument("kind", metavar="KIND", choices=("small", "large"))
    parser.add_argument("--bits", type=int, choices=(4, 8))
    with pytest.raises(UserError) as caught:
        parser.read(words)
    assert str(caught.value) == text


@pytest.mark.parametrize("module", [*COMMANDS, "nas.cli.runs"])
@pytest.mark.parametrize("flags", [[], ["--target"], ["--config"], ["--resume"], ["--out", "o", "--deliver"]])
def test_a_path_that_the_file_system_refuses_is_one_sentence(
    module: str, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main = importlib.import_module(module).main
    assert main([*flags, "n" * 300 + ".toml"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        ("SIGINT", 130, "x: Interrupted.\n"),
        ("SIGTERM", 143, "x: Ended by SIGTERM.\n"),
        ("SIGHUP", 129, "x: Ended by SIGHUP.\n"),
    ],
)
def test_a_signal_ends_a_command_with_its_own_exit_code(number: str, code: int, text: str) -> None:
    program = f"""
import os, signal, time
from cost_models.command_line import run_command

signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and shells' background jobs ignore them
signal.signal(signal.SIGHUP, signal.SIG_DFL)

def work(words):
    os.kill(os.getpid(), signal.{number})
    time.sleep(10)

raise SystemExit(run_command('x', work, []))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (code, text)
