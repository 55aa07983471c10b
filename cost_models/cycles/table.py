"""The shipped coefficients: what one trip of each kernel loop costs, per kernel library and core."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cost_models.cores import CORES
from cost_models.cycles import espressif, portable
from cost_models.cycles.paths import FEATURES

COEFFICIENTS = Path(__file__).with_name("coefficients.json")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoreTable:
    """Coefficients of one kernel library on one core.

    Attributes:
        instructions: Instructions per trip of each path, in the order of `FEATURES[path]`; empty where nobody counted
            them and cycles alone were published.
        cycles: Ideal cycles (memory never waits) per trip of each path, in the same order.
        dispatch: Instructions and ideal cycles that the interpreter adds to every operator.
        invoke: Instructions and ideal cycles that it adds once per inference.
        spread_model: Shared error of a model's instructions, as `Rates.spread_model`.
        spread_operator: Own error of each operator's instructions, as `Rates.spread_operator`.
        source: Which measurements the coefficients come from.
        spread_by_path: Own errors of the paths that are less certain than `spread_operator`.
    """

    instructions: dict[str, tuple[float, ...]]
    cycles: dict[str, tuple[float, ...]]
    dispatch: tuple[float, float]
    invoke: tuple[float, float]
    spread_model: float
    spread_operator: float
    source: str
    spread_by_path: Mapping[str, float] = field(default_factory=dict)

    @property
    def counted(self) -> bool:
        """Whether instructions are known."""
        return bool(self.instructions)


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(COEFFICIENTS.read_text())
    return document


# Of a table that is another core's: it compiles to the same instructions but for the compiler's taste.
_ALIKE_SPREADS = (0.02, 0.04)


@lru_cache(maxsize=32)
def core_table(kernels: str, core: str) -> CoreTable | None:
    """The coefficients for a kernel library on a core, or None where nothing is known."""
    if core not in CORES:
        return None
    stand_in = CORES[core].counts_of
    entry = _document()["tables"].get(f"{kernels} {stand_in or core}")
    if entry is None:
        return _espressif_table(kernels, core) if core in espressif.CHIPS else None
    table = parse_table(entry)
    if stand_in is None:
        return table
    return replace(
        table,
        spread_model=_ALIKE_SPREADS[0],
        spread_operator=_ALIKE_SPREADS[1],
        source=f"as the {stand_in}: {table.source}",
    )


def _espressif_table(kernels: str, core: str) -> CoreTable | None:
    """Cycles without instructions: ESP-NN's kernels as published, portable ones as the Cortex-M4 takes them."""
    if kernels not in ("esp_nn", "reference"):
        return None
    tables = _document()["tables"]
    shared = parse_table(tables["reference cortex-m4"])
    cycles, factor = shared.cycles, 1.0
    if not CORES[core].fpu:
        cycles = {path: prices for path, prices in cycles.items() if not portable.takes_floats(path)}
    if kernels == "esp_nn":
        chip = espressif.CHIPS[core]
        # The rates' scale is ESP-NN's: what makes it the portable kernels'.
        factor = chip.portable / chip.scale
        own = parse_table(tables["cmsis_nn cortex-m4"]).cycles
        cycles = {path: prices for path, prices in own.items() if path not in portable.FEATURES} | cycles
        cycles = {path: tuple(factor * price for price in prices) for path, prices in cycles.items()}
        cycles |= espressif.PRICES
    return CoreTable(
        instructions={},
        cycles=cycles,
        dispatch=(0.0, factor * shared.dispatch[1]),
        invoke=(0.0, factor * shared.invoke[1]),
        spread_model=0.0,
        spread_operator=0.0,
        source=espressif.CHIPS[core].source,
    )


def parse_table(entry: dict[str, Any]) -> CoreTable:
    """A table from its JSON form: coefficients by feature name, features that cost nothing left out."""
    return CoreTable(
        instructions={path: _vector(path, values) for path, values in entry["instructions"].items()},
        cycles={path: _vector(path, values) for path, values in entry["cycles"].items()},
        dispatch=(entry["dispatch"][0], entry["dispatch"][1]),
        invoke=(entry["invoke"][0], entry["invoke"][1]),
        spread_model=entry["spread_model"],
        spread_operator=entry["spread_operator"],
        source=entry["source"],
        spread_by_path=entry.get("spread_by_path", {}),
    )


def _vector(path: str, values: dict[str, float]) -> tuple[float, ...]:
    return tuple(float(values.get(name, 0.0)) for name in FEATURES[path])
