"""Predicted against true numbers on test data, a square picture for each number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.model.result import ChosenSummary
from nas.report.picture import linear_ticks

_MARGIN = 0.04  # of the range, so that no dot lies on the frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """One picture; positions in percent, both axes of the same range.

    Attributes:
        name: Of the number.
        dots: From the left and from the top.
        columns: Position and text on the axis of true numbers.
        rows: Position and text on that of predicted ones.
        errors: What the errors are like, in the unit of the data.
        text: What a screen reader says.
    """

    name: str
    dots: tuple[tuple[float, float], ...]
    columns: tuple[tuple[float, str], ...]
    rows: tuple[tuple[float, str], ...]
    errors: str
    text: str


def scatters(chosen: ChosenSummary) -> list[Scatter]:
    """The pictures of a chosen model; none where classes or anomalies are told."""
    return [_scatter(one) for one in chosen.predictions or ()]


def _scatter(predictions: Mapping[str, Any]) -> Scatter:
    truth: Sequence[float] = predictions["truth"]
    predicted: Sequence[float] = predictions["predicted"]
    low, high = min(*truth, *predicted), max(*truth, *predicted)
    margin = _MARGIN * ((high - low) or abs(high) or 1.0)
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return 100.0 * (value - low) / (high - low)

    ticks = [(place(tick), f"{tick:.4g}") for tick in linear_ticks(low, high)]
    below, above = predictions["middle"]
    errors = (
        f"Errors (predicted less true): mean {predictions['bias']:.4g},"
        f" nine tenths between {below:.4g} and {above:.4g}"
    )
    return Scatter(
        name=predictions["name"],
        dots=tuple((place(x), 100.0 - place(y)) for x, y in zip(truth, predicted, strict=True)),
        columns=tuple(ticks),
        rows=tuple((100.0 - at, text) for at, text in ticks),
        errors=errors,
        text=f"{predictions['name']}: predicted against true numbers of {len(truth):,} test samples. {errors}",
    )
