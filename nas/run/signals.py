"""Ctrl-C, SIGTERM and SIGHUP: the first asks a run to end with what it has, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from cost_models.command_line import Terminated, ending_signals


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
            for number in (signal.SIGINT, *ending_signals()):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._number is not None:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)
        self._number = number
        self._told("Stopping: the best so far will be exported. Once more to end at once.")
