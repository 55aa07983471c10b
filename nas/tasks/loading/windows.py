"""Windows of one length, cut from stretches: never across a file, a group or a gap, and mostly of one label."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.tasks.loading.mapped import release, room_for
from nas.tasks.loading.memory import require_memory, work_bytes
from nas.tasks.loading.stretches import Array, Stretch

Indices = NDArray[np.int64]

_SHORTEST, _LONGEST = 4, 100_000  # rows
_WHOLE = 2_000  # rows of a file that may be one sample
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|seconds?|ms)?", re.IGNORECASE)


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
        label: The one that most of its rows have. Shape: (n,).
        foreign: Rows of other labels in each. Shape: (n,).
        group: -1 without. Shape: (n,).
        file: Shape: (n,).
        least: Rows of one label that a window needs.
        left_out: How many others lie within a stretch, but have too few rows of any label.
    """

    rows: int
    hop: int
    stretch: Indices
    start: Indices
    label: Indices
    foreign: Indices
    group: Indices
    file: Indices
    least: int
    left_out: int


def parse_length(text: str, flag: str, *, rows: str = "rows, such as 64, or ") -> Length:
    """`64` rows, `2.5s` or `500ms`.

    Args:
        text: What was given.
        flag: Where.
        rows: What is said of rows; empty where a length is a time.

    Raises:
        UserError: Something else.
    """
    match = _LENGTH.fullmatch(str(text).strip())
    bare = match is not None and match[2] is None
    if match is None or (bare and ("." in match[1] or not rows)) or not float(match[1]):
        example = "seconds, such as 2.5s" if rows else "seconds or milliseconds, such as 1s or 800ms"
        raise UserError(f"{flag} {text} is not a length.", f"Write {rows}{example}.")
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
            span = " to ".join(dict.fromkeys((f"{min(lengths):,}", f"{max(lengths):,}")))
            usual = f"{max(_SHORTEST, round(2 * rate_hz))} or 2s" if rate_hz else "128"
            raise UserError(
                f"The length of a window is not given, and recordings of {span} rows are not samples by themselves.",
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


def place_windows(stretches: Sequence[Stretch], rows: int, hop: int, share: float = 1.0) -> Windows:
    """All windows that lie within a stretch and have a label.

    Args:
        stretches: All of them.
        rows: Of a window.
        hop: Rows from one to the next.
        share: Of the rows of a window that have its label, at least; above one half, so that one label has it.
    """
    least = max(rows // 2 + 1, math.ceil(share * rows - 1e-9 * rows))
    starts, labels, counts, kept = [], [], [], []
    left_out = 0
    for stretch in stretches:
        start = np.arange(0, max(0, len(stretch.values) - rows + 1), hop)
        label, count = _most(stretch, start, rows)
        enough = count >= least
        left_out += int(np.count_nonzero(~enough))
        starts.append(start[enough])
        labels.append(label[enough])
        counts.append(count[enough])
        kept.append(int(np.count_nonzero(enough)))
    which = np.repeat(np.arange(len(stretches)), kept)

    def joined(parts: list[Indices]) -> Indices:
        return np.concatenate([*parts, np.empty(0, np.int64)]).astype(np.int64)

    def each(values: list[int]) -> Indices:
        return np.asarray(np.array(values, np.int64)[which], np.int64)

    return Windows(
        rows=rows,
        hop=hop,
        stretch=which.astype(np.int64),
        start=joined(starts),
        label=joined(labels),
        foreign=rows - joined(counts),
        group=each([stretch.group for stretch in stretches]),
        file=each([stretch.file for stretch in stretches]),
        least=least,
        left_out=left_out,
    )


def _most(stretch: Stretch, start: Indices, rows: int) -> tuple[Indices, Indices]:
    """The label that the most rows of each window have, and how many."""
    label, most = np.zeros(len(start), np.int64), np.zeros(len(start), np.int64)
    present = np.unique(stretch.labels) if len(start) else np.empty(0, np.int64)
    if len(present) == 1:
        return np.full(len(start), present[0], np.int64), np.full(len(start), rows, np.int64)
    for value in present.tolist():
        until = np.concatenate([[0], np.cumsum(stretch.labels == value)])
        count = until[start + rows] - until[start]
        label[count > most] = value
        most = np.maximum(most, count)
    return label, most


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
    made = room_for((len(chosen), windows.rows, len(channels)), dtype)
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
        release(made)
    return made
