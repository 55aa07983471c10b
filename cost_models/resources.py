"""The resources that a network takes of a chip, a row each: adding one is a row here and a field of `Costs`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cost_models.errors import UserError

if TYPE_CHECKING:
    from cost_models.target import Target

Scale = Literal["bytes", "time", "energy", "power", "count"]

# Units that a budget may be written in, by scale; values are kept in B, us, uJ, uW and ones.
UNITS: dict[Scale, dict[str, int]] = {
    "bytes": {"": 1, "B": 1, "KB": 1024, "KIB": 1024, "MB": 1024**2, "MIB": 1024**2},
    "time": {"US": 1, "MS": 1000, "S": 1_000_000},
    "energy": {"UJ": 1, "MJ": 1000, "J": 1_000_000},
    "power": {"UW": 1, "MW": 1000, "W": 1_000_000},
    "count": {"": 1, "K": 1000, "M": 1_000_000, "G": 1_000_000_000},
}
UNIT_NAMES: dict[Scale, str] = {
    "bytes": "B, KB or MB",
    "time": "us, ms or s",
    "energy": "uJ, mJ or J",
    "power": "uW, mW or W",
    "count": "K, M or G, or nothing",
}


def _anywhere(target: Target) -> None:
    """Known on any target."""


def _needs_cycles(target: Target, resource: str = "latency") -> None:
    if target.cycle_rates is None:
        raise UserError(
            f"{resource} cannot be limited: target {target.name} has no calibration of its cycles.",
            "Limit sram or flash, take a target that has one (nas-cost --targets), or run nas-calibrate.",
        )


def _needs_energy(target: Target, resource: str = "energy") -> None:
    _needs_cycles(target, resource)
    if target.energy_uj_per_mcycle is None:
        raise UserError(
            f"{resource} cannot be limited: target {target.name} has no sourced figure of its energy per cycle.",
            "Limit latency instead, or set energy_uj_per_mcycle in a target file of your own.",
        )


def _needs_power(target: Target) -> None:
    _needs_energy(target, "power")
    if target.sleep_current_ua is None:
        raise UserError(
            f"power cannot be limited: target {target.name} has no sourced sleep current.",
            "Limit energy instead, or set sleep_current_ua in a target file of your own.",
        )


def _needs_counts(target: Target) -> None:
    from cost_models.cycles.table import core_table

    table = core_table(target.kernels, target.core)
    if table is None or not table.counted:
        raise UserError(
            f"instructions cannot be limited: nobody counted {target.kernels} kernels on {target.core}.",
            "Limit sram or flash, or take another target.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource.

    Attributes:
        name: What budgets, violations and manifests call it.
        field: Its value among the costs; of power, which takes a period as well, its key in results.
        label: Its name in headings.
        scale: Its unit, and how its values are written.
        basis: What kind of number it is.
        upper: The upper end of its interval among the costs; empty for what is exact.
        between: What the interval is, to be followed by its ends.
        check: Refuses a target on which its costs are not known.
    """

    name: str
    field: str
    label: str
    scale: Scale
    basis: str
    upper: str = ""
    between: str = "90 % interval"
    check: Callable[[Target], None] = _anywhere

    @property
    def of_work(self) -> bool:
        """Whether it follows from the instructions of operators, some of which may not be known."""
        return self.name in ("latency", "energy", "power", "cycles", "instructions")

    @property
    def noun(self) -> str:
        """The label within a sentence."""
        return self.label if self.label[1].isupper() else self.label.lower()

    @property
    def whole(self) -> bool:
        """Whether its values are integers."""
        return self.scale in ("bytes", "count")


RESOURCES: dict[str, Resource] = {
    row.name: row
    for row in (
        Resource(name="sram", field="sram_bytes", label="SRAM", scale="bytes", basis="exact"),
        Resource(
            name="flash",
            field="flash_bytes",
            label="Flash",
            scale="bytes",
            basis="model exact, code calibrated",
            upper="flash_high_bytes",
            between="interval",
        ),
        Resource(
            name="latency",
            field="latency_us",
            label="Latency",
            scale="time",
            basis="calibrated",
            upper="latency_high_us",
            check=_needs_cycles,
        ),
        Resource(
            name="energy",
            field="energy_uj",
            label="Energy",
            scale="energy",
            basis="calibrated",
            upper="energy_high_uj",
            check=_needs_energy,
        ),
        Resource(
            name="power",
            field="power_uw",
            label="Average power",
            scale="power",
            basis="calibrated",
            upper="power_high_uw",
            check=_needs_power,
        ),
        Resource(
            name="cycles",
            field="cycles",
            label="Cycles",
            scale="count",
            basis="calibrated",
            upper="cycles_high",
            check=lambda target: _needs_cycles(target, "cycles"),
        ),
        Resource(
            name="instructions",
            field="instructions",
            label="Instructions",
            scale="count",
            basis="counted",
            check=_needs_counts,
        ),
        Resource(name="macs", field="macs", label="MACs", scale="count", basis="exact"),
    )
}


def format_quantity(resource: str, value: float) -> str:
    """A cost or limit as people read it; memory to the byte."""
    row = RESOURCES[resource]
    match row.scale:
        case "bytes":
            return f"{int(value):,} B ({value / 1024:,.1f} KB)"
        case "time":
            return f"{value / 1000:,.3g} ms" if value < 999_500 else f"{value / 1e6:,.1f} s"
        case "energy":
            return f"{value:,.3g} uJ" if value < 999.5 else f"{value / 1000:,.3f} mJ"
        case "power":
            return f"{value:,.3g} uW" if value < 999.5 else f"{value / 1000:,.3g} mW"
        case "count":
            return f"{int(value):,} {row.noun}"
