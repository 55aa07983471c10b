"""SRAM: the tensor arena that TFLM fills on a 32-bit chip, to the byte."""

from cost_models.arena.allocator import Arena, arena
from cost_models.arena.build import (
    CMSIS_NN_VERSION,
    ESP_NN_VERSION,
    ESP_TFLITE_MICRO_VERSION,
    KERNELS,
    TFLM_VERSION,
)
from cost_models.arena.report import Buffer, Persistent, Step, Timeline, needs, persistent, plan, timeline
from cost_models.arena.sharing import ArenaPartner
from cost_models.arena.verify import verify_plan

__all__ = [
    "CMSIS_NN_VERSION",
    "ESP_NN_VERSION",
    "ESP_TFLITE_MICRO_VERSION",
    "KERNELS",
    "TFLM_VERSION",
    "Arena",
    "ArenaPartner",
    "Buffer",
    "Persistent",
    "Step",
    "Timeline",
    "arena",
    "needs",
    "persistent",
    "plan",
    "timeline",
    "verify_plan",
]
