"""Notes on windows, rows and files that are left out, on windows of several labels, and on labels without windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cost_models.errors import UserError
from nas.model.words import counted, listed
from nas.tasks.loading.stretches import Stretch
from nas.tasks.loading.windows import Windows

_NAMED = 6


def check_windows(
    windows: Windows,
    stretches: Sequence[Stretch],
    labels: Sequence[str],
    files: Sequence[str],
    *,
    share: float = 1.0,
) -> list[str]:
    """A word about windows, rows and files that are left out, and about windows of several labels.

    Args:
        windows: All of them.
        stretches: What they are cut from.
        labels: Names by index.
        files: Names by index.
        share: Of rows of one label that a window was to have.

    Raises:
        UserError: A label gives no window.
    """
    longest = [0] * len(labels)
    for stretch in stretches:
        for label, first, end in stretch.runs():
            longest[label] = max(longest[label], end - first)
    if not len(windows.label):
        raise UserError(
            f"No recording lasts a window of {windows.rows:,} rows: the longest stretch of one label has"
            f" {max(longest, default=0):,}.",
            "Give a shorter --window.",
        )
    bare = np.setdiff1d(np.arange(len(labels)), windows.label).tolist()
    if bare:
        raise _bare(labels[bare[0]], longest[bare[0]], windows, share)
    notes = _notes_on_changes(windows, stretches, share)
    rows = sum(len(stretch.values) for stretch in stretches)
    covered = _covered(windows)
    if covered < rows:
        why = "one label, group and file" if share == 1 else "one group and file"
        around = " and rows around a change" if windows.left_out else ""
        notes.append(
            f"{rows - covered:,} of {rows:,} rows are in no window: stretches of {why} that end{around}."
        )
    used = set(windows.file.tolist())
    short = [name for i, name in enumerate(files) if i not in used]
    if short:
        alone = len(short) == 1
        why = "too short" if share == 1 else "too short or too mixed"
        notes.append(
            f"{len(short):,} file{' gives' if alone else 's give'} no window, {'it is' if alone else 'they are'} {why}:"
            f" {listed(short, _NAMED)}."
        )
    return notes


def _bare(label: str, longest: int, windows: Windows, share: float) -> UserError:
    """A label without a window."""
    if share < 1:
        return UserError(
            f"Label {label} has {windows.least:,} of {windows.rows:,} rows in no window: its longest stretch has"
            f" {longest:,}.",
            "Give a lower --label-share, a shorter --window or --hop, or remove its rows.",
        )
    most = 2 * longest > windows.rows
    return UserError(
        f"Label {label} never lasts a window of {windows.rows:,} rows: its longest stretch has {longest:,}.",
        f"Give a shorter --window,{' a --label-share below 1,' if most else ''} or remove its rows.",
    )


def _notes_on_changes(windows: Windows, stretches: Sequence[Stretch], share: float) -> list[str]:
    """A word about windows with a change of label or group in them: those left out and those kept."""
    crossing, of_group = _crossing(windows, stretches)
    left_out = windows.left_out + crossing
    everything = left_out + len(windows.label)
    said = (
        f"{counted(left_out, 'window')} across a change of label or group left out"
        f" ({_percent(left_out, everything)})"
    )
    if share == 1:
        # A lower share helps where the label alone changes.
        flag = "; --label-share 0.75 keeps those with 75 % of one label" if crossing > of_group else ""
        return [f"{said}{flag}."] if left_out else []
    notes = []
    mixed = int(np.count_nonzero(windows.foreign))
    if mixed:
        most = int(windows.foreign.max())
        notes.append(
            f"{counted(mixed, 'window')} with up to {most:,} of {windows.rows:,} rows of another label kept, by the"
            f" label of the most rows ({_percent(mixed, everything)})."
        )
    if left_out:
        notes.append(f"{said}: fewer than {windows.least:,} of {windows.rows:,} rows of one label and group.")
    if not mixed and not windows.left_out:
        notes.append(f"No window has rows of two labels: --label-share {share:g} changes none.")
    return notes


def _percent(count: int, of: int) -> str:
    return f"{100 * count / of:.0f} % of all"


def _crossing(windows: Windows, stretches: Sequence[Stretch]) -> tuple[int, int]:
    """Windows that recordings would have more if they were cut through the ends of stretches; and through groups."""
    crossing = of_group = 0
    ends: list[int] = []
    groups: list[int] = [0]  # changes of group before each stretch
    for stretch, after in zip(stretches, [*stretches[1:], None], strict=True):
        ends.append((ends[-1] if ends else 0) + len(stretch.values))
        if after is not None and after.joined and after.file == stretch.file:
            groups.append(groups[-1] + (after.group != stretch.group))
            continue
        starts = np.arange(0, ends[-1] - windows.rows + 1, windows.hop)
        first = np.searchsorted(ends, starts, side="right")
        last = np.searchsorted(ends, starts + windows.rows - 1, side="right")
        crossing += int(np.count_nonzero(first != last))
        before = np.array(groups)
        of_group += int(np.count_nonzero(before[first] != before[last]))
        ends, groups = [], [0]
    return crossing, of_group


def _covered(windows: Windows) -> int:
    """Rows that are in a window."""
    again = np.diff(windows.stretch) == 0
    new = np.where(again, np.minimum(np.diff(windows.start), windows.rows), windows.rows)
    return windows.rows + int(new.sum())
