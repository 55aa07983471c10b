from __future__ import annotations

import sys
from dataclasses import replace
from importlib import metadata, util
from pathlib import Path
from types import ModuleType

import pytest

from cost_models.budget import Budget, parse_budget
from cost_models.errors import UserError
from cost_models.ethos_u import CompiledModel, compiled_arena
from cost_models.lean import lean
from cost_models.target import Npu, Target
from cost_models.target_file import load_target
from nas.cli.run import main
from nas.runtimes.npu import NpuModel, compiler_for, npu_violations
from nas.runtimes.vela import COMPILER
from tests.nas import vela_stub

TCN = (Path(__file__).parent / "bundle" / "data" / "tcn.tflite").read_bytes()
OPERATORS = sorted((Path(__file__).parents[1] / "data" / "operators").glob("*.tflite"))
TARGET = load_target("corstone300-u55-128")
needs_vela = pytest.mark.skipif(
    util.find_spec("ethosu") is None, reason="ethos-u-vela is not installed: the extra `vela` has it"
)


def refusal(*, timeout_s: float = 60, budget: Budget | None = None) -> str:
    with pytest.raises(UserError) as caught:
        COMPILER.compile(TCN, target=TARGET, budget=budget, timeout_s=timeout_s)
    return str(caught.value)


@needs_vela
def test_vela_takes_a_lean_model_and_gives_one_that_tflm_runs() -> None:
    found = COMPILER.compile(TCN, target=TARGET)
    assert found.compiler == f"Vela {metadata.version('ethos-u-vela')}"
    assert found.compiled.graph.kinds() == ("ETHOS_U",)
    arena = compiled_arena(found.compiled, kernels="cmsis_nn", core="cortex-m55")
    assert found.arena_bytes == arena.min_bytes
    # The NPU's memory is the bulk of the arena.
    assert 0 < arena.planned_bytes - found.estimate.sram_bytes < 128
    assert 0 < found.estimate.npu_cycles <= found.estimate.total_cycles
    assert found.estimate.inference_us == pytest.approx(
        found.estimate.total_cycles / found.estimate.clock_hz * 1e6
    )


@needs_vela
def test_the_same_model_compiled_twice_gives_the_same_bytes() -> None:
    first, second = (COMPILER.compile(TCN, target=TARGET).tflite for _ in range(2))
    assert first == second


@needs_vela
def test_a_larger_npu_needs_fewer_cycles() -> None:
    cycles = [
        COMPILER.compile(TCN, target=load_target(f"corstone300-u55-{macs}")).estimate.npu_cycles
        for macs in (32, 256)
    ]
    assert cycles[1] < cycles[0]


@needs_vela
def test_over_the_sram_limit_it_is_compiled_for_memory() -> None:
    large = COMPILER.compile(TCN, target=TARGET).arena_bytes
    small = COMPILER.compile(TCN, target=TARGET, budget=parse_budget(f"{large - 16}B", TARGET)).arena_bytes
    assert small < large


# Vela 5.2.0 itself crashes now and then (a segmentation fault) on a grouped convolution whose bias has no
# quantization; no search space has one, and a crash is one sentence like any other failure of Vela.
STEADY = [path for path in OPERATORS if path.stem != "conv_grouped"]


@needs_vela
@pytest.mark.slow
@pytest.mark.parametrize("path", STEADY, ids=lambda path: path.stem)
def test_vela_takes_every_operator_lean(path: Path) -> None:
    found = COMPILER.compile(lean(path.read_bytes()), target=TARGET)
    assert found.arena_bytes > 0


@needs_vela
def test_a_system_that_vela_does_not_know_is_refused_in_its_words() -> None:
    assert TARGET.npu is not None
    target = replace(TARGET, npu=replace(TARGET.npu, system_config="Nowhere"))
    with pytest.raises(UserError, match=r"^Vela \S+ cannot compile the model for ethos-u55-128: .*Nowhere"):
        COMPILER.compile(TCN, target=target)


