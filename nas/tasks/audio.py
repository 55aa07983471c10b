"""Recordings of sounds and words: `audio:FOLDER`, through a front end that the chip runs as well."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cost_models.errors import UserError
from nas.model.words import counted, listed
from nas.tasks.dataset import Dataset
from nas.tasks.loading import PARTS
from nas.tasks.loading.audio_features import Source
from nas.tasks.loading.audio_file import AudioInfo, Waveform, content_hash, inspect, read
from nas.tasks.loading.class_folders import PART_FOLDERS, RECORDINGS, Layout, read_layout, show
from nas.tasks.loading.progress import tell
from nas.tasks.options import TaskOptions, least_classes
from nas.tasks.sounds import make_sounds
from nas.tasks.split import split_indices, validation_indices

_SPEAKER = re.compile(r"^([0-9a-f]+)_nohash_\d+$")  # of Speech Commands' files
_LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    source: Source
    label: str
    group: str | None

    @property
    def info(self) -> AudioInfo:
        return self.source.info


def load(argument: str, options: TaskOptions) -> Dataset:
    """Reads FOLDER/<class>/*.wav|flac|ogg, such folders under train, val and test, or Speech Commands' layout.

    Recordings become int16 of one channel and one rate, are cut or padded to one length, and go through the front
    end in TFLM's interpreter: a network's sample is the features of a recording, as bytes. Shape: (frames, bands, 1).

    Raises:
        UserError: No folder, fewer than two classes, a class without recordings, files that cannot be read.
    """
    if not argument:
        raise UserError(
            "The task audio needs a folder.", "Write audio:FOLDER, with one folder for each class."
        )
    root = Path(argument)
    if not root.is_dir():
        raise UserError(f"There is no folder {root}.", "Check the path after audio:.")
    layout = read_layout(root, RECORDINGS, least=least_classes(options))
    notes = list(layout.notes)
    group_of = _grouping(layout, options.group, notes)
    parts = {part: _inspect_all(files, group_of, root) for part, files in layout.files.items()}
    if "all" in parts:
        parts = _split(root, parts["all"], notes)
    elif "val" not in parts:
        notes.append("There is no val folder: a fifth of the training recordings is held out for it.")
        parts = _without_validation(parts, root)
    index = {name: i for i, name in enumerate(layout.classes)}
    name = root.resolve().name or "audio"
    return make_sounds(
        name=name,
        recordings={part: [file.source for file in files] for part, files in parts.items()},
        labels={part: np.array([index[file.label] for file in files]) for part, files in parts.items()},
        options=options,
        noises=lambda rate, said: _noises(root, rate, said),
        groups=None
        if group_of is None
        else {part: np.array([file.group or "" for file in files]) for part, files in parts.items()},
        class_names=layout.classes,
        source=f"recordings of {name}",
        notes=notes,
    )


def _grouping(layout: Layout, pattern: str | None, notes: list[str]) -> Callable[[Path], str] | None:
    """How the speaker or machine of a file is told; None where it is not."""
    paths = [path for files in layout.files.values() for _, path in files]
    if pattern == "none":
        return None
    if pattern is None:
        if all(_SPEAKER.match(path.stem) for path in paths):
            notes.append("Speakers are told by the files' names (SPEAKER_nohash_N).")
            return lambda path: str(_SPEAKER.sub(r"\1", path.stem))
        if "all" in layout.files:
            notes.append(
                "Recordings of one speaker or machine may be in several parts: --group PATTERN tells them apart"
                " by the files' names."
            )
        return None
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"--group {pattern!r} is not a pattern ({error}).", "Write it like '^([a-z]+)_'."
        ) from None
    if expression.groups != 1:
        raise UserError(
            f"--group {pattern!r} has {expression.groups} groups.",
            "Put one part in brackets, like '^([a-z]+)_'.",
        )
    matches = {path: expression.search(path.stem) for path in paths}
    # A bracket that may be empty tells nothing of a file in which it is.
    strangers = [show(path) for path, match in matches.items() if match is None or match[1] is None]
    if strangers:
        raise UserError(
            f"--group {pattern!r} does not match {listed(strangers, _NAMED)}.",
            "It is searched in the file's name without its suffix.",
        )

    def group(path: Path) -> str:
        match = expression.search(path.stem)
        assert match is not None
        return str(match[1])

    return group


def _inspect_all(
    files: Sequence[tuple[str, Path]], group_of: Callable[[Path], str] | None, root: Path
) -> list[_File]:
    """The heads of all files; those that cannot be read are named in one sentence."""

    def head(path: Path) -> Source | UserError:
        try:
            return Source(path=path, info=inspect(path), digest=content_hash(path))
        except UserError as error:
            return error

    heads = []
    with ThreadPoolExecutor() as pool:
        for source in pool.map(head, [path for _, path in files]):
            heads.append(source)
            tell("reading recordings", len(heads), len(files))
    errors = [source for source in heads if isinstance(source, UserError)]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise UserError(
            f"{len(errors)} of {len(files)} recordings of {root} cannot be used:"
            f" {listed([error.message.rstrip('.') for error in errors], _NAMED)}.",
            "Remove or convert them.",
        )
    return [
        _File(source=source, label=label, group=None if group_of is None else group_of(path))
        for (label, path), source in zip(files, heads, strict=True)
        if isinstance(source, Source)
    ]


def _split(root: Path, files: list[_File], notes: list[str]) -> dict[str, list[_File]]:
    """The parts of one heap: as Speech Commands' lists say, else 60/20/20."""
    if all((root / name).is_file() for name in _LISTS.values()):
        return _listed_parts(root, files, notes)
    labels = np.array([file.label for file in files])
    groups = np.array([file.group for file in files]) if files[0].group is not None else None
    index = split_indices(labels, groups, root.name)
    return {part: [files[i] for i in index[part]] for part in PARTS}


def _listed_parts(root: Path, files: list[_File], notes: list[str]) -> dict[str, list[_File]]:
    """Speech Commands' layout: two lists name the files of val and test."""
    parts: dict[str, list[_File]] = {part: [] for part in PARTS}
    where: dict[str, str] = {}
    for part, name in _LISTS.items():
        try:
            text = (root / name).read_text(encoding="utf-8-sig")
        except (OSError, ValueError):
            raise UserError(f"{root / name} cannot be read.", "It lists files as CLASS/NAME.wav.") from None
        # As Windows writes them, too: a mark of the encoding, and backslashes.
        lines = [line.strip().replace("\\", "/") for line in text.splitlines() if line.strip()]
        if both := sorted(where.keys() & set(lines)):
            raise UserError(
                f"Both lists of {root} name {listed(both, _NAMED)}.", "A recording can be in one part only."
            )
        where |= dict.fromkeys(lines, part)
    known = set()
    for file in files:
        key = file.source.path.relative_to(root).as_posix()
        known.add(key)
        parts[where.get(key, "train")].append(file)
    for part, some in parts.items():
        if not some:
            raise UserError(
                f"The lists of {root} leave no recording to {part}.",
                "They name files as CLASS/NAME.wav; without the lists the split is 60/20/20.",
            )
    lost = sorted(where.keys() - known)
    if lost:
        notes.append(f"Not there: {counted(len(lost), 'file')} of the lists, {listed(lost, _NAMED)}.")
    notes.append("The parts are those of validation_list.txt and testing_list.txt.")
    return parts


def _without_validation(parts: dict[str, list[_File]], root: Path) -> dict[str, list[_File]]:
    train = parts["train"]
    labels = np.array([file.label for file in train])
    groups = np.array([file.group for file in train]) if train[0].group is not None else None
    stay, held = validation_indices(labels, groups, root.name)
    return {"train": [train[i] for i in stay], "val": [train[i] for i in held], "test": parts["test"]}


def _noises(root: Path, rate: int, notes: list[str]) -> dict[str, Waveform]:
    """The recordings of `_background_noise_`, in the folder or in its training part, by the hash of their samples."""
    noises = {}
    for folder in (
        root / name / place for name in (".", *PART_FOLDERS["train"]) for place in RECORDINGS.skipped
    ):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in RECORDINGS.suffixes and not path.name.startswith("."):
                    noise = read(path, inspect(path), rate).samples
                    noises[hashlib.sha256(noise.tobytes()).hexdigest()] = noise
    if noises:
        notes.append(
            f"Mixed into versions of training recordings: {counted(len(noises), 'recording')} of background noise."
        )
    return noises


TASK = load
