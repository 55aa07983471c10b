"""Accuracy of int8 bytes on raw samples: LiteRT's kernels for ranking, TFLM's interpreter for what is stated."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from nas.model.input_quantization import InputScaling
from nas.model.metrics import METRICS
from nas.model.policy import MetricName
from nas.model.trained import Accuracy
from nas.runtimes.interpreter import Engine
from nas.runtimes.litert import LiteRtModel
from nas.runtimes.reference import reference_model
from nas.tasks.dataset import Dataset
from nas.tasks.loading.mapped import chunks

Part = Literal["val", "test"]


def score(
    outputs: npt.NDArray[np.int8] | npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    *,
    classes: int,
    part: Part,
    engine: Engine,
    metric: MetricName = "accuracy",
) -> Accuracy:
    """Correct answers and confusion; a tie goes to the first class, as in the emitted C."""
    predicted = outputs.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    table = tuple(tuple(int(n) for n in row) for row in confusion)
    return Accuracy(
        part=part,
        engine=engine,
        correct=int(np.trace(confusion)),
        total=len(labels),
        confusion=table,
        metric=metric,
        score=None if metric == "accuracy" else METRICS[metric].of(table),
    )


def measure_accuracy(tflite: bytes, dataset: Dataset, part: Part, engine: Engine) -> Accuracy:
    """Accuracy on the raw samples of one part, quantized as the firmware quantizes them.

    Where TFLM's interpreter is not installed, LiteRT answers for it, and the result's `engine` says so.
    """
    model = reference_model(tflite)
    port = model.input
    scaling = InputScaling.fold(dataset.info.preprocess, scale=port.scale, zero_point=port.zero_point)
    # TFLM is asked to load it even where LiteRT answers: a model that it refuses is of no use.
    answering = model if engine in ("tflm", model.engine) else LiteRtModel(tflite)
    outputs = np.concatenate(
        [
            answering.run(scaling.quantize(raw).reshape(len(raw), *port.shape)).reshape(len(raw), -1)
            for raw in chunks(dataset.samples[part])
        ]
    )
    classes = len(dataset.info.class_names)
    return score(
        outputs,
        dataset.labels[part],
        classes=classes,
        part=part,
        engine=answering.engine,
        metric=dataset.info.metric,
    )
