"""`scripts/bench_recipe`: what each part of the recipe and of the ladder is worth, as a table.

Recorded networks are trained as they always are, and with one thing changed, by the same seeds. Each network has a seed
of its own that the record did not have: that the record thought well of it by luck makes no difference of the two.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from nas.bench.record import append, evaluator_of, one_thread
from nas.bench.table import STEPS, TABLES, TASKS, params_of, screen_of
from nas.bench.truth import Array, read_table
from nas.model.recipe import TrainingRecipe

_FIRST_SEED = 100
_BEST_SHARE = 0.25  # of the recorded networks, that networks are taken from
_UNCHANGED = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is done otherwise.

    Attributes:
        recipe: Fields of the recipe.
        steps: Times the steps.
        sparsity: Share of the weights that are pruned.
        ladder: Whether int8 is mended where it falls behind float, as it is in full trainings.
        tasks: Where it makes a difference.
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    steps: float = 1.0
    sparsity: float = 0.0
    ladder: bool = False
    tasks: tuple[str, ...] = tuple(TASKS)


CHANGES: dict[str, Change] = {
    _UNCHANGED: Change(),
    "twice the peak rate": Change(recipe={"peak_rate": 0.03}),
    "half the peak rate": Change(recipe={"peak_rate": 0.0075}),
    "batches of 32, twice the steps": Change(recipe={"batch": 32}, steps=2.0),
    "batches of 128, half the steps": Change(recipe={"batch": 128}, steps=0.5),
    "a quarter more steps": Change(steps=1.25),
    "no label smoothing": Change(recipe={"label_smoothing": 0.0}),
    "label smoothing 0.1": Change(recipe={"label_smoothing": 0.1}),
    "no weight decay": Change(recipe={"weight_decay": 0.0}),
    "five times the weight decay": Change(recipe={"weight_decay": 0.05}),
    "no gain": Change(recipe={"gain": 0.0}, tasks=("har",)),
    "nothing masked": Change(recipe={"masked": 0.0}, tasks=("fsdd",)),
    "half of the weights zero": Change(sparsity=0.5),
    "the ladder from float to int8": Change(ladder=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One training."""

    task: str
    network: int
    seed: int
    change: str
    params: dict[str, Any]

    @property
    def key(self) -> tuple[str, ...]:
        """Tells it from others in the file."""
        return self.task, str(self.network), str(self.seed), self.change


def works(tasks: Sequence[str], changes: Sequence[str], pairs: int) -> Iterator[Work]:
    """All trainings, so that what was done at any time serves every row of the table alike."""
    networks = {task: _networks(task, pairs) for task in tasks}
    for at in range(pairs):
        for change in changes:
            for task in tasks:
                if task in CHANGES[change].tasks:
                    number, params = networks[task][at]
                    yield Work(task=task, network=number, seed=_FIRST_SEED + at, change=change, params=params)


def _networks(task: str, count: int) -> list[tuple[int, dict[str, Any]]]:
    """Numbers and choices of so many of the best recorded networks, evenly over their ranks."""
    screen = screen_of(TASKS[task])
    rows = [
        row for row in read_table(TASKS[task]) if int(row["steps"]) == STEPS[-1] and int(row["seed"]) == 1
    ]
    rows.sort(key=lambda row: -int(row["val_correct"]))
    best = rows[: max(count, int(_BEST_SHARE * len(rows)))]
    picked = np.linspace(0, len(best) - 1, count).round().astype(int)
    return [(int(best[at]["network"]), params_of(best[at], screen)) for at in picked]


def _train(work: Work, folder: Path) -> dict[str, Any]:
    from nas.model.evaluation import Evaluated, Request
    from nas.tasks.accuracy import measure_accuracy

    task, change = TASKS[work.task], CHANGES[work.change]
    evaluate, dataset = evaluator_of(task, folder)
    evaluation = evaluate(
        Request(
            number=work.network,
            space=task.space,
            params=work.params,
            steps=round(change.steps * STEPS[-1]),
            full=change.ladder,
            seed=work.seed,
            sparsity=change.sparsity,
            recipe=replace(TrainingRecipe(), **change.recipe),
        )
    )
    if not isinstance(evaluation, Evaluated):
        raise RuntimeError(f"{work.key}: {evaluation}")
    test = measure_accuracy(evaluation.tflite, dataset, "test", "litert")
    return {
        **dict(zip(("task", "network", "seed", "change"), work.key, strict=True)),
        "val_correct": evaluation.accuracy.correct,
        "test_correct": test.correct,
        "seconds": round(evaluation.seconds["train"], 2),
    }


def differences(rows: Sequence[Mapping[str, str]], task: str, change: str, part: str) -> Array:
    """Points of accuracy that a change adds, of each network and seed. Shape: (pairs,)."""
    total = TASKS[task].val if part == "val" else TASKS[task].test
    found = {
        (row["network"], row["seed"], row["change"]): int(row[f"{part}_correct"])
        for row in rows
        if row["task"] == task
    }
    return np.array(
        [
            100 * (correct - found[network, seed, _UNCHANGED]) / total
            for (network, seed, name), correct in found.items()
            if name == change and (network, seed, _UNCHANGED) in found
        ]
    )


def interval(values: Array) -> tuple[float, float]:
    """Mean and half of the 95 % interval of two values or more, by Student's t."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(error * stats.t.ppf(0.975, len(values) - 1))


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Mean and 95 % interval of each change on each task, and on all pairs together, as Markdown."""
    lines = [
        "| changed | " + " | ".join(TASKS) + " | all, validation | all, test |",
        "|---" * (len(TASKS) + 3) + "|",
    ]
    for name in CHANGES:
        if name == _UNCHANGED:
            continue
        of_tasks = [differences(rows, task, name, "val") for task in TASKS]
        if not sum(map(len, of_tasks)):
            continue
        tests = [differences(rows, task, name, "test") for task in TASKS]
        cells = [_cell(values) for values in (*of_tasks, np.concatenate(of_tasks), np.concatenate(tests))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(values: Array) -> str:
    if len(values) < 2:
        return "-"
    mean, half = interval(values)
    return f"{mean:+.2f} ± {half:.2f} ({len(values)})"


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what the file does not have yet, and prints the table of all that it has."""
    parser = argparse.ArgumentParser(prog="bench_recipe", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the data sets' .npz files")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--changes", default=";".join(CHANGES), help="with semicolons between them")
    parser.add_argument("--pairs", type=int, default=5, help="networks and seeds of each task")
    parser.add_argument("--out", type=Path, default=TABLES / "recipe_table.csv")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args(argv)
    tasks, changes = arguments.tasks.split(","), arguments.changes.split(";")
    for kind, given, known in (("task", tasks, TASKS), ("change", changes, CHANGES)):
        for name in given:
            if name not in known:
                parser.error(f"there is no {kind} {name!r}: {'; '.join(known)}")
    one_thread()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["task"], row["network"], row["seed"], row["change"]) for row in _read(arguments.out)}
    todo = [work for work in works(tasks, changes, arguments.pairs) if work.key not in done]
    # The converter leaks memory: processes are renewed.
    with ProcessPoolExecutor(arguments.workers, max_tasks_per_child=40) as pool:
        for future in as_completed([pool.submit(_train, work, arguments.data) for work in todo]):
            append(arguments.out, [future.result()])
    sys.stdout.write(table(_read(arguments.out)))
    return 0


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    sys.exit(main())
