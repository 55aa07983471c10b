"""MODEL_CARD.md: what a reader must know before the model goes into a product."""

from __future__ import annotations

from dataclasses import dataclass

from cost_models.duty_cycle import rests_on
from nas.bundle.content import BundleContent
from nas.bundle.sources import render
from nas.model.folded import folded_from_json, folded_text
from nas.model.groups import column_title, left_out_text, rows_text
from nas.model.metrics import METRICS, NUMBER_METRICS, plain_metric
from nas.model.optimism import optimism_from_json, optimism_text
from nas.model.quality import quality_warnings
from nas.model.trained import Accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class of the per-class table.

    Attributes:
        name: The class.
        total: Samples that are of it.
        recall: Share of them that the model finds; None without samples.
        precision: Share of its answers that are right; None where it never answers so.
    """

    name: str
    total: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyRow:
    """One line of the accuracy table; low and high are the 95 % Wilson interval."""

    part: str
    engine: str
    correct: int
    total: int
    value: float
    low: float
    high: float
    metric: str
    score: float
    score_low: float
    score_high: float
    disturbed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """The metric by group on one part: name, samples, metric and interval of each, the worst first."""

    part: str
    metric: str
    rows: list[tuple[str, int, str, str]]
    measured: int
    left: str


def model_card(content: BundleContent) -> str:
    """The card's Markdown."""
    accuracies = content.model.accuracies
    trained_on = content.model.provenance.get("trained_on")
    expected = optimism_from_json(content.model.provenance.get("optimism"))
    folded = folded_from_json(content.model.provenance.get("folded"))
    with_table = [accuracy for accuracy in accuracies if accuracy.confusion]
    preferred = sorted(with_table, key=lambda accuracy: (accuracy.part != "test", accuracy.engine != "tflm"))
    return render(
        "model_card.md.j2",
        content,
        basis=None if content.target.cycle_rates is None else content.target.cycle_rates.basis,
        accuracy_rows=[_accuracy_row(accuracy) for accuracy in accuracies],
        class_rows=class_rows(preferred[0], content.model.task.class_names) if preferred else [],
        class_table_of=preferred[0] if preferred else None,
        warnings=quality_warnings(accuracies, content.model.task.class_names, one_model=trained_on is None),
        alarm_rows=[
            (accuracy.part, *(None if rate is None else 100 * rate for rate in accuracy.alarm_rates()))
            for accuracy in accuracies
            if content.anomaly and accuracy.confusion
        ],
        number_rows=[
            (_accuracy_row(accuracy), number) for accuracy in accuracies for number in accuracy.numbers
        ],
        number_metric=None
        if content.numbers is None or not accuracies
        else NUMBER_METRICS[accuracies[0].metric].short,
        group_tables=[
            GroupTable(
                part=accuracy.part,
                metric=column_title(accuracy.groups, accuracy.metric),
                rows=rows_text(accuracy.groups, accuracy.metric),
                measured=accuracy.groups.measured,
                left=left_out_text(accuracy.groups, accuracy.metric),
            )
            for accuracy in accuracies
            if accuracy.groups is not None
        ],
        budget_rows=content.budget.limits() if content.budget else (),
        duty_lines=_duty_lines(content),
        trained_on=trained_on,
        optimism="" if expected is None else optimism_text(expected),
        init=content.model.provenance.get("init"),
        folded=""
        if folded is None or not accuracies
        else folded_text(folded, METRICS[accuracies[0].metric].label),
        plain_label=METRICS[plain_metric(accuracies[0].metric)].label if accuracies else "",
    )


def _duty_lines(content: BundleContent) -> list[str]:
    """Average power and battery life, and what they rest on; nothing where no period was named."""
    duty = None if content.budget is None else content.budget.duty
    if duty is None:
        return []
    cycle = duty.cycle(content.costs)
    if cycle is None:
        return [
            duty.unknown or "Average power is not known: nobody counted the cycles of one of the operators."
        ]
    return [f"Average power: {cycle.text()}", *rests_on(content.target)]


def class_rows(accuracy: Accuracy, names: tuple[str, ...]) -> list[ClassRow]:
    """Recall and precision of each class from a confusion matrix."""
    table = accuracy.confusion
    rows = []
    for index, name in enumerate(names):
        right, true = table[index][index], sum(table[index])
        answered = sum(row[index] for row in table)
        rows.append(
            ClassRow(
                name=name,
                total=true,
                recall=right / true if true else None,
                precision=right / answered if answered else None,
            )
        )
    return rows


def _accuracy_row(accuracy: Accuracy) -> AccuracyRow:
    low, high = accuracy.value_interval()
    score_low, score_high = accuracy.objective_interval()
    return AccuracyRow(
        part=accuracy.part,
        engine={"tflm": "TFLM", "litert": "LiteRT"}[accuracy.engine],
        correct=accuracy.correct,
        total=accuracy.total,
        value=accuracy.value,
        low=low,
        high=high,
        metric=METRICS[accuracy.metric].label,
        score=accuracy.objective,
        score_low=score_low,
        score_high=score_high,
        disturbed=accuracy.disturbed,
    )
