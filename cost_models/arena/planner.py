"""The greedy memory plan of activations and scratch buffers, placed exactly as TFLM places them.

Source: tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc, tflite-micro 90b983c2.
"""

from __future__ import annotations

from collections.abc import Sequence

# Size in bytes, first and last use in time; time 0 is before the first operator, operator i runs at i + 1.
Requirement = tuple[int, int, int]


def offsets(requirements: Sequence[Requirement]) -> list[int]:
    """Where TFLM puts each buffer: largest first, each in the first gap between those alive with it.

    Of two equal sizes the later one is placed first.
    """
    order = sorted(range(len(requirements)), key=lambda index: (-requirements[index][0], -index))
    result = [0] * len(requirements)
    end_time = max((requirement[2] for requirement in requirements), default=-1) + 1
    # What is placed so far, by the time at which it is alive: all that a new buffer has to look at.
    alive: list[list[tuple[int, int]]] = [[] for _ in range(end_time)]
    for index in order:
        size, first, last = requirements[index]
        offset = 0
        if first == last:
            neighbours = alive[first]
        else:
            neighbours = [place for time in range(first, last + 1) for place in alive[time]]
        if neighbours:
            neighbours.sort()
            for start, end in neighbours:
                if start - offset >= size:
                    break
                if end > offset:
                    offset = end
        result[index] = offset
        place = (offset, offset + size)
        for time in range(first, last + 1):
            alive[time].append(place)
    return result


def head_bytes(requirements: Sequence[Requirement]) -> int:
    """Length of the plan."""
    return max((offset + need[0] for offset, need in zip(offsets(requirements), requirements)), default=0)
