"""The layout of class folders of pictures or recordings. No class and no file vanishes without a word."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models.errors import UserError
from nas.model.words import listed
from nas.tasks.loading.labels import is_printable


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """The kind of files in class folders.

    Attributes:
        singular: A file, for messages.
        plural: Several.
        suffixes: What is read.
        others: Files of the kind that are not read: in a class of its own such a file would be missed by nobody.
        read: What is read, for people.
        example: Two files of two classes.
        skipped: Folders beside the classes that are none, by name.
        lists: Files beside the classes that the task reads itself.
    """

    singular: str
    plural: str
    suffixes: frozenset[str]
    others: frozenset[str]
    read: str
    example: str
    skipped: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()


PICTURES = FileKind(
    singular="picture",
    plural="pictures",
    suffixes=frozenset(
        (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".pbm", ".pgm", ".pnm", ".ppm", ".tif", ".tiff",
         ".webp")
    ),
    others=frozenset(
        (".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".raw", ".dng", ".cr2", ".nef", ".arw", ".psd", ".exr",
         ".hdr", ".tga", ".dcm", ".jxr")
    ),
    read="PNG, JPEG, BMP, GIF, PGM, PPM, TIFF, WebP",
    example="FOLDER/cat/*.png, FOLDER/dog/*.png",
)  # fmt: skip
RECORDINGS = FileKind(
    singular="recording",
    plural="recordings",
    suffixes=frozenset((".wav", ".wave", ".flac", ".ogg", ".oga", ".aiff", ".aif")),
    others=frozenset(
        (".mp3", ".m4a", ".aac", ".opus", ".wma", ".amr", ".webm", ".mp4", ".raw", ".pcm", ".au")
    ),
    read="WAV, FLAC, OGG, AIFF",
    example="FOLDER/yes/*.wav, FOLDER/no/*.wav",
    skipped=frozenset(("_background_noise_",)),
    lists=frozenset(("validation_list.txt", "testing_list.txt")),
)
PART_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The files of a folder.

    Attributes:
        files: (class, file) by part: train, val and test; train and test; or "all".
        classes: Names in order.
        notes: What was left out, in words.
    """

    files: dict[str, list[tuple[str, Path]]]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


class _LeftOut:
    """Counts what is not read."""

    def __init__(self, kind: FileKind) -> None:
        self.kind = kind
        self.skipped: list[str] = []
        self.hidden: list[str] = []
        self.loose: list[str] = []
        self.suffixes: Counter[str] = Counter()

    def notes(self) -> list[str]:
        lines = []
        if self.hidden:
            count = len(self.hidden)
            lines.append(
                f"{count} hidden file{' or folder' if count == 1 else 's or folders'} left out:"
                f" {listed(sorted(self.hidden), _NAMED)}."
            )
        if self.loose:
            count = len(self.loose)
            lines.append(
                f"{count} file{'' if count == 1 else 's'} outside of class folders left out:"
                f" {listed(sorted(self.loose), _NAMED)}."
            )
        if self.suffixes:
            kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(self.suffixes.items()))
            lines.append(f"Files in class folders that are not {self.kind.plural} left out: {kinds}.")
        if self.skipped:
            lines.append(f"Not a class: {listed(sorted(set(self.skipped)), _NAMED)}.")
        return lines


def read_layout(root: Path, kind: FileKind = PICTURES, *, least: int = 2) -> Layout:
    """Finds `root/<class>/*.png`, or such folders under train, val and test (or training, validation, testing).

    Args:
        root: The folder.
        kind: What lies in it.
        least: How many classes there are at the least.

    Raises:
        UserError: A class without readable pictures, nested folders, names that cannot be used, too few classes, or
            parts that are not complete.
    """
    try:
        left_out = _LeftOut(kind)
        parts = _parts(root, left_out)
        places = parts or {"all": root}
        files = {part: _class_files(place, left_out) for part, place in places.items()}
    except OSError as error:
        raise UserError(
            f"{show(Path(error.filename or root))} cannot be read ({error.strerror}).",
            "Check its permissions.",
        ) from None
    for part, pictures in files.items():
        if parts and not pictures:
            raise UserError(
                f"{show(places[part])} holds no {kind.plural}.",
                f"Each part needs {kind.plural} of each class.",
            )
    classes = sorted({name for part in files.values() for name, _ in part})
    _check_classes(root, classes, kind, least)
    return Layout(files=files, classes=tuple(classes), notes=tuple(left_out.notes()))


def show(path: Path) -> str:
    """A path as it can be printed anywhere, even if its name is no UTF-8."""
    text = str(path)
    return text if is_printable(text) else ascii(text)


