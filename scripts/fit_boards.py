"""Fits the rates of the shipped targets to published measurements: fit_boards [CALIBRATION_FOLDER]."""

import sys
from dataclasses import replace
from pathlib import Path

from cost_models.cycles.boards import fit_rates
from cost_models.cycles.published import RELATED, SOURCES, published
from cost_models.cycles.table import core_table
from cost_models.figures import run_on_figures
from cost_models.rates_file import write_rates
from cost_models.target import TARGETS_FOLDER, load_target

HERE = Path(__file__).resolve().parent


def fit(folder: Path, _: bool) -> None:
    for name, source in SOURCES.items():
        target = load_target(name)
        table = core_table(target.kernels, target.core)
        assert table is not None
        measured = published(name, folder, HERE / "mlperf_tiny_operators.csv")
        rates, check = fit_rates(
            measured, table=table, kernels=target.kernels, core=target.core, source=source
        )
        write_rates(TARGETS_FOLDER / f"{name}.toml", rates)
        print(f"{name}: {check}")
        for other, (spread, why) in RELATED.get(name, {}).items():
            widened = replace(rates, spread_model=spread, spread_operator=spread, source=f"{why}: {source}")
            write_rates(TARGETS_FOLDER / f"{other}.toml", widened)


if __name__ == "__main__":
    sys.exit(run_on_figures("fit_boards", "Fit the rates of the shipped targets.", fit))
