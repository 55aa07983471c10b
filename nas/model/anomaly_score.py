"""The score of a sample by a network that rebuilds it, in whole numbers: the same bits here and on the chip.

The score is the sum of the squared differences between the input and what the network makes of it, in real units up to
one factor. Input and output tensors have scales of their own: each quantized value, less its zero point, is multiplied
by a whole number so that both count in one unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MULTIPLIER_BITS = 10
_LARGEST_CODE = 255  # a quantized value less its zero point
_SCORE_BITS = 32
_SUM_BITS = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyScore:
    """How input and output tensors become one number: `sum((a * (x - zx) - b * (y - zy)) ** 2) >> shift`.

    Attributes:
        input_multiplier: a, of the input's values.
        output_multiplier: b, of the output's values.
        input_zero_point: zx.
        output_zero_point: zy.
        shift: Makes the largest sum one of 32 bits.
        unit: Mean squared error, in the network's real units, of a score of 1.
    """

    input_multiplier: int
    output_multiplier: int
    input_zero_point: int
    output_zero_point: int
    shift: int
    unit: float

    @classmethod
    def fold(
        cls, *, scales: tuple[float, float], zero_points: tuple[int, int], elements: int
    ) -> AnomalyScore:
        """The score of a network.

        Args:
            scales: Of input and output.
            zero_points: Of input and output.
            elements: Of each.

        Raises:
            ValueError: More elements than 64 bits can add up.
        """
        unit = max(scales) / (1 << _MULTIPLIER_BITS)
        multipliers = [max(1, math.floor(scale / unit + 0.5)) for scale in scales]
        largest = elements * (sum(multipliers) * _LARGEST_CODE) ** 2
        if largest.bit_length() > _SUM_BITS:
            raise ValueError(f"{elements} elements are too many to score")
        shift = max(0, largest.bit_length() - _SCORE_BITS)
        return cls(
            input_multiplier=multipliers[0],
            output_multiplier=multipliers[1],
            input_zero_point=zero_points[0],
            output_zero_point=zero_points[1],
            shift=shift,
            unit=unit * unit * (1 << shift) / elements,
        )

    def of(self, inputs: NDArray[np.int8], outputs: NDArray[np.int8]) -> NDArray[np.int64]:
        """The score of each sample. Shape: (n, elements) each, in any shape -> (n,)."""
        count = len(inputs)
        given = inputs.reshape(count, -1).astype(np.int64) - self.input_zero_point
        made = outputs.reshape(count, -1).astype(np.int64) - self.output_zero_point
        squares = (self.input_multiplier * given - self.output_multiplier * made) ** 2
        return np.asarray(squares.sum(axis=1) >> self.shift)


def threshold_at(scores: NDArray[np.int64], false_alarms: float) -> int:
    """The lowest threshold above which no larger share of the scores of normal samples lies.

    Args:
        scores: Of normal samples. Shape: (n,).
        false_alarms: The share.
    """
    allowed = math.floor(false_alarms * len(scores) + 1e-9)
    return int(np.sort(scores)[len(scores) - 1 - min(allowed, len(scores) - 1)])
