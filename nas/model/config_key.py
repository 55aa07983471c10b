"""A configuration key, written once: flags, job files, documentation and what a resume may change are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field
from pydantic.fields import FieldInfo

# search: makes a search itself. start: fixed when a run starts. resources, output: a resumed run may change it.
Scope = Literal["search", "start", "resources", "output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """Facts about a key besides its type, default and bounds.

    Attributes:
        meaning: What it means, as `--help` and job files say it, without the default.
        scope: Who may change it.
        metavar: What `--help` calls its value; empty for the key's name.
        example: A value for documentation where the default is None.
        default: What the default means, in words; empty for the value itself.
        is_time: Whether text such as "90s", "30m" or "8h" may be given for it.
        tasks: The tasks that read it; empty for what is not an option of a task.
    """

    meaning: str
    scope: Scope
    metavar: str
    example: Any
    default: str
    is_time: bool
    tasks: tuple[str, ...]


def key(
    value: Any,
    meaning: str,
    *,
    scope: Scope = "search",
    metavar: str = "",
    example: Any = None,
    default: str = "",
    is_time: bool = False,
    tasks: tuple[str, ...] = (),
    **bounds: Any,
) -> Any:
    """A field of a configuration; see `KeyFacts`.

    Args:
        value: The default.
        bounds: What pydantic checks: ge, gt, le, lt, pattern.
    """
    facts = KeyFacts(
        meaning=meaning,
        scope=scope,
        metavar=metavar,
        example=example,
        default=default,
        is_time=is_time,
        tasks=tasks,
    )
    field = Field(default=value, description=meaning, **bounds)
    assert isinstance(field, FieldInfo)
    field.metadata.append(facts)
    return field


def facts_of(field: FieldInfo) -> KeyFacts:
    """The facts that `key` was given for a field."""
    return next(part for part in field.metadata if isinstance(part, KeyFacts))


def help_text(field: FieldInfo) -> str:
    """The meaning of a key, with its default."""
    facts, value = facts_of(field), field.default
    if facts.default:
        default = facts.default
    elif value is None:
        default = "none"
    elif value is False:
        default = ""
    else:
        default = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{facts.meaning} (default: {default})" if default else facts.meaning


def group_of(field: FieldInfo) -> str:
    """The heading under which `--help` and the reference list a key."""
    facts = facts_of(field)
    if facts.tasks:
        return "about the data"
    return {"search": "what to search", "output": "what comes out"}.get(facts.scope, "how long and where")
