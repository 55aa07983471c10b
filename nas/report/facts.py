"""What a run's summary says: the verdict, the use of each limit, the front, what was rejected and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cost_models import resources
from nas.model.groups import GroupScores, group_scores, groups_text
from nas.model.metrics import METRICS, NUMBER_METRICS
from nas.model.policy import MetricName
from nas.model.quantization import quantization_text as text_of
from nas.model.records import trainings
from nas.model.result import ChosenSummary, MeasuredAccuracy, RunSummary, TrialSummary, ViolationSummary
from nas.model.statistics import wilson
from nas.model.words import FRONT_END
from nas.report.quantities import (
    CYCLES,
    ENERGY,
    GAP,
    LATENCY,
    POWER,
    Resource,
    interval,
    interval_text,
    percent,
    resource_of,
    uncounted,
)

_MOST_NUMBERS = 4  # that a line tells the errors of
_MOST_LEFT = 0.75  # share of a limit, below which it is said what is left of it

# How the bases of cycle rates are said; "calibrated" where the chip itself was measured.
_BASES = {
    "class": "class of its core's boards",
    "bound": "bound: no board of its core was measured",
}

STOPPED = {
    "running": "still under way",
    "trials": "all trials done",
    "timeout": "stopped by the time limit",
    "interrupt": "stopped by Ctrl-C",
    "exhausted": "search space exhausted",
    "failures": "stopped, for trainings failed one after another",
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
        held = ", held to its limit by the upper end" if self.certain and self.limit and between else ""
        return basis + between + held

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A rejected trial and the limits it breaks, the worst first.

    Attributes:
        excess: By how much the worst limit is broken, relative to it.
    """

    trial: TrialSummary
    excess: float
    reasons: tuple[str, ...]


def front(summary: RunSummary) -> list[TrialSummary]:
    """The Pareto front, best accuracy first, then smallest SRAM."""
    trials = {trial.number: trial for trial in summary.trials}
    members = [trials[number] for number in summary.front if number in trials]
    return sorted(members, key=_rank)


def validation(trial: TrialSummary) -> tuple[float | None, str]:
    """A trial's metric on validation data, TFLM's where it was measured, and the engine's name."""
    by_tflm = trial.tflm_accuracy is not None
    value = trial.tflm_accuracy if by_tflm else trial.accuracy
    return (value if trial.score is None else trial.score), "TFLM" if by_tflm else "LiteRT"


def quantization_text(summary: RunSummary) -> str:
    """How the chosen model came to int8; empty where that is not known."""
    number = summary.chosen and summary.chosen.number
    return next((text_of(trial.quantization) for trial in summary.trials if trial.number == number), "")


def robustness_text(chosen: ChosenSummary, most: int | None = None) -> str:
    """The metric of disturbed samples beside that of the same as they are; empty where it was not measured.

    Args:
        chosen: The chosen model.
        most: How many disturbances to name, those that cost most; None for all, in their order.
    """
    found = chosen.robustness
    if not found:
        return ""
    rows = found["disturbances"]
    if most is not None:
        rows = sorted(rows, key=lambda row: float(row["metric"]))[:most]
    told = ", ".join(f"{percent(row['metric'])} with {row['name']}" for row in rows)
    lowest = "" if most is None else "lowest "
    return f"{percent(found['metric'])} of {found['samples']:,} test samples as they are; {lowest}{told}"


def metric(summary: RunSummary) -> str:
    """What people call the metric that the run goes by."""
    return METRICS[summary.task.metric].label


def _rank(trial: TrialSummary) -> tuple[float, float, int]:
    accuracy, costs = validation(trial)[0], trial.known_costs
    return -(accuracy if accuracy is not None else -1), costs.get("sram_bytes", 0), trial.number


def limits(summary: RunSummary) -> dict[str, float]:
    """Limits by resource name."""
    return {resource_of(entry.resource).name: entry.limit for entry in summary.budget}


def uses(summary: RunSummary, costs: Mapping[str, Any]) -> list[Use]:
    """The use of every limited resource, then of latency, energy, power and cycles where they are known.

    Without calibration a single entry says that latency is not known, instead of three. Where latency is known,
    it stands for the cycles too, unless these are limited.
    """
    found = [_use(summary, resource_of(e.resource), costs, e.limit, e.note) for e in summary.budget]
    limited = {use.resource.name for use in found}
    for resource in (LATENCY, ENERGY, POWER, CYCLES):
        known = costs.get(resource.key) is not None
        said = resource is CYCLES and costs.get(LATENCY.key) is not None
        if resource.name not in limited and (resource is LATENCY or (known and not said)):
            found.append(_use(summary, resource, costs, None, ""))
    return found


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


def unused(summary: RunSummary, found: Sequence[Use]) -> list[str]:
    """What of each limit that was asked for is left, and what the networks that take more of it came to."""
    chosen = summary.chosen
    if not summary.config.get("budget"):
        return []  # limits that the chip sets are nothing that is given to be spent
    mine = next((trial for trial in summary.trials if chosen and trial.number == chosen.number), None)
    if mine is None:
        return []
    lines = []
    for use in found:
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


