"""`nas-calibrate`: fits a board's rates to per-operator cycle logs and writes them into its target file."""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cost_models.command_line import Parser, require_extra, run_command
from cost_models.errors import UserError
from cost_models.reading import LARGEST_MODEL_BYTES, LARGEST_TEXT_BYTES, read_bounded, read_text

if TYPE_CHECKING:
    from cost_models.cycles.boards import Check, Measurement
    from cost_models.cycles.rates import Rates
    from cost_models.graph import OpGraph
    from cost_models.target import Target

_EPILOG = """\
A LOG is what the exported firmware prints: TFLM's profiler CSV, one line per operator.
  "Event","Tag","Ticks"
  0,CONV_2D,1249034
A log may hold several inferences; the median of each operator counts. Its model is the .tflite file of the same
name beside it, or the one that a line '# model: path.tflite' names.

examples:
  nas-calibrate kws.csv ad.csv --target my_board.toml
  nas-calibrate logs/*.csv --target my_board.toml --extends nrf52840
  nas-calibrate kws.csv --run "west flash" --port /dev/ttyACM0 --target my_board.toml --extends nrf52840
"""
_COMMENT = re.compile(r"^\s*#\s*(\w+)\s*:\s*(.+?)\s*$")
_HEADER = ["event", "tag", "ticks"]
_FEWEST_CYCLES, _MOST_CYCLES = 0.01, 1e13


