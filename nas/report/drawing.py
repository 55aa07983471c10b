"""The chosen network as a chain of blocks: higher for larger pictures, wider for more channels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LEAST, _MOST = 10, 56  # pixels of a block's side
_SHORT = {
    "CONV_2D": "Conv",
    "DEPTHWISE_CONV_2D": "Depthwise conv",
    "FULLY_CONNECTED": "Dense",
    "AVERAGE_POOL_2D": "Average pool",
    "MAX_POOL_2D": "Max pool",
    "CONCATENATION": "Concat",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One operator.

    Attributes:
        index: Its number in the table of operators.
        name: What people call it.
        shape: Of its output, without the batch.
        width: Pixels, by the logarithm of the channels.
        height: Pixels, by the logarithm of the extent.
        sources: Operators that it reads, where these are not simply the one before it.
    """

    index: int
    name: str
    shape: str
    width: int
    height: int
    sources: str


def network(layers: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    """Lay out the chosen model's operators, in the order in which they run."""
    shapes = [tuple(layer["output_shape"][1:]) or (1,) for layer in layers]
    channels = max((shape[-1] for shape in shapes), default=1)
    extent = max((_extent(shape) for shape in shapes), default=1)
    return tuple(
        Block(
            index=layer["index"],
            name=_SHORT.get(layer["op"], layer["op"].replace("_", " ").capitalize()),
            shape=" × ".join(map(str, shape)),
            width=_side(shape[-1], channels),
            height=_side(_extent(shape), extent),
            sources=_sources(position, layer.get("sources")),
        )
        for position, (layer, shape) in enumerate(zip(layers, shapes, strict=True))
    )


def _extent(shape: Sequence[int]) -> int:
    return max(shape[:-1], default=1)


def _side(value: int, largest: int) -> int:
    share = math.log2(1 + value) / math.log2(1 + largest)
    return round(_LEAST + (_MOST - _LEAST) * share)


def _sources(position: int, sources: Sequence[int] | None) -> str:
    if sources is None or list(sources) == [position - 1]:
        return ""
    return "from " + " and ".join("the input" if source < 0 else str(source) for source in sources)
