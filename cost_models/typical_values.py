"""Numbers that the elements of each tensor typically are, as far as a file says: branches of kernels go by them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

from cost_models.graph import Operator, Tensor, TypicalValues

Numbers = tuple[float, ...]

COUNT = 64
"""How many numbers stand for a tensor's elements."""
# Operators whose kernels branch on their values.
_ASKED = frozenset((
    "ADD", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MUL", "PRELU", "QUANTIZE", "RELU", "RELU6", "SOFTMAX",
    "SQUARED_DIFFERENCE", "SUB", "TANH",
))  # fmt: skip
_INTEGERS = {"int8": (-128, 127), "uint8": (0, 255)}
# What is computed of many products keeps to zero; quantization leaves room for what is rare. In trained networks of
# the public zoos and in random ones such a part of the range is a fair standard deviation.
_DEVIATION = 1 / 64
_NORMAL = [NormalDist().inv_cdf((place + 0.5) / COUNT) for place in range(COUNT)]
# So far are the two numbers of a pair apart, in their orders; no pair twice, as it has no factor in common with the
# count.
_APART = 23

_ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "RELU": lambda x: max(x, 0.0),
    "RELU6": lambda x: min(max(x, 0.0), 6.0),
    "RELU_N1_TO_1": lambda x: min(max(x, -1.0), 1.0),
}
_OF_ONE: dict[str, Callable[[float], float]] = {
    **_ACTIVATIONS,
    "ABS": abs,
    "ELU": lambda x: x if x > 0 else math.expm1(x),
    "HARD_SWISH": lambda x: x * min(max(x + 3.0, 0.0), 6.0) / 6.0,
    "LOGISTIC": lambda x: 0.5 + 0.5 * math.tanh(0.5 * x),
    "TANH": math.tanh,
}
_OF_TWO: dict[str, Callable[[float, float], float]] = {
    "ADD": lambda x, y: x + y,
    "MAXIMUM": max,
    "MINIMUM": min,
    "MUL": lambda x, y: x * y,
    "PRELU": lambda x, y: x if x > 0 else x * y,
    "SQUARED_DIFFERENCE": lambda x, y: (x - y) ** 2,
    "SUB": lambda x, y: x - y,
}
# The output holds values of the inputs at these places, or what lies between them.
_MOVES: dict[str, slice] = {
    **dict.fromkeys(
        (
            "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "DEPTH_TO_SPACE", "EXPAND_DIMS", "GATHER",
            "GATHER_ND", "MAX_POOL_2D", "MEAN", "MIRROR_PAD", "PAD", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RESHAPE",
            "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "SLICE", "SPACE_TO_BATCH_ND",
            "SPACE_TO_DEPTH", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE", "UNPACK",
        ),
        slice(0, 1),
    ),
    "SPLIT": slice(1, 2),
    **dict.fromkeys(("CONCATENATION", "PACK"), slice(None)),
}  # fmt: skip


