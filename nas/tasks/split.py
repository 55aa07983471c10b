"""Splits samples into train, val and test, stratified, and by group where groups are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.words import counted
from nas.tasks.dataset import Array, Dataset, make_dataset
from nas.tasks.loading import PARTS
from nas.tasks.loading.array_like import as_labels, as_samples
from nas.tasks.loading.groups import check_groups
from nas.tasks.loading.labels import clean_labels
from nas.tasks.loading.mapped import gathered
from nas.tasks.loading.raw_type import check_values
from nas.tasks.loading.targets import clean_numbers, predicts_numbers, strata
from nas.tasks.options import InputKind, TaskOptions

Indices = NDArray[np.int64]

_MANY_CLASSES = 10  # of so few samples: rather numbers
_SEED = 0  # the data set's own split: the run's seed must not move the test set


def split_parts(
    *,
    name: str,
    samples: Array,
    labels: Array,
    groups: Array | None = None,
    class_names: tuple[str, ...] | None = None,
    target_names: tuple[str, ...] | None = None,
    source: str = "",
    licence: str = "",
    input_kind: InputKind = "auto",
    notes: Sequence[str] = (),
    options: TaskOptions | None = None,
    sample_rate: float | None = None,
    make: Callable[..., Dataset] = make_dataset,
) -> Dataset:
    """A data set of samples that come in one heap: 60 % train, 20 % val, 20 % test.

    Args:
        name: The task's name in messages and manifests.
        samples: Shape: (n, features), (n, time, channels), (n, h, w) or (n, h, w, c).
        labels: A class index or class name of each sample, or numbers to predict. Shape: (n,) or (n, k).
        groups: The subject (person, machine, recording) of each sample: no subject is in two parts. Shape: (n,).
        class_names: Names by index; taken from the labels when None.
        target_names: Names of the numbers to predict.
        source: Where the data come from.
        licence: The licence of the data.
        input_kind: What the axes of the samples are.
        notes: What the loading has to say of the data.
        options: What the user says of the data; see `make_dataset`.
        sample_rate: Of signals in Hz, where it is known.
        make: Makes the data set of the parts, as `make_dataset` does.

    Raises:
        UserError: Arrays that do not go together, or too few samples to split.
    """
    samples, labels = as_samples(samples, f"{name}: X"), as_labels(labels, f"{name}: y")
    groups = None if groups is None else as_labels(groups, f"{name}: groups")
    numbers = labels.ndim > 0 and predicts_numbers(options, [labels])
    if samples.ndim < 2 or labels.ndim == 0 or (labels.size != len(labels) and not numbers):
        raise UserError(
            f"{name}: samples of shape {samples.shape} and labels of shape {labels.shape} do not go together.",
            "Labels are one class index for each sample (not one-hot); --metric rmse predicts several numbers.",
        )
    _same_length(name, samples, labels)
    check_values(samples, f"{name}: X")  # while a sample has the number that its owner knows
    said = list(notes)
    if labels.dtype.kind == "f" and not numbers:
        said.append("y: floats of whole numbers, taken as class indices.")
    flat: Array = clean_numbers(labels, f"{name}: y") if numbers else clean_labels(labels, f"{name}: y")
    known = None if groups is None else check_groups(groups, len(flat), name)
    index = split_indices(flat, known, name)
    return make(
        name=name,
        samples={part: gathered(samples, index[part]) for part in PARTS},
        labels={part: flat[index[part]] for part in PARTS},
        class_names=class_names,
        target_names=target_names,
        source=source,
        licence=licence,
        groups=None if known is None else {part: known[index[part]] for part in PARTS},
        input_kind=input_kind,
        notes=said,
        options=options,
        sample_rate=sample_rate,
    )


def split_indices(labels: Array, groups: Array | None, name: str) -> dict[str, Indices]:
    """Where the samples of each part are in one heap: 60 % train, 20 % val, 20 % test.

    Args:
        labels: A label of each sample. Shape: (n,).
        groups: The subject of each sample, or None. Shape: (n,).
        name: The task, for messages.

    Raises:
        UserError: Too few samples of a class, or too few groups.
    """
    rest, test = hold_out(labels, groups, share=0.2, seed=_SEED, name=name)
    inner = None if groups is None else groups[rest]
    stay, held = hold_out(labels[rest], inner, share=0.25, seed=_SEED, name=name)
    return {"train": rest[stay], "val": rest[held], "test": test}


def hold_out_validation(
    samples: Mapping[str, Array], labels: Mapping[str, Array], groups: Mapping[str, Array], *, name: str
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Takes the val part out of the train part.

    Args:
        samples: Arrays of train and test.
        labels: Their cleaned labels.
        groups: Groups of train, or of train and test, or none.
        name: The task, for messages.
    """
    _same_length(name, samples["train"], labels["train"])
    check_values(samples["train"], f"{name}: X_train")
    stay, held = validation_indices(labels["train"], groups.get("train"), name)

    def parted(arrays: Mapping[str, Array]) -> dict[str, Array]:
        if "train" not in arrays:
            return dict(arrays)
        train = arrays["train"]
        return {**arrays, "train": gathered(train, stay), "val": gathered(train, held)}

    return parted(samples), parted(labels), parted(groups)


