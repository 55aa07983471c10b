"""Training: the whole run of steps is one TensorFlow graph, so that small networks do not wait for Python."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from nas.model.recipe import TURNED_DEGREES
from nas.model.trained import Preprocess
from nas.tasks.loading.motion import Triple
from nas.tf.adamw import AdamW
from nas.tf.motion import moments, turned, turns
from nas.tf.sensor import Sensor

_INSTANT = 1e-3  # seconds: no time at all is taken for so much
_SHARED_BYTES = 1 << 20  # below it a copy does not matter
_ALIGNED = 64  # bytes, without which TensorFlow refuses memory
_LARGE = 2.0  # deviations of a number to predict
_SHIFT_GROUPS = 4  # a batch is cut into this many groups, each shifted its own way


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How a model is trained.

    Attributes:
        steps: Number of batches.
        batch: Samples a batch.
        peak_rate: Highest learning rate; a short warm-up leads to it, a cosine away from it.
        weight_decay: Of AdamW.
        label_smoothing: Share of the target that is spread over all classes.
        shift: Largest shift of a sample along (height, width), in elements; (0, 0) for none.
        gain: Standard deviation of a random factor on each sample; 0 for none.
        masks: Widest stretch along (height, width) that a sample's mean takes the place of; (0, 0) for none.
            Source: D. S. Park et al., SpecAugment, arXiv:1904.08779.
        jitter: Standard deviation of noise on each value, as a share of its channel's.
        triples: Channels x, y and z of each vector of a sample, which turn together.
        flip: Whether half of the samples are mirrored along their width.
        sensor: Whether half of the samples are disturbed as sensors do, see `nas.tf.sensor`.
    """

    steps: int
    batch: int
    peak_rate: float
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    shift: tuple[int, int] = (0, 0)
    gain: float = 0.0
    masks: tuple[int, int] = (0, 0)
    jitter: float = 0.0
    triples: tuple[Triple, ...] = ()
    flip: bool = False
    sensor: bool = False

    def rates(self) -> npt.NDArray[np.float32]:
        """The learning rate of each step."""
        warm = max(1, min(50, self.steps // 10))
        step = np.arange(self.steps)
        cosine = 0.5 * (1 + np.cos(np.pi * np.clip((step - warm) / max(1, self.steps - warm), 0, 1)))
        return np.asarray(self.peak_rate * np.where(step < warm, (step + 1) / warm, cosine), np.float32)


class TrainingData:
    """Training samples as tensors, made once for many models; scaled when a batch is drawn, so that bytes stay bytes.

    Args:
        raw: Raw samples, which are not copied where that can be helped. Shape: (n, ...).
        labels: Class indices, or with no class the scaled numbers to predict. Shape: (n,) or (n, k).
        classes: Number of classes; 0 where numbers are predicted.
        class_weights: What a sample of each class counts; None for alike. Shape: (classes,).
        preprocess: Makes real-valued inputs of them; None where they are.
        input_range: What lies outside saturates.
        shape: Of a network's input; None for that of a sample.
        rebuilds: Whether a network learns to put out its input in place of the label.
    """

    def __init__(
        self,
        raw: npt.NDArray[np.generic],
        labels: npt.NDArray[Any],
        *,
        classes: int,
        class_weights: npt.NDArray[np.float32] | None = None,
        preprocess: Preprocess | None = None,
        input_range: tuple[float, float] = (-np.inf, np.inf),
        shape: tuple[int, ...] | None = None,
        rebuilds: bool = False,
    ) -> None:
        self.rebuilds = rebuilds
        self.class_weights = None if class_weights is None else tf.constant(class_weights)
        self.labels = tf.constant(labels, tf.int32 if classes else tf.float32)
        self.classes = classes
        self.count = len(raw)
        self._raw = shared_tensor(raw)
        self.preprocess = preprocess or Preprocess(raw_type="float32", offset=(0.0,), scale=(1.0,))
        self.sample_shape = raw.shape[1:]
        self._array = raw
        self._range = input_range
        self.shape = raw.shape[1:] if shape is None else shape

    def batch(self, index: Any, size: int) -> Any:
        """Real-valued samples, in the arithmetic of `Preprocess.apply`. Shape: (size, *shape)."""
        values = tf.cast(tf.gather(self._raw, index), tf.float32)
        offset = tf.constant(self.preprocess.offset, tf.float32)
        values = (values - offset) * tf.constant(self.preprocess.scale, tf.float32)
        values = tf.clip_by_value(values, *self._range)
        return tf.reshape(values, (size, *self.shape))

    def moments(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Mean and standard deviation of each channel's inputs. Shape: (channels,) each."""
        return moments(self._array, self.preprocess)

    def sensor(self) -> Sensor:
        """The sensor that such samples are from."""
        mean, deviation = self.moments()
        return Sensor(mean=mean, deviation=deviation, preprocess=self.preprocess, input_range=self._range)


def shared_tensor(array: npt.NDArray[np.generic]) -> Any:
    """A tensor of an array's own memory, where TensorFlow takes it: workers of a node have one copy then.

    It is only read: the memory may be an object store's or a file's.
    """
    if array.nbytes < _SHARED_BYTES or array.ctypes.data % _ALIGNED or not array.flags.c_contiguous:
        return tf.constant(array)
    # numpy hands over nothing that is read-only, as an object store's memory is.
    memory = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
    memory.owner = array  # type: ignore[attr-defined]  # lives as long as the tensor
    view = np.frombuffer(memoryview(memory), array.dtype).reshape(array.shape)
    return tf.experimental.dlpack.from_dlpack(view.__dlpack__())


def train(
    model: tf_keras.Model,
    data: TrainingData,
    schedule: Schedule,
    *,
    rng: np.random.Generator,
    before_step: Callable[[Any], None] | None = None,
    until: float | None = None,
) -> npt.NDArray[np.float32]:
    """Trains `model` in place.

    Args:
        model: Puts out logits, or its input.
        data: What to learn.
        schedule: How.
        rng: Source of batches and augmentation.
        before_step: Called in the graph before each step, with the number of the step that the schedule is at.
        until: `time.time()` at which to stop, after one step at the least. Where the steps cannot all be done by
            then, the schedule (learning rate, pruning) goes by the time instead of by the steps, so that it is at its
            end when the time is.

    Returns:
        The loss of each step that was done. Shape: (steps,).
    """
    optimizer = AdamW(model.trainable_variables, decay=schedule.weight_decay)
    loop = _loop(model, optimizer, data, schedule, before_step, limited=until is not None)
    done, losses = loop(
        tf.constant(_batches(data.count, schedule, rng)),
        tf.constant(schedule.rates()),
        tf.constant(_shifts(schedule, rng)),
        tf.constant(_gains(schedule, rng)),
        tf.constant(_masks(schedule, data.shape, rng)),
        tf.constant(_turns(schedule, rng)),
        tf.constant(_seeds(schedule, rng, drawn=schedule.jitter > 0)),
        tf.constant(_flips(schedule, rng)),
        tf.constant(_seeds(schedule, rng, drawn=schedule.sensor)),
        tf.constant(until or 0.0, tf.float64),
    )
    return np.asarray(losses[: int(done)].numpy(), np.float32)


def _loop(
    model: tf_keras.Model,
    optimizer: AdamW,
    data: TrainingData,
    schedule: Schedule,
    before_step: Callable[[Any], None] | None,
    *,
    limited: bool,
) -> Any:
    smoothing = schedule.label_smoothing
    variables = model.trainable_variables

    deviation = data.moments()[1] if schedule.jitter > 0 else None
    sensor = data.sensor() if schedule.sensor else None

    def augment(
        batch: Any, shifts: Any, gains: Any, masks: Any, rotations: Any, seed: Any, flips: Any
    ) -> Any:
        if schedule.flip:
            pictures = tf.reshape(batch, (schedule.batch, *data.sample_shape))
            mirrored = tf.where(flips[:, None, None, None], tf.reverse(pictures, [2]), pictures)
            batch = tf.reshape(mirrored, batch.shape)
        if schedule.triples or deviation is not None:
            signals = tf.reshape(batch, (schedule.batch, *data.sample_shape))
            if schedule.triples:
                signals = turned(signals, rotations, schedule.triples, data.preprocess)
            if deviation is not None:
                noise = tf.random.stateless_normal(tf.shape(signals), seed)
                signals = signals + schedule.jitter * deviation * noise
            batch = tf.reshape(signals, batch.shape)
        if schedule.gain > 0:
            batch = batch * tf.reshape(gains, (-1, *([1] * (len(batch.shape) - 1))))
        if any(schedule.masks):
            batch = hide(batch, masks)
        high, wide = schedule.shift
        if not high and not wide:
            return batch
        height, width = batch.shape[1], batch.shape[2]
        padded = tf.pad(batch, ((0, 0), (high, high), (wide, wide), (0, 0)))
        group = schedule.batch // _SHIFT_GROUPS
        parts = []
        for index in range(_SHIFT_GROUPS):
            top, left = shifts[index, 0], shifts[index, 1]
            start = index * group
            stop = schedule.batch if index == _SHIFT_GROUPS - 1 else start + group
            parts.append(padded[start:stop, top : top + height, left : left + width])
        return tf.ensure_shape(tf.concat(parts, 0), batch.shape)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def loop(
        batches: Any,
        rates: Any,
        shifts: Any,
        gains: Any,
        masks: Any,
        rotations: Any,
        seeds: Any,
        flips: Any,
        sensor_seeds: Any,
        end: Any,
    ) -> Any:
        steps = tf.shape(batches)[0]
        began = tf.timestamp()  # in the graph: what it took to build is not the schedule's

        def share_of_time() -> Any:
            return (tf.timestamp() - began) / tf.maximum(end - began, _INSTANT)

        def goes_on(step: Any, losses: Any) -> Any:
            more = step < steps
            return more & ((step == 0) | (share_of_time() < 1.0)) if limited else more

        def progress(step: Any) -> Any:
            """The step of the schedule."""
            if not limited:
                return step
            by_time = tf.cast(tf.minimum(share_of_time(), 1.0) * tf.cast(steps, tf.float64), tf.int32)
            return tf.minimum(tf.maximum(step, by_time), steps - 1)

        def body(step: Any, losses: Any) -> tuple[Any, Any]:
            due = progress(step)
            if before_step is not None:
                before_step(due)
            index = batches[step]
            drawn = shifts[step], gains[step], masks[step], rotations[step], seeds[step], flips[step]
            samples = augment(data.batch(index, schedule.batch), *drawn)
            if sensor is not None:
                signals = tf.reshape(samples, (schedule.batch, *data.sample_shape))
                samples = tf.reshape(sensor.disturbed(signals, sensor_seeds[step]), samples.shape)
            labels = tf.gather(data.labels, index)
            with tf.GradientTape() as tape:
                outputs = model(samples, training=True)
                if data.rebuilds:
                    errors = tf.math.squared_difference(outputs, tf.reshape(samples, tf.shape(outputs)))
                elif not data.classes:
                    errors = _huber(outputs - labels)
                else:
                    target = tf.one_hot(labels, data.classes)
                    target = target * (1 - smoothing) + smoothing / data.classes
                    errors = tf.nn.softmax_cross_entropy_with_logits(target, outputs)
                    if data.class_weights is not None:
                        errors *= tf.gather(data.class_weights, labels)
                loss = tf.reduce_mean(errors)
            gradients = tape.gradient(loss, variables)
            optimizer.apply(gradients, rate=rates[due], step=step)
            return step + 1, losses.write(step, loss)

        losses = tf.TensorArray(tf.float32, size=steps, element_shape=())
        done, losses = tf.while_loop(goes_on, body, (tf.constant(0), losses), parallel_iterations=1)
        return done, losses.stack()

    return loop


def _huber(errors: Any) -> Any:
    """Squared up to `_LARGE` deviations and linear beyond, so that a few wild numbers do not decide.

    Source: P. J. Huber, Annals of Mathematical Statistics 35 (1964), 73-101.
    """
    size = tf.abs(errors)
    return tf.where(size <= _LARGE, tf.square(errors), 2 * _LARGE * size - _LARGE**2)


def _batches(count: int, schedule: Schedule, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Sample indices of each batch: epochs without repetition, shuffled again. Shape: (steps, batch)."""
    needed = schedule.steps * schedule.batch
    epochs = [rng.permutation(count) for _ in range(math.ceil(needed / count))]
    return np.concatenate(epochs)[:needed].reshape(schedule.steps, schedule.batch).astype(np.int32)


def _shifts(schedule: Schedule, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Offsets into the padded batch. Shape: (steps, groups, 2)."""
    high, wide = schedule.shift
    size = (schedule.steps, _SHIFT_GROUPS)
    return np.stack([rng.integers(0, 2 * n + 1, size) for n in (high, wide)], -1).astype(np.int32)


def _gains(schedule: Schedule, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Factors on the samples. Shape: (steps, batch), or (steps, 0) without."""
    if schedule.gain <= 0:
        return np.zeros((schedule.steps, 0), np.float32)
    return rng.normal(1.0, schedule.gain, (schedule.steps, schedule.batch)).astype(np.float32)


def _masks(schedule: Schedule, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """First place and the place behind the last one, along height and width. Shape: (steps, batch, 2, 2) or empty."""
    if not any(schedule.masks):
        return np.zeros((schedule.steps, 0), np.int32)
    size = (schedule.steps, schedule.batch)
    stretches = []
    for most, length in zip(schedule.masks, shape, strict=False):
        width = rng.integers(0, most + 1, size)
        start = rng.integers(0, length - width + 1)
        stretches.append(np.stack([start, start + width], -1))
    return np.stack(stretches, -2).astype(np.int32)


def _turns(schedule: Schedule, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """See `nas.tf.motion.turns`; empty without triples."""
    if not schedule.triples:
        return np.zeros((schedule.steps, 0), np.float32)
    return turns(schedule.steps, schedule.batch, TURNED_DEGREES, rng)


def _seeds(schedule: Schedule, rng: np.random.Generator, *, drawn: bool) -> npt.NDArray[np.int32]:
    """Seeds of what is drawn within each step. Shape: (steps, 2), or (steps, 0) without."""
    if not drawn:
        return np.zeros((schedule.steps, 0), np.int32)
    return rng.integers(0, 1 << 31, (schedule.steps, 2)).astype(np.int32)


def _flips(schedule: Schedule, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which samples are mirrored. Shape: (steps, batch), or (steps, 0) without."""
    if not schedule.flip:
        return np.zeros((schedule.steps, 0), bool)
    return rng.random((schedule.steps, schedule.batch)) < 0.5


def hide(batch: Any, masks: Any) -> Any:
    """Puts each sample's mean in the place of a stretch of its rows and of one of its columns.

    Shape: (n, height, width, channels) and (n, 2, 2) -> (n, height, width, channels).
    """
    rows, columns = _between(masks[:, 0], batch.shape[1]), _between(masks[:, 1], batch.shape[2])
    hidden = (rows[:, :, None] | columns[:, None, :])[..., None]
    return tf.where(hidden, tf.reduce_mean(batch, (1, 2, 3), keepdims=True), batch)


def _between(ends: Any, length: int) -> Any:
    """Which places lie between two ends. Shape: (n, 2) -> (n, length)."""
    places = tf.range(length)[None]
    return (places >= ends[:, :1]) & (places < ends[:, 1:])
