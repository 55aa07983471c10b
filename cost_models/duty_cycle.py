"""Average power and battery life of a chip that infers once in a period and sleeps between."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from cost_models.costing import Costs
from cost_models.errors import UserError
from cost_models.resources import format_quantity
from cost_models.target import Target
from cost_models.target_file import load_target
from cost_models.target_names import list_targets

DEFAULT_SUPPLY_VOLTS = 3.0
LEAVES_OUT = (
    "the sensor, the radio and every other peripheral, waking up, other work of the core, the board and its"
    " regulator, and the battery's self-discharge and ageing"
)
_NUMBER_UNIT = re.compile(r"(\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})\s*([A-Za-zµ]+)", re.ASCII)
_PERIOD_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "min": 60e6, "h": 3600e6, "d": 86400e6}
_CHARGE_MAH = {"mah": 1.0, "ah": 1000.0}
_HOURS_A_DAY = 24


def parse_period(text: str) -> float:
    """The microseconds of `--period`.

    Raises:
        UserError: It is not a positive time with a unit.
    """
    return _parsed("--period", text, _PERIOD_US, "Write a time with its unit, like 100ms, 1s, 5m or 1h.")


def parse_charge(text: str) -> float:
    """The mAh of `--battery`.

    Raises:
        UserError: It is not a positive charge with a unit.
    """
    return _parsed("--battery", text, _CHARGE_MAH, "Write its charge like 230mAh or 1.2Ah.")


def _parsed(flag: str, text: str, units: dict[str, float], hint: str) -> float:
    match = _NUMBER_UNIT.fullmatch(text.strip())
    factor = units.get(match[2].lower().replace("µ", "u")) if match else None
    value = float(match[1]) * factor if match and factor else 0.0
    if not value > 0:
        raise UserError(f"{flag} is {text!r}.", hint)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Average power, and what it comes from.

    Attributes:
        inference_uw: The inferences' share.
        sleep_uw: The sleep's share.
        supply_volts: The supply.
    """

    inference_uw: float
    sleep_uw: float
    supply_volts: float

    @property
    def total_uw(self) -> float:
        """Average power in microwatts."""
        return self.inference_uw + self.sleep_uw

    @property
    def current_ua(self) -> float:
        """The average current, in microamperes."""
        return self.total_uw / self.supply_volts

    def battery_days(self, charge_mah: float) -> float:
        """How long a battery's charge lasts at that current."""
        return charge_mah * 1000 / self.current_ua / _HOURS_A_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """How often a chip infers, and what it takes between inferences.

    Attributes:
        period_us: From one inference to the next.
        charge_mah: Of the battery; None where none was named.
        sleep_ua: Current asleep; None where average power is not known on the chip.
        supply_volts: The supply.
        unknown: Why average power is not known; empty where it is.
    """

    period_us: float
    charge_mah: float | None = None
    sleep_ua: float | None = None
    supply_volts: float = DEFAULT_SUPPLY_VOLTS
    unknown: str = ""

    def power(self, costs: Costs, end: Literal["low", "middle", "high"] = "middle") -> Power | None:
        """Average power of a model by the middle or an end of its cycles' 90 % interval; None where it is not known."""
        latency, energy, cycles = costs.latency_us, costs.energy_uj, costs.cycles
        at = {"low": costs.cycles_low, "middle": cycles, "high": costs.cycles_high}[end]
        if latency is None or energy is None or not cycles or at is None or self.sleep_ua is None:
            return None
        # Beyond the period there is no more time to infer in: the chip never sleeps.
        busy = min(latency * at / cycles, self.period_us)
        return Power(
            inference_uw=energy * busy / latency / self.period_us * 1e6,
            sleep_uw=self.sleep_ua * self.supply_volts * (1 - busy / self.period_us),
            supply_volts=self.supply_volts,
        )

    def cycle(self, costs: Costs) -> DutyCycle | None:
        """The duty cycle of a model; None where its power is not known."""
        low, middle, high = (self.power(costs, end) for end in ("low", "middle", "high"))
        if low is None or middle is None or high is None:
            return None
        latest = costs.latency_high_us
        return DutyCycle(
            duty=self,
            middle=middle,
            low=low,
            high=high,
            overruns=latest is not None and latest > self.period_us,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyCycle:
    """One inference in each period, sleep between.

    Attributes:
        duty: How often, and what the chip takes between.
        middle: By the middle of the cycles' 90 % interval.
        low: By its lower end.
        high: By its upper end.
        overruns: Whether the upper end of the latency is longer than the period.
    """

    duty: Duty
    middle: Power
    low: Power
    high: Power
    overruns: bool

    def as_json(self) -> dict[str, Any]:
        """The entry `duty_cycle` of `nas-cost --period --json`."""
        entry: dict[str, Any] = {
            "period_us": self.duty.period_us,
            "power_uw": round(self.middle.total_uw, 3),
            "power_low_uw": round(self.low.total_uw, 3),
            "power_high_uw": round(self.high.total_uw, 3),
            "inference_uw": round(self.middle.inference_uw, 3),
            "sleep_uw": round(self.middle.sleep_uw, 3),
            "current_ua": round(self.middle.current_ua, 3),
            "supply_volts": self.middle.supply_volts,
            "sleep_current_ua": self.duty.sleep_ua,
        }
        if (charge := self.duty.charge_mah) is not None:
            entry |= {
                "battery_mah": charge,
                "battery_days": round(self.middle.battery_days(charge), 2),
                "battery_low_days": round(self.high.battery_days(charge), 2),
                "battery_high_days": round(self.low.battery_days(charge), 2),
            }
        return entry

    def costs_json(self) -> dict[str, float]:
        """Average power with the ends of its interval, as a resource among the costs of results."""
        ends = {"power_uw": self.middle, "power_low_uw": self.low, "power_high_uw": self.high}
        return {name: power.total_uw for name, power in ends.items()}

    def text(self) -> str:
        """The result in a sentence."""
        low, middle, high, inference, sleep = (
            format_quantity("power", value)
            for value in (
                self.low.total_uw,
                self.middle.total_uw,
                self.high.total_uw,
                self.middle.inference_uw,
                self.middle.sleep_uw,
            )
        )
        said = (
            f"one inference every {_period_text(self.duty.period_us)} takes {middle} on average ({low} to {high}):"
            f" {inference} of inference, {sleep} of sleep"
        )
        if (charge := self.duty.charge_mah) is not None:
            days, least, most = (
                days_text(power.battery_days(charge)) for power in (self.middle, self.high, self.low)
            )
            said += f". {charge:g} mAh last {days} days ({least} to {most})"
        if self.overruns:
            said += ". The upper end of the latency is longer than the period: the chip may never sleep"
        return f"{said}."


def rests_on(target: Target) -> list[str]:
    """The sources and limits of a duty cycle's figures on a target, a sentence each."""
    volts, source = supply(target), target.sources.get("supply_volts", "no source given")
    if target.supply_volts is None:
        source = "assumed, as the target does not say"
    sleep = target.sources.get("sleep_current_ua", "no source given")
    return [
        f"sleep: {target.sleep_current_ua:g} uA: {sleep}.",
        f"supply: {volts:g} V: {source}.",
        "average power: energy of an inference and sleep current times supply, by time; its interval is that of"
        " the cycles alone.",
        "battery: its charge over the average current at that supply, which a linear regulator draws from it as well.",
        f"left out: {LEAVES_OUT}.",
    ]


def supply(target: Target) -> float:
    """The supply that a target's figures hold for, in volts."""
    return DEFAULT_SUPPLY_VOLTS if target.supply_volts is None else target.supply_volts


def check_known(target: Target) -> None:
    """Refuses a target on which a duty cycle's power is not known.

    Raises:
        UserError: It has no cycles, energy or sleep current.
    """
    unknown = why_unknown(target)
    if not unknown:
        return
    known = [each.name for each in map(load_target, list_targets()) if not why_unknown(each)]
    raise UserError(
        unknown,
        f"Take one of {', '.join(known)}, or set energy_uj_per_mcycle and sleep_current_ua in a target file of"
        " your own.",
    )


def why_unknown(target: Target) -> str:
    """Why a duty cycle's power is not known on a target, in a sentence; empty where it is."""
    missing = [
        what
        for what, value in (
            ("calibration of its cycles", target.cycle_rates),
            ("sourced figure of its energy per cycle", target.energy_uj_per_mcycle),
            ("sourced sleep current", target.sleep_current_ua),
        )
        if value is None
    ]
    if not missing:
        return ""
    return f"The power of a duty cycle is not known: target {target.name} has no {' and no '.join(missing)}."


def duty_on(target: Target, *, period: str, battery: str | None = None) -> Duty:
    """The duty of `--period` and `--battery` on a target; see `make_duty`.

    Raises:
        UserError: They cannot be meant.
    """
    charge = None if battery is None else parse_charge(battery)
    return make_duty(target, period_us=parse_period(period), charge_mah=charge)


def make_duty(target: Target, *, period_us: float, charge_mah: float | None = None) -> Duty:
    """A duty on a target; where its average power is not known, it says why."""
    duty = Duty(period_us=period_us, charge_mah=charge_mah)
    if unknown := why_unknown(target):
        return replace(duty, unknown=unknown)
    return replace(duty, sleep_ua=target.sleep_current_ua, supply_volts=supply(target))


def duty_cycle(
    costs: Costs, target: Target, *, period_us: float, charge_mah: float | None = None
) -> DutyCycle:
    """Average power of a model.

    Args:
        costs: Of the model on the target.
        target: The chip, one that `check_known` lets through.
        period_us: From one inference to the next.
        charge_mah: Of the battery.

    Raises:
        UserError: The model's energy is not known, or an inference takes longer than the period.
    """
    duty = Duty(
        period_us=period_us,
        charge_mah=charge_mah,
        sleep_ua=target.sleep_current_ua,
        supply_volts=supply(target),
    )
    cycle = duty.cycle(costs)
    if cycle is None or costs.latency_us is None:
        raise UserError(
            "The power of a duty cycle is not known: nobody counted the cycles of one of its operators.",
            "Leave --period out.",
        )
    if period_us < costs.latency_us:
        raise UserError(
            f"A period of {_period_text(period_us)} is shorter than an inference, which takes"
            f" {format_quantity('latency', costs.latency_us)}.",
            "Give a longer --period, or take a smaller model or a faster target.",
        )
    return cycle


def _period_text(period_us: float) -> str:
    for unit, factor in (("d", 86400e6), ("h", 3600e6), ("min", 60e6), ("s", 1e6), ("ms", 1e3)):
        if period_us >= factor:
            return f"{period_us / factor:.4g} {unit}"
    return f"{period_us:.4g} us"


def days_text(days: float) -> str:
    """Days of battery as people read them."""
    return f"{days:.1f}" if days < 9.95 else f"{days:,.0f}"
