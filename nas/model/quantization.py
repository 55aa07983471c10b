"""How a network came to int8: which rung of the ladder was taken, what was tried, and where int8 lost most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Rung = Literal["ptq", "calibration", "equalization", "bias correction", "qat"]

RUNG_TITLES: dict[str, str] = {
    "ptq": "post-training quantization",
    "calibration": "ranges that leave outliers out",
    "equalization": "equalized channels",
    "bias correction": "corrected biases",
    "qat": "quantization-aware training",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A rung of the ladder with the metric of its int8 bytes on validation data."""

    rung: Rung
    metric: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorLoss:
    """A tensor whose rounding costs much.

    Attributes:
        layer: Index of the layer; -1 is the model's input.
        kind: Of the layer.
        tensor: "activations" or "weights".
        share: Of the error that all tensors make, rounded one at a time.
    """

    layer: int
    kind: str
    tensor: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """The ladder's account.

    Attributes:
        rung: The one that was kept.
        float_metric: The run's metric of the float network on validation data.
        tried: All that were tried, in their order.
        worst: Where post-training quantization lost most; empty where it lost too little to look.
        left_out: What was not tried, and why; empty where nothing was left.
    """

    rung: Rung
    float_metric: float
    tried: tuple[Tried, ...]
    worst: tuple[TensorLoss, ...] = ()
    left_out: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def quantization_text(content: Mapping[str, Any] | None) -> str:
    """What a person reads of it: "post-training, 93.1 % on validation data, float 93.4 %"; empty for None.

    Args:
        content: As `Quantization.to_json` makes it.
    """
    if content is None:
        return ""
    quantization = quantization_from_json(content)
    metrics = {tried.rung: f"{100 * tried.metric:.1f} %" for tried in quantization.tried}
    float_metric = f"{100 * quantization.float_metric:.1f} %"
    text = f"{RUNG_TITLES[quantization.rung]}: {metrics[quantization.rung]} on validation data, float {float_metric}"
    others = [
        f"{RUNG_TITLES[rung]} {metric}" for rung, metric in metrics.items() if rung != quantization.rung
    ]
    if others:
        text += f"; also tried: {', '.join(others)}"
    if quantization.left_out:
        text += f"; not tried: {quantization.left_out}"
    if quantization.worst:
        first = quantization.worst[0]
        where = "the input" if first.layer < 0 else f"{first.tensor} of layer {first.layer} ({first.kind})"
        text += f"; most is lost by {where}, {100 * first.share:.0f} % of the error"
    return text


def quantization_from_json(content: Mapping[str, Any]) -> Quantization:
    """The inverse of `Quantization.to_json`."""
    return Quantization(
        rung=content["rung"],
        float_metric=content["float_metric"],
        tried=tuple(Tried(**one) for one in content["tried"]),
        worst=tuple(TensorLoss(**one) for one in content["worst"]),
        left_out=content.get("left_out", ""),
    )
