"""Writes the int8 models beside it, one or two operators each: `python tests/data/operators/make.py` (TensorFlow)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

SHAPE = (1, 8, 8, 4)
Layer = Callable[[tf.Tensor], tf.Tensor]


def weights(*shape: int) -> tf.Tensor:
    seed = zlib.crc32(repr(shape).encode())
    return tf.constant(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def flat(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, (1, 256))


def padded_convolutions(x: tf.Tensor) -> tf.Tensor:
    for _ in range(2):
        x = tf.pad(tf.nn.relu(x), [[0, 0], [0, 1], [0, 1], [0, 0]])
        x = tf.nn.conv2d(tf.maximum(x, 0.1), weights(3, 3, 4, 4), 2, "VALID")
    return x


MODELS: dict[str, Layer] = {
    "pad": lambda x: tf.pad(x, [[0, 0], [1, 2], [1, 1], [0, 0]]),
    "pad_twice": padded_convolutions,
    "padv2": lambda x: tf.pad(x, [[0, 0], [1, 2], [1, 1], [0, 0]], constant_values=1.5),
    "mirror_pad": lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"),
    "transpose_conv": lambda x: tf.nn.bias_add(
        tf.nn.conv2d_transpose(x, weights(3, 3, 6, 4), (1, 16, 16, 6), 2), weights(6)
    ),
    "conv_dilated": lambda x: tf.nn.conv2d(x, weights(3, 3, 4, 5), 1, "SAME", dilations=2),
    "conv_grouped": lambda x: tf.nn.conv2d(x, weights(3, 3, 2, 8), 1, "SAME"),
    "conv_1d": lambda x: tf.nn.conv1d(tf.reshape(x, (1, 64, 4)), weights(3, 4, 6), 1, "SAME"),
    "depthwise_multiplied": lambda x: tf.nn.relu6(
        tf.nn.depthwise_conv2d(x, weights(3, 3, 4, 2), [1, 2, 2, 1], "SAME")
    ),
    "dense_of_one": lambda x: tf.matmul(flat(x), weights(256, 1)) + weights(1),
    "dense_biased": lambda x: tf.nn.softmax(tf.matmul(flat(x), weights(256, 7)) + weights(7)),
    "dense_of_three_axes": lambda x: tf.matmul(tf.reshape(x, (1, 8, 32)), weights(32, 7)),
    "resize_nearest": lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, (16, 16)),
    "resize_bilinear": lambda x: tf.compat.v1.image.resize_bilinear(x, (16, 16), half_pixel_centers=True),
    "strided_slice": lambda x: x[:, 1:7:2, :, 1:],
    "strided_slice_shrinking": lambda x: x[:, 3],
    "slice": lambda x: tf.slice(x, [0, 1, 1, 0], [1, 4, 4, 2]),
    "split": lambda x: tf.split(x, 2, axis=3)[0] * tf.split(x, 2, axis=3)[1],
    "pack": lambda x: tf.stack([x, x + 1.0], axis=1),
    "squeeze": lambda x: tf.squeeze(tf.reduce_mean(x, [1, 2], keepdims=True), [1, 2]),
    "transpose": lambda x: tf.transpose(x, [0, 2, 1, 3]),
    "concatenation": lambda x: tf.concat([x, x * 2.0], -1),
    "add_constant": lambda x: tf.nn.relu(x + weights(4)),
    "mul_constant": lambda x: x * weights(8, 8, 4),
    "sub": lambda x: tf.nn.relu(x - x * 0.3),
    "maximum": lambda x: tf.maximum(x, x * 0.2),
    "sum": lambda x: tf.reduce_sum(x, [1, 2], keepdims=True),
    "reduce_max": lambda x: tf.reduce_max(x, [1, 2]),
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.13),
    "hard_swish": lambda x: x * tf.nn.relu6(x + 3) * (1 / 6),
    "logistic": tf.sigmoid,
    "tanh": tf.tanh,
    "depth_to_space": lambda x: tf.nn.depth_to_space(x, 2),
    "space_to_depth": lambda x: tf.nn.space_to_depth(x, 2),
    "gather": lambda x: tf.gather(x, [0, 2, 1], axis=1),
    "batch_matmul": lambda x: tf.matmul(
        tf.reshape(x, (1, 16, 16)), tf.reshape(x, (1, 16, 16)), transpose_b=True
    ),
}


def convert(layer: Layer) -> bytes:
    signature = [tf.TensorSpec(SHAPE, tf.float32)]
    function = tf.function(layer, input_signature=signature).get_concrete_function()

    def samples() -> Iterator[list[np.ndarray]]:
        generator = np.random.default_rng(0)
        for _ in range(4):
            yield [generator.normal(size=SHAPE).astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    model: bytes = converter.convert()
    return model


if __name__ == "__main__":
    for name, layer in MODELS.items():
        Path(__file__).with_name(f"{name}.tflite").write_bytes(convert(layer))
