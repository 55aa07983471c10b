"""The training samples that calibrate the ranges of int8."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nas.tasks.dataset import Dataset
from nas.tasks.loading.mapped import chunks
from nas.tasks.loading.targets import strata
from search_spaces.arch import ArchSpec

_SAMPLES = 128


class Representative:
    """Samples of a data set that stand for all of it.

    Args:
        dataset: The task's data.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._extremes = _extremes(dataset)

    def inputs(self, spec: ArchSpec, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Training samples of all classes, those with the extreme values among them.

        The extremes fix the input's quantization to the data set's range, so that bytes map to int8 exactly.

        Returns:
            Inputs of the network. Shape: (n, *spec.input_shape).
        """
        labels = strata(self._dataset.labels["train"])
        present = np.unique(labels).tolist()
        share = max(1, _SAMPLES // len(present))
        picks = list(self._extremes)
        if self._dataset.info.targets:
            numbers = self._dataset.labels["train"]
            picks += [*numbers.argmin(axis=0).tolist(), *numbers.argmax(axis=0).tolist()]
        for label in present:
            members = np.flatnonzero(labels == label)
            picks += rng.choice(members, min(share, len(members)), replace=False).tolist()
        samples = self._dataset.inputs(self._dataset.samples["train"][picks])
        samples = samples.reshape(len(picks), *spec.input_shape)
        if self._dataset.info.frontend is not None:
            # The bytes that a front end makes must be the network's int8 input as they are: the range is the whole
            # one, whether or not some recording reaches its ends.
            samples = np.concatenate([samples, samples[:1]])
            samples[-1].flat[:2] = self._dataset.input_range
        return samples


def _extremes(dataset: Dataset) -> tuple[int, int]:
    """The training samples that hold the least and the largest input."""
    lows, highs = [], []
    for raw in chunks(dataset.samples["train"]):
        inputs = dataset.inputs(raw).reshape(len(raw), -1)
        lows.append(inputs.min(axis=1))
        highs.append(inputs.max(axis=1))
    return int(np.concatenate(lows).argmin()), int(np.concatenate(highs).argmax())
