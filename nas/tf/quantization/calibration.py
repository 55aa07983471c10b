"""Which range of an activation int8 codes cover: all that was seen, all but a few values, or what errs least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.tf.convert import Ranges
from nas.tf.quantization.folded import SAME_SCALE, Folded, batches, walk
from search_spaces.arch import ArchSpec
from search_spaces.layers import INPUT, Concat

LEVELS = 255
_KEPT = 1 << 14  # values of an activation from which its range is chosen
_SHRINKS = np.linspace(1.0, 0.025, 40)  # ends of a range that are tried, as shares of the values' own
_PERCENTILES = (99.9, 99.99)


@dataclass(frozen=True, slots=True)
class Activation:
    """The outputs of a layer for the representative samples.

    Attributes:
        low: Lowest value, 0 at most.
        high: Highest value, 0 at least.
        values: Some of the values.
        peak: Largest absolute value of each channel.
        mean: Mean of each channel.
    """

    low: float
    high: float
    values: npt.NDArray[np.float32]
    peak: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float64]


def observe(folded: Folded, inputs: npt.NDArray[np.float32]) -> dict[int, Activation]:
    """The outputs of each layer, by index; `INPUT` is the model's input.

    Args:
        folded: The network.
        inputs: Representative samples. Shape: (n, *spec.input_shape).
    """
    parts: dict[int, list[npt.NDArray[np.float32]]] = {}
    kept: dict[int, list[npt.NDArray[np.float32]]] = {}
    means: dict[int, list[npt.NDArray[np.float64]]] = {}
    rng = np.random.default_rng(0)
    groups = batches(inputs)

    def look(index: int, values: object) -> object:
        array = np.asarray(values, np.float32)
        rows = array.reshape(-1, array.shape[-1])
        parts.setdefault(index, []).append(np.stack([rows.min(0), rows.max(0)]))
        means.setdefault(index, []).append(rows.mean(0, dtype=np.float64) * (len(array) / len(inputs)))
        flat = array.ravel()
        most = _KEPT // len(groups)
        kept.setdefault(index, []).append(flat if len(flat) <= most else rng.choice(flat, most))
        return values

    model = folded.model()
    for group in groups:
        walk(model, folded.spec, group, change=look)
    activations = {}
    for index, extremes in parts.items():
        low = np.stack([one[0] for one in extremes]).min(0)
        high = np.stack([one[1] for one in extremes]).max(0)
        activations[index] = Activation(
            low=min(0.0, float(low.min())),
            high=max(0.0, float(high.max())),
            values=np.concatenate(kept[index]),
            peak=np.maximum(np.abs(low), np.abs(high)),
            mean=np.sum(means[index], axis=0),
        )
    return activations


def range_choices(spec: ArchSpec, seen: dict[int, Activation], *, fixed_input: bool) -> dict[str, Ranges]:
    """Ranges to choose from, by the name of how they are made.

    Args:
        spec: The network.
        seen: What its layers put out.
        fixed_input: Whether the input keeps its whole range, for bytes that must reach int8 as they are.
    """
    ways: dict[str, dict[int, tuple[float, float]]] = {"min/max": {}, "MSE": {}}
    ways |= {f"percentile {share}": {} for share in _PERCENTILES}
    for index, activation in seen.items():
        whole = (activation.low, activation.high)
        fixed = fixed_input and index == INPUT
        ways["min/max"][index] = whole
        ways["MSE"][index] = whole if fixed else least_squares(activation)
        for share in _PERCENTILES:
            ways[f"percentile {share}"][index] = whole if fixed else percentile(activation, share)
    return {name: _joined(spec, ranges) for name, ranges in ways.items()}


def percentile(seen: Activation, share: float) -> tuple[float, float]:
    """The range that covers `share` percent of the values; 0 is always in it."""
    low, high = np.percentile(seen.values, [100 - share, share])
    return _sound(seen, min(0.0, float(low)), max(0.0, float(high)))


def least_squares(seen: Activation) -> tuple[float, float]:
    """The range whose int8 codes err least from the values, in the mean of squares.

    Source: R. Banner et al., Post training 4-bit quantization of convolutional networks, arXiv:1810.05723.
    """
    low, high = seen.low, seen.high
    for _ in range(2):  # the two ends in turn
        high = min((seen.high * share for share in _SHRINKS), key=lambda end: _squares(seen.values, low, end))
        if seen.low == 0.0:
            break
        low = min((seen.low * share for share in _SHRINKS), key=lambda end: _squares(seen.values, end, high))
    return _sound(seen, low, high)


def fake_quantized(values: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float32]:
    """Values as int8 codes of a range hold them, in the converter's arithmetic: 0 has a code."""
    scale = max(high - low, 1e-30) / LEVELS
    zero = np.round(-low / scale)
    codes = np.clip(np.round(values / scale) + zero, 0, LEVELS)
    return np.asarray((codes - zero) * scale, np.float32)


def _squares(values: npt.NDArray[np.float32], low: float, high: float) -> float:
    if high <= low:
        return float(np.square(values).mean())
    return float(np.square(fake_quantized(values, low, high) - values).mean())


def _sound(seen: Activation, low: float, high: float) -> tuple[float, float]:
    """A range of some width: where all but a few values are 0, the whole one."""
    return (low, high) if high - low > 1e-6 * (seen.high - seen.low) else (seen.low, seen.high)


def _joined(spec: ArchSpec, ranges: dict[int, tuple[float, float]]) -> Ranges:
    """The ranges with one for all that share a scale: what pools hand on, and what is joined."""
    group = {index: index for index in ranges}
    for index, layer in enumerate(spec.layers):
        if isinstance(layer, (*SAME_SCALE, Concat)):
            joined = {group[one] for one in (index, *layer.inputs)}
            group = {one: min(joined) if name in joined else name for one, name in group.items()}
    made = [
        index
        for index in ranges
        if index == INPUT or not isinstance(spec.layers[index], (*SAME_SCALE, Concat))
    ]
    ranges_by_tensor = {}
    for index, name in group.items():
        members = [ranges[one] for one in made if group[one] == name]
        ranges_by_tensor[index] = (min(low for low, _ in members), max(high for _, high in members))
    return ranges_by_tensor
