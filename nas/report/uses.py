"""How much of each resource the chosen model takes, how that relates to its limit, and what is left unused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cost_models import resources
from nas.model.records import trainings
from nas.model.result import RunSummary
from nas.report.facts import metric, validation
from nas.report.quantities import (
    CYCLES,
    ENERGY,
    FLASH,
    LATENCY,
    POWER,
    Resource,
    interval,
    interval_text,
    percent,
    resource_of,
    uncounted,
)

_MOST_LEFT = 0.75  # share of a limit, below which it is said what is left of it

# How the bases of cycle rates are said; "calibrated" where the chip itself was measured.
_BASES = {
    "class": "class of its core's boards",
    "bound": "bound: no board of its core was measured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much of one resource the chosen model takes.

    Attributes:
        share: Use relative to the limit; None without a limit or without a known value.
        share_high: The same at the upper end of the interval.
        note: What was changed about the limit.
        rests_on: What a prediction of cycles rests on: measured, class or bound.
        core_alone: Whether the model runs on an NPU, while a prediction of cycles is of the core alone.
        certain: Whether the limit is held by the upper end of the interval.
        uncounted: Operators that the value leaves out: it is a lower bound then.
    """

    resource: Resource
    value: float | None
    limit: float | None
    share: float | None
    share_high: float | None
    interval: str
    note: str
    rests_on: str = "measured"
    core_alone: bool = False
    certain: bool = False
    uncounted: tuple[str, ...] = ()

    @property
    def fits(self) -> bool | None:
        share = self.share_high if self.certain and self.share_high is not None else self.share
        return None if share is None else share <= 1

    @property
    def text(self) -> str:
        text = self.resource.text(self.value)
        return f"at least {text}" if self.uncounted and self.value is not None else text

    @property
    def basis(self) -> str:
        if self.value is None:
            return "not known: no calibration for this target"
        between = f", {self.resource.between} {self.interval}" if self.interval else ""
        basis = self.resource.basis
        if self.resource in (LATENCY, ENERGY, POWER, CYCLES):
            basis = _BASES.get(self.rests_on, basis)
            if self.core_alone:
                basis = f"of the core alone, without the NPU; {basis}"
        if self.uncounted:
            basis += f", without {', '.join(self.uncounted)}, which nobody counted"
        return basis + between + self._held(bool(between))

    def _held(self, predicted: bool) -> str:
        """The end of the interval that the limit judges."""
        if not predicted or not self.limit:
            return ""
        if self.certain:
            return ", held to its limit by the upper end"
        return "" if self.resource is FLASH else ", held to its limit by the middle"

    @property
    def verdict(self) -> str:
        """One phrase on how the use relates to the limit."""
        if self.limit is None:
            return "no limit set" if self.value is not None else ""
        limit = self.resource.text(self.limit)
        if self.value is None or self.share is None:
            return f"limit {limit}"
        spare = self.resource.text(abs(self.limit - self.value))
        if self.share > 1:
            return f"{spare} over the limit of {limit}"
        return f"{percent(self.share, 0)} of {limit}, {spare} to spare"


def uses(summary: RunSummary, costs: Mapping[str, Any]) -> list[Use]:
    """The use of every limited resource, then of latency, energy, power and cycles where they are known.

    Without calibration a single entry says that latency is not known, instead of three. Where latency is known,
    it stands for the cycles too, unless these are limited.
    """
    told = [
        _use(summary, resource_of(limit.resource), costs, limit.limit, limit.note) for limit in summary.budget
    ]
    limited = {use.resource.name for use in told}
    for resource in (LATENCY, ENERGY, POWER, CYCLES):
        known = costs.get(resource.key) is not None
        said = resource is CYCLES and costs.get(LATENCY.key) is not None
        if resource.name not in limited and (resource is LATENCY or (known and not said)):
            told.append(_use(summary, resource, costs, None, ""))
    return told


def _use(
    summary: RunSummary,
    resource: Resource,
    costs: Mapping[str, Any],
    limit: float | None,
    note: str,
) -> Use:
    value = costs.get(resource.key)
    ends = interval(resource, costs)
    return Use(
        resource=resource,
        value=value,
        limit=limit,
        share=None if value is None or not limit else value / limit,
        share_high=None if ends is None or not limit else ends[1] / limit,
        interval=interval_text(resource, costs),
        note=note,
        rests_on=summary.target.basis or "measured",
        core_alone=summary.chosen is not None and summary.chosen.npu is not None,
        certain=bool(summary.config.get("certain")),
        uncounted=uncounted(resource, costs),
    )


def unused(summary: RunSummary, told: Sequence[Use]) -> list[str]:
    """What of each limit that was asked for is left, and what the networks that take more of it came to."""
    chosen = summary.chosen
    if not summary.config.get("budget"):
        return []  # limits that the chip sets are nothing that is given to be spent
    mine = next((trial for trial in summary.trials if chosen and trial.number == chosen.number), None)
    if mine is None:
        return []
    lines = []
    for use in told:
        if use.value is None or use.share is None or use.share > _MOST_LEFT:
            continue
        larger = [
            trial
            for trial in summary.trials
            if trial.state == "evaluated"
            and trial.rung == "full"
            and trial.number != mine.number
            and (trial.known_costs.get(use.resource.key) or 0) > use.value
        ]
        left = f"{percent(1 - use.share, 0)} of the {resources.RESOURCES[use.resource.name].noun}"
        if not larger:
            lines.append(f"{left}: no network that takes more was trained in full")
            continue
        best = max(validation(trial)[0] or 0.0 for trial in larger)
        count = f"{len(larger)} {trainings(len(larger))} in full of networks that take more"
        lines.append(
            f"{left}: the best of {count} came to {percent(best)}, the chosen to {percent(validation(mine)[0])}"
            f" ({metric(summary)} on validation data)"
        )
    return lines


def tight(told: Sequence[Use]) -> list[Use]:
    """Resources whose value fits while the upper end of the interval does not."""
    return [use for use in told if use.fits and use.share_high is not None and use.share_high > 1]
