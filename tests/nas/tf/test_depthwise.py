from __future__ import annotations

from itertools import product

import numpy as np
import pytest

pytestmark = pytest.mark.slow

SIZES = ((1, 1), (2, 1), (4, 1), (17, 1), (64, 1), (2, 2), (3, 5), (8, 8))
KERNELS = ((1, 1), (3, 1), (5, 1), (2, 2), (5, 5))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_training_computes_what_keras_computes(size: tuple[int, int]) -> None:
    import tensorflow as tf
    from tf_keras import layers as kl

    from nas.tf.depthwise import DepthwiseConv2D

    rng = np.random.default_rng(1)
    samples = tf.constant(rng.normal(size=(3, *size, 4)), tf.float32)
    for kernel, stride, multiplier in product(KERNELS, (1, 2, 3), (1, 2)):
        results = []
        for kind in (kl.DepthwiseConv2D, DepthwiseConv2D):
            layer = kind(kernel, strides=(stride, stride), padding="same", depth_multiplier=multiplier)
            layer.build(samples.shape)
            draw = np.random.default_rng(2)
            layer.set_weights([draw.normal(size=one.shape) for one in layer.get_weights()])
            watched = [samples, *layer.trainable_variables]
            with tf.GradientTape() as tape:
                tape.watch(samples)
                outputs = layer(samples, training=True) if kind is DepthwiseConv2D else layer(samples)
                sines = np.sin(np.arange(np.prod(outputs.shape))).reshape(outputs.shape)
                loss = tf.reduce_sum(outputs * sines)
            results.append([outputs, *tape.gradient(loss, watched)])
        for theirs, ours in zip(*results, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-5)


def test_what_is_converted_stays_one_convolution() -> None:
    import tensorflow as tf

    from nas.tf.depthwise import DepthwiseConv2D

    for size, kernel in (((2, 2), 5), ((16, 1), (3, 1))):
        layer = DepthwiseConv2D(kernel, strides=(2, 2), padding="same")
        source = tf.TensorSpec((1, *size, 4))
        inference = tf.function(layer).get_concrete_function(source, training=False)
        training = tf.function(layer).get_concrete_function(source, training=True)
        assert "Pad" not in {one.type for one in inference.graph.get_operations()}
        assert "Pad" in {one.type for one in training.graph.get_operations()}
