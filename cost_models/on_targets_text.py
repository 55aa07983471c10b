"""The table of `nas-cost --targets NAMES`: a line for each board, and what the table leaves out as sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from cost_models.costing_report import energy_text, latency_texts, rendered
from cost_models.duty_cycle import LEAVES_OUT, days_text
from cost_models.on_targets import OnTarget
from cost_models.resources import RESOURCES, format_quantity

# What each basis is; said below the table for those that are in it.
_BASES = {
    "measured": "measured: by cycles of that chip, or of one of the same core, clock and flash",
    "class": "class: by boards of the same core",
    "bound": "bound: by its core's pipeline, no board of which was measured",
}


def on_targets_text(path: str, rows: Sequence[OnTarget], given: Mapping[str, Fraction]) -> str:
    """A model's table, fitting targets first, and the sentences below it."""
    from rich.table import Table

    fitting = sum(row.verdict == "fits" for row in rows)
    table = Table()
    table.add_column("target", no_wrap=True)
    table.add_column("fits", overflow="fold")
    duty = next((row.budget.duty for row in rows if row.budget is not None), None)
    power = ("energy",) if duty is None else ("power", "days") if duty.charge_mah is not None else ("power",)
    for name in ("SRAM B", "flash B", "latency", "90 % interval", *power):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("basis")
    for row in rows:
        table.add_row(*_cells(row, power))
    title = f"{path}: fits {fitting} of {len(rows)} targets"
    return rendered([title, table, *_notes(rows, given)])


def _cells(row: OnTarget, power: Sequence[str]) -> tuple[str, ...]:
    costs = row.costs
    if costs is None:
        return (row.target.name, "refused", *[""] * (5 + len(power)))
    fits = {"fits": "yes", "not judged": f"? {', '.join(row.unjudged)}"}.get(row.verdict)
    if fits is None:
        fits = f"no: {', '.join(f'{broken.resource} {_excess(broken.excess)}' for broken in row.violations)}"
    texts = latency_texts(costs)
    latency, interval = ("unknown", "unknown") if texts is None else (texts[0], f"{texts[1]} to {texts[2]}")
    if costs.at_least and costs.latency_us is not None:
        latency, interval = f"at least {format_quantity('latency', costs.latency_us)}", ""
    return (
        row.target.name,
        fits,
        f"{costs.sram_bytes:,}",
        f"{costs.flash_bytes:,}",
        latency,
        interval,
        *(
            energy_text(costs).replace("\n", " ") if name == "energy" else _duty_text(row, name)
            for name in power
        ),
        row.basis or "",
    )


def _duty_text(row: OnTarget, name: str) -> str:
    """Average power, or how many days the battery lasts."""
    if row.cycle is None:
        return "unknown"
    if name == "power":
        return format_quantity("power", row.cycle.middle.total_uw)
    charge = row.cycle.duty.charge_mah
    return "" if charge is None else days_text(row.cycle.middle.battery_days(charge))


def _excess(excess: float) -> str:
    """The excess over a limit: per cent, and times the limit from twice on."""
    return f"+{max(1, round(100 * excess))} %" if excess < 1 else f"{1 + excess:,.3g}x"


def _notes(rows: Sequence[OnTarget], given: Mapping[str, Fraction]) -> list[str]:
    notes = [f"{text}." for text in _limits(rows, given)]
    for reason, names in _grouped((row.refused, row.target.name) for row in rows):
        notes.append(f"Refused on {names}: {reason}")
    for fault, names in _grouped((fault, row.target.name) for row in rows for fault in row.faults):
        notes.append(f"On {names}: {fault}")
    for resource, names in _grouped((name, row.target.name) for row in rows for name in row.unjudged):
        notes.append(
            f"{RESOURCES[resource].label} is not known on {names}: nobody can say whether its limit is kept there."
        )
    costed = [(row, row.costs) for row in rows if row.costs is not None]
    for kinds, cores in _grouped((", ".join(costs.uncounted), row.target.core) for row, costs in costed):
        notes.append(f"At least so much, as nobody counted the instructions of {kinds} on {cores}.")
    for kinds, cores in _grouped((", ".join(row.bounded), row.target.core) for row, _ in costed):
        notes.append(f"Bounded by elements, as nobody counted the instructions of {kinds} on {cores}.")
    silent = [row for row in rows if row.costs is not None and row.basis is None]
    if silent:
        names = ", ".join(row.target.name for row in silent)
        notes.append(f"Cycles are not known on {names}: there is no calibration.")
    if any(row.cycle is not None for row in rows):
        notes.append(f"Average power and battery leave out {LEAVES_OUT}.")
    if any(row.budget is not None and row.budget.duty is not None and row.cycle is None for row in rows):
        notes.append("Power is unknown where a target has no sourced energy or sleep current, or no cycles.")
    elif any(row.costs is not None and row.costs.energy_uj is None for row in rows):
        notes.append("Energy is unknown where a target has no sourced figure, or no cycles.")
    if npus := [row.target.name for row in rows if row.target.npu is not None]:
        notes.append(f"Counted as the core alone would run it, without the NPU: {', '.join(npus)}.")
    notes += [f"{_BASES[basis]}." for basis in _BASES if any(row.basis == basis for row in rows)]
    notes.append("SRAM is exact. nas-cost --target NAME says more of each target, and names its sources.")
    return notes


def _limits(rows: Sequence[OnTarget], given: Mapping[str, Fraction]) -> list[str]:
    said = []
    budgets = [row.budget for row in rows if row.budget is not None]
    if given:
        limits = ", ".join(f"{name} {format_quantity(name, float(limit))}" for name, limit in given.items())
        said.append(f"Limits: {limits}")
    for name in ("sram", "flash"):
        asked = given.get(name)
        capped = [budget for budget in budgets if asked is not None and (budget.limit(name) or 0) < asked]
        if capped:
            where = f"On {len(capped)} of {len(rows)} targets there is less {name} to spare than that"
            said.append(f"{where}: the limit there is what there is")
    if rest := [name for name in ("sram", "flash") if name not in given]:
        said.append(f"Limit of {' and '.join(rest)}: what each target has, less what is reserved")
    if duty := next((budget.duty for budget in budgets if budget.duty is not None), None):
        said.append(f"Limit of latency: at most the period, {format_quantity('latency', duty.period_us)}")
    # Flash alone is a prediction that every target limits.
    said += sorted({held.rstrip(".") for budget in budgets if (held := budget.held_by())})
    return said


def _grouped(pairs: Iterable[tuple[str | None, str]]) -> list[tuple[str, str]]:
    """Each sentence once, with all that it is about."""
    groups: dict[str, list[str]] = {}
    for reason, name in pairs:
        if reason and name not in groups.setdefault(reason, []):
            groups[reason].append(name)
    return [(reason, ", ".join(names)) for reason, names in groups.items()]
