"""Processor cores, a row each: what is compiled for them, and whose figures stand in for missing ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CoreName = Literal[
    "cortex-m0",
    "cortex-m0plus",
    "cortex-m3",
    "cortex-m4",
    "cortex-m7",
    "cortex-m23",
    "cortex-m33",
    "cortex-m35p",
    "cortex-m52",
    "cortex-m55",
    "cortex-m85",
    "xtensa-lx6",
    "xtensa-lx7",
    "riscv32",
    "riscv32-pie",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """One core.

    Attributes:
        name: What target files call it.
        isa: Which sources of the kernel library run on it. CMSIS-NN's three (arm_nn_math_types.h): "mve", "dsp", or
            neither, "scalar" on Armv6-M and Armv8-M Baseline and "thumb2" on Armv7-M, whose libc differs. ESP-NN's:
            "esp_c", "esp_rv32" for the same on RISC-V, whose loops were counted, "esp_s3" with vector instructions (an
            ESP32-S2 has none: its kernels and memory are those of the LX6), "esp_p4".
        esp_nn: What ESP-NN calls those sources; empty on Arm's cores.
        code_of: Whose code sizes stand for its own, and how many bytes it takes for one of theirs; None where it
            has a table. Compilers use the instructions of these alike; how far such kin differ shows between the
            M4 and the M33, 2.5 % at most. For cores that are not Arm's: 35 files of CMSIS-NN's portable C, GCC 12
            -O2, for rv32imc and for Xtensa LX106 against a Cortex-M3; single files vary by 25 %.
        counts_of: Whose executed instructions stand for its own: it compiles to the same ones, but for the
            compiler's taste, and was never counted.
        pipeline_of: Whose measured boards stand for its own: it shares the pipeline (Technical Reference Manuals:
            three stages, the same cycles for loads and branches).
        class_extra: What is not known of its class besides the spread of its boards, as a natural logarithm: a core
            without a board of its own takes another's pipeline; the boards of the Cortex-M7 are known by other
            runtimes' ratios alone; of the Cortex-M55 three operators are, none of them a convolution.
        float_flags: The compiler's flags for its floating point, for measuring sections; None where it is not
            compiled for here.
    """

    name: CoreName
    isa: str
    esp_nn: str = ""
    code_of: tuple[CoreName, float] | None = None
    counts_of: CoreName | None = None
    pipeline_of: CoreName | None = None
    class_extra: float = 0.0
    float_flags: tuple[str, ...] | None = None

    @property
    def fpu(self) -> bool:
        """Whether its builds compute floats with a floating-point unit, not with a library."""
        return self.isa in ("dsp", "mve", "esp_s3", "esp_p4") or self.name == "xtensa-lx6"

    @property
    def is_arm(self) -> bool:
        """Whether CMSIS-NN runs on it; Arm's bare-metal ABI has short enumerations."""
        return not self.esp_nn


CORES: dict[str, Core] = {
    core.name: core
    for core in (
        Core(
            name="cortex-m0",
            isa="scalar",
            code_of=("cortex-m0plus", 1.0),
            counts_of="cortex-m0plus",
            pipeline_of="cortex-m0plus",
            class_extra=0.16,
        ),
        Core(name="cortex-m0plus", isa="scalar", class_extra=0.12, float_flags=("-mfloat-abi=soft",)),
        Core(name="cortex-m3", isa="thumb2", pipeline_of="cortex-m4", class_extra=0.10),
        Core(name="cortex-m23", isa="scalar", code_of=("cortex-m0plus", 1.0)),
        Core(name="cortex-m4", isa="dsp", float_flags=("-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")),
        Core(
            name="cortex-m7",
            isa="dsp",
            class_extra=0.08,
            float_flags=("-mfloat-abi=hard", "-mfpu=fpv5-d16"),
        ),
        Core(name="cortex-m33", isa="dsp", float_flags=("-mfloat-abi=hard", "-mfpu=fpv5-sp-d16")),
        Core(
            name="cortex-m35p",
            isa="dsp",
            code_of=("cortex-m33", 1.0),
            counts_of="cortex-m33",
            pipeline_of="cortex-m33",
            class_extra=0.10,
        ),
        Core(name="cortex-m52", isa="mve", code_of=("cortex-m55", 1.0)),
        Core(
            name="cortex-m55",
            isa="mve",
            class_extra=0.08,
            float_flags=("-mfloat-abi=hard", "-mfpu=auto"),
        ),
        Core(name="cortex-m85", isa="mve", code_of=("cortex-m55", 1.0), counts_of="cortex-m55"),
        Core(name="riscv32", isa="esp_rv32", esp_nn="generic", code_of=("cortex-m3", 1.10)),
        Core(name="riscv32-pie", isa="esp_p4", esp_nn="esp32p4", code_of=("cortex-m3", 1.10)),
        Core(name="xtensa-lx6", isa="esp_c", esp_nn="generic", code_of=("cortex-m3", 1.27)),
        Core(name="xtensa-lx7", isa="esp_s3", esp_nn="esp32s3", code_of=("cortex-m3", 1.27)),
    )
}
