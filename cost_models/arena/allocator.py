"""The tensor arena as TFLM's allocator fills it: what it reports as used, and the smallest that works.

Source: tensorflow/lite/micro micro_allocator.cc, micro_interpreter.cc, micro_allocation_info.cc and
arena_allocator/single_arena_buffer_allocator.cc, tflite-micro 90b983c2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cost_models.arena.build import EVAL_TENSOR_BYTES, Build, find_build
from cost_models.arena.demand import Demand
from cost_models.arena.moving_rules import first_assignment
from cost_models.arena.planner import Requirement, head_bytes
from cost_models.arena.rules import RULES, misused_operator, unknown_operator
from cost_models.errors import UserError
from cost_models.graph import ITEM_BYTES, KernelOptions, OpGraph
from cost_models.tflite_schema import CALLED_SUBGRAPHS, VAR_HANDLE

# At the end of the arena, before anything that depends on the model: SingleArenaBufferAllocator 36,
# GreedyMemoryPlanner 44, MicroAllocator 36.
_OWN_BYTES = 116
# Built-in data allocator, and SubgraphAllocations for each subgraph.
_BUILTIN_BYTES = 8
_SUBGRAPH_BYTES = 8
# MicroResourceVariables, and each variable's entry.
_RESOURCES_BYTES = 12
_RESOURCE_BYTES = 20
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
    """The demands of each operator's kernel, in execution order.

    Raises:
        UserError: An operator without a rule.
    """
    result = []
    held: set[int] = set()
    for part in graph.subgraphs:
        tensors = part.tensors
        temps = temporaries(part, build)
        handles: dict[int, int] = {}
        for op in part.operators:
            rule = RULES.get(op.kind)
            if rule is None:
                raise unknown_operator(op.kind)
            if op.kind == VAR_HANDLE and isinstance(op.options, KernelOptions):
                handles[op.outputs[0]] = op.options["resource"]
            elif op.kind == "ASSIGN_VARIABLE" and handles.get(op.inputs[0], -1) not in (-1, *held):
                held.add(handles[op.inputs[0]])
                rule = first_assignment
            try:
                result.append(rule(op, tensors, temps, build))
            except (IndexError, ValueError):
                raise misused_operator(op) from None
    return result


def resources(graph: OpGraph) -> int:
    """How many resource variables a model has."""
    return len(
        {
            op.options["resource"]
            for part in graph.subgraphs
            for op in part.operators
            if op.kind == VAR_HANDLE and isinstance(op.options, KernelOptions)
        }
    )


def fixed_bytes(graph: OpGraph, own: int = _OWN_BYTES) -> int:
    """Bytes at the end of the arena before tensors and operators.

    A model with resource variables needs MicroResourceVariables: made in the same arena, before the interpreter, for
    as many variables as there are.
    """
    count = resources(graph)
    if count:
        own = (own + _RESOURCES_BYTES + 15) & -16
        own = (own + _RESOURCE_BYTES * count + 15) & -16
    return own + _BUILTIN_BYTES + _SUBGRAPH_BYTES * (1 + len(graph.others))


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
    own: int = _OWN_BYTES,
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
        own: What stands at the end of the arena before anything of this graph.
    """
    parts = graph.subgraphs
    count = sum([len(part.tensors) for part in parts])
    tail = fixed_bytes(graph, own) + EVAL_TENSOR_BYTES * count + NODE_BYTES * len(kernels)
    for demand in kernels:
        size, align = demand.options
        if size:
            tail = (tail + size + align - 1) & -align
    for demand in kernels:
        for size in demand.data:
            tail = (tail + size + 15) & -16

    requests = 0
    least = 0
    scratch: list[Requirement] = []
    times = operator_times(graph)
    for index, (_, _, persistent, temp, sizes, slack) in enumerate(kernels):
        if slack < -1:
            least = max(least, _REQUEST_BYTES * (requests + _SPARE_REQUESTS) + temp + tail)
            temp += slack + 1
        for size in persistent:
            tail = (tail + size + 15) & -16
        need = _REQUEST_BYTES * (requests + _SPARE_REQUESTS) + temp + tail
        if -need % 16 <= slack:
            need -= 16
        if need > least:
            least = need
        if needs is not None:
            needs.append(("prepare", index, need))
        for size in sizes:
            requests += 1
            begin, end = times[index]
            if begin < 0:
                raise UserError(
                    "TFLM sizes a scratch buffer in a subgraph that nothing calls from an uninitialized value, so it"
                    " cannot be predicted.",
                    "Convert the model without the functions that it does not run.",
                )
            scratch.append(((size + 15) & -16, begin, end))

    if requests:
        tail = ((tail + 3) & -4) + SCRATCH_HANDLE_BYTES * requests
    # An offset for each subgraph, and a record for every tensor and scratch buffer.
    temp = (
        _REQUEST_BYTES * (requests + _SPARE_REQUESTS)
        + 4 * len(parts)
        + _ALLOCATION_INFO_BYTES * (count + requests)
    )
    for part in parts:
        for tensor in part.tensors:
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

    tensors = graph.tensors
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


