"""The tables of a path: one file, or those of a folder with their parts and class folders. No file vanishes unsaid."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models.errors import UserError
from nas.model.words import listed
from nas.tasks.loading.class_folders import part_folders, refuse_others, show
from nas.tasks.loading.labels import is_printable

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq")
_TEXT_SUFFIXES = (".txt", ".dat", ".log")  # often a README: read only where nothing else is there
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """A file of a recording.

    Attributes:
        path: The file.
        name: Its path below the folder that was given.
        part: train, val or test; "all" where there are no such folders.
        folder: The first folder below the part; empty where the file lies in the part itself.
        deeper: Whether there are more folders between.
    """

    path: Path
    name: str
    part: str
    folder: str
    deeper: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFiles:
    """The files of a path, sorted.

    Attributes:
        root: The path.
        files: The tables.
        notes: What was left out.
    """

    root: Path
    files: tuple[TableFile, ...]
    notes: tuple[str, ...]

    @property
    def has_parts(self) -> bool:
        """Whether train and test are given as folders."""
        return self.files[0].part != "all"

    @property
    def has_class_folders(self) -> bool:
        """Whether all files lie in folders, and there are at least two of these."""
        return all(file.folder for file in self.files) and len({file.folder for file in self.files}) > 1


def find_files(root: Path, *, skipped: Collection[Path]) -> TableFiles:
    """Finds the tables of a path.

    Args:
        root: A file, or a folder of any depth.
        skipped: Files that are something else, such as the labels.

    Raises:
        UserError: There is nothing, parts are incomplete, or names cannot be printed.
    """
    if not root.exists():
        raise UserError(f"There is no file or folder {root}.", "Check the path after timeseries:.")
    if root.is_file():
        only = TableFile(path=root, name=root.name, part="all", folder="", deeper=False)
        return TableFiles(root=root, files=(only,), notes=())
    try:
        parts = _parts(root)
        tables, others, hidden = _walk(root, {path.resolve() for path in skipped})
    except OSError as error:
        raise UserError(
            f"{show(Path(error.filename or root))} cannot be read ({error.strerror}).",
            "Check its permissions.",
        ) from None
    if not tables:
        kinds = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(others.items()))
        raise UserError(
            f"{root} holds no tables{f' ({kinds})' if kinds else ': it is empty'}.",
            "Give CSV or Parquet files (.csv, .csv.gz, .tsv, .txt, .parquet), or a folder of them.",
        )
    files = [_table_file(root, path, parts) for path in tables]
    outside = [file.name for file in files if file.part == ""]
    files = [file for file in files if file.part]
    notes = []
    if hidden:
        notes.append(f"{hidden} hidden file{'s or folders' if hidden > 1 else ' or folder'} left out.")
    if others:
        kinds = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(others.items()))
        notes.append(f"Files that are not tables left out: {kinds}.")
    if outside:
        raise UserError(
            f"{root} has {listed(outside, _NAMED)} outside of the folders train, val and test.",
            "Move them into a part, or away.",
        )
    for part, place in parts.items():
        if not any(file.part == part for file in files):
            raise UserError(f"{show(place)} holds no tables.", "Each part needs recordings of each class.")
    return TableFiles(root=root, files=tuple(files), notes=tuple(notes))


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name."""
    return path.name.lower().endswith(SUFFIXES) and path.name.lower() not in SUFFIXES


def stem_of(path: Path) -> str:
    """The name of a table without its suffix."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), path.suffix)
    return path.name[: len(path.name) - len(suffix)] or path.name


def class_of(file: TableFile) -> str:
    """The class whose folder a file lies in.

    Raises:
        UserError: It lies deeper, or in none.
    """
    if not file.folder or file.deeper:
        raise UserError(
            f"{show(file.path)} lies {'deeper than its' if file.folder else 'outside of a'} class folder.",
            "Files lie in FOLDER/<class>/ directly; where folders are persons or days, --label names a column.",
        )
    return file.folder


def _walk(root: Path, skipped: Collection[Path]) -> tuple[list[Path], Counter[str], int]:
    """Tables, other files by suffix, and how many are hidden."""
    tables, texts = [], []
    others: Counter[str] = Counter()
    hidden = 0
    seen: set[Path] = set()
    for place, folders, names in os.walk(root, onerror=_raise, followlinks=True):
        if (real := Path(place).resolve()) in seen:  # by a link
            folders.clear()
            continue
        seen.add(real)
        hidden += sum(name.startswith(".") for name in [*folders, *names])
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or path.resolve() in skipped:
                continue
            if path.exists() and not path.is_file():
                raise UserError(f"{show(path)} is not a regular file.", "Remove it, or write it as a file.")
            suffix = path.suffix.lower()
            if is_table(path):
                tables.append(path)
            elif suffix in _TEXT_SUFFIXES:
                texts.append(path)
            else:
                others[suffix] += 1
    if not tables:
        return texts, others, hidden
    others.update(path.suffix.lower() for path in texts)
    return tables, others, hidden


def _raise(error: OSError) -> None:
    raise error


def _parts(root: Path) -> dict[str, Path]:
    """The folders of the parts, or nothing where folders are something else."""
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    parts = part_folders(root, folders)
    if "train" not in parts or (len(parts) == 1 and len(folders) > 1):
        return {}  # a class may be called test
    if "test" not in parts:
        raise UserError(
            f"{root} has a folder {parts['train'].name}, but none for test.",
            "Give train, val and test (val may be missing), or no such folders.",
        )
    refuse_others(root, folders, parts)
    return parts


def _table_file(root: Path, path: Path, parts: dict[str, Path]) -> TableFile:
    name = path.relative_to(root).as_posix()
    if not is_printable(name):
        raise UserError(
            f"The name of {show(path)} has characters that cannot be printed or are not UTF-8.", "Rename it."
        )
    part, base = "all", root
    if parts:
        part, base = next(
            ((p, place) for p, place in parts.items() if path.is_relative_to(place)), ("", root)
        )
    inner: Sequence[str] = path.relative_to(base).parts
    folder = inner[0] if len(inner) > 1 else ""
    return TableFile(path=path, name=name, part=part, folder=folder, deeper=len(inner) > 2)
