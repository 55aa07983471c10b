"""Writes cost_models/cycles/coefficients.json from measured figures: fit_cycles [CALIBRATION_FOLDER]."""

import json
import sys
from pathlib import Path

from cost_models.cycles.coefficients import coefficient_document
from cost_models.cycles.table import COEFFICIENTS
from cost_models.figures import run_on_figures

HERE = Path(__file__).resolve().parent


def fit(folder: Path, _: bool) -> None:
    document = coefficient_document(
        folder,
        HERE / "kernel_counts.csv",
        [HERE / f"{name}_counts.csv" for name in ("portable", "signal", "operator", "riscv")],
    )
    COEFFICIENTS.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{COEFFICIENTS}: {len(document['tables'])} tables")


if __name__ == "__main__":
    sys.exit(run_on_figures("fit_cycles", "Fit the cores' instructions and ideal cycles.", fit))
