"""Missing values and gaps in time within a stretch: where it is cut, and what is interpolated."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from nas.tasks.loading.stretches import Array, Stretch, Tally
from nas.tasks.loading.times import Floats, Steps


def split_at_holes(stretch: Stretch, steps: Steps | None, tally: Tally) -> list[Stretch]:
    """Pieces without missing values and gaps."""
    whole = np.asarray(np.isfinite(stretch.values).all(axis=1))
    cuts = ~np.logical_and(whole[1:], whole[:-1])
    if stretch.times is not None and steps is not None:
        gaps = np.diff(stretch.times) > steps.gap
        tally.gaps += int(np.count_nonzero(gaps))
        cuts = np.logical_or(cuts, gaps)
    if not cuts.any() and whole.all():
        return [stretch]
    edges = [0, *(np.flatnonzero(cuts) + 1).tolist(), len(whole)]
    return [_part(stretch, a, b) for a, b in pairwise(edges) if b > a and whole[a]]


def _part(stretch: Stretch, start: int, stop: int) -> Stretch:
    times = None if stretch.times is None else stretch.times[start:stop]
    joined = stretch.joined and start == 0
    return replace(
        stretch,
        values=stretch.values[start:stop],
        labels=stretch.labels[start:stop],
        times=times,
        joined=joined,
    )


def fill(stretch: Stretch, longest: int, steps: Steps | None, tally: Tally) -> list[Stretch]:
    """Interpolates missing values of up to `longest` rows; longer ones and long gaps in time cut the stretch.

    What is missing at the ends is left out.
    """
    if steps is None or stretch.times is None:
        pieces = [stretch]
    else:
        bridged = max(steps.gap, (longest + 1.5) * steps.step)
        between = np.diff(stretch.times)
        tally.bridged += int(np.count_nonzero((between > steps.gap) & (between <= bridged)))
        tally.gaps += int(np.count_nonzero(between > bridged))
        edges = [0, *(np.flatnonzero(between > bridged) + 1).tolist(), len(stretch.times)]
        pieces = [_part(stretch, a, b) for a, b in pairwise(edges)]
    return [
        whole for piece in pieces for whole in split_at_holes(_filled(piece, longest, tally), None, tally)
    ]


def _filled(stretch: Stretch, longest: int, tally: Tally) -> Stretch:
    if stretch.values.dtype.kind != "f" or not np.isnan(stretch.values).any():
        return stretch
    values = stretch.values.copy()
    place = np.arange(len(values), dtype=np.float64) if stretch.times is None else stretch.times
    for channel in range(values.shape[1]):
        _fill_channel(values[:, channel], place, longest, tally)
    tally.incomplete += int(np.count_nonzero(np.isnan(values).any(axis=1)))
    return replace(stretch, values=values)


def _fill_channel(column: Array, place: Floats, longest: int, tally: Tally) -> None:
    bad = np.isnan(column)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], bad, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if start > 0 and stop < len(column) and stop - start <= longest:
            column[start:stop] = np.interp(
                place[start:stop], place[[start - 1, stop]], column[[start - 1, stop]].astype(np.float64)
            )
            tally.filled += stop - start
