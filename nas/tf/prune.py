"""Channel pruning: which channels of a trained wide network stay, and their weights in the narrow one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from nas.tf.build import build, layer_name, norm_name
from nas.tf.train import Schedule, TrainingData, train
from search_spaces.arch import ArchSpec
from search_spaces.channels import channel_groups
from search_spaces.layers import INPUT, Conv, Dense, DepthwiseConv
from search_spaces.space import Candidate


def narrow_model(wide: tf_keras.Model, candidate: Candidate, *, seed: int) -> tf_keras.Model:
    """The narrow network with the weights of the most important channels of the trained wide one.

    A channel's importance is the norm of its filter times the gain of its batch norm, summed over the layers
    that share it.

    Source: H. Li et al., Pruning Filters for Efficient ConvNets, arXiv:1608.08710; Z. Liu et al., Learning
    Efficient Convolutional Networks through Network Slimming, arXiv:1708.06519.
    """
    spec = candidate.wide
    channels = channel_groups(spec)
    keep = []
    for group in channels.groups:
        width = (
            _narrow_width(candidate.narrow, group.producers, group.width) if group.prunable else group.width
        )
        if width == group.width:
            keep.append(tuple(range(width)))
            continue
        score = np.sum([_importance(wide, spec, index) for index in group.producers], axis=0)
        keep.append(tuple(int(i) for i in np.sort(np.argsort(-score, kind="stable")[:width])))
    kept = channels.kept(keep)
    narrow = build(candidate.narrow, seed=seed)
    for index, layer in enumerate(spec.layers):
        if not isinstance(layer, Conv | DepthwiseConv | Dense):
            continue
        source = layer.inputs[0]
        incoming = slice(None) if source == INPUT else np.asarray(kept[source])
        outgoing = np.asarray(kept[index])
        weights = wide.get_layer(layer_name(index)).get_weights()
        kernel = _slice_kernel(layer, weights[0], incoming, outgoing)
        narrow.get_layer(layer_name(index)).set_weights([kernel, *(w[outgoing] for w in weights[1:])])
        if not isinstance(layer, Dense) and layer.batch_norm:
            norm = wide.get_layer(norm_name(index)).get_weights()
            narrow.get_layer(norm_name(index)).set_weights([w[outgoing] for w in norm])
    return narrow


def _slice_kernel(layer: Any, kernel: Any, incoming: Any, outgoing: Any) -> npt.NDArray[np.float32]:
    match layer:
        case Conv():
            return np.asarray(kernel[:, :, incoming][:, :, :, outgoing])
        case DepthwiseConv():
            return np.asarray(kernel[:, :, incoming])
        case _:
            return np.asarray(kernel[incoming][:, outgoing])


def _narrow_width(narrow: ArchSpec, producers: tuple[int, ...], default: int) -> int:
    for index in producers:
        layer = narrow.layers[index]
        if isinstance(layer, Conv):
            return layer.filters
        if isinstance(layer, Dense):
            return layer.units
    return default


def _importance(model: tf_keras.Model, spec: ArchSpec, index: int) -> npt.NDArray[np.float64]:
    """One value a channel of what layer `index` makes."""
    kernel = np.asarray(model.get_layer(layer_name(index)).get_weights()[0], np.float64)
    norm = np.sqrt(np.square(kernel).sum(axis=tuple(range(kernel.ndim - 1))))
    layer = spec.layers[index]
    if isinstance(layer, Conv) and layer.batch_norm:
        gamma, _, _, variance = model.get_layer(norm_name(index)).get_weights()
        # The kernel as the chip will have it: scaled by the folded batch norm.
        norm = norm * np.abs(gamma) / np.sqrt(variance + 1e-3)
    return np.asarray(norm)


def sparsify(
    model: tf_keras.Model,
    data: TrainingData,
    schedule: Schedule,
    *,
    sparsity: float,
    rng: np.random.Generator,
    until: float | None = None,
) -> tuple[tf_keras.Model, int]:
    """Fine-tunes with tfmot's magnitude pruning until `sparsity` of each kernel's weights are zero.

    Zeros save nothing under TFLM's dense kernels: they shrink only what is compressed, such as an update that
    is sent over the air. Costs never count them.

    Returns:
        The model and the number of steps that were done; see `train` for `until`.
    """
    import tensorflow_model_optimization as tfmot

    end, every = max(1, schedule.steps // 2), max(1, schedule.steps // 50)
    pruning = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0, final_sparsity=sparsity, begin_step=0, end_step=end, frequency=every
    )
    wrapped = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=pruning)
    wrappers = [layer for layer in wrapped.layers if hasattr(layer, "pruning_step")]

    marks = end // every  # the sparsity grows at every so many steps, the last time at this mark
    mark = tf.Variable(0, trainable=False, dtype=tf.int32)

    def set_step(step: Any) -> None:
        for wrapper in wrappers:
            wrapper.pruning_step.assign(tf.cast(step, wrapper.pruning_step.dtype))

    def before_step(step: Any) -> None:
        # Where time is short the schedule jumps, and a mark that it passes must count. The wrappers add 1 before
        # they look, and prune nothing beyond the end.
        reached = tf.minimum((tf.cast(step, tf.int32) + 1) // every, marks)
        set_step(tf.where(reached > mark, reached * every - 1, end))
        mark.assign(reached)

    done = train(wrapped, data, schedule, rng=rng, before_step=before_step, until=until)
    if int(mark) < marks:  # stopped by the time before the schedule reached its sparsity
        set_step(marks * every)
        for wrapper in wrappers:
            wrapper.pruning_obj.conditional_mask_update()
    for wrapper in wrappers:
        wrapper.pruning_obj.weight_mask_op()
    return tfmot.sparsity.keras.strip_pruning(wrapped), done
