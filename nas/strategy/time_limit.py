"""A run's time limit: when trainings must end so that what was trained can still be measured, exported and verified."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from nas.model.records import TrialRecord

_EXPORT_SECONDS = 8.0  # to write and verify a bundle, without the measuring
_MOST_EXPORT_SHARE = 0.25  # of the limit
_MOST_AGAIN_SHARE = 0.25  # of the limit
_TAIL_SECONDS = 3.0  # to quantize and measure a network, before any was timed
_SLACK_SECONDS = 5.0  # that a worker may be late
_LATEST = 20
_SECONDS_A_MAC = 3e-9  # of TFLM's interpreter, before any was timed
_SIDE_BY_SIDE = 1.3  # times as long as alone: two processes on two cores took 0.65 of the time of one
_CANDIDATES = 4
_TRAINING = ("build", "train", "prune")


@dataclass(slots=True, kw_only=True)
class TimeLimit:
    """Says how long trainings may take. The clock starts with the first worker: starting up counts on its own.

    Attributes:
        seconds: The limit; None for none.
        validation: Validation samples.
        test_share: Test samples for each of them, which say how long measuring the chosen model takes.
        measuring: Processes that do so side by side.
        retrains: Whether the chosen network will be trained again after its last training.
        clock: Seconds, for tests.
    """

    seconds: float | None
    validation: int = 1000
    test_share: float = 1.0
    measuring: int = 1
    retrains: bool = False
    clock: Callable[[], float] = time.monotonic
    _deadline: float | None = None
    _tails: deque[float] = field(default_factory=lambda: deque(maxlen=_LATEST))
    _seconds_a_mac: float = 0.0  # of TFLM's interpreter, over all validation samples
    _best: list[tuple[float, int, bool, float]] = field(default_factory=list)

    def start(self) -> None:
        """The first worker is up; later calls change nothing."""
        if self._deadline is None and self.seconds is not None:
            self._deadline = self.clock() + self.seconds

    def tell(self, record: TrialRecord) -> None:
        """A training ended: what comes after it was timed."""
        if record.state != "evaluated" or not record.seconds:
            return
        spent = record.seconds
        self._tails.append(sum(s for stage, s in spent.items() if stage not in (*_TRAINING, "waiting")))
        macs, measured = record.costs.macs if record.costs else 0, record.tflm_accuracy is not None
        if measured and macs:
            self._seconds_a_mac = max(self._seconds_a_mac, spent.get("evaluate", 0.0) / macs)
        if record.full and record.retrains is None:
            best = (record.value, macs, measured, record.worked_seconds)
            self._best = sorted([*self._best, best], reverse=True)[:_CANDIDATES]

    @property
    def tail(self) -> float:
        """Seconds from the end of a training to its result."""
        return max(self._tails) if self._tails else min(_TAIL_SECONDS, 0.1 * (self.seconds or 0.0))

    @property
    def after(self) -> float:
        """Seconds that the run takes after its last training."""
        if self.seconds is None:
            return 0.0
        pace = self._seconds_a_mac or _SECONDS_A_MAC * self.validation
        # One of the best so far, or as large a one, will be chosen and measured on test data.
        measuring = max(
            (pace * macs * (self.test_share + (not measured)) for _, macs, measured, _ in self._best),
            default=0.0,
        )
        measuring *= _SIDE_BY_SIDE if self.measuring > 1 else 1.0
        exporting = min(_EXPORT_SECONDS + measuring / self.measuring, _MOST_EXPORT_SHARE * self.seconds)
        again = max((worked for *_, worked in self._best), default=0.0) if self.retrains else 0.0
        return exporting + min(again, _MOST_AGAIN_SHARE * self.seconds)

    def left(self) -> float | None:
        """Seconds until the last result must be there; None without a limit, negative when time is up."""
        if self.seconds is None:
            return None
        whole = self.seconds if self._deadline is None else self._deadline - self.clock()
        return whole - self.after

    def training(self, keep: float = 0.0) -> float | None:
        """Seconds that a training that begins now may take.

        Args:
            keep: Seconds that are kept for what comes after it.
        """
        left = self.left()
        return None if left is None else left - keep - self.tail

    def over(self, keep: float = 0.0) -> bool:
        """Whether a worker that has not answered yet is given up."""
        left = self.left()
        return left is not None and left - keep < -_SLACK_SECONDS
