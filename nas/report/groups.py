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
    found = groups_of(summary)
    if found is None or found.measured < _LEAST_GROUPS:
        return None
    metric = metric_name(summary)
    return {
        "title": sentence(column_title(found, metric)),
        "rows": rows_text(found, metric),
        "measured": found.measured,
        "half": len(found.groups) // 2,
        "between": found.measured - len(found.groups),
        "left": left_out_text(found, metric),
    }
