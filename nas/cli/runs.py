"""`nas-runs`: the runs of a folder as a table, one of them, and several side by side."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cost_models.command_line import Parser, run_command
from cost_models.errors import UserError
from nas.cli.exit_codes import DONE

if TYPE_CHECKING:
    from nas.model.comparison import Comparison
    from nas.run.stored_run import StoredRun

PROG = "nas-runs"
_RUNS = Path("runs")  # where nas-run makes its folders
_MOST_PROBLEMS = 5

_EPILOG = """\
commands:
  nas-runs [list] [FOLDER]    the runs of a folder, by their start (default: runs)
  nas-runs show RUN           one run: configuration, versions, data, front and verdict
  nas-runs compare RUN RUN... what changed, the chosen models, the fronts over each other
every command has --json; a RUN is a folder, or the name of a folder in runs/

states: finished; time limit, Ctrl-C: ended early, with the best so far; failed: no
training succeeded; running; interrupted, not begun: --resume goes on; damaged
Test is what the exported int8 model reached on test data by the metric of its search, which is
named where it is not the accuracy; SRAM and Flash are its costs.

exit code: 0, or 2 for a usage error

examples:
  nas-runs
  nas-runs show 20261127-221541-digits
  nas-runs compare runs/first runs/second --html comparison.html
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nas-runs`; tables go to stdout, complaints to stderr.

    Returns:
        The exit code: 0, or 2 for a user's mistake.
    """
    return run_command(PROG, _run, argv)


def _run(argv: list[str]) -> int:
    commands: dict[str, Callable[[list[str]], int]] = {"list": _list, "show": _show, "compare": _compare}
    word = argv[0] if argv else ""
    if word in commands:
        return commands[word](argv[1:])
    close = difflib.get_close_matches(word, commands, n=1, cutoff=0.6)
    if close:
        from nas.run.stored_run import is_there

        if not is_there(Path(word)):
            raise UserError(f"There is no command or folder {word}.", f"Did you mean {close[0]}?")
    return _list(argv)


def _list(argv: list[str]) -> int:
    parser = Parser(
        prog=PROG,
        description="List, show and compare the runs of nas-run.",
        epilog=_EPILOG,
        commands=("list", "show", "compare"),
    )
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", default=str(_RUNS), help="holds run folders (default: runs)"
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    arguments = parser.read(argv)
    from nas.cli.console import complain
    from nas.cli.runs_text import list_lines
    from nas.model.words import printable
    from nas.run.stored_run import list_runs

    entries = list_runs(Path(arguments.folder))
    if arguments.json:
        print(json.dumps({"schema": 1, "runs": [entry.to_json() for entry in entries]}, indent=1))
        return DONE
    if not entries:
        complain(f"There is no run in {arguments.folder}.", prog=PROG)
        return DONE
    for line in list_lines(entries):
        print(line)
    damaged = [entry.problem for entry in entries if entry.state == "damaged"]
    for problem in damaged[:_MOST_PROBLEMS]:
        complain(printable(problem), prog=PROG)
    if len(damaged) > _MOST_PROBLEMS:
        complain(f"{len(damaged) - _MOST_PROBLEMS} more are damaged; --json says how.", prog=PROG)
    return DONE


def _show(argv: list[str]) -> int:
    parser = Parser(
        prog=f"{PROG} show",
        description="Show a run: its configuration, versions, data, front and verdict, and where its files are.",
        epilog="exit code: 0, or 2 for a usage error",
    )
    parser.add_argument("run", metavar="RUN", help="the folder that nas-run made, or its name in runs/")
    parser.add_argument("--json", action="store_true", help="print all that is known as JSON")
    arguments = parser.read(argv)
    from nas.cli.runs_text import show_lines
    from nas.run.stored_run import damage_is_an_error

    run = _open(arguments.run)
    if arguments.json:
        print(json.dumps(_show_json(run), indent=1))
        return DONE
    with damage_is_an_error(run.path):
        text = "\n".join(show_lines(run))  # all of it before any of it: damage is a sentence, not half a page
    print(text)
    return DONE


def _show_json(run: StoredRun) -> dict[str, object]:
    report, bundle = run.folder.report_file, run.folder.bundle
    return {
        "schema": 1,
        **run.entry.to_json(),
        "changed": {name: value for name, (value, _) in run.changed().items()},
        "config": run.config,
        "versions": run.versions,
        "data_sha256": run.data_sha256,
        "report": str(report) if report.exists() else None,
        "bundle": str(bundle) if bundle.exists() else None,
        "result": run.content,
    }


def _compare(argv: list[str]) -> int:
    parser = Parser(
        prog=f"{PROG} compare",
        description="Compare runs: what changed between them, their chosen models, their fronts over each other.",
        epilog="exit code: 0, or 2 for a usage error",
    )
    parser.add_argument("runs", metavar="RUN", nargs="*", help="two or more run folders")
    parser.add_argument("--html", metavar="FILE", help="write a page with the fronts laid over each other")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    arguments = parser.read(argv)
    from nas.cli.runs_text import compare_lines
    from nas.run.comparison import compare

    if arguments.html and find_spec("plotly") is None:
        raise UserError(
            f"plotly is not installed, which {PROG} compare --html needs.",
            "Install it: pip install 'mcu-nas[search]'.",
        )
    runs = [_open(word) for word in arguments.runs]
    comparison = compare(runs)
    lines = [] if arguments.json else [*compare_lines(comparison)]
    if arguments.html:
        _write_page(comparison, runs, Path(arguments.html))
        lines.append(f"page {arguments.html}")
    print(json.dumps(comparison.to_json(), indent=1) if arguments.json else "\n".join(lines))
    return DONE


def _write_page(comparison: Comparison, runs: Sequence[StoredRun], path: Path) -> None:
    from nas.report.comparison_page import render_comparison
    from nas.run.stored_run import damage_is_an_error

    with damage_is_an_error(runs[0].path):
        page = render_comparison(comparison, [run.summary for run in runs])
    try:
        path.write_text(page, encoding="utf-8", newline="\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be written ({reason}).", "Give another --html.") from None


def _open(word: str) -> StoredRun:
    """A run by its folder, or by its name in runs/."""
    from nas.run.stored_run import is_there, open_stored_run

    path = Path(word)
    if not is_there(path) and is_there(_RUNS / path):
        path = _RUNS / path
    return open_stored_run(path)


if __name__ == "__main__":
    sys.exit(main())
