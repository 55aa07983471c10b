"""`report.html`: one file that holds a run, opened from disk without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nas.model.metrics import METRICS
from nas.model.result import ChosenSummary, RunSummary, TrialSummary
from nas.model.words import listed
from nas.report import drawing, facts, quantities
from nas.report.boards import boards, boards_headline
from nas.report.curves import training_curves
from nas.report.groups import group_table
from nas.report.memory import arena_picture
from nas.report.picture import picture
from nas.report.predictions import scatters
from nas.report.quantities import CYCLES, ENERGY, FLASH, LATENCY, MACS, SRAM, Resource
from nas.report.time_use import time_use
from nas.report.uses import tight, uses
from nas.report.verdict import headline

if TYPE_CHECKING:
    from jinja2 import Environment

# Classes and characters, beyond which a confusion matrix stands its headings on end.
_MOST_WIDE, _LONG_NAME = 12, 8
_RELOAD_SECONDS = 15
_MOST_CHANNELS = 64  # that a table lists
_COSTS = (SRAM, FLASH, MACS, CYCLES, LATENCY, ENERGY)


def write_report(
    path: Path, summary: RunSummary, write: Callable[[Path, bytes], object] = Path.write_bytes
) -> None:
    """Write the report of a run; the same summary gives the same bytes.

    The file carries plotly.js (its full bundle, about 4.8 MB: the plotly package ships no smaller one), and a
    content security policy that forbids it every request.

    Args:
        path: The HTML file.
        summary: What the run wrote to `result.json`.
        write: Puts the page in place.
    """
    write(path, render(summary).encode())


def render(summary: RunSummary) -> str:
    """The report's HTML."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment, source = template_environment()
    return environment.get_template("report.html.j2").render(
        **_context(summary),
        css=Markup(source("report.css")),
        script=Markup(source("report.js")),
        plotly=Markup(get_plotlyjs()),
    )


def template_environment() -> tuple[Environment, Callable[[str], str]]:
    """The templates with their filters, and a reader of the files next to them."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    loader = PackageLoader("nas.report", "templates")
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": quantities.percent,
        "kilobytes": quantities.kilobytes,
        "count": quantities.count,
        "validation": facts.validation,
        "link": _link,
        "seconds": quantities.seconds,
        "choices": quantities.choices,
    }
    return environment, lambda name: loader.get_source(environment, name)[0]


def _context(summary: RunSummary) -> dict[str, Any]:
    chosen = summary.chosen
    trials = summary.trials
    rows = boards(summary)
    limits = uses(summary, chosen.costs) if chosen else []
    return {
        "s": summary,
        "chosen": chosen,
        "npu": facts.npu_lines(chosen.npu) if chosen and chosen.npu else [],
        "headline": headline(summary),
        "progress": summary.progress,
        "reload_seconds": _RELOAD_SECONDS,
        "interval_name": METRICS[summary.task.metric].interval_name,
        "boards": rows,
        "boards_headline": boards_headline(rows, running=summary.progress is not None),
        "duty": facts.duty_lines(chosen) if chosen else [],
        "robustness": facts.robustness_text(chosen) if chosen else "",
        "quantization": facts.quantization_text(summary),
        "trained_on": facts.trained_on_text(summary),
        "optimism": facts.optimism_of(summary, folds=False),
        "folds": facts.folds_text(summary),
        "began_from": facts.began_from_text(summary),
        "numbers_text": facts.numbers_text(chosen.tested) if chosen and chosen.tested.numbers else "",
        "groups": group_table(summary),
        "scatters": scatters(chosen) if chosen else [],
        "group_text": facts.group_text(summary) if chosen else "",
        "anomaly_text": facts.anomaly_text(summary) if chosen else "",
        "front_end": facts.front_end_notes(summary),
        "metric_word": facts.metric(summary),
        "metric": quantities.sentence(facts.metric(summary)),
        "stopped": facts.STOPPED.get(summary.stopped_by, summary.stopped_by),
        "counts": facts.counts_by_state(summary),
        "warnings": chosen.warnings if chosen else (),
        "uses": limits,
        "tight": tight(limits),
        "engine": facts.engine_title(chosen.tested.engine) if chosen else "",
        "picture": picture(summary),
        "front": facts.front(summary),
        "full": all(trial.rung == "full" for trial in facts.front(summary)),
        "front_costs": _known(facts.front(summary)),
        "trials": trials,
        "trial_costs": _known(trials),
        "calibrated": any(t.known_costs.get("cycles") is not None for t in trials),
        "layers": _layers(chosen) if chosen else None,
        "curves": training_curves(summary) if chosen else None,
        "network": drawing.network(chosen.layers) if chosen else (),
        "arena": arena_picture(chosen.timeline, chosen.arena_bytes or chosen.costs.get("sram_bytes"))
        if chosen
        else None,
        "confusion": _confusion(summary) if chosen and chosen.confusion else None,
        "rejections": facts.rejections(summary),
        "misses": facts.closest_misses(summary),
        "failures": facts.failures(summary),
        "time": time_use(summary),
        "data": _data(summary.data),
        "settings": {
            "Configuration": _rows(summary.config),
            "Target": _rows(summary.target.model_dump(exclude_unset=True)),
            "Data": _rows(summary.task.model_dump(exclude_unset=True)),
            "Versions": _rows(summary.versions),
        },
        "interval_text": quantities.interval_text,
        "cost_text": quantities.cost_text,
        "duration_us": quantities.duration_us,
    }


def _data(report: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The data report by rows: a class, a part and a channel each; channels of many are left out."""
    if not report:
        return None
    parts = report["parts"]
    channels = range(len(report["levels"])) if len(report["levels"]) <= _MOST_CHANNELS else ()
    return {
        "head": f"{report['taken_as']}, {report['raw_type']}",
        "parts": list(parts.items()),
        "classes": [
            (name, [part["classes"][index] for part in parts.values()])
            for index, name in enumerate(report["class_names"])
        ],
        "targets": [
            (
                name,
                [
                    f"{part['targets'][index][0]:.6g} to {part['targets'][index][1]:.6g}"
                    for part in parts.values()
                ],
            )
            for index, name in enumerate(report.get("targets", ()))
        ],
        "channels": [
            (
                channel,
                [f"{part['low'][channel]:.6g} to {part['high'][channel]:.6g}" for part in parts.values()],
                report["levels"][channel],
            )
            for channel in channels
            if channel < len(parts["train"]["low"])
        ],
        "notes": report["notes"],
    }


