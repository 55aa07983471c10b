"""Costs of a model on a microcontroller, from its bytes alone: SRAM to the byte, flash, cycles, latency, energy.

    from cost_models import cost
    print(cost("model.tflite", "rp2040").sram_bytes)

Needs neither TensorFlow nor the search.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cost_models.api import cost
    from cost_models.budget import Budget, parse_budget
    from cost_models.compressed import compress
    from cost_models.costing import CostModel, Costs
    from cost_models.errors import UserError
    from cost_models.target import Target
    from cost_models.target_file import load_target

__all__ = [
    "Budget", "CostModel", "Costs", "Target", "UserError", "compress", "cost", "load_target", "parse_budget",
]  # fmt: skip

_HOMES = {
    "Budget": "cost_models.budget",
    "CostModel": "cost_models.costing",
    "Costs": "cost_models.costing",
    "Target": "cost_models.target",
    "UserError": "cost_models.errors",
    "compress": "cost_models.compressed",
    "cost": "cost_models.api",
    "load_target": "cost_models.target_file",
    "parse_budget": "cost_models.budget",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for only then."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cost_models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
