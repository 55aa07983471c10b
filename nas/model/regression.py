"""Numbers that a network predicts: their scaling, how far predictions are off, and the metrics of that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetScale:
    """One number that is predicted: the network puts out `(y - mean) / deviation`.

    Attributes:
        name: What it is called in reports and C comments.
        mean: Of the training samples, in the unit of the data.
        deviation: Standard deviation of the training samples, in the same unit; above 0.
    """

    name: str
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberScaling:
    """From a network's int8 outputs to numbers in the unit of the data: `offset + multiplier * code`.

    Both are float32, as in the emitted C, and the sum is made in float32: the same bits on a chip.

    Attributes:
        multiplier: One for each number.
        offset: One for each number.
    """

    multiplier: tuple[float, ...]
    offset: tuple[float, ...]

    @classmethod
    def fold(cls, targets: tuple[TargetScale, ...], *, scale: float, zero_point: int) -> NumberScaling:
        """The scaling of a network's output tensor.

        Args:
            targets: The numbers, in the order of the outputs.
            scale: Of the output tensor.
            zero_point: Of the output tensor.
        """
        return cls(
            multiplier=tuple(float(np.float32(one.deviation * scale)) for one in targets),
            offset=tuple(float(np.float32(one.mean - one.deviation * scale * zero_point)) for one in targets),
        )

    def numbers(self, codes: NDArray[np.int8]) -> NDArray[np.float32]:
        """Predictions in the unit of the data. Shape: (n, k) -> (n, k)."""
        multiplier, offset = np.asarray(self.multiplier, np.float32), np.asarray(self.offset, np.float32)
        return np.asarray(offset + multiplier * codes.astype(np.float32), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberError:
    """How far the predictions of one number are off, in the unit of the data.

    Attributes:
        name: Of the number.
        rmse: Root of the mean squared error.
        mae: Mean absolute error.
        r2: Share of the variance about the training mean that is explained; below 0 where the mean does better.
        low: Lower end of the 95 % interval of the searched metric.
        high: Upper end of it.
    """

    name: str
    rmse: float
    mae: float
    r2: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """True and predicted values of one number, in the unit of the data.

    Attributes:
        name: Of the number.
        truth: Of some samples.
        predicted: Of the same.
        bias: Mean of predicted less true, of all samples.
        middle: Between which nine tenths of these errors lie.
    """

    name: str
    truth: tuple[float, ...]
    predicted: tuple[float, ...]
    bias: float
    middle: tuple[float, float]
