"""Costs of a front end on a chip: its part of the arena, buffers, model, kernels, and the work of a frame.

Front end and network share an arena. The front end is counted as if it had it alone, the network by what it adds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cost_models.code_size import CodeSizes
from cost_models.costing import CostModel, Costs
from cost_models.target import Target
from cost_models.tflite_graph import read_graph
from nas.model.trained import FrontEndSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndCosts:
    """What a front end takes.

    Attributes:
        arena_bytes: The smallest tensor arena that it runs in by itself. Exact.
        buffer_bytes: Static buffers of the streaming runner: a frame of int16 samples of all channels, and the
            features of a recording.
        model_bytes: Its flatbuffer. Exact.
        code_bytes: Its kernels, beyond the runtime that the network links anyway.
        frame: Work of one frame of all channels: instructions, cycles, latency and energy; None where not known.
        hop_us: From one frame to the next.
    """

    arena_bytes: int
    buffer_bytes: int
    model_bytes: int
    code_bytes: int
    frame: Costs
    hop_us: float

    @property
    def sram_bytes(self) -> int:
        """Arena and buffers."""
        return self.arena_bytes + self.buffer_bytes

    @property
    def flash_bytes(self) -> int:
        """Model and kernels."""
        return self.model_bytes + self.code_bytes

    @property
    def busy_share(self) -> float | None:
        """Share of the chip's time that frames take, one a hop; None where it is not known."""
        latency = self.frame.latency_us
        return None if latency is None or self.frame.at_least else latency / self.hop_us


def cost_model(target: Target, spec: FrontEndSpec | None) -> CostModel:
    """Costs of networks behind a front end: in memory what they add to the front end's; None without one."""
    return CostModel(target, beside=None if spec is None else read_graph(spec.tflite))


def front_end_costs(spec: FrontEndSpec, target: Target) -> FrontEndCosts:
    """Costs of a front end on a target.

    Raises:
        UserError: The size of its kernels on this target is not known.
    """
    graph = read_graph(spec.tflite)
    sizes = CodeSizes(kernels=target.kernels, core=target.core)
    code = sizes.of(op.kind for op in graph.operators).value_bytes - sizes.of(()).value_bytes
    frame = _times(CostModel(target).estimate(graph, file_bytes=len(spec.tflite)), spec.channels)
    return FrontEndCosts(
        arena_bytes=frame.sram_bytes,
        buffer_bytes=2 * spec.window_samples * spec.channels + spec.features,
        model_bytes=len(spec.tflite),
        code_bytes=code,
        frame=frame,
        hop_us=spec.hop_samples / spec.sample_rate * 1e6,
    )


def _times(costs: Costs, channels: int) -> Costs:
    """The work of one graph that runs for each channel; memory is that of one."""

    def each(value: int | None) -> int | None:
        return None if value is None else value * channels

    return replace(
        costs,
        macs=costs.macs * channels,
        instructions=each(costs.instructions),
        cycles=each(costs.cycles),
        cycles_low=each(costs.cycles_low),
        cycles_high=each(costs.cycles_high),
        latency_us=None if costs.latency_us is None else costs.latency_us * channels,
        energy_uj=None if costs.energy_uj is None else costs.energy_uj * channels,
    )
