"""Stretches of samples that follow each other in one group, and mostly of one label: what windows are cut from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.words import counted, listed
from nas.tasks.loading.class_folders import show
from nas.tasks.loading.holes import split_at_holes
from nas.tasks.loading.intervals import Intervals
from nas.tasks.loading.numbers import MISSING_LABELS
from nas.tasks.loading.raw_type import LARGEST
from nas.tasks.loading.stretches import Array, Stretch, Tally
from nas.tasks.loading.tables import Codes, Table
from nas.tasks.loading.times import Floats, Steps, measure_steps
from nas.tasks.options import Missing

_COARSE = 0.5  # share of times that repeat the one before
_FEW_STEPS = 20  # too few to tell
_RESTART = 16.0  # steps back: no disorder of single rows, but another recording
_LEAST_RUN, _FEW_ROWS = 3, 300  # rows of one label on average; and too few rows to tell
OUTSIDE = -2
_CHOICE = "--missing drop leaves such rows out, --missing interpolate fills short gaps."


@dataclass(slots=True)
class Book:
    """Words by index, as labels and groups of all files."""

    words: dict[str, int] = field(default_factory=dict)

    def index(self, word: str) -> int:
        """The index of a word, new or known."""
        return self.words.setdefault(word, len(self.words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Labels or groups of the rows of a file: one word for all, or codes.

    Code -1 is for a missing one, OUTSIDE for a row of no interval.
    """

    codes: Codes

    @classmethod
    def constant(cls, word: str, rows: int, book: Book) -> Marks:
        """One word for all rows."""
        return cls(codes=np.full(rows, book.index(word), np.int32))

    @classmethod
    def column(cls, table: Table, name: str, book: Book, spelt: Callable[[str], str]) -> Marks:
        """The words of a column."""
        words = table.words[name]
        known = [-1 if word.lower() in MISSING_LABELS else book.index(spelt(word)) for word in words.words]
        return cls(codes=np.asarray(known, np.int32)[words.codes])

    @classmethod
    def intervals(
        cls, intervals: Intervals, table: Table, book: Book, spelt: Callable[[str], str], tally: Tally
    ) -> Marks:
        """The labels of intervals of times, or of rows where there are no times."""
        at = np.arange(len(table.values), dtype=np.float64) if table.times is None else table.times
        place = intervals.place(at)
        tally.intervals += len(intervals.labels)
        tally.bare_intervals += len(intervals.labels) - len(np.unique(place[place >= 0]))
        known = [*(book.index(spelt(label)) for label in intervals.labels), OUTSIDE]
        return cls(codes=np.asarray(known, np.int32)[place])


