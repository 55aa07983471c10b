"""The host's C and C++ compilers: found, asked politely, never needed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

C99 = ("-std=c99",)
CXX17 = ("-std=c++17", "-fno-exceptions", "-fno-rtti")
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion")
_TIMEOUT_S = 300


class CompileError(Exception):
    """The compiler refused a source; the text is its first error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCompiler:
    """A C and a C++ compiler that make programs for this machine."""

    cc: str
    cxx: str

    def compile(
        self, sources: Sequence[Path], *, include: Path, output: Path | None, c99: bool = False
    ) -> tuple[str, ...]:
        """Compile sources with all warnings, to a program or, without an output, for the check alone.

        Returns:
            The warnings.

        Raises:
            CompileError: It does not compile.
        """
        command = [self.cc if c99 else self.cxx, *(C99 if c99 else CXX17), *WARNINGS, "-I", str(include)]
        command += ["-fsyntax-only"] if output is None else ["-o", str(output)]
        try:
            run = subprocess.run(
                [*command, *map(str, sources)],
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CompileError(f"the compiler took more than {_TIMEOUT_S} s") from error
        lines = run.stderr.splitlines()
        if run.returncode != 0:
            errors = [line for line in lines if "error" in line] or lines or ["no message"]
            raise CompileError(errors[0])
        return tuple(line for line in lines if "warning:" in line)


def find_compiler() -> HostCompiler | None:
    """The compilers that CC and CXX name, else the usual ones; None where there is none."""
    cc = _first(os.environ.get("CC"), "cc", "gcc", "clang")
    cxx = _first(os.environ.get("CXX"), "c++", "g++", "clang++")
    return HostCompiler(cc=cc, cxx=cxx) if cc and cxx else None


def _first(*names: str | None) -> str | None:
    return next((path for name in names if name and (path := shutil.which(name))), None)