def _parts(root: Path, left_out: _LeftOut) -> dict[str, Path]:
    """The folders of the parts, or nothing where the folders are classes."""
    folders = _folders(root)
    parts = part_folders(root, folders)
    if not any(_folders(folder) for folder in parts.values()):
        # A class may be called test or train; several such names without classes below are parts without labels.
        if len(parts) > 1:
            places = " and ".join(show(parts[part]) for part in PART_FOLDERS if part in parts)
            raise UserError(
                f"{places} hold no class folders.",
                f"{left_out.kind.plural.capitalize()} lie in FOLDER/train/<class>/.",
            )
        return {}
    if "train" not in parts and len(folders) > len(parts):
        return {}
    missing = [part for part in ("train", "test") if part not in parts]
    if missing:
        raise UserError(
            f"{root} has a folder {next(iter(parts.values())).name}, but none for {missing[0]}.",
            "Give train, val and test (val may be missing), or one folder for each class.",
        )
    refuse_others(root, folders, parts)
    left_out.hidden += [p.name for p in root.iterdir() if p.name.startswith(".")]
    left_out.loose += [
        show(Path(p.name)) for p in root.iterdir() if p.is_file() and not p.name.startswith(".")
    ]
    return parts


def part_folders(root: Path, folders: Sequence[Path]) -> dict[str, Path]:
    """The folders that are called like parts, in the order of the parts.

    Raises:
        UserError: Two of them are one part's.
    """
    parts: dict[str, Path] = {}
    for part, names in PART_FOLDERS.items():
        for folder in folders:
            if folder.name.lower() in names:
                if part in parts:
                    raise UserError(
                        f"{root} has both {parts[part].name} and {folder.name}.",
                        f"Keep one folder for {part}.",
                    )
                parts[part] = folder
    return parts


def refuse_others(root: Path, folders: Sequence[Path], parts: Mapping[str, Path]) -> None:
    """Refuses folders beside those of the parts, which nobody would read.

    Raises:
        UserError: There are some.
    """
    others = [show(Path(folder.name)) for folder in folders if folder not in parts.values()]
    if others:
        raise UserError(
            f"{root} has {listed(others, _NAMED)} next to the folders of the parts.",
            "Keep only train, val and test there.",
        )


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _class_files(root: Path, left_out: _LeftOut) -> list[tuple[str, Path]]:
    """(class, file) of each file below `root`, sorted."""
    entries = sorted(root.iterdir())
    for path in entries:
        if path.is_symlink() and not path.exists():
            raise UserError(
                f"{show(path)} is a link to nothing.", "Remove it, or bring back its class folder."
            )
    left_out.hidden += [show(Path(p.name)) for p in entries if p.name.startswith(".")]
    left_out.loose += [
        show(Path(p.name))
        for p in entries
        if not p.is_dir() and not p.name.startswith(".") and p.name not in left_out.kind.lists
    ]
    files: list[tuple[str, Path]] = []
    real: dict[Path, Path] = {}
    for folder in _folders(root):
        if folder.name in left_out.kind.skipped:
            left_out.skipped.append(folder.name)
            continue
        if (same := real.setdefault(folder.resolve(), folder)) != folder:
            raise UserError(f"{show(folder)} and {show(same)} are the same folder.", "Remove the link.")
        files += [(folder.name, path) for path in _readable(folder, left_out)]
    return files


def _readable(folder: Path, left_out: _LeftOut) -> list[Path]:
    """The files of one class.

    Raises:
        UserError: There are none, or some lie deeper.
    """
    if not is_printable(folder.name) or not folder.name.strip():
        raise UserError(
            f"The class folder {show(folder)} has a name with characters that cannot be printed or are not UTF-8.",
            "The name of the folder becomes the name of the class: rename it.",
        )
    kind = left_out.kind
    files, others = [], Counter[str]()
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            left_out.hidden.append(show(Path(folder.name, path.name)))
        elif path.is_dir():
            if (deep := _first_file(path, kind)) is not None:
                raise UserError(
                    f"{show(deep)} lies deeper than its class folder {show(folder)}.",
                    f"{kind.plural.capitalize()} lie in FOLDER/<class>/ directly: move them up, or give the folder"
                    " above the classes.",
                )
        elif path.suffix.lower() in kind.suffixes:
            files.append(path)
        else:
            others[path.suffix.lower() or "without suffix"] += 1
    unread = sorted(suffix for suffix in others if suffix in kind.others)
    if not files or unread:
        kinds = ", ".join(f"{count} {show(Path(suffix))}" for suffix, count in sorted(others.items()))
        what = f"no {kind.singular}" if not files else f"{kind.plural} of types that are not read"
        raise UserError(
            f"The class folder {show(folder)} holds {what}{f' ({kinds})' if kinds else ': it is empty'}.",
            f"Give it {kind.plural} ({kind.read}), or remove them.",
        )
    left_out.suffixes += others
    return files


def _first_file(folder: Path, kind: FileKind) -> Path | None:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in kind.suffixes | kind.others and not name.startswith("."):
                return Path(place, name)
    return None


def _check_classes(root: Path, classes: Sequence[str], kind: FileKind, least: int) -> None:
    if len(classes) < least:
        raise UserError(
            f"{root} holds {len(classes)} class folder{'s' if len(classes) != 1 else ''} with {kind.plural}.",
            f"A classifier needs at least two: {kind.example}; to find anomalies name the normal one: --normal CLASS.",
        )
    seen: dict[str, str] = {}
    for name in classes:
        same = seen.setdefault(unicodedata.normalize("NFC", name).casefold().strip(), name)
        if same != name:
            raise UserError(
                f"{root} has the class folders {same!r} and {name!r}, which differ in case or spelling only.",
                "Give one class one name in all parts.",
            )
