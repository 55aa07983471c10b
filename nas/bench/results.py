"""`scripts/results`: real searches on real data, a row each, and the table of what came of them.

A row that has a result is not run again; the table is made of all rows that have one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cost_models.resources import format_quantity
from nas.model.metrics import METRICS
from nas.model.result import RunSummary
from nas.run.folder import open_run_folder
from nas.run.result import read_result

_HEAD = (
    "| data | limits | asked | seed | test metric (95 % interval) | SRAM | flash | cycles | trainings |\n"
    "|---|---|---|--:|---|--:|--:|--:|--:|\n"
)
_SMALL, _LARGE = "sram=16KB,flash=96KB", "sram=64KB,flash=192KB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One search.

    Attributes:
        file: Of the data, in the folder that is given.
        budget: The limits.
        flags: What else `nas-run` is told.
        task: Makes the task of the file, in a folder of its own where it needs one.
    """

    file: str
    budget: str
    flags: tuple[str, ...]
    task: Callable[[Path, Path], str]


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


ROWS: dict[str, Row] = {
    f"{name}-{size}": Row(file=file, budget=budget, flags=flags, task=task)
    for name, file, flags, task in (
        ("fashion", "fashion_mnist_28k10k.npz", (), arrays),
        ("har", "sp_sw_har_50hz.npz", ("--metric", "accuracy"), arrays),
        ("fsdd", "fsdd_8k.npz", (), write_recordings),
        (
            "gearbox",
            "gearbox_vibration.npz",
            ("--normal", "healthy", "--space", "autoencoder", "--front-end", "spectrum"),
            arrays,
        ),
    )
    for size, budget in (("small", _SMALL), ("large", _LARGE))
}


def run_row(name: str, *, data: Path, out: Path, seconds: float, seed: int) -> Path:
    """The folder of a row's run, which is made, or gone on with, where it has no result."""
    row, folder = ROWS[name], out / f"{name}-{seed}"
    words = [sys.executable, "-m", "nas"]
    if not (folder / "result.json").is_file():
        if (folder / "config.json").is_file():
            words += ["--resume", str(folder)]
        else:
            words += ["--task", row.task(data / row.file, out), "--budget", row.budget, *row.flags]
            words += ["--timeout", f"{seconds:g}s", "--seed", str(seed), "--out", str(folder)]
        subprocess.run(words, check=True)
    return folder


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
        Path(str(content["config"]["task"]).partition(":")[2]).stem,
        str(content["config"]["budget"]),
        f"{float(content['config']['timeout'] or 0) / 60:g} min",
        str(content["config"]["seed"]),
        "; ".join(_metrics(summary)),
        format_quantity("sram", costs["sram_bytes"]),
        format_quantity("flash", costs["flash_bytes"]),
        "-" if cycles is None else f"{cycles / 1e6:.2f} M",
        str(len(summary.evaluated())),
    )


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
