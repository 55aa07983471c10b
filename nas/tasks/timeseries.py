"""The user's own recordings: `timeseries:PATH`, CSV or Parquet files with one row for each moment in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cost_models.errors import UserError
from nas.model.words import counted, listed
from nas.tasks.dataset import Dataset, make_dataset
from nas.tasks.loading import PARTS
from nas.tasks.loading.class_folders import show
from nas.tasks.loading.columns import Roles, choose_roles
from nas.tasks.loading.gzip_file import content_bytes
from nas.tasks.loading.holes import fill
from nas.tasks.loading.label_file import find_label_file
from nas.tasks.loading.label_sources import Sources, check_kind, find_sources
from nas.tasks.loading.memory import available_bytes, require_memory
from nas.tasks.loading.number_columns import last_rows, named_targets, number_roles, without_classes
from nas.tasks.loading.rates import Rate, common_rate
from nas.tasks.loading.recordings import Book, Marks, cut
from nas.tasks.loading.signal_labels import check_words, class_order, spelt
from nas.tasks.loading.stretches import Stretch, Tally
from nas.tasks.loading.table_files import TableFiles, find_files, stem_of
from nas.tasks.loading.table_reading import read_head, read_table
from nas.tasks.loading.tables import Head
from nas.tasks.loading.telltales import telltales
from nas.tasks.loading.times import Steps, nearest, resample
from nas.tasks.loading.window_notes import check_windows
from nas.tasks.loading.window_split import SHARES, VALIDATION, part_indices, split_windows
from nas.tasks.loading.windows import (
    Indices,
    Length,
    Windows,
    choose_window,
    cut_windows,
    parse_length,
    place_windows,
    require_room,
)
from nas.tasks.options import TaskOptions, least_classes

_NAMED = 12


def load(argument: str, options: TaskOptions) -> Dataset:
    """Reads recordings, cuts windows of them and splits these by group, file or time.

    Windows have the shape (rows, channels). None crosses a file, a change of group, or a gap in time; one that crosses
    a change of label is left out, or of the label of most of its rows.

    Raises:
        UserError: Files, columns or cells that cannot be used; values that are missing, where they are to be refused.
    """
    if not argument:
        raise UserError(
            "The task timeseries needs a file or folder.",
            "Write timeseries:PATH, for example timeseries:data/walks.csv or timeseries:data.",
        )
    window, hop = _check(options)
    root = Path(argument)
    label_file = None if options.wants_numbers else find_label_file(root, options.label)
    files = find_files(root, skipped=[label_file] if label_file else [])
    heads = [read_head(file.path) for file in files.files]
    if targets := named_targets(options):
        said = options.model_copy(update={"label": targets[0]})
        sources = find_sources(files, heads, None, said)
        roles = number_roles(heads, targets, sources, options)
        sources = without_classes(sources, [file.name for file in files.files])
    else:
        sources = find_sources(files, heads, label_file, options)
        roles = choose_roles(
            heads,
            label=sources.label_column,
            group=sources.group_column,
            time=options.time,
            labels_elsewhere=sources.elsewhere,
            channels=options.channels,
        )
    name = stem_of(root) if root.is_file() else root.resolve().name or "timeseries"
    room = available_bytes()
    needed = sum(content_bytes(file.path, room) for file in files.files)
    require_memory(needed, str(root), "Give fewer files.")
    read = _read(files, heads, roles, sources, options)
    seconds = any(length is not None and length.seconds is not None for length in (window, hop))
    rate = common_rate(
        read.steps,
        [file.path for file in files.files],
        column=roles.time,
        kind=read.times_kind,
        size=read.size,
        sample_rate=options.sample_rate,
        seconds=seconds,
    )
    stretches, rows, step, window_notes = _even(read, rate, window, hop, options)
    inputs = len(roles.channels) - len(targets)  # what is predicted comes last
    channels, channel_notes = telltales(
        stretches, roles.channels[:inputs], named=options.channels is not None
    )
    labels, names = class_order(read.labels, name, least=1 if targets else least_classes(options))
    order = np.array(labels, np.int32)
    stretches = [replace(stretch, labels=order[stretch.labels]) for stretch in stretches]
    windows = place_windows(stretches, rows, step, options.label_share)
    window_notes += check_windows(
        windows, stretches, names, [file.name for file in files.files], share=options.label_share
    )
    parts, split_notes = _divide(files, windows, names, grouped=read.groups is not None, name=name)
    dtype = np.result_type(*{stretch.values.dtype for stretch in stretches})
    require_room(windows, len(channels), dtype, name)
    samples = {part: cut_windows(stretches, windows, parts[part], channels) for part in PARTS}
    numbers = {part: last_rows(stretches, windows, parts[part], len(targets)) for part in PARTS if targets}
    kept = [roles.channels[i] for i in channels]
    notes = [
        _format_note(heads),
        *_head_notes(heads),
        *files.notes,
        *sources.notes,
        *roles.notes,
        *channel_notes,
        f"Channels from 0: {listed(kept, _NAMED)}.",
        *read.tally.notes(options.missing),
        *rate.notes,
        *window_notes,
        *split_notes,
    ]
    stretches.clear()  # the windows hold the values now
    made = make_dataset(
        name=name,
        samples=samples,
        labels=numbers if targets else {part: windows.label[parts[part]] for part in PARTS},
        class_names=None if targets else names,
        target_names=targets or None,
        source=f"time series of {name}",
        groups=None
        if read.groups is None
        else {part: np.array(read.groups)[windows.group[parts[part]]] for part in PARTS},
        input_kind="signals",
        notes=notes,
        options=options,
        sample_rate=rate.hz,
        channel_names=kept,
    )
    return replace(made, recordings={part: windows.file[parts[part]] for part in PARTS})


def _divide(
    files: TableFiles, windows: Windows, labels: tuple[str, ...], *, grouped: bool, name: str
) -> tuple[dict[str, Indices], list[str]]:
    """The windows of each part, as the folders have them or by a split."""
    parts = part_indices(np.array([file.part for file in files.files]), windows)
    if not files.has_parts:
        return split_windows(windows, parts["all"], SHARES, grouped=grouped, name=name, labels=labels)
    if "val" in parts:
        return parts, []
    divided, notes = split_windows(
        windows, parts["train"], VALIDATION, grouped=grouped, name=name, labels=labels
    )
    said = "There is no val folder: a fifth of the training windows is held out for it."
    return {**parts, **divided}, [said, *notes]


@dataclass(slots=True)
class _Read:
    """All files, before their times are made even."""

    stretches: list[Stretch]
    steps: list[Steps | None]
    labels: list[str]
    groups: list[str] | None
    times_kind: str
    size: float
    tally: Tally


def _check(options: TaskOptions) -> tuple[Length | None, Length | None]:
    """The lengths, with all options in range."""
    window, hop = options.window, options.hop
    return (
        None if window is None else parse_length(window, "--window"),
        None if hop is None else parse_length(hop, "--hop"),
    )


def _read(
    files: TableFiles, heads: Sequence[Head], roles: Roles, sources: Sources, options: TaskOptions
) -> _Read:
    """The stretches of all files, one file in memory as text at a time."""
    labels, groups = Book(), Book()
    tally = Tally()
    stretches: list[Stretch] = []
    steps: list[Steps | None] = []
    kinds: dict[str, Path] = {}
    sizes: list[float] = []
    words = [name for name in (roles.label, roles.group) if name is not None]
    for index, (file, head) in enumerate(zip(files.files, heads, strict=True)):
        table = read_table(head, channels=roles.channels, words=words, time=roles.time)
        rows = len(table.values)
        if sources.labels is not None:
            label = Marks.constant(spelt(sources.labels[file.name]), rows, labels)
        elif sources.intervals is not None:
            intervals = sources.intervals[file.name]
            check_kind(sources.label_file, intervals, table)
            label = Marks.intervals(intervals, table, labels, spelt, tally)
        else:
            assert roles.label is not None
            label = Marks.column(table, roles.label, labels, spelt)
            check_words(list(labels.words), files.root.name)
        group = None
        if sources.groups is not None:
            group = Marks.constant(sources.groups[file.name], rows, groups)
        elif roles.group is not None:
            group = Marks.column(table, roles.group, groups, spelt)
        if table.times is not None:
            kinds.setdefault(table.times_kind, file.path)
            sizes.append(float(np.nanmedian(np.abs(table.times))) if not np.isnan(table.times).all() else 0.0)
        pieces, step = cut(
            table,
            label,
            group,
            options.missing,
            file=index,
            time=roles.time,
            tally=tally,
            mixed=options.label_share < 1,
        )
        stretches += pieces
        steps.append(step)
    if len(kinds) > 1:
        raise UserError(
            f"{show(kinds['text'])} writes times as text, {show(kinds['number'])} as numbers.",
            "Write all times alike.",
        )
    if tally.intervals and tally.intervals == tally.bare_intervals:
        raise UserError(
            f"{show(sources.label_file or files.root)}: no row lies in any of its"
            f" {counted(tally.intervals, 'interval')}.",
            f"Write start and end in the unit of column {roles.time}."
            if roles.time is not None
            else "Without a column of times they are numbers of rows, from 0.",
        )
    if not stretches:
        raise UserError(
            f"{files.root}: no row is left that has all values.", "Give recordings with fewer gaps."
        )
    return _Read(
        stretches=stretches,
        steps=steps,
        labels=list(labels.words),
        groups=list(groups.words) if groups.words else None,
        times_kind=next(iter(kinds), "number"),
        size=float(np.median(sizes)) if sizes else 0.0,
        tally=tally,
    )


def _even(
    read: _Read, rate: Rate, window: Length | None, hop: Length | None, options: TaskOptions
) -> tuple[list[Stretch], int, int, list[str]]:
    """Stretches without holes and at one rate, and the window; those of the reading are given up."""
    stretches: list[Stretch] = []
    given = window.rows if window is not None and window.rows is not None else None
    if window is not None and window.seconds is not None and rate.hz is not None:
        given = round(window.seconds * rate.hz)
    read.stretches.reverse()
    while read.stretches:
        stretch = read.stretches.pop()
        steps = read.steps[stretch.file]
        if options.missing == "interpolate":
            longest = max(1, (given or len(stretch.values)) // 4)
            pieces = fill(stretch, longest, steps, read.tally)
        else:
            pieces = [stretch]
        stretches += [_resampled(piece, rate, steps) for piece in pieces]
    if not stretches:
        raise UserError("No row is left that has all values.", "Give recordings with fewer gaps.")
    rows, step, notes = choose_window(window, hop, stretches, rate.hz, read.tally.files + read.tally.breaks)
    return stretches, rows, step, notes


def _resampled(stretch: Stretch, rate: Rate, steps: Steps | None) -> Stretch:
    """A stretch at the common rate; its times are no longer needed."""
    if stretch.times is None or steps is None or rate.step is None or len(stretch.values) < 2:
        return replace(stretch, times=None)
    # An interpolated gap in even times: the rows of it are made here.
    bridged = bool((np.diff(stretch.times) > steps.gap).any())
    if stretch.file not in rate.resampled and not bridged:
        return replace(stretch, times=None)
    step = rate.step if stretch.file in rate.resampled else steps.step
    values = resample(stretch.times, stretch.values, step, steps.step)
    labels = stretch.labels[nearest(stretch.times, step, len(values))]
    return replace(stretch, values=values, labels=labels, times=None)


def _format_note(heads: Sequence[Head]) -> str:
    said = Counter(head.said for head in heads)
    if len(said) == 1:
        what = next(iter(said))
        return f"{len(heads):,} file{'' if len(heads) == 1 else 's'}{f', {what}' if what else ''}."
    return f"{len(heads):,} files: {'; '.join(f'{count:,} {what}' for what, count in said.most_common())}."


def _head_notes(heads: Sequence[Head]) -> list[str]:
    """What was found in the heads, once for all files that have it."""
    counts = Counter(note for head in heads for note in head.notes)
    lines = [
        note if count == len(heads) else f"{count:,} of {len(heads):,} files: {note[0].lower()}{note[1:]}"
        for note, count in counts.most_common(_NAMED)
    ]
    return lines + ([f"{len(counts) - _NAMED:,} more such notes."] if len(counts) > _NAMED else [])


TASK = load
