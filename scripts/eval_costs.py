"""Prints how far every cost model is from what was measured: eval_costs [CALIBRATION_FOLDER] [--json]."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from cost_models.evaluation import as_markdown, evaluate
from cost_models.figures import run_on_figures

HERE = Path(__file__).resolve().parent


def compare(folder: Path, as_json: bool) -> None:
    rows = evaluate(folder, HERE)
    print(json.dumps([asdict(row) for row in rows], indent=1) if as_json else as_markdown(rows))


if __name__ == "__main__":
    sys.exit(run_on_figures("eval_costs", "How far every cost model is from what was measured.", compare))
