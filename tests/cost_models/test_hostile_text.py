"""Text and TOML of unknown origin: answered within a moment, in a sentence, whatever they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from cost_models.cli import main as nas_cost
from cost_models.errors import UserError
from cost_models.reading import read_text, read_toml
from cost_models.target_file import load_target
from nas.run.config import read_job_file

SHIPPED = Path(__file__).parents[2] / "cost_models" / "targets" / "nrf52840.toml"


def test_text_that_is_no_utf8_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "latin"
    path.write_bytes("für".encode("latin-1"))
    with pytest.raises(UserError, match=r"is not text in UTF-8 .* at byte 1"):
        read_text(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_bytes(b"\xef\xbb\xbftrials = 3\r\n")
    assert read_job_file(path) == {"trials": 3}


HOSTILE = {
    "digits": ("trials = " + "1" * 5000, "line 1 has a number of 5,000 digits"),
    "underscored digits": ("trials = " + "1_" * 200 + "1", "line 1 has a number of 401 digits"),
    "dotted key": ("a" + ".a" * 50_000 + " = 1", "line 1 has a key of more than 32 dots"),
    "dotted table": ("x = 1\n[a" + ".a" * 50_000 + "]", "line 2 has a key of more than 32 dots"),
    "nested arrays": ("a = " + "[" * 20_000, "is not TOML"),
    "nested tables": ("a = " + "{a=" * 20_000, "is not TOML"),
    "large": ("# " + "x" * (1 << 18), "has more than 128 KB"),
    "infinity": ("timeout = inf", "timeout"),
    "not a number": ("sparsity = nan", "sparsity"),
    "huge real": ("timeout = 1e400", "timeout"),
    "date": ("timeout = 1979-05-27", "timeout"),
    "control": ('a = "\x00"', "is not TOML"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_toml_is_one_sentence(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nas.cli.run import main

    content, message = HOSTILE[case]
    job = tmp_path / "job.toml"
    job.write_text(content)
    assert main(["--config", str(job), "--dry-run"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("case", ["digits", "dotted key", "dotted table", "nested arrays", "large"])
def test_a_hostile_target_is_one_sentence(case: str, tmp_path: Path) -> None:
    content, message = HOSTILE[case]
    path = tmp_path / "board.toml"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        load_target(str(path))


@pytest.mark.parametrize(
    "value", ["inf", "-inf", "nan", "1e400", "-1", "0", "true", '"64000000"', "1979-05-27"]
)
def test_a_clock_that_is_none_is_refused(value: str, tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    lines = SHIPPED.read_text().splitlines()
    lines = [f"clock_hz = {value}" if line.startswith("clock_hz") else line for line in lines]
    path.write_text("\n".join(lines))
    with pytest.raises(UserError):
        load_target(str(path))


@pytest.mark.parametrize(
    "limit", ["inf", "nan", "1e400", "1" * 5000, "sram=infKB", "latency=nanms", "cycles=1e999", "sram=-1KB"]
)
def test_a_limit_that_is_none_is_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = Path(__file__).parents[1] / "data" / "calibration" / "ae-20027.tflite"
    assert nas_cost([str(model), "--budget", limit]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_file_that_is_fine_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text("# a comment with many dots " + "." * 100 + '= \ntask = "a.b.c"\ntrials = 12\n')
    with pytest.raises(UserError, match="dots"):
        read_toml(path, "")
    path.write_text('task = "' + "a." * 100 + '"\ntrials = 12 # ' + "." * 100 + "\n")
    assert read_job_file(path)["trials"] == 12
