"""`nas-run`: flags and a job file become one configuration; `--help` ends here, fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cost_models.command_line import Parser, require_extra, run_command
from cost_models.errors import UserError
from nas.exit_codes import DONE

_EPILOG = """\
exit code: 0 a verified bundle, 1 no model worth delivering, 2 a mistake in what was given,
3 nothing fits the budget, 130 ended by Ctrl-C and 143 by SIGTERM before there was a model to export

examples:
  nas-run --budget 256KB
  nas-run --task npz:wearable.npz --budget sram=32KB,flash=256KB,latency=20ms --target stm32l4r5
  nas-run --task images:photos --space mbv2 --trials 200 --timeout 8h --out runs/photos
  nas-run --resume runs/photos
"""


def _parser() -> Parser:
    parser = Parser(
        prog="nas-run",
        description="Search a neural network that fits a microcontroller, and emit it as C for TFLM.",
        epilog=_EPILOG,
    )
    what = parser.add_argument_group("what to search")
    what.add_argument("--task", help="digits, npz:PATH or images:FOLDER (default: digits)")
    what.add_argument("--space", help="search space: a name, a .py file or a module (default: ds_cnn)")
    what.add_argument(
        "--target", help="chip or board, or a TOML file; nas-cost --targets lists them (default: nrf52840)"
    )
    what.add_argument(
        "--budget",
        metavar="LIMITS",
        help="256KB limits SRAM; sram=64KB,flash=512KB,latency=50ms,energy=2mJ,cycles=3M name any",
    )
    what.add_argument(
        "--certain",
        action="store_true",
        help="hold predictions to the limits by the upper ends of their 90 %% intervals",
    )
    what.add_argument(
        "--policy", help="how the one is chosen: accuracy, balanced or smallest (default: accuracy)"
    )
    what.add_argument("--image-size", metavar="PIXELS", type=int, help="side of pictures, for images:FOLDER")
    what.add_argument(
        "--input-kind",
        metavar="KIND",
        help="axes of npz arrays: features, signals, images or channels-first (default: auto, and said)",
    )
    what.add_argument(
        "--sparsity", metavar="SHARE", type=float, help="weights that magnitude pruning zeroes (default: 0)"
    )
    how = parser.add_argument_group("how long and where")
    how.add_argument("--trials", metavar="N", type=int, help="networks to train (default: 24)")
    how.add_argument("--steps", metavar="N", type=int, help="training steps of every network")
    how.add_argument("--final-steps", metavar="N", type=int, help="training steps of the best")
    how.add_argument("--finalists", metavar="N", type=int, help="how many are trained in full (default: 4)")
    how.add_argument("--timeout", metavar="TIME", help="end with the best so far: 90s, 30m, 8h or seconds")
    how.add_argument("--trial-timeout", metavar="TIME", help="give one trial up after this (default: 30m)")
    how.add_argument("--workers", metavar="N", type=int, help="trials at a time (default: all cores)")
    how.add_argument(
        "--ray-address", metavar="ADDRESS", help="a Ray cluster: auto, ray://HOST:10001; or local"
    )
    how.add_argument("--submit", metavar="URL", help="run as a job of a Ray cluster: http://HEAD:8265")
    how.add_argument("--follow", metavar="JOB", help="with --submit: find a submitted job again")
    how.add_argument(
        "--gpus-per-trial", metavar="N", type=float, help="0.5: two trials share a GPU (default: 0)"
    )
    how.add_argument(
        "--storage", metavar="URL", help="Optuna storage (default: a journal file in the run folder)"
    )
    how.add_argument(
        "--sampler",
        metavar="NAME",
        help="proposes new networks: nas, tpe, gp, nsga2, random, or a .py file that exports SAMPLER (default: nas)",
    )
    how.add_argument("--seed", metavar="N", type=int, help="seed of everything (default: drawn, and kept)")
    how.add_argument("--out", metavar="FOLDER", help="the run folder (default: a new one under runs/)")
    how.add_argument("--name", help="prefix of emitted files and symbols (default: model)")
    how.add_argument("--format", help="layout of the bundle, as nas-export has them (default: tflm)")
    how.add_argument(
        "--deliver", metavar="REPO[:PATH]", help="commit the bundle to a branch of a git repository"
    )
    how.add_argument("--branch", metavar="NAME", help="branch for --deliver (default: mcu-nas/<name>)")
    how.add_argument(
        "--config", metavar="JOB.toml", help="job file; its keys are the flags' names, flags win"
    )
    how.add_argument(
        "--init", metavar="JOB.toml", help="write a job file of every key and the flags given here, and stop"
    )
    how.add_argument("--warm-start", metavar="RUN", help="learn from an earlier run on the same data")
    how.add_argument("--resume", metavar="RUN", help="go on with an earlier run; nothing is repeated")
    how.add_argument(
        "--trust-space",
        action="store_true",
        help="with --resume: run the code of the search space and sampler that the run names",
    )
    show = parser.add_argument_group("what to show")
    show.add_argument("--json", action="store_true", help="print the result as JSON")
    show.add_argument("--verbose", action="store_true", help="show the traceback of each failed trial")
    show.add_argument("--dry-run", action="store_true", help="say what would be done, train nothing")
    return parser


def _parse(argv: list[str]) -> dict[str, Any]:
    given = vars(_parser().read(argv))
    # What was not given must not hide what a job file says.
    return {key: value for key, value in given.items() if value is not None and value is not False}


def parse_time(text: str, flag: str) -> float:
    """Seconds of "90s", "30m", "8h", "2d" or a plain number.

    Raises:
        UserError: It is no positive time.
    """
    factor = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:].lower(), 0)
    try:
        seconds = float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise UserError(f"{flag} is {text!r}.", "Write a time like 90s, 30m or 8h.")
    return seconds


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
    url, follow = flags.pop("submit", None), flags.pop("follow", None)
    from nas import run
    from nas.config import make_config, read_job_file
    from nas.stop import sigterm_ends_at_once

    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    if job is not None:
        values = read_job_file(Path(job))
        origin = {key: f"{job}: key {key}" for key in values}
    values |= flags
    origin |= {key: f"--{key.replace('_', '-')}" for key in flags}
    for key in ("timeout", "trial_timeout"):
        if isinstance(values.get(key), str):
            values[key] = parse_time(values[key], origin[key])
    if new_job is not None:
        if job or resume or url or follow or dry_run or as_json:
            raise UserError(
                "--init takes no --config, --resume, --submit, --follow, --dry-run and --json.",
                "Give it flags that a job file can hold.",
            )
        return _init(Path(new_job), values, origin)
    if resume is not None and dry_run:
        raise UserError("--dry-run and --resume do not go together.", "Leave one of them out.")
    with sigterm_ends_at_once():
        if resume is not None:
            return run.resume(
                resume, values, origin, as_json=as_json, verbose=verbose, trust_space=trust_space
            )
        config = make_config(values, origin)
        if url is not None:
            from nas.execute.submit import submit

            return submit(url, config, values, follow=follow, as_json=as_json)
        if dry_run:
            return run.dry_run(config, as_json=as_json)
        return run.start(config, as_json=as_json, verbose=verbose)


def _init(path: Path, values: dict[str, Any], origin: dict[str, str]) -> int:
    from nas.config import make_config
    from nas.job_template import write_job_template

    make_config(values, origin)
    meanings = {action.dest: action.help or "" for action in _parser()._actions}
    write_job_template(path, values, meanings)
    print(f"job file {path}; nas-run --config {path} runs it")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
