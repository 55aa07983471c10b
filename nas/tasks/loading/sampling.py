"""A fixed random sample of many values: enough to measure a distribution, and the same every time."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind", bound=np.generic)


def thinned(rows: NDArray[Kind], most: int) -> NDArray[Kind]:
    """The rows, or `most` of them drawn at random: a fixed step would meet the same pixels of every picture."""
    if len(rows) <= most:
        return rows
    return rows[np.random.default_rng(0).integers(0, len(rows), most)]
