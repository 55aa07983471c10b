"""The ladder of quantization: the cheapest way to int8 first, the next where int8 falls behind the float network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tf_keras

from cost_models.tflite_graph import read_graph
from nas.model.quantization import Quantization, Rung, TensorLoss, Tried
from nas.runtimes.litert import LiteRtModel
from nas.tf.convert import Calibrated, Ranges, calibrate, convert
from nas.tf.quantization.calibration import observe, range_choices
from nas.tf.quantization.cures import bias_corrected, equalized
from nas.tf.quantization.diagnosis import diagnose
from nas.tf.quantization.folded import Folded, fold, predict
from search_spaces.arch import ArchSpec
from search_spaces.layers import INPUT

Floats = npt.NDArray[np.float32]
Aware = Callable[[Folded, Ranges], Folded | None]
"""Trains on under int8's rounding; None where there is no time for it."""

_LEAST_GAP = 0.005  # of the metric, that int8 may fall behind the float network
_LEAST_GROWTH = 0.05  # of the error of predicted numbers, by which int8 may be worse
_LEAST_SAMPLES = 2  # of the validation part, that such a gap is at least
_WORST = 3  # tensors that the diagnosis names


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """One network to bring to int8.

    Attributes:
        model: Trained, as `build` makes it of `spec`.
        spec: The network.
        representative: Real-valued samples that set ranges. Shape: (n, *spec.input_shape).
        judge: The metric of int8 bytes on validation data.
        float_metric: The metric of the float network on the same.
        least_gap: How far int8 may fall behind before the next rung is tried.
        fixed_input: Whether the input keeps its whole range, for bytes that must reach int8 as they are.
        classifier: Whether the outputs are scores of classes.
        aware: Trains on under int8's rounding; None for never.
    """

    model: tf_keras.Model
    spec: ArchSpec
    representative: Floats
    judge: Callable[[bytes], float]
    float_metric: float
    least_gap: float
    fixed_input: bool = False
    classifier: bool = True
    aware: Aware | None = field(default=None)


def climb(task: Climb) -> tuple[bytes, Quantization]:
    """The int8 bytes of a network, and which rung of the ladder they are from.

    Post-training quantization comes first and is kept where it is at most `least_gap` behind the float network. Else
    these are tried in turn until one is: ranges that leave outliers out, channels equalized, biases corrected,
    training on under int8's rounding. The best by validation is kept, the earlier of two alike. No rung changes the
    graph, so costs stay what they were.
    """
    best = convert(task.model, task.representative)
    value = task.judge(best)
    tried = [Tried(rung="ptq", metric=value)]
    worst: tuple[TensorLoss, ...] = ()
    left_out = ""
    if value < task.float_metric - task.least_gap:
        graph = read_graph(best)
        rungs = _Rungs(task)
        worst = rungs.diagnosis()
        for name, tflite in rungs:
            if read_graph(tflite) != graph:
                raise AssertionError(f"the rung {name} changes the graph")
            metric = task.judge(tflite)
            tried.append(Tried(rung=name, metric=metric))
            if metric > value:
                best, value = tflite, metric
            if value >= task.float_metric - task.least_gap:
                break
        else:
            left_out = rungs.left_out
    chosen = next(one.rung for one in tried if one.metric == value)
    return best, Quantization(
        rung=chosen, float_metric=task.float_metric, tried=tuple(tried), worst=worst, left_out=left_out
    )


def least_gap(metric: float, samples: int, *, numbers: bool) -> float:
    """How far the metric of int8 may fall behind the float network's before the ladder is climbed.

    Of predicted numbers it is a share of the error that is there: a skill of 0.99 that falls by half a point has an
    error that is half as large again.

    Args:
        metric: Of the float network.
        samples: Of the validation part.
        numbers: Whether numbers are predicted.
    """
    least = _LEAST_SAMPLES / samples
    return max(_LEAST_GROWTH, least) * max(1.0 - metric, 0.0) if numbers else max(_LEAST_GAP, least)


class _Rungs:
    """The rungs above the first, each of which starts from what the ones before have found."""

    def __init__(self, task: Climb) -> None:
        self._task = task
        self._folded = fold(task.model, task.spec)
        self._wanted = predict(task.model, task.representative)
        self._seen = observe(self._folded, task.representative)
        self._ranges = self._choices()["min/max"]
        self.left_out = ""

    def diagnosis(self) -> tuple[TensorLoss, ...]:
        """The tensors whose rounding costs most."""
        losses = diagnose(self._folded, self._task.representative, self._ranges, error=self._error)
        total = sum(loss.error for loss in losses) or 1.0
        return tuple(
            TensorLoss(
                layer=loss.layer,
                kind="input" if loss.layer == INPUT else type(self._task.spec.layers[loss.layer]).__name__,
                tensor=loss.kind,
                share=loss.error / total,
            )
            for loss in losses[:_WORST]
        )

    def __iter__(self) -> Iterator[tuple[Rung, bytes]]:
        tflite, error = self._calibrated(self._folded)
        yield "calibration", tflite
        folded = equalized(self._folded, self._seen)
        before = self._ranges
        self._seen = observe(folded, self._task.representative)
        tflite, equal_error = self._calibrated(folded)
        yield "equalization", tflite
        if equal_error < error:
            self._folded = folded
        else:
            self._ranges, self._seen = before, observe(self._folded, self._task.representative)
        corrected = bias_corrected(self._folded, self._seen)
        yield "bias correction", self._calibrate(corrected).quantize(self._ranges)
        if self._task.aware is not None:
            trained = self._task.aware(self._folded, self._ranges)
            if trained is None:
                self.left_out = "quantization-aware training, for want of time"
            else:
                yield "qat", self._calibrate(trained).quantize(self._ranges)

    def _choices(self) -> dict[str, Ranges]:
        return range_choices(self._task.spec, self._seen, fixed_input=self._task.fixed_input)

    def _calibrate(self, folded: Folded) -> Calibrated:
        return calibrate(folded.model(), self._task.representative)

    def _calibrated(self, folded: Folded) -> tuple[bytes, float]:
        """The bytes by those ranges whose answers to the representative samples are nearest to the float ones."""
        calibrated = self._calibrate(folded)
        tried = []
        for ranges in self._choices().values():
            tflite = calibrated.quantize(ranges)
            tried.append(
                (self._error(self._wanted, _answers(tflite, self._task.representative)), tflite, ranges)
            )
        error, tflite, self._ranges = min(tried, key=lambda choice: choice[0])
        return tflite, error

    def _error(self, wanted: Floats, answers: Floats) -> float:
        if not self._task.classifier:
            return float(np.square(answers - wanted).mean())
        p, q = _log_softmax(wanted), _log_softmax(answers)
        return float((np.exp(p) * (p - q)).sum(-1).mean())


def _log_softmax(scores: Floats) -> npt.NDArray[np.float64]:
    shifted = scores.astype(np.float64) - scores.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def _answers(tflite: bytes, inputs: Floats) -> Floats:
    """Real-valued answers of int8 bytes to real-valued samples."""
    model = LiteRtModel(tflite)
    source, sink = model.input, model.output
    codes = np.clip(np.round(inputs / source.scale) + source.zero_point, -128, 127).astype(np.int8)
    outputs = model.run(codes.reshape(len(codes), *source.shape)).reshape(len(codes), -1)
    return np.asarray((outputs.astype(np.float32) - sink.zero_point) * sink.scale, np.float32)
