"""`scripts/record_search`: trains the networks of the recorded benchmark, and writes what came of each as a row."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.costing import Costs
from nas.bench.table import STEPS, TABLES, TASKS, BenchTask, params_of, screen_of
from nas.bench.truth import read_table
from nas.strategy.screening import Screen
from search_spaces.choices import Choices

_SEEDS = (1, 2, 3)
_NOISE_EVERY = 25  # each such network is trained with all seeds
_COSTS = ("sram_bytes", "flash_bytes", "cycles", "macs")
_GUIDED_CHANGE = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One network to train at every fidelity."""

    task: str
    network: int
    origin: str
    seed: int
    params: dict[str, Any]


def dataset_of(task: BenchTask, folder: Path) -> Any:
    """The task's data, pictures shrunk as the benchmark has them."""
    from nas.tasks import load_task
    from nas.tasks.dataset import make_dataset

    if task.front_end is not None:
        return load_task(f"npz:{folder / task.file}", front_end=task.front_end)
    parts = ("train", "val", "test")
    with np.load(folder / task.file, allow_pickle=False) as data:
        samples = {part: data[f"X_{part}"] for part in parts}
        labels = {part: data[f"y_{part}"] for part in parts}
        names = tuple(str(name) for name in data["class_names"])
    if task.shrink > 1:
        samples = {part: _shrunk(one, task.shrink) for part, one in samples.items()}
    return make_dataset(name=task.name, samples=samples, labels=labels, class_names=names)


