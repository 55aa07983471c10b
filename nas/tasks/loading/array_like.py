"""Arrays of what people hand over: lists, columns of data frames, arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cost_models.errors import UserError


def as_samples(values: ArrayLike, what: str) -> NDArray[Any]:
    """Samples as an array of one shape; an array is itself, wherever it lies.

    Raises:
        UserError: Rows of several lengths, masked values, or what are not numbers.
    """
    array = _array(values, what)
    if array.dtype.hasobject:
        raise UserError(
            f"{what} is not an array of numbers of one shape.",
            "Give samples of one length, as an array of numbers.",
        )
    return array


def as_labels(values: ArrayLike, what: str) -> NDArray[Any]:
    """Labels, or groups, as an array of numbers or words.

    Raises:
        UserError: They are neither, or some are masked.
    """
    array = _array(values, what)
    if not array.dtype.hasobject:
        return array
    if array.size and all(isinstance(one, str) for one in array.flat):  # a column of a data frame
        return array.astype(np.str_)
    raise UserError(
        f"{what} holds neither numbers nor words alone.", "Give one number or one word for each sample."
    )


def _array(values: ArrayLike, what: str) -> NDArray[Any]:
    """An array of the same values; of objects where there is none."""
    if np.ma.is_masked(values):
        raise UserError(
            f"{what} has masked values, and arrays in files have no masks.",
            "Leave these samples out, or fill them: array.filled(value).",
        )
    try:
        array = np.asarray(values)  # an array is not copied: it may be mapped from a file
    except ValueError:  # rows of several lengths
        return np.empty(0, object)
    if array.dtype == object and array.size:  # numbers that were kept as objects
        numbers = np.array(array.tolist())
        return numbers if numbers.dtype.kind in "biuf" else array
    if array.dtype.kind == "U" and not hasattr(values, "dtype") and not _all_words(values):
        return np.empty(0, object)  # numpy makes words of the numbers among words
    return array


def _all_words(values: object) -> bool:
    return isinstance(values, str) or (
        isinstance(values, Iterable) and all(_all_words(value) for value in values)
    )
