"""The report page of a run that is still under way: written again as trainings end, reloaded by the browser itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.model.records import TrialRecord
from nas.model.result import RunSummary
from nas.report.page import render

_LEAST_SECONDS = 10.0
_AT_ONCE_SECONDS = 0.01  # a training; faster ones are read from the record
_SHARE = 0.01  # of the run's time that writing the page may take


class LiveReport:
    """Listens to a search and keeps `report.html` up to date.

    The page says how far the search is and when it will end, at the pace so far. It appears with the first training.

    Args:
        path: The HTML file.
        summarize: The run's summary as it stands, without a chosen model; called as seldom as the page is written.
        write: Puts the page in place.
        clock: Seconds, for tests.
    """

    def __init__(
        self,
        path: Path,
        *,
        summarize: Callable[[], dict[str, Any]],
        write: Callable[[Path, bytes], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._summarize = summarize
        self._write = write
        self._clock = clock
        self._next = -1.0
        self._begun = clock()
        self._stage = ""
        self._earlier = self._done = self._total = 0

    def stage(self, text: str, total: int) -> None:
        """A stage of `total` trainings begins; 0 where only the time says when it ends."""
        self._stage, self._total, self._done, self._earlier = text, total, 0, 0
        self._begun = self._clock()

    def say(self, text: str) -> None:
        """A sentence for the terminal; the page says the same in its own words."""

    def trial(self, record: TrialRecord) -> None:
        """A training ended, now or in an earlier part of the run."""
        if record.state == "rejected":
            return
        now = self._clock()
        self._done += 1
        if now - self._begun < _AT_ONCE_SECONDS * self._done:
            self._earlier = self._done  # of the part before a resume: says nothing of the pace
        if now < self._next:
            return
        self._write(
            self._path,
            render(RunSummary.model_validate(self._summarize() | {"progress": self._progress(now)})).encode(),
        )
        took = self._clock() - now
        self._next = now + max(_LEAST_SECONDS, took / _SHARE)

    def _progress(self, now: float) -> dict[str, Any]:
        fresh = self._done - self._earlier
        left = None
        if fresh > 0 and self._done <= self._total:
            left = (now - self._begun) / fresh * (self._total - self._done)
        return {
            "stage": self._stage,
            "done": self._done,
            "total": max(self._total, self._done) if self._total else 0,
            "seconds_left": left,
            "at": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        }
