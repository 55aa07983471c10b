"""The output of `nas-cost`: one report per model, as JSON and as tables for people."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.budget import Budget, Violation
from cost_models.costing import CostModel, Costs, Explanation, OperatorCost
from cost_models.errors import UserError
from cost_models.graph import OpGraph
from cost_models.resources import format_quantity
from cost_models.target import Target
from cost_models.timeline_text import peak_text

if TYPE_CHECKING:
    from rich.table import Table

_WIDTH = 110
_NAME_WIDTH = 24
_SHOWN_AS = {
    "sram_bytes": "SRAM",
    "model_bytes": "model",
    "flash_bytes": "flash",
    "cycles": "cycles and latency",
    "energy_uj": "energy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """One model on one target.

    Attributes:
        path: As the user named it.
        graph: Its operators and tensors.
        costs: Of the file as it stands.
        operators: What each operator adds, in execution order.
        violations: The limits it breaks.
        bounded: Operator kinds that nobody counted, and that are bounded by their elements.
        basis: What cycles, latency and energy rest on; None where they are not known. "at least" where operators are
            left out, "bound" where some are bounded alone.
        faults: What goes wrong with it in the target's kernels, one sentence each.
        lean: The same for the leaned model, where asked for.
        compressed: The same for the model with compressed weights, where asked for.
    """

    path: str
    graph: OpGraph
    costs: Costs
    operators: tuple[OperatorCost, ...]
    violations: tuple[Violation, ...]
    bounded: tuple[str, ...] = ()
    basis: str | None = None
    faults: tuple[str, ...] = ()
    lean: ModelReport | None = None
    compressed: ModelReport | None = None

    @property
    def fits(self) -> bool:
        return not self.violations

    def as_json(self) -> dict[str, Any]:
        """The model's entry in `nas-cost --json`."""
        costs = self.costs
        entry: dict[str, Any] = {
            "path": self.path,
            "ops": costs.ops,
            "macs": costs.macs,
            "sram_bytes": costs.sram_bytes,
            "arena_used_bytes": costs.arena_used_bytes,
            "flash_bytes": costs.flash_bytes,
            "model_bytes": costs.model_bytes,
            "cycles": costs.cycles,
            "cycles_low": costs.cycles_low,
            "cycles_high": costs.cycles_high,
            "instructions": costs.instructions,
            "latency_us": rounded(costs.latency_us),
            "energy_uj": rounded(costs.energy_uj),
            "basis": self.basis,
            "fits": self.fits,
            "per_op": [
                {
                    "index": each.index,
                    "op": each.kind,
                    "macs": each.macs,
                    "instructions": each.instructions,
                    "cycles": each.cycles,
                    "basis": each.basis,
                }
                for each in self.operators
            ],
        }
        if costs.uncounted:
            entry["uncounted"] = list(costs.uncounted)
        if self.bounded:
            entry["bounded"] = list(self.bounded)
        if self.faults:
            entry["faults"] = list(self.faults)
        for name, other in (("lean", self.lean), ("compressed", self.compressed)):
            if other is not None:
                entry[name] = {key: value for key, value in other.as_json().items() if key != "path"}
        return entry


def report(
    path: str, data: bytes, model: CostModel, budget: Budget, *, lean: bool = False, compressed: bool = False
) -> ModelReport:
    """Cost a .tflite file as it stands, and leaned or compressed where asked for.

    Raises:
        UserError: The bytes are not an int8 model, or an operator has no rule.
    """
    whole = _report(path, data, model, budget)
    if lean:
        from cost_models.lean import lean as lean_bytes

        whole = replace(whole, lean=_report(path, lean_bytes(data), model, budget))
    if compressed:
        from cost_models.compressed import compress

        whole = replace(whole, compressed=_report(path, compress(data), model, budget))
    return whole


def _report(path: str, data: bytes, model: CostModel, budget: Budget) -> ModelReport:
    from cost_models.tflite_graph import read_graph

    graph = read_graph(data)
    explanation = model.explain(graph, file_bytes=len(data))
    require_counted(explanation, model, budget)
    return ModelReport(
        path=path,
        graph=graph,
        costs=explanation.costs,
        operators=explanation.operators,
        violations=budget.violations(explanation.costs),
        bounded=explanation.bounded,
        basis=work_basis(explanation, model),
        faults=explanation.faults,
    )


