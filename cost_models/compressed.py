"""Compressed weights: the same model with tables of values and indices, restored by TFLM's DECODE as they are needed.

What a model loses in bytes its runtime gains in code: DECODE takes some 19 KB of it, and restores a tensor into the
arena while the operator behind it runs. Costs of the compressed graph say whether it pays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cost_models.canonical import BIAS_INPUTS, FILTER_INPUT, canonical_graph
from cost_models.decode_operator import HEADER_BYTES, MOST_BITS, coded, coding_options
from cost_models.errors import UserError
from cost_models.graph import KernelOptions, Operator, OpGraph, Tensor
from cost_models.lean import lean, write_lean
from cost_models.tflite_graph import TfliteModel, read_model
from cost_models.tflite_schema import DECODE

# The least bytes that a tensor must lose: its two tensors, two buffers and operator take about so many.
_LEAST_SAVED = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """How the weights of a tensor are stored.

    Attributes:
        bits: Of an index.
        stride: Values by which a channel's table lies behind the last one's; 0 where all channels share one table.
        table_bytes: Of all tables.
    """

    bits: int
    stride: int
    table_bytes: int

    def code_bytes(self, weights: Tensor) -> int:
        """Bytes of a tensor's indices."""
        return -(-weights.elements * self.bits // 8)

    def saved(self, weights: Tensor) -> int:
        """Bytes that a tensor loses by it, without what the file has around its parts."""
        return weights.elements - self.code_bytes(weights) - HEADER_BYTES - self.table_bytes


def one_table(bits: int) -> Coding:
    """The coding of a tensor of which all channels together hold at most two to the power of `bits` values."""
    return Coding(bits=bits, stride=0, table_bytes=2**bits)


def compressible(graph: OpGraph, coding: Coding) -> dict[int, Coding]:
    """The weights that lose bytes by a coding: int8, read by one operator, and not small."""
    readers = [index for op in graph.operators for index in op.inputs]
    return {
        index: coding
        for index in _weights(graph)
        if readers.count(index) == 1 and coding.saved(graph.tensors[index]) >= _LEAST_SAVED
    }


def _weights(graph: OpGraph) -> list[int]:
    filters = [op.inputs[FILTER_INPUT] for op in graph.operators if op.kind in BIAS_INPUTS]
    return [
        index
        for index in filters
        if graph.tensors[index].is_constant and graph.tensors[index].dtype == "int8"
    ]


def compressed_graph(graph: OpGraph, codings: Mapping[int, Coding]) -> OpGraph:
    """The graph of a compressed model; new tensors stand behind the old, indices and tables of each in turn.

    Args:
        graph: A graph of one subgraph.
        codings: By tensor; others stay as they are.
    """
    tensors = list(graph.tensors)
    operators: list[Operator] = []
    for op in graph.operators:
        for index in op.inputs:
            if index not in codings:
                continue
            weights, coding = graph.tensors[index], codings[index]
            at = len(tensors)
            for size in (coding.code_bytes(weights), HEADER_BYTES + coding.table_bytes):
                tensors.append(Tensor(shape=(size,), dtype="uint8", data_bytes=size))
            tensors[index] = replace(weights, data_bytes=0)
            options = KernelOptions(values=coding_options(0, weights, coding.bits))
            operators.append(Operator(kind=DECODE, inputs=(at, at + 1), outputs=(index,), options=options))
        operators.append(op)
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators))


def compress(data: bytes) -> bytes:
    """The lean form of a model with those weights compressed that lose bytes by it.

    It computes the same, bit for bit: each weight is restored as it was before the operator that reads it runs.
    Where no weights have so few values it is `lean`'s.

    Args:
        data: The content of a .tflite file that `lean` takes.

    Raises:
        UserError: As `lean`, or the model is compressed already.
    """
    data = lean(data)
    model = read_model(data)
    if DECODE in model.graph.kinds():
        raise UserError("The model is compressed already.", "Give the model that it was made of.")
    candidates = compressible(model.graph, one_table(1))
    chosen = {index: _best(model.graph.tensors[index], _content(data, model, index)) for index in candidates}
    codings = {index: coding for index, coding in chosen.items() if coding is not None}
    graph = compressed_graph(model.graph, codings)
    extended = bytearray(data)
    places = list(model.data)
    for index in (op.outputs[0] for op in graph.operators if op.kind == DECODE):
        coding = codings[index]
        channels = model.graph.tensors[index].scales if coding.stride else 1
        for part in coded(_content(data, model, index), coding.bits, coding.stride, channels):
            places.append((len(extended), len(part)))
            extended += part
        places[index] = (0, 0)
    added = len(graph.tensors) - len(model.graph.tensors)
    stored = iter(zip(model.option_types, model.option_tables, strict=True))
    options = [(0, None) if op.kind == DECODE else next(stored) for op in graph.operators]
    widened = replace(
        model,
        graph=graph,
        data=tuple(places),
        scales=model.scales + ((0, 0),) * added,
        zero_points=model.zero_points + ((),) * added,
        option_types=tuple(number for number, _ in options),
        option_tables=tuple(table for _, table in options),
    )
    return write_lean(bytes(extended), widened, canonical_graph(graph))


def _best(weights: Tensor, values: bytes) -> Coding | None:
    """The coding by which weights lose most; None where they lose nothing."""
    width = _bits(len(set(values)))
    codings = [one_table(width)]
    if weights.scales > 1 and not weights.quantized_dimension:
        run = len(values) // weights.scales
        most = max(len(set(values[at : at + run])) for at in range(0, len(values), run))
        codings.append(Coding(bits=_bits(most), stride=most, table_bytes=most * weights.scales))
    fit = [coding for coding in codings if coding.bits <= MOST_BITS and coding.stride <= 2**MOST_BITS]
    best = max(fit, key=lambda coding: coding.saved(weights), default=None)
    return best if best is not None and best.saved(weights) >= _LEAST_SAVED else None


def _bits(values: int) -> int:
    return max((values - 1).bit_length(), 1)


def _content(data: bytes, model: TfliteModel, index: int) -> bytes:
    start, size = model.data[index]
    return data[start : start + size]
