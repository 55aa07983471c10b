"""Progress on stderr: a live line in a terminal, plain lines everywhere else."""

from __future__ import annotations

import time
from typing import TextIO

from cost_models.folded import folded
from nas.model.metrics import METRICS
from nas.model.records import TrialRecord, trainings

_PATIENCE = 1.0  # seconds of reading that need no word


class Progress:
    """Tells how a run goes.

    Args:
        stream: Where to, normally stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._live = self._console.is_terminal
        self._bar: object | None = None
        self._total = 0
        self._done = 0
        self._rejected = 0
        self._best: float | None = None
        self._stage = ""
        self._metric = "accuracy"
        self._began = 0.0

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(folded(text, self._console.file, indent=4), markup=False)

    def stage(self, text: str, total: int) -> None:
        """A stage of `total` trials begins; 0 where only the time says when it ends."""
        self.end_stage()
        self._stage, self._total, self._done = text, total, 0
        if self._live and (total or text == "search"):
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[best]}"),
                console=self._console,
                transient=True,
            )
            bar.add_task(text, total=total or None, best="")
            bar.start()
            self._bar = bar
        elif total:
            self.say(f"{text}: {'about ' if text == 'search' else ''}{total:,} {trainings(total)}")
        elif text == "search":
            self.say(f"{text}: as many trainings as there is time for")

    def reading(self, text: str, done: int, total: int) -> None:
        """So many things of a data set are read; a line only where that takes a while."""
        if text != self._stage:
            self._stage, self._began, self._total = text, time.monotonic(), 0
        if self._total != total and done < total and time.monotonic() - self._began > _PATIENCE:
            if self._live:
                self.stage(text, total)
            else:
                self._total = total
                self.say(f"{text}: {total:,}")
        if self._bar is not None:
            self._bar.update(0, completed=done)  # type: ignore[attr-defined]
            if done >= total:
                self.end_stage()

    def trial(self, record: TrialRecord) -> None:
        """A trial ended."""
        if record.state == "rejected":
            self._rejected += 1
            return
        self._done += 1
        if self._total:
            self._total = max(self._total, self._done)  # how many are promoted is known only afterwards
        if record.accuracy is not None:
            self._metric = METRICS[record.accuracy.metric].label
        searched = record.state == "evaluated" and record.judges is None
        if searched and (self._best is None or record.value > self._best):
            self._best = record.value
        if self._bar is not None:
            best = "" if self._best is None else f"best int8 {self._metric} {self._best:.4f}"
            if self._rejected:
                best += f", {self._rejected} rejected before training"
            self._bar.update(0, completed=self._done, total=self._total or None, best=best)  # type: ignore[attr-defined]
        if self._bar is None or record.state == "failed":
            self.say(self._line(record))

    def _line(self, record: TrialRecord) -> str:
        steps = f"{record.steps:,} steps"
        if record.cut_at is not None:
            steps = f"time limit, {record.cut_at:,} of {steps}"
        done = f"{self._done}/{self._total}" if self._total else str(self._done)
        head = f"  {self._stage} {done} trial {record.number}, {steps}:"
        if record.state == "failed" or record.costs is None:
            return f"{head} failed, {record.reason}{f' (traceback in {record.log})' if record.log else ''}"
        costs = record.costs
        cycles = "" if costs.cycles is None else f", {costs.cycles / 1e6:.2f} M cycles"
        return (
            f"{head} int8 {self._metric} {record.value:.4f}, SRAM {costs.sram_bytes / 1024:.1f} KB,"
            f" flash {costs.flash_bytes / 1024:.1f} KB{cycles} ({record.worked_seconds:.1f} s)"
        )

    def end_stage(self) -> None:
        """The live line goes."""
        if self._bar is not None:
            self._bar.stop()  # type: ignore[attr-defined]
            self._bar = None
