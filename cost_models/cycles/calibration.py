"""Reads measured figures and fits the coefficients that the package ships."""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost_models.cycles.fit import Sample, check, fit_paths
from cost_models.cycles.paths import COUNTERS, FEATURES, ISA
from cost_models.cycles.prices import ideal_cycles
from cost_models.graph import OpGraph
from cost_models.tflite_graph import read_graph

# The short core names of the measured figures.
CORES = {
    "m0p": "cortex-m0plus",
    "m3": "cortex-m3",
    "m4": "cortex-m4",
    "m7": "cortex-m7",
    "m33": "cortex-m33",
    "m55": "cortex-m55",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredOperator:
    """One operator of one measured run.

    Attributes:
        index: Its position in the graph.
        path: The kernel path that its shape takes.
        trips: How often that path's loops ran.
        instructions: Executed instructions, exact.
        cycles: Ideal cycles: given with the figure, or from its instruction classes.
    """

    index: int
    path: str
    trips: tuple[int, ...]
    instructions: float
    cycles: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """One measured inference of one model on one core with one kernel library."""

    model: str
    kernels: str
    core: str
    graph: OpGraph
    instructions: float
    cycles: float | None
    operators: tuple[MeasuredOperator, ...]

    @property
    def family(self) -> str:
        """The model family: what cross-validation leaves out together."""
        return self.model.rsplit("-", 1)[0]


def read_runs(folder: Path) -> list[MeasuredRun]:
    """The measured runs under a calibration folder (`models/`, `runs.csv`, `operators.csv`)."""
    graphs: dict[str, OpGraph] = {}
    operators: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    with (folder / "operators.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            operators[row["model"], row["kernels"], row["cpu"]].append(row)
    runs: list[MeasuredRun] = []
    with (folder / "runs.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            key = (row["model"], row["kernels"], row["cpu"])
            if not row["total_insns"] or key not in operators:
                continue
            if row["model"] not in graphs:
                graphs[row["model"]] = read_graph((folder / "models" / row["model"]).read_bytes())
            runs.append(_run(row, operators[key], graphs[row["model"]]))
    return runs


def _run(row: dict[str, str], rows: Sequence[dict[str, str]], graph: OpGraph) -> MeasuredRun:
    kernels, core = row["kernels"], CORES[row["cpu"]]
    return MeasuredRun(
        model=row["model"],
        kernels=kernels,
        core=core,
        graph=graph,
        instructions=float(row["total_insns"]),
        cycles=float(row["total_est_cycles"]) if row["total_est_cycles"] else None,
        operators=tuple(_operator(entry, graph, kernels, core) for entry in rows),
    )


def _operator(row: dict[str, str], graph: OpGraph, kernels: str, core: str) -> MeasuredOperator:
    index = int(row["index"])
    op = graph.operators[index]
    path, trips = COUNTERS[kernels][op.kind](op, graph.tensors, ISA[core])
    check(path, trips)
    return MeasuredOperator(
        index=index,
        path=path,
        trips=trips,
        instructions=float(row["insns"]),
        cycles=float(row["est_cycles"]) if row["est_cycles"] else ideal_cycles(row, core),
    )


def fit_table(runs: Iterable[MeasuredRun], source: str) -> dict[str, Any]:
    """The JSON form of one core's table, fitted to its runs; spreads are left to `with_spreads`."""
    runs = list(runs)
    instructions = fit_paths(
        Sample(path=op.path, trips=op.trips, cost=op.instructions) for run in runs for op in run.operators
    )
    cycles = fit_paths(
        Sample(path=op.path, trips=op.trips, cost=op.cycles) for run in runs for op in run.operators
    )
    dispatch, invoke = _interpreter(runs)
    ratio = sum(op.cycles for run in runs for op in run.operators) / sum(
        op.instructions for run in runs for op in run.operators
    )
    return {
        "source": source,
        "dispatch": [round(dispatch, 2), round(dispatch * ratio, 2)],
        "invoke": [round(invoke, 2), round(invoke * ratio, 2)],
        "spread_model": 0.0,
        "spread_operator": 0.0,
        "instructions": {path: _named(path, values) for path, values in sorted(instructions.items())},
        "cycles": {path: _named(path, values) for path, values in sorted(cycles.items())},
    }


def _named(path: str, values: Sequence[float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in zip(FEATURES[path], values, strict=True) if value}


def _interpreter(runs: Sequence[MeasuredRun]) -> tuple[float, float]:
    """Instructions per operator and per inference that no operator accounts for."""
    points = [
        (len(run.operators), run.instructions - sum(op.instructions for op in run.operators)) for run in runs
    ]
    if len({count for count, _ in points}) < 2:
        return statistics.fmean(rest / count for count, rest in points), 0.0
    line = statistics.linear_regression([count for count, _ in points], [rest for _, rest in points])
    return max(line.slope, 0.0), max(line.intercept, 0.0)


def folds(runs: Sequence[MeasuredRun]) -> Iterator[tuple[list[MeasuredRun], list[MeasuredRun]]]:
    """(fitted, left out) runs, one fold per model family."""
    for family in sorted({run.family for run in runs}):
        yield (
            [run for run in runs if run.family != family],
            [run for run in runs if run.family == family],
        )
