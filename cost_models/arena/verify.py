"""An independent check of a memory plan: it knows nothing of how the plan was made."""

from __future__ import annotations

from collections.abc import Sequence

from cost_models.arena.report import Buffer

ALIGNMENT_BYTES = 16


def verify_plan(buffers: Sequence[Buffer], arena_bytes: int) -> tuple[str, ...]:
    """The faults of a plan; empty when it is valid.

    Args:
        buffers: The plan.
        arena_bytes: Room that it must stay inside.

    Returns:
        One sentence per fault: a buffer off its alignment, outside the arena or with a lifetime that ends before it
        begins, and every pair that shares a byte at the same time.
    """
    faults = []
    for index, buffer in enumerate(buffers):
        if buffer.offset % ALIGNMENT_BYTES or buffer.size % ALIGNMENT_BYTES:
            faults.append(f"Buffer {index} is not aligned to {ALIGNMENT_BYTES} bytes.")
        if buffer.offset < 0 or buffer.size < 0 or buffer.offset + buffer.size > arena_bytes:
            faults.append(f"Buffer {index} is not inside the arena of {arena_bytes} bytes.")
        if buffer.last_use < buffer.first_use:
            faults.append(f"Buffer {index} is last used before it is first used.")
    for index, first in enumerate(buffers):
        for other_index in range(index):
            other = buffers[other_index]
            in_time = first.first_use <= other.last_use and other.first_use <= first.last_use
            in_space = first.offset < other.offset + other.size and other.offset < first.offset + first.size
            if in_time and in_space:
                faults.append(f"Buffers {other_index} and {index} overlap.")
    return tuple(faults)
