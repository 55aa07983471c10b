"""The encoding that the surrogate learns from: a network's choices, and features of its graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from nas.strategy.distributions import distributions_of
from nas.strategy.screening import Screen, Screened
from search_spaces.arch import ArchSpec
from search_spaces.layers import INPUT, Dense

Vector = npt.NDArray[np.float64]


class Encoder:
    """Encodes a candidate twice: its choices as places in the space, and features of its graph.

    Graph features mean the same in any space; choices tell networks apart that have equal features.

    Args:
        screen: Of the search; its space is asked once for its choices.
    """

    def __init__(self, screen: Screen) -> None:
        self._axes = distributions_of(screen)

    def choices(self, params: Mapping[str, Any]) -> Vector:
        """Each choice as a place in [0, 1]; a choice of several options as one axis for each.

        A space should ask the same choices whatever the answers; what it did not ask this time lies in the middle.
        """
        row: list[float] = []
        for name, axis in self._axes.items():
            row.extend(_place(axis, params.get(name)))
        return np.array(row)

    def graph(self, screened: Screened) -> Vector:
        """Logarithms of sizes: work, weights, memory, depth, receptive field, and the shape of the end.

        Raises:
            ValueError: The candidate has no costs.
        """
        costs = screened.costs
        if costs is None:
            raise ValueError("a candidate without costs has no features")
        shape = _shape_of(screened.candidate.narrow)
        sizes = (
            costs.macs,
            costs.model_bytes,
            costs.sram_bytes,
            costs.cycles or costs.macs,
            costs.ops,
            *shape,
        )
        return np.log(np.maximum(1.0, np.array(sizes, np.float64)))


def _place(axis: BaseDistribution, value: Any) -> tuple[float, ...]:
    if isinstance(axis, CategoricalDistribution):
        # Two options are one axis; more are equally far from each other.
        at = axis.choices.index(value) if value in axis.choices else -1
        if len(axis.choices) == 2:
            return (float(at),)
        return tuple(0.7 * (i == at) for i in range(len(axis.choices)))
    assert isinstance(axis, IntDistribution | FloatDistribution)
    if value is None:
        return (0.5,)
    low, high = float(axis.low), float(axis.high)
    if axis.log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return ((value - low) / ((high - low) or 1.0),)


def _shape_of(spec: ArchSpec) -> tuple[float, ...]:
    """Receptive field, places of the last map, inputs of the last dense layer, narrowest and widest map."""
    fields: list[tuple[float, float]] = []  # receptive field and stride of each layer's output
    width_low, width_high = math.inf, 1.0
    places = last = 1.0
    for layer, shape in zip(spec.layers, spec.shapes):
        field, stride = (1.0, 1.0)
        for source in layer.inputs:
            other = (1.0, 1.0) if source == INPUT else fields[source]
            field, stride = max(field, other[0]), max(stride, other[1])
        kernel, strides = getattr(layer, "kernel", None), getattr(layer, "strides", None)
        if kernel is not None:
            field += (max(kernel) - 1) * stride
        if strides is not None:
            stride *= max(strides)
        fields.append((field, stride))
        if len(shape) == 3:
            width_low, width_high = min(width_low, shape[-1]), max(width_high, shape[-1])
            if shape[0] * shape[1] > 1:
                places = float(shape[0] * shape[1])
        if isinstance(layer, Dense):
            last = float(math.prod(spec.shape_of(layer.inputs[0])))
    low = width_high if width_low is math.inf else width_low
    return max(field for field, _ in fields), places, last, low, width_high
