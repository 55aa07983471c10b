"""The tensor arena over time, for a terminal: a bar for each operator, what lives at the peak, what the rest holds."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from cost_models.arena import Step, Timeline, arena, persistent, timeline
from cost_models.graph import OpGraph
from cost_models.target import Target

_NARROWEST, _WIDEST, _PIPE = 40, 120, 100
# Activations, scratch of kernels, gaps below the highest buffer: for a terminal, and for one without such characters.
_BLOCKS, _ASCII = "█▒·", "#+."


def peak_text(graph: OpGraph, target: Target) -> str:
    """The operator at which most planned memory is in use, and what lies there."""
    memory = timeline(graph, kernels=target.kernels, core=target.core)
    return "\n".join(_peak_lines(graph, memory))


def timeline_text(path: str, graph: OpGraph, target: Target, *, width: int | None = None) -> str:
    """The arena of a model, operator by operator.

    Args:
        path: What the model is called.
        graph: The model.
        target: The chip.
        width: Columns, taken as 40 to 120; None for those of the terminal, 100 for a pipe.
    """
    wide = shutil.get_terminal_size(fallback=(_PIPE, 24)).columns if width is None else width
    wide = min(max(wide, _NARROWEST), _WIDEST)
    memory = timeline(graph, kernels=target.kernels, core=target.core)
    lines = [f"{path} on {target.name}: the tensor arena, operator by operator"]
    lines += _bars(graph, memory, wide)
    lines += [*_peak_lines(graph, memory)[:-1], "", *_parts(graph, target, memory)]
    return "\n".join(part for line in lines for part in (_folded(line, wide) or [""]))


def timeline_json(graph: OpGraph, target: Target) -> dict[str, Any]:
    """The same for machines: `nas-cost --timeline --json`; all in bytes."""
    memory = timeline(graph, kernels=target.kernels, core=target.core)
    whole = arena(graph, kernels=target.kernels, core=target.core)
    kept = persistent(graph, kernels=target.kernels, core=target.core)
    return {
        "peak_operator": memory.peak,
        "head_bytes": memory.planned_bytes,
        "head_gap_bytes": memory.gap_bytes,
        "persistent_bytes": whole.persistent_bytes,
        "setup_bytes": whole.min_bytes - whole.planned_bytes - whole.persistent_bytes,
        "persistent": {
            name: getattr(kept, name) for name in kept.__slots__ if name != "recorded_buffer_bytes"
        },
        "steps": [
            {
                "operator": step.operator,
                "op": graph.operators[step.operator].kind,
                "live_bytes": step.live_bytes,
                "top_bytes": step.top_bytes,
                "live": [
                    {"offset": buffer.offset, "bytes": buffer.size, "tensor": buffer.tensor}
                    | ({} if buffer.operator is None else {"scratch_of": buffer.operator})
                    for buffer in step.buffers
                ],
            }
            for step in memory.steps
        ],
    }


def _bars(graph: OpGraph, memory: Timeline, width: int) -> list[str]:
    """A bar for each operator on the scale of the whole head."""
    kinds = [op.kind for op in graph.operators]
    index_width = len(str(max(len(kinds) - 1, 0)))
    size_width = max(len("live B"), len(f"{memory.planned_bytes:,}"))
    kind_width = min(max(map(len, kinds), default=0), max(8, width // 5))
    room = width - index_width - kind_width - size_width - 3 - len(" <peak")
    marks = _marks()
    head = f"{memory.planned_bytes:,} B"
    scale = f"0{head:>{room - 1}}" if room > len(head) + 1 else ""
    lines = [f"{'#':>{index_width}} {'operator':<{kind_width}} {'live B':>{size_width}} {scale}"]
    for step, kind in zip(memory.steps, kinds):
        bar = _bar(step, memory.planned_bytes, room, marks)
        peak = " <peak" if step.operator == memory.peak else ""
        cut = kind if len(kind) <= kind_width else f"{kind[: kind_width - 1]}~"
        lines.append(
            f"{step.operator:>{index_width}} {cut:<{kind_width}} {step.live_bytes:>{size_width},} {bar}{peak}".rstrip()
        )
    said = f"{marks[0]} activations"
    if any(buffer.tensor is None for step in memory.steps for buffer in step.buffers):
        said += f", {marks[1]} scratch of kernels"
    if any(step.top_bytes > step.live_bytes for step in memory.steps):
        said += f", {marks[2]} gap below a live buffer"
    return [*lines, said, ""]


def _bar(step: Step, planned: int, room: int, marks: str) -> str:
    """Live activations, scratch and gaps, one after the other; what is there at all has a column."""
    scratch = sum(buffer.size for buffer in step.buffers if buffer.tensor is None)
    parts = (step.live_bytes - scratch, scratch, step.top_bytes - step.live_bytes)
    bar = ""
    reached = 0
    for size, mark in zip(parts, marks):
        reached += size
        end = round(room * reached / planned) if planned else 0
        bar += mark * (max(1, end - len(bar)) if size else 0)
    return bar[:room]


def _marks() -> str:
    try:
        _BLOCKS.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return _BLOCKS


def _peak_lines(graph: OpGraph, memory: Timeline) -> list[str]:
    if not memory.steps:
        return ["There is no operator, and nothing planned."]
    peak = memory.steps[memory.peak]
    at = graph.operators[peak.operator]
    lines = [
        f"Peak at operator {peak.operator} ({at.kind}): {peak.live_bytes:,} B of activations and scratch alive"
    ]
    for buffer in peak.buffers:
        if buffer.tensor is None:
            what = f"scratch of operator {buffer.operator}"
        else:
            index = buffer.tensor
            tensors = [tensor for part in graph.subgraphs for tensor in part.tensors]
            shape = "x".join(map(str, tensors[index].shape))
            role = (
                "its input"
                if index in at.inputs
                else "its output"
                if index in at.outputs
                else "kept for later"
                if index < len(graph.tensors)
                else "of a subgraph that it calls"
            )
            what = f"tensor {index} ({shape}), {role}"
        lines.append(f"  {buffer.size:>9,} B  {what}")
    lines.append(
        f"The plan is {memory.planned_bytes:,} B long, {memory.gap_bytes:,} B of them gaps; the rest of the SRAM"
        " is what the interpreter itself keeps."
    )
    return lines


def _parts(graph: OpGraph, target: Target, memory: Timeline) -> Sequence[str]:
    """The arena's parts, which add up to its size."""
    whole = arena(graph, kernels=target.kernels, core=target.core)
    kept = persistent(graph, kernels=target.kernels, core=target.core)
    setup = whole.min_bytes - whole.planned_bytes - whole.persistent_bytes
    gaps = f"{memory.gap_bytes:,} B beyond the peak: gaps" if memory.gap_bytes else "no gaps"
    rows = [
        ("allocator", kept.fixed_bytes),
        ("tensors", kept.eval_tensor_bytes),
        ("nodes", kept.node_bytes),
        ("operator options", kept.options_bytes),
        ("operator data, multipliers and shifts", kept.operator_bytes),
        ("scratch handles", kept.scratch_handle_bytes),
        ("variables", kept.variable_bytes),
        ("inputs and outputs", kept.io_tensor_bytes),
    ]
    return [
        f"Tensor arena: {whole.min_bytes:,} B",
        f"  {memory.planned_bytes:>9,} B  head: activations and scratch as planned ({gaps})",
        f"  {whole.persistent_bytes:>9,} B  persistent part, kept as long as the interpreter:",
        *(f"      {size:>9,} B  {name}" for name, size in rows if size),
        f"  {setup:>9,} B  set-up: what AllocateTensors needs for a while, and alignment",
    ]


def _folded(line: str, width: int) -> list[str]:
    """A line broken between words; what follows it stands below the text, not below its number."""
    indent = len(line) - len(line.lstrip())
    hang = line.index(" B  ") + 4 if indent and " B  " in line else indent
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * hang,
        drop_whitespace=True,
        break_long_words=False,
        break_on_hyphens=False,
    )