def models_text(reports: list[ModelReport], model: CostModel, budget: Budget, *, per_op: bool) -> str:
    """The tables of `nas-cost`."""
    from rich.table import Table

    target = model.target
    title = f"{target.title} ({target.name}), {target.kernels} kernels"
    table = Table()
    table.add_column("model", overflow="fold", max_width=_NAME_WIDTH)
    for name in ("SRAM B", "flash B", "model B", "MACs", "cycles", "latency", "energy"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fits")
    names = [Path(report.path).name for report in reports]
    for report, name in zip(reports, names, strict=True):
        _add_row(table, name if names.count(name) == 1 else report.path, report)
        if report.lean is not None:
            _add_row(table, "  leaned", report.lean)
        if report.compressed is not None:
            _add_row(table, "  compressed", report.compressed)
    notes = [f"{report.path}: {broken}." for report in reports for broken in report.violations]
    for report in reports:
        notes += [f"{report.path}: {fault}" for fault in report.faults]
        if report.costs.at_least:
            notes.append(f"{report.path}: {missing_text(report.costs, target)}")
        if report.bounded:
            notes.append(f"{report.path}: {bounded_text(report.bounded, target)}")
    notes.append(_limits_text(budget))
    # What a latency that is whole rests on is not what one rests on that leaves operators out.
    shown = any(report.basis == model.basis for report in reports)
    notes += [
        f"{_SHOWN_AS[key]}: {basis}."
        for key, basis in model.bases().items()
        if shown or key not in ("cycles", "energy_uj")
    ]
    parts: list[Table | str] = [title, table, *notes]
    if per_op:
        for report in reports:
            parts += [
                "",
                f"{report.path}, operator by operator",
                _operators_table(report),
                peak_text(report.graph, target),
            ]
    return rendered(parts)


def _add_row(table: Table, name: str, report: ModelReport) -> None:
    costs = report.costs
    cycles = "unknown"
    if costs.cycles is not None and costs.at_least:
        cycles = f"at least\n{costs.cycles:,}"
    elif costs.cycles is not None and costs.cycles_low is not None and costs.cycles_high is not None:
        cycles = f"{costs.cycles:,}\n{costs.cycles_low:,} to\n{costs.cycles_high:,}"
    margin = (costs.code_high_bytes - costs.code_low_bytes) // 2
    table.add_row(
        name,
        f"{costs.sram_bytes:,}\n(used {costs.arena_used_bytes:,})",
        f"{costs.flash_bytes:,}\n+-{margin:,}",
        f"{costs.model_bytes:,}",
        f"{costs.macs:,}",
        cycles,
        _latency_text(report),
        energy_text(costs),
        "yes" if report.fits else "no",
    )


def _latency_text(report: ModelReport) -> str:
    if report.costs.at_least and report.costs.latency_us is not None:
        return f"at least\n{format_quantity('latency', report.costs.latency_us)}"
    texts = latency_texts(report.costs)
    return "unknown" if texts is None else f"{texts[0]}\n{texts[1]} to\n{texts[2]}\n({report.basis})"


def latency_texts(costs: Costs) -> tuple[str, str, str] | None:
    """Latency and both ends of its interval as people read them; None where it is not known."""
    ends = (costs.latency_us, costs.latency_low_us, costs.latency_high_us)
    middle, low, high = (None if end is None else format_quantity("latency", end) for end in ends)
    return None if middle is None or low is None or high is None else (middle, low, high)


def require_counted(explanation: Explanation, model: CostModel, budget: Budget) -> None:
    """Refuses a limit on what nobody can say of this model: what is known of it is within the limit.

    Raises:
        UserError: Latency, cycles, instructions or energy are limited, and nothing is known of an operator.
    """
    unjudged = budget.unjudged(explanation.costs)
    if explanation.uncounted and unjudged:
        raise UserError(
            f"Whether {unjudged[0]} keeps its limit is not known: {missing_text(explanation.costs, model.target)}",
            "Limit sram or flash, or leave that operator out of the network.",
        )


def work_basis(explanation: Explanation, model: CostModel) -> str | None:
    """The basis of a model's cycles, latency and energy; None where they are not known."""
    if explanation.costs.cycles is None or model.basis is None:
        return None
    if explanation.costs.at_least:
        return "at least"
    return "bound" if explanation.bounded else model.basis


def missing_text(costs: Costs, target: Target) -> str:
    """The operators that a model's costs leave out, to follow its name."""
    kinds = ", ".join(costs.uncounted)
    if costs.cycles is None and costs.instructions is None:
        return f"its cycles are not known, as nobody counted the instructions of {kinds} on {target.core}."
    known = "instructions, cycles, latency and energy" if costs.cycles is not None else "instructions"
    return (
        f"its {known} are those of all operators but {kinds}, whose instructions nobody counted on {target.core}:"
        " at least so much, without an upper end."
    )


def bounded_text(kinds: tuple[str, ...], target: Target) -> str:
    """How the interval of a model came about whose operators nobody counted all, to follow its name."""
    return (
        f"nobody counted the instructions of {', '.join(kinds)} on {target.core}: the interval takes between what the"
        " quickest and one and a half times what the slowest counted elementwise kernel takes for each element."
    )


def energy_text(costs: Costs) -> str:
    """Energy as the tables show it."""
    if costs.energy_uj is None:
        return "unknown"
    energy = format_quantity("energy", costs.energy_uj)
    return f"at least\n{energy}" if costs.at_least else energy


def _operators_table(report: ModelReport) -> Table:
    from rich.table import Table

    table = Table()
    table.add_column("#", justify="right")
    table.add_column("operator")
    for name in ("MACs", "instructions", "cycles"):
        table.add_column(name, justify="right")
    for part in report.operators:
        numbers = (part.macs, part.instructions, part.cycles)
        table.add_row(
            str(part.index), part.kind, *("unknown" if value is None else f"{value:,}" for value in numbers)
        )
    return table


def _limits_text(budget: Budget) -> str:
    limits = ", ".join(f"{name} {format_quantity(name, limit)}" for name, limit in budget.limits())
    return f"Limits: {limits}. {budget.held_by()}".rstrip()


def rendered(parts: list[Table | str]) -> str:
    """Tables drawn, sentences as they are; never wrapped or coloured, so that a pipe gets what a person sees."""
    from rich.console import Console
    from rich.measure import Measurement

    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        console = Console(file=io.StringIO(), width=_WIDTH, color_system=None)
        # Numbers are not cut short: a table of long ones is wider.
        free = console.options.update(max_width=10 * _WIDTH)
        console.width = max(_WIDTH, Measurement.get(console, free, part).minimum)
        with console.capture() as capture:
            console.print(part)
        texts += [line.rstrip() for line in capture.get().splitlines()]
    return "\n".join(texts)


def rounded(value: float | None) -> float | None:
    """A figure as JSON shows it."""
    return None if value is None else round(value, 3)
