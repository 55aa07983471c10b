"""The page that lays the fronts of several runs over each other: one file, in the look of `report.html`."""

from __future__ import annotations

from collections.abc import Sequence

from nas.model.comparison import Comparison
from nas.model.metrics import METRICS
from nas.model.result import RunSummary
from nas.model.words import printable
from nas.report import comparison as words
from nas.report.overlay import COLOURS, overlay
from nas.report.page import template_environment
from nas.report.quantities import CYCLES, ENERGY, FLASH, LATENCY, SRAM, Resource, sentence

_COSTS = (SRAM, FLASH, LATENCY, CYCLES, ENERGY)


def render_comparison(comparison: Comparison, summaries: Sequence[RunSummary]) -> str:
    """The page's HTML.

    Args:
        comparison: What was compared.
        summaries: Of the runs, in the same order.
    """
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment, source = template_environment()
    picture = None
    if comparison.objectives:
        names = [printable(run.path) for run in comparison.runs]
        alone = "flash_bytes" not in comparison.objectives
        picture = overlay(comparison.letters, names, _by_metric(comparison, summaries), memory_alone=alone)
    return environment.get_template("comparison.html.j2").render(
        c=comparison,
        headline=words.headline(comparison),
        costs=_known(comparison),
        picture=picture,
        title=words.front_title(comparison) if comparison.objectives else "",
        pairs=list(zip(comparison.runs, words.dominated(comparison))),
        volume=words.volume_text(comparison),
        changes=words.change_rows(comparison),
        test_texts=words.test_texts,
        tested=_tested(comparison),
        printable=printable,
        score_of=words.score_of,
        metric=sentence(METRICS[comparison.metric or "accuracy"].label),
        colours=COLOURS,
        css=Markup(source("report.css") + source("comparison.css")),
        script=Markup(source("report.js")),
        plotly=Markup(get_plotlyjs()),
    )


def _tested(comparison: Comparison) -> str:
    """People's name for the figure that test data are measured by."""
    numbers = any(
        run.chosen and run.chosen.test_accuracy and run.chosen.test_accuracy.numbers
        for run in comparison.runs
    )
    return "Test error" if numbers else "Test accuracy"


def _by_metric(comparison: Comparison, summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """The summaries with the metric by which they are compared: accuracy, where they went by different ones."""
    if all(run.metric == comparison.metric for run in comparison.runs):
        return list(summaries)
    return [
        summary.model_copy(
            update={
                "task": summary.task.model_copy(update={"metric": "accuracy"}),
                "trials": [trial.model_copy(update={"score": None}) for trial in summary.trials],
            }
        )
        for summary in summaries
    ]


def _known(comparison: Comparison) -> list[Resource]:
    """The costs that at least one chosen model has."""
    costs = [run.chosen.costs for run in comparison.runs if run.chosen is not None]
    return [resource for resource in _COSTS if any(known.get(resource.key) is not None for known in costs)]
