"""The page that lays the fronts of several runs over each other: one file, in the look of `report.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.model.metrics import METRICS
from nas.model.result import RunSummary
from nas.model.words import printable
from nas.report import comparison as words
from nas.report.overlay import COLOURS, overlay
from nas.report.page import template_environment
from nas.report.quantities import CYCLES, ENERGY, FLASH, LATENCY, SRAM, sentence

_COSTS = (SRAM, FLASH, LATENCY, CYCLES, ENERGY)


def render_comparison(comparison: Mapping[str, Any], summaries: Sequence[RunSummary]) -> str:
    """The page's HTML.

    Args:
        comparison: As JSON values: `nas.run.comparison.Comparison.to_json`.
        summaries: Of the runs, in the same order.
    """
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment, source = template_environment()
    runs = [{**run, "path": printable(run["path"])} for run in comparison["runs"]]
    comparison = {**comparison, "runs": runs}
    picture = None
    if comparison["objectives"]:
        letters = [run["letter"] for run in runs]
        names = [run["path"] for run in runs]
        alone = "flash_bytes" not in comparison["objectives"]
        picture = overlay(letters, names, _by_metric(comparison, summaries), memory_alone=alone)
    return environment.get_template("comparison.html.j2").render(
        c=comparison,
        headline=words.headline(comparison),
        costs=_known(comparison),
        picture=picture,
        title=words.front_title(comparison) if comparison["objectives"] else "",
        pairs=list(zip(runs, words.dominated(comparison))),
        volume=words.volume_text(comparison),
        changes=words.change_rows(comparison),
        interval_of=words.interval_of,
        score_of=words.score_of,
        metric=sentence(METRICS[comparison["metric"] or "accuracy"].label),
        colours=COLOURS,
        css=Markup(source("report.css") + source("comparison.css")),
        script=Markup(source("report.js")),
        plotly=Markup(get_plotlyjs()),
    )


def _by_metric(comparison: Mapping[str, Any], summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """The summaries with the metric by which they are compared: accuracy, where they went by different ones."""
    if all(run["metric"] == comparison["metric"] for run in comparison["runs"]):
        return list(summaries)
    return [
        one.model_copy(
            update={
                "task": one.task.model_copy(update={"metric": "accuracy"}),
                "trials": [trial.model_copy(update={"score": None}) for trial in one.trials],
            }
        )
        for one in summaries
    ]


def _known(comparison: Mapping[str, Any]) -> list[Any]:
    """The costs that at least one chosen model has."""
    found = [(run["chosen"] or {}).get("costs") or {} for run in comparison["runs"]]
    return [one for one in _COSTS if any(costs.get(one.key) is not None for costs in found)]
