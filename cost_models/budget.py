"""What a network may cost: `--budget` parsed into limits, and which limits a cost breaks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol

from cost_models.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from cost_models.target import Target

Resource = Literal["sram", "flash", "latency", "energy", "cycles", "instructions"]

_BYTES = {"": 1, "B": 1, "KB": 1024, "KIB": 1024, "MB": 1024**2, "MIB": 1024**2}
_COUNTS = {"": 1, "K": 1000, "M": 1_000_000, "G": 1_000_000_000}
_UNITS: dict[str, dict[str, int]] = {
    "sram": _BYTES,
    "flash": _BYTES,
    "latency": {"US": 1, "MS": 1000, "S": 1_000_000},
    "energy": {"UJ": 1, "MJ": 1000, "J": 1_000_000},
    "cycles": _COUNTS,
    "instructions": _COUNTS,
}
_UNIT_NAMES = {
    "sram": "B, KB or MB",
    "flash": "B, KB or MB",
    "latency": "us, ms or s",
    "energy": "uJ, mJ or J",
    "cycles": "K, M or G, or nothing",
    "instructions": "K, M or G, or nothing",
}
_WHOLE = ("sram", "flash", "cycles", "instructions")
# How a judgement by `Budget.certain` is said.
UPPER_END = "upper end of its 90 % interval"
# Where a budget keeps a limit, and costs the value that it limits.
FIELDS: dict[Resource, str] = {
    "sram": "sram_bytes",
    "flash": "flash_bytes",
    "latency": "latency_us",
    "energy": "energy_uj",
    "cycles": "cycles",
    "instructions": "instructions",
}
_UPPER: dict[Resource, str] = {
    "flash": "flash_high_bytes",
    "latency": "latency_high_us",
    "energy": "energy_high_uj",
    "cycles": "cycles_high",
}
_CERTAIN = "Predictions are held to the limits by the upper ends of their 90 % intervals."
_EXAMPLE = "Write it like 256KB, or like sram=256KB,flash=512KB,latency=50ms,energy=2mJ,cycles=3M."
_QUANTITY = re.compile(r"([+-]?)(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})\s*([A-Za-zµ]*)", re.ASCII)


class HasCosts(Protocol):
    """What a budget looks at; `cost_models.costing.Costs` has it."""

    @property
    def sram_bytes(self) -> int: ...
    @property
    def flash_bytes(self) -> int: ...
    @property
    def flash_high_bytes(self) -> int: ...
    @property
    def latency_us(self) -> float | None: ...
    @property
    def latency_high_us(self) -> float | None: ...
    @property
    def energy_uj(self) -> float | None: ...
    @property
    def energy_high_uj(self) -> float | None: ...
    @property
    def cycles(self) -> int | None: ...
    @property
    def cycles_high(self) -> int | None: ...
    @property
    def instructions(self) -> int | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One limit that a network breaks.

    Attributes:
        resource: Which one.
        value: What the network needs; bytes, microseconds, microjoules or cycles.
        limit: What the budget allows, in the same unit.
        upper: Whether `value` is the upper end of an interval.
    """

    resource: Resource
    value: float
    limit: float
    upper: bool = False

    @property
    def excess(self) -> float:
        """By how much the limit is broken, relative to it: 0.5 needs half as much again."""
        return self.value / self.limit - 1

    def __str__(self) -> str:
        end = f" ({UPPER_END})" if self.upper else ""
        return (
            f"{self.resource} {format_quantity(self.resource, self.value)}{end}"
            f" is over the limit of {format_quantity(self.resource, self.limit)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits per resource; a cost equal to its limit fits.

    Attributes:
        sram_bytes: Limit on the tensor arena.
        flash_bytes: Limit on model, kernels and runtime together.
        latency_us: Limit on one inference.
        energy_uj: Limit on one inference.
        cycles: Limit on one inference.
        instructions: Limit on what one inference executes; counted, so without an interval to speak of.
        certain: Whether predictions are held to the limits by the upper ends of their intervals, not by their middle.
        notes: What was changed about the user's words, or must be known of the limits, one sentence each.
    """

    sram_bytes: int
    flash_bytes: int
    latency_us: float | None = None
    energy_uj: float | None = None
    cycles: int | None = None
    instructions: int | None = None
    certain: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, limits: Mapping[str, float | Fraction], *, certain: bool = False, notes: tuple[str, ...] = ()
    ) -> Budget:
        """A budget of limits by resource, as `limits` gives them: SRAM, flash and any of the others."""
        values: dict[str, Any] = {
            name: int(limits[resource]) if resource in _WHOLE else float(limits[resource])
            for resource, name in FIELDS.items()
            if resource in limits
        }
        return cls(**values, certain=certain, notes=notes)

    def limits(self) -> tuple[tuple[Resource, float], ...]:
        """The resources that are limited, each with its limit."""
        pairs = ((resource, getattr(self, name)) for resource, name in FIELDS.items())
        return tuple((resource, limit) for resource, limit in pairs if limit is not None)

    def violations(self, costs: HasCosts) -> tuple[Violation, ...]:
        """The limits that `costs` breaks; empty if it fits.

        Raises:
            ValueError: A resource is limited whose cost is unknown, which `parse_budget` never lets happen.
        """
        broken = []
        values = self.judged(costs)
        for resource, limit in self.limits():
            value = values[resource]
            if value is None:
                raise ValueError(f"{resource} is limited, but its cost is unknown")
            if value > limit:
                upper = self.by_upper_end(resource)
                broken.append(Violation(resource=resource, value=value, limit=limit, upper=upper))
        return tuple(broken)

    def by_upper_end(self, resource: Resource) -> bool:
        """Whether the upper end of a resource's interval is what its limit judges."""
        return self.certain and resource in _UPPER

    def judged(self, costs: HasCosts) -> dict[Resource, float | None]:
        """What of `costs` is held to the limits: the middle of each interval, or its upper end."""
        names = FIELDS | _UPPER if self.certain else FIELDS
        return {resource: getattr(costs, names[resource]) for resource, _ in self.limits()}


def parse_budget(text: str | None, target: Target, *, certain: bool = False) -> Budget:
    """Limits from `--budget`, what it does not name from the target's memory less what is reserved.

    A bare size limits the tensor arena in SRAM. 1 KB = 1 KiB = 1024 B; of cycles, 1 K is 1000. A limit above
    what the target has is capped to it, and `notes` says so.

    Args:
        text: The user's words; None for the target's own limits.
        target: The chip.
        certain: Hold predictions to the limits by the upper ends of their intervals.

    Raises:
        UserError: The words are no budget, or limit something that this target has no calibration for.
    """
    given = {} if text is None else _parse(text)
    notes: list[str] = []
    if target.npu is not None:
        notes.append(
            f"Networks are counted as the {target.core} alone would run them; what is exported is compiled for"
            f" {target.npu.accelerator} by Vela, and held to both limits again."
        )
    if certain:
        notes.append(_CERTAIN)
    for resource in ("latency", "cycles", "energy"):
        if resource in given:
            _refuse_uncalibrated(resource, target)
    if "instructions" in given:
        _refuse_uncounted(target)
    memory = {resource: _memory(resource, given, target, notes) for resource in ("sram", "flash")}
    return Budget.of({**given, **memory}, certain=certain, notes=tuple(notes))


def format_quantity(resource: Resource, value: float) -> str:
    """A cost or limit as people read it; memory to the byte."""
    match resource:
        case "sram" | "flash":
            return f"{int(value):,} B ({value / 1024:,.1f} KB)"
        case "latency":
            return f"{value / 1000:,.3g} ms" if value < 1_000_000 else f"{value / 1e6:,.1f} s"
        case "energy":
            return f"{value:,.3g} uJ" if value < 1000 else f"{value / 1000:,.3f} mJ"
        case "cycles" | "instructions":
            return f"{int(value):,} {resource}"


def _parse(text: str) -> dict[str, Fraction]:
    if not text.strip():
        raise UserError("The budget is empty.", _EXAMPLE)
    given: dict[str, Fraction] = {}
    for part in text.split(","):
        key, equals, quantity = (piece.strip() for piece in part.partition("="))
        if not equals:
            key, quantity = "sram", key
        if not key or not quantity:
            raise UserError(f"Budget {text!r} has an empty part.", _EXAMPLE)
        if key not in _UNITS:
            hint = did_you_mean(key, _UNITS)
            raise UserError(f"Budget {text!r} names {key!r}, which cannot be limited.", hint)
        if key in given:
            raise UserError(f"Budget {text!r} limits {key} twice.", "Name each once; a bare size is sram.")
        given[key] = _quantity(key, quantity, text)
    return given


def _quantity(key: str, quantity: str, text: str) -> Fraction:
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        raise UserError(f"Budget {text!r}: {quantity!r} is not a quantity.", _EXAMPLE)
    sign, number, unit = match.groups()
    factor = _UNITS[key].get(unit.replace("µ", "u").upper())
    if factor is None or unit == "MJ":
        what = f"the unit {unit!r}" if unit else "no unit"
        raise UserError(f"Budget {text!r}: {key} has {what}.", f"Its units are {_UNIT_NAMES[key]}.")
    value = Fraction(number) * factor
    if key in _WHOLE:
        value = Fraction(int(value))
    if sign == "-" or value == 0:
        raise UserError(f"Budget {text!r}: {key} must be more than 0.", _EXAMPLE)
    return value


def _memory(resource: str, given: dict[str, Fraction], target: Target, notes: list[str]) -> int:
    size, reserved = (
        (target.sram_bytes, target.reserved_sram_bytes)
        if resource == "sram"
        else (target.flash_bytes, target.reserved_flash_bytes)
    )
    usable = size - reserved
    wanted = given.get(resource)
    if wanted is None:
        return usable
    if wanted <= usable:
        return int(wanted)
    notes.append(
        f"{resource}={int(wanted):,} B is more than {target.name} has to spare: the limit is {usable:,} B"
        f" ({size:,} B less {reserved:,} B reserved)."
    )
    return usable


def _refuse_uncounted(target: Target) -> None:
    from cost_models.cycles.table import core_table

    table = core_table(target.kernels, target.core)
    if table is None or not table.counted:
        raise UserError(
            f"instructions cannot be limited: nobody counted {target.kernels} kernels on {target.core}.",
            "Limit sram or flash, or take another target.",
        )


def _refuse_uncalibrated(resource: str, target: Target) -> None:
    if target.cycle_rates is None:
        raise UserError(
            f"{resource} cannot be limited: target {target.name} has no calibration of its cycles.",
            "Limit sram or flash, take a target that has one (nas-cost --targets), or run nas-calibrate.",
        )
    if resource == "energy" and target.energy_uj_per_mcycle is None:
        raise UserError(
            f"energy cannot be limited: target {target.name} has no sourced figure of its energy per cycle.",
            "Limit latency instead, or set energy_uj_per_mcycle in a target file of your own.",
        )
