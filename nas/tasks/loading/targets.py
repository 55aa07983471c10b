"""Numbers to predict: which labels are numbers and not classes, and what is refused before a network learns them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.regression import Numbers, TargetScale
from nas.tasks.loading import PARTS
from nas.tasks.loading.labels import MOST_CLASSES, check_class_names
from nas.tasks.options import TaskOptions

Array = NDArray[np.generic]

_MOST_TARGETS = 1000
_FEW_VALUES = 20  # that may be classes in disguise: the user says which
_MOST_BINS = 10
_BIN_SAMPLES = 20  # that a bin of a stratified split has at least
_FAR = 10.0  # deviations of the training numbers, beyond which another part is on another scale
_COARSE = 0.05  # of the middle half: a step of the int8 output that is worth a word
_STEP = 0.05  # of a deviation: what float32 may round a number by, about a step of the int8 output
_OUTPUT_STEPS = 255


def predicts_numbers(options: TaskOptions | None, labels: Iterable[Array]) -> bool:
    """Whether labels are numbers to predict: the metric says so, or what they are."""
    return (options is not None and options.wants_numbers) or holds_numbers(labels)


def holds_numbers(labels: Iterable[Array]) -> bool:
    """Whether labels are measured numbers and not classes.

    They are where all parts are floats of many values, of which most are not whole or the largest is beyond any class
    index.
    """
    parts = [array[np.isfinite(array)] if array.dtype.kind == "f" else None for array in labels]
    values = [part for part in parts if part is not None and part.size]
    if not values or len(values) < len(parts):
        return False
    if len(np.unique(np.concatenate([part.reshape(-1) for part in values]))) <= _FEW_VALUES:
        return False
    fractions = sum(int((part != np.floor(part)).sum()) for part in values)
    return (
        2 * fractions > sum(part.size for part in values)
        or max(float(p.max()) for p in values) >= MOST_CLASSES
    )


def clean_numbers(labels: Array, what: str) -> Numbers:
    """Numbers of each sample in a row. Shape: (n,) or (n, k) -> (n, k).

    Args:
        labels: Whole or real numbers.
        what: The array, for messages: "wearable: y_train".

    Raises:
        UserError: Text, NaN or infinite values, or another shape.
    """
    if labels.dtype.kind not in "iuf":
        raise UserError(
            f"{what} holds {labels.dtype}, not numbers.",
            "Give the numbers to predict, or leave --metric out.",
        )
    rows = labels.reshape(-1, 1) if labels.ndim == 1 else labels
    if rows.ndim != 2 or not 0 < rows.shape[1] <= _MOST_TARGETS:
        raise UserError(
            f"{what} has shape {labels.shape}.",
            f"Give one number for each sample, or a row of up to {_MOST_TARGETS:,}.",
        )
    numbers = rows.astype(np.float64)
    broken = ~np.isfinite(numbers).all(axis=1)
    if broken.any():
        raise UserError(
            f"{what} has numbers that are NaN or infinite (first at sample {int(np.argmax(broken))}).",
            "Remove these samples.",
        )
    return numbers


def strata(labels: Array) -> Array:
    """What a split keeps in proportion: classes as they are, of numbers the bins of the first. Shape: (n,)."""
    if labels.ndim == 1:
        return labels
    first = np.asarray(labels[:, 0], np.float64)
    bins = int(np.clip(len(first) // _BIN_SAMPLES, 1, _MOST_BINS))
    edges = np.unique(np.quantile(first, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, first, "right")


def scale_numbers(
    numbers: Mapping[str, Numbers], names: tuple[str, ...] | None, name: str
) -> tuple[tuple[TargetScale, ...], list[str]]:
    """The scaling of each number, fitted on the training part alone, and doubts.

    Args:
        numbers: By part. Shape: (n, k).
        names: Of the numbers; None for y, or y[0], y[1] and so on.
        name: The task, for messages.

    Raises:
        UserError: Parts of another width, other names than numbers, or a number that is constant in training.
    """
    width = numbers["train"].shape[1]
    for part in PARTS:
        if numbers[part].shape[1] != width:
            raise UserError(
                f"{name}: y_{part} has {numbers[part].shape[1]} numbers a sample, but y_train has {width}.",
                "All three parts need the same numbers.",
            )
    if names is not None and len(names) != width:
        raise UserError(
            f"{name}: {len(names)} names of numbers, but y has {width} for each sample.",
            "Give one name for each.",
        )
    said = (
        check_class_names(names, name, "number")
        if names
        else (("y",) if width == 1 else tuple(f"y[{index}]" for index in range(width)))
    )
    means, deviations = numbers["train"].mean(axis=0), numbers["train"].std(axis=0)
    scales, notes = [], []
    for index, title in enumerate(said):
        mean, deviation = float(means[index]), float(deviations[index])
        # What rounding alone makes of equal numbers is not a deviation.
        if not deviation > 1e-9 * abs(mean):
            raise UserError(
                f"{name}: {title} is {mean:g} in all training samples.",
                "Leave it out: there is nothing to learn.",
            )
        if deviation < np.finfo(np.float32).tiny:
            raise UserError(
                f"{name}: {title} varies by {deviation:.3g}, below what float32 can hold.",
                "Give it in another unit.",
            )
        if max(abs(mean), deviation) > 1e30:
            raise UserError(
                f"{name}: {title} has values of {max(abs(mean), deviation):.3g}, beyond what float32 can hold.",
                "Give it in another unit.",
            )
        if float(np.spacing(np.float32(np.abs(numbers["train"][:, index]).max()))) > _STEP * deviation:
            raise UserError(
                f"{name}: {title} varies by {deviation:.3g} about {mean:.10g}: the chip's float32 cannot tell such"
                " numbers apart.",
                f"Subtract a fixed value, such as {mean:.3g}, and add it where more digits are kept.",
            )
        scales.append(TargetScale(name=title, mean=mean, deviation=deviation))
        for part in ("val", "test"):
            column = numbers[part][:, index]
            if abs(float(column.mean()) - mean) > _FAR * deviation or float(column.std()) > _FAR * deviation:
                notes.append(
                    f"{title} of the {part} part ({column.min():.6g} to {column.max():.6g}) is on another scale than"
                    f" that of the training part ({numbers['train'][:, index].min():.6g} to"
                    f" {numbers['train'][:, index].max():.6g})."
                )
        spread = float(np.ptp(numbers["train"][:, index]))
        low, high = np.quantile(numbers["train"][:, index], [0.25, 0.75])
        if spread / _OUTPUT_STEPS > _COARSE * (high - low):
            notes.append(
                f"{title} has rare values far out ({numbers['train'][:, index].min():.6g} to"
                f" {numbers['train'][:, index].max():.6g}, half of them {low:.6g} to {high:.6g}): the 256 levels of"
                f" an int8 output that reaches them are {spread / _OUTPUT_STEPS:.3g} apart."
            )
    return tuple(scales), notes
