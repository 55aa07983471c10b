"""Channel pruning: which channels of a trained wide network stay, and their weights in the narrow one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras

from nas.model.evaluation import Request
from nas.tf.build import build, layer_name, norm_name
from nas.tf.compression.step import CompressionStep, Training
from search_spaces.arch import ArchSpec
from search_spaces.channels import channel_groups
from search_spaces.layers import INPUT, Conv, Dense, DepthwiseConv
from search_spaces.space import Candidate


class ChannelPruning(CompressionStep):
    """Cuts the least important channels out of a trained wide network, then trains what is left."""

    def steps(self, candidate: Candidate, request: Request, left: int) -> int:
        if candidate.narrow == candidate.wide:
            return 0
        return max(1, left - max(1, round(left * request.recipe.wide_share)))

    def rate(self, request: Request) -> float:
        return request.recipe.narrow_rate

    def begin(self, model: tf_keras.Model, candidate: Candidate, request: Request, steps: int) -> Training:
        return Training(model=narrow_model(model, candidate, seed=request.seed))


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
