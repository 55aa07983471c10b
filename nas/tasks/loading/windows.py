"""Windows of one length, cut from stretches: never across a file, a label, a group or a gap."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.words import counted, listed
from nas.tasks.loading.memory import require_memory, work_bytes
from nas.tasks.loading.stretches import Array, Stretch

Indices = NDArray[np.int64]

_SHORTEST, _LONGEST = 4, 100_000  # rows
_WHOLE = 2_000  # rows of a file that may be one sample
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|seconds?|ms)?", re.IGNORECASE)
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Length:
    """A length as the user says it: rows, or seconds."""

    rows: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Places of windows.

    Attributes:
        rows: Their length.
        hop: Rows from one to the next.
        stretch: Index of the stretch of each. Shape: (n,).
        start: Its first row there. Shape: (n,).
        label: Shape: (n,).
        group: -1 without. Shape: (n,).
        file: Shape: (n,).
    """

    rows: int
    hop: int
    stretch: Indices
    start: Indices
    label: Indices
    group: Indices
    file: Indices


def parse_length(text: str | None, flag: str) -> Length | None:
    """`64` rows, `2.5s` or `500ms`.

    Raises:
        UserError: Something else.
    """
    if text is None:
        return None
    match = _LENGTH.fullmatch(str(text).strip())
    if match is None or (match[2] is None and "." in match[1]) or not float(match[1]):
        raise UserError(f"{flag} {text} is no length.", "Write rows, such as 64, or seconds, such as 2.5s.")
    if match[2] is None:
        return Length(int(match[1]), None)
    return Length(None, float(match[1]) * (1e-3 if match[2].lower() == "ms" else 1.0))


