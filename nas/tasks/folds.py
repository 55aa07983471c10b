"""Training and validation samples in folds: each of them is left out of one training, which it judges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.metrics import METRICS
from nas.model.words import counted
from nas.tasks.dataset import Array, Dataset
from nas.tasks.loading.targets import strata

_SEED = 0  # the folds are of the data, whatever the run's seed
_HINT = "Give fewer --folds, or leave them out."


@dataclass(frozen=True, slots=True, kw_only=True)
class Folds:
    """Folds of the training and validation samples of a data set.

    Attributes:
        dataset: The data.
        count: How many folds.
        of: The fold of each sample, the training samples first; versions of one are one sample. Shape: (n,).
        groups: The group of each sample, none of which is in two folds; None where groups are not known. Shape: (n,).
    """

    dataset: Dataset
    count: int
    of: NDArray[np.int64]
    groups: Array | None

    @property
    def order(self) -> NDArray[np.int64]:
        """The samples fold by fold, as the trainings answer them. Shape: (n,)."""
        return np.argsort(self.of, kind="stable")

    @property
    def labels(self) -> NDArray[Any]:
        """The labels in that order. Shape: (n,) or (n, k)."""
        return _labels(self.dataset)[self.order]

    @property
    def groups_in_order(self) -> Array | None:
        """The groups in that order, where they are known. Shape: (n,)."""
        return None if self.groups is None else self.groups[self.order]

    def left_out(self, fold: int) -> Dataset:
        """The data for one training: its validation part is a fold, its training part is all others.

        The scaling stays that of the training part.
        """
        data, versions = self.dataset, versions_of(self.dataset)
        held = self.of == fold
        plain = np.concatenate([data.samples["train"][::versions], data.samples["val"]])
        samples, labels = data.all_for_training()
        stay = np.repeat(~held, versions)
        train = {"samples": samples[stay], "labels": labels[stay]}
        return replace(
            data,
            samples={**data.samples, "train": train["samples"], "val": plain[held]},
            labels={**data.labels, "train": train["labels"], "val": _labels(data)[held]},
            groups={},
            validation_versions=None,
        )

    def note(self) -> str:
        """What is parted into folds, in a sentence."""
        if self.groups is None:
            whole = f"by {'range' if self.dataset.info.targets else 'class'}, as no groups are known"
        else:
            whole = f"none of {counted(len(np.unique(self.groups)), 'group')} parted"
        samples = f"{len(self.of):,} training and validation samples"
        return f"Finalists are judged in {self.count} folds of {samples}, {whole}."


def make_folds(dataset: Dataset, count: int) -> Folds:
    """Parts the training and validation samples, stratified by class; a group stays whole where groups are known.

    Raises:
        UserError: Anomalies, or fewer groups or samples of a class than folds.
    """
    name = dataset.info.name
    if dataset.info.false_alarms is not None:
        raise UserError(
            "--folds is not for anomalies: their threshold is set by the validation part.",
            "Leave --folds out.",
        )
    if METRICS[dataset.info.metric].robust:
        raise UserError("--folds and --robust do not go together.", "Leave one of the two out.")
    labels = strata(_labels(dataset))
    kinds, counts = np.unique(labels, return_counts=True)
    if counts.min() < count:
        what = (
            "samples"
            if dataset.info.targets
            else f"samples of class {_named(dataset, kinds[counts.argmin()])}"
        )
        raise UserError(
            f"{name}: {counts.min()} training and validation {what} are too few for {count} folds.", _HINT
        )
    groups = _groups(dataset)
    # scikit-learn takes a second to import, so only who asks for folds pays for it.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    folds = np.zeros(len(labels), np.int64)
    blank = np.zeros(len(labels))
    if groups is None:
        splitter = StratifiedKFold(n_splits=count, shuffle=True, random_state=_SEED)
        parts = splitter.split(blank, labels)
    else:
        _check_groups(dataset, labels, groups, count)
        grouped = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=_SEED)
        parts = grouped.split(blank, labels, groups)
    for fold, (_, held) in enumerate(parts):
        folds[held] = fold
    if len(np.unique(folds)) < count:
        raise UserError(f"{name}: its groups are too uneven for {count} folds.", _HINT)
    return Folds(dataset=dataset, count=count, of=folds, groups=groups)


def versions_of(dataset: Dataset) -> int:
    """How often each training sample is there, in versions that follow it."""
    versions = dataset.validation_versions
    return 1 if versions is None else len(versions) // len(dataset.labels["val"])


def _labels(dataset: Dataset) -> NDArray[Any]:
    return np.concatenate([dataset.labels["train"][:: versions_of(dataset)], dataset.labels["val"]])


def _groups(dataset: Dataset) -> Array | None:
    """The group of each sample, else the recording that it was cut from; None where neither is known."""
    known = dataset.groups or dataset.recordings
    parts = [known[part] for part in ("train", "val") if part in known]
    if not parts:
        return None
    if len(parts) == 1:
        raise UserError(
            f"{dataset.info.name}: groups are known of the training or of the validation samples alone, and folds are"
            " of both.",
            "Give groups_train and groups_val.",
        )
    return np.concatenate([parts[0][:: versions_of(dataset)], parts[1]])


def _check_groups(dataset: Dataset, labels: Array, groups: Array, count: int) -> None:
    name, what = dataset.info.name, "group" if dataset.groups else "recording"
    whole = len(np.unique(groups))
    if whole < count:
        raise UserError(f"{name}: {counted(whole, what)} are too few for {count} folds.", _HINT)
    for kind in np.unique(labels):
        if not dataset.info.targets and len(np.unique(groups[labels == kind])) < 2:
            raise UserError(
                f"{name}: all samples of class {_named(dataset, kind)} are of one {what}: without it nothing of that"
                " class is learned.",
                "Leave --folds out.",
            )


def _named(dataset: Dataset, kind: Any) -> str:
    names = dataset.info.class_names
    return names[int(kind)] if names else str(kind)
