"""What a search minimizes, a row each: adding one is a row here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cost_models.costing import Costs


def _work(costs: Costs) -> float:
    """Cycles, or MACs where the target has no calibration."""
    return float(costs.macs if costs.cycles is None else costs.cycles)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostObjective:
    """A cost that is minimized, known before any training.

    Attributes:
        name: What Optuna's study calls it.
        read: Its value among the costs on a board.
        resource: The resource whose limit is its reference for hypervolume; without a limit the reference is the most
            that networks within the limits cost.
    """

    name: str
    read: Callable[[Costs], float]
    resource: str


ERROR = "int8 error"  # what is learned of a network by training it; its reference is that of a network without skill
SRAM = CostObjective(name="sram_bytes", read=lambda costs: float(costs.sram_bytes), resource="sram")
FLASH = CostObjective(name="flash_bytes", read=lambda costs: float(costs.flash_bytes), resource="flash")
WORK = CostObjective(name="cycles", read=_work, resource="cycles")
COSTS = (SRAM, FLASH, WORK)


def cost_objectives(costs: Costs) -> tuple[float, ...]:
    """The costs that are minimized, in the order of `COSTS`."""
    return tuple(row.read(costs) for row in COSTS)


def board_objectives(costs: Costs | None) -> tuple[float, ...]:
    """The same on a board that may have no costs for a network: then beyond every limit."""
    return (math.inf,) * len(COSTS) if costs is None else cost_objectives(costs)


def objective_names(boards: Sequence[str]) -> list[str]:
    """All objectives of a search: the error, then the costs on each board; with one board without its name."""
    if len(boards) == 1:
        return [ERROR, *(row.name for row in COSTS)]
    return [ERROR, *(f"{row.name} on {board}" for board in boards for row in COSTS)]


def reference(limits: Iterable[tuple[str, float]], most: Sequence[float]) -> tuple[float, ...]:
    """The corner that a front's hypervolume is measured up to, without the error's.

    Args:
        limits: Of a budget.
        most: The most that networks within the limits cost, in the order of `COSTS`.
    """
    known = dict(limits)
    return tuple(known.get(row.resource, value) for row, value in zip(COSTS, most, strict=True))
