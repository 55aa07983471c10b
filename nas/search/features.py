"""A network as numbers that a surrogate learns from: its choices, and what its graph is like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.candidates import Screen, Screened
from search_spaces.arch import ArchSpec
from search_spaces.choices import Choices
from search_spaces.layers import INPUT, Dense

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Range:
    low: float
    high: float
    log: bool

    def place(self, value: float | None) -> tuple[float, ...]:
        if value is None:
            return (0.5,)
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return ((value - low) / ((high - low) or 1.0),)


@dataclass(frozen=True, slots=True)
class _Options:
    options: tuple[Any, ...]

    def place(self, value: Any) -> tuple[float, ...]:
        # Two options are one axis; more are equally far from each other.
        at = self.options.index(value) if value in self.options else -1
        return (
            (float(at),)
            if len(self.options) == 2
            else tuple(0.7 * (i == at) for i in range(len(self.options)))
        )


class _Questions(Choices):
    """Answers at random, and notes what was asked."""

    def __init__(self) -> None:
        super().__init__(rng=np.random.default_rng(0))
        self.axes: dict[str, _Range | _Options] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.axes[name] = _Range(low, high, log)
        return super().suggest_int(name, low, high, step=step, log=log)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.axes[name] = _Range(low, high, log)
        return super().suggest_float(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.axes[name] = _Options(tuple(choices))
        return super().suggest_categorical(name, choices)


class Features:
    """Two views of a candidate: where its choices lie in the space, and what its graph is like.

    The second view is the same for any space; the first tells apart what the second cannot.

    Args:
        screen: Of the search; asked once, for what its space asks.
    """

    def __init__(self, screen: Screen) -> None:
        questions = _Questions()
        screen(questions)
        self._axes = questions.axes

    def choices(self, params: Mapping[str, Any]) -> Vector:
        """Each choice as a place in [0, 1]; a choice of several options as one axis for each.

        A space should ask the same choices whatever the answers; what it did not ask this time lies in the middle.
        """
        row: list[float] = []
        for name, axis in self._axes.items():
            row.extend(axis.place(params.get(name)))
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
