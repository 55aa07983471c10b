"""Makes the coefficient file that the package ships: a table per kernel library and core."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cost_models.cycles import decoding, matmul, portable, recurrent, reference, signal, wide
from cost_models.cycles.calibration import cross_validate, fit_table, path_spreads, spreads
from cost_models.cycles.fit import Sample, fit_paths
from cost_models.cycles.instruction_cycles import CYCLES_PER_INSTRUCTION
from cost_models.cycles.measurements import PORTABLE, MeasuredRun, read_kernels, read_portable, read_runs
from cost_models.cycles.paths import FEATURES

_MODELS = "whole models under QEMU: tflite-micro 90b983c2, CMSIS-NN 4ab83cc3, GCC 12.2.1"
_KERNELS = "CMSIS-NN kernels called bare under QEMU: CMSIS-NN 4ab83cc3, GCC 12.2.1 -O2"
_DERIVED = "{kernels}; the interpreter around them taken from the Cortex-M4"
# Paths that are counted operator by operator, apart from the models.
_COUNTED_APART = {
    **portable.FEATURES,
    **matmul.FEATURES,
    **recurrent.FEATURES,
    **wide.FEATURES,
    **decoding.FEATURES,
}
# How far TFLM's portable kernels differ between cores with the same floating-point unit: the M7 and the M33 by 11 % at
# the 90th percentile.
_BORROWED_SPREAD = 0.08
# RISC-V: single operators alone. What the interpreter adds to each and to an inference is exact in 260 whole models
# that no fit saw; the spreads hold 90 % of those of odd shapes.
_RISCV = "single operators under QEMU: {build}, GCC 12.2.0 for rv32imc, newlib's memcpy and memset"
_RISCV_BUILDS = {
    "esp_nn": "esp-tflite-micro 99f49e14 -O3, ESP-NN d45b843c -O2",
    "reference": "tflite-micro 90b983c2 -O3",
}
_RISCV_INTERPRETER = (10.0, 106.0)
_RISCV_SPREADS = (0.006, 0.02)
# A derived core's interval is several times a counted one's. Full TFLM builds for the Cortex-M3 under QEMU, which
# no fit saw: 143 models, median error 0.4 %, worst 5 % (a network of 20,000 instructions).
_DERIVED_SPREADS = (0.006, 0.02)


def coefficient_document(
    folder: Path, kernel_counts: Path, operator_counts: Sequence[Path]
) -> dict[str, Any]:
    """The content of `coefficients.json`.

    Args:
        folder: Calibration folder with whole models.
        kernel_counts: Bare kernel counts (`scripts/kernel_counts.csv`).
        operator_counts: Counts of single operators: TFLM's portable kernels, its signal operators, and operators that
            no measured model has (`scripts/portable_counts.csv`, `signal_counts.csv`, `operator_counts.csv`).
    """
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for counts in operator_counts:
        for key, values in read_portable(counts).items():
            samples[key].extend(values)
    kernels = read_kernels(kernel_counts)
    runs: dict[tuple[str, str], list[MeasuredRun]] = defaultdict(list)
    for run in read_runs(folder):
        runs[run.kernels, run.core].append(run)
    tables: dict[str, Any] = {}
    for (library, core), measured in sorted(runs.items()):
        measured_paths = {op.path for run in measured for op in run.operators}
        shared = [
            each
            for each in samples.get(("cmsis_nn", core), [])
            if each.path not in _COUNTED_APART or each.path in measured_paths
        ]
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
        # Of those that were counted the M33 has the floating-point unit of these cores.
        if table is not donor and name.startswith("cmsis_nn"):
            _borrow_portable(table, tables["cmsis_nn cortex-m33"])
    tables["cmsis_nn cortex-m3"] = _derive(
        kernels["cortex-m3"], samples.get(("cmsis_nn", "cortex-m3"), []), donor
    )
    for library, build in _RISCV_BUILDS.items():
        tables[f"{library} riscv32"] = _of_single_operators(samples, library, _RISCV.format(build=build))
    return {"tables": dict(sorted(tables.items()))}


def _of_single_operators(
    samples: Mapping[tuple[str, str], Sequence[Sample]], library: str, source: str
) -> dict[str, Any]:
    """The table of a RISC-V core, of which no whole model was given: each kernel by its operators."""
    ratio = CYCLES_PER_INSTRUCTION["riscv32"]
    dispatch, invoke = ([round(part, 2), round(ratio * part, 2)] for part in _RISCV_INTERPRETER)
    table: dict[str, Any] = {
        "source": source,
        "dispatch": dispatch,
        "invoke": invoke,
        "spread_model": _RISCV_SPREADS[0],
        "spread_operator": _RISCV_SPREADS[1],
        "instructions": {},
        "cycles": {},
    }
    own = [*samples.get((library, "riscv32"), ())]
    if library != "reference":
        # What a library does not bring is TFLM's own.
        own += [s for s in samples.get(("reference", "riscv32"), ()) if s.path not in reference.FEATURES]
    add_portable(table, own)
    return table


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
    table["spread_by_path"] = table.get("spread_by_path", {}) | {
        path: spread for path, spread in path_spreads(new).items() if spread > table["spread_operator"]
    }


def bare_kernels(samples: Sequence[Sample], library: str) -> list[Sample]:
    """The bare kernels that a library has: the portable one shares TFLM's own with CMSIS-NN's."""
    return [
        sample
        for sample in samples
        if library == "cmsis_nn" or sample.path in PORTABLE or sample.path in portable.FEATURES
    ]


def _borrow_portable(table: dict[str, Any], donor: dict[str, Any]) -> None:
    """The portable kernels that were counted on the donor and not on this core: as they are there, less certain."""
    ratio = _ratio(table)
    for path in (*_COUNTED_APART, *signal.FEATURES):
        if path in donor["instructions"] and path not in table["instructions"]:
            values = donor["instructions"][path]
            table["instructions"][path] = dict(values)
            table["cycles"][path] = {name: round(value * ratio, 3) for name, value in values.items()}
            table["spread_by_path"][path] = max(_BORROWED_SPREAD, donor["spread_by_path"].get(path, 0.0))


def _derive(bare: Sequence[Sample], own: Sequence[Sample], donor: dict[str, Any]) -> dict[str, Any]:
    """The table of a core that no model was measured on: its kernels bare, single operators, the rest the donor's."""
    counted = {sample.path for sample in own}
    instructions: dict[str, dict[str, float]] = {
        path: dict(values)
        for path, values in donor["instructions"].items()
        if path not in counted and not path.endswith("_dsp") and not portable.takes_floats(path)
    }
    # Kernels that were counted both bare and by the interpreter are fitted to both.
    shared = [sample for sample in own if sample.path not in _COUNTED_APART]
    whole = {sample.path for sample in shared}
    for path, values in fit_paths([*bare, *shared]).items():
        alike = donor["instructions"].get(path) or donor["instructions"].get(
            path.replace("_scalar", "_dsp"), {}
        )
        named = {
            name: round(value, 3) for name, value in zip(FEATURES[path], values, strict=True) if value > 5e-4
        }
        if path not in PORTABLE and path not in whole:
            named["operator"] = alike.get("operator", named.get("operator", 0.0))
        instructions[path] = named
    table = {
        **donor,
        "source": _DERIVED.format(kernels=_KERNELS),
        "spread_model": _DERIVED_SPREADS[0],
        "spread_operator": _DERIVED_SPREADS[1],
        "instructions": dict(sorted(instructions.items())),
        "cycles": {
            path: {name: round(value * _ratio(donor), 3) for name, value in values.items()}
            for path, values in sorted(instructions.items())
        },
        "spread_by_path": {
            path: spread for path, spread in donor["spread_by_path"].items() if path in instructions
        },
    }
    add_portable(table, own)
    return table


def _ratio(table: dict[str, Any]) -> float:
    ratio: float = table["dispatch"][1] / table["dispatch"][0]
    return ratio
