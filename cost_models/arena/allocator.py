"""The tensor arena as TFLM's allocator fills it: what it reports as used, and the smallest that works.

Source: tensorflow/lite/micro micro_allocator.cc, micro_interpreter.cc, micro_allocation_info.cc and
arena_allocator/single_arena_buffer_allocator.cc, tflite-micro 90b983c2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cost_models.arena.build import Build, find_build
from cost_models.arena.planner import Requirement, head_bytes
from cost_models.arena.rules import RULES, Demand, misused_operator, unknown_operator
from cost_models.errors import UserError
from cost_models.graph import ITEM_BYTES, OpGraph

# At the end of the arena, before anything that depends on the model: SingleArenaBufferAllocator 36,
# GreedyMemoryPlanner 44, MicroAllocator 36, built-in data allocator 8, SubgraphAllocations 8.
FIXED_BYTES = 132
EVAL_TENSOR_BYTES = 12
NODE_BYTES = 32
SCRATCH_HANDLE_BYTES = 4
_REQUEST_BYTES = 12
# Requests that TFLM keeps room for beyond those made so far (kMaxScratchBuffersPerOp).
_SPARE_REQUESTS = 12
_ALLOCATION_INFO_BYTES = 24
# What the greedy planner keeps per buffer while it plans.
_PLANNED_BUFFER_BYTES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """The tensor arena of one graph on one TFLM build, in bytes.

    Attributes:
        used_bytes: MicroInterpreter::arena_used_bytes() after AllocateTensors.
        min_bytes: The smallest multiple of 16 with which AllocateTensors and Invoke succeed.
        planned_bytes: The head: activations and scratch buffers, overlaid in time.
        persistent_bytes: The tail: everything that lives as long as the interpreter.
    """

    used_bytes: int
    min_bytes: int
    planned_bytes: int
    persistent_bytes: int


# What a step of AllocateTensors needs: its name, the operator it prepares or -1, bytes of arena.
Need = tuple[str, int, int]


def arena(graph: OpGraph, *, kernels: str, core: str) -> Arena:
    """The arena that a graph takes.

    Args:
        graph: What the chip runs.
        kernels: Kernel library that TFLM is built with, "cmsis_nn" or "reference".
        core: Processor core, such as "cortex-m4".

    Raises:
        UserError: Unknown build, an operator without a rule, or a tensor without a static size.
    """
    build = find_build(kernels, core)
    return fill(graph, build, demands(graph, build))


def demands(graph: OpGraph, build: Build) -> list[Demand]:
    """What each operator's kernel allocates, in execution order.

    Raises:
        UserError: An operator without a rule.
    """
    tensors = graph.tensors
    temps = temporaries(graph, build)
    result = []
    for op in graph.operators:
        rule = RULES.get(op.kind)
        if rule is None:
            raise unknown_operator(op.kind)
        try:
            result.append(rule(op, tensors, temps, build))
        except (IndexError, ValueError):
            raise misused_operator(op) from None
    return result


def temporaries(graph: OpGraph, build: Build) -> list[int]:
    """Bytes of each tensor's TfLiteTensor with its quantization: an array of zero points per scale."""
    bare = build.tensor_bytes
    return [
        bare + 16 + 4 * tensor.scales if tensor.scales and tensor.zero_points else bare
        for tensor in graph.tensors
    ]


def fill(
    graph: OpGraph,
    build: Build,
    kernels: list[Demand],
    needs: list[Need] | None = None,
    fixed: Sequence[int] | None = None,
) -> Arena:
    """AllocateTensors, step by step, with positions counted from both ends of the arena.

    The head grows from the start (requests for scratch buffers, then temporaries), the tail from the end;
    the smallest arena is where the two just do not meet at the worst step.

    Args:
        graph: What the chip runs.
        build: The TFLM binary.
        kernels: What `demands` says.
        needs: Filled with what each step needs, where given.
        fixed: Per tensor, the offset that the model states for it; -1 where TFLM plans it.
    """
    tensors = graph.tensors
    tail = FIXED_BYTES + EVAL_TENSOR_BYTES * len(tensors) + NODE_BYTES * len(kernels)
    for demand in kernels:
        if demand[0]:
            tail = (tail + demand[0] + demand[1] - 1) & -demand[1]
    for demand in kernels:
        for size in demand[2]:
            tail = (tail + size + 15) & -16

    requests = 0
    least = 0
    scratch: list[Requirement] = []
    for time, (_, _, _, persistent, temp, sizes, slack) in enumerate(kernels, start=1):
        for size in persistent:
            tail = (tail + size + 15) & -16
        need = _REQUEST_BYTES * (requests + _SPARE_REQUESTS) + temp + tail
        if -need % 16 <= slack:
            need -= 16
        if need > least:
            least = need
        if needs is not None:
            needs.append(("prepare", time - 1, need))
        for size in sizes:
            requests += 1
            scratch.append(((size + 15) & -16, time, time))

    if requests:
        tail = ((tail + 3) & -4) + SCRATCH_HANDLE_BYTES * requests
    # One offset for the single subgraph, and a record for every tensor and scratch buffer.
    temp = (
        _REQUEST_BYTES * (requests + _SPARE_REQUESTS) + 4 + _ALLOCATION_INFO_BYTES * (len(tensors) + requests)
    )
    for tensor in tensors:
        if tensor.is_variable:
            tail = (tail + tensor.size_bytes + 15) & -16
    planned_tensors, which = activations(graph)
    requirements = planned_tensors + scratch
    need = ((temp + 15) & -16) + _PLANNED_BUFFER_BYTES * len(requirements) + ((tail + 15) & -16)
    if need > least:
        least = need
    if needs is not None:
        needs.append(("plan", -1, need))
    places = None if fixed is None else [*(fixed[index] for index in which), *([-1] * len(scratch))]
    planned = head_bytes(requirements, places)

    quantized = build.tensor_bytes
    for indices in (graph.inputs, graph.outputs):
        tail = (tail + 4 * len(indices) + 15) & -16
        for index in indices:
            tensor = tensors[index]
            tail += quantized + 16 + 4 * tensor.scales if tensor.scales and tensor.zero_points else quantized
    used = planned + tail
    if used > least:
        least = used
    if needs is not None:
        needs.append(("run", -1, used))
    return Arena(used_bytes=used, min_bytes=(least + 15) & -16, planned_bytes=planned, persistent_bytes=tail)


def activations(graph: OpGraph) -> tuple[list[Requirement], list[int]]:
    """Aligned size, first and last use of each tensor that is planned, and the tensors' indices.

    Raises:
        UserError: A tensor without a static size.
    """
    tensors = graph.tensors
    first = [-1] * len(tensors)
    last = [-1] * len(tensors)
    for index in graph.inputs:
        first[index] = last[index] = 0
    time = 0
    for op in graph.operators:
        time += 1
        for index in op.inputs:
            if index >= 0:
                last[index] = time
        for index in op.outputs:
            if first[index] < 0:
                first[index] = time
            last[index] = time
    for index in graph.outputs:
        if first[index] < 0:
            first[index] = time
        last[index] = time
    requirements = []
    indices = []
    for index, tensor in enumerate(tensors):
        if tensor.data_bytes or tensor.is_variable:
            continue
        size = ITEM_BYTES[tensor.dtype]
        for dim in tensor.shape:
            if dim < 0:
                raise UserError(
                    f"Tensor {index} has no static shape.", "Convert the model with a fixed shape."
                )
            size *= dim
        if size:
            requirements.append(((size + 15) & -16, first[index], last[index]))
            indices.append(index)
    return requirements, indices
