"""What a network may cost: `--budget` parsed into limits, and which limits a cost breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from cost_models.errors import UserError, did_you_mean
from cost_models.resources import RESOURCES, UNIT_NAMES, UNITS, format_quantity

if TYPE_CHECKING:
    from cost_models.costing import Costs
    from cost_models.duty_cycle import Duty
    from cost_models.target import Target

# How a judgement by `Budget.certain` is said.
UPPER_END = "upper end of its 90 % interval"
MIDDLE = "middle of its 90 % interval"
CERTAIN = "Predictions are held to the limits by the upper ends of their 90 % intervals."
_BY_MIDDLE = "Predictions are held to the limits by their middle; --certain takes their upper ends."
POWER_WITHOUT_PERIOD = (
    "power cannot be limited without a period.",
    "Say how often the chip infers: --period 1s.",
)
_EXAMPLE = "Write it like 256KB, or like sram=256KB,flash=512KB,latency=50ms,energy=2mJ,cycles=3M."
_QUANTITY = re.compile(r"([+-]?)(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})\s*([A-Za-zµ]*)", re.ASCII)
# 262,144 is what people copy from messages; its comma would part it into two limits.
_PARTED_NUMBER = re.compile(r"(?<![\d.])\d{1,3},\d{3}(?!\d)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One limit that a network breaks.

    Attributes:
        resource: Which one.
        value: What the network needs; bytes, microseconds, microjoules, microwatts or a count.
        limit: What the budget allows, in the same unit.
        upper: Whether `value` is the upper end of an interval.
        at_least: Whether `value` leaves operators out of which nothing is known.
    """

    resource: str
    value: float
    limit: float
    upper: bool = False
    at_least: bool = False

    @property
    def excess(self) -> float:
        """The excess relative to the limit: 0.5 needs half as much again."""
        return self.value / self.limit - 1

    def __str__(self) -> str:
        end = f" ({UPPER_END})" if self.upper else ""
        least = "at least " if self.at_least else ""
        return (
            f"{self.resource} {least}{format_quantity(self.resource, self.value)}{end}"
            f" is over the limit of {format_quantity(self.resource, self.limit)}"
        )


def worst_of(violations: Sequence[Violation]) -> Violation:
    """The violation with the largest relative excess; the first of equals."""
    return max(violations, key=lambda violation: violation.excess)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits by resource; a cost equal to its limit fits.

    Attributes:
        values: Name of each limited resource and its limit, in the order of `RESOURCES`; see `of`.
        certain: Whether predictions are held to the limits by the upper ends of their intervals, not by their middle.
        notes: What was changed about the user's words, or must be known of the limits, one sentence each.
        duty: How often the chip infers, which average power follows from; None where nobody said.
    """

    values: tuple[tuple[str, float], ...]
    certain: bool = False
    notes: tuple[str, ...] = ()
    duty: Duty | None = None

    @classmethod
    def of(
        cls,
        limits: Mapping[str, float | Fraction],
        *,
        certain: bool = False,
        notes: tuple[str, ...] = (),
        duty: Duty | None = None,
    ) -> Budget:
        """A budget of limits by resource name: bytes, microseconds, microjoules, microwatts or counts."""
        values = (
            (name, int(limits[name]) if row.whole else float(limits[name]))
            for name, row in RESOURCES.items()
            if name in limits
        )
        return cls(values=tuple(values), certain=certain, notes=notes, duty=duty)

    def limits(self) -> tuple[tuple[str, float], ...]:
        """The resources that are limited, each with its limit."""
        return self.values

    def limit(self, resource: str) -> float | None:
        """The limit of one resource; None where it has none."""
        return dict(self.values).get(resource)

    def less(self, taken: Mapping[str, float], note: str) -> Budget:
        """The limits less the part of something else.

        Args:
            taken: Bytes, or other amounts, by resource name.
            note: What takes them, for people.
        """
        values = tuple((name, limit - taken.get(name, 0)) for name, limit in self.values)
        return replace(self, values=values, notes=(*self.notes, note))

    def violations(self, costs: Costs, *, known_only: bool = False) -> tuple[Violation, ...]:
        """The limits that `costs` breaks; empty if it fits.

        Args:
            costs: Of a network.
            known_only: Pass over limits that nobody can judge (see `unjudged`), which are an error otherwise.

        Raises:
            UserError: Operators of which nothing is known decide whether a limit is kept.
            ValueError: A resource is limited whose cost is unknown, which `parse_budget` never lets happen.
        """
        broken = []
        values = self.judged(costs)
        for resource, limit in self.limits():
            value = values[resource]
            at_least = costs.at_least and RESOURCES[resource].of_work
            if at_least and (value is None or value <= limit):
                if known_only:
                    continue
                raise UserError(
                    f"Whether {resource} keeps its limit is not known: nobody counted the instructions of"
                    f" {', '.join(costs.uncounted)}.",
                    "Limit sram or flash, or leave that operator out of the network.",
                )
            if value is None:
                raise ValueError(f"{resource} is limited, but its cost is unknown")
            if value > limit:
                upper = self.by_upper_end(resource) and not at_least
                broken.append(
                    Violation(resource=resource, value=value, limit=limit, upper=upper, at_least=at_least)
                )
        return tuple(broken)

    def unjudged(self, costs: Costs) -> tuple[str, ...]:
        """Limited resources of which nobody can say whether the limit is kept: what is known of them is within it."""
        values = self.judged(costs)
        return tuple(
            name
            for name, limit in self.limits()
            if (value := values[name]) is None
            or (costs.at_least and RESOURCES[name].of_work and value <= limit)
        )

    def by_upper_end(self, resource: str) -> bool:
        """Whether the upper end of a resource's interval is what its limit judges."""
        return self.certain and bool(RESOURCES[resource].upper)

    def end_text(self, resource: str) -> str:
        """What of a prediction its limit judges, in words; empty of what is not a prediction of work."""
        if self.by_upper_end(resource):
            return UPPER_END
        row = RESOURCES[resource]
        return MIDDLE if row.upper and row.of_work else ""

    def held_by(self) -> str:
        """The same of all limits in a sentence; empty where no prediction of work is limited."""
        if self.certain:
            return CERTAIN
        return _BY_MIDDLE if any(self.end_text(name) for name, _ in self.values) else ""

    def judged(self, costs: Costs) -> dict[str, float | None]:
        """What of `costs` is held to the limits: the middle of each interval, or its upper end.

        Where operators are left out of the costs it is what is taken at least.
        """
        return {name: self._judged(name, costs) for name, _ in self.values}

    def _judged(self, name: str, costs: Costs) -> float | None:
        row, upper = RESOURCES[name], self.by_upper_end(name)
        if row.of_work and costs.at_least:
            upper = False
        if name == "power":
            power = None if self.duty is None else self.duty.power(costs, "high" if upper else "middle")
            return None if power is None else power.total_uw
        value: float | None = getattr(costs, row.upper if upper else row.field)
        return value


