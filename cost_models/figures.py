"""The folder of measured figures that the developers' scripts read, from their command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cost_models.command_line import Parser
from cost_models.errors import UserError

_BESIDE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "calibration"


def run_on_figures(
    prog: str, what: str, work: Callable[[Path, bool], None], argv: Sequence[str] | None = None
) -> int:
    """Runs a script on the folder of figures that its user names; complaints go to stderr.

    Args:
        prog: Name of the script.
        what: What it does, for its help.
        work: Gets the folder, and whether JSON is wanted.
        argv: Words of the command line; those of the process by default.

    Returns:
        The exit code: 0, or 2 for a user's mistake.
    """
    try:
        parser = Parser(prog=prog, description=what, epilog="")
        parser.add_argument(
            "folder",
            nargs="?",
            type=Path,
            default=_BESIDE_CHECKOUT,
            metavar="FOLDER",
            help="measured figures (default: shared/calibration beside the checkout)",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, where there is a table")
        arguments = parser.read(list(sys.argv[1:] if argv is None else argv))
        hint = f"Give the folder of the measured figures: {prog} FOLDER."
        if not (arguments.folder / "runs.csv").is_file():
            raise UserError(f"{arguments.folder} holds no measured figures (runs.csv).", hint)
        try:
            work(arguments.folder, arguments.json)
        except FileNotFoundError as error:
            raise UserError(f"{error.filename} is missing.", hint) from None
    except UserError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    return 0
