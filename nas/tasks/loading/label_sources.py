"""Where the labels and groups of recordings are: in a column, in folders, or in a file of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models.errors import UserError
from nas.model.words import counted
from nas.tasks.loading.class_folders import show
from nas.tasks.loading.columns import FOLDER, LABEL_NAMES, NONE, first_named
from nas.tasks.loading.intervals import SPELT, Intervals
from nas.tasks.loading.label_file import FileLabels, names_files, read_label_file
from nas.tasks.loading.table_files import TableFile, TableFiles, class_of, is_table
from nas.tasks.loading.tables import Head, Table
from nas.tasks.options import TaskOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where labels and groups come from: a column, one word for each file, or intervals of it in another file.

    Attributes:
        label_column: None where something else has them.
        group_column: The same; what `choose_roles` takes.
        labels: By the name of the file.
        groups: By the name of the file.
        notes: What was found, and what is not used.
        intervals: By the name of the file.
        label_file: The file that has them.
    """

    label_column: str | None
    group_column: str | None
    labels: dict[str, str] | None
    groups: dict[str, str] | None
    notes: tuple[str, ...]
    intervals: dict[str, Intervals] | None = None
    label_file: Path | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether no column of the recordings has the labels."""
        return self.labels is not None or self.intervals is not None


def find_sources(
    files: TableFiles, heads: Sequence[Head], label_file: Path | None, options: TaskOptions
) -> Sources:
    """Where the user says that labels and groups are, or where they are found.

    Args:
        files: The recordings.
        heads: Of them.
        label_file: A file that may have the labels.
        options: What the user says.

    Raises:
        UserError: Nothing is where it is said to be, or there are two such places.
    """
    label, group = options.label, options.group
    names = heads[0].names
    notes: list[str] = []
    if label_file is not None and label is None and not names_files(label_file, files.files):
        notes.append(f"{label_file.name} names none of the files, and is not used.")
        label_file = None
    groups = None
    if group == FOLDER and FOLDER not in names:
        groups = {file.name: _folder_of(file) for file in files.files}
        group = NONE
    if label_file is not None:
        told = read_label_file(label_file, files.files, group if group != NONE else "")
        notes.append(_told_note(told))
        if told.groups is not None and groups is None:
            groups, group = told.groups, NONE
        return Sources(
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
        return Sources(label_column=label, group_column=group, labels=None, groups=groups, notes=tuple(notes))
    return Sources(label_column=None, group_column=group, labels=labels, groups=groups, notes=tuple(notes))


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


def check_kind(label_file: Path | None, intervals: Intervals, table: Table) -> None:
    """Refuses intervals that are written in another way than the times they are compared with.

    Raises:
        UserError: So it is.
    """
    kind = "number" if table.times is None else table.times_kind
    if intervals.kind != kind:
        how = "has no times" if table.times is None else f"writes times as {SPELT[kind]}"
        raise UserError(
            f"{show(label_file or table.head.path)} writes starts and ends as {SPELT[intervals.kind]},"
            f" {show(table.head.path)} {how}.",
            "Write both alike; without a column of times, as numbers of rows from 0.",
        )
