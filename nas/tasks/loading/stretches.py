"""A stretch of samples that follow each other with one label and group, and the count of what was left out for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.model.words import counted
from nas.tasks.loading.times import Floats
from nas.tasks.options import Missing

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Samples of one file, label and group, in the order of time.

    Attributes:
        values: Channels; NaN only where they are to be interpolated. Shape: (rows, channels).
        times: Rising, in the unit of the file. Shape: (rows,).
        label: Index of its label.
        group: Index of its group; -1 without.
        file: Index of its file.
        joined: Whether it follows on the stretch before it, with another label or group.
    """

    values: Array
    times: Floats | None
    label: int
    group: int
    file: int
    joined: bool = False


@dataclass(slots=True)
class Tally:
    """What was left out or changed, counted over all files."""

    rows: int = 0
    unlabelled: int = 0
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
            lines.append(f"The clock starts anew {counted(self.restarts, 'time')}; no window crosses that.")
        if self.filled:
            lines.append(f"Interpolated: {counted(self.filled, 'missing value')}.")
        if self.bridged:
            lines.append(f"Interpolated: {counted(self.bridged, 'short gap')} in time.")
        if self.gaps:
            lines.append(f"{counted(self.gaps, 'gap')} in time; no window crosses one.")
        return lines
