"""The user's own arrays: `npz:PATH`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from cost_models.errors import UserError
from nas.model.words import listed
from nas.tasks.dataset import Array, Dataset, label_notes, make_dataset
from nas.tasks.loading import PARTS
from nas.tasks.loading.groups import check_groups
from nas.tasks.loading.labels import clean_labels, names_of
from nas.tasks.loading.npz_file import Contents, read_npz
from nas.tasks.loading.targets import clean_numbers, predicts_numbers
from nas.tasks.options import AUDIO_FRONT_ENDS, TaskOptions
from nas.tasks.split import hold_out_validation, split_parts
from nas.tasks.waveforms import make_waveforms

_HINT = (
    "Expected X_train, y_train, X_val, y_val, X_test, y_test; or X and y (optional: groups, class_names,"
    " target_names)."
)
_KNOWN = {
    "X", "y", "class_names", "target_names", "source", "license", "groups",
    *(f"{array}_{part}" for array in ("X", "y", "groups") for part in PARTS),
}  # fmt: skip
_NAMED = 8
# Names under which data were meant to be given, but would be ignored.
_MEANT = re.compile(r"[xy](_?(train(ing)?|val(id(ation)?)?|dev(el)?|test(ing)?))?", re.I)
_SUBJECTS = re.compile(
    r"(group|subject|speaker|person|participant|patient|user|session|recording|device|machine)s?(_?ids?)?"
    r"(_(train|val|test))?",
    re.I,
)


def load(argument: str, options: TaskOptions) -> Dataset:
    """Reads `X_train y_train X_val y_val X_test y_test`, or `X y` and splits them.

    `groups` keeps a subject's samples on one side of a split; beside given parts, `groups_train`, `groups_val` and
    `groups_test` do (`groups` is that of X_train). With a front end of audio the samples are waveforms.

    Raises:
        UserError: The file is missing, broken, holds pickled objects or the wrong arrays.
    """
    if not argument:
        raise UserError("The task npz needs a file.", "Write npz:PATH, for example npz:data/wearable.npz.")
    path = Path(argument)
    known = _KNOWN if options.front_end is None else _KNOWN | {"sample_rate"}
    contents = read_npz(path, wanted=lambda key: key in known, hint=_HINT)
    arrays = dict(contents.arrays)
    rate = _rate(arrays, options, path)
    name = path.stem
    make = make_waveforms if options.front_end in AUDIO_FRONT_ENDS else make_dataset
    class_names, target_names = (
        names_of(arrays[key], f"{name}: {key}") if key in arrays else None
        for key in ("class_names", "target_names")
    )
    for key, array in arrays.items():
        if array.ndim == 0 and key.startswith(("X", "y", "groups")):
            raise UserError(f"{path}: {key} is a single value.", _HINT)
    source, licence = _text(arrays, "source"), _text(arrays, "license")
    notes = _unused_notes(contents)
    if "X" in arrays and "y" in arrays:
        others = sorted(key for key in arrays if key.endswith(PARTS))
        if others:
            raise UserError(
                f"{path} holds X and y as well as {', '.join(others)}.",
                "Give one heap of samples, or the parts.",
            )
        _refuse_meant(path, contents)
        return split_parts(
            name=name,
            samples=arrays["X"],
            labels=arrays["y"],
            groups=arrays.get("groups"),
            class_names=class_names,
            target_names=target_names,
            source=source,
            licence=licence,
            input_kind=options.input_kind,
            notes=notes,
            options=options,
            sample_rate=rate,
            make=make,
        )
    for key in ("X_train", "y_train", "X_test", "y_test"):
        if key not in arrays:
            held = sorted({*arrays, *contents.unused, *contents.strangers})
            raise UserError(f"{path} has no array {key}: it holds {', '.join(held) or 'nothing'}.", _HINT)
    if ("X_val" in arrays) != ("y_val" in arrays):
        raise UserError(f"{path} has only one of X_val and y_val.", _HINT)
    _refuse_meant(path, contents)
    samples = {part: arrays[f"X_{part}"] for part in PARTS if f"X_{part}" in arrays}
    labels = {part: arrays[f"y_{part}"] for part in samples}
    numbers = predicts_numbers(options, labels.values())
    if "X_val" not in arrays:
        clean = clean_numbers if numbers else clean_labels
        notes += [] if numbers else label_notes(labels)
        labels = {part: clean(array, f"{name}: y_{part}") for part, array in labels.items()}
    groups, group_notes = _groups(arrays, samples, name)
    notes += group_notes
    if "val" not in samples:
        notes.append("There is no X_val: a fifth of the training samples is held out for it.")
        samples, labels, groups = hold_out_validation(samples, labels, groups, name=name)
    return make(
        name=name,
        samples=samples,
        labels=labels,
        class_names=class_names,
        target_names=target_names,
        source=source,
        licence=licence,
        groups=groups if len(groups) > 1 else None,
        input_kind=options.input_kind,
        notes=notes,
        options=options,
        sample_rate=rate,
    )


def _rate(arrays: dict[str, Array], options: TaskOptions, path: Path) -> float | None:
    """The sample rate in Hz: what the user says, or an array of that name; None where nothing tells."""
    if "sample_rate" not in arrays:
        return options.sample_rate
    stored = arrays.pop("sample_rate")
    if stored.size != 1 or stored.dtype.kind not in "iuf" or not 0 < float(stored.ravel()[0]) < 1e7:
        raise UserError(f"{path}: sample_rate is not a number of Hz.", "Store one number, such as 50.")
    rate = float(stored.ravel()[0])
    if options.sample_rate not in (None, rate) and options.front_end not in AUDIO_FRONT_ENDS:
        raise UserError(
            f"{path} was sampled at {rate:g} Hz, not at {options.sample_rate:g} Hz: arrays are not resampled.",
            "Leave --sample-rate out.",
        )
    return rate


def _groups(
    arrays: Mapping[str, Array], samples: Mapping[str, Array], name: str
) -> tuple[dict[str, Array], list[str]]:
    """Groups by part, and a word where `groups` had to be understood.

    Raises:
        UserError: Groups that do not go with their samples.
    """
    groups = {part: arrays[f"groups_{part}"] for part in samples if f"groups_{part}" in arrays}
    notes = []
    if "groups" in arrays:
        if "train" in groups:
            raise UserError(f"{name}: groups and groups_train are both given.", "Leave one of them out.")
        if len(arrays["groups"]) != len(samples["train"]):
            raise UserError(
                f"{name}: groups has shape {arrays['groups'].shape}, but X_train has {len(samples['train'])} samples.",
                "Beside given parts, call them groups_train, groups_val and groups_test.",
            )
        groups["train"] = arrays["groups"]
        if "val" in samples:
            notes.append("The parts are given, so that groups (taken for those of X_train) split nothing.")
        else:
            notes.append("groups is taken for the groups of X_train: the val part holds other groups.")
    return {part: check_groups(array, len(samples[part]), name) for part, array in groups.items()}, notes


def _refuse_meant(path: Path, contents: Contents) -> None:
    """Refuses data that would be ignored because their name is another than the expected one."""
    meant = sorted(key for key in contents.unused if _MEANT.fullmatch(key))
    if meant:
        raise UserError(f"{path} has an array {meant[0]}, which no part of the data is called.", _HINT)


def _unused_notes(contents: Contents) -> list[str]:
    """Names what the file holds and nobody reads, with a hint where it looks like subjects."""
    notes = []
    subjects = sorted(key for key in contents.unused if _SUBJECTS.fullmatch(key))
    others = sorted({*contents.unused, *contents.strangers} - {*subjects, "sample_rate"})
    if "sample_rate" in contents.unused:
        notes.append(
            "sample_rate is not used: --front-end pcan makes features of waveforms, --front-end spectrum of vibration."
        )
    if subjects:
        single = len(subjects) == 1
        notes.append(
            f"{'Array' if single else 'Arrays'} {', '.join(subjects)} {'is' if single else 'are'} not used;"
            " as groups (or groups_train, groups_val, groups_test) they tell which samples are of one subject."
        )
    if others:
        notes.append(f"Not used: {listed(others, _NAMED)}.")
    return notes


def _text(arrays: Mapping[str, Array], key: str) -> str:
    array = arrays.get(key)
    if array is None or array.dtype.kind not in "SU":
        return ""
    return " ".join(names_of(array, key))


TASK = load
