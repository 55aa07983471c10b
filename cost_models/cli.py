"""`nas-cost`: what int8 .tflite files cost on a target, and whether they fit."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.command_line import Parser, run_command
from cost_models.errors import UserError
from cost_models.reading import LARGEST_MODEL_BYTES, read_bounded

if TYPE_CHECKING:
    from cost_models.budget import Budget
    from cost_models.costing import CostModel
    from cost_models.costing_report import ModelReport

FITS, DOES_NOT_FIT, USER_ERROR = 0, 1, 2

_EPILOG = """\
exit code: 0 every model fits, 1 one does not fit, 2 a mistake in what was given

examples:
  nas-cost model.tflite
  nas-cost a.tflite b.tflite --target stm32f446re --budget sram=64KB,latency=50ms
  nas-cost model.tflite --target my_board.toml --per-op --json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nas-cost`; the result goes to stdout, complaints to stderr.

    Returns:
        The exit code: 0 fits, 1 does not fit, 2 a user's mistake.
    """
    return run_command("nas-cost", lambda words: _run(_parser().read(words)), argv)


def _parser() -> Parser:
    parser = Parser(
        prog="nas-cost",
        description="What int8 .tflite models cost on a microcontroller, and whether they fit.",
        epilog=_EPILOG,
    )
    parser.add_argument("models", nargs="*", metavar="MODEL.tflite", help="int8 models, costed as they stand")
    parser.add_argument(
        "--target",
        default="nrf52840",
        metavar="NAME",
        help="chip or board, or a TOML file (default: %(default)s)",
    )
    parser.add_argument(
        "--budget",
        metavar="LIMITS",
        help="256KB limits SRAM; sram=64KB,flash=512KB,latency=50ms,energy=2mJ,cycles=3M name any"
        " (default: the memory that the target has to spare)",
    )
    parser.add_argument(
        "--certain",
        action="store_true",
        help="hold predictions to the limits by the upper ends of their 90 %% intervals",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--per-op", action="store_true", help="show each operator's share as well")
    parser.add_argument("--lean", action="store_true", help="show also what the leaned model would cost")
    parser.add_argument("--targets", action="store_true", help="list the targets and stop")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.targets:
        from cost_models.costing_report import targets_json, targets_text

        print(targets_json() if arguments.json else targets_text())
        return FITS
    if not arguments.models:
        raise UserError("There is no model to cost.", "Give one or more .tflite files.")
    from cost_models.budget import parse_budget
    from cost_models.costing import CostModel
    from cost_models.costing_report import models_text
    from cost_models.target_file import load_target

    target = load_target(arguments.target)
    budget = parse_budget(arguments.budget, target, certain=arguments.certain)
    for note in budget.notes:
        print(f"nas-cost: {note}", file=sys.stderr)
    model = CostModel(target)
    entries: list[dict[str, Any]] = []
    reports: list[ModelReport] = []
    for path in arguments.models:
        try:
            reports.append(_report(path, model, budget, lean=arguments.lean))
            entries.append(reports[-1].as_json())
        except UserError as error:
            print(f"nas-cost: {path}: {error}", file=sys.stderr)
            entries.append({"path": path, "error": str(error)})
    if arguments.json:
        document: dict[str, Any] = {"schema": 1, "target": target.name, "models": entries}
        if budget.certain:
            document["certain"] = True
        print(json.dumps(document, indent=1))
    elif reports:
        print(models_text(reports, model, budget, per_op=arguments.per_op))
    if len(reports) < len(entries):
        return USER_ERROR
    return FITS if all(each.fits for each in reports) else DOES_NOT_FIT


def _report(path: str, model: CostModel, budget: Budget, *, lean: bool) -> ModelReport:
    from cost_models.costing_report import report

    data = read_bounded(Path(path), LARGEST_MODEL_BYTES, called="It")  # the caller names the file
    return report(path, data, model, budget, lean=lean)


if __name__ == "__main__":
    sys.exit(main())
