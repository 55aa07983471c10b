"""Microcontrollers and boards as data: what a `Target` is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cost_models.cores import CoreName

if TYPE_CHECKING:
    from cost_models.cycles.rates import Rates

Kernels = Literal["cmsis_nn", "esp_nn", "reference"]
Accelerator = Literal[
    "ethos-u55-32",
    "ethos-u55-64",
    "ethos-u55-128",
    "ethos-u55-256",
    "ethos-u65-256",
    "ethos-u65-512",
]
# The modes in which the tensor arena is all the SRAM that the NPU uses.
MemoryMode = Literal["Sram_Only", "Shared_Sram"]

WeightsMemory = Literal["flash", "xip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Npu:
    """An Arm Ethos-U beside the core, in the words of its compiler, Vela.

    Attributes:
        accelerator: The NPU and its multiply-accumulates per cycle.
        system_config: Section of Vela's own Arm/vela.ini: clock and memories that its estimates are for.
        memory_mode: What lies in which memory.
        source: Where the three come from.
    """

    accelerator: Accelerator
    system_config: str
    memory_mode: MemoryMode
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A chip or board, each figure with its source.

    Attributes:
        name: The name it is asked for by: its file's stem.
        title: What people call it.
        core: The processor core that runs the network; it decides which kernels are compiled in.
        kernels: The kernel library that TFLM is built with.
        clock_hz: Clock of the core while it infers.
        sram_bytes: All memory that a tensor arena could lie in.
        flash_bytes: All memory that code and model could lie in.
        reserved_sram_bytes: What stack, drivers and static data keep of the SRAM.
        reserved_flash_bytes: What boot loader, start-up code and drivers keep of the flash.
        rates: Calibrated cycle rates of the chip; None where nobody measured it.
        class_rates: Rates of its core's class, where it has none of its own; None where the core has none either.
        energy_uj_per_mcycle: Energy of a million cycles of inference; None where no source exists.
        sleep_current_ua: Current between inferences with all RAM retained and a timer to wake it; None where no source
            exists.
        supply_volts: The supply that the energy figure holds for; None where it does not say.
        weights_memory: Where code and weights lie while the network runs: on-chip "flash" (or MRAM, or RAM), or "xip",
            external flash executed in place. It decides what a core's class adds for fetching weights.
        npu: The NPU that chosen models are compiled for; costs are those of the core alone all the same.
        sources: Where each figure comes from, by the figure's name.
    """

    name: str
    title: str
    core: CoreName
    kernels: Kernels
    clock_hz: int
    sram_bytes: int
    flash_bytes: int
    reserved_sram_bytes: int = 0
    reserved_flash_bytes: int = 0
    rates: Rates | None = None
    class_rates: Rates | None = None
    energy_uj_per_mcycle: float | None = None
    sleep_current_ua: float | None = None
    supply_volts: float | None = None
    npu: Npu | None = None
    weights_memory: WeightsMemory = "flash"
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def cycle_rates(self) -> Rates | None:
        """The rates that predict cycles, latency and energy: the target's own, or those of the core's class.

        None where no board of that core was measured and none is like it: no cycles, latency or energy.
        """
        return self.rates if self.rates is not None else self.class_rates

    @property
    def usable_sram_bytes(self) -> int:
        """SRAM left for the tensor arena."""
        return self.sram_bytes - self.reserved_sram_bytes

    @property
    def usable_flash_bytes(self) -> int:
        """Flash left for model, kernels and runtime."""
        return self.flash_bytes - self.reserved_flash_bytes
