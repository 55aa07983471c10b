"""The weights of a `.keras` file: its arrays and the order of its layers are read, and nothing of it is executed."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.model.npz import unpacked
from nas.model.weights import (
    LARGEST_WEIGHTS_BYTES,
    Array,
    Kind,
    LayerWeights,
    WeightsError,
    checked,
    outputs_of,
)

if TYPE_CHECKING:
    import h5py

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_LARGEST_CONFIG_BYTES = 4 << 20
LARGEST_FILE_BYTES = 4 * LARGEST_WEIGHTS_BYTES  # the state of an optimizer is in it
_MODELS = ("Sequential", "Functional", "Model")
_NORM_ARRAYS = 4
_DEEPEST = 8  # models within models


def keras_layers(content: bytes) -> tuple[LayerWeights, ...]:
    """The weights of a model that `model.save("NAME.keras")` of Keras 2 or 3 wrote, in the order of its layers.

    Convolutions of one and two dimensions, depthwise and separable ones, dense layers, and the batch norms right behind
    them; what other layers hold is left out. A kernel of one dimension becomes one of width 1.

    Raises:
        WeightsError: It is not such a file, is too large, or its weights are not finite; the text says why.
    """
    import h5py

    try:
        members = unpacked(content, LARGEST_FILE_BYTES, (_CONFIG, _WEIGHTS))
    except ValueError as error:
        raise WeightsError(str(error)) from error
    for name in (_CONFIG, _WEIGHTS):
        if name not in members:
            raise WeightsError(f"it holds no {name}")
    if len(members[_CONFIG]) > _LARGEST_CONFIG_BYTES:
        raise WeightsError("its configuration is too large")
    try:
        model = json.loads(members[_CONFIG])
        with h5py.File(io.BytesIO(members[_WEIGHTS]), "r") as file:
            arrays = list(_arrays(model, file, _Left(LARGEST_WEIGHTS_BYTES)))
    except WeightsError:
        raise
    except Exception as error:  # the library raises whatever a damaged file makes it stumble over
        raise WeightsError("its layers or weights cannot be read") from error
    return checked(_joined(arrays))


class _Left:
    """Counts down the bytes that may still be read."""

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise WeightsError(f"it has more than {self._limit >> 20} MB of weights")


def _arrays(model: Any, group: h5py.Group, left: _Left, depth: int = 0) -> Iterator[tuple[str, list[Array]]]:
    """The class and the arrays of each layer of a model, those of models in it included."""
    if depth > _DEEPEST:
        raise WeightsError("it has models within models, too deep")
    seen: Counter[str] = Counter()
    for layer in model["config"]["layers"]:
        kind = str(layer["class_name"])
        # Keras numbers the layers of a class; the name is what some versions write instead.
        base = _snake_case(kind)
        at = f"{base}_{seen[base]}" if seen[base] else base
        seen[base] += 1
        inner = _group(group, "layers", at) or _group(group, "layers", str(layer["config"].get("name")))
        if inner is None:
            continue
        if kind in _MODELS:
            yield from _arrays(layer, inner, left, depth + 1)
        elif (held := _group(inner, "vars")) is not None:
            yield kind, [_array(held, str(place), left) for place in range(len(held))]


def _group(group: h5py.Group, *path: str) -> h5py.Group | None:
    """A group within this file; None where there is none, or something that points elsewhere."""
    import h5py

    for name in path:
        if "/" in name or not isinstance(group.get(name, getlink=True), h5py.HardLink):
            return None
        inner = group.get(name)
        if not isinstance(inner, h5py.Group):
            return None
        group = inner
    return group


def _array(group: h5py.Group, name: str, left: _Left) -> Array:
    """An array that lies in the file as it is: neither elsewhere, nor unpacked to more than its bytes."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise WeightsError("its weights are not where Keras writes them")
    held = group[name]
    if not isinstance(held, h5py.Dataset) or held.dtype.kind not in "fiu":
        raise WeightsError("it holds weights that are not numbers")
    if held.is_virtual or held.external or held.chunks is not None:
        raise WeightsError("its weights are not where Keras writes them")
    left.take(4 * held.size)
    return np.asarray(held[()], np.float32)


def _joined(arrays: Sequence[tuple[str, Sequence[Array]]]) -> list[LayerWeights]:
    """Layers with the batch norms behind them."""
    layers: list[LayerWeights] = []
    for kind, held in arrays:
        if kind == "BatchNormalization":
            _add_norm(layers, held)
        else:
            layers += _of_layer(kind, held)
    return layers


def _add_norm(layers: list[LayerWeights], held: Sequence[Array]) -> None:
    """Takes a batch norm to the layer that it follows, where it has all four arrays and as many channels."""
    if not layers or len(held) != _NORM_ARRAYS:
        return
    last = layers[-1]
    shape = (outputs_of(last.kind, last.kernel),)
    if last.norm is None and all(array.shape == shape for array in held):
        layers[-1] = LayerWeights(kind=last.kind, kernel=last.kernel, bias=last.bias, norm=np.stack(held))


_KINDS: Mapping[str, tuple[Kind, int]] = {  # and the dimensions of its kernel
    "Conv2D": ("conv", 4),
    "Conv1D": ("conv", 3),
    "DepthwiseConv2D": ("depthwise", 4),
    "DepthwiseConv1D": ("depthwise", 3),
    "Dense": ("dense", 2),
}
_SEPARABLE = {
    "SeparableConv2D": ("DepthwiseConv2D", "Conv2D"),
    "SeparableConv1D": ("DepthwiseConv1D", "Conv1D"),
}


def _of_layer(kind: str, held: Sequence[Array]) -> list[LayerWeights]:
    """The weights of a layer; nothing of a class that has no counterpart here."""
    if kind in _SEPARABLE and len(held) >= 2:
        first, second = _SEPARABLE[kind]
        return [*_of_layer(first, held[:1]), *_of_layer(second, held[1:])]
    if kind not in _KINDS or not held:
        return []
    known, dimensions = _KINDS[kind]
    kernel, *rest = held
    if kernel.ndim != dimensions or not kernel.size:
        raise WeightsError(f"the kernel of a {kind} has {kernel.ndim} dimensions")
    if dimensions == 3:
        kernel = kernel[:, None]
    bias = rest[0] if rest and rest[0].shape == (outputs_of(known, kernel),) else None
    return [LayerWeights(kind=known, kernel=kernel, bias=bias)]


def _snake_case(name: str) -> str:
    """A class's name as Keras' files spell it. Source: keras.src.utils.naming.to_snake_case."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