def _shrunk(pictures: Any, factor: int) -> Any:
    """Means of squares of `factor` pixels. Shape: (n, h, w) -> (n, h / factor, w / factor)."""
    count, high, wide = pictures.shape
    squares = pictures.reshape(count, high // factor, factor, wide // factor, factor).astype(np.float32)
    return np.rint(squares.mean((2, 4))).astype(np.uint8)


_evaluators: dict[str, tuple[Any, Any]] = {}  # of this worker process, by task


def evaluator_of(task: BenchTask, folder: Path) -> tuple[Any, Any]:
    """What trains networks of a task here, whatever they take, and its data; made once in a process."""
    from cost_models.budget import parse_budget
    from cost_models.target_file import load_target
    from nas.tf.worker import make_evaluator

    if task.name not in _evaluators:
        target = load_target(task.target)
        dataset = dataset_of(task, folder)
        everything = parse_budget("256MB", replace(target, sram_bytes=1 << 30, flash_bytes=1 << 30))
        _evaluators[task.name] = (make_evaluator(dataset=dataset, target=target, budget=everything), dataset)
    return _evaluators[task.name]


def _train(work: Work, folder: Path) -> list[dict[str, Any]]:
    """Rows of one network: every fidelity from scratch, with the CPU time that it took."""
    from nas.model.evaluation import Evaluated, Request
    from nas.tasks.accuracy import measure_accuracy

    task = TASKS[work.task]
    evaluate, dataset = evaluator_of(task, folder)
    # As the replays have them: a network by itself, also where a front end would share its arena.
    costs = screen_of(task)(Choices(work.params)).costs
    rows = []
    for steps in STEPS:
        began = time.process_time()
        evaluation = evaluate(
            Request(
                number=work.network,
                space=task.space,
                params=work.params,
                steps=steps,
                full=False,
                seed=work.seed,
                sparsity=0.0,
            )
        )
        seconds = time.process_time() - began
        if not isinstance(evaluation, Evaluated):
            print(f"{work.task} {work.network}: {evaluation}", file=sys.stderr)
            continue
        test = measure_accuracy(evaluation.tflite, dataset, "test", "litert")
        rows.append(
            {
                "task": work.task,
                "network": work.network,
                "origin": work.origin,
                "seed": work.seed,
                "steps": steps,
                "val_correct": evaluation.accuracy.correct,
                "test_correct": test.correct,
                "seconds": round(seconds, 3),
                **{name: getattr(costs, name) for name in _COSTS},
                **work.params,
            }
        )
    return rows


class Recorder:
    """Decides what to train next for one task: networks at random, then mutations of the best so far.

    Half of the networks are drawn from the whole space, short of what no target of the benchmark holds. The other
    half are changed copies of the front: a search spends its time among good networks, so that is where the record
    has to be dense.
    """

    def __init__(self, task: BenchTask, rows: Sequence[dict[str, Any]]) -> None:
        self.task = task
        self._screen: Screen = screen_of(task)
        self._rows = list(rows)
        self._keys: set[str] = set()
        known = {int(row["network"]): row for row in self._rows}
        self._count = max(known, default=-1) + 1
        self._rng = np.random.default_rng([2026, *task.name.encode(), self._count])
        for row in known.values():
            self._keys.add(self._screen(Choices(params_of(row, self._screen))).digest)

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Takes note of what came back."""
        self._rows += rows

    def next(self, seeds: Sequence[int] = _SEEDS) -> list[Work]:
        """Another network, by one seed or, now and then, by all."""
        guided = self._count % 2 == 1 and self._count > 40
        while True:
            choices = Choices(rng=self._rng)
            if guided:
                parents = self._front()
                parent = parents[int(self._rng.integers(len(parents)))]
                choices = Choices(params_of(parent, self._screen), self._rng, _GUIDED_CHANGE)
            screened = self._screen(choices)
            if screened.costs is not None and screened.digest not in self._keys and _sane(screened.costs):
                break
        self._keys.add(screened.digest)
        number, self._count = self._count, self._count + 1
        return [
            Work(
                task=self.task.name,
                network=number,
                origin="guided" if guided else "random",
                seed=seed,
                params=choices.params,
            )
            for seed in (seeds if number % _NOISE_EVERY == 0 else seeds[:1])
        ]

    def _front(self) -> list[dict[str, Any]]:
        """Rows that nothing beats in validation error and all costs at once."""
        rows = [row for row in self._rows if int(row["steps"]) == STEPS[-1] and int(row["seed"]) == 1]
        vectors = np.array(
            [[-float(row["val_correct"]), *(float(row[c]) for c in _COSTS[:3])] for row in rows]
        )
        beaten = [bool(((vectors <= one).all(1) & (vectors < one).any(1)).any()) for one in vectors]
        return [row for row, lost in zip(rows, beaten) if not lost]


def _sane(costs: Costs) -> bool:
    """Short of networks that take minutes and fit no target of the benchmark."""
    return costs.sram_bytes <= 32 * 1024 and costs.flash_bytes <= 112 * 1024 and costs.macs <= 800_000


def _works(recorders: Sequence[Recorder], until: float) -> Iterator[Work]:
    """Tasks in turn, until time is up."""
    while True:
        for recorder in recorders:
            for work in recorder.next():
                if time.monotonic() > until:
                    return
                yield work


def main(argv: Sequence[str] | None = None) -> int:
    """Train and record; what the file has already is kept, and more is added."""
    parser = argparse.ArgumentParser(prog="record_search", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the data sets' .npz files")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--out", type=Path, default=TABLES, help="folder of the tables")
    parser.add_argument("--minutes", type=float, default=75.0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args(argv)
    one_thread()
    recorders = {
        name: Recorder(TASKS[name], read_table(TASKS[name], arguments.out))
        for name in arguments.tasks.split(",")
    }
    works = _works(tuple(recorders.values()), time.monotonic() + 60 * arguments.minutes)
    pending: set[Future[list[dict[str, Any]]]] = set()
    with ProcessPoolExecutor(arguments.workers) as pool:
        while True:
            while len(pending) < arguments.workers and (work := next(works, None)) is not None:
                pending.add(pool.submit(_train, work, arguments.data))
            if not pending:
                return 0
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                recorded = future.result()
                if not recorded:
                    continue
                task = recorded[0]["task"]
                append(arguments.out / TASKS[task].table, recorded)
                recorders[task].add(recorded)
                print({k: recorded[-1][k] for k in ("task", "network", "val_correct", "seconds")}, flush=True)


def one_thread() -> None:
    """Lets processes to come train on a core each."""
    for name in (
        "OMP_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "TF_USE_LEGACY_KERAS",
    ):
        os.environ[name] = "1"
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def append(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Adds rows to a file, which begins with their names."""
    begun = path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        if not begun:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
