"""Makes the coefficient file that the package ships: a table per kernel library and core."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cost_models.cycles import portable, signal
from cost_models.cycles.calibration import cross_validate, fit_table, path_spreads, spreads
from cost_models.cycles.fit import Sample, fit_paths
from cost_models.cycles.measurements import PORTABLE, MeasuredRun, read_kernels, read_portable, read_runs
from cost_models.cycles.paths import FEATURES

_MODELS = "whole models under QEMU: tflite-micro 90b983c2, CMSIS-NN 4ab83cc3, GCC 12.2.1"
_KERNELS = "CMSIS-NN kernels called bare under QEMU: CMSIS-NN 4ab83cc3, GCC 12.2.1 -O2"
_DERIVED = "{kernels}; the interpreter around them and TFLM's own kernels taken from the Cortex-M4"
# What was measured on the Cortex-M4 alone, and a kernel of the same kind that every core was counted with.
_BORROWED = {"mul_broadcast": "softmax"}
# How far TFLM's portable kernels differ between cores with the same floating-point unit: the M7 and the M33 by 11 % at
# the 90th percentile.
_BORROWED_SPREAD = 0.08
# A derived core's interval is several times a counted one's. Full TFLM builds for the Cortex-M3 under QEMU, which
# no fit saw: 143 models, median error 0.4 %, worst 5 % (a network of 20,000 instructions).
_DERIVED_SPREADS = (0.006, 0.02)


def coefficient_document(
    folder: Path, kernel_counts: Path, portable_counts: Path, signal_counts: Path
) -> dict[str, Any]:
    """The content of `coefficients.json`.

    Args:
        folder: Calibration folder with whole models.
        kernel_counts: Bare kernel counts (`scripts/kernel_counts.csv`).
        portable_counts: Counts of TFLM's portable kernels (`scripts/portable_counts.csv`).
        signal_counts: Counts of its signal operators (`scripts/signal_counts.csv`).
    """
    samples = read_portable(portable_counts)
    for key, found in read_portable(signal_counts).items():
        samples[key].extend(found)
    kernels = read_kernels(kernel_counts)
    runs: dict[tuple[str, str], list[MeasuredRun]] = defaultdict(list)
    for run in read_runs(folder):
        runs[run.kernels, run.core].append(run)
    tables: dict[str, Any] = {}
    for (library, core), measured in sorted(runs.items()):
        shared = [each for each in samples.get(("cmsis_nn", core), []) if each.path not in portable.FEATURES]
        bare = bare_kernels([*kernels[core], *shared], library)
        source = f"{_MODELS}; {_KERNELS}" if library == "cmsis_nn" else _MODELS
        table = fit_table(measured, bare, source)
        residuals = cross_validate(measured, bare)
        table["spread_model"], table["spread_operator"] = (
            round(spread, 5)
            for spread in spreads([r.instructions for r in residuals], [r.share for r in residuals])
        )
        own = samples.get((library, core), [])
        if library != "cmsis_nn":
            # The kernels that a library does not bring are the same in all.
            counted = {sample.path for sample in own}
            own = own + [
                sample for sample in samples.get(("cmsis_nn", core), []) if sample.path not in counted
            ]
        add_portable(table, own)
        tables[f"{library} {core}"] = table
    donor = tables["cmsis_nn cortex-m4"]
    for name, table in tables.items():
        if table is not donor:
            _borrow(table, donor)
            if name.startswith("cmsis_nn"):
                # Of those that were counted the M33 has the floating-point unit of these cores.
                _borrow_portable(table, tables["cmsis_nn cortex-m33"])
    tables["cmsis_nn cortex-m3"] = _derive(kernels["cortex-m3"], donor)
    return {"tables": dict(sorted(tables.items()))}


def add_portable(table: dict[str, Any], samples: Sequence[Sample]) -> None:
    """Adds the paths of TFLM's portable kernels to a core's table, and how far each is off on shapes it never saw."""
    known = set(table["instructions"])
    new = [sample for sample in samples if sample.path not in known]
    ratio = _ratio(table)
    for path, values in fit_paths(new).items():
        named = {
            name: round(value, 3) for name, value in zip(FEATURES[path], values, strict=True) if value > 5e-4
        }
        table["instructions"][path] = named
        table["cycles"][path] = {name: round(value * ratio, 3) for name, value in named.items()}
    table["instructions"] = dict(sorted(table["instructions"].items()))
    table["cycles"] = dict(sorted(table["cycles"].items()))
    table["spread_by_path"] = {
        path: spread for path, spread in path_spreads(new).items() if spread > table["spread_operator"]
    }


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


def _borrow_portable(table: dict[str, Any], donor: dict[str, Any]) -> None:
    """The portable kernels that were counted on the donor and not on this core: as they are there, less certain."""
    ratio = _ratio(table)
    for path in (*portable.FEATURES, *signal.FEATURES):
        if path in donor["instructions"] and path not in table["instructions"]:
            values = donor["instructions"][path]
            table["instructions"][path] = dict(values)
            table["cycles"][path] = {name: round(value * ratio, 3) for name, value in values.items()}
            table["spread_by_path"][path] = max(_BORROWED_SPREAD, donor["spread_by_path"].get(path, 0.0))


def _derive(bare: Sequence[Sample], donor: dict[str, Any]) -> dict[str, Any]:
    """The table of a core that no model was measured on: its kernels bare, the rest from the donor."""
    instructions: dict[str, dict[str, float]] = {
        path: dict(values)
        for path, values in donor["instructions"].items()
        if not path.endswith("_dsp") and not portable.takes_floats(path)
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
