"""`scripts/bench_scale`: what the driver, the record and the proposals cost as a study grows; nothing is trained."""

from __future__ import annotations

import argparse
import hashlib
import heapq
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.budget import parse_budget
from cost_models.costing import CostModel
from cost_models.target_file import load_target
from nas.execute import Done, EvaluatorSpec, Executor
from nas.execute.memory_limit import peak_bytes
from nas.model.evaluation import Evaluated, Evaluation, Failed, Request
from nas.model.records import TrialRecord
from nas.model.trained import Accuracy
from nas.strategy.driver import Driver
from nas.strategy.engine import SearchEngine
from nas.strategy.plan import Plan
from nas.strategy.screening import Screen, survey
from nas.strategy.study import Study, open_storage
from search_spaces.choices import Choices
from search_spaces.space import load_space

_MARKS = (100, 300, 1000, 2000, 5000, 9000, 9900, 10_000, 12_000, 14_000)
_STEPS = (1, 4, 16)


def make_screen() -> Screen:
    """The screen of the space, chip and data that the benchmark pretends to search."""
    target = load_target("nrf52840")
    return Screen(
        space=load_space("ds_cnn"),
        input_shape=(28, 28, 1),
        classes=10,
        model=CostModel(target),
        budget=parse_budget("sram=32KB,flash=128KB", target),
    )


def make_sleeper(*, seconds: float, **_: Any) -> Callable[[Request], Evaluation]:
    """An evaluator that sleeps, and answers with an accuracy that grows with the network.

    Args:
        seconds: Mean time of an evaluation; they differ by half of it up and down, as trainings do.
    """
    screen = make_screen()

    def evaluate(request: Request) -> Evaluation:
        screened = screen(Choices(request.params))
        luck = int(hashlib.sha256(screened.digest.encode()).hexdigest()[:4], 16) / 0xFFFF
        time.sleep(seconds * (0.5 + luck))
        if screened.costs is None:
            return Failed(stage="cost", reason="no costs", retryable=False)
        correct = int(9000 * screened.costs.macs / (screened.costs.macs + 2e5) + 500 * luck)
        return Evaluated(
            digest=screened.digest,
            accuracy=Accuracy(part="val", engine="litert", correct=correct, total=10_000),
            tflm_accuracy=None,
            costs=screened.costs,
            tflite=b"",
            seconds={"train": seconds * (0.5 + luck)},
        )

    return evaluate


class SimulatedExecutor:
    """As many workers as asked, in virtual time: what is measured is the driver alone."""

    def __init__(self, slots: int, seconds: float) -> None:
        self.slots = slots
        self.up = True
        self._evaluate = make_sleeper(seconds=0.0)
        self._seconds = seconds
        self._now = 0.0
        self._count = 0
        self._queue: list[tuple[float, int, Request]] = []

    def submit(self, request: Request) -> None:
        luck = int(hashlib.sha256(repr(request.params).encode()).hexdigest()[:4], 16) / 0xFFFF
        self._count += 1
        heapq.heappush(self._queue, (self._now + self._seconds * (0.5 + luck), self._count, request))

    def wait(self, timeout: float) -> Sequence[Done]:
        self._now, _, request = heapq.heappop(self._queue)
        return (Done(request=request, evaluation=self._evaluate(request), worker="simulated", waited=0.0),)

    def abandon(self) -> None:
        self._queue.clear()

    def close(self) -> None:
        self._queue.clear()


def make_ray_executor(slots: int, seconds: float, processes: int = 4) -> Executor:
    """Logical workers on a few real Ray actors: they only sleep, so many share a process."""
    from nas.execute import ray_workers

    class Shared(ray_workers.RayExecutor):
        """All slots of a process have one actor, which is never replaced."""

        def _revive(self) -> None:
            if self._slots[0].actor is None:
                shared = self._class.options(max_concurrency=slots, runtime_env={})
                actors = [shared.remote(*self._arguments, **self._shared) for _ in range(processes)]
                for slot in self._slots:
                    slot.actor = actors[slot.index % processes]
                    slot.starting = slot.actor.ready.remote()

        def _end(self, slot: ray_workers._Slot) -> None:
            """Its actor is not its own."""

    return Shared(
        spec=EvaluatorSpec(factory="nas.bench.scale:make_sleeper", settings={"seconds": seconds}),
        shared={"dataset": bytes(10_000_000)},
        workers=slots,
        address=None,
        trial_timeout=600.0,
    )


