"""How exactly a validation error is known, by what it is an error of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.model.metrics import NUMBER_METRICS
from nas.model.policy import MetricName
from nas.strategy.gaussian_process import Array

_LEAST = 1e-6  # of predicted numbers: far below what the 256 levels of an int8 output allow


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorNoise:
    """The noise of an error, from the validation samples that it is measured on.

    Attributes:
        samples: How many there are.
        metric: What it is one less of.
    """

    samples: int
    metric: MetricName = "accuracy"

    @property
    def least(self) -> float:
        """The value that stands for no error, since the surrogate takes logarithms: of a share half a sample."""
        return _LEAST if self.metric in NUMBER_METRICS else 0.5 / self.samples

    def variance(self, errors: Array) -> Array:
        """Variance of the logarithm of each error. Shape: (n,).

        A share is binomial. The logarithm of a root mean square or mean absolute error has (k - 1) / (4 n), with the
        kurtosis k taken as 5, since errors have heavier tails than the normal's 3; that of a mean square four times as
        much. Such errors may be above 1, where the training mean does better.

        Source: C. R. Rao, Linear Statistical Inference and Its Applications (1973), 6g: the delta method.
        """
        if self.metric not in NUMBER_METRICS:
            return np.maximum(1 - errors, 0.0) / (errors * self.samples)
        return np.full(len(errors), (4.0 if self.metric == "r2" else 1.0) / self.samples)
