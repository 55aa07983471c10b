"""Compiling a model for an Arm Ethos-U with Vela, and what Vela itself estimates of it."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from cost_models import tflite_schema
from cost_models.budget import Budget
from cost_models.errors import UserError
from cost_models.ethos_u import CompiledModel, compiled_arena, read_compiled_model
from cost_models.target import Npu, Target
from nas.runtimes.npu import Estimate, NpuModel

_PACKAGE = "ethos-u-vela"
_CONFIG = "Arm/vela.ini"  # Vela's own, in its package
_TIMEOUT_S = 600
_KIB = 1024


class Vela:
    """Arm's compiler for Ethos-U; see `nas.runtimes.npu.NpuCompiler`."""

    def takes(self, npu: Npu) -> bool:
        return npu.accelerator.startswith("ethos-u")

    def installed(self) -> str | None:
        version = self._version()
        return None if version is None else f"Vela {version}"

    def require(self, target: Target) -> None:
        self._required(target)

    def compile(
        self, tflite: bytes, *, target: Target, budget: Budget | None = None, timeout_s: float = _TIMEOUT_S
    ) -> NpuModel:
        """See `NpuCompiler.compile`; Vela may take `timeout_s` seconds."""
        version = self._required(target)
        assert target.npu is not None
        source = _with_options(tflite)
        limit = int((budget and budget.limit("sram")) or target.usable_sram_bytes)
        fast = self._compiled(
            source, target, target.npu, version, timeout_s, "--arena-cache-size", str(limit)
        )
        if fast.arena_bytes <= limit:
            return fast
        return self._compiled(source, target, target.npu, version, timeout_s, "--optimise", "Size")

    def read(self, tflite: bytes, target: Target) -> tuple[CompiledModel, int]:
        compiled = read_compiled_model(tflite)
        return compiled, compiled_arena(compiled, kernels=target.kernels, core=target.core).min_bytes

    def _version(self) -> str | None:
        try:
            return metadata.version(_PACKAGE)
        except metadata.PackageNotFoundError:
            return None

    def _required(self, target: Target) -> str:
        version = self._version()
        if version is None:
            raise UserError(
                f"{_PACKAGE} is not installed, which compiles models for target {target.name}.",
                "Install it: pip install 'mcu-nas[vela]'; or take a target without an NPU.",
            )
        return version

    def _compiled(
        self, source: bytes, target: Target, npu: Npu, version: str, timeout_s: float, *more: str
    ) -> NpuModel:
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, "model.tflite").write_bytes(source)
            _run(scratch, npu, version, timeout_s, more)
            try:
                compiled_bytes = Path(scratch, "model_vela.tflite").read_bytes()
                summary = Path(scratch, f"model_summary_{npu.system_config}.csv").read_text(encoding="utf-8")
                estimate = _estimate(summary)
            except (OSError, KeyError, IndexError, ValueError):
                raise UserError(
                    f"Vela {version} wrote no model and summary that can be read.",
                    f"Take the version of {_PACKAGE} that this project names.",
                ) from None
        compiled, arena_bytes = self.read(compiled_bytes, target)
        return NpuModel(
            npu=npu,
            compiler=f"Vela {version}",
            tflite=compiled_bytes,
            compiled=compiled,
            arena_bytes=arena_bytes,
            estimate=estimate,
        )


def _run(scratch: str, npu: Npu, version: str, timeout_s: float, more: tuple[str, ...]) -> None:
    # In a process of its own: Vela's core is C++, and a fault of it must not end a run.
    command = [sys.executable, "-m", "ethosu.vela", "model.tflite", "--output-dir", "."]
    command += ["--config", _CONFIG, "--accelerator-config", npu.accelerator]
    command += ["--system-config", npu.system_config, "--memory-mode", npu.memory_mode, *more]
    what = f"Vela {version} cannot compile the model for {npu.accelerator}"
    try:
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{what}: not done after {timeout_s:g} s.", "Take a smaller model.") from None
    if done.returncode != 0:
        raise UserError(
            f"{what}: {_last_line(done.stderr) or f'exit code {done.returncode}'}.",
            "Take another model of the front, or a target without an NPU.",
        )


def _last_line(text: str) -> str:
    """The last line of a traceback, without the exception's name."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    name, colon, rest = last.partition(": ")
    return (rest if colon and name.isidentifier() | ("." in name and " " not in name) else last).strip("'. ")


def _estimate(summary: str) -> Estimate:
    row = next(csv.DictReader(summary.splitlines()), None)
    if row is None:
        raise ValueError("no row")
    return Estimate(
        clock_hz=round(float(row["core_clock"])),
        sram_bytes=round(float(row["sram_memory_used"]) * _KIB),
        off_chip_flash_bytes=round(float(row["off_chip_flash_memory_used"]) * _KIB),
        npu_cycles=round(float(row["cycles_npu"])),
        total_cycles=round(float(row["cycles_total"])),
        inference_us=float(row["inference_time"]) * 1e6,
    )


def _with_options(tflite: bytes) -> bytes:
    """The model with a table of options for each operator whose kind has one.

    A lean model stores none where all are at their defaults, which TFLM and LiteRT read so; Vela 5.2.0 takes the
    absence for a damaged file.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    tables = (
        tflite_schema.MODELLED_OPTIONS,
        tflite_schema.OTHER_OPTIONS,
        tflite_schema.LIST_OPTIONS,
    )
    numbers = {kind: known[kind][0] for known in tables for kind in known}
    names = {number: name for name, number in vars(schema.BuiltinOptions).items() if name[:1] != "_"}
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite, 0))
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        number = numbers.get(tflite_schema.OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)])
        if operator.builtinOptions is None and number is not None:
            operator.builtinOptionsType = number
            operator.builtinOptions = getattr(schema, f"{names[number]}T")()
    builder = flatbuffers.Builder(len(tflite) + 1024)
    builder.Finish(model.Pack(builder), tflite_schema.FILE_IDENTIFIER)
    return bytes(builder.Output())


COMPILER = Vela()
