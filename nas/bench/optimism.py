"""`scripts/bench_optimism`: the expected optimism of what is chosen against the actual, of recorded networks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.bench.table import STEPS, TASKS
from nas.bench.truth import read_table
from nas.model.optimism import Array, expected_optimism

_FEW = 360  # validation samples of a small data set
_DRAWS = 400  # searches


def _most(figures: Array) -> NDArray[np.int64]:
    return np.asarray(figures.argmax(axis=1), np.int64)


def _binomial(figures: Array, samples: int) -> Array:
    return np.diag(np.sqrt(figures * (1 - figures) / samples))


def recorded(task: str) -> Array:
    """Validation and test accuracy of the better half of the recorded networks, in full. Shape: (n, 2)."""
    row_of = {
        row["network"]: (
            int(row["val_correct"]) / TASKS[task].val,
            int(row["test_correct"]) / TASKS[task].test,
        )
        for row in read_table(TASKS[task])
        if int(row["steps"]) == STEPS[-1]
    }
    pairs = np.array(list(row_of.values()))
    return np.asarray(pairs[pairs.mean(axis=1) >= np.median(pairs.mean(axis=1))])


def compare(task: str, networks: int, draws: int = _DRAWS) -> Array:
    """Optimism of the choice of so many networks drawn at random.

    The part of the gap between validation and test that networks of one worth share is of the data, and is left out: a
    line over their accuracy on both parts. The noise of a difference is what gaps differ by besides, less the part of
    the test figure.

    Returns:
        For each draw the actual, by validation less test; the expected, by that noise and by independent errors; and
        the actual and the expected of few validation samples that are drawn, so that the truth is known.
        Shape: (draws, 5).
    """
    known = recorded(task)
    gaps = known[:, 0] - known[:, 1]
    worth = np.average(known, axis=1, weights=[TASKS[task].val, TASKS[task].test])
    gaps -= np.polyval(np.polyfit(worth, gaps, 1), worth)
    noise = gaps.std(ddof=2) / np.sqrt(1 + TASKS[task].val / TASKS[task].test)
    rows = []
    for seed in range(draws):
        rng = np.random.default_rng([seed, networks])
        drawn = rng.choice(len(known), networks, replace=False)
        seen = known[drawn, 0]
        best = int(seen.argmax())
        few = rng.binomial(_FEW, seen) / _FEW
        lucky = int(few.argmax())
        rows.append(
            (
                gaps[drawn[best]],
                expected_optimism(seen, noise * np.eye(networks), _most),
                expected_optimism(seen, _binomial(seen, TASKS[task].val), _most),
                few[lucky] - seen[lucky],
                expected_optimism(few, _binomial(few, _FEW), _most),
            )
        )
    return np.array(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each task and number of networks: means in points, with standard errors of the draws."""
    parser = argparse.ArgumentParser(prog="bench_optimism", description=__doc__)
    parser.add_argument("--networks", default="4,12,40", help="full trainings that are chosen among")
    parser.add_argument("--draws", type=int, default=_DRAWS)
    arguments = parser.parse_args(argv)
    print(f"| task | networks | actual | expected | independent | actual of {_FEW} | expected of {_FEW} |")
    print("|---" * 7 + "|")
    for task in TASKS:
        for networks in map(int, arguments.networks.split(",")):
            rows = 100 * compare(task, networks, arguments.draws)
            errors = rows.std(axis=0, ddof=1) / len(rows) ** 0.5
            cells = [f"{mean:.2f} ± {error:.2f}" for mean, error in zip(rows.mean(axis=0), errors)]
            print(f"| {task} | {networks} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
