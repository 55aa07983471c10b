"""Shifts the base of cost_models/code_size.json to the measured programs: fit_code_size [CALIBRATION_FOLDER].

The parts are what the linker's maps say and are not fitted. One constant is: the main program and start-up code
of the measured programs, the median over all of them, which every core shares. Prints the errors with each
operator set left out in turn.
"""

import json
import statistics
import sys
from pathlib import Path

from cost_models.code_size import TABLE
from cost_models.figures import run_on_figures
from cost_models.linked_code import base_shift, left_out_errors, linked_cases


def fit(folder: Path, _: bool) -> None:
    table = json.loads(TABLE.read_text())
    for kernels in ("cmsis_nn", "reference"):
        cases = linked_cases(folder, kernels)
        errors = [abs(error) for error in left_out_errors(cases)]
        shift = round(base_shift(cases))
        base = table["kernels"][kernels]["base_bytes"]
        base.update({core: size + shift for core, size in base.items()})
        print(
            f"{kernels}: {len(cases)} programs, shift {shift} B; left out in turn:"
            f" median {statistics.median(errors):.2%}, worst {max(errors):.2%}"
        )
    TABLE.write_text(_text(table))


def _text(table: dict) -> str:
    """JSON with one part a line, so that a change shows as one."""
    lines = ["{", f' "provenance": {json.dumps(table["provenance"], indent=2)},', ' "kernels": {']
    for number, (kernels, entry) in enumerate(table["kernels"].items(), 1):
        lines += [
            f'  "{kernels}": {{',
            f'   "base_bytes": {json.dumps(entry["base_bytes"])},',
            '   "parts": [',
        ]
        lines.append(",\n".join(f"    {json.dumps(part)}" for part in entry["parts"]))
        lines += ["   ]", "  }" + ("," if number < len(table["kernels"]) else "")]
    return "\n".join([*lines, " }", "}", ""])


if __name__ == "__main__":
    sys.exit(run_on_figures("fit_code_size", "Fit the base that all linked programs share.", fit))
