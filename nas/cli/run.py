"""`nas-run`: flags and a job file become one configuration; `--help` ends here, fast."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from cost_models.command_line import Parser, require_extra, run_command
from cost_models.errors import UserError
from nas.cli.console import complain, print_delivery, print_plan, print_result
from nas.cli.exit_codes import ALL_FAILED, DONE, NOTHING_FEASIBLE, ended_by
from nas.model.config_key import facts_of, group_of, help_text
from nas.run.config import SAMPLERS, keys, make_config, read_job_file

_EPILOG = """\
exit code: 0 a verified bundle, 1 no model worth delivering, 2 usage error,
3 nothing fits the budget, 130 ended by Ctrl-C, 143 by SIGTERM and 129 by SIGHUP before there was a model to export

examples:
  nas-run --budget 256KB
  nas-run --task npz:wearable.npz --budget sram=32KB,flash=256KB,latency=20ms --target stm32l4r5
  nas-run --task images:photos --space mbv2 --trials 200 --timeout 8h --out runs/photos
  nas-run --resume runs/photos
  nas-run explain --budget sram=16KB,latency=10ms --target rp2040
  nas-run --explain budget.html --budget sram=16KB,latency=10ms --warm-start runs/photos
"""
# What the first word may be; each stands for a flag.
_COMMANDS = ("explain",)


def _parser() -> Parser:
    parser = Parser(
        prog="nas-run",
        description="Search a neural network that fits a microcontroller, and emit it as C for TFLM.",
        epilog=_EPILOG,
        commands=_COMMANDS,
    )
    groups: dict[str, Any] = {}
    for name, field in keys().items():
        title = group_of(field)
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        _add_flag(groups[title], name, field)
    parser.words = _words
    calls = parser.add_argument_group("other ways to call it")
    calls.add_argument(
        "--config", metavar="JOB.toml", help="job file; its keys are the flags' names, flags win"
    )
    calls.add_argument(
        "--init",
        nargs="?",
        const="job.toml",
        metavar="JOB.toml",
        help="write a job file of every key and the flags given here, and stop (default: job.toml)",
    )
    calls.add_argument("--resume", metavar="RUN", help="go on with an earlier run; nothing is repeated")
    calls.add_argument(
        "--trust-space",
        action="store_true",
        help="with --resume: run the code of the task, search space and sampler that the run names",
    )
    calls.add_argument("--submit", metavar="URL", help="run as a job of a Ray cluster: http://HEAD:8265")
    calls.add_argument("--follow", metavar="JOB", help="with --submit: find a submitted job again")
    calls.add_argument("--dry-run", action="store_true", help="say what would be done, train nothing")
    calls.add_argument(
        "--explain",
        nargs="?",
        const="",
        metavar="FILE.html",
        help="say what the limits admit of each search space (or of --space), what binds and what doubling would buy;"
        " train nothing; with a name write a page too",
    )
    show = parser.add_argument_group("what to show")
    show.add_argument("--json", action="store_true", help="print the result as JSON")
    show.add_argument("--verbose", action="store_true", help="show the traceback of each failed trial")
    return parser


def _words() -> dict[str, Sequence[str]]:
    """Values that a shell completes flags with."""
    from nas.bundle.layout import LAYOUTS
    from nas.tasks import TASKS
    from search_spaces.space import list_spaces

    words: dict[str, Sequence[str]] = {}
    for name, field in keys().items():
        kinds = (field.annotation, *get_args(field.annotation))
        words[f"--{name.replace('_', '-')}"] = [
            value for kind in kinds for value in get_args(kind) if isinstance(value, str)
        ]
    return words | {"--task": TASKS, "--space": list_spaces(), "--sampler": SAMPLERS, "--format": LAYOUTS}


def _add_flag(group: Any, name: str, field: FieldInfo) -> None:
    """The flag of a configuration key."""
    flag, text, facts = f"--{name.replace('_', '-')}", help_text(field).replace("%", "%%"), facts_of(field)
    if field.annotation is bool:
        group.add_argument(flag, action="store_true", help=text)
        return
    types = get_args(field.annotation) or (field.annotation,)
    kind: Callable[[str], object] = next(
        (kind for kind in (int, float) if kind in types and not facts.is_time), str
    )
    if facts.metavar == "SHARE":
        kind = _share
    action = "append" if name == "target" else "store"
    group.add_argument(flag, metavar=facts.metavar or None, type=kind, help=text, action=action)


def _share(text: str) -> float:
    """A share as people write it: 0.01 or 1%."""
    number, percent, rest = text.partition("%")
    try:
        if rest:
            raise ValueError
        return float(number) / (100 if percent else 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share. Write it like 0.05 or 5%") from None


def _parse(argv: list[str]) -> dict[str, Any]:
    if argv[:1] and argv[0] in _COMMANDS:
        argv = [f"--{argv[0]}", *argv[1:]]
    given = vars(_parser().read(argv))
    boards = given["target"] or []
    if len(boards) > 1 and given["targets"] is None:
        given |= {"target": None, "targets": ",".join(boards)}
    elif boards:
        given["target"] = ",".join(boards)  # several beside --targets are refused as no board of these
    # What was not given must not hide what a job file says.
    return {key: value for key, value in given.items() if value is not None and value is not False}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nas-run`; the result goes to stdout, progress and complaints to stderr.

    Returns:
        The exit code.
    """
    return run_command("nas-run", lambda words: _run(_parse(words)), argv)


