"""Bundles of targets with an Ethos-U; Vela itself is stood in for, its output is real."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cost_models.budget import Budget
from cost_models.errors import UserError
from nas.bundle import Bundle, BundleError, check_bundle, verify
from nas.bundle.check import ON_TRUST
from nas.bundle.compiler import find_compiler
from nas.bundle.content import sha256
from nas.bundle.delivery import size_table
from nas.bundle.layout import LAYOUTS
from nas.bundle.manifest import MANIFEST_NAME
from nas.bundle.verify import NO_COMPILER
from nas.cli.check import main
from nas.cli.exit_codes import DONE, REFUSED
from tests.nas import vela_stub

from .conftest import TCN, Finished, make_finished

NOT_RUN = (
    "the model compiled for ethos-u55-128 was not run, for want of one: golden vectors were answered by the int8"
    " model that it was compiled from"
)
WHOLE = (vela_stub.DATA / "whole.tflite").read_bytes()
MIXED = (vela_stub.DATA / "mixed.tflite").read_bytes()
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finished:
    vela_stub.install(monkeypatch, tmp_path)
    return make_finished(target_name="corstone300_u55_128")


def text(bundle: Bundle, name: str) -> str:
    return (bundle.path / name).read_text(encoding="utf-8")


def check(bundle: Bundle) -> BundleError:
    with pytest.raises(BundleError) as caught:
        verify(bundle.path, compiler=None, cross=False)
    return caught.value


def plant(bundle: Bundle, name: str, change: Callable[[str], str], **manifest: object) -> None:
    """Change a source and let the manifest's hashes go along, so that deeper checks must find the fault."""
    before = text(bundle, name)
    assert change(before) != before
    (bundle.path / name).write_text(change(before), encoding="utf-8")
    refresh(bundle, **manifest)


def refresh(bundle: Bundle, **npu: object) -> None:
    path = bundle.path / MANIFEST_NAME
    data = json.loads(path.read_text())
    for entry in data["files"]:
        entry["sha256"] = sha256((bundle.path / entry["path"]).read_bytes())
    data["model_sha256"] = sha256((bundle.path / "kws.tflite").read_bytes())
    data["npu"] |= npu
    path.write_text(json.dumps(data))


def test_the_bundle_holds_the_compiled_model_and_the_one_it_was_made_of(bundle: Bundle) -> None:
    assert (bundle.path / "kws.tflite").read_bytes() == WHOLE
    assert (bundle.path / "kws_int8.tflite").read_bytes() == TCN.read_bytes()
    npu = bundle.manifest.npu
    assert npu is not None
    assert (npu.accelerator, npu.compiler) == ("ethos-u55-128", "Vela 5.2.0")
    assert (npu.npu_operators, npu.core_operators) == (1, 0)
    assert bundle.manifest.operators == ("ETHOS_U",)
    assert bundle.manifest.costs.model_bytes == len(TCN.read_bytes())


def test_the_runner_registers_the_ethos_u_and_looks_it_up_by_name(bundle: Bundle) -> None:
    runner = text(bundle, "kws.cc")
    assert "MicroMutableOpResolver<1>" in runner
    assert "resolver.AddEthosU() == kTfLiteOk" in runner
    assert "resolver.FindOp(code->custom_code()->c_str())" in runner
    assert "#define KWS_ARENA_BYTES_EXACT 1360u" in text(bundle, "kws.h")


def test_a_bundle_without_an_npu_knows_nothing_of_it(tmp_path: Path) -> None:
    bundle = make_finished().export(tmp_path / "b")
    assert bundle.manifest.npu is None
    assert "custom_code" not in text(bundle, "kws.cc")
    assert "NPU" not in text(bundle, "MODEL_CARD.md")
    assert not (bundle.path / "kws_int8.tflite").exists()


