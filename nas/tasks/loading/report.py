"""The data report: what a data set holds, in a few lines before training, and as JSON values in the result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.model.regression import TargetScale
from nas.model.trained import Preprocess
from nas.model.words import counted, listed
from nas.tasks.loading import PARTS
from nas.tasks.loading.mapped import chunks, extremes

Array = NDArray[np.generic]

_NAMED = 6
_CLIPPED = 0.01  # share of a part beyond the int8 range that is worth a word


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """One part of a data set.

    Attributes:
        samples: How many.
        classes: Samples by class, in the order of the class names; none where numbers are predicted.
        low: Least raw value of each channel.
        high: Largest raw value of each channel.
        clipped: Share of the values that lie outside the int8 range and saturate.
        copies: Samples that are exact copies of a training sample (in the training part: of an earlier sample).
    """

    samples: int
    classes: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    clipped: float
    copies: int
    targets: tuple[tuple[float, float], ...] = ()
    """The least and the largest of each number to predict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """Facts about a data set to read before a network is trained on it.

    Attributes:
        taken_as: How the axes were understood.
        raw_type: Element type of the raw samples.
        class_names: Names by index.
        parts: Reports by part: train, val, test.
        constant: Channels of a single value in the training part.
        levels: Of the 256 int8 levels, how many each channel uses in the training part.
        groups: How many groups there are, and how many are in several parts; None without groups.
        notes: What was guessed, left out, resized or is doubtful, a sentence each.
    """

    taken_as: str
    raw_type: str
    class_names: tuple[str, ...]
    parts: dict[str, PartReport]
    constant: tuple[int, ...]
    levels: tuple[int, ...]
    groups: tuple[int, int] | None
    notes: tuple[str, ...]
    targets: tuple[str, ...] = ()
    """Names of the numbers to predict."""

    def saying(self, *notes: str) -> DataReport:
        """The same report with more to say."""
        return replace(self, notes=(*self.notes, *notes))

    def lines(self) -> list[str]:
        """The report in words, the notes last."""
        low, high = min(self.levels), max(self.levels)
        levels = f"{low}" if low == high else f"{low} to {high}"
        lines = [
            f"{self.taken_as}, {self.raw_type}; "
            + ", ".join(f"{report.samples:,} {part}" for part, report in self.parts.items()),
            self._class_line(),
            "values "
            + ", ".join(f"{min(r.low):.6g} to {max(r.high):.6g} in {part}" for part, r in self.parts.items())
            + f"; channels use {levels} of 256 int8 levels",
            "beyond the int8 range "
            + ", ".join(f"{_percent(r.clipped)} of {part}" for part, r in self.parts.items()),
        ]
        if len(self.levels) == 1:
            lines[2] = lines[2].replace("; channels use", "; they use")
        if self.groups is not None:
            whole, shared = self.groups
            lines.append(f"{whole:,} groups, {shared:,} of them in more than one part")
        return lines + [f"note: {note}" for note in self.notes]

    def to_json(self) -> dict[str, Any]:
        """Plain values for result.json."""
        return asdict(self) | {"lines": self.lines()}

    def _class_line(self) -> str:
        if self.targets:
            shown = []
            for index, name in enumerate(self.targets[:_NAMED]):
                ends = ((part, *report.targets[index]) for part, report in self.parts.items())
                shown.append(
                    f"{name} {', '.join(f'{low:.6g} to {high:.6g} in {part}' for part, low, high in ends)}"
                )
            more = f"; and {len(self.targets) - _NAMED} more" if len(self.targets) > _NAMED else ""
            return f"predicts {'; '.join(shown)}{more}"
        if len(self.class_names) <= _NAMED:
            counts = [
                f"{name} {'/'.join(str(report.classes[index]) for report in self.parts.values())}"
                for index, name in enumerate(self.class_names)
            ]
            return f"classes ({'/'.join(self.parts)}) {', '.join(counts)}"
        ranges = [
            f"{min(report.classes):,} to {max(report.classes):,} in {part}"
            for part, report in self.parts.items()
        ]
        return f"{len(self.class_names)} classes, samples of each: {', '.join(ranges)}"


def make_report(
    *,
    taken_as: str,
    samples: Mapping[str, Array],
    labels: Mapping[str, NDArray[Any]],
    class_names: tuple[str, ...],
    targets: tuple[TargetScale, ...] = (),
    preprocess: Preprocess,
    input_range: tuple[float, float],
    constant: tuple[int, ...],
    levels: tuple[int, ...],
    groups: Mapping[str, Array] | None,
    notes: Sequence[str],
) -> DataReport:
    """Counts and measures all parts; its own findings follow the notes given.

    Args:
        taken_as: How the axes were understood.
        samples: Raw samples by part. Shape: (n, ..., channels).
        labels: Class indices by part, or numbers to predict.
        class_names: Names by index.
        targets: The numbers to predict.
        preprocess: The fitted scaling.
        input_range: Range of the input quantization.
        constant: Channels of a single value in the training part.
        levels: Int8 levels that each channel uses.
        groups: Groups of the samples by part, where they are known.
        notes: What the loading found.
    """
    copies, contrary = _copies(samples, labels, classes=not targets)
    ends = {part: extremes(samples[part]) for part in PARTS}
    parts = {
        part: PartReport(
            samples=len(samples[part]),
            classes=()
            if targets
            else tuple(int(n) for n in np.bincount(labels[part], minlength=len(class_names))),
            targets=tuple(zip(labels[part].min(axis=0).tolist(), labels[part].max(axis=0).tolist()))
            if targets
            else (),
            low=_floats(ends[part][0]),
            high=_floats(ends[part][1]),
            clipped=_clipped(samples[part], preprocess, input_range),
            copies=copies[part],
        )
        for part in PARTS
    }
    sentences = [
        *_class_notes(parts, class_names),
        *_constant_notes(parts, constant, channels=len(levels)),
        *_clipped_notes(parts),
        *_copy_notes(parts),
        *_contrary_notes(contrary),
    ]
    shared = None if groups is None else _shared(groups)
    if shared is not None and shared[1]:
        sentences.append(
            f"{shared[1]:,} of {shared[0]:,} groups are in more than one part:"
            " validation and test accuracy are those of known subjects."
        )
    return DataReport(
        taken_as=taken_as,
        raw_type=preprocess.raw_type,
        class_names=class_names,
        parts=parts,
        constant=constant,
        levels=levels,
        groups=shared,
        notes=(*notes, *sentences),
        targets=tuple(target.name for target in targets),
    )


