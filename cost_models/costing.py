"""All costs of one graph on one target: the fast path that a search takes, and the long form for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from cost_models.arena import (
    CMSIS_NN_VERSION,
    ESP_NN_VERSION,
    ESP_TFLITE_MICRO_VERSION,
    TFLM_VERSION,
    ArenaPartner,
    arena,
)
from cost_models.code_size import CodeSizes, registrations
from cost_models.cycles import Work, WorkBasis, predict
from cost_models.cycles.model import OperatorWork
from cost_models.cycles.rates import Basis
from cost_models.errors import UserError
from cost_models.graph import OpGraph, macs
from cost_models.kernel_faults import kernel_faults
from cost_models.model_bytes import model_bytes
from cost_models.target import Target

# How the bases of cycle rates are said: see `cost_models.cycles.rates.Basis`.
_BASES = {
    "measured": "calibrated, with its 90 % interval",
    "class": "by the class of its core, with a 90 % interval for any board of it",
    "bound": "by its core's pipeline, no board of which was measured, with a 90 % interval",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The costs of a network on a target; None where the target has no calibration.

    Attributes:
        ops: Number of operators.
        macs: Multiply-accumulates, padding counted as work.
        sram_bytes: The smallest tensor arena with which AllocateTensors and Invoke succeed, or what the network adds
            to that of a front end, with which it shares the arena. Exact.
        arena_used_bytes: What TFLM reports as used after AllocateTensors, likewise. Exact.
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
        uncounted: Operator kinds of which nobody knows what they take: instructions, cycles, latency and energy are
            those of all others, at least so much, and have no upper end.
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
    uncounted: tuple[str, ...] = ()

    def plus(self, taken: Mapping[str, float]) -> Costs:
        """These costs and those of something beside the network; what is not known stays so.

        Args:
            taken: By field.
        """
        known = {name: (getattr(self, name), more) for name, more in taken.items()}
        return replace(
            self, **{name: value + more for name, (value, more) in known.items() if value is not None}
        )

    @property
    def at_least(self) -> bool:
        """Whether instructions, cycles, latency and energy leave operators out."""
        return bool(self.uncounted)

    @property
    def latency_low_us(self) -> float | None:
        """Lower end of the 90 % interval of `latency_us`."""
        return self._scaled(self.latency_us, self.cycles_low)

    @property
    def latency_high_us(self) -> float | None:
        """Upper end of it."""
        return self._scaled(self.latency_us, self.cycles_high)

    @property
    def energy_high_uj(self) -> float | None:
        """Upper end of `energy_uj`, as far as the cycles go."""
        return self._scaled(self.energy_uj, self.cycles_high)

    def _scaled(self, value: float | None, end: int | None) -> float | None:
        if self.at_least and end is None:
            return None
        if value is None or end is None or not self.cycles:
            return value
        return value * end / self.cycles

    @property
    def flash_low_bytes(self) -> int:
        """Lower end of what `flash_bytes` may be."""
        return self.model_bytes + self.code_low_bytes

    @property
    def flash_high_bytes(self) -> int:
        """Upper end of what `flash_bytes` may be."""
        return self.model_bytes + self.code_high_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCost:
    """The part of one operator; None where the target has no calibration.

    Attributes:
        index: Its place in execution order.
        kind: Its name in the TFLite schema.
        macs: Multiply-accumulates.
        instructions: Executed by one call.
        cycles: Of one call.
        basis: "counted"; "priced" where cycles follow from published times and nobody counted instructions; "interval"
            where it is bounded by its elements alone; "none" where nothing is known.
    """

    index: int
    kind: str
    macs: int
    instructions: int | None
    cycles: int | None
    basis: WorkBasis | Literal["priced"] = "counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The long form of an estimate.

    Attributes:
        costs: The whole.
        operators: The parts; MACs, instructions and cycles add up to the whole's.
        bounded: Operator kinds whose instructions nobody counted on this core, and that are bounded by their elements.
        faults: What goes wrong with it in the target's kernels, see `kernel_faults`.
    """

    costs: Costs
    operators: tuple[OperatorCost, ...]
    bounded: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Operator kinds that the costs leave out, see `Costs.uncounted`."""
        return self.costs.uncounted


class CostModel:
    """Costs of graphs on one target; what depends on the target alone is worked out once.

    Args:
        target: The chip or board.
        beside: A graph with which networks share the arena, such as a front end: their memory is what they add to its
            own, and all else is theirs alone.
    """

    def __init__(self, target: Target, *, beside: OpGraph | None = None) -> None:
        self.target = target
        self._partner = (
            None if beside is None else ArenaPartner(beside, kernels=target.kernels, core=target.core)
        )
        self._rates = target.cycle_rates
        self._code_sizes = CodeSizes(kernels=target.kernels, core=target.core)

    @property
    def basis(self) -> Basis | None:
        """The basis of cycles, latency and energy: measured, class or bound; None where they are not known."""
        return None if self._rates is None else self._rates.basis

    def bases(self) -> dict[str, str]:
        """The basis of each number in words: exact, calibrated, or not known."""
        target = self.target
        build = f"TFLM {TFLM_VERSION}"
        if target.kernels == "cmsis_nn":
            build += f" with CMSIS-NN {CMSIS_NN_VERSION}"
        elif target.kernels == "esp_nn":
            build += f" in esp-tflite-micro {ESP_TFLITE_MICRO_VERSION} with ESP-NN {ESP_NN_VERSION}"
        rates = self._rates
        cycles = "not known: this target has no calibration"
        energy = cycles
        if rates is not None:
            cycles = f"{_BASES[rates.basis]}: {rates.source}"
            if target.npu is not None:
                cycles = f"of the core alone, without {target.npu.accelerator}; {cycles}"
            energy = "not known: this target has no sourced figure"
        if rates is not None and target.energy_uj_per_mcycle is not None:
            figure = f"{target.energy_uj_per_mcycle:g} uJ per million cycles"
            source = target.sources.get("energy_uj_per_mcycle", "no source given")
            energy = f"cycles times {figure}: {source}"
        return {
            "sram_bytes": f"exact for {build} on {target.core}",
            "model_bytes": "exact",
            "flash_bytes": self._code_sizes.basis,
            "cycles": cycles,
            "energy_uj": energy,
        }

    def estimate(self, graph: OpGraph, *, file_bytes: int | None = None) -> Costs:
        """All costs of a graph.

        Args:
            graph: What the chip runs.
            file_bytes: Length of the file that holds it, where it is not a lean one.

        Raises:
            UserError: An operator has no rule on this target.
        """
        return self._costs(graph, self._work(graph), file_bytes)

    def explain(self, graph: OpGraph, *, file_bytes: int | None = None) -> Explanation:
        """An estimate with its parts; the costs are those of `estimate`.

        Raises:
            UserError: An operator has no rule on this target.
        """
        work = self._work(graph)
        costs = self._costs(graph, work, file_bytes)
        parts = work.operators()
        instructions = _whole([part.instructions for part in parts])
        cycles = _whole([part.cycles for part in parts])
        operators = tuple(
            OperatorCost(
                index=index,
                kind=op.kind,
                macs=macs(op, graph.tensors),
                instructions=instructions[index] if parts else None,
                cycles=cycles[index] if parts else None,
                basis=_basis_of(parts[index]) if parts else "none",
            )
            for index, op in enumerate(graph.operators)
        )
        return Explanation(
            costs=costs,
            operators=operators,
            bounded=work.bounded_kinds,
            faults=kernel_faults(graph, self.target),
        )

    def _work(self, graph: OpGraph) -> Work:
        target = self.target
        return predict(graph, kernels=target.kernels, core=target.core, rates=self._rates)

    def _costs(self, graph: OpGraph, work: Work, file_bytes: int | None) -> Costs:
        target = self.target
        memory = arena(graph, kernels=target.kernels, core=target.core)
        arena_bytes, used_bytes = memory.min_bytes, memory.used_bytes
        if self._partner is not None:
            arena_bytes, used_bytes = self._partner.added_by(memory)
        size = model_bytes(graph) if file_bytes is None else file_bytes
        code = self._code_sizes.of(registrations(graph))
        tensors = graph.tensors
        cycles, energy = work.cycles, target.energy_uj_per_mcycle
        costs = Costs(
            ops=len(graph.operators),
            macs=sum([macs(op, tensors) for op in graph.operators]),
            sram_bytes=arena_bytes,
            arena_used_bytes=used_bytes,
            flash_bytes=size + code.value_bytes,
            model_bytes=size,
            code_bytes=code.value_bytes,
            code_low_bytes=code.low_bytes,
            code_high_bytes=code.high_bytes,
            instructions=None if work.instructions is None else round(work.instructions),
            cycles=None if cycles is None else round(cycles),
            cycles_low=None if work.cycles_low is None else math.floor(work.cycles_low),
            cycles_high=None if work.cycles_high is None else math.ceil(work.cycles_high),
            latency_us=None if cycles is None else cycles / target.clock_hz * 1e6,
            energy_uj=None if cycles is None or energy is None else cycles * 1e-6 * energy,
            uncounted=work.unknown_kinds,
        )
        _check_costs(costs)
        return costs


def _check_costs(costs: Costs) -> None:
    """No cost is ever negative or without bound; one that is would "fit" every budget.

    Raises:
        UserError: A rule went wrong on a graph that the checks let through.
    """
    known = (costs.instructions or 0, costs.cycles_low or 0, costs.cycles or 0, costs.cycles_high or 0)
    least = min(costs.macs, costs.sram_bytes, costs.model_bytes, costs.code_bytes, *known)
    if least < 0 or not math.isfinite(sum(known)):
        raise UserError(
            "The costs of this model cannot be computed: a figure came out negative or without bound.",
            "Please report the model, and do not rely on its other costs.",
        )


def estimate(graph: OpGraph, target: Target) -> Costs:
    """All costs of one graph; for many graphs on a target keep a `CostModel`."""
    return CostModel(target).estimate(graph)


def explain(graph: OpGraph, target: Target) -> Explanation:
    """The costs of one graph with their parts; for many graphs on a target keep a `CostModel`."""
    return CostModel(target).explain(graph)


def _basis_of(part: OperatorWork) -> WorkBasis | Literal["priced"]:
    return "priced" if part.basis == "counted" and part.instructions is None else part.basis


def _whole(parts: list[float | None]) -> list[int | None]:
    """Rounds numbers so that they still add up: the rounded sums' differences; what is not known stays None."""
    done = 0
    total = 0.0
    rounded: list[int | None] = []
    for part in parts:
        if part is None:
            rounded.append(None)
            continue
        total += part
        rounded.append(round(total) - done)
        done = round(total)
    return rounded
