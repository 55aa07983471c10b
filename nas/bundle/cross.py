"""Compiles a bundle's own sources for Cortex-M and measures where their data goes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cost_models.cores import CORES
from nas.bundle.compiler import CXX17, WARNINGS, CompileError
from nas.bundle.layout import Role
from nas.bundle.manifest import Manifest

# What is compiled here needs no TFLM headers; the runner's sections are measured where a TFLM tree is at hand.
_ROLES: tuple[Role, ...] = (
    "model_source",
    "frontend_model_source",
    "io_source",
    "golden_source",
    "self_test_source",
)
_TIMEOUT_S = 300


def _compiled_for() -> list[tuple[str, tuple[str, ...]]]:
    """The cores whose sections are measured, and the compiler's flags for their floating point."""
    return [(name, core.float_flags) for name, core in CORES.items() if core.float_flags is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """Bytes of one core's objects by where they go.

    Attributes:
        core: The core.
        code_bytes: Instructions.
        constant_bytes: Read-only data, in flash: weights, labels, golden vectors.
        data_bytes: Initialized variables, in flash and SRAM.
        zero_bytes: Zeroed variables, in SRAM.
        warnings: Of the compiler.
    """

    core: str
    code_bytes: int
    constant_bytes: int
    data_bytes: int
    zero_bytes: int
    warnings: tuple[str, ...]


def has_cross_compiler() -> bool:
    """Whether GNU Arm Embedded is installed."""
    return all(shutil.which(f"arm-none-eabi-{tool}") for tool in ("g++", "size"))


def measure(folder: Path, manifest: Manifest) -> tuple[Sections, ...]:
    """Compile for every core and add up the sections.

    Raises:
        CompileError: A source does not compile for a core.
    """
    sources = [folder / path for role in _ROLES for path in manifest.paths(role)]
    include = (folder / manifest.paths("api_header")[0]).parent
    return tuple(_measure_core(core, flags, sources, include) for core, flags in _compiled_for())


def _measure_core(core: str, flags: tuple[str, ...], sources: list[Path], include: Path) -> Sections:
    with tempfile.TemporaryDirectory() as scratch:
        command = ["arm-none-eabi-g++", f"-mcpu={core}", "-mthumb", *flags, "-Os", *CXX17, *WARNINGS, "-c"]
        paths = [str(path.resolve()) for path in sources]
        run = _run([*command, "-I", str(include.resolve()), *paths], scratch)
        lines = run.stderr.splitlines()
        if run.returncode != 0:
            raise CompileError(f"{core}: " + next((line for line in lines if "error" in line), "no message"))
        sizes = _run(
            ["arm-none-eabi-size", "-A", *sorted(path.name for path in Path(scratch).iterdir())], scratch
        )
    totals = {".text": 0, ".rodata": 0, ".data": 0, ".bss": 0}
    for line in sizes.stdout.splitlines():
        words = line.split()
        for section in totals:
            if len(words) == 3 and words[0].startswith(section):
                totals[section] += int(words[1])
    return Sections(
        core=core,
        code_bytes=totals[".text"],
        constant_bytes=totals[".rodata"],
        data_bytes=totals[".data"],
        zero_bytes=totals[".bss"],
        warnings=tuple(line for line in lines if "warning:" in line),
    )


def _run(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
