"""The arena for people: which buffer lies where and when, what is alive at the peak, what the tail holds."""

from __future__ import annotations

from dataclasses import dataclass

from cost_models.arena.allocator import (
    NODE_BYTES,
    SCRATCH_HANDLE_BYTES,
    Need,
    activations,
    demands,
    fill,
    fixed_bytes,
    operator_times,
    temporaries,
)
from cost_models.arena.build import EVAL_TENSOR_BYTES, find_build
from cost_models.arena.planner import offsets
from cost_models.graph import OpGraph

# Own parts of the recording allocator: 52 + 44 + 124.
_RECORDING_OWN_BYTES = 220


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """One planned buffer; time 0 is before the first operator, operator i runs at time i + 1.

    Time runs on through the subgraphs that an operator calls.

    Attributes:
        offset: From the start of the arena, in bytes.
        size: In bytes, a multiple of 16.
        first_use: Time from which it is alive.
        last_use: Time until which it is alive, inclusive.
        tensor: Index of the tensor it holds, those of other subgraphs counted on; None for scratch.
        operator: Index of the operator whose scratch it is, likewise; None for a tensor.
    """

    offset: int
    size: int
    first_use: int
    last_use: int
    tensor: int | None = None
    operator: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is alive while one operator runs, or at the fullest moment of the subgraphs that it calls.

    Attributes:
        operator: Its index.
        buffers: All that is alive, by offset.
        live_bytes: Their sizes together.
        top_bytes: The end of the highest of them: live bytes and the gaps between them.
    """

    operator: int
    buffers: tuple[Buffer, ...]
    live_bytes: int
    top_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Planned memory over time.

    Attributes:
        steps: One per operator.
        peak: Index into `steps` of the one with most live bytes, the first of several.
        planned_bytes: Length of the plan.
        gap_bytes: What the plan takes beyond the peak's live bytes: fragmentation.
    """

    steps: tuple[Step, ...]
    peak: int
    planned_bytes: int
    gap_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Persistent:
    """What the tail of the arena holds, in bytes; the parts add up to `Arena.persistent_bytes`.

    Attributes:
        fixed_bytes: The allocator's own objects, and the list of resource variables.
        eval_tensor_bytes: A TfLiteEvalTensor per tensor.
        node_bytes: A NodeAndRegistration per operator.
        options_bytes: Parsed operator options.
        operator_bytes: Operator data and what Prepare keeps: multipliers and shifts, kernel sums.
        scratch_handle_bytes: A handle per scratch buffer.
        variable_bytes: State kept between invocations in variable tensors (that in resource variables is a part of
            operator_bytes: the first ASSIGN_VARIABLE takes it).
        io_tensor_bytes: The TfLiteTensor structs of inputs and outputs with their quantization, and lists of them.
        recorded_buffer_bytes: What RecordingMicroAllocator calls persistent buffer data. Not a part of the sum.
    """

    fixed_bytes: int
    eval_tensor_bytes: int
    node_bytes: int
    options_bytes: int
    operator_bytes: int
    scratch_handle_bytes: int
    variable_bytes: int
    io_tensor_bytes: int
    recorded_buffer_bytes: int


def plan(graph: OpGraph, *, kernels: str, core: str) -> tuple[Buffer, ...]:
    """Where TFLM puts every activation and scratch buffer: tensors by index, then scratch by operator.

    Raises:
        UserError: As `arena` does.
    """
    build = find_build(kernels, core)
    scratch = [
        (operator, (size + 15) & -16)
        for operator, demand in enumerate(demands(graph, build))
        for size in demand.scratch
    ]
    requirements, tensors = activations(graph)
    times = operator_times(graph)
    places = offsets([*requirements, *((size, *times[operator]) for operator, size in scratch)])
    buffers = [
        Buffer(offset=offset, size=size, first_use=first, last_use=last, tensor=tensor)
        for offset, (size, first, last), tensor in zip(places, requirements, tensors)
    ]
    buffers += [
        Buffer(
            offset=offset,
            size=size,
            first_use=times[operator][0],
            last_use=times[operator][1],
            operator=operator,
        )
        for offset, (operator, size) in zip(places[len(tensors) :], scratch)
    ]
    return tuple(buffers)


