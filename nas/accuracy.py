"""Accuracy of int8 bytes on raw samples: LiteRT's kernels for ranking, TFLM's interpreter for what is stated."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from cost_models.lean import lean
from nas.finished import Accuracy
from nas.quantize_input import InputScaling
from nas.tasks.dataset import Dataset
from nas.tflm import TflmModel

Part = Literal["val", "test"]
Engine = Literal["tflm", "litert"]


class LiteRt:
    """LiteRT without delegates: the reference results but for a rare last bit, at a twentieth of the time.

    Args:
        tflite: An int8 model.
    """

    def __init__(self, tflite: bytes) -> None:
        self._interpreter = Interpreter(
            # LiteRT wants the zero points that TFLM does without; what is computed is the same.
            model_content=lean(tflite, litert=True),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            num_threads=1,
        )
        self._interpreter.allocate_tensors()
        detail = self._interpreter.get_input_details()[0]
        self._input = detail["index"]
        self._shape = tuple(int(n) for n in detail["shape"])
        self._output = self._interpreter.get_output_details()[0]["index"]

    def run(self, inputs: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Outputs of each sample. Shape: (n, ...) -> (n, classes)."""
        interpreter, source, sink = self._interpreter, self._input, self._output
        outputs = []
        for sample in inputs.reshape(len(inputs), *self._shape):
            interpreter.set_tensor(source, sample)
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(sink).reshape(-1))
        return np.stack(outputs)


def score(
    outputs: npt.NDArray[np.int8],
    labels: npt.NDArray[np.int64],
    *,
    classes: int,
    part: Part,
    engine: Engine,
) -> Accuracy:
    """Correct answers and confusion; a tie goes to the first class, as in the emitted C."""
    predicted = outputs.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    return Accuracy(
        part=part,
        engine=engine,
        correct=int(np.trace(confusion)),
        total=len(labels),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
    )


def measure_accuracy(tflite: bytes, dataset: Dataset, part: Part, engine: Engine) -> Accuracy:
    """Accuracy on the raw samples of one part, quantized as the firmware quantizes them."""
    model = TflmModel(tflite)
    port = model.input
    scaling = InputScaling.fold(dataset.info.preprocess, scale=port.scale, zero_point=port.zero_point)
    samples = scaling.quantize(dataset.samples[part])
    if engine == "tflm":
        outputs = model.run(samples.reshape(len(samples), *port.shape)).reshape(len(samples), -1)
    else:
        outputs = LiteRt(tflite).run(samples)
    classes = len(dataset.info.class_names)
    return score(outputs, dataset.labels[part], classes=classes, part=part, engine=engine)
