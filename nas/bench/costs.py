"""How long screening takes: random networks of every space, from `ArchSpec` to all costs, on one core."""

from __future__ import annotations

import argparse
import cProfile
import gc
import io
import itertools
import pstats
import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np

from cost_models.arena import arena
from cost_models.costing import CostModel
from cost_models.cycles import predict
from cost_models.errors import UserError
from cost_models.model_bytes import model_bytes
from cost_models.target_file import load_target
from search_spaces.arch import ArchSpec
from search_spaces.choices import Choices
from search_spaces.lower import lower
from search_spaces.space import SearchSpace, candidate, list_spaces, load_space

INPUT_SHAPES = ((28, 28, 1), (32, 32, 3), (49, 10, 1), (64, 6), (128, 9), (48, 48, 1))
CLASSES = 10
_BUCKETS = (8, 12, 16, 24, 32, 48, 64, 1000)
_STAGED = 1000


def networks(names: Sequence[str], count: int, seed: int) -> list[ArchSpec]:
    """Random networks, the spaces and input shapes in turn; shapes that a space refuses are passed over."""
    choices = Choices(rng=np.random.default_rng(seed))
    spaces: list[SearchSpace] = [load_space(name) for name in names]
    specs: list[ArchSpec] = []
    turns = itertools.cycle(itertools.product(spaces, INPUT_SHAPES))
    for space, shape in itertools.islice(turns, 100 * count):
        if len(specs) == count:
            break
        try:
            drawn = candidate(space, choices, input_shape=shape, classes=CLASSES)
        except UserError:
            continue
        specs.append(drawn.narrow)
    return specs


def main(argv: Sequence[str] | None = None) -> int:
    """Print the median time of one network, its growth with operators, a batch, and where the time goes."""
    parser = argparse.ArgumentParser(prog="bench_costs", description=main.__doc__)
    parser.add_argument("--n", type=int, default=10_000, help="networks in the batch (default: %(default)s)")
    parser.add_argument("--target", default="nrf52840")
    parser.add_argument("--space", action="append", help="only this space (may be repeated)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", action="store_true", help="show the functions that take the time")
    options = parser.parse_args(argv)
    try:
        model = CostModel(load_target(options.target))
        specs = networks(options.space or list_spaces(), options.n, options.seed)
    except UserError as error:
        print(f"bench_costs: {error}", file=sys.stderr)
        return 2
    gc.collect()
    gc.freeze()
    report(specs, model)
    if options.profile:
        print(_profile(specs[:1000], model))
    return 0


def report(specs: Sequence[ArchSpec], model: CostModel) -> None:
    """Time each network once, as a search does, and print the summary."""
    clock = time.perf_counter_ns
    target = model.target
    operators: list[int] = []
    times: list[float] = []
    stages: dict[str, list[float]] = {"lower": [], "arena": [], "model bytes": [], "cycles": []}
    begun = clock()
    for spec in specs:
        start = clock()
        costs = model.estimate(lower(spec))
        times.append((clock() - start) / 1000)
        operators.append(costs.ops)
    seconds = (clock() - begun) / 1e9
    for spec in specs[:_STAGED]:
        marks = [clock()]
        graph = lower(spec)
        marks.append(clock())
        arena(graph, kernels=target.kernels, core=target.core)
        marks.append(clock())
        model_bytes(graph)
        marks.append(clock())
        predict(graph, kernels=target.kernels, core=target.core, rates=target.cycle_rates)
        marks.append(clock())
        for stage, (before, after) in zip(stages.values(), itertools.pairwise(marks), strict=True):
            stage.append((after - before) / 1000)
    print(
        f"{len(specs):,} random networks on {target.name}, each from ArchSpec to all costs, once, on one core"
    )
    ninth = statistics.quantiles(times, n=10)[8]
    print(f"median {statistics.median(times):.0f} us, nine of ten under {ninth:.0f} us")
    print(f"batch  {seconds:.1f} s, {len(specs) / seconds:,.0f} networks/s")
    by_count: dict[int, list[float]] = {}
    for ops, us in zip(operators, times, strict=True):
        by_count.setdefault(ops, []).append(us)
    medians = [statistics.median(part) for part in by_count.values()]  # robust against other processes
    slope, base = statistics.linear_regression(list(by_count), medians)
    print(f"growth {base:.0f} us + {slope:.1f} us per operator; median by number of operators:")
    for low, high in itertools.pairwise((0, *_BUCKETS)):
        part = [us for ops, us in zip(operators, times, strict=True) if low < ops <= high]
        if part:
            print(f"  {low + 1:>3} to {high:<3} {statistics.median(part):6.0f} us  ({len(part):,} networks)")
    print("where  " + ", ".join(f"{name} {statistics.median(us):.0f} us" for name, us in stages.items()))


def _profile(specs: Sequence[ArchSpec], model: CostModel) -> str:
    profiler = cProfile.Profile()
    profiler.enable()
    for spec in specs:
        model.estimate(lower(spec))
    profiler.disable()
    out = io.StringIO()
    pstats.Stats(profiler, stream=out).strip_dirs().sort_stats("tottime").print_stats(20)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
