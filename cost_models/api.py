"""Costs from Python: what `nas-cost` prints, as an object."""

from __future__ import annotations

from pathlib import Path

from cost_models.costing import CostModel, Costs
from cost_models.errors import file_faults_said
from cost_models.reading import LARGEST_MODEL_BYTES, read_bounded
from cost_models.target import Target
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph


@file_faults_said()
def cost(model: str | Path | bytes | bytearray | memoryview, target: str | Target = "nrf52840") -> Costs:
    """Costs of a model on a microcontroller under TFLM, before it is flashed.

    Args:
        model: A .tflite file, or its bytes.
        target: Name of a chip or board (`nas-cost --targets` lists them), a TOML file, or a loaded target.

    Returns:
        SRAM (the tensor arena, exact), flash, MACs, and cycles, latency and energy with their intervals where the
        target has figures; else None.

    Raises:
        UserError: The file is not a model that TFLM runs, or the target is unknown.
    """
    if isinstance(model, (str, Path)):
        data = read_bounded(Path(model), LARGEST_MODEL_BYTES)
    else:
        data = bytes(model)
    chip = target if isinstance(target, Target) else load_target(target)
    return CostModel(chip).estimate(read_graph(data), file_bytes=len(data))
