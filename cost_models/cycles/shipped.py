"""Makes the coefficient file that the package ships: a table per kernel library and core."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cost_models.cycles.calibration import cross_validate, fit_table, spreads
from cost_models.cycles.fit import Sample, fit_paths
from cost_models.cycles.measurements import MeasuredRun, read_kernels, read_runs
from cost_models.cycles.paths import FEATURES

_MODELS = "whole models under QEMU: tflite-micro 90b983c2, CMSIS-NN 4ab83cc3, GCC 12.2.1"
_KERNELS = "CMSIS-NN kernels called bare under QEMU: CMSIS-NN 4ab83cc3, GCC 12.2.1 -O2"
_DERIVED = "{kernels}; the interpreter around them and TFLM's own kernels taken from the Cortex-M4"
# TFLM's own kernels that no measured model has: instructions per operator and element on the Cortex-M4, by least
# squares on 60 models in a full TFLM build under QEMU; and whose ratio other cores take them in.
_BESIDE = {
    "relu": ({"operator": 254.0, "elements": 49.7}, "softmax"),
    "relu6": ({"operator": 251.0, "elements": 14.0}, "mean"),
}
# A derived core's interval is several times a counted one's. Full TFLM builds for the Cortex-M3 under QEMU, which
# no fit saw: 143 models, median error 0.4 %, worst 5 % (a network of 20,000 instructions).
_DERIVED_SPREADS = (0.006, 0.02)


def coefficient_document(folder: Path, kernel_table: Path) -> dict[str, Any]:
    """The content of `coefficients.json`.

    Args:
        folder: Calibration folder with whole models.
        kernel_table: Bare kernel counts (`scripts/kernel_counts.csv`).
    """
    kernels = read_kernels(kernel_table)
    runs: dict[tuple[str, str], list[MeasuredRun]] = defaultdict(list)
    for run in read_runs(folder):
        runs[run.kernels, run.core].append(run)
    tables: dict[str, Any] = {}
    for (library, core), measured in sorted(runs.items()):
        bare = bare_kernels(kernels[core], library)
        source = f"{_MODELS}; {_KERNELS}" if library == "cmsis_nn" else _MODELS
        table = fit_table(measured, bare, source)
        residuals = cross_validate(measured, bare)
        table["spread_model"], table["spread_operator"] = (
            round(spread, 5)
            for spread in spreads([r.instructions for r in residuals], [r.share for r in residuals])
        )
        tables[f"{library} {core}"] = table
    donor = tables["cmsis_nn cortex-m4"]
    ratio = _ratio(donor)
    for path, (counts, _) in _BESIDE.items():
        donor["instructions"][path] = counts
        donor["cycles"][path] = {name: round(count * ratio, 3) for name, count in counts.items()}
    for table in tables.values():
        if table is not donor:
            _borrow(table, donor)
    tables["cmsis_nn cortex-m3"] = _derive(kernels["cortex-m3"], donor)
    return {"tables": dict(sorted(tables.items()))}


def bare_kernels(samples: Sequence[Sample], library: str) -> list[Sample]:
    """The bare kernels that a library has: the portable one shares TFLM's own with CMSIS-NN's."""
    return [sample for sample in samples if library == "cmsis_nn" or sample.path == "mean"]


def _borrow(table: dict[str, Any], donor: dict[str, Any]) -> None:
    """Fills TFLM's own kernels that a core was not measured with, in the ratio of one that it was."""
    wanted = {
        "logistic": "softmax",
        "mul_broadcast": "softmax",
        **{path: alike for path, (_, alike) in _BESIDE.items()},
    }
    for measure in ("instructions", "cycles"):
        for path, alike in wanted.items():
            if path not in table[measure] and alike in table[measure]:
                scale = _per_element(table[measure][alike]) / _per_element(donor[measure][alike])
                table[measure][path] = {
                    feature: round(value * scale, 3) for feature, value in donor[measure][path].items()
                }
        # The portable library shares these kernels, and its core with the donor, which has more samples of them.
        if "softmax" not in table[measure]:
            table[measure].update({path: donor[measure][path] for path in wanted})


def _per_element(entry: dict[str, float]) -> float:
    """What an element costs; a mean's is that of four dimensions with the middle two reduced."""
    steps = {"elements": 1, "elements*rank": 4, "elements*comparisons": 7, "elements*kept": 2}
    return sum(entry.get(name, 0.0) * count for name, count in steps.items())


def _derive(bare: Sequence[Sample], donor: dict[str, Any]) -> dict[str, Any]:
    """The table of a core that no model was measured on: its kernels bare, the rest from the donor."""
    instructions: dict[str, dict[str, float]] = {
        path: dict(values) for path, values in donor["instructions"].items() if not path.endswith("_dsp")
    }
    for path, values in fit_paths(bare).items():
        alike = donor["instructions"].get(path) or donor["instructions"].get(
            path.replace("_scalar", "_dsp"), {}
        )
        named = {
            name: round(value, 3) for name, value in zip(FEATURES[path], values, strict=True) if value > 5e-4
        }
        named["operator"] = alike.get("operator", named.get("operator", 0.0))
        instructions[path] = named
    return {
        **donor,
        "source": _DERIVED.format(kernels=_KERNELS),
        "spread_model": _DERIVED_SPREADS[0],
        "spread_operator": _DERIVED_SPREADS[1],
        "instructions": dict(sorted(instructions.items())),
        "cycles": {
            path: {name: round(value * _ratio(donor), 3) for name, value in values.items()}
            for path, values in sorted(instructions.items())
        },
    }


def _ratio(table: dict[str, Any]) -> float:
    ratio: float = table["dispatch"][1] / table["dispatch"][0]
    return ratio