def choose_window(
    window: Length | None,
    hop: Length | None,
    stretches: Sequence[Stretch],
    rate_hz: float | None,
    recordings: int,
) -> tuple[int, int, list[str]]:
    """Rows of a window, rows from one to the next, and a word about both.

    Args:
        window: As the user says it; None where each recording is a sample.
        hop: The same; None for half a window.
        stretches: All of them.
        rate_hz: Of their samples, where it is known.
        recordings: Files, and parts of files with blank lines between them.

    Raises:
        UserError: None is given and the stretches are not samples by themselves, or it is out of range.
    """
    lengths = [len(stretch.values) for stretch in stretches]
    if window is None:
        same = len(set(lengths)) == 1 and len(stretches) == recordings
        if not same or lengths[0] > _WHOLE or lengths[0] < _SHORTEST or hop is not None:
            usual = f"{max(_SHORTEST, round(2 * rate_hz))} or 2s" if rate_hz else "128"
            raise UserError(
                f"The length of a window is not given, and recordings of {min(lengths):,} to {max(lengths):,} rows"
                " are no samples by themselves.",
                f"Give --window, such as {usual}: long enough for what is to be told apart.",
            )
        return lengths[0], lengths[0], [f"Each recording is one sample, as all have {lengths[0]:,} rows."]
    rows = _rows(window, rate_hz)
    if not _SHORTEST <= rows <= _LONGEST:
        raise UserError(
            f"A window of {rows:,} rows is out of range.", f"Use {_SHORTEST} to {_LONGEST:,} rows."
        )
    step = max(1, rows // 2) if hop is None else _rows(hop, rate_hz)
    if step < 1:
        raise UserError("A hop of 0 rows is out of range.", "Use 1 row or more.")
    span = f" ({rows / rate_hz:.4g} s)" if rate_hz else ""
    half = " by default" if hop is None else ""
    notes = [f"Windows of {rows:,} rows{span}, one every {step:,} rows{half}."]
    if step > rows:
        notes.append(f"The hop leaves {step - rows:,} rows between windows that no window sees.")
    return rows, step, notes


def _rows(length: Length, rate_hz: float | None) -> int:
    if length.rows is not None:
        return length.rows
    assert length.seconds is not None
    assert rate_hz is not None, "a rate is asked for before"
    return round(length.seconds * rate_hz)


def place_windows(stretches: Sequence[Stretch], rows: int, hop: int) -> Windows:
    """All windows that lie within a stretch."""
    counts = [max(0, (len(stretch.values) - rows) // hop + 1) for stretch in stretches]
    which = np.repeat(np.arange(len(stretches)), counts)
    start = np.concatenate([np.arange(count) * hop for count in counts] or [np.empty(0, np.int64)])

    def each(values: list[int]) -> Indices:
        return np.asarray(np.array(values, np.int64)[which], np.int64)

    return Windows(
        rows=rows,
        hop=hop,
        stretch=which.astype(np.int64),
        start=start.astype(np.int64),
        label=each([stretch.label for stretch in stretches]),
        group=each([stretch.group for stretch in stretches]),
        file=each([stretch.file for stretch in stretches]),
    )


def check_windows(
    windows: Windows, stretches: Sequence[Stretch], labels: Sequence[str], files: Sequence[str]
) -> list[str]:
    """A word about rows and files that give no window.

    Raises:
        UserError: A label gives none.
    """
    longest = [0] * len(labels)
    for stretch in stretches:
        longest[stretch.label] = max(longest[stretch.label], len(stretch.values))
    if not len(windows.label):
        raise UserError(
            f"No recording lasts a window of {windows.rows:,} rows: the longest stretch of one label has"
            f" {max(longest, default=0):,}.",
            "Give a shorter --window.",
        )
    bare = [i for i in range(len(labels)) if longest[i] < windows.rows]
    if bare:
        raise UserError(
            f"Label {labels[bare[0]]} never lasts a window of {windows.rows:,} rows: its longest stretch has"
            f" {longest[bare[0]]:,}.",
            "Give a shorter --window, or remove its rows.",
        )
    notes = []
    if crossing := _crossing(windows, stretches):
        share = crossing / (crossing + len(windows.label))
        notes.append(
            f"{counted(crossing, 'window')} across a change of label or group left out ({100 * share:.0f} % of all)."
        )
    rows = sum(len(stretch.values) for stretch in stretches)
    covered = _covered(windows, len(stretches))
    if covered < rows:
        notes.append(
            f"{rows - covered:,} of {rows:,} rows are in no window: stretches of one label, group and file that end."
        )
    used = set(windows.file.tolist())
    short = [name for i, name in enumerate(files) if i not in used]
    if short:
        one = len(short) == 1
        notes.append(
            f"{len(short):,} file{' gives' if one else 's give'} no window, {'it is' if one else 'they are'} too short:"
            f" {listed(short, _NAMED)}."
        )
    return notes


def _crossing(windows: Windows, stretches: Sequence[Stretch]) -> int:
    """Windows that recordings would have more if they were cut through changes of label and group."""
    crossing = 0
    ends: list[int] = []
    for stretch, after in zip(stretches, [*stretches[1:], None], strict=True):
        ends.append((ends[-1] if ends else 0) + len(stretch.values))
        if after is None or not after.joined or after.file != stretch.file:
            starts = np.arange(0, ends[-1] - windows.rows + 1, windows.hop)
            first = np.searchsorted(ends, starts, side="right")
            last = np.searchsorted(ends, starts + windows.rows - 1, side="right")
            crossing += int(np.count_nonzero(first != last))
            ends = []
    return crossing


def _covered(windows: Windows, stretches: int) -> int:
    counts = np.bincount(windows.stretch, minlength=stretches)
    return int(np.where(counts > 0, windows.rows + (counts - 1) * min(windows.hop, windows.rows), 0).sum())


def require_room(windows: Windows, channels: int, dtype: np.dtype[np.generic], name: str) -> None:
    """Refuses windows that do not fit into memory, before they are cut.

    Raises:
        UserError: So it is.
    """
    shape = (len(windows.label), windows.rows, channels)
    needed = math.prod(shape) * dtype.itemsize + work_bytes(shape, dtype)
    require_memory(needed, f"{name}: {shape[0]:,} windows", "Give a longer --hop, or fewer recordings.")


def cut_windows(
    stretches: Sequence[Stretch], windows: Windows, chosen: Indices, channels: Sequence[int]
) -> Array:
    """The samples of some windows, in the order of `chosen`, which goes up. Shape: (n, rows, channels)."""
    dtype = np.result_type(*{stretch.values.dtype for stretch in stretches})
    made = np.empty((len(chosen), windows.rows, len(channels)), dtype)
    which = windows.stretch[chosen]
    edges = [0, *(np.flatnonzero(np.diff(which)) + 1).tolist(), len(chosen)]
    plain = list(channels) == list(range(stretches[0].values.shape[1]))
    for first, last in pairwise(edges):
        if first == last:
            continue
        values = stretches[int(which[first])].values
        view = np.lib.stride_tricks.sliding_window_view(
            values if plain else values[:, channels], windows.rows, axis=0
        )
        made[first:last] = view[windows.start[chosen[first:last]]].transpose(0, 2, 1)
    return made
