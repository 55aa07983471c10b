"""Makes the coefficient file that the package ships: a table per kernel library and core."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cost_models.cycles.calibration import cross_validate, fit_table, spreads
from cost_models.cycles.fit import Sample, fit_paths
from cost_models.cycles.measurements import PORTABLE, MeasuredRun, read_kernels, read_runs
from cost_models.cycles.paths import FEATURES

_MODELS = "whole models under QEMU: tflite-micro 90b983c2, CMSIS-NN 4ab83cc3, GCC 12.2.1"
_KERNELS = "CMSIS-NN kernels called bare under QEMU: CMSIS-NN 4ab83cc3, GCC 12.2.1 -O2"
_DERIVED = "{kernels}; the interpreter around them and TFLM's own kernels taken from the Cortex-M4"
# What was measured on the Cortex-M4 alone, and a kernel of the same kind that every core was counted with.
_BORROWED = {"mul_broadcast": "softmax"}
# A derived core's interval is several times a counted one's. Full TFLM builds for the Cortex-M3 under QEMU, which
# no fit saw: 143 models, median error 0.4 %, worst 5 % (a network of 20,000 instructions).
_DERIVED_SPREADS = (0.006, 0.02)


def coefficient_document(folder: Path, kernel_counts: Path) -> dict[str, Any]:
    """The content of `coefficients.json`.

    Args:
        folder: Calibration folder with whole models.
        kernel_counts: Bare kernel counts (`scripts/kernel_counts.csv`).
    """
    kernels = read_kernels(kernel_counts)
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
    for table in tables.values():
        if table is not donor:
            _borrow(table, donor)
    tables["cmsis_nn cortex-m3"] = _derive(kernels["cortex-m3"], donor)
    return {"tables": dict(sorted(tables.items()))}


def bare_kernels(samples: Sequence[Sample], library: str) -> list[Sample]:
    """The bare kernels that a library has: the portable one shares TFLM's own with CMSIS-NN's."""
    return [sample for sample in samples if library == "cmsis_nn" or sample.path in PORTABLE]


def _borrow(table: dict[str, Any], donor: dict[str, Any]) -> None:
    """Fills what was counted on the donor alone, in the ratio of a kernel that was counted on both."""
    for measure in ("instructions", "cycles"):
        for path, alike in _BORROWED.items():
            # The portable library shares these kernels, and its core with the donor, which has more samples of them.
            scale = 1.0
            if alike in table[measure]:
                scale = table[measure][alike]["elements"] / donor[measure][alike]["elements"]
            if path not in table[measure]:
                table[measure][path] = {
                    feature: round(value * scale, 3) for feature, value in donor[measure][path].items()
                }


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
        if path not in PORTABLE:
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
