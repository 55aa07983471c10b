"""Flash that runtime and kernels take: which code an operator set links, shared parts counted once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost_models.errors import UserError

TABLE = Path(__file__).parent / "code_size.json"


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


class CodeSizes:
    """Code sizes of operator sets on one core with one kernel library.

    The linker keeps a section if anything that is linked reaches it. What operator sets link is therefore the
    union of what their members link, and a part that several operators reach counts once. The table holds those
    parts, each with the operators that reach it.

    Raises:
        UserError: Nothing is known of this kernel library on this core.
    """

    def __init__(self, *, kernels: str, core: str) -> None:
        tables: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))["kernels"]
        if kernels not in tables:
            raise UserError(f"The code size of {kernels} on {core} is not known.", "Choose another target.")
        table = tables[kernels]
        self._kernels = kernels
        self._base_bytes = int(table["base"])
        self._parts = tuple((frozenset(part["operators"]), int(part["bytes"])) for part in table["parts"])
        self._known = frozenset().union(*(operators for operators, _ in self._parts))
        self._cache: dict[tuple[str, ...], CodeSize] = {}

    def of(self, kinds: Iterable[str]) -> CodeSize:
        """Code size of an operator set.

        Raises:
            UserError: An operator is not in the table.
        """
        key = tuple(kinds)
        known = self._cache.get(key)
        if known is None:
            known = self._cache[key] = self._sum(frozenset(key))
        return known

    def _sum(self, kinds: frozenset[str]) -> CodeSize:
        if unknown := sorted(kinds - self._known):
            raise UserError(
                f"The code size of {unknown[0]} with {self._kernels} kernels is not known.",
                "Leave that operator out of the network.",
            )
        value = self._base_bytes + sum(size for operators, size in self._parts if operators & kinds)
        margin = value // 50
        return CodeSize(value_bytes=value, low_bytes=value - margin, high_bytes=value + margin)