def test_operators_left_to_the_core_are_in_the_resolver_too(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vela_stub.install(monkeypatch, tmp_path, model="mixed")
    bundle = finished.export(tmp_path / "b")
    runner = text(bundle, "kws.cc")
    assert "MicroMutableOpResolver<2>" in runner
    assert "resolver.AddSoftmax(tflite::Register_SOFTMAX_INT8())" in runner
    assert "on the core: SOFTMAX" in text(bundle, "MODEL_CARD.md")
    verify(bundle, compiler=None)


@needs_compiler
def test_it_is_verified_but_for_the_run_on_the_npu_and_says_so(bundle: Bundle) -> None:
    found = verify(bundle, cross=False)
    assert found.notes == (NOT_RUN,)
    assert found.golden_count == 3


def test_without_a_compiler_both_are_said(bundle: Bundle) -> None:
    assert verify(bundle, compiler=None).notes == (NOT_RUN, NO_COMPILER)


def test_the_card_calls_estimates_what_they_are(bundle: Bundle) -> None:
    card = text(bundle, "MODEL_CARD.md")
    assert "| Cycles with waits for memory | 9513 | estimated by Vela 5.2.0" in card
    assert "| SRAM, tensor arena | 1360 B | exact" in card
    assert "What the search counted: kws_int8.tflite on the core alone." in card


def test_a_flipped_byte_of_the_array_is_caught(bundle: Bundle) -> None:
    plant(bundle, "kws_model.cc", lambda source: source.replace("0x20, 0x00", "0x21, 0x00", 1))
    assert (
        check(bundle).message
        == "kws_model.cc is not what manifest and model give: it differs from line 19 on."
    )


def test_an_arena_16_bytes_too_small_is_caught(bundle: Bundle) -> None:
    plant(bundle, "kws.h", lambda source: source.replace("EXACT 1360u", "EXACT 1344u"))
    assert (check(bundle).reason, "kws.h is not what" in check(bundle).message) == ("content", True)
    refresh(bundle, arena_bytes=1344)
    assert check(bundle).message == "manifest.json: npu.arena_bytes is 1344, model and target give 1360."


def test_a_resolver_without_the_ethos_u_is_caught(bundle: Bundle) -> None:
    plant(bundle, "kws.cc", lambda source: source.replace("resolver.AddEthosU()", "resolver.AddSoftmax()"))
    assert check(bundle).message == "kws.cc is not what manifest and model give: it differs from line 97 on."


def test_another_int8_model_is_caught(bundle: Bundle) -> None:
    path = bundle.path / "kws_int8.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    refresh(bundle)
    assert check(bundle).message == "kws_int8.tflite is not the model that was exported: its sha256 differs."


def test_a_compiled_model_of_another_network_is_caught(bundle: Bundle) -> None:
    other = WHOLE.replace(bytes([1, 0, 0, 0, 5, 0, 0, 0]), bytes([1, 0, 0, 0, 6, 0, 0, 0]))
    assert other != WHOLE
    (bundle.path / "kws.tflite").write_bytes(other)
    refresh(bundle)
    assert check(bundle).message.startswith("manifest.json: model_sha256 is ")


def test_without_the_same_vela_the_compiled_model_is_read_and_that_is_said(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_bundle(bundle.path).notes == (ON_TRUST,)
    monkeypatch.setattr("nas.runtimes.vela.Vela.installed", lambda self: None)
    assert check_bundle(bundle.path).notes[1:] == (
        "the model compiled for ethos-u55-128 and the estimates of Vela 5.2.0 were not compared with a new"
        " compilation: this version of it is not installed",
    )
    refresh(bundle, arena_bytes=1344)
    assert check(bundle).message == "manifest.json: npu.arena_bytes is 1344, model and target give 1360."
    refresh(bundle, arena_bytes=1360)
    other = WHOLE.replace(bytes([1, 0, 0, 0, 5, 0, 0, 0]), bytes([1, 0, 0, 0, 6, 0, 0, 0]))
    (bundle.path / "kws.tflite").write_bytes(other)
    refresh(bundle)
    assert check(bundle).reason == "model"


def test_a_manifest_that_lies_about_the_length_is_caught(bundle: Bundle) -> None:
    refresh(bundle, model_bytes=8000)
    assert check(bundle).message == "manifest.json: npu.model_bytes is 8000, model and target give 8256."


def test_a_manifest_without_its_int8_model_is_caught(bundle: Bundle) -> None:
    path = bundle.path / MANIFEST_NAME
    data = json.loads(path.read_text())
    data["files"] = [entry for entry in data["files"] if entry["role"] != "int8_model"]
    path.write_text(json.dumps(data))
    assert check(bundle).message.startswith("manifest.json: files is ")


@pytest.mark.parametrize(
    ("sram", "flash", "text"),
    [
        (1359, 1 << 20, "sram 1,360 B (1.3 KB) is over the limit of 1,359 B (1.3 KB)"),
        (1 << 20, 8255, "flash 8,256 B (8.1 KB) is over the limit of 8,255 B (8.1 KB)"),
    ],
)
def test_a_compiled_model_over_the_budget_is_refused(
    finished: Finished, tmp_path: Path, sram: int, flash: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the core alone needs is over these limits as well, and is refused before anything is compiled.
    monkeypatch.setattr(Budget, "violations", lambda self, costs: ())
    with pytest.raises(UserError) as caught:
        finished.export(tmp_path / "b", budget=Budget.of({"sram": sram, "flash": flash}))
    assert str(caught.value) == (
        f"Compiled for ethos-u55-128, the model is over its budget: {text}. Choose a smaller model of the front."
    )


def test_nas_check_holds_the_compiled_model_to_the_budget(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(bundle.path)]) == DONE
    assert capsys.readouterr().out.endswith("; for ethos-u55-128: arena 1,360 B, model 8,256 B\n")
    assert main([str(bundle.path), "--budget", "1359B", "--json"]) == REFUSED
    violations = json.loads(capsys.readouterr().out)["violations"]
    assert [(each["resource"], each["value"]) for each in violations] == [("sram", 3296), ("sram", 1360)]


def test_the_size_table_shows_what_runs_and_no_cost_that_is_not_known(bundle: Bundle) -> None:
    table = size_table(None, bundle.manifest)
    assert "| sram | - | 1,360 B (1.3 KB) |" in table
    assert "latency" not in table


@pytest.mark.parametrize("format_name", LAYOUTS)
def test_every_layout_states_the_compiled_models_arena(
    finished: Finished, tmp_path: Path, format_name: str
) -> None:
    """The core alone would need 3,296 B, which only the card and the manifest may mention."""
    bundle = finished.export(tmp_path / "b", format=format_name)
    roles = ("build", "example", "api_header", "runner_source")
    texts = {entry.path: text(bundle, entry.path) for entry in bundle.manifest.files if entry.role in roles}
    assert bundle.manifest.costs.sram_bytes == 3296
    assert not [path for path, found in texts.items() if re.search(r"\b3,?296\b", found)]
    stating = {
        "arduino": "library.properties",
        "cmsis-pack": "mcu_nas.kws.pdsc",
        "zephyr": "Kconfig",
    }
    if format_name in stating:
        assert "1360" in texts[stating[format_name]]


def test_zephyrs_sample_switches_the_driver_on(finished: Finished, tmp_path: Path) -> None:
    bundle = finished.export(tmp_path / "b", format="zephyr")
    assert "\nCONFIG_ETHOS_U=y\n" in text(bundle, "samples/kws_self_test/prj.conf")
    plain = make_finished().export(tmp_path / "plain", format="zephyr")
    assert "ETHOS_U" not in text(plain, "samples/kws_self_test/prj.conf")
