"""One sample rate for all files: measured by their times, with the unit of these, or said by the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cost_models.errors import UserError
from nas.tasks.loading.class_folders import show
from nas.tasks.loading.times import UNITS, Steps, guess_unit, named_unit, unit_for_rate

_SAME = 0.02  # two clocks of one rate differ by less
_WHOLE = 0.01
_FAR = 5.0
_UNIT_HINT = "Write the unit into the name of the column (t_ms), or give --sample-rate."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The rate of all samples.

    Attributes:
        hz: Samples a second; None where nothing tells.
        step: Between two times, in their unit; None without times.
        resampled: Files that do not have this step, or no even one.
        notes: What was measured, guessed and is resampled.
    """

    hz: float | None
    step: float | None
    resampled: frozenset[int]
    notes: tuple[str, ...]


def common_rate(
    steps: Sequence[Steps | None],
    paths: Sequence[Path],
    *,
    column: str | None,
    kind: str,
    size: float,
    sample_rate: float | None,
    seconds: bool,
) -> Rate:
    """The rate that all files have, or are brought to.

    Args:
        steps: By file; None where a file has no two times.
        paths: The files.
        column: Of times; None without.
        kind: "text" for ISO 8601, in microseconds; "number".
        size: A usual time, to tell seconds since 1970.
        sample_rate: What the user says, in Hz.
        seconds: Whether windows are given in seconds.

    Raises:
        UserError: Files of different rates, an unknown unit where it is needed, or no rate at all.
    """
    known = [step for step in steps if step is not None]
    if column is None or not known:
        if seconds and sample_rate is None and column is not None:
            raise UserError(
                f"Column {column} tells no sample rate: nowhere do two rows of one label follow each other.",
                "Look at the labels; --label-share 0.75 keeps windows across their changes.",
            )
        if seconds and sample_rate is None:
            raise UserError(
                "Windows in seconds need a sample rate.", "Give --sample-rate, a column with --time, or rows."
            )
        return Rate(hz=sample_rate, step=None, resampled=frozenset(), notes=())
    usual = float(np.median([step.step for step in known]))
    unit, why = _unit(column, kind, size, usual, sample_rate)
    if unit is None and (seconds or sample_rate is not None):
        raise UserError(
            f"The unit of column {column} is not plain: its steps are {usual:.4g}"
            f"{f', which is {sample_rate:g} Hz in none' if sample_rate is not None else ''}.",
            _UNIT_HINT if sample_rate is None else "Write the unit into the name of the column (t_ms).",
        )
    target, notes = usual, []
    if unit is not None:
        measured = 1 / (usual * UNITS[unit])
        if sample_rate is not None and not 1 / _FAR < measured / sample_rate < _FAR:
            raise UserError(
                f"The times in column {column} ({unit}) run at {measured:.4g} Hz, far from"
                f" --sample-rate {sample_rate:g}.",
                "Check the unit, which the name of the column may give (t_ms), and the rate.",
            )
        notes.append(f"Times in column {column} ({why}) run at {measured:.4g} Hz.")
        if sample_rate is not None and abs(measured / sample_rate - 1) > _SAME:
            target = 1 / (sample_rate * UNITS[unit])
        elif any(not step.even for step in known):
            # Where times are made even, they may as well be those of a whole rate.
            target = 1 / (_tidy(measured, _WHOLE) * UNITS[unit])
    elif why:
        notes.append(why)
    other = [i for i, step in enumerate(steps) if step is not None and abs(step.step / target - 1) > _SAME]
    if other and sample_rate is None:
        file = other[0]
        first = steps[file]
        assert first is not None
        raise UserError(
            f"{show(paths[file])} has steps of {first.step:.4g} in column {column}, where most files have {usual:.4g}.",
            "--sample-rate brings all files to one rate.",
        )
    uneven = [i for i, step in enumerate(steps) if step is not None and not step.even]
    hz = None if unit is None else _tidy(1 / (target * UNITS[unit]))
    to = f"{hz:g} Hz" if hz is not None else f"steps of {target:.4g}"
    if other:
        slower = any((s := steps[i]) is not None and target > 1.2 * s.step for i in other)
        how = "by means over each step" if slower else "linearly"
        notes.append(f"{_files(len(other), len(steps))} resampled to {to}, {how}.")
    only = [i for i in uneven if i not in other]
    if only:
        ends = [step for i in only if (step := steps[i]) is not None]
        notes.append(
            f"{_files(len(only), len(steps))} uneven times (steps from {min(e.low for e in ends):.4g} to"
            f" {max(e.high for e in ends):.4g}) and {'is' if len(only) == 1 else 'are'} resampled linearly to {to}."
        )
        notes[-1] = notes[-1].replace(" is uneven", " has uneven").replace(" are uneven", " have uneven")
    return Rate(hz=hz, step=target, resampled=frozenset(other) | frozenset(uneven), notes=tuple(notes))


def _unit(
    column: str, kind: str, size: float, step: float, sample_rate: float | None
) -> tuple[str | None, str]:
    """The unit and how it is known; without one, a word about that."""
    if kind == "text":
        return "us", "ISO 8601"
    if (named := named_unit(column)) is not None:
        return named, f"{named}, by its name"
    if (guessed := guess_unit(np.array([size]), step)) is not None:
        return guessed, f"{guessed}, by their size"
    if sample_rate is not None and (near := unit_for_rate(step, sample_rate)) is not None:
        return near, f"{near}, by the sample rate"
    return None, f"The unit of column {column} is not plain (steps of {step:.4g}): no sample rate is known."


def _tidy(hz: float, near: float = 0.002) -> float:
    """A rate without the noise of its measurement: 49.998 is 50."""
    whole = round(hz)
    return float(whole) if whole and abs(hz / whole - 1) < near else float(f"{hz:.6g}")


def _files(count: int, of: int) -> str:
    return f"{count:,} of {of:,} files {'is' if count == 1 else 'are'}"
