"""Compares every cost model with what was measured: the table of `scripts/eval_costs`."""

from __future__ import annotations

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from cost_models.arena import arena
from cost_models.code_size import CodeSizes
from cost_models.cycles.board_facts import measured_boards
from cost_models.cycles.boards import Check, Measurement, fit_rates
from cost_models.cycles.calibration import Residual, cross_validate, folds, inside, spreads
from cost_models.cycles.class_fit import check_of_boards, factor_of, leave_board_out
from cost_models.cycles.coefficients import bare_kernels
from cost_models.cycles.measurements import SHORT_NAMES, MeasuredRun, read_kernels, read_runs
from cost_models.cycles.published import SOURCES, published
from cost_models.cycles.table import core_table
from cost_models.graph import OpGraph, macs
from cost_models.lean import lean
from cost_models.linked_code import REGISTRATIONS, base_shift, left_out_errors, linked_cases
from cost_models.model_bytes import model_bytes
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        what: The quantity.
        where: Kernel library and core, or the board.
        how: The model or baseline that predicted it.
        cases: Number of predictions.
        exact: Share of predictions without any error; None where exactness is not claimed.
        median: Median absolute relative error.
        p90: Its 90th percentile.
        worst: The largest.
        coverage: Share of measured values inside the 90 % interval; None without one.
        left_out: Whether every case was left out of the fit that predicted it.
    """

    what: str
    where: str
    how: str
    cases: int
    exact: float | None
    median: float
    p90: float
    worst: float
    coverage: float | None = None
    left_out: bool = False


def row_of(
    what: str,
    where: str,
    how: str,
    errors: Sequence[float],
    *,
    exact: bool = False,
    coverage: float | None = None,
    left_out: bool = False,
) -> Row:
    """A line from relative errors (predicted over measured, minus 1)."""
    sizes = sorted(abs(error) for error in errors)
    return Row(
        what=what,
        where=where,
        how=how,
        cases=len(sizes),
        exact=sum(size == 0 for size in sizes) / len(sizes) if exact else None,
        median=statistics.median(sizes),
        p90=sizes[math.ceil(0.9 * len(sizes)) - 1],
        worst=sizes[-1],
        coverage=coverage,
        left_out=left_out,
    )


def evaluate(folder: Path, scripts: Path) -> list[Row]:
    """All lines.

    Args:
        folder: Calibration folder.
        scripts: The project's `scripts` folder, with the tables that fits need.
    """
    with (folder / "runs.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    files = {name: (folder / "models" / name).read_bytes() for name in sorted({row["model"] for row in rows})}
    graphs = {name: read_graph(data) for name, data in files.items()}
    return [
        *_sram(rows, graphs),
        *_flash(folder, rows, files, graphs),
        *_work(folder, scripts),
        *_boards(folder, scripts),
        *_classes(folder, scripts),
    ]


def _sram(rows: Sequence[dict[str, str]], graphs: dict[str, OpGraph]) -> list[Row]:
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        where = f"{row['kernels']} {SHORT_NAMES[row['cpu']]}"
        memory = arena(graphs[row["model"]], kernels=row["kernels"], core=SHORT_NAMES[row["cpu"]])
        for what, predicted in (
            ("arena_used_bytes", memory.used_bytes),
            ("min_arena_bytes", memory.min_bytes),
        ):
            if row[what]:
                name = "SRAM" if what == "min_arena_bytes" else "arena used"
                errors[name, where].append(predicted / float(row[what]) - 1)
    return [
        row_of(what, where, "planner", found, exact=True) for (what, where), found in sorted(errors.items())
    ]


def _flash(
    folder: Path, rows: Sequence[dict[str, str]], files: dict[str, bytes], graphs: dict[str, OpGraph]
) -> list[Row]:
    leaned = {name: lean(data) for name, data in files.items()}
    lengths = {name: (model_bytes(read_graph(data)), len(data)) for name, data in leaned.items()}
    sizes = [predicted / length - 1 for predicted, length in lengths.values()]
    lines = [row_of("model bytes", "any", "layout", sizes, exact=True)]
    for kernels, registrations in REGISTRATIONS.items():
        cases = linked_cases(folder, kernels)
        where = f"{kernels} cortex-m4"
        errors = left_out_errors(cases)
        lines.append(row_of("code bytes", where, "linked parts, by set", errors, left_out=True))
        sizes_of = CodeSizes(kernels=kernels, core="cortex-m4")
        code, flash, held = [], [], 0
        for row in rows:
            if SHORT_NAMES[row["cpu"]] != "cortex-m4" or row["kernels"] != kernels:
                continue
            kinds = graphs[row["model"]].kinds()
            size = sizes_of.of(kinds)
            shift = base_shift([case for case in cases if case.operators != frozenset(kinds)])
            linked = float(row[f"code_bytes_{registrations}"])
            model, length = lengths[row["model"]]
            code.append((size.value_bytes + shift) / linked - 1)
            flash.append((size.value_bytes + shift + model) / (linked + length) - 1)
            held += size.low_bytes + shift <= linked <= size.high_bytes + shift
        held_share = held / len(code)
        lines.append(
            row_of("code bytes", where, "linked parts, by model", code, coverage=held_share, left_out=True)
        )
        lines.append(row_of("flash", where, "linked parts, by model", flash, left_out=True))
    return lines


def _work(folder: Path, scripts: Path) -> list[Row]:
    kernels = read_kernels(scripts / "kernel_counts.csv")
    runs: dict[tuple[str, str], list[MeasuredRun]] = defaultdict(list)
    for run in read_runs(folder):
        runs[run.kernels, run.core].append(run)
    rows: list[Row] = []
    for (library, core), measured in sorted(runs.items()):
        where = f"{library} {core}"
        residuals = cross_validate(measured, bare_kernels(kernels[core], library))
        errors = [residual.instructions for residual in residuals]
        coverage = _coverage(residuals, errors)
        rows.append(row_of("instructions", where, "kernel loops", errors, coverage=coverage, left_out=True))
        rows.extend(_baselines("instructions", where, measured, lambda run: run.instructions))
        timed = [residual for residual in residuals if residual.cycles is not None]
        if timed:
            errors = [residual.cycles or 0.0 for residual in timed]
            coverage = _coverage(timed, errors)
            rows.append(
                row_of("ideal cycles", where, "kernel loops", errors, coverage=coverage, left_out=True)
            )
            rows.extend(_baselines("ideal cycles", where, measured, lambda run: run.cycles or 0.0))
    return rows


def _coverage(residuals: Sequence[Residual], errors: Sequence[float]) -> float:
    """Share of models inside intervals that were made without their family."""
    shares = [residual.share for residual in residuals]
    families = [residual.run.family for residual in residuals]
    held = 0
    for family in set(families):
        others = [index for index, name in enumerate(families) if name != family]
        spread = spreads([errors[index] for index in others], [shares[index] for index in others])
        held += sum(
            inside(errors[index], residuals[index], spread)
            for index, name in enumerate(families)
            if name == family
        )
    return held / len(residuals)


def _baselines(
    what: str, where: str, runs: Sequence[MeasuredRun], cost: Callable[[MeasuredRun], float]
) -> list[Row]:
    """Simpler predictors: MACs times a constant, and a constant per operator kind, families left out in turn."""
    by_macs: list[float] = []
    by_kind: list[float] = []
    for fitted, left_out in folds(runs):
        constant = statistics.median(cost(run) / run.graph.macs for run in fitted)
        by_macs.extend(constant * run.graph.macs / cost(run) - 1 for run in left_out)
        predict = _price_kinds([(run.graph, cost(run)) for run in fitted])
        by_kind.extend(predict(run.graph) / cost(run) - 1 for run in left_out)
    return [
        row_of(what, where, "MACs x constant", by_macs, left_out=True),
        row_of(what, where, "constant per kind", by_kind, left_out=True),
    ]


def _volume(graph: OpGraph) -> dict[str, float]:
    """MACs of each operator kind; input elements where a kind multiplies nothing."""
    volume: dict[str, float] = defaultdict(float)
    for op in graph.operators:
        volume[op.kind] += macs(op, graph.tensors) or graph.tensors[op.inputs[0]].elements
    return volume


def _boards(folder: Path, scripts: Path) -> list[Row]:
    rows: list[Row] = []
    for name in SOURCES:
        target = load_target(name)
        table = core_table(target.kernels, target.core)
        measured = published(name, folder, scripts / "mlperf_tiny_operators.csv")
        assert table is not None
        _, check = fit_rates(measured, table=table, kernels=target.kernels, core=target.core, source="")
        assert check is not None
        rows.append(_board_row(name, "loops and rates", check))
        rows.extend(_board_baselines(name, measured))
    return rows


def _classes(folder: Path, scripts: Path) -> list[Row]:
    """Boards predicted by their core's class without them: each, those of a core together, and all."""
    left_out = leave_board_out([factor_of(board) for board in measured_boards(folder, scripts)])
    by_core = {
        core: [row for row in left_out if row.core == core] for core in sorted({row.core for row in left_out})
    }
    together = {core: rows for core, rows in by_core.items() if len(rows) > 1} | {"all cores": left_out}
    return [
        _board_row(
            f"{each.board} ({each.core})",
            f"its class, {each.others} other board{'s' * (each.others != 1)}"
            if each.others
            else "boards of other cores",
            each.check,
        )
        for each in sorted(left_out, key=lambda each: (each.core, each.board))
    ] + [
        _board_row(core, f"each of {len(rows)} boards left out, alike", check_of_boards(rows))
        for core, rows in together.items()
    ]


