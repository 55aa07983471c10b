"""The canonical form of a graph: what is left of a model once everything that no chip reads is gone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cost_models.graph import STRUCTURAL_INPUTS, Operator, OpGraph, Tensor
from cost_models.tflite_schema import DECODE

FILTER_INPUT = 1
BIAS_INPUTS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
"""Operators with weights (always input 1), and which input is their bias."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonical:
    """A canonical graph and where its tensors came from.

    Attributes:
        graph: The graph.
        sources: For each of its tensors, the index in the graph it was made of.
    """

    graph: OpGraph
    sources: tuple[int, ...]


def canonical_graph(graph: OpGraph) -> Canonical:
    """The graph as `lean` stores it; the canonical form of a canonical graph is itself.

    - Tensors are numbered by first use: graph inputs, then operator by operator its inputs, then its outputs.
      Unused ones are gone. Constants that kernels read in Prepare (axes, paddings) are one tensor when equal.
    - RESHAPE has one input: TFLM takes the new shape from its output, LiteRT from the options.
    - Weights keep their scales and one zero point, which is 0.
    - Biases have no quantization, except those of a FULLY_CONNECTED with one scale, which TFLM checks.
    - Axes, paddings and shapes have no quantization.

    Source: tflite-micro 90b983c2, kernels/reshape_common.cc, kernels/kernel_util.cc
    (PopulateConvolutionQuantizationParams), kernels/fully_connected_common.cc, micro_allocator.cc.
    """
    operators = tuple(
        replace(op, inputs=op.inputs[:1]) if op.kind == "RESHAPE" and len(op.inputs) > 1 else op
        for op in graph.operators
    )
    filters, bare, shaping = _roles(operators, graph.tensors)
    number: dict[int, int] = {-1: -1}
    structural: dict[tuple[object, ...], int] = {}
    tensors: list[Tensor] = []
    sources: list[int] = []

    def visit(indices: tuple[int, ...]) -> tuple[int, ...]:
        for index in indices:
            if index in number:
                continue
            tensor = graph.tensors[index]
            if index in bare and (tensor.scales or tensor.zero_points):
                tensor = replace(tensor, scales=0, zero_points=0, quantized_dimension=0)
            elif index in filters and tensor.zero_points > 1:
                tensor = replace(tensor, zero_points=1)
            elif not tensor.scales and tensor.zero_points:
                tensor = replace(tensor, zero_points=0)
            if tensor.values is not None and index not in shaping:
                tensor = replace(tensor, values=None)
            place = len(tensors)
            if tensor.values is not None:
                key = (tensor.shape, tensor.dtype, tensor.values, tensor.scales)
                place = structural.setdefault(key, place)
            number[index] = place
            if place == len(tensors):
                tensors.append(tensor)
                sources.append(index)
        return tuple([number[index] for index in indices])

    inputs = visit(graph.inputs)
    renumbered = tuple(replace(op, inputs=visit(op.inputs), outputs=visit(op.outputs)) for op in operators)
    outputs = visit(graph.outputs)
    return Canonical(
        graph=OpGraph(tensors=tuple(tensors), operators=renumbered, inputs=inputs, outputs=outputs),
        sources=tuple(sources),
    )


def _restored(operators: tuple[Operator, ...]) -> set[int]:
    """Weights that are compressed: constants behind a DECODE."""
    return {index for op in operators if op.kind == DECODE for index in op.outputs}


def _roles(
    operators: tuple[Operator, ...], tensors: tuple[Tensor, ...]
) -> tuple[set[int], set[int], set[int]]:
    """Weights, constants whose quantization nobody reads, and inputs whose values shape the work."""
    filters: set[int] = set()
    bare: set[int] = set()
    read: set[int] = set()
    shaping: set[int] = set()
    restored = _restored(operators)
    for op in operators:
        structural = STRUCTURAL_INPUTS.get(op.kind, ())
        unread = set(structural)
        if op.kind in BIAS_INPUTS:
            weights = tensors[op.inputs[FILTER_INPUT]]
            if weights.is_constant or op.inputs[FILTER_INPUT] in restored:
                filters.add(op.inputs[FILTER_INPUT])
            if op.kind != "FULLY_CONNECTED" or weights.scales > 1:
                unread.add(BIAS_INPUTS[op.kind])
        for position, index in enumerate(op.inputs):
            (bare if position in unread else read).add(index)
            if position in structural:
                shaping.add(index)
    constants = {index for index in bare if index >= 0 and tensors[index].is_constant}
    return filters, constants - read, shaping


def symmetric_tensors(graph: OpGraph) -> set[int]:
    """Tensors whose zero points are 0 by construction: weights, and biases that keep a quantization."""
    indices: set[int] = set()
    tensors = graph.tensors
    for op in graph.operators:
        if op.kind in BIAS_INPUTS:
            bias = BIAS_INPUTS[op.kind]
            indices.update((op.inputs[FILTER_INPUT], *op.inputs[bias : bias + 1]))
    restored = _restored(graph.operators)
    return {index for index in indices if index >= 0 and (tensors[index].is_constant or index in restored)}
