"""A fixed random sample of many values: enough to measure a distribution, and the same every time."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nas.tasks.loading.mapped import release, spans

Kind = TypeVar("Kind", bound=np.generic)


def thinned(rows: NDArray[Kind], most: int) -> NDArray[Kind]:
    """The rows, or `most` of them drawn at random: a fixed step would meet the same pixels of every picture."""
    if len(rows) <= most:
        return rows
    index = np.random.default_rng(0).integers(0, len(rows), most)
    kept = np.empty((most, *rows.shape[1:]), rows.dtype)
    order = np.argsort(index, kind="stable")
    for start, stop in spans(rows):  # in their order: else a mapped array would be in memory as a whole
        some = order[slice(*np.searchsorted(index, (start, stop), sorter=order))]
        kept[some] = rows[index[some]]
        release(rows)
    return kept
