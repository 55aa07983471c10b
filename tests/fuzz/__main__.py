"""Runs mutation campaigns and prints what became of the cases; exit code 1 where one found a fault."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nas.cli.run import main as nas_run
from tests.fuzz.campaign import Campaign, Tally, run
from tests.fuzz.files import Bundles, Npz, RunFolders, Toml
from tests.fuzz.models import Models

NAMES = ("models", "npz", "toml", "bundles", "runs")
TINY = "--space mlp --trials 2 --finalists 1 --steps 30 --final-steps 30 --workers 1 --seed 1"


def tiny_run(folder: Path) -> Path:
    """A finished run of some seconds."""
    place = folder / "run"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = nas_run([*TINY.split(), "--out", str(place)])
    assert code == 0, "the run that campaigns start from failed"
    return place


def campaigns(names: list[str], folder: Path, oracle_share: float) -> list[Campaign]:
    """The campaigns of these names."""
    finished = tiny_run(folder) if {"bundles", "runs"} & set(names) else folder
    makers: dict[str, Callable[[], Campaign]] = {
        "models": lambda: Models(oracle_share),
        "npz": Npz,
        "toml": Toml,
        "bundles": lambda: Bundles(finished / "bundle"),
        "runs": lambda: RunFolders(finished),
    }
    return [makers[name]() for name in names]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument(
        "--count", type=int, default=2000, help="cases of each campaign (default: %(default)s)"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="time of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first case (default: %(default)s)")
    parser.add_argument("--only", default=",".join(NAMES), help="campaigns (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument(
        "--oracle-share",
        type=float,
        default=0.1,
        help="accepted models that TFLM runs (default: %(default)s)",
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where inputs of faults are kept")
    arguments = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory(prefix="nas-fuzz-") as name:
        folder = Path(name)
        for campaign in campaigns(arguments.only.split(","), folder, arguments.oracle_share):
            began = time.monotonic()
            tally = _shared_out(campaign, arguments, folder)
            took = time.monotonic() - began
            counts = ", ".join(f"{word} {count:,}" for word, count in sorted(tally.counts.items()))
            print(f"{campaign.name}: {counts} ({took:.0f} s)", flush=True)
            for seed, text in tally.faults[:20]:
                print(f"  seed {seed}: {text}", flush=True)
            faults += len(tally.faults)
    return 1 if faults else 0


def _shared_out(campaign: Campaign, arguments: argparse.Namespace, folder: Path) -> Tally:
    """A share of the seeds for each process."""
    jobs, end = arguments.jobs, time.monotonic() + 60 * arguments.minutes
    size = -(-arguments.count // jobs)
    places = [folder / f"{campaign.name}-{job}" for job in range(jobs)]
    for place in places:
        place.mkdir()

    def one(job: int) -> Tally:
        first, count = arguments.seed + job * size, min(size, arguments.count - job * size)
        return run(campaign, first=first, count=count, folder=places[job], end=end, faults=arguments.keep)

    with ThreadPoolExecutor(jobs) as pool:
        parts = list(pool.map(one, range(jobs)))
    return Tally(
        counts=sum((part.counts for part in parts), Counter()),
        faults=[fault for part in parts for fault in part.faults],
    )


if __name__ == "__main__":
    sys.exit(main())
