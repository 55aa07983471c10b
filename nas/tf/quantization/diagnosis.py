"""Where int8 loses: the activations and weights of each layer are rounded alone, and the answers' error is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nas.tf.build import layer_name
from nas.tf.convert import Ranges
from nas.tf.quantization.calibration import fake_quantized
from nas.tf.quantization.cures import quantized_kernel
from nas.tf.quantization.folded import SAME_SCALE, Folded, predict, walk
from search_spaces.layers import INPUT, Concat, Softmax

Error = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], float]
"""How far answers are from those of the float network."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss by one tensor's rounding.

    Attributes:
        layer: Index; `INPUT` is the model's input.
        kind: Which tensor of it.
        error: Of the answers, when it alone is rounded.
    """

    layer: int
    kind: Literal["activations", "weights"]
    error: float


def diagnose(folded: Folded, inputs: npt.NDArray[np.float32], ranges: Ranges, *, error: Error) -> list[Loss]:
    """The loss by the rounding of each tensor, the worst first.

    Args:
        folded: The network.
        inputs: Real-valued samples. Shape: (n, *spec.input_shape).
        ranges: Of the activations, by layer.
        error: Of answers, given the float network's and the others.
    """
    model, spec = folded.model(), folded.spec
    wanted = predict(model, inputs)
    losses = []
    for index in ranges:
        if index != INPUT and isinstance(spec.layers[index], (*SAME_SCALE, Concat, Softmax)):
            continue  # has the scale of its input

        def rounded(at: int, values: Any, only: int = index) -> Any:
            return fake_quantized(np.asarray(values), *ranges[only]) if at == only else values

        answers = np.asarray(walk(model, spec, inputs, change=rounded))
        losses.append(Loss(index, "activations", error(wanted, answers)))
    for index, (kernel, bias) in folded.weights.items():
        layer = model.get_layer(layer_name(index))
        layer.set_weights([quantized_kernel(kernel, spec.layers[index]), bias])
        losses.append(Loss(index, "weights", error(wanted, predict(model, inputs))))
        layer.set_weights([kernel, bias])
    return sorted(losses, key=lambda loss: -loss.error)