def with_typical_values(
    tensors: Sequence[Tensor],
    operators: Sequence[Operator],
    inputs: Sequence[int],
    *,
    slopes: Mapping[int, float],
    quantization: Callable[[int], tuple[float, int] | None],
    integers: Callable[[int], Sequence[int]],
) -> tuple[Tensor, ...]:
    """The tensors with typical values where they are quantized in 8 bits and a kernel of the graph asks for such.

    The inputs of the model, and floats that it quantizes, are taken as evenly spread over what they can be, constants
    as they are. What is computed of them element by element is computed; what else is, is taken as normal around zero.

    Args:
        tensors: Of a graph.
        operators: In execution order.
        inputs: The tensors that the caller fills.
        slopes: What each LEAKY_RELU multiplies negative numbers by, by the operator's index.
        quantization: Scale and zero point of a tensor by its index, None where it has not one of each.
        integers: The elements of an int8 constant by its index.
    """
    if not any(op.kind in _ASKED for op in operators):
        return tuple(tensors)
    known: dict[int, TypicalValues] = {}

    def store(index: int, numbers: Numbers | None) -> None:
        """Numbers as the tensor's integers hold them; without any, those of what is computed of many products."""
        quantized = quantization(index)
        if quantized is None or tensors[index].dtype not in _INTEGERS:
            return
        low, high = _ends(tensors[index], quantized)
        if numbers is None:
            numbers = tuple(place * (high - low) * _DEVIATION for place in _NORMAL)
        known[index] = _rounded([min(max(number, low), high) for number in numbers], quantized[0])

    # Floats come to integers as they are spread, and quantization is made for them.
    from_floats = [
        op.outputs[0]
        for op in operators
        if op.kind == "QUANTIZE" and tensors[op.inputs[0]].dtype == "float32"
    ]
    for index in (*inputs, *from_floats):
        quantized = quantization(index)
        if quantized is not None and tensors[index].dtype in _INTEGERS:
            known[index] = evenly_spread(*_ends(tensors[index], quantized), quantized[0])
    for position, op in enumerate(operators):
        if op.outputs and op.outputs[0] in from_floats:
            continue
        if op.kind in _OF_TWO:
            for index in op.inputs:
                quantized = quantization(index) if index >= 0 else None
                if quantized is not None and tensors[index].is_constant and tensors[index].dtype == "int8":
                    store(
                        index, _quantiles([(code - quantized[1]) * quantized[0] for code in integers(index)])
                    )
        numbers = _made(op, known, slopes.get(position))
        activation = _ACTIVATIONS.get(getattr(op.options, "activation", "NONE"))
        for index in op.outputs:
            store(index, numbers)
            if activation is not None and index in known:
                store(index, tuple(map(activation, known[index].numbers)))
    return tuple(
        replace(tensor, typical=known[index]) if index in known else tensor
        for index, tensor in enumerate(tensors)
    )


def evenly_spread(low: float, high: float, scale: float) -> TypicalValues:
    """Numbers evenly spread from one end to the other."""
    return _rounded([low + (high - low) * (place + 0.5) / COUNT for place in range(COUNT)], scale)


def _rounded(numbers: Sequence[float], scale: float) -> TypicalValues:
    return TypicalValues(numbers=tuple(scale * round(number / scale) for number in numbers), scale=scale)


def _ends(tensor: Tensor, quantization: tuple[float, int]) -> tuple[float, float]:
    """The least and the greatest number that a tensor's integers stand for."""
    low, high = _INTEGERS[tensor.dtype]
    scale, zero = quantization
    return (low - zero) * scale, (high - zero) * scale


def pairs(first: Numbers, second: Numbers) -> Sequence[tuple[float, float]]:
    """Numbers of two tensors that have nothing to do with each other."""
    return [(number, second[place * _APART % COUNT]) for place, number in enumerate(first)]


def _quantiles(values: Sequence[float]) -> Numbers:
    ordered = sorted(values)
    return tuple(ordered[(2 * place + 1) * len(ordered) // (2 * COUNT)] for place in range(COUNT))


def _made(op: Operator, known: Mapping[int, TypicalValues], slope: float | None) -> Numbers | None:
    """What an operator makes of its inputs' numbers; None where that is not known element by element."""
    places = _MOVES.get(op.kind, slice(0, 2 if op.kind in _OF_TWO else 1))
    used = [index for index in op.inputs[places] if index >= 0]
    if not used or any(index not in known for index in used):
        return None
    numbers = [known[index].numbers for index in used]
    if op.kind in _MOVES:
        return _quantiles([number for each in numbers for number in each])
    if op.kind in _OF_ONE:
        return tuple(map(_OF_ONE[op.kind], numbers[0]))
    if op.kind == "LEAKY_RELU" and slope is not None:
        return tuple(number if number > 0 else number * slope for number in numbers[0])
    if op.kind in _OF_TWO and len(numbers) == 2:
        return tuple(_OF_TWO[op.kind](*pair) for pair in pairs(*numbers))
    return None
