"""Writes cost_models/cycles/coefficients.json from measured figures: fit_cycles [CALIBRATION_FOLDER]."""

import json
import sys
from pathlib import Path

from cost_models.cycles.shipped import coefficient_document
from cost_models.cycles.table import COEFFICIENTS

HERE = Path(__file__).resolve().parent


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "shared" / "calibration"
    document = coefficient_document(folder, HERE / "kernel_counts.csv")
    COEFFICIENTS.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{COEFFICIENTS}: {len(document['tables'])} tables")


if __name__ == "__main__":
    main()
