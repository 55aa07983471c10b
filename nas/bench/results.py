"""`scripts/results`: real searches on real data, a row each, and the table of what came of them.

A row that has a result is not run again; the table is made of all rows that have one. Beside the searches at given
limits there are two rows for each data set: `reference` trains the network of MLPerf Tiny of that kind, alone, for
8,000 steps; `matched` searches at no more SRAM and flash than that network takes, and half of its cycles.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.budget import parse_budget
from cost_models.resources import format_quantity
from cost_models.target_file import load_target
from nas.model.metrics import METRICS
from nas.model.result import RunSummary
from nas.run.folder import open_run_folder
from nas.run.result import read_result

_HEAD = (
    "| data | row | limits | asked | seed | test metric (95 % interval) | SRAM | flash | cycles | trainings |\n"
    "|---|---|---|---|--:|---|--:|--:|--:|--:|\n"
)
_LIMITS = {"small": "sram=16KB,flash=96KB", "large": "sram=64KB,flash=192KB"}
_KINDS = (*_LIMITS, "reference", "matched")
# All that the chip has, for a network that is not chosen by its costs.
_REFERENCE = (
    *("--budget", "sram=240KB,flash=960KB,cycles=1000M"),
    *("--trials", "1", "--finalists", "1", "--finalist-steps", "8000"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A data set.

    Attributes:
        file: In the folder that is given; None for embedded data.
        task: Makes the task of the file, in a folder of its own where it needs one.
        flags: What `nas-run` is told of the data and of what is asked.
        space: What is searched.
        start: The network of MLPerf Tiny of that kind, and the space that has it.
    """

    file: str | None
    task: Callable[[Path, Path], str]
    flags: tuple[str, ...] = ()
    space: str = "ds_cnn"
    start: tuple[str, str]


def arrays(file: Path, folder: Path) -> str:
    """The task of an `npz` as it is."""
    return f"npz:{file}"


def write_recordings(file: Path, folder: Path) -> str:
    """The recordings of an `npz` with `sample_rate` as WAV files in folders of parts and classes, and their task."""
    import soundfile

    root = folder / file.stem
    if not root.is_dir():
        with np.load(file, allow_pickle=False) as data:
            rate, names = int(data["sample_rate"]), [str(name) for name in data["class_names"]]
            for part in ("train", "val", "test"):
                for index, (clip, label) in enumerate(zip(data[f"X_{part}"], data[f"y_{part}"], strict=True)):
                    place = root / part / names[int(label)]
                    place.mkdir(parents=True, exist_ok=True)
                    soundfile.write(place / f"{index:05d}.wav", clip, rate, subtype="PCM_16")
    return f"audio:{root}"


_CNN, _RESNET = ("ds_cnn_kws", "search_spaces.mlperf_tiny"), ("resnet8", "resnet")
DATA: dict[str, Data] = {
    "digits": Data(file=None, task=lambda file, folder: "digits", start=_RESNET),
    "fashion": Data(file="fashion_mnist_28k10k.npz", task=arrays, start=_RESNET),
    "har": Data(file="sp_sw_har_50hz.npz", task=arrays, flags=("--metric", "accuracy"), start=_CNN),
    "fsdd": Data(file="fsdd_8k.npz", task=write_recordings, start=_CNN),
    "gearbox": Data(
        file="gearbox_vibration.npz",
        task=arrays,
        flags=("--normal", "healthy", "--front-end", "spectrum", "--sample-rate", "10000"),
        space="autoencoder",
        start=("fc_autoencoder", "autoencoder"),
    ),
}
ROWS = tuple(f"{name}-{kind}" for name in DATA for kind in _KINDS)


