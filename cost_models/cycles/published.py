"""Published board measurements, as rates are fitted to them."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from cost_models.cycles.boards import SMALLEST_CYCLES, Measurement
from cost_models.cycles.kernel_table import graph_of
from cost_models.graph import OpGraph
from cost_models.tflite_graph import read_graph

_MICRONAS_RELEASE = "tk-king/MicroNas@fa6b6d2b, TFLM of 2022 to 2024"
_MICRONAS = f"single operators, cycles by the CPU's counter: {_MICRONAS_RELEASE}"
_EDGEMARK = "Black3rror/EdgeMark@3e7237db, TFLM of 2024 at -O3; MLPerf Tiny v1.0, microTVM with CMSIS-NN"

_PICO = (
    "person detection, operators by a clock of 1 us: raspberrypi/pico-tflmicro@dfea53b9, TFLM with CMSIS-NN"
)

_PICO_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D")

# The shipped targets that measurements exist for, and what those are.
SOURCES = {
    "nrf52832": f"nRF52832 at 64 MHz, {_MICRONAS}",
    "stm32f446": f"STM32F446RE at 180 MHz, {_MICRONAS}",
    "stm32l4r5": f"STM32L4R5ZI at 120 MHz, whole models: {_EDGEMARK}",
    "stm32l552": f"STM32L552ZE-Q at 110 MHz, convolutions, cycles by the CPU's counter: {_MICRONAS_RELEASE}",
}
# The same of a single network: too alike to tell how another would do.
ONE_NETWORK = {
    "rp2040": f"RP2040 at 125 MHz, {_PICO}",
}
# Targets whose rates are one factor from MLPerf Tiny's four models (`scripts/mlperf_tiny_boards.csv`).
FEW_MODELS = {
    "ra6m4": "RA6M4 at 200 MHz, MLPerf Tiny's four models with TFLM: mlcommons/tiny_results_v0.7@64623f41, Renesas",
    "nrf5340": "nRF5340 at 128 MHz, MLPerf Tiny's four models by microTVM with CMSIS-NN:"
    " mlcommons/tiny_results_v1.0@c7761cf8, OctoML",
}
# Where the measurements hold less than the target will run: at least so wide. The L552's are convolutions alone, the
# RP2040's one network in one build.
LEAST_SPREAD = {"stm32l552": 0.06, "rp2040": 0.12}

# Chips that nobody measured, but whose core, clock and flash are those of one that was: (spread, why).
RELATED = {
    "nrf52832": {
        "nrf52833": (0.06, "taken from the nRF52832, whose core, clock and flash it shares"),
        "nrf52840": (0.06, "taken from the nRF52832, whose core, clock and flash it shares"),
    },
}


def published(target: str, folder: Path, shapes: Path) -> list[Measurement]:
    """Measurements on a shipped target's chip; empty where there are none.

    Args:
        target: The target's name.
        folder: Calibration folder.
        shapes: Operators of the MLPerf Tiny models (`scripts/mlperf_tiny_operators.csv`).
    """
    readers: dict[str, Callable[[], list[Measurement]]] = {
        "nrf52832": lambda: _single_operators(folder, "nRF52832"),
        "stm32f446": lambda: _single_operators(folder, "F446RE"),
        "stm32l4r5": lambda: [*_edgemark(folder), *_mlperf(folder, shapes)],
        "stm32l552": lambda: _single_operators(folder, "L552", "published_operators_m33.csv"),
        "rp2040": lambda: _pico(folder),
    }
    return readers[target]() if target in readers else []


def _single_operators(folder: Path, board: str, table: str = "published_operators.csv") -> list[Measurement]:
    measurements: list[Measurement] = []
    with (folder / table).open(newline="") as lines:
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


def _mlperf_graphs(shapes: Path) -> dict[str, OpGraph]:
    """MLPerf Tiny's models by name, from the table of their operators' shapes."""
    operators: dict[str, list[dict[str, str]]] = defaultdict(list)
    with shapes.open(newline="") as lines:
        for row in csv.DictReader(lines):
            operators[row["model"]].append(row)
    return {model: graph_of(rows) for model, rows in operators.items()}


def _mlperf(folder: Path, shapes: Path) -> list[Measurement]:
    graphs = _mlperf_graphs(shapes)
    first: dict[str, float] = {}
    with (folder / "published_models.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["board"] == "NUCLEO-L4R5ZI" and row["model"] in graphs:
                first.setdefault(row["model"], float(row["cycles"]))
    return [
        Measurement(model=f"mlperf_tiny_{model}", graph=graphs[model], cycles=(cycles,))
        for model, cycles in sorted(first.items())
    ]


def quickest_operator(target: str, folder: Path) -> float:
    """Cycles of the quickest operator that was measured by itself on a chip; infinite where none was."""
    if target != "rp2040":
        return math.inf
    return min(float(row["cycles"]) for _, row in _pico_rows(folder))


def _pico_rows(folder: Path) -> list[tuple[int, dict[str, str]]]:
    with (folder / "published_operators_other.csv").open(newline="") as lines:
        return [(index, row) for index, row in enumerate(csv.DictReader(lines)) if "RP2040" in row["board"]]


def _pico(folder: Path) -> list[Measurement]:
    """The convolutions of one network; its other operators last some microseconds."""
    measurements: list[Measurement] = []
    for index, row in _pico_rows(folder):
        if float(row["cycles"]) < SMALLEST_CYCLES or row["op"] not in _PICO_OPS:
            continue
        named = {**row, "input_shape": row["input"], "output_shape": row["output"], "padding": "same"}
        named["stride_h"], named["stride_w"] = row["stride"].split("x")
        channels = row["output"].rsplit("x", 1)[1]
        depth = row["input"].rsplit("x", 1)[1] if row["op"] == "CONV_2D" else channels
        outer = channels if row["op"] == "CONV_2D" else "1"
        named["filter_shape"] = f"{outer}x{row['kernel']}x{depth}"
        measurements.append(
            Measurement(
                model=f"{row['model']}-{index}", graph=graph_of([named]), cycles=(float(row["cycles"]),)
            )
        )
    return measurements


def mlperf_tiny_boards(
    table: Path, shapes: Path, carry: Callable[[OpGraph], float]
) -> dict[str, list[Measurement]]:
    """MLPerf Tiny's models on boards, by target.

    A board that ran them with another runtime than TFLM is known by its ratio to the STM32L4R5 with the same one:
    its cycles are what the L4R5 takes with TFLM times that ratio.

    Args:
        table: `scripts/mlperf_tiny_boards.csv`.
        shapes: Operators of the models (`scripts/mlperf_tiny_operators.csv`).
        carry: Predicted cycles of a model on the STM32L4R5 with TFLM.
    """
    graphs = _mlperf_graphs(shapes)
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))

    def cycles_of(row: dict[str, str]) -> float:
        return float(row["mhz"]) * 1e6 / float(row["inferences_per_s"])

    reference = {
        (row["runtime"], row["model"]): cycles_of(row) for row in rows if row["target"] == "stm32l4r5"
    }
    boards: dict[str, list[Measurement]] = defaultdict(list)
    for row in rows:
        if row["target"] == "stm32l4r5":
            continue
        graph = graphs[row["model"]]
        cycles = cycles_of(row)
        on_reference = reference.get((row["runtime"], row["model"]))
        if on_reference is not None:
            cycles *= carry(graph) / on_reference
        boards[row["target"]].append(
            Measurement(model=f"{row['model']} ({row['runtime']})", graph=graph, cycles=(cycles,))
        )
    return dict(boards)


def apollo510() -> list[Measurement]:
    """Operators of one documented shape on an Apollo510, TFLM with CMSIS-NN.

    Source: AmbiqAI/helia-rt@780a3bbf, docs/reference/benchmarks/index.md (inputs of 1x32x32x16, GCC 15.2).
    """
    shape = "1x32x32x16"
    rows = {
        "MEAN": ({"output_shape": "1x16", "filter_shape": "1x2"}, 2_230_860.0),
        "ADD": ({"output_shape": shape}, 218_369.0),
        "MUL": ({"output_shape": shape}, 132_152.0),
    }
    return [
        Measurement(
            model=f"apollo510 {kind}",
            graph=graph_of([{"op": kind, "input_shape": shape, **columns}]),
            cycles=(cycles,),
        )
        for kind, (columns, cycles) in rows.items()
    ]
