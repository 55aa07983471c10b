"""Published board measurements, as rates are fitted to them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from cost_models.cycles.boards import Measurement
from cost_models.cycles.shape_rows import graph_of
from cost_models.tflite_graph import read_graph

_MICRONAS = "single operators, cycles by the CPU's counter: tk-king/MicroNas@fa6b6d2b, TFLM of 2022 to 2024"
_EDGEMARK = "Black3rror/EdgeMark@3e7237db, TFLM of 2024 at -O3; MLPerf Tiny v1.0, microTVM with CMSIS-NN"

# The shipped targets that measurements exist for, and what those are.
SOURCES = {
    "nrf52832": f"nRF52832 at 64 MHz, {_MICRONAS}",
    "stm32f446": f"STM32F446RE at 180 MHz, {_MICRONAS}",
    "stm32l4r5": f"STM32L4R5ZI at 120 MHz, whole models: {_EDGEMARK}",
}

# Chips that nobody measured, but whose core, clock and flash are those of one that was: (spread, why).
RELATED = {
    "nrf52832": {
        "nrf52833": (0.06, "taken from the nRF52832, whose core, clock and flash it shares"),
        "nrf52840": (0.06, "taken from the nRF52832, whose core, clock and flash it shares"),
    },
}


def published(target: str, folder: Path, shapes: Path) -> list[Measurement]:
    """What was measured on a shipped target's chip; empty where nothing was.

    Args:
        target: The target's name.
        folder: Calibration folder.
        shapes: Operators of the MLPerf Tiny models (`scripts/mlperf_tiny_operators.csv`).
    """
    readers: dict[str, Callable[[], list[Measurement]]] = {
        "nrf52832": lambda: _single_operators(folder, "nRF52832"),
        "stm32f446": lambda: _single_operators(folder, "F446RE"),
        "stm32l4r5": lambda: [*_edgemark(folder), *_mlperf(folder, shapes)],
    }
    return readers[target]() if target in readers else []


def _single_operators(folder: Path, board: str) -> list[Measurement]:
    measurements: list[Measurement] = []
    with (folder / "published_operators.csv").open(newline="") as lines:
        for index, row in enumerate(csv.DictReader(lines)):
            if board in row["board"]:
                measurements.append(
                    Measurement(
                        model=f"{board}-{index}",
                        graph=graph_of([_named(row)]),
                        cycles=(float(row["op_cycles"]),),
                        group=row["record_date"],
                    )
                )
    return measurements


def _named(row: dict[str, str]) -> dict[str, str]:
    """A published row with the column names of the measured ones."""
    named = {**row, "input_shape": row["input_shape"].split(";")[0]}
    if row["op"] == "CONV_2D":
        named["stride_h"], named["stride_w"] = row["strides"].split("x")
        depth = named["input_shape"].rsplit("x", 1)[1]
        channels = row["output_shape"].rsplit("x", 1)[1]
        named["filter_shape"] = f"{channels}x{row['kernel']}x{depth}"
    return named


def _edgemark(folder: Path) -> list[Measurement]:
    with (folder / "edgemark" / "measured.csv").open(newline="") as lines:
        return [
            Measurement(
                model=row["model"],
                graph=read_graph((folder / "edgemark" / row["model"]).read_bytes()),
                cycles=(float(row["cycles_m4_l4r5zi_o3"]),),
            )
            for row in csv.DictReader(lines)
        ]


def _mlperf(folder: Path, shapes: Path) -> list[Measurement]:
    operators: dict[str, list[dict[str, str]]] = defaultdict(list)
    with shapes.open(newline="") as lines:
        for row in csv.DictReader(lines):
            operators[row["model"]].append(row)
    first: dict[str, float] = {}
    with (folder / "published_models.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["board"] == "NUCLEO-L4R5ZI" and row["model"] in operators:
                first.setdefault(row["model"], float(row["cycles"]))
    return [
        Measurement(model=f"mlperf_tiny_{model}", graph=graph_of(operators[model]), cycles=(cycles,))
        for model, cycles in sorted(first.items())
    ]
