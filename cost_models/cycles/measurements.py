"""Reads measured figures: whole models from a calibration folder, and kernels that were called bare."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models.cycles.fit import Sample
from cost_models.cycles.paths import COUNTERS, ISA
from cost_models.cycles.prices import ideal_cycles
from cost_models.graph import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    Operator,
    OpGraph,
    Options,
    Padding,
    Pool2DOptions,
    SoftmaxOptions,
    Tensor,
)
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
    trips: tuple[float, ...]
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
    return MeasuredOperator(
        index=index,
        path=path,
        trips=trips,
        instructions=float(row["insns"]),
        cycles=float(row["est_cycles"]) if row["est_cycles"] else ideal_cycles(row, core),
    )


def read_kernels(table: Path) -> dict[str, list[Sample]]:
    """Bare CMSIS-NN kernels by core: instructions of one call on random data."""
    samples: dict[str, list[Sample]] = defaultdict(list)
    with table.open(newline="") as lines:
        for row in csv.DictReader(lines):
            op, tensors = _kernel(row)
            for short, core in CORES.items():
                path, trips = COUNTERS["cmsis_nn"][op.kind](op, tensors, ISA[core])
                samples[core].append(Sample(path=path, trips=trips, cost=float(row[short]), bare=True))
    return dict(samples)


def _kernel(row: dict[str, str]) -> tuple[Operator, tuple[Tensor, ...]]:
    kind = row["op"]
    source, output = Tensor(shape=_shape(row["input_shape"])), Tensor(shape=_shape(row["output_shape"]))
    if kind in ("ADD", "MUL"):
        options: Options = ElementwiseOptions()
        return Operator(kind=kind, inputs=(0, 1), outputs=(2,), options=options), (source, source, output)
    if kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        weights = Tensor(shape=_shape(row["filter_shape"]), data_bytes=1)
        bias = Tensor(shape=(output.shape[-1],), dtype="int32", data_bytes=4)
        inputs = (0, 1, 3) if row["bias"] == "1" else (0, 1, -1)
        op = Operator(kind=kind, inputs=inputs, outputs=(2,), options=_options(row, source, output))
        return op, (source, weights, output, bias)
    return Operator(kind=kind, inputs=(0,), outputs=(1,), options=_options(row, source, output)), (
        source,
        output,
    )


def _options(row: dict[str, str], source: Tensor, output: Tensor) -> Options:
    kind = row["op"]
    if kind == "FULLY_CONNECTED":
        return FullyConnectedOptions()
    if kind == "SOFTMAX":
        return SoftmaxOptions()
    padding: Padding = "SAME" if row["padding"] == "SAME" else "VALID"
    stride_h, stride_w = int(row["stride_h"]), int(row["stride_w"])
    if kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        filter_h, filter_w = _shape(row["filter_shape"])
        return Pool2DOptions(
            padding=padding, stride_h=stride_h, stride_w=stride_w, filter_h=filter_h, filter_w=filter_w
        )
    dilation_h, dilation_w = int(row["dilation_h"]), int(row["dilation_w"])
    if kind == "CONV_2D":
        return Conv2DOptions(
            padding=padding,
            stride_h=stride_h,
            stride_w=stride_w,
            dilation_h=dilation_h,
            dilation_w=dilation_w,
        )
    return DepthwiseConv2DOptions(
        padding=padding,
        stride_h=stride_h,
        stride_w=stride_w,
        dilation_h=dilation_h,
        dilation_w=dilation_w,
        depth_multiplier=output.shape[-1] // source.shape[-1],
    )


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(extent) for extent in text.split("x"))
