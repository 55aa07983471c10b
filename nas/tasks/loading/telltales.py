"""Channels that tell more than a sensor does: clocks and counters, and what only says the label again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cost_models.errors import UserError
from nas.model.words import listed
from nas.tasks.loading.stretches import Array, Stretch

_CLOCK_ROWS = 16
_ONE_PACE = 0.2
_NAMED = 6


def telltales(
    stretches: Sequence[Stretch], channels: Sequence[str], *, named: bool = False
) -> tuple[list[int], list[str]]:
    """Channels to keep, and a word about the others: clocks and counters, and what only says the label again.

    Args:
        stretches: All of them.
        channels: Names of their first columns, which are to be channels.
        named: Whether the user named the channels: then all are kept, and the word is a warning.

    Raises:
        UserError: None is left.
    """
    width = len(channels)
    clock = np.ones(width, bool)
    low: dict[int, Array] = {}
    high: dict[int, Array] = {}
    long = 0
    pace: dict[int, float] = {}
    for stretch in stretches:
        for label, first, end in stretch.runs():
            values = stretch.values[first:end, :width]
            least, most = values.min(axis=0), values.max(axis=0)
            low[label] = np.minimum(low.get(label, least), least)
            high[label] = np.maximum(high.get(label, most), most)
            if len(values) < _CLOCK_ROWS:
                continue
            long += 1
            for channel in np.flatnonzero(clock).tolist():
                steps = np.diff(values[:, channel].astype(np.float64))
                usual = float(np.median(steps))
                pace[channel] = pace.get(channel, usual)
                # What is measured may rise all the time, too, but not everywhere at one pace.
                clock[channel] = bool((steps > 0).all()) and abs(usual / pace[channel] - 1) < _ONE_PACE
    lows, highs = np.stack([*low.values()]), np.stack([*high.values()])
    alike = (lows == highs).all(axis=0) & ~(lows == lows[0]).all(axis=0)
    clock &= long > 0
    notes = []
    if clock.any():
        names = [channels[i] for i in np.flatnonzero(clock).tolist()]
        notes.append(
            f"{_done(names, named)} {'it rises' if len(names) == 1 else 'they rise'} from row to row like a clock or"
            f" counter: {listed(names, _NAMED)}; --time takes times."
        )
    alike &= ~clock
    if alike.any():
        names = [channels[i] for i in np.flatnonzero(alike).tolist()]
        notes.append(
            f"{_done(names, named)} {'it has' if len(names) == 1 else 'they have'} one value for each label and"
            f" would tell it: {listed(names, _NAMED)}."
        )
    if named:
        return list(range(width)), notes
    kept = [i for i in range(width) if not clock[i] and not alike[i]]
    if not kept:
        raise UserError(
            f"No channel is left: clocks, counters or the label itself are all of {listed(list(channels), _NAMED)}.",
            "Give columns of measurements.",
        )
    return kept, notes


def _done(names: Sequence[str], named: bool) -> str:
    if not named:
        return "Left out, as"
    return f"Kept, as --channels names {'it' if len(names) == 1 else 'them'}, though"
