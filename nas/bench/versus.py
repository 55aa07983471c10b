"""`scripts/bench_versus`: a real search against plain Optuna NSGA-II on the same data, machine and wall-clock."""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cost_models.budget import parse_budget
from nas.execute import EvaluatorSpec
from nas.execute.kernels import kernel_variables
from nas.execute.ray_workers import RayExecutor
from nas.model.evaluation import Evaluated, Request
from nas.model.result import model_key
from nas.run.config import RunConfig
from nas.run.setup import Job, prepare
from nas.strategy.baselines import PlainOptuna
from nas.strategy.pareto import dominates, hypervolume
from nas.tasks.accuracy import measure_accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One model that keeps the budget.

    Attributes:
        costs: SRAM, flash and cycles.
        val: Validation accuracy, by which it is chosen.
        tflite: The bytes.
        full: Whether it was trained in full.
    """

    costs: tuple[float, float, float]
    val: float
    tflite: bytes
    full: bool


def ours(config: RunConfig, out: Path) -> tuple[list[Found], int]:
    """The networks of `nas-run`, and how many trainings it took."""
    words = [
        f"--{key.replace('_', '-')}={value}"
        for key, value in config.model_dump(exclude_defaults=True).items()
    ]
    subprocess.run([sys.executable, "-m", "nas", *words, "--out", str(out)], check=True)
    result = json.loads((out / "result.json").read_text())
    networks = {}
    for trial in result["trials"]:
        if trial["state"] == "evaluated":
            costs = trial["costs"]
            name = model_key(trial["digest"], trial["steps"])
            networks[trial["digest"]] = Found(
                costs=(costs["sram_bytes"], costs["flash_bytes"], costs["cycles"] or costs["macs"]),
                val=trial["tflm_accuracy"] or trial["accuracy"],
                tflite=(out / "models" / f"{name}.tflite").read_bytes(),
                full=trial["rung"] == "full",
            )
    return list(networks.values()), len(result["trials"])


def plain(job: Job, seconds: float, sampler: str) -> tuple[list[Found], int]:
    """What Optuna's sampler finds: every proposal is trained in full, its costs are learned from the model."""
    everything = parse_budget(None, replace(job.target, sram_bytes=1 << 34, flash_bytes=1 << 34))
    study = PlainOptuna(
        sampler,
        space=job.space,
        input_shape=job.dataset.info.input_shape,
        classes=job.dataset.info.outputs,
        seed=job.seed,
    )
    executor = RayExecutor(
        spec=EvaluatorSpec(
            factory="nas.tf.worker:make_evaluator",
            settings={"target": job.target, "budget": everything},
            variables=kernel_variables(job.dataset.info.input_shape),
        ),
        shared={"dataset": job.dataset},
        workers=job.config.workers,
        address=None,
        trial_timeout=seconds,
    )
    deadline = time.monotonic() + seconds
    trials: dict[int, Any] = {}
    networks, count = [], 0
    try:
        while time.monotonic() < deadline:
            while len(trials) < executor.slots:
                trial, params = study.ask()
                trials[trial.number] = trial
                executor.submit(_request(job, trial.number, params))
            for done in executor.wait(0.25):
                trial = trials.pop(done.request.number)
                count += 1
                if not isinstance(done.evaluation, Evaluated):
                    study.tell(trial, None, {})
                    continue
                costs = done.evaluation.costs
                where = (costs.sram_bytes, costs.flash_bytes, costs.cycles or costs.macs)
                broken = job.budget.violations(costs)
                excesses = {str(limit): 0.0 for limit, _ in job.budget.limits()}
                excesses |= {str(one.resource): one.excess for one in broken}
                accuracy = done.evaluation.accuracy.value
                study.tell(trial, (1 - accuracy, *where), excesses)
                fits = "fits" if not broken else "breaks the budget"
                print(f"  plain {count}: accuracy {accuracy:.4f}, {fits}", file=sys.stderr, flush=True)
                if not broken:
                    networks.append(
                        Found(costs=where, val=accuracy, tflite=done.evaluation.tflite, full=True)
                    )
    finally:
        executor.close()
    return networks, count


def _request(job: Job, number: int, params: Mapping[str, Any]) -> Request:
    return Request(
        number=number,
        space=job.config.space,
        params=dict(params),
        steps=job.config.final_steps,
        full=False,
        seed=job.seed,
        sparsity=0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """The outcome of one way, measured on the test set.

    Attributes:
        count: Trainings.
        networks: Models that keep the budget.
        points: Test error and costs of its front, which was chosen by validation accuracy.
        best: The chosen one: the most accurate on the validation set of those trained in full.
        error: Its test error, by TFLM.
    """

    count: int
    networks: int
    points: tuple[tuple[float, ...], ...]
    best: Found
    error: float


def tested(job: Job, networks: Sequence[Found], count: int) -> Tested:
    """Measures the front and the chosen model of one way."""
    vectors = [(1 - network.val, *network.costs) for network in networks]
    front = [
        network
        for network, mine in zip(networks, vectors)
        if not any(dominates(other, mine) for other in vectors)
    ]
    best = max(
        (network for network in networks if network.full),
        key=lambda network: (network.val, -network.costs[2]),
    )
    return Tested(
        count=count,
        networks=len(networks),
        points=tuple(
            (1 - measure_accuracy(network.tflite, job.dataset, "test", "litert").value, *network.costs)
            for network in front
        ),
        best=best,
        error=1 - measure_accuracy(best.tflite, job.dataset, "test", "tflm").value,
    )


def table(job: Job, both: Mapping[str, Tested]) -> str:
    """A row for each way; errors from twice the lower one of the chosen models on count as nothing."""
    limits = dict(job.budget.limits())
    work = max(point[3] for outcome in both.values() for point in outcome.points)
    reference = (2 * min(outcome.error for outcome in both.values()), limits["sram"], limits["flash"], work)
    rows = [
        "| way | trainings | models that fit | test accuracy of the chosen | its costs | front | hypervolume |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, outcome in both.items():
        sram, flash, cycles = outcome.best.costs
        volume = hypervolume(outcome.points, reference) / math.prod(reference)
        rows.append(
            f"| {name} | {outcome.count} | {outcome.networks} | {1 - outcome.error:.4f} | {sram / 1024:.1f} KB SRAM,"
            f" {flash / 1024:.1f} KB flash, {cycles / 1e6:.2f} M cycles | {len(outcome.points)} | {volume:.4f} |"
        )
    return "\n".join(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Run both, one after the other, and compare."""
    parser = argparse.ArgumentParser(prog="bench_versus", description=__doc__)
    parser.add_argument("--task", required=True)
    parser.add_argument("--budget", required=True)
    parser.add_argument("--space", default="ds_cnn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=12.0, help="wall-clock of each")
    parser.add_argument("--sampler", default="nsga2", choices=("nsga2", "tpe", "gp", "random"))
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args(argv)
    config = RunConfig(
        task=arguments.task,
        budget=arguments.budget,
        space=arguments.space,
        seed=arguments.seed,
        workers=arguments.workers,
        trials=100_000,
        timeout=60 * arguments.minutes,
    )
    job = prepare(config)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        mine = ours(config, Path(folder, "run"))
        took = time.monotonic() - began
        theirs = plain(job, took, arguments.sampler)
    print(f"{arguments.task}, {arguments.budget}, seed {arguments.seed}, {took:.0f} s of wall-clock each\n")
    both = {"nas-run": tested(job, *mine), f"plain {arguments.sampler}": tested(job, *theirs)}
    print(table(job, both))
    return 0


if __name__ == "__main__":
    sys.exit(main())