@dataclass(frozen=True, slots=True)
class Log:
    """One profiler log.

    Attributes:
        path: The log file.
        model: Its .tflite file.
        tags: TFLM's name of each operator, in order of execution.
        ticks: Median ticks of each operator over the inferences in the log.
    """

    path: Path
    model: Path
    tags: tuple[str, ...]
    ticks: tuple[float, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nas-calibrate`; the report goes to stdout, complaints to stderr.

    Returns:
        The exit code: 0, or 2 for a user's mistake.
    """
    return run_command("nas-calibrate", lambda words: _run(_parser().read(words)), argv)


def _parser() -> Parser:
    parser = Parser(
        prog="nas-calibrate",
        description="Fit a board's cycle rates to logs of some models that ran on it.",
        epilog=_EPILOG,
    )
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="profiler log of one model")
    parser.add_argument(
        "--target", type=Path, required=True, metavar="FILE", help="target file to write the rates into"
    )
    parser.add_argument("--extends", metavar="NAME", help="start a new target file from this shipped target")
    parser.add_argument(
        "--ticks-per-cycle",
        type=float,
        default=1.0,
        metavar="N",
        help="ticks of the log's clock per cycle of the core (default: 1, the core's own counter)",
    )
    parser.add_argument(
        "--run",
        metavar="CMD",
        help="flash and run the profile build by this command, and write what the board prints into the LOG that"
        " does not exist yet",
    )
    parser.add_argument(
        "--port", metavar="DEVICE", help="with --run: the serial port to read; default: the command's stdout"
    )
    parser.add_argument("--baud", type=int, metavar="N", help="with --port: its speed (default: 115200)")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="with --run: for command and log (default: 120)"
    )
    parser.add_argument("--dry-run", action="store_true", help="report, but write nothing")
    parser.add_argument("--json", action="store_true", help="report as JSON")
    return parser


def _run(args: argparse.Namespace) -> int:
    require_extra("calibrate", "nas-calibrate")
    from cost_models.rates_file import with_rates
    from cost_models.target_file import load_target

    text = _target_text(args.target, args.extends)
    target = load_target(args.extends) if args.extends else load_target(str(args.target))
    if not 0 < args.ticks_per_cycle < math.inf:
        raise UserError(
            "--ticks-per-cycle is not a number above zero.", "Give ticks of the log's clock per core cycle."
        )
    _capture(args)
    measurements = [measurement(read_log(path), args.ticks_per_cycle) for path in args.logs]
    rates, check = calibrate(measurements, target, source=_source(measurements, target))
    if not args.dry_run:
        _replace(args.target, with_rates(text, rates))
    print(_report(args, measurements, rates, check, shipped_errors(measurements, target)))
    return 0


def _capture(args: argparse.Namespace) -> None:
    """Writes the log that `--run` is asked for; nothing without it."""
    if args.run is None:
        for flag in ("port", "baud", "timeout"):
            if getattr(args, flag) is not None:
                raise UserError(f"--{flag} needs --run.", "Say how the board is flashed: --run CMD.")
        return
    if args.baud is not None and args.port is None:
        raise UserError("--baud needs --port.", "Name the serial port.")
    seconds = 120.0 if args.timeout is None else args.timeout
    if not 0 < seconds < math.inf:
        raise UserError("--timeout is not a number above zero.", "Give seconds, such as 120.")
    wanted = [path for path in args.logs if not path.exists()]
    if len(wanted) != 1:
        raise UserError(
            f"--run writes one log, and {len(wanted)} of the named ones are not there yet.",
            "Name one LOG that does not exist; the others are fitted with it.",
        )
    from cost_models.capture import capture
    from cost_models.tflite_graph import read_graph

    log = wanted[0]
    graph = read_graph(read_bounded(_model_of(log, None), LARGEST_MODEL_BYTES))
    operators = len(graph.operators)

    def complete(data: bytes) -> bool:
        # What follows the last line end may still be growing.
        lines = data.decode("utf-8", errors="replace").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(("\n", "\r"))]
        return max(map(len, _inferences(log, whole)[1]), default=0) >= operators

    def keep(data: bytes) -> str:
        part = log.with_name(f"{log.name}.part")
        _write(part, data)
        return f"What was read is in {part}."

    said = capture(
        args.run,
        port=args.port,
        baud=115200 if args.baud is None else args.baud,
        seconds=seconds,
        complete=complete,
        keep=keep,
        echo=lambda text: print(text, end="", file=sys.stderr, flush=True),
    )
    _write(log, said)
    try:
        measurement(read_log(log), args.ticks_per_cycle)
    except UserError as error:  # its name is free again for the next try
        part = log.replace(log.with_name(f"{log.name}.part"))
        raise UserError(f"{error.message.rstrip('.')}; it is kept as {part}.", error.hint) from None


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).", "Give another LOG.") from None


@dataclass(frozen=True, slots=True)
class ShippedError:
    """How far the figure of a target as it was lies from a measurement.

    Attributes:
        model: Its name.
        error: Predicted over measured cycles, less 1.
        inside: Whether the measurement lies in the prediction's 90 % interval.
    """

    model: str
    error: float
    inside: bool


def shipped_errors(measurements: Sequence[Measurement], target: Target) -> tuple[ShippedError, ...]:
    """Errors of the target's rates on each model before they were fitted; nothing where it had none."""
    from cost_models.cycles.model import predict

    if target.cycle_rates is None:
        return ()
    errors = []
    for measurement in measurements:
        work = predict(measurement.graph, kernels=target.kernels, core=target.core, rates=target.cycle_rates)
        measured = sum(measurement.cycles)
        if work.cycles is None or work.cycles_low is None or work.cycles_high is None:
            continue
        inside = work.cycles_low <= measured <= work.cycles_high
        errors.append(ShippedError(measurement.model, work.cycles / measured - 1, inside))
    return tuple(errors)


def _replace(path: Path, text: str) -> None:
    """Writes a target file once it is known to load: a good file is never replaced by one that does not."""
    from cost_models.target_file import load_target

    part = path.with_name(f".{path.stem}.part.toml")
    try:
        part.write_text(text, encoding="utf-8")
        try:
            load_target(part)
            part.replace(path)
        except UserError as error:
            raise UserError(f"{path} would not load with these rates: {error}", "Check the ticks.") from None
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).", "Give another --target.") from None


def _target_text(path: Path, extends: str | None) -> str:
    if path.suffix != ".toml":
        raise UserError(f"--target {path} is not a .toml file.", "Rates are written into a target file.")
    if path.is_file():
        if extends:
            raise UserError(
                f"{path} exists, so --extends has no use.", "Leave --extends out, or name a new file."
            )
        return read_text(path)
    if path.exists():
        raise UserError(f"{path} is not a file.", "Give the path of a TOML file.")
    if not extends:
        raise UserError(
            f"{path} does not exist.", "Write it first, or start from a shipped target: --extends NAME."
        )
    title = path.stem.replace("_", " ")
    return f"extends = {json.dumps(extends)}\ntitle = {json.dumps(title)}\n"


def read_log(path: Path) -> Log:
    """Reads one profiler log.

    Raises:
        UserError: It is not a profiler log, or its model is not found.
    """
    lines = read_bounded(path, LARGEST_TEXT_BYTES).decode("utf-8", errors="replace").splitlines()
    notes, inferences = _inferences(path, lines)
    # An inference that the line broke off is a beginning of a whole one, and left out.
    longest = max((len(events) for events in inferences), default=0)
    tags_of = [tuple(tag for tag, _ in events) for events in inferences]
    whole = {tags for tags in tags_of if len(tags) == longest}
    inferences = [
        events
        for events, tags in zip(inferences, tags_of, strict=True)
        if tags in whole or not any(tags == other[: len(tags)] for other in whole)
    ]
    if longest == 0:
        raise UserError(
            f"{path} holds no profiler events.",
            'Expected the lines of TFLM\'s MicroProfiler::LogCsv: "Event","Tag","Ticks" and one per operator.',
        )
    tags = tuple(tag for tag, _ in inferences[0])
    if any(tuple(tag for tag, _ in events) != tags for events in inferences):
        raise UserError(
            f"{path} holds logs of different models.", "Put each model's log into a file of its own."
        )
    ticks = tuple(statistics.median(events[index][1] for events in inferences) for index in range(len(tags)))
    if min(ticks) <= 0:
        raise UserError(f"{path} has an operator of no ticks.", "Use a counter that counts every cycle.")
    return Log(path, _model_of(path, notes.get("model")), tags, ticks)


def _inferences(path: Path, lines: Iterable[str]) -> tuple[dict[str, str], list[list[tuple[str, float]]]]:
    """The notes of a log, and tag and ticks of each operator in each of its inferences."""
    notes: dict[str, str] = {}
    inferences: list[list[tuple[str, float]]] = []
    for line in lines:
        if match := _COMMENT.match(line):
            notes[match[1].lower()] = match[2]
            continue
        try:
            fields = next(csv.reader([line.strip()]), [])
        except csv.Error:  # noise on the line
            continue
        if [field.strip().lower() for field in fields] == _HEADER:
            inferences.append([])
        elif inferences and (event := _event(path, fields)) is not None and event[0] == len(inferences[-1]):
            inferences[-1].append(event[1:])
    return notes, inferences


def _event(path: Path, fields: Sequence[str]) -> tuple[int, str, float] | None:
    try:
        index, tag, ticks = fields
        event = int(index), tag.strip(), float(ticks)
    except ValueError:
        return None
    if not math.isfinite(event[2]):
        raise UserError(f"{path} has ticks of {fields[2].strip()}.", "Log a counter's whole numbers.")
    return event


def _model_of(log: Path, named: str | None) -> Path:
    model = log.parent / named if named else log.with_suffix(".tflite")
    if not model.is_file():
        hint = (
            "Name it in the log by a line '# model: path.tflite'."
            if named is None
            else "Mend its '# model:' line."
        )
        raise UserError(f"The model of {log} is not at {model}.", hint)
    return model


def measurement(log: Log, ticks_per_cycle: float = 1.0) -> Measurement:
    """A log with its model's graph.

    Raises:
        UserError: The log's operators are not the model's.
    """
    from cost_models.cycles.boards import Measurement
    from cost_models.tflite_graph import read_graph

    data = read_bounded(log.model, LARGEST_MODEL_BYTES)
    try:
        graph: OpGraph = read_graph(data)
    except UserError as error:
        raise UserError(f"{log.model}: {error.message}", error.hint) from None
    kinds = tuple(op.kind for op in graph.operators)
    if kinds != log.tags:
        at = next(
            (index for index, pair in enumerate(zip(kinds, log.tags, strict=False)) if pair[0] != pair[1]),
            min(len(kinds), len(log.tags)),
        )
        wanted = kinds[at] if at < len(kinds) else "nothing more"
        logged = log.tags[at] if at < len(log.tags) else "nothing more"
        raise UserError(
            f"{log.path} is not a log of {log.model}: at operator {at} the model has {wanted}, the log {logged}.",
            "Log the very file that ran.",
        )
    cycles = tuple(ticks / ticks_per_cycle for ticks in log.ticks)
    # Nothing that a chip runs lies outside; rates fitted to it would be zero or infinite.
    if not all(_FEWEST_CYCLES <= count <= _MOST_CYCLES for count in cycles):
        raise UserError(
            f"{log.path} has operators of {min(cycles):.3g} to {max(cycles):.3g} cycles.",
            "Check the ticks and --ticks-per-cycle.",
        )
    return Measurement(model=log.model.stem, graph=graph, cycles=cycles)


def calibrate(
    measurements: Sequence[Measurement], target: Target, *, source: str
) -> tuple[Rates, Check | None]:
    """Fits rates for a target's core and kernels.

    Raises:
        UserError: The core was never counted, a model has an operator that never was, or the logs give no rates.
    """
    from cost_models.cycles.boards import fit_rates
    from cost_models.cycles.model import predict
    from cost_models.cycles.table import core_table

    table = core_table(target.kernels, target.core)
    if table is None:
        raise UserError(
            f"Nothing is known of {target.kernels} kernels on {target.core}.",
            "Rates need the core's instruction counts: see docs/cost-models.md.",
        )
    for measurement in measurements:
        work = predict(measurement.graph, kernels=target.kernels, core=target.core)
        unknown = work.unknown_kinds + work.bounded_kinds
        if unknown:
            raise UserError(
                f"{measurement.model} has operators without counts: {', '.join(unknown)}.", "Leave it out."
            )
    rates, check = fit_rates(
        measurements, table=table, kernels=target.kernels, core=target.core, source=source
    )
    if min([rates.scale, *(scale for _, scale in rates.scale_by_kind)]) <= 0:
        raise UserError(
            "The logs give a rate of no cycles per ideal cycle.",
            "Check the ticks and --ticks-per-cycle, or log more models.",
        )
    return rates, check


def _source(measurements: Sequence[Measurement], target: Target) -> str:
    operators = sum(len(each.cycles) for each in measurements)
    names = ", ".join(sorted(each.model for each in measurements))
    clock = target.clock_hz / 1e6
    return f"measured by its user: {operators} operators of {len(measurements)} models ({names}) at {clock:g} MHz"


def _report(
    args: argparse.Namespace,
    measurements: Sequence[Measurement],
    rates: Rates,
    check: Check | None,
    shipped: Sequence[ShippedError],
) -> str:
    if args.json:
        return json.dumps(
            {
                "target": str(args.target),
                "rates": asdict(rates),
                "check": asdict(check) if check is not None else None,
                "shipped": [asdict(each) for each in shipped],
            },
            indent=1,
        )
    written = "not written (--dry-run)" if args.dry_run else f"written to {args.target}"
    scales = "".join(f"\n  {kind}: {scale:g}" for kind, scale in rates.scale_by_kind)
    if check is not None:
        quality = (
            f"models left out of the fit: error median {check.median:.1%}, p90 {check.p90:.1%},"
            f" worst {check.worst:.1%}; {check.coverage:.0%} inside their 90 % interval"
        )
    else:
        quality = (
            "With a single model nothing could be left out, so nothing says how good the rates are. The interval is"
            f" as wide ({rates.spread_model:g}) as single models needed on a board of many: log more models."
        )
    return (
        f"{sum(len(each.cycles) for each in measurements)} operators of {len(measurements)} models; rates {written}\n"
        f"scale {rates.scale:g} board cycles per ideal cycle{scales}\n"
        f"{rates.cycles_per_weight_byte:g} cycles per fetched weight byte, "
        f"{rates.cycles_per_operator:g} cycles per operator\n"
        f"{quality}"
        + "".join(
            f"\n{each.model}: the target's rates so far were off by {each.error:+.1%},"
            f" {'inside' if each.inside else 'outside'} their 90 % interval"
            for each in shipped
        )
    )


if __name__ == "__main__":
    sys.exit(main())
