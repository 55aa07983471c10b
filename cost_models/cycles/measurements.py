"""Reads measured figures: whole models from a calibration folder, and kernels that were called bare."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models.cores import CORES
from cost_models.cycles.fit import Sample
from cost_models.cycles.instruction_cycles import ideal_cycles
from cost_models.cycles.kernel_table import operator_of
from cost_models.cycles.paths import COUNTERS, FEATURES
from cost_models.graph import (
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    KernelOptions,
    NoOptions,
    Operator,
    OpGraph,
    Options,
    Pool2DOptions,
    ReducerOptions,
    SignalOptions,
    Tensor,
    TransposeConv2DOptions,
)
from cost_models.tflite_graph import read_graph
from cost_models.typical_values import evenly_spread

# The short core names of the measured figures.
SHORT_NAMES = {
    "m0p": "cortex-m0plus",
    "m3": "cortex-m3",
    "m4": "cortex-m4",
    "m7": "cortex-m7",
    "m33": "cortex-m33",
    "m55": "cortex-m55",
    "rv32imc": "riscv32",
}

# TFLM's own kernels, which every library shares; the operator around them was counted with them.
PORTABLE = ("mean", "relu", "relu6", "logistic")


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
    kernels, core = row["kernels"], SHORT_NAMES[row["cpu"]]
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
    path, trips = COUNTERS[kernels][op.kind](op, graph.tensors, CORES[core].isa)
    return MeasuredOperator(
        index=index,
        path=path,
        trips=trips,
        instructions=float(row["insns"]),
        cycles=float(row["est_cycles"]) if row["est_cycles"] else ideal_cycles(row, core),
    )


def read_portable(table: Path) -> dict[tuple[str, str], list[Sample]]:
    """TFLM's portable kernels by kernel library and core: instructions of their `Eval`, called by the interpreter.

    A row gives inputs and outputs as `dtype:shape` with semicolons between, after `/` the number of scales where there
    are several, after `=` the integers of a constant, and `-` for an absent input, and after `@` the value range of
    int8 (least, greatest, scale) where branches go by it; options as `name=value` with spaces between. Without a
    library it is of all of them.
    A core that has no count of a row has none in the samples.
    """
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    with table.open(newline="") as lines:
        for row in csv.DictReader(lines):
            inputs, outputs = (
                [_tensor(text) for text in row[part].split(";") if text] for part in ("inputs", "outputs")
            )
            tensors = (*(tensor or Tensor(shape=()) for tensor in inputs), *filter(None, outputs))
            op = Operator(
                kind=row["op"],
                inputs=tuple(-1 if tensor is None else index for index, tensor in enumerate(inputs)),
                outputs=tuple(range(len(inputs), len(tensors))),
                options=_options(row["op"], row["options"]) if row.get("options") else NoOptions(),
            )
            library = row.get("kernels", "cmsis_nn")
            for short, core in SHORT_NAMES.items():
                if row.get(short):
                    path, trips = COUNTERS[library][op.kind](op, tensors, CORES[core].isa)
                    if path in FEATURES and trips:
                        samples[library, core].append(Sample(path=path, trips=trips, cost=float(row[short])))
    return dict(samples)


_OPTIONS: dict[str, Callable[..., Options]] = {
    "CONV_2D": Conv2DOptions,
    "DEPTHWISE_CONV_2D": DepthwiseConv2DOptions,
    "TRANSPOSE_CONV": TransposeConv2DOptions,
    "AVERAGE_POOL_2D": Pool2DOptions,
    "MAX_POOL_2D": Pool2DOptions,
    "L2_POOL_2D": Pool2DOptions,
    "CONCATENATION": ConcatenationOptions,
    "MEAN": ReducerOptions,
    "SUM": ReducerOptions,
}


def _options(kind: str, text: str) -> Options:
    pairs = [(name, value) for name, _, value in (pair.partition("=") for pair in text.split())]
    if kind in _OPTIONS:
        return _OPTIONS[kind](**{name: int(value) if value.isdecimal() else value for name, value in pairs})
    numbers = tuple((name, int(value)) for name, value in pairs)
    return SignalOptions(values=numbers) if kind.startswith("Signal") else KernelOptions(values=numbers)


def _tensor(text: str) -> Tensor | None:
    if text == "-":
        return None
    dtype, _, rest = text.partition(":")
    rest, equals, values = rest.partition("=")
    rest, _, known = rest.partition("@")
    shape, _, scales = rest.partition("/")
    low, high, scale = map(float, known.split()) if known else (0.0, 0.0, 0.0)
    return Tensor(
        shape=tuple(map(int, shape.split("x"))) if shape else (),
        dtype=dtype,
        data_bytes=1 if equals else 0,
        scales=int(scales or 0),
        values=tuple(map(int, values.split())) if values else None,
        typical=evenly_spread(low, high, scale) if known else None,
    )


def read_kernels(table: Path) -> dict[str, list[Sample]]:
    """Bare kernels by core: instructions of one call on random data; of TFLM's own, of their `Eval`."""
    samples: dict[str, list[Sample]] = defaultdict(list)
    with table.open(newline="") as lines:
        for row in csv.DictReader(lines):
            op, tensors = operator_of(row)
            for short, core in SHORT_NAMES.items():
                if short not in row:
                    continue
                path, trips = COUNTERS["cmsis_nn"][op.kind](op, tensors, CORES[core].isa)
                bare = path not in PORTABLE
                samples[core].append(Sample(path=path, trips=trips, cost=float(row[short]), bare=bare))
    return dict(samples)
