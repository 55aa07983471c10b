"""Full int8 post-training quantization of a Keras model, to lean .tflite bytes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from cost_models.lean import lean
from nas.tf.quiet import quiet


def convert(model: tf_keras.Model, representative: npt.NDArray[np.float32]) -> bytes:
    """Quantize `model` to int8 (weights, activations, input and output) and strip the bytes to what runs.

    Convolutions are quantized per channel, dense layers per tensor: per-channel dense layers cost 8 B of arena
    and 4 B of flash for each unit, and TFLM before 2024 cannot run them.

    Args:
        model: A model as `build` makes it.
        representative: Examples whose activations set the ranges, scaled as in training, (n, *input_shape).

    Raises:
        ValueError: There are no examples, or their shape is not the model's.
    """
    return lean(convert_raw(model, representative))


def convert_raw(model: tf_keras.Model, representative: npt.NDArray[np.float32]) -> bytes:
    """As `convert`, but the bytes as the converter leaves them."""
    shape = tuple(model.inputs[0].shape[1:])
    if len(representative) == 0 or representative.shape[1:] != shape:
        raise ValueError(
            f"representative examples of shape {representative.shape} do not fit the input {shape}"
        )
    examples = np.ascontiguousarray(representative, dtype=np.float32)

    def batches() -> Iterator[list[npt.NDArray[np.float32]]]:
        for index in range(len(examples)):
            yield [examples[index : index + 1]]

    # Batch 1 in the signature: a dynamic batch would add SHAPE, STRIDED_SLICE and PACK to the graph.
    function = tf.function(lambda x: model(x, training=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec((1, *shape), tf.float32, name="input"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    # The graph goes straight to the converter: by way of a SavedModel it takes five to ten times as long, and each
    # call leaks some 20 MB (TF#122598); this way memory stays flat.
    converter.experimental_lower_to_saved_model = False
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = batches
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data: Any = converter.convert()
    return bytes(data)
