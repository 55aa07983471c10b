"""What sensors do to samples, in the training graph: noise, another gain, an offset, lost readings.

The same as `nas.tasks.disturbances` does to samples that are measured, each of a random strength.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nas.model.trained import Preprocess
from nas.tasks.disturbances import GAINS, MOST_LOST, MOST_NOISE, MOST_OFFSET

_KINDS = 8  # equal parts of the samples: one for each way, and those that stay as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """Where samples are from.

    Attributes:
        mean: Of each channel's inputs. Shape: (channels,).
        deviation: The standard one. Shape: (channels,).
        preprocess: What made the inputs of raw samples.
        input_range: What lies outside saturates.
    """

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    preprocess: Preprocess
    input_range: tuple[float, float]

    def disturbed(self, batch: Any, seed: Any) -> Any:
        """Real-valued inputs, half of them disturbed in one way each. Shape: that of the batch.

        Args:
            batch: Features (n, f), signals (n, time, channels) or pictures (n, h, w, channels).
            seed: The same seed disturbs alike. Shape: (2,).
        """
        seeds = tf.random.experimental.stateless_split(seed, 3)
        count, ones = batch.shape[0], [1] * (len(batch.shape) - 1)

        def drawn(values: Any) -> Any:
            return tf.reshape(values, (count, *ones))

        which, strength, size = tf.unstack(tf.random.stateless_uniform((3, count), seeds[0]))
        kind = drawn(tf.cast(which * _KINDS, tf.int32))
        signed = drawn(2 * strength - 1)
        noise = tf.random.stateless_normal(batch.shape, seeds[1])
        low, high = (math.log(gain) for gain in GAINS)
        gain = tf.exp(low + (high - low) * drawn(strength))
        zero = np.asarray(self.preprocess.offset, np.float32) * np.asarray(self.preprocess.scale, np.float32)
        ways = (
            batch + MOST_NOISE * drawn(strength) * self.deviation * noise,
            batch * gain + (gain - 1) * zero,  # the inputs of raw samples times the gain
            batch + MOST_OFFSET * signed * self.deviation,
            self._lost(batch, MOST_LOST * size, seeds[2]),
        )
        for index, values in enumerate(ways):
            batch = tf.where(kind == index, values, batch)
        return tf.clip_by_value(batch, *self.input_range)

    def _lost(self, batch: Any, share: Any, seed: Any) -> Any:
        """A lost reading of a signal repeats the one before, a lost pixel is black, a lost feature has its mean."""
        rank = len(batch.shape)
        shape = batch.shape if rank == 2 else batch.shape[:-1]
        lost = tf.random.stateless_uniform(shape, seed) < tf.reshape(share, (-1, *[1] * (len(shape) - 1)))
        if rank == 2:
            return tf.where(lost, self.mean, batch)
        if rank == 4:
            return tf.where(lost[..., None], self.input_range[0], batch)
        places = np.arange(shape[1])
        last = tf.where(lost & (places > 0), 0, places)
        step = 1
        while step < shape[1]:  # the largest so far
            last = tf.maximum(last, tf.pad(last[:, :-step], ((0, 0), (step, 0))))
            step *= 2
        return tf.gather(batch, last, axis=1, batch_dims=1)
