"""How a model is chosen from the Pareto front."""

from __future__ import annotations

from typing import Literal

Policy = Literal["accuracy", "balanced", "smallest"]

POLICIES: dict[Policy, str] = {
    "accuracy": "highest int8 validation accuracy; among equals the fewest cycles",
    "balanced": "the cheapest within one standard error of the highest int8 validation accuracy",
    "smallest": "the least SRAM within two standard errors of the highest int8 validation accuracy",
}
