"""Flash that runtime and kernels take: which code an operator set links, shared parts counted once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cost_models.arena.build import KERNELS, find_build
from cost_models.cores import CORES
from cost_models.errors import UserError
from cost_models.graph import OpGraph

TABLE = Path(__file__).parent / "code_size.json"
_MEASURED_CORE = "cortex-m4"

_MEASURED_MARGIN = 0.01
_BUILT_MARGIN = 0.03
_STAND_IN_MARGIN = 0.05
_FOREIGN_MARGIN = 0.25
_ESP_NN_MARGIN = 0.4

# What ESP-NN's kernels add to TFLM's portable ones, which Espressif's component links as well (dilation, int16, int4):
# ESP-NN d45b843c compiled by GCC 12 -O2 for rv32imc (a vector instruction as 4 bytes), 1.27 / 1.10 of that for Xtensa,
# and three bytes for each instruction of the ESP32-S3's assembler sources, which that compiler does not translate.
_ESP_NN_BYTES: dict[str, dict[str, int]] = {
    "riscv32": {
        "CONV_2D": 2984,
        "DEPTHWISE_CONV_2D": 4906,
        "FULLY_CONNECTED": 740,
        "AVERAGE_POOL_2D": 414,
        "MAX_POOL_2D": 422,
        "ADD": 802,
        "MUL": 352,
        "SOFTMAX": 2524,
    },
    "riscv32-pie": {
        "CONV_2D": 10668,
        "DEPTHWISE_CONV_2D": 7102,
        "FULLY_CONNECTED": 1188,
        "AVERAGE_POOL_2D": 1072,
        "MAX_POOL_2D": 1068,
        "ADD": 760,
        "MUL": 714,
        "SOFTMAX": 2626,
    },
    "xtensa-lx6": {
        "CONV_2D": 3446,
        "DEPTHWISE_CONV_2D": 5666,
        "FULLY_CONNECTED": 855,
        "AVERAGE_POOL_2D": 478,
        "MAX_POOL_2D": 487,
        "ADD": 926,
        "MUL": 407,
        "SOFTMAX": 2915,
    },
    "xtensa-lx7": {
        "CONV_2D": 8700,
        "DEPTHWISE_CONV_2D": 16700,
        "FULLY_CONNECTED": 2200,
        "AVERAGE_POOL_2D": 2500,
        "MAX_POOL_2D": 1360,
        "ADD": 1250,
        "MUL": 615,
        "SOFTMAX": 3150,
    },
}

_ANY_TYPE = " of any type"
"""Behind an operator's kind: its registration for every type where TFLM has one for int8 alone, which is smaller."""

_Parts = tuple[tuple[frozenset[str], int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSize:
    """Linked code and constants, without the model.

    Attributes:
        value_bytes: The prediction.
        low_bytes: Lower end of its interval.
        high_bytes: Upper end of its interval.
    """

    value_bytes: int
    low_bytes: int
    high_bytes: int


def registrations(graph: OpGraph) -> tuple[str, ...]:
    """What a program for a graph registers: its operator kinds, those that run on other types than int8 marked."""
    kinds = dict.fromkeys(graph.kinds())
    for part in graph.subgraphs:
        for op in part.operators:
            if op.outputs and part.tensors[op.outputs[0]].dtype != "int8":
                kinds[f"{op.kind}{_ANY_TYPE}"] = None
    return tuple(kinds)


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return document


class CodeSizes:
    """Code sizes of operator sets on one core with one kernel library.

    The linker keeps a section if anything that is linked reaches it. What an operator set links is therefore
    the union of what its members link, and what several of them reach counts once. The table holds those
    parts, each with the operators that reach it, for each core that was built.

    Args:
        kernels: Kernel library.
        core: Core by its full name.

    Attributes:
        basis: What its numbers are, in words.

    Raises:
        UserError: This kernel library does not run on this core, or nothing is known of it there.
    """

    def __init__(self, *, kernels: str, core: str) -> None:
        esp_nn = kernels == "esp_nn"
        # Espressif's component has TFLM's portable kernels, and ESP-NN's beside them.
        tables = _document()["kernels"]
        table = tables.get("reference" if esp_nn else kernels)
        added = _ESP_NN_BYTES.get(core) if esp_nn else {}
        row = CORES.get(core)
        like, scale = (row and row.code_of) or (core, 1.0)
        foreign = row is not None and not row.is_arm
        if row is not None and kernels in KERNELS:
            find_build(kernels, core)  # refuses a library that does not run there
        if table is None or added is None or like not in table["base_bytes"]:
            raise UserError(
                f"The code size of {kernels} kernels on {core} is not known.", "Choose another target."
            )
        self._kernels = kernels
        self._added = added
        self._scale = scale
        self._base_bytes, self._parts = _parts(table, like)
        self._known = frozenset().union(*(operators for operators, _ in self._parts))
        if core == _MEASURED_CORE:
            self._margin, how = _MEASURED_MARGIN, "as linked, checked against measured programs"
        elif core == like:
            self._margin, how = _BUILT_MARGIN, "as linked for this core"
        elif foreign:
            self._margin, how = _FOREIGN_MARGIN, f"{scale} times what a {like} links"
        else:
            self._margin, how = _STAND_IN_MARGIN, f"what a {like} links"
        known = "calibrated" if core == like else "estimated"
        self.basis = f"{known}, +-{self._margin:.0%} of the code: {how}"
        if esp_nn:
            self.basis += f", and what ESP-NN's kernels add, +-{_ESP_NN_MARGIN:.0%} of that"
        self._cache: dict[tuple[str, ...], CodeSize] = {}

    def of(self, kinds: Iterable[str]) -> CodeSize:
        """Code size of an operator set.

        Args:
            kinds: Operator kinds, or what `registrations` says of a graph.

        Raises:
            UserError: An operator is not in the table.
        """
        key = tuple(kinds)
        size = self._cache.get(key)
        if size is None:
            size = self._cache[key] = self._sum(frozenset(key))
        return size

    def _sum(self, wanted: frozenset[str]) -> CodeSize:
        # The registration for any type has all that the one for int8 has.
        wide = {kind for kind in wanted if kind.endswith(_ANY_TYPE)}
        kinds = (wanted - wide) | (wide & self._known)
        kinds -= {kind.removesuffix(_ANY_TYPE) for kind in wide & self._known}
        if unknown := sorted(kinds - self._known):
            raise UserError(
                f"The code size of {unknown[0]} with {self._kernels} kernels is not known.",
                "Leave that operator out of the network.",
            )
        linked = self._base_bytes + sum(size for operators, size in self._parts if operators & kinds)
        value = self._scale * linked
        margin = self._margin * value
        if self._added:
            added = sum(self._added.get(kind, 0) for kind in wanted)
            value += added
            margin += _ESP_NN_MARGIN * added
        return CodeSize(
            value_bytes=round(value), low_bytes=round(value - margin), high_bytes=round(value + margin)
        )


def _parts(table: dict[str, Any], core: str) -> tuple[int, _Parts]:
    parts = tuple(
        (frozenset(part["operators"]), part["bytes"][core])
        for part in table["parts"]
        if core in part["bytes"]
    )
    return table["base_bytes"][core], parts
