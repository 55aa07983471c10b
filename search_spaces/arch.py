"""`ArchSpec`: one network as people and Keras speak of it, frozen, hashable, with inferred shapes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import Any

from cost_models.errors import UserError, did_you_mean
from search_spaces.layers import (
    INPUT,
    LAYER_TYPES,
    ArchError,
    AveragePool,
    Concat,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Shape,
)

SCHEMA = 1

_SAME_SCALE = (AveragePool, MaxPool, GlobalAveragePool, Flatten)

_BY_NAME: dict[str, type[Layer]] = {kind.__name__: kind for kind in LAYER_TYPES}
_FIELDS = {kind: tuple(one.name for one in fields(kind)) for kind in LAYER_TYPES}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchSpec:
    """A directed acyclic graph of layers, in the order in which they run.

    A layer's `inputs` name earlier layers by index, `INPUT` (-1) is the model's input; the last layer is the
    output. Two specs are equal when they describe the same network layer by layer.

    Attributes:
        input_shape: (height, width, channels) of a map, or (n,) of a vector; the batch is left out.
        layers: The layers; each one is used, by another layer or as the output.
        shapes: The output shape of each layer, inferred.

    Raises:
        ArchError: The network cannot be; the message names the layer.
    """

    input_shape: Shape
    layers: tuple[Layer, ...]
    shapes: tuple[Shape, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        shape = self.input_shape
        if len(shape) not in (1, 3) or min(shape) < 1:
            raise ArchError(f"the input shape {shape} is neither (height, width, channels) nor (n,)")
        if not self.layers:
            raise ArchError("a network has at least one layer")
        shapes: list[Shape] = []
        used: set[int] = set()
        for index, layer in enumerate(self.layers):
            sources = layer.inputs
            try:
                inputs = []
                for source in sources:
                    if not -1 <= source < index:
                        raise ArchError(f"its input {source} is not an earlier layer")
                    inputs.append(shapes[source] if source >= 0 else shape)
                shapes.append(layer.shape(tuple(inputs)))
            except ArchError as error:
                raise ArchError(f"layer {index} ({type(layer).__name__}): {error}") from None
            used.update(sources)
        for index in range(len(shapes) - 1):
            if index not in used:
                raise ArchError(f"layer {index} ({type(self.layers[index]).__name__}): nothing uses it")
        _refuse_merged(self.layers)
        _refuse_requantized(self.layers)
        object.__setattr__(self, "shapes", tuple(shapes))

    @property
    def output_shape(self) -> Shape:
        return self.shapes[-1]

    def shape_of(self, index: int) -> Shape:
        """The shape that layer `index` makes; `INPUT` is the model's input."""
        return self.shapes[index] if index >= 0 else self.input_shape

    def to_json(self) -> str:
        """The canonical text of this network: equal specs have equal texts."""
        layers = [
            {"type": type(layer).__name__} | {name: getattr(layer, name) for name in _FIELDS[type(layer)]}
            for layer in self.layers
        ]
        content = {"schema": SCHEMA, "input_shape": self.input_shape, "layers": layers}
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """The network's name (sha256, hexadecimal): the same in every process and on every machine."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> ArchSpec:
        """Read what `to_json` wrote.

        Raises:
            UserError: The text is not a network.
        """
        try:
            content = json.loads(text)
        except ValueError as error:
            raise UserError(f"This architecture is not JSON: {error}.") from None
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise UserError(
                "This JSON is not an architecture.", f"It needs schema {SCHEMA}, input_shape, layers."
            )
        layers = content.get("layers")
        if not isinstance(layers, list):
            raise UserError("This architecture has no list of layers.")
        try:
            return cls(
                input_shape=_integers("input_shape", content.get("input_shape")),
                layers=tuple(_layer(index, one) for index, one in enumerate(layers)),
            )
        except ArchError as error:
            raise UserError(f"This architecture cannot be built: {error}.") from None


class Sketch:
    """A network being drawn: add layers, look at their shapes, end with `spec()`."""

    def __init__(self, input_shape: Shape) -> None:
        self.input_shape = input_shape
        self._layers: list[Layer] = []
        self._shapes: list[Shape] = []

    def add(self, layer: Layer) -> int:
        """Append a layer; its index is what later layers name as input."""
        self._shapes.append(layer.shape(tuple([self.shape_of(source) for source in layer.inputs])))
        self._layers.append(layer)
        return len(self._layers) - 1

    def shape_of(self, index: int) -> Shape:
        return self._shapes[index] if index >= 0 else self.input_shape

    def spec(self) -> ArchSpec:
        return ArchSpec(input_shape=self.input_shape, layers=tuple(self._layers))


def _refuse_merged(layers: tuple[Layer, ...]) -> None:
    """Refuse what the converter would merge: the network as drawn would not be the one that runs."""
    seen: dict[tuple[object, ...], int] = {}
    for index, layer in enumerate(layers):
        kind = type(layer)
        if kind is Conv or kind is DepthwiseConv:
            continue
        name = kind.__name__
        if isinstance(layer, Dense):
            for source in layer.inputs:
                before = layers[source] if source >= 0 else None
                if isinstance(before, Dense) and layer.activation == before.activation == "NONE":
                    raise ArchError(f"layer {index} ({name}): two dense layers without an activation are one")
            continue
        key: tuple[object, ...] = (name, layer.inputs)
        if isinstance(layer, (AveragePool, MaxPool)):
            key = (*key, layer.kernel, layer.strides, layer.padding)
        if seen.setdefault(key, index) != index:
            raise ArchError(f"layer {index} ({name}): it repeats layer {seen[key]}")


def _refuse_requantized(layers: tuple[Layer, ...]) -> None:
    """Refuse what is joined in two places: the converter would put QUANTIZE operators in between.

    What a Concat joins shares its scale and zero point, pools hand both on, and one tensor cannot obey two joins.
    """
    if sum(isinstance(layer, Concat) for layer in layers) < 2:
        return
    joined: dict[int, int] = {}  # by how many readers each output (INPUT among them) ends in a Concat
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        if isinstance(layer, Concat) or (isinstance(layer, _SAME_SCALE) and joined.get(index)):
            for source in set(layer.inputs):
                joined[source] = joined.get(source, 0) + 1
    for source, readers in joined.items():
        if readers > 1:
            name = "the input" if source == INPUT else f"layer {source} ({type(layers[source]).__name__})"
            raise ArchError(f"{name}: two Concat layers join it, and both would set its scale")


def _layer(index: int, content: object) -> Layer:
    if not isinstance(content, dict):
        raise ArchError(f"layer {index} is not an object")
    values: dict[str, Any] = dict(content)
    name = values.pop("type", None)
    kind = _BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ArchError(f"layer {index} has the unknown type {name!r}. {did_you_mean(str(name), _BY_NAME)}")
    expected = _FIELDS[kind]
    if set(values) != set(expected):
        wrong = ", ".join(sorted(set(values) ^ set(expected)))
        raise ArchError(f"layer {index} ({name}) has missing or unknown keys: {wrong}")
    for key, value in values.items():
        if key in ("inputs", "kernel", "strides", "dilation"):
            numbers = _integers(f"layer {index} ({name}): {key}", value)
            if key != "inputs" and len(numbers) != 2:
                raise ArchError(f"layer {index} ({name}): {key} is not a pair")
            values[key] = numbers
        elif key == "batch_norm":
            if not isinstance(value, bool):
                raise ArchError(f"layer {index} ({name}): batch_norm is not true or false")
        elif key == "activation":
            if value not in ("NONE", "RELU", "RELU6"):
                raise ArchError(f"layer {index} ({name}): activation is not NONE, RELU or RELU6")
        elif key == "padding":
            if value not in ("SAME", "VALID"):
                raise ArchError(f"layer {index} ({name}): padding is not SAME or VALID")
        elif type(value) is not int:
            raise ArchError(f"layer {index} ({name}): {key} is not an integer")
    return kind(**values)


def _integers(name: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or any(type(one) is not int for one in value):
        raise ArchError(f"{name} is not a list of integers")
    return tuple(value)


__all__ = ["INPUT", "ArchError", "ArchSpec", "Layer", "Shape", "Sketch"]