def tight(found: Sequence[Use]) -> list[Use]:
    """Resources whose value fits while the upper end of the interval does not."""
    return [use for use in found if use.fits and use.share_high is not None and use.share_high > 1]


def counts_by_state(summary: RunSummary) -> dict[str, int]:
    """How many trials ended in which state, the usual states first."""
    counted = Counter(str(trial.state) for trial in summary.trials)
    usual = [state for state in ("evaluated", "rejected", "failed") if counted[state]]
    return {state: counted[state] for state in [*usual, *sorted(set(counted) - set(usual))]}


def rejections(summary: RunSummary) -> list[tuple[Resource, int]]:
    """How many trials broke each limit, the most frequent first; one trial can break several."""
    broken = Counter(
        resource_of(violation.resource).name for trial in summary.trials for violation in trial.violations
    )
    return [(resource_of(name), times) for name, times in sorted(broken.items(), key=lambda e: (-e[1], e[0]))]


def closest_misses(summary: RunSummary, most: int = 5) -> list[Miss]:
    """Rejected trials that broke their worst limit by least."""
    misses = []
    for trial in summary.trials:
        broken = sorted(trial.violations, key=lambda v: -(v.value / v.limit))
        if broken:
            excess = broken[0].value / broken[0].limit - 1
            misses.append(Miss(trial=trial, excess=excess, reasons=tuple(map(_reason, broken))))
    return sorted(misses, key=lambda miss: (miss.excess, miss.trial.number))[:most]


def _reason(violation: ViolationSummary) -> str:
    resource = resource_of(violation.resource)
    over = violation.value / violation.limit - 1
    needs, limit = resource.text(violation.value), resource.text(violation.limit)
    return f"{resource.label} {needs} of {limit} ({percent(over)} over)"


def failures(summary: RunSummary) -> list[tuple[str, int]]:
    """Reasons of failed trials and how often each occurred."""
    reasons = Counter(
        str(trial.reason or "no reason recorded") for trial in summary.trials if trial.state == "failed"
    )
    return sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))


def score_text(summary: RunSummary) -> str:
    """The chosen model's metric on test data with its 95 % interval."""
    assert summary.chosen is not None
    test, row = summary.chosen.tested, METRICS[summary.task.metric]
    ends = f"{percent(test.score_low)} to {percent(test.score_high)}"
    return f"{row.label}: {percent(test.score)} on test data (95{GAP}% {row.interval_name} {ends})"


def anomaly_text(summary: RunSummary) -> str:
    """What the chosen model's threshold does on test data; empty where classes are told."""
    allowed, chosen = summary.task.false_alarms, summary.chosen
    if allowed is None or chosen is None:
        return ""
    (quiet, false), (missed, found) = chosen.confusion
    return (
        f"a score above {chosen.tested.threshold:,} is an anomaly, set for {percent(allowed)} false alarms"
        f" on normal validation data; on test data {_share_text(false, quiet + false)} of the normal samples are false"
        f" alarms and {_share_text(found, missed + found)} of the anomalies are found"
    )


def _share_text(count: int, total: int) -> str:
    low, high = wilson(count, total)
    return f"{percent(count / total)} ({count:,} of {total:,}; {percent(low)} to {percent(high)})"


def accuracy_text(test: MeasuredAccuracy) -> str:
    """A test accuracy with its counts and 95 % Wilson interval; of numbers how far each is off, in its unit."""
    if test.numbers:
        return numbers_text(test)
    return (
        f"{percent(test.value)} ({test.correct:,} of {test.total:,};"
        f" 95{GAP}% Wilson interval {percent(test.low)} to {percent(test.high)})"
    )


def metric_name(summary: RunSummary) -> MetricName:
    """The metric that the run went by; results from before there was a choice name none."""
    return summary.task.metric


def tested(summary: RunSummary) -> str:
    """What people call the figure that test data are measured by."""
    row = NUMBER_METRICS.get(metric_name(summary))
    return "Test accuracy" if row is None else "Test error"


def numbers_text(test: MeasuredAccuracy) -> str:
    """How far each number is off on test data, in the unit of the data."""
    row = NUMBER_METRICS[str(test.metric)]
    told = []
    for number in test.numbers[:_MOST_NUMBERS]:
        others = ", ".join(
            f"{other.short} {number[name]:.4g}" for name, other in NUMBER_METRICS.items() if name != row.name
        )
        told.append(
            f"{number['name']}: {row.short} {number[row.name]:.4g} (95{GAP}% interval {number['low']:.4g} to"
            f" {number['high']:.4g}), {others}"
        )
    left = len(test.numbers) - _MOST_NUMBERS
    return "; ".join([*told, *([f"and {left} more"] if left > 0 else [])])


