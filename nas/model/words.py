"""Words that sentences share: long lists cut short, sizes, the reason in an exception."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_LONGEST_REASON = 200


def listed(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def sized(shape: Sequence[int]) -> str:
    """A shape as people say it: 48 x 48."""
    return " x ".join(map(str, shape))


def printable(text: str) -> str:
    """Text of a file for a terminal or page: control characters could do anything there."""
    return "".join(char if char.isprintable() or char == "\u00a0" else "\ufffd" for char in text)


def first_line(error: BaseException, clean: Callable[[str], str] = str) -> str:
    """The first line of what an exception says, or its type where it says nothing, to stand within a sentence.

    Args:
        error: The exception.
        clean: Applied before anything is cut: takes secrets out.
    """
    lines = clean(str(error)).strip().splitlines() or [type(error).__name__]
    return lines[0][:_LONGEST_REASON].rstrip(".")


# How the note on a front end's share of the limits begins; reports find it by this.
FRONT_END = "The front end takes"


def counted(count: int, noun: str) -> str:
    """A number with its noun: 1 row, 2,000 rows."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
