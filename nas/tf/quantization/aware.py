"""Quantization-aware training: a network is trained on while tfmot rounds its weights and activations as int8 does."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapperV2
from tensorflow_model_optimization.python.core.quantization.keras.quantizers import FixedQuantizer

from nas.tf.build import layer_name
from nas.tf.convert import Ranges
from nas.tf.quantization.folded import SAME_SCALE, Folded
from nas.tf.train import Schedule, TrainingData, train
from search_spaces.layers import INPUT, Concat, Conv, Dense, DepthwiseConv, Layer, Softmax

_BITS = 8


class _Weights(tfmot.quantization.keras.quantizers.LastValueQuantizer):  # type: ignore[misc]
    """Symmetric int8 weights in the range of their own; of a depthwise kernel each channel has one."""

    def __init__(self, *, per_axis: bool, depthwise: bool) -> None:
        super().__init__(num_bits=_BITS, per_axis=per_axis, symmetric=True, narrow_range=True)
        self._depthwise = depthwise

    def build(self, tensor_shape: Any, name: str, layer: Any) -> Any:
        shape = tf.TensorShape(tensor_shape)
        if self._depthwise:
            shape = tf.TensorShape([1, shape[0], shape[1], shape[2] * shape[3]])
        return super().build(shape, name, layer)

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:
        if not self._depthwise:
            return super().__call__(inputs, training, weights, **kwargs)
        high, wide, channels, multiplier = inputs.shape
        rows = tf.reshape(inputs, (1, high, wide, channels * multiplier))
        return tf.reshape(super().__call__(rows, training, weights, **kwargs), inputs.shape)


class _Config(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc]
    """The parts of a Keras layer that are rounded: its kernel, its output, both or neither."""

    def __init__(self, *, kernel: str | None, quantizer: Any, output: tuple[float, float] | None) -> None:
        self._kernel, self._quantizer, self._output = kernel, quantizer, output

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        return [(getattr(layer, self._kernel), self._quantizer)] if self._kernel else []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        if self._kernel:
            setattr(layer, self._kernel, quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        return

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        if self._output is None:
            return []
        low, high = self._output
        return [FixedQuantizer(num_bits=_BITS, init_min=low, init_max=high, narrow_range=False)]

    def get_config(self) -> dict[str, Any]:
        return {}


def train_aware(
    folded: Folded,
    ranges: Ranges,
    data: TrainingData,
    schedule: Schedule,
    *,
    rng: np.random.Generator,
    until: float | None = None,
) -> tuple[Folded, int]:
    """The network trained on under int8's rounding, and the steps that were done.

    Batch norms are folded before, so that what is rounded are the weights that the chip has; weights that are 0 stay
    0. The ranges of activations are fixed: the weights adapt to them.

    Source: B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference, arXiv:1712.05877.

    Args:
        folded: The network.
        ranges: Of the activations, by layer.
        data: What to learn.
        schedule: How.
        rng: Source of batches and augmentation.
        until: `time.time()` at which to stop.
    """
    plain = folded.model()
    wrapped = _wrapped(plain, folded, ranges)
    low, high = ranges[INPUT]
    source = tf_keras.Input(folded.spec.input_shape)
    whole = tf_keras.Model(source, wrapped(tf.quantization.fake_quant_with_min_max_args(source, low, high)))
    wrappers = {index: wrapped.get_layer(f"quantized_{layer_name(index)}") for index in folded.weights}
    # The layer's own attribute is the rounded kernel once it was called.
    kernels = {index: wrapper._weight_vars[0][0] for index, wrapper in wrappers.items()}
    pruned = [
        (kernels[index], tf.constant(kernel != 0))
        for index, (kernel, _) in folded.weights.items()
        if (kernel == 0).any()
    ]

    def keep_zeros(step: Any) -> None:
        for kernel, mask in pruned:
            kernel.assign(tf.where(mask, kernel, 0.0))

    losses = train(whole, data, schedule, rng=rng, before_step=keep_zeros if pruned else None, until=until)
    weights = {}
    for index, (before, _) in folded.weights.items():
        kernel = np.where(before == 0, np.float32(0), kernels[index].numpy())
        weights[index] = (kernel, wrappers[index].layer.bias.numpy())
    return Folded(folded.spec, weights), len(losses)


def _wrapped(model: tf_keras.Model, folded: Folded, ranges: Ranges) -> tf_keras.Model:
    """The model with each layer of weights and each last layer of a group rounded."""
    configs: dict[str, _Config] = {}
    for index, layer in enumerate(folded.spec.layers):
        name = layer_name(index)
        last = f"{name}_relu" if _has_relu(layer) else name
        own = isinstance(layer, (*SAME_SCALE, Concat, Softmax))
        output = None if own else ranges[index]
        if isinstance(layer, Conv | DepthwiseConv | Dense):
            depthwise = isinstance(layer, DepthwiseConv)
            quantizer = _Weights(per_axis=not isinstance(layer, Dense), depthwise=depthwise)
            kernel = "depthwise_kernel" if depthwise else "kernel"
            configs[name] = _Config(
                kernel=kernel, quantizer=quantizer, output=output if last == name else None
            )
        if output is not None and last not in configs:
            configs[last] = _Config(kernel=None, quantizer=None, output=output)

    def clone(layer: Any) -> Any:
        copy = layer.__class__.from_config(layer.get_config())
        config = configs.get(layer.name)
        if config is None:
            return copy
        return QuantizeWrapperV2(copy, config, name=f"quantized_{layer.name}")

    wrapped = tf_keras.models.clone_model(model, clone_function=clone)
    for index, (weights, bias) in folded.weights.items():
        wrapper = wrapped.get_layer(f"quantized_{layer_name(index)}")
        wrapper._weight_vars[0][0].assign(weights)
        wrapper.layer.bias.assign(bias)
    return wrapped


def _has_relu(layer: Layer) -> bool:
    return getattr(layer, "activation", "NONE") != "NONE"