def test_without_vela_the_hint_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("nas.runtimes.vela.metadata.version", missing)
    with pytest.raises(UserError) as caught:
        COMPILER.require(TARGET)
    assert str(caught.value) == (
        "ethos-u-vela is not installed, which compiles models for target corstone300_u55_128."
        " Install it: pip install 'mcu-nas[vela]'; or take a target without an NPU."
    )


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("raise RuntimeError('Compilation failed: no')", "Compilation failed: no."),
        ("print('Error: no such thing.', flush=True); raise SystemExit('bad words')", "bad words."),
        ("import os; os._exit(7)", "exit code 7."),
        ("import os; os.abort()", "exit code -6."),
        ("import time; time.sleep(30)", "not done after 2 s. Take a smaller model."),
    ],
    ids=["exception", "message", "silent", "fault", "hangs"],
)
def test_velas_failure_is_one_sentence(
    script: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vela_stub.install(monkeypatch, tmp_path, script=script)
    said = refusal(timeout_s=2 if "sleep" in script else 60)
    assert said.startswith(f"Vela 5.2.0 cannot compile the model for ethos-u55-128: {text}")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "summary",
    ["", "core_clock\n1\n", vela_stub.SUMMARY.replace("7518", "many")],
    ids=["empty", "short", "odd"],
)
def test_a_summary_that_cannot_be_read_is_refused(
    summary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vela_stub.install(monkeypatch, tmp_path, summary=summary)
    assert refusal().startswith("Vela 5.2.0 wrote no model and summary that can be read. Take the version")


def test_its_figures_are_reported_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vela_stub.install(monkeypatch, tmp_path)
    found = COMPILER.compile(TCN, target=TARGET)
    assert (found.estimate.sram_bytes, found.estimate.off_chip_flash_bytes) == (896, 4080)
    assert (found.estimate.npu_cycles, found.estimate.total_cycles) == (7518, 9513)
    assert found.estimate.clock_hz == 500_000_000
    assert found.estimate.inference_us == pytest.approx(19.026)
    assert (found.arena_bytes, len(found.tflite)) == (1360, 8256)


def test_nas_run_asks_for_vela_before_it_searches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def missing(name: str) -> str:
        if name == "ethos-u-vela":
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    installed = metadata.version
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nas.runtimes.vela.metadata.version", missing)
    assert main(["--target", "corstone300-u55-64"]) == 2
    assert capsys.readouterr().err.startswith("nas-run: ethos-u-vela is not installed, which compiles models")
    assert not list(tmp_path.iterdir())


def test_the_budgets_notes_say_what_is_counted() -> None:
    assert parse_budget(None, TARGET).notes == (
        "Networks are counted as the cortex-m55 alone would run them; what is exported is compiled for"
        " ethos-u55-128 by Vela, and held to both limits again.",
    )
    assert parse_budget(None, load_target("corstone300")).notes == ()


def test_a_limit_met_to_the_byte_holds_and_one_byte_less_breaks() -> None:
    budget = Budget.of({"sram": 1360, "flash": 8256})
    assert npu_violations(budget, arena_bytes=1360, model_bytes=8256) == ()
    broken = npu_violations(budget, arena_bytes=1361, model_bytes=8257)
    assert [violation.resource for violation in broken] == ["sram", "flash"]


class Other:
    """A compiler of another maker, which hands back what Vela once made."""

    def __init__(self, made: NpuModel) -> None:
        self.made = made

    def takes(self, npu: Npu) -> bool:
        return npu.system_config == "Other"

    def installed(self) -> str | None:
        return "Other 1"

    def require(self, target: Target) -> None:
        """It is always there."""

    def compile(self, tflite: bytes, *, target: Target, budget: Budget | None = None) -> NpuModel:
        return replace(self.made, compiler="Other 1")

    def read(self, tflite: bytes, target: Target) -> tuple[CompiledModel, int]:
        return self.made.compiled, self.made.arena_bytes


def test_another_compiler_is_one_module_and_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vela_stub.install(monkeypatch, tmp_path)
    assert TARGET.npu is not None
    theirs = replace(TARGET, npu=replace(TARGET.npu, system_config="Other"))
    module = ModuleType("nas.runtimes.other")
    module.COMPILER = Other(COMPILER.compile(TCN, target=TARGET))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("nas.runtimes.npu.COMPILERS", ("other", "vela"))
    assert compiler_for(TARGET) is COMPILER
    assert compiler_for(theirs).compile(TCN, target=theirs, budget=None).compiler == "Other 1"
    monkeypatch.setattr("nas.runtimes.npu.COMPILERS", ("other",))
    with pytest.raises(UserError, match="No compiler is known for ethos-u55-128"):
        compiler_for(TARGET)