def timeline(graph: OpGraph, *, kernels: str, core: str) -> Timeline:
    """Which tensors and scratch buffers are alive while each operator runs, and at the peak.

    Raises:
        UserError: As `arena` does.
    """
    buffers = sorted(
        plan(graph, kernels=kernels, core=core), key=lambda buffer: (buffer.offset, buffer.first_use)
    )
    steps = []
    times = operator_times(graph)
    for operator in range(len(graph.operators)):
        begin, end = times[operator]
        # One that calls subgraphs has several moments: the one with most alive stands for it.
        alive = max(
            (
                tuple(buffer for buffer in buffers if buffer.first_use <= time <= buffer.last_use)
                for time in range(begin, end + 1)
            ),
            key=lambda moment: sum(buffer.size for buffer in moment),
        )
        steps.append(
            Step(
                operator=operator,
                buffers=alive,
                live_bytes=sum(buffer.size for buffer in alive),
                top_bytes=max((buffer.offset + buffer.size for buffer in alive), default=0),
            )
        )
    planned = max((buffer.offset + buffer.size for buffer in buffers), default=0)
    peak = max(range(len(steps)), key=lambda index: (steps[index].live_bytes, -index), default=0)
    return Timeline(
        steps=tuple(steps),
        peak=peak,
        planned_bytes=planned,
        gap_bytes=planned - (steps[peak].live_bytes if steps else 0),
    )


def needs(graph: OpGraph, *, kernels: str, core: str) -> tuple[Need, ...]:
    """The bytes that each step of AllocateTensors needs; the largest, rounded up to 16, is `Arena.min_bytes`.

    Returns:
        ("prepare", operator, bytes) for each operator, then ("plan", -1, bytes) for the memory planner and
        ("run", -1, bytes) for what is used in the end.

    Raises:
        UserError: As `arena` does.
    """
    build = find_build(kernels, core)
    result: list[Need] = []
    fill(graph, build, demands(graph, build), result)
    return tuple(result)


def persistent(graph: OpGraph, *, kernels: str, core: str) -> Persistent:
    """What the tail of the arena holds.

    Raises:
        UserError: As `arena` does.
    """
    build = find_build(kernels, core)
    wanted = demands(graph, build)
    structs = temporaries(graph, build)
    eval_tensors = EVAL_TENSOR_BYTES * sum(len(part.tensors) for part in graph.subgraphs)
    nodes = NODE_BYTES * len(wanted)

    def walk(start: int) -> tuple[int, int, int, int, int, int]:
        position = start + eval_tensors + nodes
        begin = position
        for demand in wanted:
            size, align = demand.options
            if size:
                position = (position + size + align - 1) & -align
        options = position - begin
        begin = position
        for demand in wanted:
            for size in demand.data:
                position = (position + size + 15) & -16
        for demand in wanted:
            for size in demand.persistent:
                position = (position + size + 15) & -16
        operators = position - begin
        begin = position
        requests = sum(len(demand.scratch) for demand in wanted)
        if requests:
            position = ((position + 3) & -4) + SCRATCH_HANDLE_BYTES * requests
        handles = position - begin
        begin = position
        for part in graph.subgraphs:
            for tensor in part.tensors:
                if tensor.is_variable:
                    position = (position + tensor.size_bytes + 15) & -16
        variables = position - begin
        begin = position
        lists = 0
        for indices in (graph.inputs, graph.outputs):
            before = position
            position = (position + 4 * len(indices) + 15) & -16
            lists += position - before
            position += sum(structs[index] for index in indices)
        return options, operators, handles, variables, position - begin, lists

    options, operators, handles, variables, io_tensors, _ = walk(fixed_bytes(graph))
    _, recorded, _, _, _, lists = walk(fixed_bytes(graph, _RECORDING_OWN_BYTES))
    return Persistent(
        fixed_bytes=fixed_bytes(graph),
        eval_tensor_bytes=eval_tensors,
        node_bytes=nodes,
        options_bytes=options,
        operator_bytes=operators,
        scratch_handle_bytes=handles,
        variable_bytes=variables,
        io_tensor_bytes=io_tensors,
        recorded_buffer_bytes=recorded + lists,
    )
