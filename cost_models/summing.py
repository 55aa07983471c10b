"""A sum of floats that is the same to the bit on every Python."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add


def ordered_sum(values: Iterable[float]) -> float:
    """The sum, added from left to right.

    From Python 3.12 on the built-in `sum` compensates rounding, so that a bundle exported by 3.11 would state other
    costs than 3.13 computes.
    """
    return reduce(add, values, 0)
