"""The limits that are left to the network where a front end shares the chip with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cost_models.budget import Budget, parse_budget
from cost_models.duty_cycle import Duty, duty_on
from cost_models.errors import UserError
from cost_models.resources import RESOURCES, format_quantity
from cost_models.target import Target
from nas.frontend.costs import FrontEndCosts, front_end_costs
from nas.model.trained import FrontEndSpec
from nas.model.words import FRONT_END

if TYPE_CHECKING:
    from nas.run.config import RunConfig


def users_budget(config: RunConfig, target: Target, *, text: str | None) -> Budget:
    """The limits for front end and network together, with how often the chip infers.

    Args:
        config: The run.
        target: The chip.
        text: The limits as on the command line; None for the target's own.

    Raises:
        UserError: The words are not a budget, or the period or the charge cannot be meant.
    """
    return parse_budget(text, target, certain=config.certain, duty=_duty(config, target))


def _duty(config: RunConfig, target: Target) -> Duty | None:
    """How often the chip infers; None where the run does not say."""
    if config.period is None:
        if config.battery is not None:
            raise UserError("--battery needs --period.", "Say how often it infers: --period 1s.")
        return None
    return duty_on(target, period=config.period, battery=config.battery)


def taken_by(spec: FrontEndSpec, target: Target) -> dict[str, float]:
    """The known costs that a front end and one of its frames add to a network's, by field of `Costs`."""
    costs = front_end_costs(spec, target)
    work = ("instructions", "cycles", "cycles_low", "cycles_high", "latency_us", "energy_uj")
    frame = {} if costs.frame.at_least else {name: getattr(costs.frame, name) for name in work}
    used_bytes = costs.frame.arena_used_bytes + costs.buffer_bytes
    memory = {"sram_bytes": costs.sram_bytes, "arena_used_bytes": used_bytes}
    memory |= {"flash_bytes": costs.flash_bytes, "model_bytes": costs.model_bytes}
    memory |= dict.fromkeys(("code_bytes", "code_low_bytes", "code_high_bytes"), costs.code_bytes)
    return {name: value for name, value in {**memory, **frame}.items() if value is not None}


def less_front_end(budget: Budget, target: Target, spec: FrontEndSpec | None) -> Budget:
    """The limits less what a front end takes, if there is one.

    Of latency, energy, cycles and instructions it takes a frame: what lies between the last sample and the answer is a
    frame and the network. Of average power it takes all frames, one a hop.

    Raises:
        UserError: The front end alone is over the limits.
    """
    if spec is None:
        return budget
    costs = front_end_costs(spec, target)
    work = {name: _work(name, costs, budget) for name, row in RESOURCES.items() if row.of_work}
    taken: dict[str, float] = {"sram": costs.sram_bytes, "flash": costs.flash_bytes}
    taken |= {name: value for name, value in work.items() if value is not None}
    for name, value in taken.items():
        limit = budget.limit(name)
        if limit is not None and value >= limit:
            raise UserError(
                f"The front end alone takes {format_quantity(name, value)} of {name}; the limit is"
                f" {format_quantity(name, limit)}.",
                "Raise the limit, or take fewer --bands"
                + (" or another chip." if RESOURCES[name].of_work else " or a shorter --clip or --frame."),
            )
    sram, flash = f"{costs.sram_bytes:,} B of SRAM", f"about {costs.flash_bytes:,} B of flash"
    note = (
        f"{FRONT_END} {sram} ({costs.arena_bytes:,} B of arena, {costs.buffer_bytes:,} B of buffers) and"
        f" {flash} off the limits: what is left is the network's. They share the arena: a network costs what it"
        " adds to it."
    )
    frame, share = costs.frame, costs.busy_share
    if frame.latency_us is not None and share is not None:
        note += (
            f" A frame takes {format_quantity('latency', frame.latency_us)}, one every {costs.hop_us / 1000:g} ms:"
            f" {_percent(share)} % of the chip's time."
        )
        if share >= 1:
            note += " Frames come faster than this chip makes them."
    if held := [name for name, value in work.items() if value is not None and budget.limit(name) is not None]:
        note += f" The limit of {' and '.join(held)} holds for front end and network together."
    if uncounted := [
        name for name, value in work.items() if value is None and budget.limit(name) is not None
    ]:
        note += (
            f" The limit of {' and '.join(uncounted)} is the network's alone: the front end's is not known."
        )
    return budget.less(taken, note)


def _percent(share: float) -> str:
    return f"{100 * share:.2g}" if share < 1 else f"{100 * share:,.0f}"


def _work(name: str, costs: FrontEndCosts, budget: Budget) -> float | None:
    """A frame's part of a limit, by its upper end where that is held to it; None where it is not known."""
    frame, row = costs.frame, RESOURCES[name]
    if frame.at_least:
        return None
    if name == "power":
        energy = frame.energy_high_uj if budget.by_upper_end(name) else frame.energy_uj
        # Microjoules a microsecond are watts. The sleep that frames take the place of is neglected.
        return None if energy is None else energy / costs.hop_us * 1e6
    value: float | None = getattr(frame, row.upper if budget.by_upper_end(name) else row.field)
    return value
