"""Rates of a core's class: what its measured boards have in common, for a chip that nobody measured."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from operator import mul
from pathlib import Path
from typing import Any

from cost_models.cores import CORES
from cost_models.cycles import espressif
from cost_models.cycles.paths import COUNTERS
from cost_models.cycles.rates import Rates
from cost_models.cycles.table import core_table
from cost_models.cycles.weight_traffic import weight_bytes_per_trip
from cost_models.graph import OpGraph
from cost_models.summing import ordered_sum

CLASSES = Path(__file__).with_name("core_classes.json")
# Cycles per fetched weight byte, by where weights lie: on-chip flash as on the boards that were measured (0.4 to 1.25),
# external flash executed in place as on the RP2040.
FETCH = {"flash": 0.6, "xip": 4.0}
# External flash differs by bus width, clock and cache; as a natural logarithm, on top of the class.
_XIP_SPREAD = 0.15


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(CLASSES.read_text(encoding="utf-8"))
    return document


@lru_cache(maxsize=32)
def class_rates(core: str, kernels: str, memory: str) -> Rates | None:
    """The rates of a core's class; None where it has none, or nobody counted the kernels on it.

    Args:
        core: Core by its full name.
        kernels: Kernel library.
        memory: Where the weights lie, as `Target.weights_memory`.
    """
    if core in espressif.CHIPS:
        return espressif.chip_rates(core, kernels)
    entry = _document()["cores"].get(core)
    if entry is None or core_table(kernels, core) is None:
        return None
    scale, spread, source = entry["scale"], entry["spread_model"], entry["source"]
    if memory == "xip":
        spread = math.hypot(spread, _XIP_SPREAD)
        source += "; weights from external flash as on the RP2040"
    return Rates(
        scale=scale,
        cycles_per_weight_byte=round(scale * FETCH[memory], 4),
        spread_model=round(spread, 4),
        spread_operator=entry["spread_operator"],
        source=source,
        basis=entry["basis"],
    )


def ideal_parts(graph: OpGraph, kernels: str, core: str) -> list[tuple[float, float]]:
    """(ideal cycles, fetched weight bytes) of each operator.

    Raises:
        KeyError: The kernel library was never counted on that core, or an operator not at all.
    """
    table = core_table(kernels, core)
    if table is None:
        raise KeyError(f"{kernels} {core}")
    isa = CORES[core].isa
    parts: list[tuple[float, float]] = []
    for op in graph.operators:
        path, trips = COUNTERS[kernels][op.kind](op, graph.tensors, isa)
        parts.append(
            (
                ordered_sum(map(mul, table.cycles[path], trips)) + table.dispatch[1],
                ordered_sum(map(mul, weight_bytes_per_trip(path), trips)),
            )
        )
    return parts