def _class_notes(parts: Mapping[str, PartReport], class_names: Sequence[str]) -> list[str]:
    notes = []
    for part in ("val", "test"):
        absent = [name for name, count in zip(class_names, parts[part].classes, strict=True) if not count]
        if absent:
            notes.append(f"The {part} part has no sample of {listed(absent, _NAMED)}.")
    return notes


def _constant_notes(parts: Mapping[str, PartReport], constant: Sequence[int], *, channels: int) -> list[str]:
    if not constant:
        return []
    notes = [
        f"{'Channel' if len(constant) == 1 else 'Channels'} {listed([str(c) for c in constant], _NAMED)} of {channels}"
        f" hold{'s' if len(constant) == 1 else ''} a single value in the training part"
        f"{'' if len(constant) == 1 else ' each'}, nothing to learn from."
    ]
    varying = [
        c
        for c in constant
        if any(
            parts[p].low[c] != parts["train"].low[c] or parts[p].high[c] != parts["train"].low[c]
            for p in ("val", "test")
        )
    ]
    if varying:
        notes.append(
            f"Of these, {listed([str(c) for c in varying], _NAMED)} {'varies' if len(varying) == 1 else 'vary'} in the"
            " val or test part."
        )
    return notes


def _clipped_notes(parts: Mapping[str, PartReport]) -> list[str]:
    usual = parts["train"].clipped
    return [
        f"{_percent(parts[part].clipped)} of the values of the {part} part lie outside the range of the training part"
        " and saturate."
        for part in ("val", "test")
        if parts[part].clipped > max(_CLIPPED, 5 * usual)
    ]


def _copy_notes(parts: Mapping[str, PartReport]) -> list[str]:
    notes = [
        f"{parts[part].copies:,} of {parts[part].samples:,} {part} samples are exact copies of training samples:"
        f" accuracy on them says nothing of new data."
        for part in ("val", "test")
        if parts[part].copies
    ]
    train = parts["train"]
    if train.copies * 10 >= train.samples:
        notes.append(f"{train.copies:,} of {train.samples:,} training samples repeat an earlier one.")
    return notes


def _contrary_notes(contrary: int) -> list[str]:
    if not contrary:
        return []
    return [
        f"{counted(contrary, 'sample')} {'is' if contrary == 1 else 'are'} of another class than an exact copy among"
        " the training samples: one of the two labels is wrong."
    ]


def _copies(
    samples: Mapping[str, Array], labels: Mapping[str, NDArray[Any]], *, classes: bool
) -> tuple[dict[str, int], int]:
    """Exact copies by part, of training samples, and how many of all have another class than the first of these.

    16 bytes of hash a sample are kept.
    """
    known: dict[bytes, int] = {}
    copies, contrary = {}, 0
    for part in PARTS:
        copies[part] = 0
        of_classes = labels[part].tolist() if classes else [0] * len(samples[part])
        for digest, label in zip(_digests(samples[part]), of_classes, strict=True):
            if digest in known:
                copies[part] += 1
                contrary += known[digest] != label
            elif part == "train":
                known[digest] = label
    return copies, contrary


def _digests(array: Array) -> list[bytes]:
    return [
        hashlib.blake2b(row.data, digest_size=16).digest()
        for chunk in chunks(array)
        for row in np.ascontiguousarray(chunk).reshape(len(chunk), -1)
    ]


def _clipped(array: Array, preprocess: Preprocess, input_range: tuple[float, float]) -> float:
    low, high = input_range
    # What lies outside by less than half a step still gets the outermost code.
    slack = (high - low) / 510
    outside = 0
    for chunk in chunks(array):
        inputs = preprocess.apply(chunk)
        outside += int(np.count_nonzero((inputs < low - slack) | (inputs > high + slack)))
    return outside / array.size


def _shared(groups: Mapping[str, Array]) -> tuple[int, int]:
    """How many groups there are, and how many are in more than one part."""
    seen = [set(np.unique(array).tolist()) for array in groups.values()]
    whole = set().union(*seen)
    return len(whole), sum(sum(group in part for part in seen) > 1 for group in whole)


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values.reshape(-1).tolist())


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"
