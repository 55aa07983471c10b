"""Prints how far every cost model is from what was measured: eval_costs [CALIBRATION_FOLDER] [--json]."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from cost_models.evaluation import as_markdown, evaluate

HERE = Path(__file__).resolve().parent


def main() -> None:
    names = [argument for argument in sys.argv[1:] if argument != "--json"]
    folder = Path(names[0]) if names else HERE.parents[1] / "shared" / "calibration"
    if not (folder / "runs.csv").is_file():
        sys.exit(f"eval_costs: {folder} holds no calibration figures. Give their folder: eval_costs FOLDER.")
    rows = evaluate(folder, HERE)
    print(json.dumps([asdict(row) for row in rows], indent=1) if "--json" in sys.argv else as_markdown(rows))


if __name__ == "__main__":
    main()
