"""Cycles of each class of instruction on each core, with memory that never waits."""

from __future__ import annotations

from collections.abc import Mapping

# Cycles per executed instruction by class, and per taken branch on top. `ldm` and `stm` count whole
# instructions. The M4's own figures come with their cycles and do not use this table; the other cores' are
# a starting point that a board's calibration scales, never shown without one.
# Source: Technical Reference Manuals, instruction timing: Cortex-M0+ (DDI 0484C, table 3-1), Cortex-M3 (DDI
# 0337I, 3.3.1), Cortex-M4 (DDI 0439B, 3.3.1), Cortex-M33 (100230, no table published: the M4's with
# single-cycle loads and multiplies). The Cortex-M7 and Cortex-M55 issue two instructions at a time; no
# table exists, half a cycle for what can pair is assumed.
_M4 = {
    "alu": 1.0, "mul": 1.0, "mla": 1.0, "mull": 1.0, "div": 7.0, "load": 1.7, "store": 1.0, "ldrd": 3.0,
    "strd": 3.0, "ldm": 5.0, "stm": 5.0, "branch": 1.0, "ibranch": 3.0, "it": 0.5, "other": 1.0,
    "taken_branches": 1.7,
}  # fmt: skip
INSTRUCTION_CYCLES: dict[str, dict[str, float]] = {
    "cortex-m4": _M4,
    "cortex-m3": {**_M4, "mla": 2.0, "mull": 4.0},
    "cortex-m33": {**_M4, "load": 1.3, "ldrd": 2.0, "strd": 2.0, "taken_branches": 1.3},
    "cortex-m0plus": {**_M4, "mul": 1.0, "load": 2.0, "store": 2.0, "ldm": 5.0, "stm": 5.0, "it": 1.0,
                      "taken_branches": 1.0},
    "cortex-m7": {**{name: cycles * 0.5 for name, cycles in _M4.items()}, "div": 5.0, "load": 0.7},
    "cortex-m55": {**{name: cycles * 0.7 for name, cycles in _M4.items()}, "div": 5.0, "other": 1.5},
}  # fmt: skip

# Cycles of any instruction, where no classes were counted. Espressif's CoreMark on an ESP32-C3 at 160 MHz, by GCC 12.2
# -O3 from IRAM, is 409.25 (espressif/idf-extra-components@f93327db: coremark/examples/coremark_example/README.md), so
# 391,000 cycles an iteration; the program takes 295,200 instructions by GCC 12.2 -O3 for rv32imc (counted under QEMU).
# The data sheet has 407.22 in its early versions and 483.27 in version 2.4, both without a compiler.
CYCLES_PER_INSTRUCTION = {"riscv32": 1.32}


def ideal_cycles(classes: Mapping[str, str], core: str) -> float:
    """Ideal cycles of an operator from the executed instructions of each class."""
    return sum(cycles * float(classes[name] or 0) for name, cycles in INSTRUCTION_CYCLES[core].items())
