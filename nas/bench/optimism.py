"""`scripts/bench_optimism`: the expected optimism of what is chosen against the actual, in replays of the benchmark."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nas.bench.replay import Ours, replay
from nas.bench.search import TWO
from nas.bench.table import STEPS, TASKS
from nas.bench.truth import Truth, read_table
from nas.model.optimism import Array, expected_optimism

_FEW = 360  # validation samples of a small data set


@cache
def _truth(task: str) -> tuple[Truth, float, float]:
    """The benchmark, the gap between validation and test accuracy of all networks, and the noise of a difference.

    The noise is the deviation of a validation figure that networks do not share, as those of the better half show it:
    their gaps differ by it and by the same of the test figure.
    """
    rows = read_table(TASKS[task])
    pairs = np.array(
        [
            (int(row["val_correct"]) / TASKS[task].val, int(row["test_correct"]) / TASKS[task].test)
            for row in rows
            if int(row["steps"]) == STEPS[-1]
        ]
    )
    better = pairs[pairs.mean(axis=1) >= np.median(pairs.mean(axis=1))]
    gaps = better[:, 0] - better[:, 1]
    noise = gaps.std(ddof=1) / np.sqrt(1 + TASKS[task].val / TASKS[task].test)
    return Truth(TASKS[task], rows), float(gaps.mean()), float(noise)


def _run(task: str, seed: int, *, seconds: float) -> list[float]:
    """Of one search: full trainings; actual and expected optimism, by paired and by independent noise; the same of few
    validation samples that are drawn, of which the noise is known."""
    threadpool_limits(1)
    truth, gap, noise = _truth(task)
    search = Ours(truth, seed, seconds, steps=TWO)
    done = [
        one for one in replay(search, truth, seed=seed, horizon=seconds) if one.full and one.screened.fits
    ]
    found = {one.screened.digest: one.answer for one in done}
    seen = np.array([1 - answer.val_error for answer in found.values()])
    tested = np.array([1 - answer.test_error for answer in found.values()])

    def most(figures: Array) -> NDArray[np.int64]:
        return np.asarray(figures.argmax(axis=1), np.int64)

    def binomial(figures: Array, samples: int) -> Array:
        return np.diag(np.sqrt(figures * (1 - figures) / samples))

    best = int(seen.argmax())
    drawn = np.random.default_rng([seed, 7]).binomial(_FEW, seen) / _FEW
    lucky = int(drawn.argmax())
    return [
        len(seen),
        seen[best] - tested[best] - gap,
        expected_optimism(seen, noise * np.eye(len(seen)), most),
        expected_optimism(seen, binomial(seen, truth.task.val), most),
        drawn[lucky] - seen[lucky],
        expected_optimism(drawn, binomial(drawn, _FEW), most),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Replay and print a row for each task and length, in points with 95 % intervals over seeds."""
    parser = argparse.ArgumentParser(prog="bench_optimism", description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=400)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", default="60,240", help="virtual seconds of the searches")
    arguments = parser.parse_args(argv)
    print(
        "| task | virtual seconds | full trainings | actual | expected, paired | expected, independent |",
        end="",
    )
    print(f" actual of {_FEW} | expected of {_FEW} |")
    print("|---" * 8 + "|")
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    with ProcessPoolExecutor(arguments.workers) as pool:
        for task in TASKS:
            for seconds in map(float, arguments.seconds.split(",")):
                rows = np.array(list(pool.map(partial(_run, task, seconds=seconds), seeds)))
                half = 1.96 * rows.std(axis=0, ddof=1) / len(rows) ** 0.5
                cells = [
                    f"{100 * mean:.2f} ± {100 * wide:.2f}" for mean, wide in zip(rows.mean(axis=0), half)
                ]
                print(
                    f"| {task} | {seconds:g} | {rows[:, 0].mean():.0f} | {' | '.join(cells[1:])} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
