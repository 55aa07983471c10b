"""How far the reading of a large data set is, told to whoever asked to hear it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Told = Callable[[str, int, int], None]
"""The work, how much of it is done, and of how much."""

_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def told(how: Told) -> Iterator[None]:
    """Within, `how` hears what is read."""
    token = _told.set(how)
    try:
        yield
    finally:
        _told.reset(token)


def tell(text: str, done: int, total: int) -> None:
    """So many of all are done; nothing where nobody listens."""
    if (how := _told.get()) is not None:
        how(text, done, total)
