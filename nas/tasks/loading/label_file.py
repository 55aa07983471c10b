"""A table that names the label, and perhaps the group, of each file of recordings or of intervals of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models.errors import UserError, did_you_mean
from nas.model.words import listed
from nas.tasks.loading.class_folders import show
from nas.tasks.loading.columns import GROUP_NAMES, LABEL_NAMES, first_named
from nas.tasks.loading.gzip_file import SUFFIX
from nas.tasks.loading.intervals import Intervals, interval_columns, read_intervals
from nas.tasks.loading.numbers import MISSING_LABELS
from nas.tasks.loading.table_files import SUFFIXES, TableFile, is_table, stem_of
from nas.tasks.loading.table_reading import read_head, read_table

_FILE_NAMES = (
    re.compile(r"(file|path)(_?names?)?|(csv|data)_?file", re.I),
    re.compile(r"recordings?|name|id|sample", re.I),
)
_USUAL = ("labels", "label", "annotations", "classes", "targets")
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLabels:
    """The labels of a file of labels.

    Attributes:
        path: The file.
        labels: By the name of the recording; empty where intervals have them.
        intervals: By the name of the recording; None where each has one label.
        groups: By the name of the recording; None where it has none.
        columns: Names of the columns of labels and groups, for the notes.
    """

    path: Path
    labels: dict[str, str]
    intervals: dict[str, Intervals] | None
    groups: dict[str, str] | None
    columns: tuple[str, str | None]


def find_label_file(root: Path, label: str | None) -> Path | None:
    """The file that --label names, or one in the folder with a usual name, or None where labels are elsewhere."""
    if label is None:
        if not root.is_dir():
            return None
        usual = [root / f"{stem}{suffix}" for stem in _USUAL for suffix in (*SUFFIXES, ".txt")]
        return next((path for path in usual if path.is_file()), None)
    if is_table(Path(label)) or Path(label).suffix.lower() == ".txt":
        places = [root / label if root.is_dir() else root.parent / label, Path(label)]
        return next((path for path in places if path.is_file()), None)
    return None


def read_label_file(path: Path, files: Sequence[TableFile], group: str | None) -> FileLabels:
    """The labels of all files.

    Args:
        path: A table with a column of files, one of labels, perhaps of groups, and perhaps of starts and ends.
        files: The recordings that need labels.
        group: The column of groups; None takes one that is called so; "none" takes none.

    Raises:
        UserError: No such columns, files without labels, labels without files, two labels or groups for one, or
            intervals that overlap.
    """
    names, columns, place, decimal = _columns(path, files)
    known = _known(files)
    file_column = next(
        (name for pattern in _FILE_NAMES for name in names if pattern.fullmatch(name)),
        max(names, key=lambda name: sum(cell in known for cell in columns[name])),
    )
    rest = [name for name in names if name != file_column]
    ends = interval_columns(rest)
    rest = [name for name in rest if ends is None or name not in ends]
    label_column = first_named(rest, LABEL_NAMES) or (rest[0] if len(rest) == 1 else None)
    if label_column is None:
        raise UserError(
            f"{show(path)} has no column of labels: it has {listed(names, _NAMED)}.",
            "It needs a column file and a column label, one line for each file.",
        )
    rest.remove(label_column)
    group_column = first_named(rest, GROUP_NAMES) if group is None else (group if group in rest else None)
    labels: dict[str, str] = {}
    groups: dict[str, str] = {}
    named: list[str] = []
    for row, cell in enumerate(columns[file_column]):
        file = known.get(cell.replace("\\", "/").removeprefix("./"))
        if not file:
            hint = (
                did_you_mean(cell, [f.name for f in files][:50]) if file is None else "Write its folder, too."
            )
            what = "which is not there" if file is None else "a name of several files"
            raise UserError(f"{show(path)}: {place(row)} names {cell!a}, {what}.", hint)
        label = columns[label_column][row]
        if label.lower() in MISSING_LABELS:
            raise UserError(f"{show(path)}: {place(row)} gives no label.", "Label the file, or remove both.")
        named.append(file)
        if labels.setdefault(file, label) != label and ends is None:
            raise UserError(
                f"{show(path)} labels {file} both {labels[file]!r} and {label!r}.",
                "It holds one label for each file, or intervals in columns start and end.",
            )
        if group_column is not None:
            group_of_row = columns[group_column][row]
            if groups.setdefault(file, group_of_row) != group_of_row:
                raise UserError(
                    f"{show(path)} has {file} in the groups {groups[file]!r} and {group_of_row!r}.",
                    "Each file is of one group; --group names another column.",
                )
    bare = [file.name for file in files if file.name not in labels]
    if bare:
        raise UserError(
            f"{show(path)} has no label for {listed(bare, _NAMED)}.", "Label every file, or move it away."
        )
    intervals = None
    if ends is not None:
        cells = (columns[ends[0]], columns[ends[1]])
        words = columns[label_column]
        intervals = read_intervals(path, named, ends, cells, words, decimal=decimal, place=place)
    return FileLabels(
        path=path,
        labels=labels if intervals is None else {},
        intervals=intervals,
        groups=groups if group_column is not None else None,
        columns=(label_column, group_column),
    )


def names_files(path: Path, files: Sequence[TableFile]) -> bool:
    """Whether a file that is called like one of labels names any of the recordings."""
    try:
        _, columns, *_ = _columns(path, files)
    except UserError:
        return False
    known = _known(files)
    return any(cell in known for cells in columns.values() for cell in cells)


def _columns(
    path: Path, files: Sequence[TableFile]
) -> tuple[list[str], dict[str, list[str]], Callable[[int], str], str]:
    """Names of the columns, their cells, what says the line of a cell, and the decimal sign."""
    head = read_head(path)
    decimal = "." if head.text is None else head.text.decimal
    names = [name for name in head.names if name]
    table = read_table(head, channels=(), words=names, time=None)
    columns = {name: [table.words[name].words[code] for code in table.words[name].codes] for name in names}
    known = _known(files)
    if not any(name in known for name in names):
        return names, columns, table.place, decimal
    # Without a header the first line is one of data, though it has words alone.
    numbers = [str(i) for i in range(len(names))]
    columns = {number: [name, *columns[name]] for number, name in zip(numbers, names, strict=True)}
    return numbers, columns, lambda row: table.place(row - 1) if row else "line 1", decimal


def _known(files: Sequence[TableFile]) -> dict[str, str]:
    """Files by all the names that they may be given; empty for a name of several."""
    known: dict[str, str] = {}
    for file in files:
        stem = stem_of(file.path)
        names = {file.name, file.path.name, stem, str(Path(file.name).with_name(stem).as_posix())}
        names |= {name.removesuffix(SUFFIX) for name in (file.name, file.path.name)}
        for name in names:
            known[name] = file.name if known.setdefault(name, file.name) == file.name else ""
    known.update({file.name: file.name for file in files})
    return known
