"""What a run's summary says: the metric and its figures, the front, what was rejected and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.model.folded import folded_from_json, folded_text
from nas.model.groups import GroupScores, group_scores, groups_text
from nas.model.metrics import METRICS, NUMBER_METRICS, plain_metric
from nas.model.optimism import optimism_from_json, optimism_text
from nas.model.policy import MetricName
from nas.model.quantization import quantization_text as text_of
from nas.model.result import ChosenSummary, MeasuredAccuracy, RunSummary, TrialSummary, ViolationSummary
from nas.model.statistics import wilson
from nas.model.words import FRONT_END
from nas.report.quantities import (
    GAP,
    Resource,
    percent,
    resource_of,
)

_MOST_NUMBERS = 4  # that a line tells the errors of

STOPPED = {
    "running": "still under way",
    "trials": "all trials done",
    "timeout": "stopped by the time limit",
    "interrupt": "stopped by Ctrl-C",
    "exhausted": "search space exhausted",
    "failures": "stopped, for trainings failed one after another",
}


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
    trial = _chosen_trial(summary)
    text = "" if trial is None else text_of(trial.quantization)
    return f"{text}, which it was trained on" if text and trial and trial.retrains is not None else text


def trained_on_text(summary: RunSummary) -> str:
    """Which samples the chosen model was trained on, where that was to be more than the training part."""
    trial = _chosen_trial(summary)
    if trial is None or summary.config.get("final_on") != "all":
        return ""
    if trial.retrains is None:
        return "training samples alone: the run ended before its training on all samples did"
    return (
        "training and validation samples together. What is said of validation data is of trial"
        f" {trial.retrains}, the same network trained without them"
    )


def validation_text(summary: RunSummary) -> str:
    """The chosen model's metric on validation data, and by how much it is expected to be too good; empty if unknown."""
    chosen, optimism = summary.chosen, optimism_of(summary, folds=False)
    if chosen is None or chosen.validation_accuracy is None or not optimism:
        return ""
    return f"{metric(summary)} {percent(chosen.validation_accuracy.objective)}; {optimism}"


def optimism_of(summary: RunSummary, *, folds: bool) -> str:
    """By how much the figure that the choice went by is expected to be too good; empty where that is not known.

    Args:
        summary: The result.
        folds: Whether the figure by folds is meant, not that of the validation part.
    """
    expected = None if summary.chosen is None else optimism_from_json(summary.chosen.optimism)
    return "" if expected is None or (expected.folds > 0) is not folds else optimism_text(expected)


def folds_text(summary: RunSummary) -> str:
    """What the chosen model came to in folds, where the run was to judge finalists so."""
    chosen, asked = summary.chosen, summary.config.get("folds")
    if chosen is None or not asked:
        return ""
    folded = folded_from_json(chosen.folded)
    if folded is None:
        return f"not judged in {asked} folds, for the run ended before: chosen by the validation part alone"
    said = folded_text(folded, metric(summary))
    if folded.networks < 2:
        return f"{said}; no other was judged so: chosen by the validation part alone"
    optimism = optimism_of(summary, folds=True)
    return said + (f"; {optimism}" if optimism else "")


def began_from_text(summary: RunSummary) -> str:
    """What the chosen model took of the weights that its training was to begin with; empty where none were given."""
    trial, source = _chosen_trial(summary), summary.config.get("init_from")
    if trial is None or source is None:
        return ""
    if trial.init is None:
        return f"random weights: no layer of {source} matches"
    return f"{trial.init.text()} from {source}, the rest at random"


def _chosen_trial(summary: RunSummary) -> TrialSummary | None:
    number = summary.chosen and summary.chosen.number
    return next((trial for trial in summary.trials if trial.number == number), None)


def robustness_text(chosen: ChosenSummary, most: int | None = None) -> str:
    """The metric of disturbed samples beside that of the same as they are; empty where it was not measured.

    Args:
        chosen: The chosen model.
        most: How many disturbances to name, those that cost most, and the attack that costs most; None for all, in
            their order.
    """
    measured = chosen.robustness
    if not measured:
        return ""

    def told(rows: Sequence[Mapping[str, Any]], shown: int | None) -> str:
        if shown is not None:
            rows = sorted(rows, key=lambda row: float(row["metric"]))[:shown]
        return ", ".join(
            f"{percent(row['metric'])} with {row['name'].replace(' %', f'{GAP}%')}" for row in rows
        )

    lowest = "" if most is None else "lowest "
    attacks = told(measured.get("attacks", ()), None if most is None else 1)  # older results have none
    return (
        f"{percent(measured['metric'])} of {measured['samples']:,} test samples as they are;"
        f" {lowest}{told(measured['disturbances'], most)}{f'; {lowest}under attack {attacks}' if attacks else ''}"
    )


def metric(summary: RunSummary) -> str:
    """People's name for the metric that the run goes by."""
    return METRICS[summary.task.metric].label


def _rank(trial: TrialSummary) -> tuple[float, float, int]:
    accuracy, costs = validation(trial)[0], trial.known_costs
    return -(accuracy if accuracy is not None else -1), costs.get("sram_bytes", 0), trial.number


def limits(summary: RunSummary) -> dict[str, float]:
    """Limits by resource name."""
    return {resource_of(entry.resource).name: entry.limit for entry in summary.budget}


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
    text = f"{row.label}: {percent(test.score)} on test data (95{GAP}% {row.interval_name} {ends})"
    if test.disturbed is None or test.score is None:
        return text
    plain = METRICS[plain_metric(metric_name(summary))].label
    return (
        f"{text}, the mean of {percent(2 * test.score - test.disturbed)} {plain} as they are and"
        f" {percent(test.disturbed)} disturbed"
    )


def anomaly_text(summary: RunSummary) -> str:
    """The chosen model's threshold and its effect on test data; empty where classes are told."""
    allowed, chosen = summary.task.false_alarms, summary.chosen
    if allowed is None or chosen is None:
        return ""
    (quiet, false), (missed, caught) = chosen.confusion
    return (
        f"a score above {chosen.tested.threshold:,} is an anomaly, set for {percent(allowed)} false alarms"
        f" on normal validation data; on test data {_share_text(false, quiet + false)} of the normal samples are false"
        f" alarms and {_share_text(caught, missed + caught)} of the anomalies are found"
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
    """People's name for the figure that test data are measured by."""
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
    groups = groups_of(summary)
    return "" if groups is None else groups_text(groups, metric_name(summary))


def groups_of(summary: RunSummary) -> GroupScores | None:
    """The chosen model's metric by group on test data, where the data have groups."""
    test = None if summary.chosen is None else summary.chosen.test_accuracy
    return group_scores(None if test is None or test.groups is None else test.groups.model_dump())


def front_end_notes(summary: RunSummary) -> list[str]:
    """The front end's costs besides those of the chosen network; nothing without one."""
    if not summary.task.frontend:
        return []
    return [note for note in summary.notes if note.startswith(FRONT_END)]


def duty_lines(chosen: ChosenSummary) -> list[str]:
    """Average power and battery life of the chosen model, and what they rest on; nothing without a period."""
    duty = chosen.duty_cycle
    return [] if not duty else [f"Average power: {duty['text']}", *duty["rests_on"]]


def engine_title(engine: str) -> str:
    """People's name for the engine that measured an accuracy."""
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


def worker_time(summary: RunSummary) -> str:
    """Where the workers' time went, the largest share first; empty when none was measured."""
    shares = sorted((summary.time.get("share") or {}).items(), key=lambda item: -item[1])
    return ", ".join(f"{stage} {percent(share, 0)}" for stage, share in shares if share >= 0.005)
