from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cost_models.budget import Budget
from nas.bundle import Bundle
from nas.cli.check import main
from nas.cli.exit_codes import DONE, REFUSED, USER_ERROR
from tests.cost_models.tflite_models import edited

from .conftest import TCN, Finished


def test_a_bundle_as_exported_passes_with_one_line(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(bundle.path)]) == DONE
    out = capsys.readouterr().out
    assert out.startswith(f"PASS {bundle.path} on nrf52840: sram 2,928 B")
    assert out.count("\n") == 1


def test_a_limit_to_the_byte_passes_and_one_byte_less_fails(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (str(bundle.path), str(TCN)):
        assert main([path, "--budget", "2928B"]) == DONE
        assert main([path, "--budget", "2927B"]) == REFUSED
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == (
        f"FAIL {TCN} on nrf52840: sram 2,928 B (2.9 KB) is over the limit of 2,927 B (2.9 KB)"
    )


def test_certainty_is_said_in_the_verdict(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (str(bundle.path), str(TCN)):
        assert main([path, "--json"]) == DONE
        costs = json.loads(capsys.readouterr().out)["costs"]
        limit = f"cycles={(costs['cycles'] + costs['cycles_high']) // 2}"
        assert main([path, "--budget", limit]) == DONE
        assert "(middle of its 90 % interval) of" in capsys.readouterr().out
        assert main([path, "--budget", limit, "--certain"]) == REFUSED
        assert "cycles (upper end of its 90 % interval) is over the limit" in capsys.readouterr().out
        assert main([path, "--certain"]) == DONE
        assert "(upper end of its 90 % interval) of" in capsys.readouterr().out
        assert main([path, "--certain", "--json"]) == DONE
        data = json.loads(capsys.readouterr().out)
        assert (data["certain"], data["basis"]) == (True, "measured")


def test_what_a_kernel_gets_wrong_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lacking.tflite"

    def edit(model: Any) -> None:
        first = model.subgraphs[0].operators[0]
        first.inputs = first.inputs[:2]

    path.write_bytes(edited(TCN.read_bytes(), edit))
    assert main([str(path), "--target", "esp32"]) == DONE
    assert capsys.readouterr().err.startswith(
        "nas-check: CONV_2D (operator 0): without a bias ESP-NN's kernel"
    )
    assert main([str(path)]) == DONE
    assert capsys.readouterr().err == ""


def test_a_verdict_by_a_class_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(TCN), "--target", "stm32u575", "--budget"]
    said = "; cycles by the class of the cortex-m33, not by this chip's own measurements\n"
    assert main([*words, "latency=1s"]) == DONE
    assert capsys.readouterr().out.endswith(said)
    assert main([*words, "latency=1us"]) == REFUSED
    assert capsys.readouterr().out.endswith(said)
    assert main([*words, "64KB"]) == DONE
    assert "class" not in capsys.readouterr().out


def test_a_bundle_is_held_to_the_budget_it_was_exported_under(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = finished.export(tmp_path / "b", budget=Budget.of({"sram": 3000, "flash": 1 << 20}))
    assert main([str(bundle.path), "--json"]) == DONE
    data = json.loads(capsys.readouterr().out)
    assert data["budget"] == [{"resource": "sram", "limit": 3000}, {"resource": "flash", "limit": 1 << 20}]
    assert (data["ok"], data["kind"], data["target"], data["reason"]) == (True, "bundle", "nrf52840", None)
    assert data["costs"]["sram_bytes"] == 2928


def test_a_target_that_needs_a_larger_arena_than_the_bundles_fails(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(bundle.path), "--target", "corstone300"]
    assert main([*words, "--json"]) == REFUSED
    data = json.loads(capsys.readouterr().out)
    assert (data["ok"], data["reason"], data["costs"]["sram_bytes"]) == (False, "arena", 3296)
    assert main(words) == REFUSED
    expected = "its arena was exported for nrf52840; corstone300 needs 368 B more"
    assert capsys.readouterr().out == f"FAIL {bundle.path} on corstone300: {expected}\n"
    assert main([str(TCN), "--target", "corstone300"]) == DONE


def test_a_target_that_needs_no_more_than_the_bundles_arena_passes(
    make: Callable[..., Finished], tmp_path: Path
) -> None:
    bundle = make(target_name="corstone300").export(tmp_path / "b")
    assert main([str(bundle.path), "--target", "nrf52840"]) == DONE


def test_a_bundle_that_was_tampered_with_fails_with_the_reason(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle.path / "kws_model.cc"
    path.write_text(path.read_text() + "\n")
    assert main([str(bundle.path), "--json"]) == REFUSED
    data = json.loads(capsys.readouterr().out)
    assert data["reason"] == "hash"
    assert main([str(bundle.path)]) == REFUSED
    expected = "kws_model.cc is not the file that was exported: its sha256 differs."
    assert capsys.readouterr().out == f"FAIL {bundle.path}: {expected}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere does not exist. Give a bundle's folder or a .tflite."),
        (["."], ". is not a bundle: it has no manifest.json."),
        ([str(TCN), "--budgt", "1KB"], "There is no flag --budgt. Did you mean --budget?"),
        ([str(TCN), "--budget", "-1KB"], "must be more than 0"),
        ([str(TCN), "--target", "nrf52480"], "There is no target 'nrf52480'."),
        ([__file__], ""),
        ([], "The following arguments are required: MODEL_OR_BUNDLE."),
    ],
)
def test_mistakes_are_a_sentence_and_exit_code_2(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == USER_ERROR
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nas-check: ")
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from nas.cli.check import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "heavy = {'numpy', 'jinja2', 'pydantic', 'tensorflow', 'tflite_micro'} & set(sys.modules)\n"
    code += "sys.exit(bool(heavy))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
