"""Compilers of models for NPUs: what one offers, and the one of a target.

A compiler is a module of this package that exports COMPILER; its name in `COMPILERS` is all that the rest knows of it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Protocol

from cost_models.budget import Budget, Violation
from cost_models.errors import UserError
from cost_models.ethos_u import CompiledModel
from cost_models.target import Npu, Target

COMPILERS = ("vela",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A compiler's own figures, as they are.

    Attributes:
        clock_hz: Of the NPU.
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
        compiler: The compiler and its version.
        tflite: The compiled flatbuffer; what runs on the NPU is one operator or several.
        compiled: The same, read.
        arena_bytes: The smallest tensor arena that it works in.
        estimate: What the compiler estimates.
    """

    npu: Npu
    compiler: str
    tflite: bytes
    compiled: CompiledModel
    arena_bytes: int
    estimate: Estimate


class NpuCompiler(Protocol):
    """Compiles int8 models for some NPUs, and reads what it has compiled."""

    def takes(self, npu: Npu) -> bool:
        """Whether it compiles for an NPU."""

    def installed(self) -> str | None:
        """Its name and version as `NpuModel.compiler` states them; None where it is not installed."""

    def require(self, target: Target) -> None:
        """Refuses a target where it is not installed.

        Raises:
            UserError: It is not, with the way to get it.
        """

    def compile(self, tflite: bytes, *, target: Target, budget: Budget | None) -> NpuModel:
        """Compiles a model for the target's NPU: for speed, or for memory where its arena would be over the budget.

        Args:
            tflite: The int8 model, lean or not.
            target: One with an NPU that it takes.
            budget: Its SRAM limit is what the compiler may use.

        Raises:
            UserError: It is not installed, fails or takes too long, or leaves operators whose memory is not known.
        """

    def read(self, tflite: bytes, target: Target) -> tuple[CompiledModel, int]:
        """A model that it has compiled, and the smallest tensor arena of it on the target, without being installed.

        Raises:
            UserError: It is not one that it makes.
        """


def compiler_for(target: Target) -> NpuCompiler:
    """The compiler for a target's NPU.

    Raises:
        UserError: None takes it.
    """
    npu = target.npu
    assert npu is not None
    for name in COMPILERS:
        compiler: NpuCompiler = importlib.import_module(f"nas.runtimes.{name}").COMPILER
        if compiler.takes(npu):
            return compiler
    raise UserError(
        f"No compiler is known for {npu.accelerator} of target {target.name}.",
        "Take a target without an NPU.",
    )


def npu_violations(budget: Budget, *, arena_bytes: int, model_bytes: int) -> tuple[Violation, ...]:
    """The limits that a compiled model breaks by its arena, or by its bytes alone: code is not counted."""
    broken = []
    for resource, value in (("sram", arena_bytes), ("flash", model_bytes)):
        limit = budget.limit(resource)
        if limit is not None and value > limit:
            broken.append(Violation(resource=resource, value=value, limit=limit))
    return tuple(broken)