_Times = list[tuple[int, int]]


def operator_times(graph: OpGraph) -> _Times:
    """First and last time of each operator, those of all subgraphs in the order of the file; -1 if nothing calls it."""
    if not graph.others:
        return [(time, time) for time in range(1, len(graph.operators) + 1)]
    return _schedule(graph)[2]


def _schedule(graph: OpGraph) -> tuple[list[int], list[int], _Times]:
    """First and last use of each tensor of all subgraphs, and the times of the operators; -1 where nothing calls.

    A subgraph runs within the operator that calls it, and time goes on through it.
    """
    parts = graph.subgraphs
    starts = [0]
    begins = [0]
    for part in parts:
        starts.append(starts[-1] + len(part.tensors))
        begins.append(begins[-1] + len(part.operators))
    first = [-1] * starts[-1]
    last = [-1] * starts[-1]
    times = [(-1, -1)] * begins[-1]
    now = 0

    def use(number: int, indices: tuple[int, ...], *, made: bool) -> None:
        for index in indices:
            if index < 0:
                continue
            place = starts[number] + index
            if made and first[place] < 0:
                first[place] = now
            last[place] = now

    def run(number: int) -> None:
        nonlocal now
        part = parts[number]
        use(number, part.inputs, made=True)
        for at, op in enumerate(part.operators, start=begins[number]):
            now += 1
            use(number, op.outputs, made=True)
            begin = now if times[at][0] < 0 else times[at][0]
            for name in CALLED_SUBGRAPHS.get(op.kind, ()):
                now += 1
                assert isinstance(op.options, KernelOptions)
                run(op.options[name])
            use(number, op.inputs, made=False)
            use(number, op.outputs, made=False)
            times[at] = (begin, now)
        use(number, part.outputs, made=True)

    run(0)
    return first, last, times


def activations(graph: OpGraph) -> tuple[list[Requirement], list[int]]:
    """Aligned size, first and last use of each tensor that is planned, and the tensors' indices.

    Tensors of other subgraphs are numbered on from those of the first.

    Raises:
        UserError: A tensor without a static size.
    """
    first, last = _uses(graph) if not graph.others else _schedule(graph)[:2]
    requirements = []
    indices = []
    start = 0
    for part in graph.subgraphs:
        # What a VAR_HANDLE makes is a number that it keeps itself.
        handles = {op.outputs[0] for op in part.operators if op.kind == VAR_HANDLE}
        for index, tensor in enumerate(part.tensors, start=start):
            if tensor.data_bytes or tensor.is_variable or (handles and index - start in handles):
                continue
            size = ITEM_BYTES[tensor.dtype]
            for dim in tensor.shape:
                if dim < 0:
                    raise UserError(
                        f"Tensor {index - start} has no static shape.",
                        "Convert the model with a fixed shape.",
                    )
                size *= dim
            if size:
                requirements.append(((size + 15) & -16, first[index], last[index]))
                indices.append(index)
        start += len(part.tensors)
    return requirements, indices


def _uses(graph: OpGraph) -> tuple[list[int], list[int]]:
    """First and last use of each tensor of a model of one subgraph."""
    first = [-1] * len(graph.tensors)
    last = [-1] * len(graph.tensors)
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
    return first, last
