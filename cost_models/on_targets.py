"""One model on many targets: where it fits, how fast it is there, and where it has no costs and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from cost_models.budget import Budget, Violation, budget_on
from cost_models.costing import CostModel, Costs
from cost_models.costing_report import work_basis
from cost_models.duty_cycle import DutyCycle, make_duty
from cost_models.errors import UserError
from cost_models.graph import OpGraph
from cost_models.resources import RESOURCES
from cost_models.target import Target
from cost_models.target_file import load_target
from cost_models.target_names import list_targets

ALL = "all"
Verdict = Literal["fits", "does not fit", "not judged", "refused"]
_ORDER: tuple[Verdict, ...] = ("fits", "does not fit", "not judged", "refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """How often a chip infers.

    Attributes:
        us: From one inference to the next, in microseconds.
        charge_mah: Of its battery; None where none was named.
    """

    us: float
    charge_mah: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTarget:
    """A model on one of many targets.

    Attributes:
        target: The chip or board.
        costs: None where the target has no costs for it.
        basis: What cycles, latency and energy rest on; None where they are not known.
        budget: The limits that it was judged by; None where it was refused.
        violations: Those that it breaks.
        unjudged: Resources that a limit was given for, and whose cost is not known there.
        bounded: Operator kinds that nobody counted there, and that are bounded by their elements.
        faults: What goes wrong with the model in its kernels, one sentence each.
        cycle: Average power with one inference in each period; None without a period, or where it is not known.
        refused: Why the target has no costs for it.
    """

    target: Target
    costs: Costs | None = None
    basis: str | None = None
    budget: Budget | None = None
    violations: tuple[Violation, ...] = ()
    unjudged: tuple[str, ...] = ()
    bounded: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    cycle: DutyCycle | None = None
    refused: str | None = None

    @property
    def verdict(self) -> Verdict:
        """A limit that is broken decides, even where another one cannot be judged."""
        if self.costs is None:
            return "refused"
        if self.violations:
            return "does not fit"
        return "not judged" if self.unjudged else "fits"

    def as_json(self) -> dict[str, Any]:
        """Its entry in `nas-cost --targets NAMES --json`; costs that are not known are null."""
        entry: dict[str, Any] = {
            "target": self.target.name,
            "title": self.target.title,
            "core": self.target.core,
            "kernels": self.target.kernels,
            "verdict": self.verdict,
            "fits": {"fits": True, "not judged": None}.get(self.verdict, False),
        }
        if self.costs is None or self.budget is None:
            return entry | {"refused": self.refused}
        exact = ("sram_bytes", "flash_bytes", "model_bytes", "macs", "instructions")
        names = (*exact, "cycles", "cycles_low", "cycles_high")
        times = ("latency_us", "latency_low_us", "latency_high_us", "energy_uj", "energy_high_uj")
        entry |= {name: getattr(self.costs, name) for name in names}
        for name in times:
            value = getattr(self.costs, name)
            entry[name] = None if value is None else round(value, 3)
        entry |= {
            "basis": self.basis,
            "limits": dict(self.budget.limits()),
            "violations": [
                {"resource": each.resource, "value": each.value, "limit": each.limit}
                for each in self.violations
            ],
            "not_judged": list(self.unjudged),
        }
        if self.budget.duty is not None:
            entry["duty_cycle"] = None if self.cycle is None else self.cycle.as_json()
        kinds = {"uncounted": self.costs.uncounted, "bounded": self.bounded, "faults": self.faults}
        return entry | {name: list(each) for name, each in kinds.items() if each}


def chosen_targets(text: str) -> tuple[Target, ...]:
    """The targets of `--targets`: "all" that are shipped, or names and TOML files with commas between.

    Raises:
        UserError: A name or file that is not a target, or named twice.
    """
    if text.strip() == ALL:
        return tuple(map(load_target, list_targets()))
    if text.endswith(".tflite"):
        raise UserError(
            f"--targets takes {text} for a target.", f"Name the model first: nas-cost {text} --targets all."
        )
    chosen: list[Target] = []
    for name in (part.strip() for part in text.split(",")):
        if not name:
            raise UserError(
                f"--targets {text!r} has an empty part.",
                "Write it like nrf52840,rp2040,my_board.toml, or all.",
            )
        if name == ALL:
            raise UserError("--targets names all and more.", "Write all alone, or the names.")
        target = load_target(name)
        if target.name in (each.name for each in chosen):
            raise UserError(f"--targets names {target.name} twice.", "Name each once.")
        chosen.append(target)
    return tuple(chosen)


def models_of(targets: Sequence[Target]) -> tuple[CostModel | OnTarget, ...]:
    """The cost models of targets; of one for which there is none, the refusal that stands for any model on it."""

    def model(target: Target) -> CostModel | OnTarget:
        try:
            return CostModel(target)
        except UserError as error:
            return OnTarget(target=target, refused=str(error))

    return tuple(map(model, targets))


def judge(
    graph: OpGraph,
    size: int,
    models: Sequence[CostModel | OnTarget],
    given: Mapping[str, Fraction],
    *,
    certain: bool = False,
    period: Period | None = None,
) -> tuple[OnTarget, ...]:
    """Costs a model on each target: what fits comes first, and within that the fastest; unknown latency last.

    Args:
        graph: The model.
        size: Length of its file in bytes.
        models: Of the targets, see `models_of`.
        given: Limits as `parse_limits` reads them; memory that is not among them comes from each target.
        certain: Hold predictions to the limits by the upper ends of their intervals.
        period: How often the chip infers; it limits the latency, and average power follows from it.
    """
    judged = [
        model if isinstance(model, OnTarget) else _judge(graph, size, model, given, certain, period)
        for model in models
    ]
    return tuple(sorted(judged, key=_place))


def _place(row: OnTarget) -> tuple[int, float, str]:
    costs = row.costs
    latency = None if costs is None or costs.at_least else costs.latency_us
    return _ORDER.index(row.verdict), math.inf if latency is None else latency, row.target.name


def _judge(
    graph: OpGraph,
    size: int,
    model: CostModel,
    given: Mapping[str, Fraction],
    certain: bool,
    period: Period | None,
) -> OnTarget:
    target = model.target
    try:
        explanation = model.explain(graph, file_bytes=size)
    except UserError as error:
        return OnTarget(target=target, refused=str(error))
    costs = explanation.costs
    duty = None if period is None else make_duty(target, period_us=period.us, charge_mah=period.charge_mah)
    cycle = None if duty is None else duty.cycle(costs)
    values = {name: cycle if name == "power" else getattr(costs, RESOURCES[name].field) for name in given}
    known = {name: limit for name, limit in given.items() if values[name] is not None}
    budget = budget_on(known, target, certain=certain, duty=duty)
    unjudged = budget.unjudged(costs)
    return OnTarget(
        target=target,
        costs=costs,
        basis=work_basis(explanation, model),
        budget=budget,
        violations=budget.violations(costs, known_only=True),
        unjudged=tuple(name for name in given if name not in known or name in unjudged),
        bounded=explanation.bounded,
        faults=explanation.faults,
        cycle=None if costs.at_least else cycle,
    )
