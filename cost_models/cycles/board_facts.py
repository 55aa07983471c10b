"""All boards that measurements exist for, as the classes of cores are fitted to them."""

from __future__ import annotations

from pathlib import Path

from cost_models.cycles.class_fit import Board
from cost_models.cycles.model import predict
from cost_models.cycles.published import ONE_NETWORK, SOURCES, apollo510, mlperf_tiny_boards, published
from cost_models.graph import OpGraph
from cost_models.target_file import load_target


def measured_boards(folder: Path, scripts: Path) -> list[Board]:
    """Every measured board with what was measured on it.

    Args:
        folder: Calibration folder.
        scripts: Folder of the small published tables (`mlperf_tiny_*.csv`).
    """
    shapes = scripts / "mlperf_tiny_operators.csv"
    reference = load_target("stm32l4r5")

    def on_reference(graph: OpGraph) -> float:
        work = predict(graph, kernels=reference.kernels, core=reference.core, rates=reference.rates)
        assert work.cycles is not None
        return work.cycles

    measured = {name: published(name, folder, shapes) for name in SOURCES | ONE_NETWORK}
    measured |= mlperf_tiny_boards(scripts / "mlperf_tiny_boards.csv", shapes, on_reference)
    measured["apollo510"] = apollo510()
    boards: list[Board] = []
    for name, measurements in measured.items():
        target = load_target(name)
        boards.append(
            Board(
                name=name,
                core=target.core,
                memory=target.weights_memory,
                measurements=tuple(measurements),
            )
        )
    return boards
