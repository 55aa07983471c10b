"""`nas-cost`: what .tflite files cost on a target, and whether they fit."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.command_line import Parser, run_command
from cost_models.errors import UserError
from cost_models.reading import LARGEST_MODEL_BYTES, read_bounded
from cost_models.target_names import DEFAULT_TARGET

if TYPE_CHECKING:
    from cost_models.budget import Budget
    from cost_models.costing import CostModel, Costs
    from cost_models.costing_report import ModelReport
    from cost_models.duty_cycle import Duty, DutyCycle
    from cost_models.on_targets import Period
    from cost_models.target import Target

FITS, DOES_NOT_FIT, USER_ERROR = 0, 1, 2

_EPILOG = """\
exit code: 0 every model fits every target, 1 a model does not fit (or has a limit that cannot be judged),
2 usage error

examples:
  nas-cost model.tflite
  nas-cost a.tflite b.tflite --target stm32f446re --budget sram=64KB,latency=50ms
  nas-cost model.tflite --target my_board.toml --per-op --json
  nas-cost model.tflite --targets all --budget latency=50ms
  nas-cost model.tflite --targets all --period 1s --battery 230mAh
  nas-cost model.tflite --timeline
  nas-cost model.tflite --period 1s --battery 230mAh --budget power=500uW
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
        description="What .tflite models cost on a microcontroller, and whether they fit.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL.tflite", help="models that TFLM runs, costed as they stand"
    )
    parser.add_argument(
        "--target",
        metavar="NAME",
        help=f"chip or board, or a TOML file (default: {DEFAULT_TARGET})",
    )
    parser.add_argument(
        "--budget",
        metavar="LIMITS",
        help="256KB limits SRAM; sram=64KB,flash=512KB,latency=50ms,energy=2mJ,cycles=3M name any;"
        " power=200uW with --period (default: the memory that the target has to spare)",
    )
    parser.add_argument(
        "--certain",
        action="store_true",
        help="hold predictions to the limits by the upper ends of their 90 %% intervals",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--per-op", action="store_true", help="show each operator's share as well")
    parser.add_argument(
        "--lean",
        action="store_true",
        help="show the costs without the parts of the file that no chip reads as well",
    )
    parser.add_argument(
        "--compressed",
        action="store_true",
        help="show the costs with weights of few values as indices into tables (TFLM's DECODE) as well",
    )
    parser.add_argument(
        "--period",
        metavar="TIME",
        help="average power with one inference in each period and sleep between: 100ms, 1s, 5m (default: none)",
    )
    parser.add_argument(
        "--battery",
        metavar="CHARGE",
        help="with --period: how long this charge lasts: 230mAh, 1.2Ah (default: none)",
    )
    parser.add_argument(
        "--timeline",
        action="store_true",
        help="show the tensor arena over time, and its content at the peak",
    )
    parser.add_argument(
        "--targets",
        nargs="?",
        const="",
        metavar="NAMES",
        help="compare targets: all, or names and TOML files with commas between; without a value list them and stop",
    )
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.targets == "":
        from cost_models.target_list import targets_json, targets_text

        print(targets_json() if arguments.json else targets_text())
        return FITS
    if arguments.targets is not None:
        return _compare(arguments)
    _need_models(arguments)
    from cost_models.budget import CERTAIN, parse_budget
    from cost_models.costing import CostModel
    from cost_models.costing_report import models_text
    from cost_models.duty_cycle import rests_on
    from cost_models.target_file import load_target
    from cost_models.timeline_text import timeline_json, timeline_text

    target = load_target(arguments.target or DEFAULT_TARGET)
    cycle, duty = _duty_cycle_of(arguments, target)
    budget = parse_budget(arguments.budget, target, certain=arguments.certain, duty=duty)
    for note in budget.notes:
        if note != CERTAIN:  # stands with the limits
            print(f"nas-cost: {note}", file=sys.stderr)
    model = CostModel(target)
    entries: list[dict[str, Any]] = []
    reports: list[ModelReport] = []
    said: list[str] = []
    for path in arguments.models:
        try:
            report = _report(path, model, budget, lean=arguments.lean, compressed=arguments.compressed)
            entry = report.as_json()
            if cycle is not None:
                power = cycle(report.costs)
                said.append(f"{path}: {power.text()}")
                entry["duty_cycle"] = power.as_json()
            if arguments.timeline and arguments.json:
                entry["timeline"] = timeline_json(report.graph, target)
            reports.append(report)
            entries.append(entry)
        except UserError as error:
            entries.append(_complain(path, error))
    if arguments.json:
        document: dict[str, Any] = {"schema": 1, "target": target.name, "models": entries}
        if budget.certain:
            document["certain"] = True
        if cycle is not None:
            document["duty_cycle_rests_on"] = rests_on(target)
        print(json.dumps(document, indent=1))
    elif reports:
        print(models_text(reports, model, budget, per_op=arguments.per_op))
        if cycle is not None:
            print("\n".join(["", *said, *rests_on(target)]))
        if arguments.timeline:
            for report in reports:
                print(f"\n{timeline_text(report.path, report.graph, target)}")
    if len(reports) < len(entries):
        return USER_ERROR
    return FITS if all(report.fits for report in reports) else DOES_NOT_FIT


def _duty_cycle_of(
    arguments: argparse.Namespace, target: Target
) -> tuple[Callable[[Costs], DutyCycle] | None, Duty | None]:
    """The duty that `--period` and `--battery` describe; None where they are not given.

    Raises:
        UserError: They cannot be meant, or power is not known on this target.
    """
    period = _period_of(arguments)
    if period is None:
        return None, None
    from cost_models.duty_cycle import check_known, duty_cycle, make_duty

    duty = make_duty(target, period_us=period.us, charge_mah=period.charge_mah)
    check_known(target)
    cycle = partial(duty_cycle, target=target, period_us=duty.period_us, charge_mah=duty.charge_mah)
    return cycle, duty


def _period_of(arguments: argparse.Namespace) -> Period | None:
    """What `--period` and `--battery` say; None where they are not given.

    Raises:
        UserError: They cannot be meant.
    """
    if arguments.period is None:
        if arguments.battery is not None:
            raise UserError("--battery needs --period.", "Say how often it infers: --period 1s.")
        return None
    from cost_models.duty_cycle import parse_charge, parse_period
    from cost_models.on_targets import Period

    charge = None if arguments.battery is None else parse_charge(arguments.battery)
    return Period(us=parse_period(arguments.period), charge_mah=charge)


def _compare(arguments: argparse.Namespace) -> int:
    """`--targets NAMES`: every model on every one of them."""
    for flag, given in (
        ("--target", arguments.target),
        ("--per-op", arguments.per_op),
        ("--lean", arguments.lean),
        ("--compressed", arguments.compressed),
        ("--timeline", arguments.timeline),
    ):
        if given:
            raise UserError(
                f"{flag} and --targets {arguments.targets} do not go together.", "Leave one of them out."
            )
    from cost_models.on_targets import chosen_targets

    targets = chosen_targets(arguments.targets)
    _need_models(arguments)
    from cost_models.budget import POWER_WITHOUT_PERIOD, parse_limits
    from cost_models.on_targets import judge, models_of
    from cost_models.on_targets_text import on_targets_text
    from cost_models.tflite_graph import read_graph

    given = {} if arguments.budget is None else parse_limits(arguments.budget)
    period = _period_of(arguments)
    if "power" in given and period is None:
        raise UserError(*POWER_WITHOUT_PERIOD)
    models = models_of(targets)
    entries: list[dict[str, Any]] = []
    texts: list[str] = []
    verdicts: list[str] = []
    code = FITS
    for path in arguments.models:
        try:
            data = _read(path)
            judged = judge(
                read_graph(data), len(data), models, given, certain=arguments.certain, period=period
            )
        except UserError as error:
            entries.append(_complain(path, error))
            code = USER_ERROR
            continue
        entries.append({"path": path, "targets": [row.as_json() for row in judged]})
        texts.append(on_targets_text(path, judged, given))
        verdicts += [row.verdict for row in judged]
    if arguments.json:
        names = [target.name for target in targets]
        document = {"schema": 1, "targets": names, "certain": arguments.certain, "models": entries}
        print(json.dumps(document, indent=1))
    elif texts:
        print("\n\n".join(texts))
    return code or (FITS if all(verdict == "fits" for verdict in verdicts) else DOES_NOT_FIT)


def _need_models(arguments: argparse.Namespace) -> None:
    if not arguments.models:
        raise UserError("There is no model to cost.", "Give one or more .tflite files.")


def _complain(path: str, error: UserError) -> dict[str, Any]:
    """A model that cannot be costed does not stop the others; its entry in JSON."""
    print(f"nas-cost: {path}: {error}", file=sys.stderr)
    return {"path": path, "error": str(error)}


def _read(path: str) -> bytes:
    return read_bounded(Path(path), LARGEST_MODEL_BYTES, called="It")  # the caller names the file


def _report(path: str, model: CostModel, budget: Budget, *, lean: bool, compressed: bool) -> ModelReport:
    from cost_models.costing_report import report

    return report(path, _read(path), model, budget, lean=lean, compressed=compressed)


if __name__ == "__main__":
    sys.exit(main())