def run_row(row: str, *, data: Path, out: Path, seconds: float, seed: int) -> Path:
    """The folder of a row's run, which is made, or gone on with, where it has no result.

    Args:
        row: One of `ROWS`.
        data: Folder of the data sets.
        out: Folder of the runs.
        seconds: Time limit of a search.
        seed: Of the run.
    """
    name, _, kind = row.partition("-")
    entry, folder = DATA[name], out / f"{row}-{seed}"
    words = [sys.executable, "-m", "nas"]
    if not (folder / "result.json").is_file():
        if (folder / "config.json").is_file():
            words += ["--resume", str(folder)]
        else:
            words += ["--task", entry.task(data / (entry.file or ""), out), *entry.flags]
            if kind == "reference":
                start, space = entry.start
                words += ["--space", space, "--start", start, *_REFERENCE]
            else:
                words += ["--space", entry.space, "--timeout", f"{seconds:g}s", "--budget"]
                words += [_LIMITS.get(kind) or matched_budget(out / f"{name}-reference-{seed}")]
            words += ["--seed", str(seed), "--out", str(folder)]
        subprocess.run(words, check=True)
    return folder


def matched_budget(reference: Path) -> str:
    """No more SRAM and flash than the network of a run takes, and half of its cycles, as `--budget` has them.

    Behind a front end the limits are those of both, as the run's own were: what was taken off them is added again.

    Raises:
        UserError: The run has no result or no model.
    """
    summary, content = read_result(open_run_folder(str(reference)))
    assert summary.chosen is not None
    asked = parse_budget(content["config"]["budget"], load_target(content["config"]["target"]))
    left = {limit.resource: limit.limit for limit in summary.budget}
    taken = {
        name: 0 if name not in left else int((asked.limit(name) or left[name]) - left[name])
        for name in ("sram", "flash", "cycles")
    }
    costs = summary.chosen.costs
    sram, flash = costs["sram_bytes"] + taken["sram"], costs["flash_bytes"] + taken["flash"]
    return f"sram={sram}B,flash={flash}B,cycles={costs['cycles'] // 2 + taken['cycles']}"


def table(folders: Sequence[Path]) -> str:
    """The rows of all runs that chose a model, as Markdown."""
    return _HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in map(_cells, folders) if cells)


def _cells(folder: Path) -> tuple[str, ...]:
    summary, content = read_result(open_run_folder(str(folder)))
    chosen = summary.chosen
    if chosen is None or chosen.test_accuracy is None:
        return ()
    costs, cycles = chosen.costs, chosen.costs.get("cycles")
    return (
        *folder.name.split("-")[:2],
        str(content["config"]["budget"]),
        _asked(content["config"]),
        str(content["config"]["seed"]),
        "; ".join(_metrics(summary)),
        format_quantity("sram", costs["sram_bytes"]),
        format_quantity("flash", costs["flash_bytes"]),
        "-" if cycles is None else f"{cycles / 1e6:.2f} M",
        str(len(summary.evaluated())),
    )


def _asked(config: Mapping[str, Any]) -> str:
    if not config.get("start"):
        return f"{float(config['timeout'] or 0) / 60:g} min"
    return f"{config['start']}, {config['finalist_steps']:,} steps"


def _metrics(summary: RunSummary) -> Iterator[str]:
    assert summary.chosen is not None
    test = summary.chosen.test_accuracy
    assert test is not None
    score, low, high = (
        (test.value, test.low, test.high)
        if test.score is None or summary.task.metric == "accuracy"
        else (test.score, test.score_low, test.score_high)
    )
    ends = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    yield f"{METRICS[summary.task.metric].label} {100 * score:.1f} %{ends}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the rows asked for, and prints the table of all that have a result."""
    parser = argparse.ArgumentParser(prog="results", description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument(
        "--rows", default=",".join(ROWS), help=f"of: {', '.join(ROWS)}; with commas between them"
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="time limit of a row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/results"), help="folder of the runs")
    arguments = parser.parse_args(argv)
    rows = [name for name in arguments.rows.split(",") if name]
    if unknown := [name for name in rows if name not in ROWS]:
        parser.error(f"There is no row {unknown[0]!r}. Rows: {', '.join(ROWS)}.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in rows:
        run_row(
            name, data=arguments.data, out=arguments.out, seconds=60 * arguments.minutes, seed=arguments.seed
        )
    done = sorted(path.parent for path in arguments.out.glob("*/result.json"))
    sys.stdout.write(table(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
