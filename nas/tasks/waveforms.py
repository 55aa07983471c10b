"""Recordings in arrays: what `audio:FOLDER` makes of files, made of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nas.tasks.dataset import Array, Dataset, check_counts
from nas.tasks.loading import PARTS
from nas.tasks.loading.audio_features import Source
from nas.tasks.loading.labels import clean_labels
from nas.tasks.loading.targets import clean_numbers, predicts_numbers
from nas.tasks.loading.waveforms import check_waveforms, row_info, whole_rate
from nas.tasks.options import InputKind, TaskOptions
from nas.tasks.sounds import make_sounds


def make_waveforms(
    *,
    name: str,
    samples: Mapping[str, Array],
    labels: Mapping[str, Array],
    options: TaskOptions,
    class_names: tuple[str, ...] | None = None,
    target_names: tuple[str, ...] | None = None,
    source: str = "",
    licence: str = "",
    groups: Mapping[str, Array] | None = None,
    input_kind: InputKind = "auto",
    notes: Sequence[str] = (),
    sample_rate: float | None = None,
) -> Dataset:
    """A data set of waveforms behind a front end of audio.

    Args:
        name: The task's name in messages and manifests.
        samples: Waveforms by part: int16, or floats whose full scale is 1. Shape: (n, samples) or (n, samples, 1).
        labels: Of the waveforms, by part; see `make_dataset`. Shape: (n,) or (n, k).
        options: What the user says of the data; `sample_rate` is what the waveforms are resampled to.
        class_names: Names by index; taken from the labels when None.
        target_names: Names of the numbers to predict.
        source: Where the data come from.
        licence: The licence of the data.
        groups: Speakers or machines by part. Shape: (n,).
        input_kind: As `make_dataset` takes it; of waveforms the options refuse any but "auto".
        notes: What the loading has to say of the data.
        sample_rate: Of the waveforms in Hz.

    Raises:
        UserError: Arrays that hold no waveforms, no sample rate, or what `make_sounds` refuses.
    """
    del input_kind
    rate = whole_rate(sample_rate, name)
    arrays = check_waveforms({part: samples[part] for part in PARTS}, name)
    check_counts(name, arrays, labels)
    clean = clean_numbers if predicts_numbers(options, labels.values()) else clean_labels
    for part in PARTS:  # before features are made, which takes long
        clean(labels[part], f"{name}: y_{part}")
    return make_sounds(
        name=name,
        recordings={part: _sources(array, rate, f"{name}: X_{part}") for part, array in arrays.items()},
        labels=labels,
        options=options,
        groups=groups,
        class_names=class_names,
        target_names=target_names,
        source=source,
        licence=licence,
        notes=[*notes, f"X holds waveforms of {rate:,} Hz."],
    )


def _sources(array: Array, rate: int, what: str) -> list[Source]:
    info = row_info(array, rate)
    kind = f"{array.dtype.str} {rate} ".encode()
    return [
        Source(
            path=Path(what),
            info=info,
            digest=hashlib.sha256(kind + np.ascontiguousarray(row).tobytes()).hexdigest(),
            row=row,
        )
        for row in array
    ]
