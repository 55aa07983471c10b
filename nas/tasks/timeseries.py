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
from nas.tasks.loading.columns import FOLDER, LABEL_NAMES, NONE, Roles, choose_roles, first_named
from nas.tasks.loading.gzip_file import content_bytes
from nas.tasks.loading.holes import fill
from nas.tasks.loading.intervals import SPELT, Intervals
from nas.tasks.loading.label_file import FileLabels, find_label_file, names_files, read_label_file
from nas.tasks.loading.memory import available_bytes, require_memory
from nas.tasks.loading.rates import Rate, common_rate
from nas.tasks.loading.recordings import Book, Marks, cut
from nas.tasks.loading.signal_labels import check_words, class_order, spelt
from nas.tasks.loading.stretches import Stretch, Tally
from nas.tasks.loading.table_files import TableFile, TableFiles, class_of, find_files, is_table, stem_of
from nas.tasks.loading.table_reading import read_head, read_table
from nas.tasks.loading.tables import Head, Table
from nas.tasks.loading.telltales import telltales
from nas.tasks.loading.times import Steps, nearest, resample
from nas.tasks.loading.window_split import SHARES, VALIDATION, part_indices, split_windows
from nas.tasks.loading.windows import (
    Indices,
    Length,
    Windows,
    check_windows,
    choose_window,
    cut_windows,
    parse_length,
    place_windows,
    require_room,
)
from nas.tasks.options import TaskOptions

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
    label_file = find_label_file(root, options.label)
    files = find_files(root, skipped=[label_file] if label_file else [])
    unused = []
    if label_file is not None and options.label is None and not names_files(label_file, files.files):
        unused, label_file = [f"{label_file.name} names none of the files, and is not used."], None
    heads = [read_head(file.path) for file in files.files]
    sources = _sources(files, heads, label_file, options)
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
    channels, channel_notes = telltales(stretches, roles.channels, named=options.channels is not None)
    labels, names = class_order(read.labels, name)
    order = np.array(labels, np.int32)
    stretches = [replace(stretch, labels=order[stretch.labels]) for stretch in stretches]
    windows = place_windows(stretches, rows, step, options.label_share)
    window_notes += check_windows(
        windows, stretches, names, [file.name for file in files.files], share=options.label_share
    )
    grouped = read.groups is not None
    parts, split_notes = _divide(files, windows, names, grouped=grouped, name=name)
    dtype = np.result_type(*{stretch.values.dtype for stretch in stretches})
    require_room(windows, len(channels), dtype, name)
    samples = {part: cut_windows(stretches, windows, parts[part], channels) for part in PARTS}
    kept = [roles.channels[i] for i in channels]
    notes = [
        _format_note(heads),
        *_head_notes(heads),
        *files.notes,
        *unused,
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
    return make_dataset(
        name=name,
        samples=samples,
        labels={part: windows.label[parts[part]] for part in PARTS},
        class_names=names,
        source=f"time series of {name}",
        groups={part: windows.group[parts[part]] for part in PARTS} if grouped else None,
        input_kind="signals",
        notes=notes,
    )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """Where labels and groups come from: a column, one word for each file, or intervals of it in another file."""

    label_column: str | None
    group_column: str | None
    labels: dict[str, str] | None
    intervals: dict[str, Intervals] | None = None
    label_file: Path | None = None
    groups: dict[str, str] | None
    notes: tuple[str, ...]

    @property
    def elsewhere(self) -> bool:
        return self.labels is not None or self.intervals is not None


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
    return parse_length(options.window, "--window"), parse_length(options.hop, "--hop")


def _sources(
    files: TableFiles, heads: Sequence[Head], label_file: Path | None, options: TaskOptions
) -> _Sources:
    label, group = options.label, options.group
    names = heads[0].names
    notes: list[str] = []
    groups = None
    if group == FOLDER and FOLDER not in names:
        groups = {file.name: _folder_of(file) for file in files.files}
        group = NONE
    if label_file is not None:
        told = read_label_file(label_file, files.files, group if group != NONE else "")
        notes.append(_told_note(told))
        if told.groups is not None and groups is None:
            groups, group = told.groups, NONE
        return _Sources(
            label_column=None,
            group_column=group,
            labels=told.labels if told.intervals is None else None,
            intervals=told.intervals,
            label_file=label_file,
            groups=groups,
            notes=tuple(notes),
        )
    if label is not None and is_table(Path(label)) and label not in names:
        raise UserError(f"There is no file of labels {label}.", "Give its path, or that below the folder.")
    if label == FOLDER and FOLDER not in names:
        labels = {file.name: class_of(file) for file in files.files}
    elif label is None and options.group != FOLDER and files.has_class_folders:
        usual = first_named([name for name in names if name], LABEL_NAMES)
        if usual is not None:
            raise UserError(
                f"{files.root}: the classes may be its folders or column {usual}.",
                f"Say --label {usual} or --label {FOLDER}.",
            )
        labels = {file.name: class_of(file) for file in files.files}
        notes.append(f"The {len(set(labels.values())):,} folders are taken for the classes.")
    else:
        return _Sources(
            label_column=label, group_column=group, labels=None, groups=groups, notes=tuple(notes)
        )
    return _Sources(label_column=None, group_column=group, labels=labels, groups=groups, notes=tuple(notes))


def _folder_of(file: TableFile) -> str:
    if not file.folder:
        raise UserError(
            f"{show(file.path)} lies in no folder, as --group folder needs.", "Give a column instead."
        )
    return file.folder


def _told_note(told: FileLabels) -> str:
    label, group = told.columns
    many = sum(len(one.labels) for one in (told.intervals or {}).values())
    of = f"{counted(many, 'interval')} in " if many else ""
    return f"Labels are those of {of}{told.path.name}, column {label}{f'; groups of column {group}' if group else ''}."


def _read(
    files: TableFiles, heads: Sequence[Head], roles: Roles, sources: _Sources, options: TaskOptions
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
            _check_kind(sources.label_file, intervals, table)
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
        found, step = cut(
            table,
            label,
            group,
            options.missing,
            file=index,
            time=roles.time,
            tally=tally,
            mixed=options.label_share < 1,
        )
        stretches += found
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


def _check_kind(label_file: Path | None, intervals: Intervals, table: Table) -> None:
    """Refuses intervals that are written in another way than the times they are compared with."""
    kind = "number" if table.times is None else table.times_kind
    if intervals.kind != kind:
        how = "has no times" if table.times is None else f"writes times as {SPELT[kind]}"
        raise UserError(
            f"{show(label_file or table.head.path)} writes starts and ends as {SPELT[intervals.kind]},"
            f" {show(table.head.path)} {how}.",
            "Write both alike; without a column of times, as numbers of rows from 0.",
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
