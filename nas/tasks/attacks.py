"""Adversarial inputs: samples changed a little, each value in the direction that makes a network's answer worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from nas.runtimes.float_twin import FloatTwin, Values
from nas.tasks.dataset import Dataset

_BATCH = 64
_STEPS = 5
_STEP = 2.5 / _STEPS  # of the largest change: so the steps reach its ends from wherever they start

Reals = NDArray[np.float64]


class Attack:
    """Changes samples by the gradients of a float network.

    Args:
        twin: The network.
        dataset: The data; of classes or of numbers to predict.
        largest: The most that a value changes in the unit of the raw samples, by channel. Shape: (channels,).
    """

    def __init__(self, twin: FloatTwin, dataset: Dataset, largest: Reals) -> None:
        self._twin = twin
        self._dataset = dataset
        self._largest = largest
        preprocess = dataset.info.preprocess
        offset, scale = np.asarray(preprocess.offset), np.asarray(preprocess.scale)
        ends = (
            np.divide(end, scale, out=np.zeros_like(scale), where=scale != 0) + offset
            for end in dataset.input_range
        )
        self._low, self._high = ends

    def fast_gradient_sign(self, raw: Reals, labels: NDArray[np.generic]) -> Reals:
        """One step of the largest change (FGSM). Shape: (n, ..., channels), (n,) or (n, k) -> that of the samples.

        Source: I. J. Goodfellow et al., Explaining and harnessing adversarial examples, arXiv:1412.6572.
        """
        return self._by_batch(raw, labels, lambda part, truth: self._moved(part, part, truth, 1.0))

    def projected_gradient_descent(
        self, raw: Reals, labels: NDArray[np.generic], rng: np.random.Generator
    ) -> Reals:
        """Some steps from a random start, never further than the largest change (PGD). Shape: as above.

        Source: A. Madry et al., Towards deep learning models resistant to adversarial attacks, arXiv:1706.06083.
        """

        def descend(part: Reals, truth: NDArray[np.generic]) -> Reals:
            changed = self._within(part + self._largest * rng.uniform(-1.0, 1.0, part.shape))
            for _ in range(_STEPS):
                changed = self._moved(part, changed, truth, _STEP)
            return changed

        return self._by_batch(raw, labels, descend)

    def _by_batch(
        self,
        raw: Reals,
        labels: NDArray[np.generic],
        change: Callable[[Reals, NDArray[np.generic]], Reals],
    ) -> Reals:
        def parts() -> Iterator[Reals]:
            for at in range(0, len(raw), _BATCH):
                yield change(raw[at : at + _BATCH], labels[at : at + _BATCH])

        return np.concatenate(list(parts()))

    def _moved(self, raw: Reals, changed: Reals, labels: NDArray[np.generic], share: float) -> Reals:
        """Samples moved on by a share of the largest change, of what they are as they came."""
        gradient = self._twin.gradient(self._dataset.inputs(changed), lambda out: self._loss(out, labels))
        moved = changed + share * self._largest * np.sign(gradient)
        return self._within(np.clip(moved, raw - self._largest, raw + self._largest))

    def _within(self, values: Reals) -> Reals:
        """Values that the network's input can have."""
        return np.clip(values, self._low, self._high)

    def _loss(self, outputs: Values, labels: NDArray[np.generic]) -> Values:
        """The gradient by the outputs of cross entropy, or of half the squared error."""
        if targets := self._dataset.info.targets:
            means, deviations = (
                np.array([getattr(one, name) for one in targets]) for name in ("mean", "deviation")
            )
            return np.asarray(outputs - (labels - means) / deviations, np.float32)
        shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        shares[np.arange(len(labels)), labels.astype(np.int64)] -= 1.0
        return np.asarray(shares, np.float32)