def group_text(summary: RunSummary) -> str:
    """The worst and the best group of test data; empty where the data have no groups."""
    found = groups_of(summary)
    return "" if found is None else groups_text(found, metric_name(summary))


def groups_of(summary: RunSummary) -> GroupScores | None:
    """The chosen model's metric by group on test data, where the data have groups."""
    test = None if summary.chosen is None else summary.chosen.test_accuracy
    return group_scores(None if test is None or test.groups is None else test.groups.model_dump())


def front_end_notes(summary: RunSummary) -> list[str]:
    """What the front end takes besides the chosen network; nothing without one."""
    if not summary.task.frontend:
        return []
    return [note for note in summary.notes if note.startswith(FRONT_END)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRow:
    """One board of a run for several, as tables lay them side by side.

    Attributes:
        name: The target's name.
        title: What people call it.
        verdict: What was chosen for it, or that nothing was.
        trial: Number of the chosen trial.
        score: The run's metric on test data.
        uses: What the chosen model takes of each resource.
        front: How many models are on its front.
        folder: Within the run folder.
        bundle: Within the run folder; empty without a choice.
    """

    name: str
    title: str
    verdict: str
    trial: int | None
    score: float | None
    uses: tuple[Use, ...]
    front: int
    folder: str
    bundle: str


def boards(summary: RunSummary) -> list[BoardRow]:
    """The boards of a run for several; nothing for one."""
    rows = []
    for board in summary.boards:
        part = summary.model_copy(
            update={name: getattr(board, name) for name in ("target", "budget", "notes", "front", "chosen")}
        )
        chosen = board.chosen
        test = None if chosen is None else chosen.test_accuracy
        rows.append(
            BoardRow(
                name=board.target.name,
                title=board.target.title,
                verdict=headline(part),
                trial=None if chosen is None else chosen.number,
                score=None if test is None else test.objective,
                uses=() if chosen is None else tuple(uses(part, chosen.costs)),
                front=len(board.front),
                folder=board.folder,
                bundle="" if chosen is None else chosen.bundle or "",
            )
        )
    return rows


def duty_lines(chosen: ChosenSummary) -> list[str]:
    """Average power and battery life of the chosen model, and what they rest on; nothing without a period."""
    duty = chosen.duty_cycle
    return [] if not duty else [f"Average power: {duty['text']}", *duty["rests_on"]]


def engine_title(engine: str) -> str:
    """What people call the engine that measured an accuracy."""
    return {"tflm": "TFLM's interpreter", "litert": "LiteRT, no delegate"}.get(engine, engine)


def npu_lines(npu: Mapping[str, Any]) -> list[str]:
    """What is known of the model as compiled for an NPU: what is exact, then what its compiler estimates."""
    estimate = npu["estimate"]
    return [
        f"compiled for {npu['accelerator']}: tensor arena {npu['arena_bytes']:,} B, model {npu['model_bytes']:,} B"
        f" [exact]; {npu['npu_operators']} operator(s) on the NPU, {npu['core_operators']} on the core",
        f"{estimate['total_cycles']:,} cycles, {estimate['inference_us'] / 1000:,.3f} ms at"
        f" {estimate['clock_hz'] / 1e6:g} MHz; SRAM {estimate['sram_bytes']:,} B, off-chip flash"
        f" {estimate['off_chip_flash_bytes']:,} B [estimated by {npu['compiler']}]",
    ]


def headline(summary: RunSummary) -> str:
    """The verdict in one sentence."""
    chosen, target = summary.chosen, summary.target.name
    if summary.progress:
        return _running(summary)
    if chosen is not None:
        found = uses(summary, chosen.costs)
        over = [use.resource.label for use in found if use.fits is False]
        if over:
            return f"Trial {chosen.number} is over its limit of {' and '.join(over)}."
        reached = percent(chosen.tested.objective)
        return f"Trial {chosen.number} fits {target}, at {reached} test {metric(summary)}."
    if not summary.trials:
        return "No trial was run."
    blocking = rejections(summary)
    if blocking and not any(trial.state == "evaluated" for trial in summary.trials):
        return f"Nothing fits {target}: {blocking[0][0].label} is the limit that blocks."
    return "No model was chosen."


def _running(summary: RunSummary) -> str:
    progress = summary.progress
    assert progress is not None
    best = max((a for trial in front(summary) if (a := validation(trial)[0]) is not None), default=None)
    so_far = "" if best is None else f", best validation {metric(summary)} {percent(best)}"
    return f"{progress.stage.capitalize()}: {progress.done:,} of {progress.total:,} trainings{so_far}."


def worker_time(summary: RunSummary) -> str:
    """Where the workers' time went, the largest share first; empty when none was measured."""
    shares = sorted((summary.time.get("share") or {}).items(), key=lambda item: -item[1])
    return ", ".join(f"{stage} {percent(share, 0)}" for stage, share in shares if share >= 0.005)
