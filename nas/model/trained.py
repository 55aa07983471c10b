"""The finished model: all that an exporter, a report or a verifier needs to know of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nas.model.groups import GroupScores
from nas.model.metrics import CLASS_METRICS
from nas.model.policy import MetricName
from nas.model.regression import NumberError, Predictions, TargetScale
from nas.model.statistics import wilson

RawType = Literal["uint8", "int16", "float32"]
FrontEndKind = Literal["log_mel", "spectrum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """How a raw sample becomes the model's real-valued input: `(raw - offset) * scale`.

    Attributes:
        raw_type: Element type of the raw sample, as the sensor or file has it.
        offset: One value, or one per channel (the last axis).
        scale: One value, or one per channel.
    """

    raw_type: RawType
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    def apply(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """Real-valued inputs. Shape: any, channels last."""
        offset = np.asarray(self.offset, np.float32)
        scale = np.asarray(self.scale, np.float32)
        with np.errstate(over="ignore"):  # a marker of a missing value may become infinite, and saturates
            return np.asarray((raw.astype(np.float32) - offset) * scale, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndSpec:
    """What stands between recordings and the network, as a graph that TFLM runs: on the chip as in Python.

    The network's raw sample is the front end's output: a feature of int8 code f is the byte f + 128, so that the
    bytes of the one are the input of the other.

    Attributes:
        kind: See `nas.frontend.kinds`.
        settings: Of that kind, JSON values.
        tflite: The front end of one frame of one channel: int16 (window_samples,) to int8 (bands,).
        sample_rate: In Hz.
        clip_samples: Samples of one recording and channel, of which one answer is made.
        window_samples: Samples of a frame.
        hop_samples: From the beginning of one frame to that of the next.
        frames: Frames of a recording, the first axis of the network's input.
        bands: Features of a frame and channel, the second axis.
        channels: Of the recordings, the third axis; each goes through the front end by itself.
    """

    kind: FrontEndKind
    settings: dict[str, object]
    tflite: bytes
    sample_rate: int
    clip_samples: int
    window_samples: int
    hop_samples: int
    frames: int
    bands: int
    channels: int = 1

    @property
    def features(self) -> int:
        """How many values the features of a recording have."""
        return self.frames * self.bands * self.channels

    @property
    def recording_shape(self) -> tuple[int, ...]:
        """The shape of one recording: (clip_samples,), or (clip_samples, channels) of several channels."""
        return (self.clip_samples,) if self.channels == 1 else (self.clip_samples, self.channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """What outlives the data set: names, shapes, scaling and provenance."""

    name: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    preprocess: Preprocess
    source: str = ""
    licence: str = ""
    samples: dict[str, int] = field(default_factory=dict)
    """Number of samples by part: train, val, test."""
    metric: MetricName = "accuracy"
    """What the search goes by."""
    frontend: FrontEndSpec | None = None
    """What makes the samples of recordings; None where samples are the network's raw input."""
    false_alarms: float | None = None
    """The share of normal samples that may be taken for anomalies; None where a task does not find any."""
    targets: tuple[TargetScale, ...] = ()
    """The numbers that the network predicts, where it does; there are no class names then."""

    @property
    def outputs(self) -> int:
        """Elements of the network's output: a score for each class, the sample as it is rebuilt, or the numbers."""
        if self.targets:
            return len(self.targets)
        return len(self.class_names) if self.false_alarms is None else math.prod(self.input_shape)

    def learned(self) -> str:
        """The task of the network in words."""
        if self.targets:
            return f"{len(self.targets)} number{'s' if len(self.targets) > 1 else ''} to predict"
        if self.false_alarms is not None:
            return f"anomalies among samples of {self.class_names[0]}"
        return f"{len(self.class_names)} classes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Results of the int8 bytes on one part of the data.

    Attributes:
        part: "val" or "test".
        engine: "tflm" (TFLM's interpreter) or "litert" (LiteRT's kernels without delegates).
        correct: Correct answers out of `total`; 0 where numbers are predicted.
        confusion: Counts, rows are true classes, columns predicted ones.
        metric: What the run goes by, see `nas.model.metrics`.
        score: Its value where it is not the accuracy.
        interval: The ends of the 95 % interval of `score`, where the confusion matrix does not give it.
        threshold: Of a task that finds anomalies: the score above which a sample is taken for one.
        numbers: Of a regression: how far each number is off.
        groups: The metric by group, where the data have groups and it was asked for.
        predictions: Of a regression, of some samples where it was asked for.
        hits: Which samples were answered rightly, where it was kept; see `nas.model.optimism.packed`.
        disturbed: Of a robust metric: that of disturbed samples; `score` is the mean of it and of samples as they are,
            of which alone everything else is.
    """

    part: Literal["val", "test"]
    engine: Literal["tflm", "litert"]
    correct: int
    total: int
    confusion: tuple[tuple[int, ...], ...] = ()
    metric: MetricName = "accuracy"
    score: float | None = None
    interval: tuple[float, float] | None = None
    threshold: int | None = None
    numbers: tuple[NumberError, ...] = ()
    groups: GroupScores | None = None
    predictions: tuple[Predictions, ...] = ()
    hits: str = ""
    disturbed: float | None = None

    @property
    def value(self) -> float:
        """The accuracy; of numbers the searched metric's skill."""
        if self.numbers and self.score is not None:
            return self.score
        return self.correct / self.total

    def value_interval(self) -> tuple[float, float]:
        """The 95 % interval of `value`."""
        return self.objective_interval() if self.numbers else wilson(self.correct, self.total)

    @property
    def objective(self) -> float:
        """The value that the search maximizes: of `metric`."""
        return self.value if self.score is None else self.score

    def objective_interval(self) -> tuple[float, float]:
        """The 95 % interval of `objective`."""
        if self.interval is not None:
            return self.interval
        row = CLASS_METRICS.get(self.metric)
        if row is None or not self.confusion:
            return wilson(round(max(self.objective, 0.0) * self.total), self.total)
        return row.interval(self.confusion)

    def alarm_rates(self) -> tuple[float | None, float | None]:
        """Shares of normal and of anomalous samples above the threshold; None without such samples."""
        normal, anomalous = ((row[1], sum(row)) for row in self.confusion)
        return (
            normal[0] / normal[1] if normal[1] else None,
            anomalous[0] / anomalous[1] if anomalous[1] else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenShare:
    """How sensitive golden samples are: of weights changed one at a time, those that change an answer.

    Attributes:
        noticed: Changed weights that an answer shows.
        tried: Changed weights.
    """

    noticed: int
    tried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A trained, quantized, lean model and where it came from.

    Attributes:
        name: A C identifier, used as file and symbol prefix.
        tflite: The lean flatbuffer; int8 input and output.
        task: The task it was trained for.
        golden_inputs: Raw samples that the bundle's self-test replays. Shape: (n, *input_shape).
        golden_share: How sensitive they are; None where it was not measured.
        golden_recordings: Recordings whose features are the first of `golden_inputs`; None without a front end.
            Shape: (k, clip_samples), int16.
        accuracies: What was measured on which part by which engine.
        provenance: Seed, trial number, space, digest, versions; JSON values only.
    """

    name: str
    tflite: bytes
    task: TaskInfo
    golden_inputs: NDArray[np.generic]
    accuracies: tuple[Accuracy, ...]
    provenance: dict[str, object]
    golden_share: GoldenShare | None = None
    golden_recordings: NDArray[np.int16] | None = None
