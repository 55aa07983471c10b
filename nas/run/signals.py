"""Ctrl-C and SIGTERM: the first asks a run to end with what it has, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from cost_models.command_line import Terminated


class GracefulStop:
    """A context in which signals ask politely, once. Outside of the main thread there are none.

    Args:
        told: Called with a sentence when the first signal comes.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._number: int | None = None
        self._previous: dict[int, object] = {}

    def __call__(self) -> bool:
        """Whether someone asked to stop."""
        return self._number is not None

    @property
    def signal(self) -> int:
        """The first signal that came."""
        assert self._number is not None
        return self._number

    def __enter__(self) -> GracefulStop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._number is not None:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
        self._number = number
        self._told("Stopping: the best so far will be exported. Once more to end at once.")


@contextmanager
def sigterm_ends_at_once() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that what was begun is tidied up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
