"""Arrays of what people hand over: lists, columns of data frames, arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cost_models.errors import UserError


def as_samples(values: ArrayLike, what: str) -> NDArray[Any]:
    """Samples as an array of one shape; an array is itself, wherever it lies.

    Raises:
        UserError: Rows of several lengths, or what are not numbers.
    """
    array = _array(values)
    if array.dtype.hasobject:
        raise UserError(
            f"{what} is not an array of numbers of one shape.",
            "Give samples of one length, as an array of numbers.",
        )
    return array


def as_labels(values: ArrayLike, what: str) -> NDArray[Any]:
    """Labels, or groups, as an array of numbers or words.

    Raises:
        UserError: They are neither.
    """
    array = _array(values)
    if not array.dtype.hasobject:
        return array
    if array.size and all(isinstance(one, str) for one in array.flat):  # a column of a data frame
        return array.astype(np.str_)
    raise UserError(
        f"{what} holds neither numbers nor words alone.", "Give one number or one word for each sample."
    )


def _array(values: ArrayLike) -> NDArray[Any]:
    if isinstance(values, np.ndarray):
        return values  # not a copy: it may be mapped from a file
    try:
        return np.asarray(values)
    except ValueError:  # rows of several lengths
        return np.empty(0, object)
