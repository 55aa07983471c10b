"""`nas-export`: any model of an earlier run as a bundle, in any layout, and into a firmware repository."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.command_line import Parser, require_extra, run_command
from cost_models.errors import UserError
from nas.cli.exit_codes import DONE, REFUSED

if TYPE_CHECKING:
    from nas.bundle import Bundle, Verification
    from nas.bundle.delivery import Delivery
    from nas.run.reselect import Selection

PROG = "nas-export"

_EPILOG = """\
exit code: 0 a verified bundle, 1 the bundle failed its verification, 2 usage error

examples:
  nas-export runs/digits-1 --out bundle
  nas-export runs/digits-1 --list
  nas-export runs/digits-1 --list --target esp32s3
  nas-export runs/digits-1 --policy smallest --budget sram=8KB --target rp2040 --out small
  nas-export runs/digits-1 --model 17 --format zephyr --name kws --out kws
  nas-export runs/digits-1 --out kws --name kws --deliver ../firmware:models/kws --branch new-model
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nas-export`; the bundle's path goes to stdout, complaints to stderr.

    Returns:
        The exit code: 0 a verified bundle, 1 it failed its verification, 2 a user's mistake.
    """
    return run_command("nas-export", lambda words: _run(_parse(words)), argv)


def _run(arguments: argparse.Namespace) -> int:
    from nas.bundle import BundleError
    from nas.bundle.layout import load_layout
    from nas.cli.console import complain, delivery_text
    from nas.run.reexport import reexport

    require_extra("search", PROG)
    load_layout(arguments.format)
    selection = _selection(arguments)
    if selection is not None and arguments.list:
        from nas.run.reselect import front_json, front_lines

        if arguments.json:
            print(json.dumps(front_json(selection), indent=1))
            return DONE
        print(f"front of {arguments.run} on {selection.target.name} (* would be exported)")
        for line in front_lines(selection):
            print(line)
        return DONE
    delivery: Delivery | None = None
    try:
        done = reexport(
            Path(arguments.run),
            Path(arguments.out),
            model=arguments.model,
            selection=selection,
            format=arguments.format,
            name=arguments.name,
            trust_space=arguments.trust_space,
        )
        if arguments.deliver:
            from nas.bundle.delivery import deliver

            delivery = deliver(done.bundle, arguments.deliver, branch=arguments.branch)
    except BundleError as error:
        print(f"{PROG}: {arguments.out} is not to be used: {error}", file=sys.stderr)
        return REFUSED
    for note in done.verification.notes:
        complain(note, prog=PROG)
    if arguments.json:
        print(json.dumps(_json(done.bundle, done.verification, delivery), indent=1))
        return DONE
    print(f"bundle {done.bundle.path}")
    if delivery:
        print(delivery_text(delivery))
    return DONE


def _selection(arguments: argparse.Namespace) -> Selection | None:
    """Another choice than the run's own, where one is asked for."""
    from nas.cli.console import complain
    from nas.run.reexport import select
    from nas.run.reselect import reselect

    asked = {"policy": arguments.policy, "budget": arguments.budget, "target": arguments.target}
    path = Path(arguments.run)
    selection = reselect(path, **asked) if arguments.list else select(path, **asked)
    if selection is None:
        return None
    for note in (*selection.budget.notes, *selection.notes):
        complain(note, prog=PROG)
    return selection


def _json(bundle: Bundle, verification: Verification, delivery: Delivery | None) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "schema": 1,
        "bundle": str(bundle.path),
        "name": manifest.name,
        "format": manifest.format,
        "model_sha256": manifest.model_sha256,
        "costs": manifest.costs.model_dump(),
        "npu": manifest.npu.model_dump() if manifest.npu else None,
        "verified": {"compiled": verification.compiled, "golden_count": verification.golden_count},
        "delivery": {"branch": delivery.branch, "commit": delivery.commit} if delivery else None,
    }


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="nas-export",
        description="Export a model of an earlier run as a bundle for a firmware repository.",
        epilog=_EPILOG,
    )
    parser.add_argument("run", metavar="RUN", help="the folder that nas-run made")
    parser.add_argument("--model", metavar="ID", help="trial number or digest (default: the chosen model)")
    parser.add_argument(
        "--format",
        default="tflm",
        help="tflm, cmake, arduino, platformio, zephyr, esp-idf or cmsis-pack (default: %(default)s)",
    )
    parser.add_argument("--name", help="prefix of files and symbols (default: the run's)")
    parser.add_argument(
        "--policy",
        choices=("accuracy", "balanced", "smallest"),
        help="rule that chooses among the run's models, without training (default: the run's)",
    )
    parser.add_argument(
        "--budget",
        metavar="LIMITS",
        help="limits of the choice, tighter or of another target (default: the run's)",
    )
    parser.add_argument(
        "--target",
        metavar="NAME",
        help="chip or board, which may be another than the run's (default: the run's)",
    )
    parser.add_argument(
        "--list", action="store_true", help="list the models to choose from, and export nothing"
    )
    parser.add_argument("--out", metavar="DIR", help="folder of the bundle, made or replaced")
    parser.add_argument(
        "--deliver",
        metavar="REPO[:PATH]",
        help="commit the bundle to a branch of a git repository (default: none)",
    )
    parser.add_argument("--branch", metavar="NAME", help="branch for --deliver (default: mcu-nas/<name>)")
    parser.add_argument(
        "--trust-space", action="store_true", help="run the code of a task of your own that the run names"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the export, or the list of --list, as JSON"
    )
    arguments = parser.read(argv)
    if not arguments.out and not arguments.list:
        raise UserError("--out is missing.", "Give the folder of the bundle, or --list to see what there is.")
    if arguments.model and (arguments.policy or arguments.list):
        raise UserError("--model names the model; --policy and --list choose one.", "Leave one of them out.")
    if arguments.list and (arguments.out or arguments.deliver):
        given = "--out" if arguments.out else "--deliver"
        raise UserError(f"--list exports nothing; {given} says where to.", "Leave one of them out.")
    if arguments.branch and not arguments.deliver:
        raise UserError("--branch needs --deliver.", "Say which repository: --deliver REPO[:PATH].")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
