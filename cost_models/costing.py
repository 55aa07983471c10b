"""All costs of one graph on one target: the fast path that a search takes, and the long form for people."""

from __future__ import annotations

from dataclasses import dataclass

from cost_models.arena import arena
from cost_models.code_size import CodeSizes
from cost_models.graph import OpGraph, macs
from cost_models.model_bytes import model_bytes
from cost_models.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a network costs on a target; None where the target has no calibration.

    Attributes:
        ops: Number of operators.
        macs: Multiply-accumulates, padding counted as work.
        sram_bytes: The smallest tensor arena with which AllocateTensors and Invoke succeed. Exact.
        arena_used_bytes: What TFLM reports as used after AllocateTensors. Exact.
        flash_bytes: Model, kernels and runtime.
        model_bytes: Length of the flatbuffer. Exact.
        code_bytes: Linked code and constants of runtime and kernels, without the model.
        code_low_bytes: Lower end of what `code_bytes` may be.
        code_high_bytes: Upper end of it.
        instructions: Executed by one inference.
        cycles: Of one inference.
        cycles_low: Lower end of the 90 % interval of `cycles`.
        cycles_high: Upper end of it.
        latency_us: Of one inference.
        energy_uj: Of one inference.
    """

    ops: int
    macs: int
    sram_bytes: int
    arena_used_bytes: int
    flash_bytes: int
    model_bytes: int
    code_bytes: int
    code_low_bytes: int
    code_high_bytes: int
    instructions: int | None
    cycles: int | None
    cycles_low: int | None
    cycles_high: int | None
    latency_us: float | None
    energy_uj: float | None


class CostModel:
    """Costs of graphs on one target; what depends on the target alone is worked out once.

    Args:
        target: The chip or board.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._code_sizes = CodeSizes(kernels=target.kernels, core=target.core)

    def estimate(self, graph: OpGraph, *, file_bytes: int | None = None) -> Costs:
        """All costs of a graph.

        Args:
            graph: What the chip runs.
            file_bytes: Length of the file that holds it, where it is not a lean one.

        Raises:
            UserError: An operator has no rule on this target.
        """
        target = self.target
        memory = arena(graph, kernels=target.kernels, core=target.core)
        size = model_bytes(graph) if file_bytes is None else file_bytes
        code = self._code_sizes.of(graph.kinds())
        tensors = graph.tensors
        return Costs(
            ops=len(graph.operators),
            macs=sum([macs(op, tensors) for op in graph.operators]),
            sram_bytes=memory.min_bytes,
            arena_used_bytes=memory.used_bytes,
            flash_bytes=size + code.value_bytes,
            model_bytes=size,
            code_bytes=code.value_bytes,
            code_low_bytes=code.low_bytes,
            code_high_bytes=code.high_bytes,
            instructions=None,
            cycles=None,
            cycles_low=None,
            cycles_high=None,
            latency_us=None,
            energy_uj=None,
        )


def estimate(graph: OpGraph, target: Target) -> Costs:
    """All costs of one graph; for many graphs on a target keep a `CostModel`."""
    return CostModel(target).estimate(graph)
