"""How a model stands what sensors do, and what an attacker may: its metric when test samples are disturbed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.model.metrics import plain_metric
from nas.runtimes.float_twin import float_twin
from nas.runtimes.interpreter import Engine
from nas.tasks.accuracy import measure_accuracy
from nas.tasks.attacks import Attack
from nas.tasks.dataset import Dataset
from nas.tasks.disturbances import DISTURBANCES, Reals, as_raw, deviations_of

_MOST_SAMPLES, _LEAST_SAMPLES = 1000, 100
_MOST_MACS = 3_000_000_000  # of one disturbance: some seconds on a slow core
_ATTACKED = 0.1  # deviations that a value changes by, at the most


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """One way in which samples are disturbed, and the metric then."""

    name: str
    metric: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """The metric of the int8 bytes, and of disturbed samples.

    Attributes:
        samples: Test samples, the same for all.
        engine: Which interpreter answered.
        metric: Of these samples as they are.
        disturbances: The same samples disturbed as sensors do.
        attacks: The same samples changed against the float network of the model's weights; empty where anomalies are
            found, or the model has operators that the search does not make.
    """

    samples: int
    engine: Engine
    metric: float
    disturbances: tuple[Disturbance, ...]
    attacks: tuple[Disturbance, ...] = ()


def measure_robustness(tflite: bytes, dataset: Dataset, *, macs: int, seed: int) -> Robustness | None:
    """The metric of int8 bytes on disturbed test samples; None behind a front end, whose input is the microphone's.

    Noise and offset are in standard deviations of each channel over the samples taken. What a disturbance makes is
    rounded and saturated to the raw type, as a sensor's converter would. A lost reading of a signal repeats the one
    before, a lost pixel is black, a lost feature has its mean. An attack follows the gradients of the float network
    that has the weights of the int8 bytes, and what is measured is how far it carries over to those bytes.

    Args:
        tflite: The model.
        dataset: The data.
        macs: Of one inference, which decides how many samples are taken: a thousand at the most.
        seed: Of the samples and the disturbances.
    """
    if dataset.info.frontend is not None:
        return None
    rng = np.random.default_rng([seed, *b"robustness"])
    count = len(dataset.labels["test"])
    wanted = min(count, _MOST_SAMPLES, max(_LEAST_SAMPLES, _MOST_MACS // max(macs, 1)))
    picks = np.sort(rng.permutation(count)[:wanted])
    raw = np.asarray(dataset.samples["test"][picks])
    labels = dataset.labels["test"][picks]

    def metric(samples: NDArray[np.generic], threshold: int | None = None) -> Any:
        part = replace(
            dataset,
            samples={**dataset.samples, "test": samples},
            labels={**dataset.labels, "test": labels},
            groups={},
            info=replace(dataset.info, metric=plain_metric(dataset.info.metric)),
        )
        return measure_accuracy(tflite, part, "test", "litert", threshold=threshold)

    plain = metric(raw)
    values = raw.astype(np.float64)
    deviation = deviations_of(values)

    def measured(name: str, disturbed: Reals) -> Disturbance:
        found = metric(as_raw(disturbed, raw.dtype), plain.threshold)
        return Disturbance(name=name, metric=found.objective)

    disturbances = tuple(
        measured(name, disturb(values, deviation, rng)) for name, disturb in DISTURBANCES.items()
    )
    attacks: tuple[Disturbance, ...] = ()
    twin = float_twin(tflite) if dataset.info.false_alarms is None else None
    if twin is not None:
        attack = Attack(twin, dataset, _ATTACKED * deviation)
        attacks = (
            measured(f"FGSM of {_ATTACKED:g} deviations", attack.fast_gradient_sign(values, labels)),
            measured(
                f"PGD of {_ATTACKED:g} deviations", attack.projected_gradient_descent(values, labels, rng)
            ),
        )
    return Robustness(
        samples=wanted,
        engine=plain.engine,
        metric=plain.objective,
        disturbances=disturbances,
        attacks=attacks,
    )
