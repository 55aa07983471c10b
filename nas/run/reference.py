"""The reference of flags and keys, made from the configuration: `scripts/reference` writes docs/reference.md."""

from __future__ import annotations

from typing import get_args

from pydantic.fields import FieldInfo

from nas.model.config_key import facts_of, group_of, help_text
from nas.run.config import keys

_HEAD = """\
# Flags and keys

Made from the configuration by `scripts/reference`; a test holds that it is current.
Each flag of `nas-run` is a key of a job file (`--init job.toml` writes one) and a keyword of `nas.search`,
with underscores for hyphens.
"""


def reference_text() -> str:
    """The page."""
    groups: dict[str, list[str]] = {}
    for name, field in keys().items():
        groups.setdefault(group_of(field), []).append(_row(name, field))
    parts = [_HEAD]
    for title, rows in groups.items():
        head = f"## {title[0].upper()}{title[1:]}\n\n| flag | values | meaning | in a resumed run |\n|---|---|---|---|"
        parts.append("\n".join([head, *rows, ""]))
    return "\n".join(parts)


def _row(name: str, field: FieldInfo) -> str:
    facts = facts_of(field)
    changes = {"search": "same", "start": "-"}.get(facts.scope, "may change")
    tasks = f" (for {', '.join(facts.tasks)})" if facts.tasks else ""
    cells = (f"`--{name.replace('_', '-')}`", _values(field), help_text(field) + tasks, changes)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _values(field: FieldInfo) -> str:
    facts = facts_of(field)
    if facts.is_time:
        return "time"
    if field.annotation is bool:
        return "switch"
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    words = [word for kind in kinds for word in (get_args(kind) or (kind,))]
    if all(isinstance(word, str) for word in words):
        return ", ".join(f"`{word}`" for word in words)
    names = {int: "whole number", float: "number", str: "text"}
    text = " or ".join(dict.fromkeys(names.get(word, str(word)) for word in words))
    bounds = [
        f"{sign} {getattr(part, attribute):,}"
        for part in field.metadata
        for attribute, sign in (("ge", "from"), ("gt", "above"), ("le", "to"), ("lt", "below"))
        if getattr(part, attribute, None) is not None
    ]
    return f"{text} {' '.join(bounds)}".strip()