def _known(trials: Sequence[TrialSummary]) -> list[Resource]:
    """The costs that at least one trial has."""
    return [r for r in _COSTS if any(t.known_costs.get(r.key) is not None for t in trials)]


def _layers(chosen: ChosenSummary) -> dict[str, Any]:
    """The chosen model's operators with their share of the best-known measure of work."""
    layers = chosen.layers
    work = next(
        (key for key in ("cycles", "instructions") if any(layer.get(key) is not None for layer in layers)),
        "macs",
    )
    total = sum(layer.get(work) or 0 for layer in layers)
    live = {step["index"]: step["bytes"] for step in chosen.timeline}
    rows = [
        {
            **layer,
            "shape": " × ".join(map(str, layer["output_shape"])),
            "share": (layer.get(work) or 0) / total if total else 0.0,
            "live": live.get(layer["index"]),
            "weights": layer.get("weight_bytes"),
        }
        for layer in layers
    ]
    names = {"cycles": "cycles", "instructions": "instructions", "macs": "MACs"}
    return {"rows": rows, "work": names[work], "key": work}


def _confusion(summary: RunSummary) -> dict[str, Any]:
    """Counts with the shade of each cell, recall by row, precision by column and the worst mix-ups."""
    assert summary.chosen is not None
    counts = summary.chosen.confusion
    names = [str(name) for name in summary.task.class_names]
    names += [str(index) for index in range(len(names), len(counts))]
    of_row = [sum(row) for row in counts]
    of_column = [sum(column) for column in zip(*counts, strict=True)]
    right = [row[index] for index, row in enumerate(counts)]
    wrong = [
        (counts[i][j], names[i], names[j])
        for i in range(len(counts))
        for j in range(len(counts))
        if i != j and counts[i][j]
    ]
    return {
        "names": names[: len(counts)],
        "narrow": len(counts) > _MOST_WIDE or max(map(len, names), default=0) > _LONG_NAME,
        "rows": [
            {
                "name": names[i],
                "cells": [
                    {"count": c, "shade": c / of_row[i] if of_row[i] else 0.0, "right": i == j}
                    for j, c in enumerate(row)
                ],
                "recall": right[i] / of_row[i] if of_row[i] else None,
            }
            for i, row in enumerate(counts)
        ],
        "precision": [right[j] / total if total else None for j, total in enumerate(of_column)],
        "worst": sorted(wrong, key=lambda entry: (-entry[0], entry[1], entry[2]))[:5],
    }


# How the values of some keys are written; the others stand as they are.
_MOST_NAMES = 12
_WRITTEN: Mapping[str, Callable[[Any], str]] = {
    "clock_hz": lambda value: f"{value / 1e6:g} MHz",
    "timeout": quantities.seconds,
    "trial_timeout": quantities.seconds,
    "input_shape": lambda value: " × ".join(map(str, value)),
    "samples": lambda value: ", ".join(f"{part} {count:,}" for part, count in value.items()),
    "steps": lambda value: f"{value:,}",
    "final_steps": lambda value: f"{value:,}",
    "trials": lambda value: f"{value:,}",
}


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values as people read them; what was not set is left out."""
    return [
        (key.replace("_hz", "").replace("_", " "), _WRITTEN.get(key, _plain)(value))
        for key, value in values.items()
        if value is not None and value != ""
    ]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return listed([*map(_plain, value)], _MOST_NAMES)
    return str(value)


def _link(path: str) -> str:
    """A path beside the report as a link; never a scheme that a name could smuggle in."""
    return "./" + quote(path.strip("/")) + "/"
