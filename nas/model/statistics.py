"""Confidence intervals of proportions."""

from __future__ import annotations

import math

Z95 = 1.959963984540054


def wilson(correct: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of `correct` out of `total`.

    Source: E. B. Wilson, JASA 22 (1927), 209-212.
    """
    if total <= 0:
        return (0.0, 1.0)
    share = correct / total
    spread = Z95**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return (max(0.0, middle - half), min(1.0, middle + half))
