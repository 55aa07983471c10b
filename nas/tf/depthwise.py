"""Keras' depthwise convolution, quick to train on small maps and on signals too."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tf_keras import layers as kl

from nas.runtimes.float_twin import window_places


class DepthwiseConv2D(kl.DepthwiseConv2D, tfmot.sparsity.keras.PrunableLayer):  # type: ignore[misc]
    """The same layer; in training it is put to oneDNN in another way where that is slow.

    oneDNN has no quick gradient of a kernel larger than the map, nor of strides along a map of width 1. Batches of 64,
    one thread of an AMD EPYC with AVX2: 184 channels of a 4x1 map under a 5x1 kernel take 7.2 ms, and 0.2 ms where the
    map is padded beforehand; 152 channels of a 64x1 map under a 5x1 kernel with stride 2 take 13.7 ms, and 2.4 ms where
    the map's even and odd places lie side by side.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Shape: (n, height, width, channels) -> (n, height', width', channels * multiplier)."""
        sizes, (high, wide), (stride, _) = inputs.shape[1:3], self.kernel_size, self.strides
        signal = stride > 1 and wide == sizes[1] == 1
        if not training or self.padding != "same" or not (signal or high > sizes[0] or wide > sizes[1]):
            return super().call(inputs)
        count, above, below = window_places(sizes[0], high, stride, 1, "SAME")
        _, left, right = window_places(sizes[1], wide, stride, 1, "SAME")
        kernel = self.depthwise_kernel
        if signal:
            # The convolution of stride 1 of a map whose rows are as many places of the signal as the stride.
            places = math.ceil(high / stride)
            rows = count - 1 + places
            below = max(rows * stride - above - sizes[0], 0)
            padded = tf.pad(inputs, ((0, 0), (above, below), (0, 0), (0, 0)))[:, : rows * stride]
            padded = tf.reshape(padded, (-1, rows, stride, inputs.shape[3]))
            kernel = tf.pad(kernel, ((0, places * stride - high), (0, 0), (0, 0), (0, 0)))
            kernel = tf.reshape(kernel, (places, stride, *kernel.shape[2:]))
            stride = 1
        else:
            padded = tf.pad(inputs, ((0, 0), (above, below), (left, right), (0, 0)))
        outputs = tf.nn.depthwise_conv2d(padded, kernel, (1, stride, stride, 1), "VALID")
        return tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs

    def get_prunable_weights(self) -> list[Any]:
        """None, as of Keras' own: tfmot prunes no depthwise kernels."""
        return []
