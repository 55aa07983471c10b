"""The page of `nas-run --explain`: one file in the look of the report, without scripts and requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.report import explained
from nas.report.page import template_environment
from nas.report.quantities import resource_of


def render_explanation(content: Mapping[str, Any]) -> str:
    """The page's HTML; the same content gives the same bytes.

    Args:
        content: What `nas-run --explain --json` prints.
    """
    from markupsafe import Markup

    templates, source = template_environment()
    spaces = explained.open_spaces(content)
    return templates.get_template("explain.html.j2").render(
        c=content,
        headline=explained.headline(content),
        title=explained.title(content),
        limits=[
            (resource_of(name), limit, explained.basis_text(content, name))
            for name, limit in content["budget"].items()
        ],
        spaces=[
            {
                "name": space["space"],
                "given": explained.rows(space)[0],
                "rows": explained.rows(space),
                "limits": explained.limit_rows(space),
                "binding": explained.binding_text(space),
            }
            for space in spaces
        ],
        refused=explained.refused(content),
        misses=explained.misses(content),
        recorded=explained.record_heading(content),
        how=explained.how(content),
        css=Markup(source("report.css")),
    )
