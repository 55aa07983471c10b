"""A stretch of samples that follow each other in one group, and the count of what was left out for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nas.model.words import counted
from nas.tasks.loading.times import Floats
from nas.tasks.options import Missing

Array = NDArray[np.generic]
Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Samples of one file and group, in the order of time; of one label, unless windows may have rows of several.

    Attributes:
        values: Channels; NaN only where they are to be interpolated. Shape: (rows, channels).
        times: Rising, in the unit of the file. Shape: (rows,).
        labels: Index of the label of each row. Shape: (rows,).
        group: Index of its group; -1 without.
        file: Index of its file.
        joined: Whether it follows on the stretch before it, with another label or group.
    """

    values: Array
    times: Floats | None
    labels: Labels
    group: int
    file: int
    joined: bool = False

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Label, first row and end of each run of rows with one label."""
        edges = [0, *(np.flatnonzero(np.diff(self.labels)) + 1).tolist(), len(self.labels)]
        for first, end in pairwise(edges):
            if end > first:
                yield int(self.labels[first]), first, end


@dataclass(slots=True)
class Tally:
    """Counts of rows that were left out or changed, over all files."""

    rows: int = 0
    unlabelled: int = 0
    outside: int = 0
    intervals: int = 0
    bare_intervals: int = 0
    incomplete: int = 0
    timeless: int = 0
    unsorted: int = 0
    gaps: int = 0
    comments: int = 0
    filled: int = 0
    bridged: int = 0
    restarts: int = 0
    breaks: int = 0
    files: int = 0

    def notes(self, missing: Missing) -> list[str]:
        """A sentence for each thing that happened."""
        lines = []
        if self.comments:
            lines.append(f"Comments between the rows are skipped ({counted(self.comments, 'line')}).")
        if self.breaks:
            lines.append(f"{counted(self.breaks, 'blank line')} between the rows; no window crosses one.")
        if self.unlabelled:
            lines.append(f"Without label or group, left out: {self.unlabelled:,} of {self.rows:,} rows.")
        if self.outside:
            lines.append(
                f"Outside of the intervals with labels, left out: {self.outside:,} of {self.rows:,} rows."
            )
        if self.bare_intervals:
            lines.append(f"{self.bare_intervals:,} of {counted(self.intervals, 'interval')} hold no row.")
        if self.timeless:
            lines.append(f"Without time, left out: {self.timeless:,} of {self.rows:,} rows.")
        if self.incomplete:
            lines.append(
                f"Without some value, left out: {self.incomplete:,} of {self.rows:,} rows; no window crosses them."
            )
        if self.unsorted:
            done = "left out" if missing == "drop" else "sorted in; of rows with one time the first is kept"
            lines.append(f"Times do not rise in {counted(self.unsorted, 'row')}: {done}.")
        if self.restarts:
            lines.append(f"The clock starts again {counted(self.restarts, 'time')}; no window crosses that.")
        if self.filled:
            lines.append(f"Interpolated: {counted(self.filled, 'missing value')}.")
        if self.bridged:
            lines.append(f"Interpolated: {counted(self.bridged, 'short gap')} in time.")
        if self.gaps:
            lines.append(f"{counted(self.gaps, 'gap')} in time; no window crosses one.")
        return lines
