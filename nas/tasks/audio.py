"""Recordings of sounds and words: `audio:FOLDER`, through a front end that the chip runs as well."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.frontend.kinds import FrontEndSettings
from nas.frontend.settings import LogMelSettings
from nas.frontend.spec import make_spec, settings_of
from nas.frontend.spectrum import SpectrumSettings
from nas.model.trained import FrontEndSpec
from nas.model.words import counted, listed
from nas.tasks.dataset import Array, Dataset, make_dataset
from nas.tasks.loading import PARTS
from nas.tasks.loading.audio_clip import audible, padded, parse_clip
from nas.tasks.loading.audio_features import Plan, Source, features
from nas.tasks.loading.audio_file import AudioInfo, Waveform, content_hash, inspect, read
from nas.tasks.loading.class_folders import PART_FOLDERS, RECORDINGS, Layout, read_layout, show
from nas.tasks.loading.memory import require_memory
from nas.tasks.loading.progress import tell
from nas.tasks.options import SEARCH, TaskOptions, least_classes, parse_limits
from nas.tasks.split import split_indices, validation_indices

_RATE = 16_000  # Hz; higher ones cost memory and cycles and say little more of words
_CLIP_S = 1.0
_LONGEST_CLIP_S = 60.0
_WINDOW_MS, _HOP_MS, _LONG_HOP_MS = 32.0, 20.0, 30.0
_FEWER, _FEWEST_BANDS = 0.6, 8  # of the bands, in the smaller front ends of a search
_GOLDEN = 2
_SPEAKER = re.compile(r"^([0-9a-f]+)_nohash_\d+$")  # of Speech Commands' files
_LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}
_DEEPER = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_20", "ALAC_24", "ALAC_32", "DWVW_24")  # than 16 bits
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
    every = [file for files in parts.values() for file in files]
    rate = _rate(every, options.sample_rate, notes)
    clip = parse_clip(options.clip) if options.clip else _usual_clip(every)
    front_end = options.front_end or "pcan"
    settings = (
        _searched(rate, options) if front_end == SEARCH else {front_end: _settings(front_end, rate, options)}
    )
    specs = {label: make_spec(each, round(clip * rate)) for label, each in settings.items()}
    times = {part: options.augment + 1 if part == "train" else 1 for part in parts}
    require_memory(
        sum(times[part] * len(files) for part, files in parts.items())
        * sum(spec.frames * spec.bands for spec in specs.values()),
        str(root),
        "Give fewer recordings, a smaller --augment, a shorter --clip or fewer --bands.",
    )
    noises = _noises(root, rate, notes) if options.augment else {}
    if options.augment:
        notes.append(
            f"Each training recording is there {options.augment + 1} times: as it is, and with other speed, level,"
            f" place and {'background' if noises else 'white'} noise; --augment 0 leaves that out."
        )
    index = {name: i for i, name in enumerate(layout.classes)}

    def by_row(value: Callable[[_File], object]) -> dict[str, Array]:
        return {
            part: np.repeat([value(file) for file in files], times[part]) for part, files in parts.items()
        }

    name = root.resolve().name or "audio"
    labels = by_row(lambda file: index[file.label])
    groups = None if group_of is None else by_row(lambda file: file.group or "")
    golden = _golden(parts["test"], rate, round(clip * rate))

    def behind(spec: FrontEndSpec, said: Sequence[str]) -> Dataset:
        plan = Plan(
            settings=settings_of(spec),
            clip_samples=spec.clip_samples,
            versions={part: count - 1 for part, count in times.items()},
        )
        samples, tally = features(
            plan, {part: [file.source for file in files] for part, files in parts.items()}, noises
        )
        return make_dataset(
            name=name,
            samples=samples,
            labels=labels,
            class_names=layout.classes,
            source=f"recordings of {name}",
            groups=groups,
            input_kind="images",
            notes=[*notes, *_format_notes(every, rate), *tally.notes(), *said],
            options=options,
            frontend=spec,
            golden_recordings=golden,
        )

    said = [_front_end_note(spec, label) for label, spec in specs.items()]
    if len(specs) == 1:
        return behind(next(iter(specs.values())), said)
    said = [f"The front end is searched, of {len(specs)}. {' '.join(said)}"]
    found = {label: behind(spec, said) for label, spec in specs.items()}
    return replace(next(iter(found.values())), behind=found)


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
        found = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"--group {pattern!r} is no pattern ({error}).", "Write it like '^([a-z]+)_'."
        ) from None
    if found.groups != 1:
        raise UserError(
            f"--group {pattern!r} has {found.groups} groups.", "Put one part in brackets, like '^([a-z]+)_'."
        )
    matches = {path: found.search(path.stem) for path in paths}
    # A bracket that may be empty tells nothing of a file in which it is.
    strangers = [show(path) for path, match in matches.items() if match is None or match[1] is None]
    if strangers:
        raise UserError(
            f"--group {pattern!r} does not match {listed(strangers, _NAMED)}.",
            "It is searched in the file's name without its suffix.",
        )

    def group(path: Path) -> str:
        match = found.search(path.stem)
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
        for found in pool.map(head, [path for _, path in files]):
            heads.append(found)
            tell("reading recordings", len(heads), len(files))
    errors = [found for found in heads if isinstance(found, UserError)]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise UserError(
            f"{len(errors)} of {len(files)} recordings of {root} cannot be used:"
            f" {listed([error.message.rstrip('.') for error in errors], _NAMED)}.",
            "Remove or convert them.",
        )
    return [
        _File(source=found, label=label, group=None if group_of is None else group_of(path))
        for (label, path), found in zip(files, heads, strict=True)
        if isinstance(found, Source)
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
            text = (root / name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            raise UserError(f"{root / name} cannot be read.", "It lists files as CLASS/NAME.wav.") from None
        lines = [line.strip() for line in text.splitlines() if line.strip()]
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


def _rate(files: list[_File], asked: float | None, notes: list[str]) -> int:
    lowest = min(file.info.rate for file in files)
    rate = min(_RATE, lowest) if asked is None else round(asked)
    if asked is not None and rate != asked:
        raise UserError(f"--sample-rate {asked:g} is no whole number.", "Audio is sampled at whole rates.")
    if rate > lowest:
        notes.append(f"Some recordings have {lowest:,} Hz only: resampled to {rate:,} Hz they gain nothing.")
    return rate


def _usual_clip(files: list[_File]) -> float:
    """Seconds of a recording: their own length where they have one, else a second."""
    lengths = {file.info.seconds for file in files}
    longest = max(lengths)
    if len(lengths) == 1 and longest <= _LONGEST_CLIP_S:
        return longest
    return _CLIP_S


def _settings(name: str, rate: int, options: TaskOptions) -> FrontEndSettings:
    """The front end that a name stands for, at a sample rate."""
    bands = options.bands or (40 if rate >= _RATE else 24)
    low, high = (125.0, min(7500.0, 0.475 * rate))
    if options.band_limits is not None:
        low, high = parse_limits(options.band_limits)
    if name == "spectrum":
        return SpectrumSettings(
            sample_rate=rate,
            window_ms=_WINDOW_MS,
            hop_ms=_HOP_MS,
            bands=bands,
            low_hz=low,
            high_hz=high,
            channels=1,
            units_per_count=(1.0,),
        )
    return LogMelSettings(
        sample_rate=rate,
        window_ms=_WINDOW_MS,
        hop_ms=_HOP_MS,
        bands=bands,
        low_hz=low,
        high_hz=high,
        pcan=name != "log_mel",
        noise_subtraction=name == "micro_speech",
    )


def _searched(rate: int, options: TaskOptions) -> dict[str, FrontEndSettings]:
    """The front ends that a search may choose, by name; the first is the one that is taken without a search.

    They differ in how many bands a frame has, in how many frames there are, and in whether noise is subtracted. All
    adapt to the level: how loud it is where the device hears is what validation recordings seldom show.
    """
    usual, quiet = _settings("pcan", rate, options), _settings("micro_speech", rate, options)
    fewer = max(_FEWEST_BANDS, round(usual.bands * _FEWER))
    return {
        f"{name}, {settings.bands} bands, {settings.hop_ms:g} ms": settings
        for name, settings in (
            ("pcan", usual),
            ("pcan", replace(usual, bands=fewer)),
            ("pcan", replace(usual, hop_ms=_LONG_HOP_MS)),
            ("pcan", replace(usual, bands=fewer, hop_ms=_LONG_HOP_MS)),
            ("micro_speech", quiet),
        )
    }


def _golden(files: Sequence[_File], rate: int, samples: int) -> NDArray[np.int16]:
    """The first recording of each of the first classes, as the self-test replays them. Shape: (k, samples)."""
    first: dict[str, _File] = {}
    for file in files:
        first.setdefault(file.label, file)
    chosen = [file for file in files if first[file.label] is file][:_GOLDEN]
    clips = [audible(read(file.source.path, file.info, rate).samples, samples) for file in chosen]
    return np.stack([padded(clip, samples) for clip in clips])


def _noises(root: Path, rate: int, notes: list[str]) -> dict[str, Waveform]:
    """The recordings of `_background_noise_`, in the folder or in its training part, by the hash of their samples."""
    found = {}
    for folder in (
        root / name / place for name in (".", *PART_FOLDERS["train"]) for place in RECORDINGS.skipped
    ):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in RECORDINGS.suffixes and not path.name.startswith("."):
                    noise = read(path, inspect(path), rate).samples
                    found[hashlib.sha256(noise.tobytes()).hexdigest()] = noise
    if found:
        notes.append(
            f"Mixed into versions of training recordings: {counted(len(found), 'recording')} of background noise."
        )
    return found


def _format_notes(files: Sequence[_File], rate: int) -> list[str]:
    notes = []
    rates = Counter(file.info.rate for file in files)
    if others := {found: count for found, count in rates.items() if found != rate}:
        text = ", ".join(f"{count:,} of {found:,} Hz" for found, count in sorted(others.items()))
        notes.append(f"Resampled to {rate:,} Hz: {text}.")
    if mixed := sum(file.info.channels > 1 for file in files):
        notes.append(f"Mixed to one channel: {counted(mixed, 'recording')}.")
    if deep := sum(file.info.subtype in _DEEPER for file in files):
        notes.append(f"Rounded to 16 bits: {counted(deep, 'recording')} of other depths.")
    return notes


def _front_end_note(spec: FrontEndSpec, name: str) -> str:
    settings = settings_of(spec)
    return (
        f"Features by {name.partition(',')[0]}: {spec.frames} frames of {spec.bands} bands, a frame of"
        f" {settings.window_ms:g} ms every {settings.hop_ms:g} ms, made by TFLM as on the chip."
    )


TASK = load
