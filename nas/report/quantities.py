"""How each resource is called, written and trusted wherever a person reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cost_models import resources
from cost_models.resources import Scale

UNKNOWN = "–"
GAP = "\u00a0"
"""Between a number and its unit: a space at which no line breaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of a network's costs, as reports show it.

    Attributes:
        name: What budgets and violations call it.
        key: Its key among the costs.
        label: Its name in headings.
        scale: How its values are written.
        basis: What kind of number it is.
        between: What its interval is, to be followed by its ends.
    """

    name: str
    key: str
    label: str
    scale: Scale
    basis: str
    between: str

    def text(self, value: float | None) -> str:
        """A value as people read it."""
        return UNKNOWN if value is None else _WRITERS[self.scale](value)

    def limit_text(self, value: float) -> str:
        """The smallest limit that admits a value, as people read it: rounded up, so that it does admit it."""
        return self.text(_rounded_up(self.scale, value))

    def exact(self, value: float | None) -> str:
        """The same to the last digit, for tooltips."""
        if value is None:
            return "not known"
        unit = {"bytes": "B", "time": "µs", "energy": "µJ", "power": "µW", "count": self.label.lower()}[
            self.scale
        ]
        return f"{value:,.0f}{GAP}{unit}" if float(value).is_integer() else f"{value:,.1f}{GAP}{unit}"


def uncounted(resource: Resource, costs: Mapping[str, Any]) -> tuple[str, ...]:
    """Operators that a cost leaves out, as nobody counted them: it is a lower bound then."""
    return tuple(costs.get("uncounted") or ()) if resources.RESOURCES[resource.name].of_work else ()


def cost_text(resource: Resource, costs: Mapping[str, Any]) -> str:
    """A cost as tables write it; a lower bound with a sign that says so."""
    text = resource.text(costs.get(resource.key))
    return f"≥{GAP}{text}" if text != UNKNOWN and uncounted(resource, costs) else text


def _shown(name: str) -> Resource:
    row = resources.RESOURCES[name]
    return Resource(
        name=row.name,
        key=row.field,
        label=row.label,
        scale=row.scale,
        basis=row.basis,
        between=row.between.replace("90 %", f"90{GAP}%"),
    )


_ALL = {name: _shown(name) for name in resources.RESOURCES}
SRAM, FLASH, LATENCY, ENERGY = _ALL["sram"], _ALL["flash"], _ALL["latency"], _ALL["energy"]
POWER, CYCLES, INSTRUCTIONS, MACS = _ALL["power"], _ALL["cycles"], _ALL["instructions"], _ALL["macs"]

# What tables have a column for; instructions are shown where they are limited.
RESOURCES = (SRAM, FLASH, LATENCY, ENERGY, CYCLES, MACS)


def resource_of(name: str) -> Resource:
    """The resource that a budget or a violation names, by name or by its key among the costs."""
    for resource in _ALL.values():
        if name in (resource.name, resource.key):
            return resource
    raise ValueError(f"unknown resource {name!r}")


def interval(resource: Resource, costs: Mapping[str, Any]) -> tuple[float, float] | None:
    """The ends of a predicted cost, None where there are none.

    The model's share of flash is exact, so flash is as uncertain as its code. Latency and energy are cycles times
    a constant, so theirs is the interval of the cycles in proportion.
    """
    value = costs.get(resource.key)
    if value is None:
        return None
    if resource is POWER:
        low, high = costs.get("power_low_uw"), costs.get("power_high_uw")
        return None if low is None or high is None else (low, high)
    if resource is FLASH:
        model = costs.get("model_bytes")
        low, high = costs.get("code_low_bytes"), costs.get("code_high_bytes")
        return None if model is None or low is None or high is None else (model + low, model + high)
    cycles, low, high = costs.get("cycles"), costs.get("cycles_low"), costs.get("cycles_high")
    if resource not in (CYCLES, LATENCY, ENERGY) or not cycles or low is None or high is None:
        return None
    return value * low / cycles, value * high / cycles


def interval_text(resource: Resource, costs: Mapping[str, Any]) -> str:
    """The interval as people read it; empty where there is none."""
    ends = interval(resource, costs)
    return "" if ends is None else f"{resource.text(ends[0])} to {resource.text(ends[1])}"


def kilobytes(value: float) -> str:
    """Bytes in KB of 1024 with one decimal; bytes or MB where that reads better."""
    if abs(value) < 100:
        return f"{value:.0f}{GAP}B"
    if abs(value) < 1024 * 1024 * 4:
        return f"{value / 1024:,.1f}{GAP}KB"
    return f"{value / 1024 / 1024:,.1f}{GAP}MB"


def duration_us(value: float) -> str:
    """Microseconds in the unit that leaves three digits."""
    if value < 1000:
        return f"{value:.0f}{GAP}µs"
    if value < 1_000_000:
        return f"{_three_digits(value / 1000)}{GAP}ms"
    return f"{value / 1e6:,.2f}{GAP}s"


def energy_uj(value: float) -> str:
    """Microjoules, or millijoules from a thousand of them."""
    return f"{_three_digits(value)}{GAP}µJ" if value < 1000 else f"{_three_digits(value / 1000)}{GAP}mJ"


def power_uw(value: float) -> str:
    """Microwatts, or milliwatts where that reads better."""
    return f"{value:,.3g}{GAP}µW" if value < 999.5 else f"{value / 1000:,.3g}{GAP}mW"


def count(value: float) -> str:
    """A count with three digits and k, M or G."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor:
            return f"{_three_digits(value / factor)}{GAP}{unit}"
    return f"{value:,.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return UNKNOWN if share is None else f"{100 * share:.{digits}f}{GAP}%"


def seconds(value: float) -> str:
    """A wall-clock duration."""
    if value < 10:
        return f"{value:.1f}{GAP}s"
    if value < 120:
        return f"{value:.0f}{GAP}s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{GAP}h {minutes:02d}{GAP}min" if hours else f"{minutes}{GAP}min {rest:02d}{GAP}s"


def sentence(text: str) -> str:
    """The words with a capital at their head."""
    return text[:1].upper() + text[1:]


def choices(params: Mapping[str, Any]) -> str:
    """A trial's choices in one line; numbered ones are gathered, as in "width 16/32/64"."""
    gathered: dict[str, list[str]] = {}
    for name, value in params.items():
        stem, _, number = name.rpartition("_")
        key = stem if stem and number.isdigit() else name
        gathered.setdefault(key.replace("_", " "), []).append(_choice(value))
    return ", ".join(f"{name} {'/'.join(values)}" for name, values in gathered.items())


def _choice(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def three_digits_up(value: float) -> float:
    """The next number of three digits; for values above zero."""
    return _next(value, 10.0 ** (math.floor(math.log10(value)) - 2))


def _rounded_up(scale: Scale, value: float) -> float:
    """The next value that the writer of a scale shows without rounding it down."""
    if scale == "bytes":
        return _next(value, 1 if value < 100 else 102.4 if value < 1024 * 1024 * 4 else 104857.6)
    if scale in ("time", "count") and value < 1000:
        return math.ceil(value)
    return _next(value, 1e4) if scale == "time" and value >= 1e6 else three_digits_up(value)


def _next(value: float, step: float) -> float:
    return math.ceil(value / step - 1e-9) * step


_WRITERS = {"bytes": kilobytes, "time": duration_us, "energy": energy_uj, "power": power_uw, "count": count}
