"""Float weights out of and into Keras models of an `ArchSpec`."""

from __future__ import annotations

import numpy as np
import tf_keras

from nas.model.weights import FloatWeights, Kind, LayerWeights
from nas.tf.build import layer_name, norm_name
from search_spaces.arch import ArchSpec
from search_spaces.layers import Conv, Dense, DepthwiseConv


def weights_of(model: tf_keras.Model, spec: ArchSpec) -> FloatWeights:
    """The weights of a model that `build` made of `spec`."""
    layers = []
    for index, layer in enumerate(spec.layers):
        if not isinstance(layer, Conv | DepthwiseConv | Dense):
            continue
        kernel, *bias = model.get_layer(layer_name(index)).get_weights()
        norm = None
        if not isinstance(layer, Dense) and layer.batch_norm:
            norm = np.stack(model.get_layer(norm_name(index)).get_weights())
        layers.append(
            LayerWeights(kind=_kind(layer), kernel=kernel, bias=bias[0] if bias else None, norm=norm)
        )
    return FloatWeights(tuple(layers))


def give(model: tf_keras.Model, spec: ArchSpec, weights: FloatWeights) -> None:
    """Lets a model that `build` made of `spec` begin with other weights, see `FloatWeights.pairs`.

    A bias or a batch norm that the source does not have stays as it was.
    """
    for index, source in weights.pairs(spec):
        own = model.get_layer(layer_name(index))
        _, *bias = own.get_weights()
        if bias and source.bias is not None:
            bias = [source.bias]
        own.set_weights([source.kernel, *bias])
        layer = spec.layers[index]
        if isinstance(layer, Conv | DepthwiseConv) and layer.batch_norm and source.norm is not None:
            model.get_layer(norm_name(index)).set_weights(list(source.norm))


def _kind(layer: Conv | DepthwiseConv | Dense) -> Kind:
    return "conv" if isinstance(layer, Conv) else "depthwise" if isinstance(layer, DepthwiseConv) else "dense"
