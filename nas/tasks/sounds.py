"""From recordings to the features of a front end that the chip runs as well, whatever the recordings came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.frontend.kinds import FrontEndSettings
from nas.frontend.settings import LogMelSettings
from nas.frontend.spec import make_spec, settings_of
from nas.frontend.spectrum import SpectrumSettings
from nas.model.trained import FrontEndSpec
from nas.model.words import counted
from nas.tasks.dataset import Array, Dataset, make_dataset
from nas.tasks.loading.audio_clip import audible, padded, parse_clip
from nas.tasks.loading.audio_features import Plan, Source, features
from nas.tasks.loading.audio_file import Waveform
from nas.tasks.loading.memory import require_memory
from nas.tasks.options import SEARCH, TaskOptions, parse_limits

_RATE = 16_000  # Hz; higher ones cost memory and cycles and say little more of words
_CLIP_S = 1.0
_LONGEST_CLIP_S = 60.0
_WINDOW_MS, _HOP_MS, _LONG_HOP_MS = 32.0, 20.0, 30.0
_FEWER, _FEWEST_BANDS = 0.6, 8  # of the bands, in the smaller front ends of a search
_GOLDEN = 2
_DEEPER = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_20", "ALAC_24", "ALAC_32", "DWVW_24")  # than 16 bits


def make_sounds(
    *,
    name: str,
    recordings: Mapping[str, Sequence[Source]],
    labels: Mapping[str, Array],
    options: TaskOptions,
    noises: Callable[[int, list[str]], Mapping[str, Waveform]] | None = None,
    groups: Mapping[str, Array] | None = None,
    class_names: tuple[str, ...] | None = None,
    target_names: tuple[str, ...] | None = None,
    source: str = "",
    licence: str = "",
    notes: Sequence[str] = (),
) -> Dataset:
    """A data set of recordings: of one channel, one rate and one length, and behind a front end.

    Recordings go through the front end in TFLM's interpreter: a network's sample is the features of a recording, as
    bytes. Shape: (frames, bands, 1).

    Args:
        name: The task's name in messages and manifests.
        recordings: By part.
        labels: Of the recordings, by part; see `make_dataset`. Shape: (n,) or (n, k).
        options: What the user says of the data.
        noises: Background noise for versions of training recordings, by hash, at a rate in Hz; what there is to say
            of it goes into the list. None for white noise.
        groups: Speakers or machines of the recordings, by part. Shape: (n,).
        class_names: Names by index; taken from the labels when None.
        target_names: Names of the numbers to predict.
        source: Where the data come from.
        licence: The licence of the data.
        notes: What the loading has to say of the data.

    Raises:
        UserError: Settings that fit no front end, damaged recordings, or labels that do not go with them.
    """
    said = list(notes)
    every = [each for part in recordings.values() for each in part]
    rate = _rate(every, options.sample_rate, said)
    clip = parse_clip(options.clip) if options.clip else _usual_clip(every)
    front_end = options.front_end or "pcan"
    settings = (
        _searched(rate, options) if front_end == SEARCH else {front_end: _settings(front_end, rate, options)}
    )
    specs = {label: make_spec(each, round(clip * rate)) for label, each in settings.items()}
    times = {part: options.augment + 1 if part == "train" else 1 for part in recordings}
    more = {"val": options.augment if options.trains_on_validation else 0}
    require_memory(
        sum((times[part] + more.get(part, 0)) * len(some) for part, some in recordings.items())
        * sum(spec.frames * spec.bands for spec in specs.values()),
        name,
        "Give fewer recordings, a smaller --augment, a shorter --clip or fewer --bands.",
    )
    found_noises = noises(rate, said) if options.augment and noises is not None else {}
    if options.augment:
        said.append(
            f"Each training recording is there {options.augment + 1} times: as it is, and with other speed, level,"
            f" place and {'background' if found_noises else 'white'} noise; --augment 0 leaves that out."
        )
    said += _format_notes(every, rate)
    golden = _golden(recordings["test"], labels["test"], rate, round(clip * rate))

    def by_row(values: Mapping[str, Array]) -> dict[str, Array]:
        return {part: np.repeat(array, times[part], axis=0) for part, array in values.items()}

    def behind(spec: FrontEndSpec, of_front_ends: Sequence[str]) -> Dataset:
        plan = Plan(
            settings=settings_of(spec),
            clip_samples=spec.clip_samples,
            versions={part: count - 1 for part, count in times.items()},
        )
        samples, tally = features(plan, recordings, found_noises)
        dataset = make_dataset(
            name=name,
            samples=samples,
            labels=by_row(labels),
            class_names=class_names,
            target_names=target_names,
            source=source,
            licence=licence,
            groups=None if groups is None else by_row(groups),
            input_kind="images",
            notes=[*said, *tally.notes(), *of_front_ends],
            options=options,
            frontend=spec,
            golden_recordings=golden,
        )
        if not options.trains_on_validation or not options.augment:
            return dataset
        # Each validation recording is to count as much as each training recording does.
        again = replace(plan, versions={"val": options.augment})
        versions = features(again, {"val": recordings["val"]}, found_noises)[0]["val"]
        return replace(dataset, validation_versions=versions.reshape(-1, *dataset.info.input_shape))

    described = [_front_end_note(spec, label) for label, spec in specs.items()]
    if len(specs) == 1:
        return behind(next(iter(specs.values())), described)
    described = [f"The front end is searched, of {len(specs)}. {' '.join(described)}"]
    data_sets = {label: behind(spec, described) for label, spec in specs.items()}
    return replace(next(iter(data_sets.values())), behind=data_sets)


def _rate(files: Sequence[Source], asked: float | None, notes: list[str]) -> int:
    lowest = min(file.info.rate for file in files)
    rate = min(_RATE, lowest) if asked is None else round(asked)
    if asked is not None and rate != asked:
        raise UserError(f"--sample-rate {asked:g} is not a whole number.", "Audio is sampled at whole rates.")
    if rate > lowest:
        notes.append(f"Some recordings have {lowest:,} Hz only: resampled to {rate:,} Hz they gain nothing.")
    return rate


def _usual_clip(files: Sequence[Source]) -> float:
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


def _golden(recordings: Sequence[Source], labels: Array, rate: int, samples: int) -> NDArray[np.int16]:
    """The first recording of each of the first labels, as the self-test replays them. Shape: (k, samples)."""
    first = np.sort(np.unique(labels, axis=0, return_index=True)[1])[:_GOLDEN]
    clips = [audible(recordings[at].read(rate).samples, samples) for at in first]
    return np.stack([padded(clip, samples) for clip in clips])


def _format_notes(files: Sequence[Source], rate: int) -> list[str]:
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
