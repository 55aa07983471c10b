"""Compiling a model for an Arm Ethos-U with Vela, and what Vela itself estimates of it."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from cost_models import tflite_schema
from cost_models.budget import Budget, Violation
from cost_models.errors import UserError
from cost_models.ethos_u import CompiledModel, compiled_arena, read_compiled_model
from cost_models.target import Npu, Target

_PACKAGE = "ethos-u-vela"
_CONFIG = "Arm/vela.ini"  # Vela's own, in its package
_TIMEOUT_S = 600
_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Vela's summary, its figures as they are.

    Attributes:
        clock_hz: Of the NPU, in the system configuration.
        sram_bytes: SRAM that the NPU's part of the model uses.
        off_chip_flash_bytes: Constants of the NPU's part, where they do not lie in SRAM.
        npu_cycles: Cycles in which the NPU computes.
        total_cycles: Cycles of an inference with the waits for memory; operators left to the core are not in it.
        inference_us: The same, at that clock.
    """

    clock_hz: int
    sram_bytes: int
    off_chip_flash_bytes: int
    npu_cycles: int
    total_cycles: int
    inference_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NpuModel:
    """A model as the NPU's firmware runs it.

    Attributes:
        npu: What it was compiled for.
        compiler: Vela and its version.
        tflite: The compiled flatbuffer; what runs on the NPU is one operator "ethos-u" or several.
        compiled: The same, read.
        arena_bytes: The smallest tensor arena that it works in.
        estimate: What Vela estimates.
    """

    npu: Npu
    compiler: str
    tflite: bytes
    compiled: CompiledModel
    arena_bytes: int
    estimate: Estimate


def installed_vela() -> str | None:
    """The version of Vela that is installed, or None."""
    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        return None


def require_vela(target: Target) -> str:
    """The version of Vela that is installed.

    Raises:
        UserError: None is, and the target has an NPU.
    """
    version = installed_vela()
    if version is None:
        raise UserError(
            f"{_PACKAGE} is not installed, which compiles models for target {target.name}.",
            "Install it: pip install 'mcu-nas[vela]'; or take a target without an NPU.",
        )
    return version


def compile_for_npu(
    tflite: bytes, *, target: Target, budget: Budget | None = None, timeout_s: float = _TIMEOUT_S
) -> NpuModel:
    """Compile a model for the target's NPU: for speed, or for memory where its arena would be over the budget.

    Args:
        tflite: The int8 model, lean or not.
        target: One with an NPU.
        budget: Its SRAM limit is what Vela may use.
        timeout_s: How long Vela may take.

    Raises:
        UserError: Vela is not installed, fails or takes too long, or leaves operators whose memory is not known.
    """
    version = require_vela(target)
    assert target.npu is not None
    source = _with_options(tflite)
    limit = int((budget and budget.limit("sram")) or target.usable_sram_bytes)
    fast = _compile(source, target, target.npu, version, timeout_s, "--arena-cache-size", str(limit))
    if fast.arena_bytes <= limit:
        return fast
    return _compile(source, target, target.npu, version, timeout_s, "--optimise", "Size")


def npu_violations(budget: Budget, *, arena_bytes: int, model_bytes: int) -> tuple[Violation, ...]:
    """The limits that a compiled model breaks by its arena, or by its bytes alone: code is not counted."""
    found = []
    for resource, value in (("sram", arena_bytes), ("flash", model_bytes)):
        limit = budget.limit(resource)
        if limit is not None and value > limit:
            found.append(Violation(resource=resource, value=value, limit=limit))
    return tuple(found)


def _compile(source: bytes, target: Target, npu: Npu, version: str, timeout_s: float, *more: str) -> NpuModel:
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
    compiled = read_compiled_model(compiled_bytes)
    return NpuModel(
        npu=npu,
        compiler=f"Vela {version}",
        tflite=compiled_bytes,
        compiled=compiled,
        arena_bytes=compiled_arena(compiled, kernels=target.kernels, core=target.core).min_bytes,
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
