"""Linked programs of known size, to which the base of the code sizes is fitted and by which they are judged."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models.code_size import CodeSizes

# What the programs register; the reference kernels have no int8 registrations.
REGISTRATIONS = {"cmsis_nn": "int8", "reference": "default"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedCase:
    """A measured program.

    Attributes:
        operators: What it registers.
        linked: Its code and constants, in bytes.
        lacking: What the prediction lacks of them, in bytes.
    """

    operators: frozenset[str]
    linked: int
    lacking: int


def linked_cases(folder: Path, kernels: str) -> list[LinkedCase]:
    """Measured programs of a kernel library on the Cortex-M4."""
    sizes = CodeSizes(kernels=kernels, core="cortex-m4")
    return [
        LinkedCase(
            operators=frozenset(program["operators"]),
            linked=program["code_bytes"],
            lacking=program["code_bytes"] - sizes.of(program["operators"]).value_bytes,
        )
        for program in json.loads((folder / "code_size.json").read_text())
        if (program["kernels"], program["registrations"]) == (kernels, REGISTRATIONS[kernels])
    ]


def base_shift(cases: Sequence[LinkedCase]) -> float:
    """The bytes that the base of all programs lacks: the one constant that is fitted."""
    return statistics.median(case.lacking for case in cases)


def left_out_errors(cases: Sequence[LinkedCase]) -> list[float]:
    """Relative errors of the linked bytes, the base fitted without the program (its operator set) in turn."""
    errors = []
    for index, case in enumerate(cases):
        shift = base_shift([*cases[:index], *cases[index + 1 :]])
        errors.append((shift - case.lacking) / case.linked)
    return errors
