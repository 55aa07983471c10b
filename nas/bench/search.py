"""`scripts/bench_search`: hypervolume against compute of each way to search, replayed over the recorded benchmark."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nas.bench.replay import Evolution, Judge, Ours, Plain, Strategy, replay
from nas.bench.table import STEPS, TABLES, TASKS, screen_of
from nas.bench.truth import Truth, read_table
from nas.strategy.gaussian_process import Array
from nas.strategy.settings import SearchSettings

TWO = (STEPS[1], STEPS[2])  # the rungs of `nas-run`: one, and four times as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to search.

    Attributes:
        make: Of the benchmark, the seed and the time limit.
        plain: Whether it is what a user could pick instead.
    """

    make: Callable[[Truth, int, float], Strategy]
    plain: bool = False


def _ours(steps: Sequence[int] = TWO, **changed: Any) -> Way:
    settings = SearchSettings(**changed)
    return Way(make=lambda truth, seed, horizon: Ours(truth, seed, horizon, settings=settings, steps=steps))


def _plain(sampler: str) -> Way:
    return Way(make=lambda truth, seed, horizon: Plain(sampler, truth, seed), plain=True)


def _warm(truth: Truth, seed: int, horizon: float) -> Strategy:
    """After an earlier search of the same length, by another seed, within twice the memory."""
    loose = screen_of(truth.task, _LOOSE)
    first = Ours(truth, seed + 1000, horizon, steps=TWO, screen=loose)
    earlier = replay(first, truth, seed=seed + 1000, horizon=horizon)
    return Ours(truth, seed, horizon, steps=TWO, earlier=earlier)


WAYS: dict[str, Way] = {
    "random": _plain("random"),
    "nsga2": _plain("nsga2"),
    "tpe": _plain("tpe"),
    "evolution": Way(make=lambda truth, seed, horizon: Evolution(truth, seed), plain=True),
    "ours": _ours(),
    "screened tpe": Way(make=lambda truth, seed, horizon: Plain("tpe", truth, seed, screened=True)),
    "warm start": Way(make=_warm),
    "unguided": _ours(guided=False),
    "one rung": _ours(STEPS[2:]),
    "three rungs": _ours(STEPS),
    "every other for the leader": _ours(turns=2),
    "two of three for the leader": _ours(leaders=2),
    "half goes on": _ours(reduction_factor=2),
    "a fifth goes on": _ours(reduction_factor=5),
    "timeless": _ours(by_time=False),
    "front alone": _ours(leaders=0),
    "leader alone": _ours(turns=1),
    "a third of the pool": _ours(pool_size=21),
    "three times the pool": _ours(pool_size=192),
    "3 at random": _ours(random_first=3),
    "16 at random": _ours(random_first=16),
}
_LOOSE = "sram=32KB,flash=96KB"
MAIN = ("random", "nsga2", "tpe", "evolution", "ours")
SHARES = (0.1, 0.2, 0.5, 1.0)


@cache
def _bench(task: str, table: Path) -> tuple[Truth, Judge]:
    rows = read_table(TASKS[task], table)
    truth = Truth(TASKS[task], rows)
    return truth, Judge.of(truth, rows)


def _run(
    task: str, way: str, seed: int, *, horizon: float, table: Path, whole: bool
) -> list[tuple[float, float]]:
    """Scores of one search at each share of the compute; ours is given each share as its time limit."""
    truth, judge = _bench(task, table)
    threadpool_limits(1)  # searches run side by side
    chosen = WAYS[way]
    if chosen.plain:
        done = replay(chosen.make(truth, seed, horizon), truth, seed=seed, horizon=horizon)
        return [judge.score(t for t in done if t.ended <= share * horizon) for share in SHARES]
    limits = [share * horizon for share in (SHARES if whole else SHARES[:2])]
    return [
        judge.score(replay(chosen.make(truth, seed, limit), truth, seed=seed, horizon=limit))
        for limit in limits
    ]


def _row(name: str, scores: Array, took: float) -> str:
    """Means with 95 % intervals over seeds. Shape of scores: (seeds, shares, 2)."""
    half = 1.96 * scores.std(0, ddof=1) / len(scores) ** 0.5
    mean = scores.mean(0)
    cells = [f"{m:.3f} ± {h:.3f}" for m, h in zip(mean[:, 0], half[:, 0])]
    cells += [""] * (len(SHARES) - len(cells))
    errors = [f"{100 * m:.2f} ± {100 * h:.2f}" for m, h in zip(mean[:, 1], half[:, 1])]
    at = {share: errors[i] for i, share in enumerate(SHARES[: len(errors)])}
    return f"| {name} | {' | '.join(cells)} | {at[0.2]} | {at.get(1.0, '')} | {took:.1f} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Replay and print one table for each task."""
    parser = argparse.ArgumentParser(prog="bench_search", description=__doc__)
    parser.add_argument("--ways", default=",".join(MAIN), help=f"of: {', '.join(WAYS)}; or all")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0, help="the parts were tried out on 0 to 19")
    parser.add_argument("--seconds", type=float, default=1200.0, help="virtual seconds of the whole compute")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--table", type=Path, default=TABLES, help="folder of the tables")
    arguments = parser.parse_args(argv)
    ways = list(WAYS) if arguments.ways == "all" else arguments.ways.split(",")
    for kind, given, known in (("way", ways, WAYS), ("task", arguments.tasks.split(","), TASKS)):
        for name in given:
            if name not in known:
                parser.error(f"there is no {kind} {name!r}: {', '.join(known)}")
    if arguments.seeds < 2:
        parser.error("an interval needs two seeds at least: --seeds 2")
    whole = any(WAYS[one].plain for one in ways)  # parts alone are compared on the first fifth
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    with ProcessPoolExecutor(arguments.workers) as pool:
        for task in arguments.tasks.split(","):
            truth, _ = _bench(task, arguments.table)
            print(
                f"\n{task}: {truth.networks} networks recorded, budget {truth.task.budget},"
                f" seeds {seeds[0]} to {seeds[-1]}, {arguments.seconds:g} s of 2 workers\n"
            )
            heads = [f"hypervolume at {share:.0%}" for share in SHARES]
            print(f"| way | {' | '.join(heads)} | test error at 20% | at 100% | s a search |")
            print("|---" * (len(SHARES) + 4) + "|")
            scores: dict[str, Array] = {}
            for way in ways:
                began = time.perf_counter()
                run = partial(_run, task, way, horizon=arguments.seconds, table=arguments.table, whole=whole)
                scores[way] = np.array(list(pool.map(run, seeds)))
                print(_row(way, scores[way], (time.perf_counter() - began) / len(seeds)), flush=True)
            _verdict(scores)
    return 0


def _verdict(scores: Mapping[str, Array]) -> None:
    """Holds ours against the plain way that ends best."""
    from scipy.stats import mannwhitneyu

    plain = [way for way in scores if WAYS[way].plain]
    if not plain or "ours" not in scores:
        return
    best = max(plain, key=lambda way: float(scores[way][:, -1, 0].mean()))
    rival = scores[best][:, -1, 0]
    for index, share in ((1, 0.2), (-1, 1.0)):
        mine = scores["ours"][:, index, 0]
        p = mannwhitneyu(mine, rival, alternative="greater").pvalue
        print(
            f"\nours at {share:.0%} of the compute against the best plain way ({best}) at 100%:"
            f" {mine.mean():.3f} and {rival.mean():.3f}, p = {p:.2g} (Mann-Whitney, one-sided)"
        )


if __name__ == "__main__":
    sys.exit(main())
