"""Fits the rates of the shipped targets to published measurements: fit_boards [CALIBRATION_FOLDER]."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from cost_models.cores import CORES
from cost_models.cycles.board_facts import measured_boards
from cost_models.cycles.boards import fit_rates
from cost_models.cycles.class_fit import document_of, factor_of, few_models_rates, fit_classes
from cost_models.cycles.classes import CLASSES
from cost_models.cycles.published import (
    FEW_MODELS,
    LEAST_SPREAD,
    ONE_NETWORK,
    RELATED,
    SOURCES,
    published,
    quickest_operator,
)
from cost_models.cycles.table import core_table
from cost_models.figures import run_on_figures
from cost_models.rates_file import write_rates
from cost_models.target_file import load_target
from cost_models.target_names import TARGETS_FOLDER

HERE = Path(__file__).resolve().parent


def fit(folder: Path, _: bool) -> None:
    for name, source in (SOURCES | ONE_NETWORK).items():
        target = load_target(name)
        table = core_table(target.kernels, target.core)
        assert table is not None
        measured = published(name, folder, HERE / "mlperf_tiny_operators.csv")
        rates, check = fit_rates(
            measured,
            table=table,
            kernels=target.kernels,
            core=target.core,
            source=source,
            quickest=quickest_operator(name, folder),
        )
        least = LEAST_SPREAD.get(name, 0.0)
        rates = replace(
            rates,
            spread_model=max(rates.spread_model, least),
            spread_operator=max(rates.spread_operator, least),
        )
        write_rates(TARGETS_FOLDER / f"{name}.toml", rates)
        print(f"{name}: {check}")
        for other, (spread, why) in RELATED.get(name, {}).items():
            widened = replace(rates, spread_model=spread, spread_operator=spread, source=f"{why}: {source}")
            write_rates(TARGETS_FOLDER / f"{other}.toml", widened)
    factors = [factor_of(board) for board in measured_boards(folder, HERE)]
    for factor in factors:
        if factor.board.name in FEW_MODELS:
            rates = few_models_rates(factor, FEW_MODELS[factor.board.name])
            write_rates(TARGETS_FOLDER / f"{factor.board.name}.toml", rates)
            print(f"{factor.board.name}: {rates}")
    cores = sorted(
        {factor.board.core for factor in factors} | {name for name, core in CORES.items() if core.pipeline_of}
    )
    classes = fit_classes(factors, cores)
    CLASSES.write_text(json.dumps(document_of(classes), indent=1) + "\n", encoding="utf-8")
    for core, found in classes.items():
        print(f"{core}: {found}")


if __name__ == "__main__":
    sys.exit(run_on_figures("fit_boards", "Fit the rates of the shipped targets.", fit))
