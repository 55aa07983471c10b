"""Models that Vela has compiled for an Arm Ethos-U: reading them, and the tensor arena that they take."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cost_models import tflite_schema as schema
from cost_models.arena.allocator import Arena, demands, fill
from cost_models.arena.build import find_build
from cost_models.flatbuffer import Reader, Table, broken
from cost_models.graph import OpGraph
from cost_models.tflite_graph import read_model

_PLAN_NAME = b"OfflineMemoryAllocation"
_PLAN_HEADER = 3
_ALIGNMENT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledModel:
    """The model as the chip runs it: operators of the kind ETHOS_U on the NPU, the others on the core.

    Attributes:
        graph: The structure.
        offsets: Per tensor, where the model says that it lies in the arena; -1 where TFLM plans it.
    """

    graph: OpGraph
    offsets: tuple[int, ...]

    @property
    def npu_operators(self) -> int:
        """Number of operators that the NPU runs."""
        return sum(op.kind == schema.ETHOS_U for op in self.graph.operators)

    def core_kinds(self) -> tuple[str, ...]:
        """Kinds of the operators that are left to the core, in order of first use, each once."""
        return tuple(kind for kind in self.graph.kinds() if kind != schema.ETHOS_U)


def read_compiled_model(data: bytes) -> CompiledModel:
    """A model as Vela writes it.

    Raises:
        UserError: As `read_graph`; Vela's own custom operator is taken, any other is not.
    """
    graph = read_model(data, ethos_u=True).graph
    return CompiledModel(graph=graph, offsets=_offsets(data, len(graph.tensors)))


def compiled_arena(model: CompiledModel, *, kernels: str, core: str) -> Arena:
    """The arena of a compiled model, by the rules of `cost_models.arena`.

    The NPU's scratch memory is a tensor at an offset that Vela fixed; around it TFLM plans two small buffers per
    NPU operator, for base addresses and their sizes.

    Source: tensorflow/lite/micro/kernels/ethos_u/ethosu.cc and micro_allocation_info.cc
        (GetOfflinePlannedOffsets), tflite-micro 90b983c2.

    Raises:
        UserError: As `arena`.
    """
    build = find_build(kernels, core)
    return fill(model.graph, build, demands(model.graph, build), fixed=model.offsets)


def _offsets(data: bytes, tensors: int) -> tuple[int, ...]:
    model = Reader(data).root()
    for entry in model.tables(schema.MODEL_METADATA):
        if bytes(entry.numbers(schema.METADATA_NAME, "B")) == _PLAN_NAME:
            return _plan(data, model, entry, tensors)
    return (-1,) * tensors


def _plan(data: bytes, model: Table, entry: Table, tensors: int) -> tuple[int, ...]:
    buffers = model.tables(schema.MODEL_BUFFERS)
    number = entry.integer(schema.METADATA_BUFFER, "I")
    start, size = buffers[number].span(schema.BUFFER_DATA) if number < len(buffers) else (0, 0)
    if size != 4 * (_PLAN_HEADER + tensors):
        raise broken("its memory plan is not one of all its tensors")
    values = struct.unpack_from(f"<{_PLAN_HEADER + tensors}i", data, start)
    offsets = values[_PLAN_HEADER:]
    if values[_PLAN_HEADER - 1] != tensors or any(at < -1 or (at >= 0 and at % _ALIGNMENT) for at in offsets):
        raise broken("its memory plan is not one of all its tensors")
    return offsets
