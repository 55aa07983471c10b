"""`nas-check`: the guard in a firmware repository's CI; one verdict on a bundle or a .tflite."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.command_line import Parser, run_command
from cost_models.errors import UserError
from nas.cli.exit_codes import DONE, REFUSED

if TYPE_CHECKING:
    from cost_models.budget import Budget, Violation
    from cost_models.costing import Costs
    from cost_models.duty_cycle import Duty
    from cost_models.target import Target
    from nas.bundle.manifest import Manifest, NpuEntry


_EPILOG = """\
exit code: 0 the model may be shipped, 1 it must not be, 2 usage error

examples:
  nas-check firmware/models/kws --budget sram=64KB,flash=256KB
  nas-check model.tflite --target stm32l4r5 --budget sram=64KB,latency=20ms --json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nas-check`; the verdict goes to stdout, complaints to stderr.

    Returns:
        The exit code: 0 passes, 1 fails, 2 a user's mistake.
    """
    return run_command("nas-check", lambda words: _run(_parse(words)), argv)


def _run(arguments: argparse.Namespace) -> int:
    verdict = check(
        Path(arguments.path),
        target_name=arguments.target,
        budget_text=arguments.budget,
        certain=arguments.certain,
        period=arguments.period,
        run=arguments.run,
    )
    for note in verdict["notes"]:
        print(f"nas-check: {note}", file=sys.stderr)
    print(json.dumps(verdict, indent=1) if arguments.json else verdict["verdict"])
    return DONE if verdict["ok"] else REFUSED


def check(
    path: Path,
    *,
    target_name: str | None = None,
    budget_text: str | None = None,
    certain: bool = False,
    period: str | None = None,
    run: bool = False,
) -> dict[str, Any]:
    """The verdict on a bundle or a model, as `--json` prints it.

    Args:
        path: A bundle's folder or a .tflite.
        target_name: Whose costs count; None takes the bundle's own, for a model the default target.
        budget_text: The limits; None takes those that the bundle was exported under, for a model the target's.
        certain: Hold predictions to the limits by the upper ends of their intervals.
        period: From one inference to the next, for a limit of average power; None takes a bundle's own.
        run: Whether a bundle's sources, once they are known to be the exporter's, are compiled and run as well.

    Raises:
        UserError: Neither a bundle nor a model, or a target or budget that there is not.
    """
    from cost_models.budget import parse_budget
    from cost_models.duty_cycle import duty_on
    from cost_models.target_file import load_target
    from cost_models.target_names import DEFAULT_TARGET

    if path.is_dir():
        return _check_bundle(path, target_name, budget_text, certain, period, run=run)
    if run:
        raise UserError("--run needs a bundle.", "A .tflite has no sources that could be compiled.")
    target = load_target(target_name or DEFAULT_TARGET)
    duty = None if period is None else duty_on(target, period=period)
    budget = parse_budget(budget_text, target, certain=certain, duty=duty)
    data = _model(path)
    return _verdict(path, "model", target, budget, data, [])


def _model(path: Path) -> bytes:
    from cost_models.reading import LARGEST_MODEL_BYTES, read_bounded

    if not os.path.lexists(path):
        raise UserError(f"{path} does not exist.", "Give a bundle's folder or a .tflite.")
    return read_bounded(path, LARGEST_MODEL_BYTES)


def _check_bundle(
    folder: Path,
    target_name: str | None,
    budget_text: str | None,
    certain: bool,
    period: str | None,
    *,
    run: bool,
) -> dict[str, Any]:
    from cost_models.target_file import load_target
    from nas.bundle import BundleError, check_bundle, verify
    from nas.bundle.manifest import MANIFEST_NAME
    from nas.bundle.remake import front_end_of
    from nas.run.limits import less_front_end

    if not os.path.lexists(folder / MANIFEST_NAME):
        raise UserError(
            f"{folder} is not a bundle: it has no {MANIFEST_NAME}.", "Give the folder that nas-run made."
        )
    given = load_target(target_name) if target_name else None
    try:
        if run:
            verification = verify(folder, target=given)
            checked, ran = verification.checked, verification.notes
        else:
            checked, ran = check_bundle(folder, target=given), ()
    except BundleError as error:
        return _refused(folder, error.reason, error.message)
    manifest = checked.manifest
    target = given or checked.target
    limits = None if budget_text else {limit.resource: limit.limit for limit in manifest.budget}
    budget = _budget(budget_text, target, certain, limits, _duty(manifest, target, period))
    if budget_text is not None and (spec := front_end_of(manifest)) is not None:
        try:  # limits in a manifest are the network's, those of a user hold for the front end as well
            budget = less_front_end(budget, target, spec)
        except UserError as error:
            return _refused(folder, "budget", error.message)
    notes = list(dict.fromkeys([*manifest.notes, *checked.notes, *ran]))
    verdict = _verdict(folder, "bundle", target, budget, checked.int8, notes, manifest)
    if checked.engine != "tflm":
        verdict["verdict"] += "; golden vectors by LiteRT, not verified by TFLM"
    return verdict | {"engine": checked.engine}


def _refused(folder: Path, reason: str, message: str) -> dict[str, Any]:
    """The verdict on a bundle whose model is not judged."""
    return {
        "schema": 1,
        "path": str(folder),
        "kind": "bundle",
        "target": None,
        "ok": False,
        "reason": reason,
        "verdict": f"FAIL {folder}: {message}",
        "costs": None,
        "budget": [],
        "violations": [],
        "notes": [],
    }


def _duty(manifest: Manifest, target: Target, period: str | None) -> Duty | None:
    """How often the chip infers: as the user says, else as the bundle was exported for."""
    from cost_models.duty_cycle import duty_on

    if period is not None:
        return duty_on(target, period=period)
    return None if manifest.duty_cycle is None else manifest.duty_cycle.on(target)


def _budget(
    text: str | None, target: Target, certain: bool, limits: dict[str, float] | None, duty: Duty | None
) -> Budget:
    from cost_models.budget import Budget, parse_budget

    if not limits:
        return parse_budget(text, target, certain=certain, duty=duty)
    default = parse_budget(None, target, certain=certain, duty=duty)
    return Budget.of({**dict(default.limits()), **limits}, certain=certain, notes=default.notes, duty=duty)


def _verdict(
    path: Path,
    kind: str,
    target: Target,
    budget: Budget,
    data: bytes,
    notes: list[str],
    manifest: Manifest | None = None,
) -> dict[str, Any]:
    from dataclasses import asdict

    from cost_models.costing_report import require_counted
    from cost_models.tflite_graph import read_graph
    from nas.bundle.remake import front_end_of
    from nas.frontend.costs import cost_model, front_end_costs

    front_end = None if manifest is None else front_end_of(manifest)
    model = cost_model(target, front_end)
    explanation = model.explain(read_graph(data), file_bytes=len(data))
    require_counted(explanation, model, budget)
    costs = explanation.costs
    violations = budget.violations(costs)
    npu = manifest.npu if manifest else None
    arena_bytes = costs.sram_bytes
    if front_end is not None:
        arena_bytes += front_end_costs(front_end, target).arena_bytes
    lacking = _lacking_arena(manifest, target, arena_bytes)
    if npu is not None:
        from nas.runtimes.npu import npu_violations

        violations += npu_violations(budget, arena_bytes=npu.arena_bytes, model_bytes=npu.model_bytes)
    return {
        "schema": 1,
        "path": str(path),
        "kind": kind,
        "target": target.name,
        "basis": model.basis,
        "certain": budget.certain,
        "ok": not (violations or lacking),
        "reason": "arena" if lacking else "budget" if violations else None,
        "verdict": _sentence(path, target, budget, costs, violations, lacking) + _on_npu(npu),
        "costs": {name: getattr(costs, name) for name in costs.__slots__},
        "budget": [{"resource": resource, "limit": limit} for resource, limit in budget.limits()],
        "violations": [asdict(violation) for violation in violations],
        "notes": [*budget.notes, *explanation.faults, *notes],
    }


def _lacking_arena(manifest: Manifest | None, target: Target, needed_bytes: int) -> str | None:
    """What the bundle's own arena lacks on a target; None where the model, and its front end, start in it."""
    if manifest is None or manifest.npu is not None or needed_bytes <= manifest.arena_bytes:
        return None
    more = needed_bytes - manifest.arena_bytes
    return f"its arena was exported for {manifest.target.name}; {target.name} needs {more:,} B more"


def _on_npu(npu: NpuEntry | None) -> str:
    if npu is None:
        return ""
    return f"; for {npu.accelerator}: arena {npu.arena_bytes:,} B, model {npu.model_bytes:,} B"


def _sentence(
    path: Path,
    target: Target,
    budget: Budget,
    costs: Costs,
    violations: tuple[Violation, ...],
    lacking: str | None,
) -> str:
    from cost_models.resources import format_quantity

    if violations or lacking:
        faults = [*([lacking] if lacking else []), *map(str, violations)]
        rests_on = _basis(target, {each.resource for each in violations})
        return f"FAIL {path} on {target.name}: {'; '.join(faults)}{rests_on}"
    values = budget.judged(costs)
    parts = [
        f"{resource} {format_quantity(resource, value)}"
        f"{f' ({end})' if (end := budget.end_text(resource)) else ''}"
        f" of {format_quantity(resource, limit)}"
        for resource, limit in budget.limits()
        if (value := values[resource]) is not None
    ]
    return f"PASS {path} on {target.name}: {'; '.join(parts)}{_basis(target, {name for name, _ in budget.limits()})}"


def _basis(target: Target, judged: set[str]) -> str:
    """The basis of predicted cycles, where they are judged and the chip itself was not measured."""
    rates = target.cycle_rates
    if rates is None or rates.basis == "measured" or not judged & {"latency", "energy", "cycles"}:
        return ""
    return f"; cycles by the {rates.basis} of the {target.core}, not by this chip's own measurements"


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="nas-check",
        description="Check whether a bundle or an int8 .tflite may be shipped: every byte of a bundle is written again"
        " from its manifest and model and compared, and its costs are held to the budget. None of its code is run.",
        epilog=_EPILOG,
    )
    parser.add_argument("path", metavar="MODEL_OR_BUNDLE", help="a bundle's folder, or a .tflite")
    parser.add_argument("--budget", metavar="LIMITS", help="as for nas-run (default: the bundle's own)")
    parser.add_argument(
        "--period",
        metavar="TIME",
        help="one inference in this time, for power=200uW (default: the bundle's own)",
    )
    parser.add_argument(
        "--target", metavar="NAME", help="chip or board, or a TOML file (default: the bundle's own)"
    )
    parser.add_argument(
        "--certain",
        action="store_true",
        help="hold predictions to the limits by the upper ends of their 90 %% intervals",
    )
    parser.add_argument(
        "--run", action="store_true", help="compile the sources as well, and run them on this machine"
    )
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    return parser.read(argv)


if __name__ == "__main__":
    sys.exit(main())
