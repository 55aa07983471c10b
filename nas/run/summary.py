"""The result of a run as one JSON value: what result.json holds, `--json` prints and the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cost_models.arena import timeline
from cost_models.budget import Budget
from cost_models.costing import CostModel, Costs
from cost_models.duty_cycle import Duty, rests_on
from cost_models.graph import OpGraph
from cost_models.target import Target
from nas.model.metrics import METRICS
from nas.model.policy import POLICIES
from nas.model.quality import quality_warnings
from nas.model.records import TrialRecord
from nas.model.result import SCHEMA
from nas.model.trained import Accuracy, FrontEndSpec, TaskInfo
from nas.run.config import RunConfig
from nas.strategy.pareto import pareto_front


def summarize(
    *,
    run: str,
    started: str,
    seconds: float,
    stopped_by: str,
    config: RunConfig,
    versions: Mapping[str, str],
    target: Target,
    budget: Budget,
    notes: Sequence[str],
    task: TaskInfo,
    front_ends: Mapping[str, FrontEndSpec],
    records: Sequence[TrialRecord],
    chosen: Mapping[str, Any] | None,
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """The whole result; `data` is the data report as JSON values, `front_ends` are those that were searched."""
    return {
        "schema": SCHEMA,
        "run": run,
        "started": started,
        "seconds": round(seconds, 3),
        "stopped_by": stopped_by,
        "config": config.shown(),
        "versions": dict(versions),
        "target": {
            "name": target.name,
            "title": target.title,
            "core": target.core,
            "kernels": target.kernels,
            "clock_hz": target.clock_hz,
            "basis": None if target.cycle_rates is None else target.cycle_rates.basis,
        },
        "budget": [{"resource": resource, "limit": limit, "note": ""} for resource, limit in budget.limits()],
        "notes": [*budget.notes, *notes],
        "task": {
            "name": task.name,
            "input_shape": list(task.input_shape),
            "class_names": list(task.class_names),
            "targets": [asdict(one) for one in task.targets],
            "samples": dict(task.samples),
            "metric": task.metric,
            "false_alarms": task.false_alarms,
            "frontend": None if task.frontend is None else _front_end_json(task.frontend),
            "front_ends": {name: _front_end_json(spec) for name, spec in front_ends.items()},
            "source": task.source,
            "licence": task.licence,
        },
        "data": dict(data),
        "trials": [record.summary() for record in records],
        "front": [record.number for record in pareto_front(records)],
        "chosen": None if chosen is None else dict(chosen),
        "time": {"share": shares(records)},
    }


def board_summary(part: Mapping[str, Any]) -> dict[str, Any]:
    """What a run for several boards says of one: its result without what all boards share."""
    name, chosen = part["target"]["name"], part["chosen"]
    return {
        "target": part["target"],
        "folder": name,
        "budget": part["budget"],
        "notes": part["notes"],
        "front": part["front"],
        "chosen": None
        if chosen is None
        else {
            key: chosen.get(key)
            for key in ("number", "policy", "digest", "test_accuracy", "warnings", "costs", "duty_cycle")
        }
        | {"bundle": f"{name}/{chosen['bundle']}"},
    }


def _front_end_json(spec: FrontEndSpec) -> dict[str, Any]:
    """A front end as plain values, of which it can be made again."""
    return {"kind": spec.kind, "settings": spec.settings, "clip_samples": spec.clip_samples}


def chosen_model(
    *,
    record: TrialRecord,
    config: RunConfig,
    accuracy: Accuracy,
    validation: Accuracy,
    class_names: Sequence[str],
    model: CostModel,
    graph: OpGraph,
    model_bytes: int,
    bundle: str | None,
    duty: Duty | None,
    taken: Mapping[str, float],
) -> dict[str, Any]:
    """The chosen model with its parts: layers, memory over time, accuracy on the test set, average power.

    Its costs are with what its front end takes, where that was searched (`taken`).
    """
    explanation = model.explain(graph, file_bytes=model_bytes)
    cycle = None if duty is None else duty.cycle(explanation.costs)
    low, high = accuracy.value_interval()
    score_low, score_high = accuracy.objective_interval()
    return {
        "number": record.number,
        "policy": POLICIES[config.policy].format(metric=METRICS[accuracy.metric].label),
        "digest": record.digest,
        "test_accuracy": {
            "engine": accuracy.engine,
            "correct": accuracy.correct,
            "total": accuracy.total,
            "value": accuracy.value,
            "low": low,
            "high": high,
            "score": accuracy.objective,
            "score_low": score_low,
            "score_high": score_high,
            "threshold": accuracy.threshold,
            "metric": accuracy.metric,
            "disturbed": accuracy.disturbed,
            "numbers": [asdict(one) for one in accuracy.numbers],
            "groups": None if accuracy.groups is None else asdict(accuracy.groups),
        },
        "validation_accuracy": {
            "engine": validation.engine,
            "correct": validation.correct,
            "total": validation.total,
            "value": validation.value,
            "score": validation.objective,
        },
        "warnings": list(
            quality_warnings((validation, accuracy), class_names, one_model=record.retrains is None)
        ),
        "predictions": [asdict(one) for one in accuracy.predictions],
        "confusion": [list(row) for row in accuracy.confusion],
        "layers": [
            {
                "index": part.index,
                "op": part.kind,
                "output_shape": list(graph.tensors[graph.operators[part.index].outputs[0]].shape),
                "sources": _sources(graph, part.index),
                "macs": part.macs,
                "instructions": part.instructions,
                "cycles": part.cycles,
                "weight_bytes": _constant_bytes(graph, part.index),
            }
            for part in explanation.operators
        ],
        "timeline": _timeline(graph, model.target),
        "bundle": bundle,
        "costs": costs_json(explanation.costs.plus(taken)) | ({} if cycle is None else cycle.costs_json()),
        "duty_cycle": None
        if cycle is None
        else cycle.as_json() | {"text": cycle.text(), "rests_on": rests_on(model.target)},
    }


def costs_json(costs: Costs) -> dict[str, Any]:
    """Costs as plain values."""
    return {name: getattr(costs, name) for name in costs.__slots__}


def shares(records: Sequence[TrialRecord]) -> dict[str, float]:
    """Share of the workers' time by stage."""
    spent: dict[str, float] = {}
    for record in records:
        for stage, seconds in record.seconds.items():
            spent[stage] = spent.get(stage, 0.0) + seconds
    whole = sum(spent.values())
    return {stage: round(seconds / whole, 4) for stage, seconds in sorted(spent.items())} if whole else {}


