"""Two graphs in one arena: an interpreter for each, over one MicroAllocator.

What is kept for good stacks up in the tail, the allocator's own objects once. The head is the larger of the two: an
invocation of either overwrites what the tensors of the other held, inputs and outputs among them.

Source: MicroAllocator::StartModelAllocation and CommitStaticMemoryPlan (max_head_buffer_usage_) of
tensorflow/lite/micro/micro_allocator.cc, tflite-micro 90b983c2.
"""

from __future__ import annotations

from cost_models.arena.allocator import Arena, demands, fill
from cost_models.arena.build import find_build
from cost_models.graph import OpGraph

_ALIGNMENT = 16


class ArenaPartner:
    """A graph that shares its arena with others, such as a front end; what depends on it alone is worked out once.

    Args:
        graph: What the chip runs beside the others.
        kernels: Kernel library that TFLM is built with.
        core: Processor core.

    Attributes:
        alone: The arena that it takes by itself.

    Raises:
        UserError: As `arena`.
    """

    def __init__(self, graph: OpGraph, *, kernels: str, core: str) -> None:
        self._graph = graph
        self._build = find_build(kernels, core)
        self._demands = demands(graph, self._build)
        self.alone = fill(graph, self._build, self._demands)
        self._above: dict[int, Arena] = {}

    def after(self, first: Arena) -> Arena:
        """The arena of both.

        Args:
            first: That of the graph whose AllocateTensors is called first.
        """
        # All alignments divide 16, so that a tail is the same above any other of the same remainder.
        rest = first.persistent_bytes % _ALIGNMENT
        if rest not in self._above:
            self._above[rest] = fill(self._graph, self._build, self._demands, own=rest)
        above, below = self._above[rest], first.persistent_bytes - rest
        planned = max(first.planned_bytes, above.planned_bytes)
        persistent = below + above.persistent_bytes
        used = planned + persistent
        least = max(first.min_bytes, below + above.min_bytes, used)
        return Arena(
            used_bytes=used,
            min_bytes=-(-least // _ALIGNMENT) * _ALIGNMENT,
            planned_bytes=planned,
            persistent_bytes=persistent,
        )

    def added_by(self, first: Arena) -> tuple[int, int]:
        """What another graph adds to the smallest arena, and to what TFLM reports as used."""
        both = self.after(first)
        return both.min_bytes - self.alone.min_bytes, both.used_bytes - self.alone.used_bytes
