"""Ctrl-C and SIGTERM: the first asks the search to end with what it has, the second ends at once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType


class StopRequest:
    """A context in which signals ask politely, once.

    Args:
        told: Called with a sentence when the first signal comes.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._asked = False
        self._previous: dict[int, object] = {}

    def __call__(self) -> bool:
        """Whether someone asked to stop."""
        return self._asked

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._told("Stopping: the best so far will be exported. Once more to end at once.")
