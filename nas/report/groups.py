"""The metric by group on a report's page."""

from __future__ import annotations

from typing import Any

from nas.model.groups import column_title, left_out_text, rows_text
from nas.model.result import RunSummary
from nas.report.facts import groups_of, metric_name
from nas.report.quantities import sentence

_LEAST_GROUPS = 2  # for a table


def group_table(summary: RunSummary) -> dict[str, Any] | None:
    """A row for each group that is told, the worst first; None where the data have no groups to compare.

    `between` is how many groups are left out before the row `half`.
    """
    scores = groups_of(summary)
    if scores is None or scores.measured < _LEAST_GROUPS:
        return None
    metric = metric_name(summary)
    return {
        "title": sentence(column_title(scores, metric)),
        "rows": rows_text(scores, metric),
        "measured": scores.measured,
        "half": len(scores.groups) // 2,
        "between": scores.measured - len(scores.groups),
        "left": left_out_text(scores, metric),
    }