def cut(
    table: Table,
    labels: Marks,
    groups: Marks | None,
    missing: Missing,
    *,
    file: int,
    time: str | None,
    tally: Tally,
    mixed: bool = False,
) -> tuple[list[Stretch], Steps | None]:
    """The stretches of a file, and the steps of its times.

    Args:
        table: The file.
        labels: Of its rows.
        groups: Of its rows.
        missing: What to do about missing values, gaps and times that do not rise.
        file: Its index.
        time: Name of the column of times.
        tally: Counts what is left out.
        mixed: Whether a stretch may have rows of several labels.

    Raises:
        UserError: Something is missing, and missing is "refuse"; or times are too coarse.
    """
    rows = len(table.values)
    tally.rows += rows
    tally.comments += table.comments
    tally.breaks += len(table.breaks)
    tally.files += 1
    whole = np.ones(rows, bool)
    outside = labels.codes == OUTSIDE
    tally.outside += int(np.count_nonzero(outside))
    for what, marks in (("label", labels), ("group", groups)):
        if marks is not None and (without := marks.codes == -1).any():
            if missing == "refuse":
                _refuse(table, without, f"has no {what}", "--missing drop leaves such rows out.")
            whole &= ~without
    tally.unlabelled += int(np.count_nonzero(~whole))
    whole &= ~outside
    if table.times is not None and not np.isfinite(table.times).all():
        timeless = ~np.isfinite(table.times)
        if missing == "refuse":
            _refuse(table, timeless, f"has no time in column {time}", "--missing drop leaves such rows out.")
        tally.timeless += int(np.count_nonzero(timeless))
        whole &= ~timeless
    with np.errstate(invalid="ignore"):
        huge = np.isfinite(table.values) & (np.abs(table.values) > LARGEST)
    if huge.any():
        row, channel = (int(i) for i in np.argwhere(huge)[0])
        raise UserError(
            f"{show(table.head.path)}: {table.place(row)} has {table.values[row, channel]:g} in column"
            f" {table.channels[channel]}, beyond the range of float32.",
            "The chip computes in float32: leave missing values empty, or use a larger unit.",
        )
    bad = ~np.isfinite(table.values)
    if bad.any():
        incomplete = bad.any(axis=1) & whole
        if missing == "refuse" and incomplete.any():
            _refuse_value(table, bad & whole[:, np.newaxis])
        if missing == "drop":
            tally.incomplete += int(np.count_nonzero(incomplete))
        table.values[bad] = np.nan  # an infinite value is none
    values = narrow(table.values)
    stretches: list[Stretch] = []
    firsts: list[int] = []
    group_codes = groups.codes if groups is not None else None
    for start, stop in _runs(table, labels.codes, group_codes, whole, mixed=mixed):
        for index in _rising(table, np.arange(start, stop), missing, time, tally):
            first, last = int(index[0]), int(index[-1]) + 1
            plain = bool((np.diff(index) == 1).all())
            firsts.append(first)
            stretches.append(
                Stretch(
                    values=values[first:last] if plain else values[index],
                    times=None if table.times is None else table.times[index],
                    labels=labels.codes[first:last] if plain else labels.codes[index],
                    group=-1 if groups is None else int(groups.codes[start]),
                    file=file,
                )
            )
    steps = (
        measure_steps([s.times for s in stretches if s.times is not None])
        if table.times is not None
        else None
    )
    if steps is not None and missing == "refuse":
        _check_gaps(table, stretches, firsts, steps, time)
    apart = set(table.breaks.tolist())  # by blank lines
    stretches = [
        replace(
            stretch,
            joined=before is not None
            and firsts[i] not in apart
            and _joins(before, firsts[i - 1], stretch, firsts[i], steps),
        )
        for i, (before, stretch) in enumerate(zip([None, *stretches], stretches, strict=False))
    ]
    if missing == "drop":
        stretches = [piece for stretch in stretches for piece in split_at_holes(stretch, steps, tally)]
    return stretches, steps


def _joins(before: Stretch, first: int, after: Stretch, start: int, steps: Steps | None) -> bool:
    """Whether the rows and times of two stretches follow on each other."""
    if first + len(before.values) != start:
        return False
    if before.times is None or after.times is None or steps is None:
        return True
    return bool(0 < after.times[0] - before.times[-1] <= steps.gap)


def narrow(values: Floats) -> Array:
    """Values as int16 or float32 where these hold them, or as they are."""
    if not len(values):
        return values.astype(np.float32)
    low, high = np.nanmin(values, axis=0, initial=0), np.nanmax(values, axis=0, initial=0)
    if low.min() >= -32768 and high.max() <= 32767:
        whole = values.astype(np.int16) if not np.isnan(values).any() else None
        if whole is not None and np.array_equal(whole, values):
            return whole
    if np.abs([low, high]).max() > np.finfo(np.float32).max:
        return values
    single = values.astype(np.float32)
    for channel in range(values.shape[1]):
        column = values[:, channel]
        there = column[~np.isnan(column)]
        spread = float(there.std()) if len(there) else 0.0
        # What float32 costs must be nothing beside what the channel tells, or the data set's own check must see it.
        if spread and float(np.nanmax(np.abs(column - single[:, channel]))) > 1e-3 * spread:
            return values
    return single


def _runs(
    table: Table, labels: Codes, groups: Codes | None, whole: NDArray[np.bool_], *, mixed: bool
) -> Iterator[tuple[int, int]]:
    """Ranges of whole rows with one group and, unless they may be mixed, one label.

    Raises:
        UserError: There are nearly as many as rows.
    """
    new = whole[1:] != whole[:-1]
    if groups is not None:
        new |= groups[1:] != groups[:-1]
    new[table.breaks - 1] = True
    changes = new | (labels[1:] != labels[:-1])
    count = int(np.count_nonzero(changes))
    if (count + 2) * _LEAST_RUN > len(labels) > _FEW_ROWS:
        raise UserError(
            f"{show(table.head.path)}: label or group change {count:,} times in {len(labels):,} rows.",
            "Name another column; rows of several recordings that take turns have to be sorted by recording.",
        )
    edges = np.flatnonzero(new if mixed else changes) + 1
    for start, stop in pairwise([0, *edges.tolist(), len(labels)]):
        if whole[start]:
            yield start, stop