def _constant_bytes(graph: OpGraph, index: int) -> int:
    inputs = graph.operators[index].inputs
    return sum(graph.tensors[i].data_bytes for i in inputs if i >= 0)


def _sources(graph: OpGraph, index: int) -> list[int]:
    """The operators whose outputs an operator reads; -1 stands for the network's input."""
    makers = {tensor: i for i, op in enumerate(graph.operators) for tensor in op.outputs}
    read = (t for t in graph.operators[index].inputs if t >= 0 and not graph.tensors[t].is_constant)
    return [makers.get(tensor, -1) for tensor in read]


def _timeline(graph: OpGraph, target: Target) -> list[dict[str, Any]]:
    steps = timeline(graph, kernels=target.kernels, core=target.core).steps
    return [
        {
            "index": step.operator,
            "op": graph.operators[step.operator].kind,
            "bytes": step.live_bytes,
            "live": [
                {"name": _buffer_name(graph, buffer.tensor), "bytes": buffer.size, "offset": buffer.offset}
                for buffer in step.buffers
            ],
        }
        for step in steps
    ]


def _buffer_name(graph: OpGraph, tensor: int | None) -> str:
    if tensor is None:
        return "scratch"
    if tensor in graph.inputs:
        return "input"
    maker = next((i for i, op in enumerate(graph.operators) if tensor in op.outputs), None)
    return "tensor" if maker is None else f"{graph.operators[maker].kind} {maker}"
