"""Recordings of sounds and words: `audio:FOLDER`, through a front end that the chip runs as well."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.frontend.front_end import FrontEnd
from nas.frontend.settings import LogMelSettings
from nas.frontend.spec import make_spec, settings_of
from nas.model.trained import FrontEndSpec, Preprocess
from nas.model.words import counted, listed
from nas.tasks.dataset import Array, Dataset, make_dataset
from nas.tasks.loading import PARTS
from nas.tasks.loading.audio_augment import varied
from nas.tasks.loading.audio_clip import ClipTally, audible, fit_clip, parse_clip
from nas.tasks.loading.audio_file import AudioInfo, Recording, Waveform, inspect, read
from nas.tasks.loading.class_folders import PART_FOLDERS, RECORDINGS, Layout, read_layout, show
from nas.tasks.loading.memory import require_memory
from nas.tasks.options import FrontEndName, TaskOptions
from nas.tasks.split import hold_out, split_indices

_RATE = 16_000  # Hz; higher ones cost memory and cycles and say little more of words
_CLIP_S = 1.0
_LONGEST_CLIP_S = 60.0
_WINDOW_MS, _HOP_MS = 32.0, 20.0
_CHUNK = 256  # recordings at a time: as many waveforms are in memory
_GOLDEN = 2
_SPEAKER = re.compile(r"^([0-9a-f]+)_nohash_\d+$")  # of Speech Commands' files
_LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: Path
    label: str
    group: str | None
    info: AudioInfo


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
    layout = read_layout(root, RECORDINGS)
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
    samples = round(clip * rate)
    spec = make_spec(_settings(options.front_end, rate, options.bands), samples)
    require_memory(
        3 * len(every) * (options.augment + 1) * spec.frames * spec.bands + _CHUNK * samples * 16,
        str(root),
        "Give fewer recordings, a smaller --augment, a shorter --clip or fewer --bands.",
    )
    tally = ClipTally(clip=clip)
    noises = _noises(root, rate, notes) if options.augment else []
    times = {part: options.augment + 1 if part == "train" else 1 for part in parts}
    features, golden = _features(parts, times, rate, spec, tally, noises)
    if options.augment:
        notes.append(
            f"Each training recording is there {options.augment + 1} times: as it is, and with other speed, level,"
            f" place and {'background' if noises else 'white'} noise; --augment 0 leaves that out."
        )
    notes += _format_notes(every, rate) + tally.notes() + [_front_end_note(spec, options.front_end)]
    index = {name: i for i, name in enumerate(layout.classes)}
    groups = (
        None
        if group_of is None
        else {
            part: np.repeat([file.group or "" for file in files], times[part])
            for part, files in parts.items()
        }
    )
    name = root.resolve().name or "audio"
    dataset = make_dataset(
        name=name,
        samples=features,
        labels={
            part: np.repeat([index[file.label] for file in files], times[part])
            for part, files in parts.items()
        },
        class_names=layout.classes,
        source=f"recordings of {name}",
        groups=groups,
        input_kind="images",
        notes=notes,
    )
    # The bytes of the features are the network's input as they are, however loud the loudest recording is.
    whole = Preprocess(raw_type="uint8", offset=(0.0,), scale=(1.0 / 255.0,))
    info = replace(dataset.info, preprocess=whole, frontend=spec)
    report = replace(dataset.report, taken_as=f"features of {spec.frames} frames, {spec.bands} bands")
    return replace(dataset, info=info, report=report, input_range=(0.0, 1.0), golden_recordings=golden)


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

    def head(path: Path) -> AudioInfo | UserError:
        try:
            return inspect(path)
        except UserError as error:
            return error

    with ThreadPoolExecutor() as pool:
        heads = list(pool.map(head, [path for _, path in files]))
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
        _File(path=path, label=label, group=None if group_of is None else group_of(path), info=found)
        for (label, path), found in zip(files, heads, strict=True)
        if isinstance(found, AudioInfo)
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
        key = file.path.relative_to(root).as_posix()
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
    stay, held = hold_out(labels, groups, share=0.2, seed=0, name=root.name)
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


def _settings(name: FrontEndName, rate: int, bands: int | None) -> LogMelSettings:
    """The front end that a name stands for, at a sample rate."""
    return LogMelSettings(
        sample_rate=rate,
        window_ms=_WINDOW_MS,
        hop_ms=_HOP_MS,
        bands=bands or (40 if rate >= _RATE else 24),
        low_hz=125.0,
        high_hz=min(7500.0, 0.475 * rate),
        pcan=name != "log_mel",
        noise_subtraction=name == "micro_speech",
    )


def _features(
    parts: dict[str, list[_File]],
    times: dict[str, int],
    rate: int,
    spec: FrontEndSpec,
    tally: ClipTally,
    noises: Sequence[Waveform],
) -> tuple[dict[str, Array], NDArray[np.int16]]:
    """Features as bytes by part, and the recordings of the test part that the self-test replays."""
    front_end = FrontEnd(settings_of(spec))
    features: dict[str, Array] = {}
    golden: list[Waveform] = []
    for part, files in parts.items():
        rows = times[part]  # of each recording
        found = np.empty((len(files) * rows, spec.frames, spec.bands), np.uint8)
        wanted = _golden_places(files) if part == "test" else ()
        chunk = max(1, _CHUNK // rows)
        for start in range(0, len(files), chunk):
            some = files[start : start + chunk]
            clips = _clips(some, start, rate, spec.clip_samples, tally, rows - 1, noises)
            found[start * rows : start * rows + len(clips)] = front_end.raw_features(clips)
            golden += [clips[at - start] for at in wanted if start <= at < start + len(clips)]
        features[part] = found
    return features, np.stack(golden)


def _golden_places(files: Sequence[_File]) -> tuple[int, ...]:
    """The first recording of each of the first classes."""
    first: dict[str, int] = {}
    for at, file in enumerate(files):
        first.setdefault(file.label, at)
    return tuple(sorted(first.values())[:_GOLDEN])


def _clips(
    files: Sequence[_File],
    first: int,
    rate: int,
    samples: int,
    tally: ClipTally,
    versions: int,
    noises: Sequence[Waveform],
) -> NDArray[np.int16]:
    """Recordings of one length, each followed by its versions; decoded beside each other."""

    def decode(at: int) -> tuple[Recording, list[Waveform]]:
        file = files[at]
        recording = read(file.path, file.info, rate)
        rng = np.random.default_rng([0, first + at])
        heard = audible(recording.samples, samples)
        return recording, [varied(heard, samples, noises, rng) for _ in range(versions)]

    with ThreadPoolExecutor() as pool:
        decoded = list(pool.map(decode, range(len(files))))
    rows = []
    for recording, others in decoded:
        rows += [fit_clip(recording, samples, tally), *others]
    return np.stack(rows)


def _noises(root: Path, rate: int, notes: list[str]) -> list[Waveform]:
    """The recordings of `_background_noise_`, in the folder or in its training part."""
    found = []
    for folder in (
        root / name / place for name in (".", *PART_FOLDERS["train"]) for place in RECORDINGS.skipped
    ):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in RECORDINGS.suffixes and not path.name.startswith("."):
                    found.append(read(path, inspect(path), rate).samples)
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
    if deep := sum(file.info.subtype not in ("PCM_16", "PCM_U8", "PCM_S8", "VORBIS") for file in files):
        notes.append(f"Rounded to 16 bits: {counted(deep, 'recording')} of other depths.")
    return notes


def _front_end_note(spec: FrontEndSpec, name: FrontEndName) -> str:
    return (
        f"Features by {name}: {spec.frames} frames of {spec.bands} bands, a frame of {_WINDOW_MS:g} ms every"
        f" {_HOP_MS:g} ms, made by TFLM as on the chip."
    )


TASK = load