def validation_indices(labels: Array, groups: Array | None, name: str) -> tuple[Indices, Indices]:
    """Where the samples are that stay in a train part, and those of it that become the val part: a fifth.

    Raises:
        UserError: Too few samples of a class, or too few groups.
    """
    return hold_out(labels, groups, share=0.2, seed=_SEED, name=name)


def _same_length(name: str, samples: Array, labels: Array) -> None:
    if len(samples) != len(labels):
        raise UserError(
            f"{name}: {len(samples)} samples but {len(labels)} labels.", "Each sample needs one label."
        )
    if len(samples) == 0:
        raise UserError(f"{name} holds no samples.", "Each part needs samples of each class.")


def hold_out(
    labels: NDArray[np.generic],
    groups: NDArray[np.generic] | None,
    *,
    share: float,
    seed: int,
    name: str,
) -> tuple[Indices, Indices]:
    """Indices that stay and indices held out.

    Args:
        labels: One label a sample, or a row of numbers; each class, or range of numbers, is held out in proportion.
        groups: Subjects (persons, machines, recordings); no group is on both sides.
        share: Share of the samples to hold out.
        seed: Seed of the shuffle.
        name: The task, for messages.

    Raises:
        UserError: Too few samples of a class, or too few groups.
    """
    # scikit-learn takes a second to import, so only who splits pays for it.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedShuffleSplit

    labels = strata(labels)
    blank = np.zeros(len(labels))
    if groups is not None:
        folds = max(2, round(1 / share))
        count = len(np.unique(groups))
        if count < folds:
            raise UserError(
                f"{name}: {counted(count, 'group')} {'is' if count == 1 else 'are'} too few to hold out {share:.0%}"
                " of the samples by group.",
                f"Give at least {folds} groups, or the parts themselves (X_train, X_val, X_test; train, val, test).",
            )
        splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
        stay, held = next(iter(splitter.split(blank, labels, groups)))
        return stay.astype(np.int64), held.astype(np.int64)
    _, counts = np.unique(labels, return_counts=True)
    classes = len(counts)
    if counts.min() < 2 or round(len(labels) * share) < classes:
        raise UserError(
            f"{name}: {len(labels)} samples of {classes} classes are too few to split.",
            "Each part needs samples of each class: about 10 samples a class at the least."
            + (" --metric rmse predicts numbers." if classes > _MANY_CLASSES else ""),
        )
    shuffle = StratifiedShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    stay, held = next(iter(shuffle.split(blank, labels)))
    return np.sort(stay).astype(np.int64), np.sort(held).astype(np.int64)
