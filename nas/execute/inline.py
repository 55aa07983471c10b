"""An executor without processes: evaluates in place, one at a time, in the order asked."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nas.execute import Done, Evaluate
from nas.model.evaluation import Request


class InlineExecutor:
    """Evaluates when waited for. Deterministic: what tests and replays need."""

    def __init__(self, evaluate: Evaluate, slots: int = 1) -> None:
        self._evaluate = evaluate
        self._queue: list[tuple[Request, float]] = []
        self.slots = slots
        self.up = True

    def submit(self, request: Request) -> None:
        """Queues the request."""
        self._queue.append((request, time.monotonic()))

    def wait(self, timeout: float) -> Sequence[Done]:
        """Evaluates the oldest request."""
        if not self._queue:
            return ()
        request, submitted = self._queue.pop(0)
        evaluation = self._evaluate(request)
        return (
            Done(
                request=request, evaluation=evaluation, worker="inline", waited=time.monotonic() - submitted
            ),
        )

    def abandon(self) -> None:
        """Forgets the queue."""
        self._queue.clear()

    def close(self) -> None:
        """Forgets the queue."""
        self._queue.clear()
