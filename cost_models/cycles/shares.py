"""Which share of an operator's elements takes a branch that goes by the data, and how uncertain that leaves its work.

A tensor's typical values (`Tensor.typical`) say it. Where they are not known, half of the elements are negative, and
none is far from zero.
"""

from __future__ import annotations

import math

from cost_models.graph import Operator, SoftmaxOptions, Tensor
from cost_models.typical_values import COUNT, pairs

# Operators that leave elements out by their values.
BY_VALUES = frozenset(("LOGISTIC", "SOFTMAX", "TANH"))
_LEVELS = 256


def negative(tensor: Tensor) -> float:
    """The share of elements below zero."""
    return 0.5 if tensor.typical is None else far_below(tensor, 0.0)


def negative_sum(first: Tensor, second: Tensor, sign: int) -> float:
    """The share below zero of sums (`sign` 1) or differences (-1) of two tensors' elements."""
    if first.typical is None or second.typical is None:
        return 0.5
    return sum(x + sign * y < 0 for x, y in pairs(first.typical.numbers, second.typical.numbers)) / COUNT


def negative_product(first: Tensor, second: Tensor) -> float:
    """The share below zero of products of two tensors' elements."""
    a, b = negative(first), negative(second)
    return a * (1 - b) + b * (1 - a)


def far_below(tensor: Tensor, bound: float) -> float:
    """The share of elements below a bound."""
    return 0.0 if tensor.typical is None else sum(x < bound for x in tensor.typical.numbers) / COUNT


def far_above(tensor: Tensor, bound: float) -> float:
    """The share of elements above a bound."""
    return 0.0 if tensor.typical is None else sum(x > bound for x in tensor.typical.numbers) / COUNT


def saturated(tensor: Tensor) -> tuple[float, float]:
    """The shares of elements far below and far above zero whose sigmoid or hyperbolic tangent TFLM does not compute."""
    radius = _radius(tensor)
    return far_below(tensor, -radius), far_above(tensor, radius)


def skipped_exponentials(tensor: Tensor, beta: float) -> float:
    """The share of a softmax's inputs too far below the greatest of their row to have an exponential.

    That is 31 and more, times the mantissa of beta and scale (`CalculateInputRadius` of 5 integer bits).
    """
    count = tensor.shape[-1] if tensor.shape else 1
    if tensor.typical is None or beta <= 0 or count < 2:
        return 0.0
    reach = 31 * math.frexp(beta * tensor.typical.scale)[0] / beta
    ordered = sorted(tensor.typical.numbers)
    skipped = 0.0
    for place, greatest in enumerate(ordered, start=1):
        # So often this one is the greatest of a row; the others are among those before it.
        chance = (place / COUNT) ** count - ((place - 1) / COUNT) ** count
        skipped += chance * sum(other <= greatest - reach for other in ordered[:place]) / place
    return skipped * (count - 1) / count


def doubt(op: Operator, tensors: tuple[Tensor, ...]) -> float:
    """How far an operator may be off because its values are others than expected, as a share of its work.

    The share that is left out is hardly known, and where quantization leaves room for them, a third of what evenly
    spread numbers would leave out may be.
    """
    source = tensors[op.inputs[0]]
    if source.typical is None or source.dtype != "int8":
        return 0.0
    if isinstance(op.options, SoftmaxOptions):
        share = skipped_exponentials(source, op.options.beta)
        reach = 31 * math.frexp(op.options.beta * source.typical.scale)[0] / max(op.options.beta, 1e-9)
    else:
        share = sum(saturated(source))
        reach = 2 * _radius(source)
    room = max(0.0, 1 - reach / (_LEVELS * source.typical.scale))
    return max(math.sqrt(share * (1 - share)) / 2, room / 3)


def _radius(tensor: Tensor) -> float:
    """Beyond it a sigmoid saturates (`CalculateInputRadius` of 4 integer bits): 15 times the scale's mantissa."""
    return math.inf if tensor.typical is None else 15 * math.frexp(tensor.typical.scale)[0]
