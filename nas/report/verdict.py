"""The verdict of a run in one sentence."""

from __future__ import annotations

from nas.model.result import RunSummary
from nas.report.facts import front, metric, rejections, validation
from nas.report.quantities import percent
from nas.report.uses import uses


def headline(summary: RunSummary) -> str:
    """The verdict in one sentence."""
    chosen, target = summary.chosen, summary.target.name
    if summary.progress:
        return _running(summary)
    if chosen is not None:
        over = [use.resource.label for use in uses(summary, chosen.costs) if use.fits is False]
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
