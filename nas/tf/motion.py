"""Augmentation of motion and vibration: noise of the sensor, and how it is worn or mounted.

Source: T. T. Um et al., Data augmentation of wearable sensor data for Parkinson's disease monitoring using
convolutional neural networks, ICMI 2017 (jitter, rotation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nas.model.trained import Preprocess
from nas.tasks.loading.mapped import chunks
from nas.tasks.loading.motion import Triple


def moments(
    raw: npt.NDArray[np.generic], preprocess: Preprocess
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean and standard deviation of each channel's inputs. Shape: (n, ..., channels) -> (channels,) each."""
    total = np.zeros(raw.shape[-1])
    squares, count = np.zeros(raw.shape[-1]), 0
    for chunk in chunks(raw):
        inputs = preprocess.apply(chunk).reshape(-1, raw.shape[-1]).astype(np.float64)
        total += inputs.sum(axis=0)
        squares += (inputs**2).sum(axis=0)
        count += len(inputs)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    return mean.astype(np.float32), deviation.astype(np.float32)


def turns(steps: int, batch: int, degrees: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Rotations about random axes by up to some degrees, as axis times angle. Shape: (steps, batch, 3)."""
    axes = rng.normal(size=(steps, batch, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    return (axes * np.radians(rng.uniform(0, degrees, (steps, batch, 1)))).astype(np.float32)


def turned(batch: Any, rotations: Any, triples: Sequence[Triple], preprocess: Preprocess) -> Any:
    """Samples of a sensor that is mounted otherwise: all its triples of axes turn alike, in raw units.

    Shape: (n, time, channels) or (n, time, 1, channels), and (n, 3) -> that of the samples.

    Args:
        batch: Real-valued inputs.
        rotations: Axis times angle of each sample.
        triples: Channels x, y and z of each vector.
        preprocess: What made the inputs of raw samples.
    """
    channels = batch.shape[-1]
    offset, scale = (
        np.broadcast_to(np.asarray(part, np.float32), (channels,))
        for part in (preprocess.offset, preprocess.scale)
    )
    raw = batch / scale + offset
    matrices = _matrices(rotations)
    columns = tf.unstack(raw, axis=-1)
    for triple in triples:
        vector = tf.stack([columns[at] for at in triple], axis=-1)
        flat = tf.reshape(vector, (tf.shape(batch)[0], -1, 3))
        turned_axes = tf.unstack(tf.matmul(flat, matrices, transpose_b=True), axis=-1)
        for at, values in zip(triple, turned_axes, strict=True):
            columns[at] = tf.reshape(values, tf.shape(columns[at]))
    return tf.ensure_shape((tf.stack(columns, axis=-1) - offset) * scale, batch.shape)


def _matrices(rotations: Any) -> Any:
    """Rotation matrices by Rodrigues' formula. Shape: (n, 3) -> (n, 3, 3)."""
    angle = tf.norm(rotations, axis=-1)[:, None, None]
    x, y, z = tf.unstack(rotations / tf.maximum(angle[:, 0], 1e-9), axis=-1)
    none = tf.zeros_like(x)
    cross = tf.reshape(tf.stack([none, -z, y, z, none, -x, -y, x, none], axis=-1), (-1, 3, 3))
    return tf.eye(3) + tf.sin(angle) * cross + (1 - tf.cos(angle)) * tf.matmul(cross, cross)