def _board_baselines(name: str, measured: Sequence[Measurement]) -> list[Row]:
    groups = sorted({each.group or each.model for each in measured})
    by_macs: list[float] = []
    by_kind: list[float] = []
    for group in groups:
        fitted = [each for each in measured if (each.group or each.model) != group]
        out = [each for each in measured if (each.group or each.model) == group]
        pairs = [(each.graph.macs, sum(each.cycles)) for each in fitted]
        constant = statistics.median(cycles / count for count, cycles in pairs if count)
        by_macs.extend(constant * each.graph.macs / sum(each.cycles) - 1 for each in out if each.graph.macs)
        predict = _price_kinds([(each.graph, sum(each.cycles)) for each in fitted])
        by_kind.extend(predict(each.graph) / sum(each.cycles) - 1 for each in out)
    return [
        row_of("board cycles", name, "MACs x constant", by_macs, left_out=True),
        row_of("board cycles", name, "constant per kind", by_kind, left_out=True),
    ]


def _price_kinds(samples: Sequence[tuple[OpGraph, float]]) -> Callable[[OpGraph], float]:
    """Fits one constant per operator kind."""
    kinds = sorted({op.kind for graph, _ in samples for op in graph.operators})
    volumes = [(_volume(graph), cost) for graph, cost in samples]
    matrix = np.asarray([[volume[kind] / cost for kind in kinds] for volume, cost in volumes])
    prices, _ = nnls(matrix, np.ones(len(samples)), maxiter=10_000)

    def predict(graph: OpGraph) -> float:
        volume = _volume(graph)
        return float(sum(price * volume[kind] for price, kind in zip(prices, kinds, strict=True)))

    return predict


def _board_row(where: str, how: str, check: Check) -> Row:
    return Row(
        what="board cycles",
        where=where,
        how=how,
        cases=check.models,
        exact=None,
        median=check.median,
        p90=check.p90,
        worst=check.worst,
        coverage=check.coverage,
        left_out=True,
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    lines = [
        "| quantity | where | model | cases | exact | median | p90 | worst | in 90 % interval | left out |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        exact = "" if row.exact is None else f"{row.exact:.1%}"
        coverage = "" if row.coverage is None else f"{row.coverage:.0%}"
        left_out = "yes" if row.left_out else "nothing fitted" if row.exact is not None else "no"
        lines.append(
            f"| {row.what} | {row.where} | {row.how} | {row.cases} | {exact} | {_percent(row.median)} "
            f"| {_percent(row.p90)} | {_percent(row.worst)} | {coverage} | {left_out} |"
        )
    return "\n".join(lines)


def _percent(value: float) -> str:
    return "0" if value == 0 else f"{value:.2%}" if value < 0.1 else f"{value:.0%}"
