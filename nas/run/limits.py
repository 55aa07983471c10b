"""The limits that are left to the network where a front end shares the chip with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cost_models.budget import Budget, parse_budget
from cost_models.duty_cycle import Duty, duty_on
from cost_models.errors import UserError
from cost_models.resources import format_quantity
from cost_models.target import Target
from nas.frontend.costs import front_end_costs
from nas.model.trained import FrontEndSpec
from nas.model.words import FRONT_END

if TYPE_CHECKING:
    from nas.run.config import RunConfig

_NOT_KNOWN = ("latency", "energy", "power", "cycles", "instructions")


def users_duty(config: RunConfig, target: Target) -> Duty | None:
    """How often the chip infers, by the run's configuration; None where it does not say.

    Raises:
        UserError: The period or the charge cannot be meant.
    """
    if config.period is None:
        if config.battery is not None:
            raise UserError("--battery needs --period.", "Say how often it infers: --period 1s.")
        return None
    return duty_on(target, period=config.period, battery=config.battery)


def network_budget(
    text: str | None, target: Target, spec: FrontEndSpec | None, *, certain: bool, duty: Duty | None = None
) -> Budget:
    """The network's limits: those of the user, less what the front end takes.

    Args:
        text: The limits as on the command line; None for the target's own.
        target: The chip.
        spec: The task's front end, if it has one.
        certain: Hold predictions to the limits by the upper ends of their intervals.
        duty: How often the chip infers.

    Raises:
        UserError: The words are no budget, or the front end alone is over it.
    """
    budget = parse_budget(text, target, certain=certain, duty=duty)
    if spec is None:
        return budget
    costs = front_end_costs(spec, target)
    taken = {"sram": costs.sram_bytes, "flash": costs.flash_bytes}
    for name, value in taken.items():
        limit = budget.limit(name)
        if limit is not None and value >= limit:
            raise UserError(
                f"The front end alone takes {format_quantity(name, value)} of {name}; the limit is"
                f" {format_quantity(name, limit)}.",
                "Raise the limit, or take fewer --bands or a shorter --clip.",
            )
    sram, flash = f"{costs.sram_bytes:,} B of SRAM", f"about {costs.flash_bytes:,} B of flash"
    note = (
        f"{FRONT_END} {sram} ({costs.arena_bytes:,} B of arena, {costs.buffer_bytes:,} B of buffers) and"
        f" {flash} off the limits: what is left is the network's."
    )
    if uncounted := [name for name in _NOT_KNOWN if budget.limit(name) is not None]:
        note += (
            f" The limit of {' and '.join(uncounted)} is the network's alone: the front end's is not known."
        )
    return budget.less(taken, note)