@dataclass(slots=True)
class Meter:
    """A listener that measures the driver's own CPU time by trained network, and by its clock the rate.

    Attributes:
        clock: Of the rate: real time over Ray; the driver's CPU time where workers are simulated.
    """

    clock: Callable[[], float]
    trained: int = 0
    quiet: bool = False
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("ask", "tell", "workers"), 0.0))
    _last: tuple[int, float, float, dict[str, float]] = (0, 0.0, 0.0, {})

    def begin(self) -> None:
        """Starts the clock; time spent before does not count."""
        self._last = (self.trained, self.clock(), time.thread_time(), dict(self.spent))

    def stage(self, text: str, total: int) -> None:
        if not self.quiet:
            print(f"{'trained':>8} {'trials/s':>9} {'ask ms':>8} {'tell ms':>8} {'other ms':>9} {'MB':>6}")

    def say(self, text: str) -> None:
        """Nobody reads it."""

    def trial(self, record: TrialRecord) -> None:
        self.trained += record.state == "evaluated"
        if self.trained in _MARKS and record.state == "evaluated" and not self.quiet:
            self.report()

    def report(self) -> None:
        """A row: means since the last one, by trained network."""
        count, at, spent, before = self._last
        now, cpu = self.clock(), time.thread_time()
        rows = max(1, self.trained - count)
        shares = {k: (v - before[k]) / rows * 1e3 for k, v in self.spent.items()}
        other = (cpu - spent) / rows * 1e3 - sum(shares.values())
        memory = peak_bytes() / 2**20
        print(
            f"{self.trained:8} {rows / (now - at):9.1f} {shares['ask']:8.2f} {shares['tell']:8.2f}"
            f" {other:9.2f} {memory:6.0f}",
            flush=True,
        )
        self._last = (self.trained, now, cpu, dict(self.spent))

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        began = time.thread_time()
        try:
            yield
        finally:
            self.spent[what] += time.thread_time() - began


def _measured(meter: Meter, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*words: Any, **named: Any) -> Any:
        with meter.timing(what):
            return function(*words, **named)

    return call


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; the table goes to stdout."""
    parser = argparse.ArgumentParser(prog="bench_scale", description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0, help="mean time of an evaluation")
    parser.add_argument(
        "--ray", action="store_true", help="over Ray in real time (default: simulated workers)"
    )
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which to stop")
    parser.add_argument("--storage", help="Optuna URL (default: a journal file)")
    arguments = parser.parse_args(argv)
    screen = make_screen()
    seen = survey(screen, rng=np.random.default_rng(1), draws=200, wanted=20)
    meter = Meter(clock=time.perf_counter)
    if not arguments.ray:
        meter.clock = lambda: time.thread_time() - meter.spent["workers"]

    def drive(folder: str, executor: Executor, limit: float) -> Driver:
        end = time.monotonic() + limit
        storage = open_storage(arguments.storage, Path(folder, "study.journal"))
        return Driver(
            plan=Plan(
                trials=arguments.trials,
                steps=_STEPS,
                finalists=4,
                space="ds_cnn",
                seed=1,
                sparsity=0.0,
            ),
            study=Study(storage=storage, name="bench", identity={}),
            engine=SearchEngine(screen=screen, steps=_STEPS, seed=1, samples=10_000, feasible=seen.feasible),
            executor=executor,
            save_model=lambda key, tflite: None,
            listener=meter,
            stop=lambda: time.monotonic() > end,
        )

    make = make_ray_executor if arguments.ray else SimulatedExecutor
    executor = make(arguments.workers, arguments.seconds)
    with tempfile.TemporaryDirectory() as folder:
        driver = drive(folder, executor, arguments.limit)
        driver.engine.suggest = _measured(meter, "ask", driver.engine.suggest)  # type: ignore[method-assign]
        driver.study.tell = _measured(meter, "tell", driver.study.tell)  # type: ignore[method-assign]
        if isinstance(executor, SimulatedExecutor):  # what stands for the workers is not the driver's
            executor.submit = _measured(meter, "workers", executor.submit)  # type: ignore[method-assign]
            executor.wait = _measured(meter, "workers", executor.wait)  # type: ignore[method-assign]
        try:
            print(f"{arguments.workers} workers, {'Ray' if arguments.ray else 'simulated'}")
            meter.begin()
            ended = driver.search()
            meter.report()
            print(f"ended by {ended}")
            began = time.perf_counter()
            meter.quiet = True
            again = drive(folder, executor, 0.0)
            again.search()
            records = again.records()
            print(f"resuming after {len(records)} trainings: {time.perf_counter() - began:.2f} s")
            _report_front(records)
        finally:
            executor.close()
    return 0


def _report_front(records: Sequence[TrialRecord]) -> None:
    from nas.strategy.pareto import pareto_front

    began = time.perf_counter()
    print(f"front of {len(pareto_front(records))}: {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    sys.exit(main())
