"""Full int8 post-training quantization of a Keras model, to lean .tflite bytes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize

from cost_models.lean import lean
from nas.tf.quiet import quiet
from search_spaces.layers import INPUT

Ranges = Mapping[int, tuple[float, float]]
"""Lowest and highest value of what layers put out, by index; `INPUT` is the model's input."""

_LAYER = re.compile(rb"layer_(\d+)")


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A float model in the converter's form, with the range of each activation.

    Attributes:
        flatbuffer: A .tflite model of floats whose activations carry their lowest and highest value.
    """

    flatbuffer: bytes

    def quantize(self, ranges: Ranges | None = None) -> bytes:
        """The lean int8 model.

        Args:
            ranges: Ranges to take instead of the examples' own, by layer.
        """
        data = self.flatbuffer if ranges is None else self._with(ranges)
        with quiet():
            quantized: Any = mlir_quantize(
                data,
                input_data_type=tf.int8,
                output_data_type=tf.int8,
                disable_per_channel_for_dense_layers=True,
            )
        return lean(bytes(quantized))

    def _with(self, ranges: Ranges) -> bytes:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(self.flatbuffer, 0))
        graph = model.subgraphs[0]
        for index, tensor in enumerate(graph.tensors):
            scaling = tensor.quantization
            if scaling is None or scaling.min is None or not len(scaling.min):
                continue
            layer = _layer_of(tensor.name, index in graph.inputs, index in graph.outputs, ranges)
            if layer is not None and layer in ranges:
                low, high = ranges[layer]
                scaling.min, scaling.max = [low], [high]
        builder = flatbuffers.Builder(len(self.flatbuffer))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _layer_of(name: bytes, is_input: bool, is_output: bool, ranges: Ranges) -> int | None:
    """The layer that makes a tensor: the converter joins names of fused operators, the last operator's first."""
    if is_input:
        return INPUT
    if is_output:
        return max(ranges)
    match = _LAYER.search(name)
    return None if match is None else int(match[1])


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
    return calibrate(model, representative).quantize()


def calibrate(model: tf_keras.Model, representative: npt.NDArray[np.float32]) -> Calibrated:
    """The first half of `convert`: what is left is to take ranges and to quantize, in milliseconds."""
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
    converter._experimental_calibrate_only = True
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data: Any = converter.convert()
    return Calibrated(bytes(data))
