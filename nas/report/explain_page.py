"""The page of `nas-run --explain`: one file in the look of the report, without scripts and requests."""

from __future__ import annotations

from nas.model.explanation import Explanation
from nas.report import explained
from nas.report.page import template_environment
from nas.report.quantities import resource_of


def render_explanation(explanation: Explanation) -> str:
    """The page's HTML; the same explanation gives the same bytes.

    Args:
        explanation: What the limits admit.
    """
    from markupsafe import Markup

    templates, source = template_environment()
    return templates.get_template("explain.html.j2").render(
        c=explanation,
        headline=explained.headline(explanation),
        title=explained.title(explanation),
        limits=[
            (resource_of(name), limit, explained.basis_text(explanation, name))
            for name, limit in explanation.budget.items()
        ],
        spaces=[
            {
                "name": space.space,
                "given": explained.rows(space)[0],
                "rows": explained.rows(space),
                "limits": explained.limit_rows(space),
                "binding": explained.binding_text(space),
            }
            for space in explanation.open_spaces
        ],
        refused=explained.refused(explanation),
        misses=explained.misses(explanation),
        recorded=explained.record_heading(explanation),
        how=explained.how(explanation),
        css=Markup(source("report.css")),
    )