def parse_budget(
    text: str | None, target: Target, *, certain: bool = False, duty: Duty | None = None
) -> Budget:
    """Limits from `--budget`, what it does not name from the target's memory less what is reserved.

    A bare size limits the tensor arena in SRAM. 1 KB = 1 KiB = 1024 B; of cycles, 1 K is 1000. A limit above
    what the target has is capped to it, and `notes` says so.

    Args:
        text: The user's words; None for the target's own limits.
        target: The chip.
        certain: Hold predictions to the limits by the upper ends of their intervals.
        duty: How often the chip infers: average power can be limited, and an inference must end within the period.

    Raises:
        UserError: The words are not a budget, or limit something that this target has no calibration for.
    """
    given = {} if text is None else parse_limits(text)
    for name, row in RESOURCES.items():
        if name in given:
            row.check(target)
    if "power" in given and duty is None:
        raise UserError(*POWER_WITHOUT_PERIOD)
    return budget_on(given, target, certain=certain, duty=duty)


def budget_on(
    given: Mapping[str, Fraction], target: Target, *, certain: bool = False, duty: Duty | None = None
) -> Budget:
    """Limits that are known to hold on a target, what they do not name from its memory; see `parse_budget`."""
    notes: list[str] = []
    if target.npu is not None:
        notes.append(
            f"Networks are counted as the {target.core} alone would run them; what is exported is compiled for"
            f" {target.npu.accelerator} by Vela, and held to both limits again."
        )
    if certain:
        notes.append(CERTAIN)
    given = dict(given)
    if duty is not None:
        notes.extend(_period(given, target, duty))
    memory = {resource: _memory(resource, given, target, notes) for resource in ("sram", "flash")}
    return Budget.of({**given, **memory}, certain=certain, notes=tuple(notes), duty=duty)


def _period(given: dict[str, Fraction], target: Target, duty: Duty) -> Iterator[str]:
    """Limits the latency to the period where it is not limited further, and says so."""
    period = Fraction(duty.period_us)
    if target.cycle_rates is None:
        yield f"Whether an inference ends within the period is not known: {target.name} has no calibration."
    elif given.get("latency", period + 1) > period:
        given["latency"] = period
        yield (
            "An inference must end before the next begins: latency is limited to the period,"
            f" {format_quantity('latency', duty.period_us)}."
        )
    if duty.unknown:
        yield duty.unknown


def parse_limits(text: str) -> dict[str, Fraction]:
    """The words of `--budget`, before any target is looked at: bytes, microseconds, microjoules, microwatts or counts.

    Raises:
        UserError: The words are not a budget.
    """
    if not text.strip():
        raise UserError("The budget is empty.", _EXAMPLE)
    if match := _PARTED_NUMBER.search(text):
        raise UserError(
            f"Budget {text!r} has a comma within a number ({match[0]}).",
            "Commas part limits; write 262144 for 262,144.",
        )
    text = text.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}")
    given: dict[str, Fraction] = {}
    for part in text.split(","):
        key, equals, quantity = (piece.strip() for piece in part.partition("="))
        if not equals:
            key, quantity = "sram", key
        if not key or not quantity:
            raise UserError(f"Budget {text!r} has an empty part.", _EXAMPLE)
        if key not in RESOURCES:
            hint = did_you_mean(key, RESOURCES)
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
    row = RESOURCES[key]
    factor = UNITS[row.scale].get(unit.replace("µ", "u").upper())
    if factor is None or unit in ("MJ", "MW"):
        what = f"the unit {unit!r}" if unit else "no unit"
        raise UserError(f"Budget {text!r}: {key} has {what}.", f"Its units are {UNIT_NAMES[row.scale]}.")
    value = Fraction(number) * factor
    if row.whole:
        value = Fraction(int(value))
    if sign == "-" or value == 0:
        raise UserError(f"Budget {text!r}: {key} must be more than 0.", _EXAMPLE)
    return value


def _memory(resource: str, given: Mapping[str, Fraction], target: Target, notes: list[str]) -> int:
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
