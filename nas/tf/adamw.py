"""AdamW over one flat vector: a dozen operations a step, where an optimizer by variable takes twenty for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class AdamW:
    """Adam with decoupled weight decay.

    Small networks on a CPU spend as long in the graph's bookkeeping as in convolutions: Keras' AdamW makes two
    thirds of the nodes of a training graph, and takes most of the time to trace and to optimize it.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, arXiv:1711.05101.

    Args:
        variables: What is trained.
        decay: Share of a variable, times the learning rate, that each step takes away.
    """

    def __init__(
        self,
        variables: Sequence[Any],
        *,
        decay: float,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        self._variables = variables
        self._sizes = [int(tf.size(one)) for one in variables]
        self._mean = tf.Variable(tf.zeros(sum(self._sizes)), trainable=False)
        self._square = tf.Variable(tf.zeros(sum(self._sizes)), trainable=False)
        self._decay, self._beta_1, self._beta_2, self._epsilon = decay, beta_1, beta_2, epsilon

    def apply(self, gradients: Sequence[Any], *, rate: Any, step: Any) -> None:
        """One update.

        Args:
            gradients: One for each variable.
            rate: The learning rate.
            step: Number of the step, from 0.
        """
        flat = tf.concat([tf.reshape(one, [-1]) for one in gradients], 0)
        time = tf.cast(step + 1, tf.float32)
        mean = self._mean.assign_add((flat - self._mean) * (1 - self._beta_1))
        square = self._square.assign_add((tf.square(flat) - self._square) * (1 - self._beta_2))
        corrected = rate * tf.sqrt(1 - tf.pow(self._beta_2, time)) / (1 - tf.pow(self._beta_1, time))
        update = corrected * mean / (tf.sqrt(square) + self._epsilon)
        for variable, part in zip(self._variables, tf.split(update, self._sizes)):
            variable.assign_sub(tf.reshape(part, variable.shape) + variable * (self._decay * rate))
