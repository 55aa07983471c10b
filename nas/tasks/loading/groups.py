"""Groups of samples: the person, machine or recording that each is of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError

Array = NDArray[np.generic]


def check_groups(groups: Array, count: int, name: str) -> Array:
    """Groups as a row, one a sample.

    Raises:
        UserError: Another number of them, or NaN.
    """
    flat = groups.reshape(-1) if groups.ndim == 2 and groups.shape[1] == 1 else groups
    if flat.shape != (count,):
        raise UserError(
            f"{name}: groups has shape {groups.shape} for {count} samples.", "Each sample needs one group."
        )
    if flat.dtype.kind == "f" and np.isnan(flat).any():
        raise UserError(f"{name}: groups has NaN.", "Each sample needs one group.")
    return flat