def _run(flags: dict[str, Any]) -> int:
    require_extra("search", "nas-run")
    new_job = flags.pop("init", None)
    as_json = flags.pop("json", False)
    dry_run = flags.pop("dry_run", False)
    resume = flags.pop("resume", None)
    verbose = flags.pop("verbose", False)
    trust_space = flags.pop("trust_space", False)
    job = flags.pop("config", None)
    page = flags.pop("explain", None)
    url, follow = flags.pop("submit", None), flags.pop("follow", None)
    from nas.cli.progress import Progress
    from nas.run import pipeline
    from nas.run.finalize import deliver_chosen
    from nas.tasks.loading.progress import told

    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    if job is not None:
        values = read_job_file(Path(job))
        origin = {key: f"{job}: key {key}" for key in values}
    values |= flags
    origin |= {key: f"--{key.replace('_', '-')}" for key in flags}
    if new_job is not None:
        if job or resume or url or follow or dry_run or as_json or page is not None:
            raise UserError(
                "--init takes no --config, --resume, --submit, --follow, --dry-run, --explain and --json.",
                "Give it flags that a job file can hold.",
            )
        return _init(Path(new_job), values, origin)
    ways = (("--explain", page is not None), ("--dry-run", dry_run), ("--resume", resume), ("--submit", url))
    asked = [flag for flag, given in ways if given]
    if len(asked) > 1:
        raise UserError(f"{asked[0]} and {asked[1]} do not go together.", "Leave one of them out.")
    if follow and not url:
        raise UserError(
            "--follow needs --submit.", "Say which cluster has the job: --submit http://HEAD:8265."
        )
    if page is not None:
        from nas.cli.explain import explain_run

        return explain_run(make_config(values, origin), values, page, as_json=as_json)
    progress = Progress(sys.stderr)
    config = None if resume is not None else make_config(values, origin)
    if config is not None and url is not None:
        from nas.cli.submit import submit

        return submit(url, config, values, follow=follow, as_json=as_json)
    try:
        if config is not None and dry_run:
            with told(progress.reading):
                planned = pipeline.plan(config)
            print_plan(planned, as_json=as_json)
            planned.check()
            return DONE
        if config is not None:
            result = pipeline.start(config, progress, verbose=verbose)
        else:
            result = pipeline.resume(
                resume, values, origin, progress, verbose=verbose, trust_space=trust_space
            )
    except pipeline.NothingFitsError as error:
        complain(error)
        return NOTHING_FEASIBLE
    except pipeline.StoppedError as stopped:
        return ended_by(stopped.signal)
    print_result(result, as_json=as_json)
    if not result.delivered:
        return ALL_FAILED if result.signal is None else ended_by(result.signal)
    if delivery := deliver_chosen(result):
        print_delivery(delivery)
    return DONE


def _init(path: Path, values: dict[str, Any], origin: dict[str, str]) -> int:
    from nas.run.job_template import write_job_template

    make_config(values, origin)
    write_job_template(path, values)
    print(f"job file {path}; nas-run --config {path} runs it")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
