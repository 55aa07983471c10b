"""The greedy memory plan of activations and scratch buffers, placed exactly as TFLM places them.

Source: tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc, tflite-micro 90b983c2.
"""

from __future__ import annotations

from collections.abc import Sequence

# Size in bytes, first and last use in time; time 0 is before the first operator, operator i runs at i + 1, and
# what no operator touches is at -1.
Requirement = tuple[int, int, int]


def offsets(requirements: Sequence[Requirement], fixed: Sequence[int] | None = None) -> list[int]:
    """Where TFLM puts each buffer: largest first, each in the first gap between those alive with it.

    Of two equal sizes the later one is placed first.

    Args:
        requirements: The buffers.
        fixed: Where the model itself says that each lies, -1 where it does not; those come first and may overlap.
    """
    order = sorted([(-need[0], -index) for index, need in enumerate(requirements)])
    result = [0] * len(requirements)
    # What is placed so far, by the time at which it is alive: all that a new buffer has to look at. The last list
    # is that of time -1, where tensors are that no operator touches.
    alive: list[list[tuple[int, int]]] = [
        [] for _ in range(max([need[2] for need in requirements], default=-1) + 2)
    ]
    if fixed is not None:
        order = [entry for entry in order if fixed[-entry[1]] < 0]
        for index, offset in enumerate(fixed):
            if offset >= 0:
                size, first, last = requirements[index]
                result[index] = offset
                for time in range(first, last + 1):
                    alive[time].append((offset, offset + size))
    for _, negative in order:
        size, first, last = requirements[-negative]
        offset = 0
        neighbours = alive[first]
        if last > first:
            neighbours = neighbours + alive[first + 1]
            for time in range(first + 2, last + 1):
                neighbours += alive[time]
        if neighbours:
            if len(neighbours) > 1:
                neighbours.sort()
            for start, end in neighbours:
                if start - offset >= size:
                    break
                if end > offset:
                    offset = end
        result[-negative] = offset
        place = (offset, offset + size)
        alive[first].append(place)
        for time in range(first + 1, last + 1):
            alive[time].append(place)
    return result


def head_bytes(requirements: Sequence[Requirement], fixed: Sequence[int] | None = None) -> int:
    """Length of the plan."""
    return max(
        [offset + need[0] for offset, need in zip(offsets(requirements, fixed), requirements)], default=0
    )