def _rising(
    table: Table, index: NDArray[np.intp], missing: Missing, time: str | None, tally: Tally
) -> list[NDArray[np.intp]]:
    """The rows of a stretch in the order of time, each time once; apart where the clock starts again."""
    if table.times is None:
        return [index]
    times = table.times[index]
    steps = np.diff(times)
    back = steps <= 0
    if not back.any():
        return [index]
    if len(steps) >= _FEW_STEPS and np.count_nonzero(steps == 0) > _COARSE * len(steps):
        raise UserError(
            f"{show(table.head.path)}: most times in column {time} repeat the one before them: they are too coarse.",
            "Write them with fractions of a second; or give --time none and --sample-rate.",
        )
    if missing == "refuse":
        first = int(np.argmax(back)) + 1
        raise UserError(
            f"{show(table.head.path)}: the time in {table.place(int(index[first]))}, column {time}, does not rise"
            f" ({times[first - 1]:.15g}, then {times[first]:.15g})"
            f"{_more(int(np.count_nonzero(back)) - 1, 'time')}.",
            "Sort the rows by time, name several recordings of one file by --group, or choose --missing drop"
            " (leaves them out) or --missing interpolate (sorts them).",
        )
    usual = float(np.median(np.abs(steps)))
    restarts = np.flatnonzero(steps < -_RESTART * usual) + 1
    tally.restarts += len(restarts)
    return [_ordered(piece, table.times[piece], missing, tally) for piece in np.split(index, restarts)]


def _ordered(index: NDArray[np.intp], times: Floats, missing: Missing, tally: Tally) -> NDArray[np.intp]:
    """Rows whose times rise, by leaving out or by sorting."""
    back = np.count_nonzero(np.diff(times) <= 0)
    if not back:
        return index
    if missing == "drop":
        kept = np.concatenate([[True], times[1:] > np.maximum.accumulate(times)[:-1]])
        tally.unsorted += int(np.count_nonzero(~kept))
        return np.asarray(index[kept])
    tally.unsorted += int(back)
    order = np.argsort(times, kind="stable")
    once = np.concatenate([[True], np.diff(times[order]) > 0])
    return np.asarray(index[order][once])


def _check_gaps(
    table: Table, stretches: Sequence[Stretch], firsts: Sequence[int], steps: Steps, time: str | None
) -> None:
    """Refuses steps that are too long."""
    rows: list[int] = []
    for stretch, first in zip(stretches, firsts, strict=True):
        if stretch.times is not None:
            rows += (np.flatnonzero(np.diff(stretch.times) > steps.gap) + first + 1).tolist()
    if rows:
        assert table.times is not None
        raise UserError(
            f"{show(table.head.path)}: the times in column {time} have a gap before {table.place(rows[0])}, from"
            f" {table.times[rows[0] - 1]:.15g} to {table.times[rows[0]]:.15g} at steps of {steps.step:.4g}"
            f"{_more(len(rows) - 1, 'gap')}.",
            "--missing drop cuts the recording there, --missing interpolate fills short gaps.",
        )


def _refuse(table: Table, bad: NDArray[np.bool_], what: str, hint: str) -> None:
    count, row = int(np.count_nonzero(bad)), int(np.argmax(bad))
    raise UserError(f"{show(table.head.path)}: {table.place(row)} {what}{_more(count - 1, 'row')}.", hint)


def _refuse_value(table: Table, bad: NDArray[np.bool_]) -> None:
    row, count = int(np.argmax(bad.any(axis=1))), int(np.count_nonzero(bad))
    channels = [table.channels[i] for i in np.flatnonzero(bad[row])]
    what = "an infinite value" if np.isinf(table.values[row][bad[row]]).any() else "no value"
    raise UserError(
        f"{show(table.head.path)}: {table.place(row)} has {what} in column {listed(channels, 3)}"
        f"{_more(count - len(channels), 'value')}.",
        _CHOICE,
    )


def _more(count: int, what: str) -> str:
    return f", and {counted(count, f'more {what}')} in the file" if count > 0 else ""
