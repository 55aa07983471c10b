"""The words and rows that explain a budget, the same for terminal and page."""

from __future__ import annotations

from dataclasses import dataclass

from nas.model.explanation import ExplainedSpace, Explanation, LimitEffect, Recorded, Variant
from nas.model.metrics import METRICS
from nas.model.words import counted, listed, sized
from nas.report.quantities import GAP, UNKNOWN, count, percent, resource_of, seconds, three_digits_up

_PREDICTED = ("latency", "energy", "power", "cycles")
# What they rest on.
_BASES = {
    "measured": "by cycles of this chip, or of one of the same core, clock and flash",
    "class": "by the class of its core's boards",
    "bound": "by its core's pipeline, no board of which was measured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A space under one set of limits.

    Attributes:
        space: Its name.
        doubled: The limits that are doubled, in words; empty for none.
        beyond: Which of them are then more than the target has, in words.
        share: Of the networks drawn that fit.
        fits: The share in words.
        between: Its 95 % interval in words.
        macs: The largest capacity that was found to fit.
        weights: The same.
        recorded: What an earlier run measured of the networks that fit; empty without one of this space.
    """

    space: str
    doubled: str
    beyond: str
    share: float
    fits: str
    between: str
    macs: str
    weights: str
    recorded: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """The effect of a limit on a space.

    Attributes:
        over: Share of the networks drawn that break it.
        over_text: The same in words.
        alone: Share that breaks it and no other.
        excess: By how much the median of those that break it does.
        binds: Whether it is the one that most networks break.
        least: The smallest limit that admits a network.
        exact: The same to the last digit.
    """

    space: str
    label: str
    over: float
    over_text: str
    alone: str
    excess: str
    binds: bool
    least: str
    exact: str


def headline(explanation: Explanation) -> str:
    """The verdict."""
    target = explanation.target.name
    spaces = explanation.open_spaces
    fitting = [space for space in spaces if space.given.most_macs is not None]
    if not fitting:
        return f"Nothing was found that fits {target}"
    if len(spaces) == 1:
        return f"{_share_text(spaces[0].given, spaces[0].drawn)} of {spaces[0].space} fit {target}"
    best = max(fitting, key=lambda space: space.given.fitting / space.drawn)
    share = _share_text(best.given, best.drawn)
    return (
        f"{len(fitting)} of {len(spaces)} search spaces have networks that fit {target};"
        f" most of all {best.space}, {share}"
    )


def limits_text(explanation: Explanation) -> str:
    """The limits."""
    return ", ".join(
        f"{name} <= {resource_of(name).text(limit)}" for name, limit in explanation.budget.items()
    )


def basis_text(explanation: Explanation, name: str) -> str:
    """The basis of a limited resource's values."""
    return _BASES[explanation.target.basis or ""] if name in _PREDICTED else resource_of(name).basis


def how(explanation: Explanation) -> list[str]:
    """How it was found, and what it is not."""
    spaces = explanation.open_spaces
    lines = []
    if spaces:
        drawn = sorted({space.drawn for space in spaces})
        many = f"{drawn[0]:,}" if len(drawn) == 1 else f"{drawn[0]:,} to {drawn[-1]:,}"
        more = max(space.seen - space.drawn for space in spaces)
        widest = max((variant.high - variant.low) / 2 for space in spaces for variant in space.variants[:1])
        lines += [
            f"Shares are of {many} networks drawn at random from each space (seed {explanation.seed}); sampling"
            f" leaves them open by {100 * widest:.1f} points at most, which is what the 95 % intervals say.",
            f"Capacity and smallest limits are of what was found, with up to {more:,} further networks of each space"
            " made by changing the best: the true ends are at least as far out.",
        ]
    lines.append(
        "Nothing was trained. SRAM is exact; capacity is not accuracy: a larger network can learn more, but need not."
    )
    for space in spaces:
        if space.uncosted:
            lines.append(
                f"The target has no costs for {space.uncosted:,} of the networks of {space.space}; they are"
                " counted as not fitting."
            )
    if explanation.certain:
        lines.append("Predictions are held to the limits by the upper ends of their 90 % intervals.")
    lines += [
        f"{resource_of(name).label} is a prediction, {basis_text(explanation, name)}."
        for name in explanation.budget
        if name in _PREDICTED
    ]
    if (record := explanation.record) is not None:
        metric = METRICS[record.metric].label
        lines.append(
            f"Recorded: the best int8 validation {metric} among the networks of {record.run} (space"
            f" {record.space}, {counted(record.trainings, 'training')}) that fit. It is from that record, not"
            " a prediction: what fits and was not trained there is not in it."
        )
    lines.append(f"It took {seconds(explanation.seconds)}.")
    return lines


def refused(explanation: Explanation) -> list[tuple[str, str]]:
    """Spaces without networks for this input, and why."""
    return [(space.space, space.refused) for space in explanation.spaces if space.refused is not None]


def misses(explanation: Explanation) -> list[str]:
    """How near a space comes that has nothing that fits."""
    said = []
    for space in explanation.open_spaces:
        if space.closest is None:
            continue
        line = f"{space.space}: of the closest network found, {space.closest.rstrip('.')}."
        if space.closest_excess is not None:
            line += (
                f" All limits {three_digits_up(1 + space.closest_excess):.3g} times as large would admit it."
            )
        said.append(line)
    return said


def rows(space: ExplainedSpace) -> list[Row]:
    """A space under the limits as given, then with some doubled."""
    return [_row(space, variant) for variant in space.variants]


def _row(space: ExplainedSpace, variant: Variant) -> Row:
    doubled = [resource_of(name).label for name in variant.doubled]
    everything = len(doubled) == len(space.limits) > 1
    return Row(
        space=space.space,
        doubled="all" if everything else listed(doubled, len(doubled)),
        beyond=", ".join(resource_of(name).label for name in variant.beyond),
        share=variant.fitting / space.drawn,
        fits=_share_text(variant, space.drawn),
        between=f"{_percent(variant.low)} to {_percent(variant.high)}",
        macs=UNKNOWN if variant.most_macs is None else count(variant.most_macs),
        weights=UNKNOWN if variant.most_weights is None else count(variant.most_weights),
        recorded=_recorded(variant.recorded),
    )


def limit_rows(space: ExplainedSpace) -> list[LimitRow]:
    """The effect of each limit on a space."""
    effects = []
    for limit in space.limits:
        resource = resource_of(limit.resource)
        over = limit.over / space.drawn
        least = limit.least
        effects.append(
            LimitRow(
                space=space.space,
                label=resource.label,
                over=over,
                over_text=_percent(over),
                alone=_percent(limit.over_alone / space.drawn),
                excess=UNKNOWN if limit.median_excess is None else _excess(limit.median_excess),
                binds=limit == space.binding,
                least=resource.limit_text(least) if least is not None else f"none; {_of_any(limit)}",
                exact=resource.exact(least),
            )
        )
    return effects


def _of_any(limit: LimitEffect) -> str:
    value = limit.least_of_any
    return f"any network {resource_of(limit.resource).limit_text(value)}" if value is not None else "no costs"


def binding_text(space: ExplainedSpace) -> str:
    """Which limit binds and by how much."""
    row = next((row for row in limit_rows(space) if row.binds), None)
    if row is None:
        fit = space.given.fitting == space.drawn
        return "none: all fit" if fit else "none: the target has no costs for the others"
    return f"{row.label}: {row.over_text} over, median {row.excess}"


def _share_text(variant: Variant, drawn: int) -> str:
    fitting = variant.fitting
    if fitting:
        return _percent(fitting / drawn)
    return f"0 of {drawn:,}" if variant.most_macs is None else f"0 of {drawn:,} drawn, some near them"


def _percent(share: float) -> str:
    return percent(share, 2 if 0 < share < 0.01 or 0.99 < share < 1 else 1)


def _excess(excess: float) -> str:
    return f"+{percent(excess, 0)}" if excess < 1 else f"{1 + excess:.3g}{GAP}x"


def _recorded(recorded: Recorded | None) -> str:
    if recorded is None:
        return ""
    if recorded.best is None:
        return "none fits"
    return f"{percent(recorded.best)}, best of {recorded.networks:,}"


def record_heading(explanation: Explanation) -> str:
    """The heading of what an earlier run measured."""
    record = explanation.record
    return f"Recorded {METRICS[record.metric].label}" if record is not None else ""


def title(explanation: Explanation) -> str:
    """The limits and target that were asked about."""
    task = explanation.task
    return f"{task.name}: input {sized(task.input_shape)}, {task.learned}"
