"""Ray actors that evaluate: warm between trials, recycled before they grow, replaced when they die."""

from __future__ import annotations

import gc
import os
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.execute.ray_cluster import (  # sets what Ray reads when it is imported
    Watch,
    connect,
    disconnect,
    leave_lost,
)

import ray  # isort: skip
from ray.exceptions import RayActorError, RayError, RaySystemError, RayTaskError  # isort: skip

from cost_models.errors import UserError
from nas.execute import Done, EvaluatorSpec
from nas.execute.memory_limit import MemoryLimit, fair_share, peak_bytes
from nas.model.errors import BackendLostError
from nas.model.evaluation import Evaluated, Evaluation, Failed, Rejected, Request

# One thread a worker: small networks gain nothing from more, and workers must not fight for cores.
_WORKER_ENV = {
    "TF_USE_LEGACY_KERAS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE": "0",  # oneDNN's kernels are made once, not at each step
}
_NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}
_SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}  # several workers on one GPU: none may take all of it
_RECYCLE_BYTES = 3 << 30  # TensorFlow's converter leaks some 20 MB a call
_RECYCLE_CALLS = 60
_START_SECONDS = 300.0  # without any worker, while something is to be done
_RESTART_SECONDS = 1.0  # between tries of a worker that cannot start


class _Worker:
    """Lives in its own process. Makes its evaluator once."""

    def __init__(
        self,
        factory: str,
        settings: dict[str, Any],
        files: Mapping[str, bytes],
        memory_bytes: int | None,
        **shared: Any,
    ) -> None:
        self._files = files  # the user's own, by the names they have at home
        self._memory_bytes = memory_bytes or fair_share()
        # `shared` values came through the object store: one copy a node, however many workers.
        self._evaluate = EvaluatorSpec(factory=factory, settings={**settings, **shared}).make()
        self._settled = False

    def ready(self) -> int:
        return os.getpid()

    def evaluate(self, request: Request) -> tuple[Evaluation, int]:
        """The evaluation, and the peak memory of this process in bytes."""
        try:
            with MemoryLimit(self._memory_bytes), self._here(request.space) as space:
                evaluation = self._evaluate(replace(request, space=space))
            if not isinstance(evaluation, Evaluated | Rejected | Failed):
                reason = f"the evaluator returned {type(evaluation).__name__}"  # type: ignore[unreachable]
                evaluation = Failed(stage="worker", reason=reason, retryable=False)
        except MemoryError:
            reason = f"out of memory, the limit of a worker is {self._memory_bytes / 2**20:,.0f} MiB"
            evaluation = Failed(stage="worker", reason=reason, retryable=True)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            evaluation = Failed(stage="worker", reason=reason, retryable=False, trace=traceback.format_exc())
        self._settle()
        return evaluation, peak_bytes()

    def _settle(self) -> None:
        """Spares what the libraries made for good from the garbage collection that follows each evaluation.

        After the first evaluation, as they load parts of themselves then; it takes a quarter off a brief one.
        """
        if not self._settled:
            gc.collect()
            gc.freeze()
            self._settled = True

    @contextmanager
    def _here(self, name: str) -> Iterator[str]:
        """The name of the user's file `name` on this node, for one request: a worker is killed without a farewell."""
        content = self._files.get(name)
        if content is None:
            yield name
            return
        with tempfile.TemporaryDirectory(prefix="mcu-nas-") as folder:
            path = Path(folder, Path(name).name)
            path.write_bytes(content)
            yield str(path)


@dataclass(frozen=True, slots=True)
class _Asked:
    request: Request
    at: float


@dataclass(slots=True)
class _Slot:
    """A place for a worker: none yet, one that starts, an idle one, or one at work."""

    index: int
    actor: Any = None
    starting: Any = None
    start_at: float = 0.0
    calls: int = 0
    asked: _Asked | None = None
    reference: Any = None
    began: float = 0.0

    @property
    def live(self) -> bool:
        return self.actor is not None and self.starting is None


class RayExecutor:
    """Evaluations on Ray actors, one CPU each.

    Requests go to workers that are up; a cluster that grows or shrinks changes how many `slots` there are.

    Args:
        spec: What evaluates.
        shared: Large settings that travel through Ray's object store once.
        workers: Number of actors; None takes every CPU of the machine or cluster.
        address: Address of a Ray cluster; None starts Ray on this machine.
        trial_timeout: Seconds after which an evaluation is given up and its worker replaced.
        gpus: GPUs of a worker; a share below 1 lets several use one.
        files: Files that requests name, with their contents: workers need no shared file system.
        memory_bytes: Resident memory that a worker may take; None for its share of its machine.

    Raises:
        UserError: The cluster cannot be reached, or has no such GPUs.
    """

    def __init__(
        self,
        *,
        spec: EvaluatorSpec,
        shared: dict[str, Any],
        workers: int | None,
        address: str | None,
        trial_timeout: float,
        gpus: float = 0.0,
        files: Mapping[str, bytes] | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        if gpus > 1 and gpus != int(gpus):
            raise UserError(f"--gpus-per-trial is {gpus:g}.", "Give a whole number, or a share below 1.")
        connect(address, workers, gpus=gpus > 0)
        resources = ray.cluster_resources()
        count = int(resources.get("CPU", 1))
        if gpus:
            count = min(count, int(resources.get("GPU", 0) / gpus))
            if not count:
                disconnect()
                raise UserError(
                    f"--gpus-per-trial is {gpus:g}, and there are {resources.get('GPU', 0):g} GPUs.",
                    "Leave it out to train on CPUs.",
                )
        self._watch = Watch(address)
        self._trial_timeout = trial_timeout
        self._queue: deque[_Asked] = deque()
        self._arguments = (spec.factory, dict(spec.settings), dict(files or {}), memory_bytes)
        # Ray resolves references only where they are arguments of their own.
        self._shared = {key: ray.put(value) for key, value in shared.items()}
        environment = {**_WORKER_ENV, **spec.variables, **(_SHARED_GPU if gpus else _NO_GPU)}
        self._options = {"runtime_env": {"env_vars": environment}}
        self._class = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0)(_Worker)
        self._slots = [_Slot(index=i) for i in range(workers or max(1, count))]
        self._lively = time.monotonic()
        self._revive()

    @property
    def slots(self) -> int:
        """How many workers are up; 1 before any is."""
        return max(1, sum(slot.live for slot in self._slots))

    @property
    def up(self) -> bool:
        """Whether a worker is up."""
        return any(slot.live for slot in self._slots)

    def submit(self, request: Request) -> None:
        """Hands the request to an idle worker, or keeps it until there is one."""
        self._queue.append(_Asked(request, time.monotonic()))
        self._dispatch()

    def wait(self, timeout: float) -> Sequence[Done]:
        """Evaluations that came back; a worker that died or overran its time comes back as `Failed`.

        Raises:
            BackendLostError: The cluster went away, or gives no worker.
        """
        self._watch.look()
        self._revive()
        waiting = [slot.starting or slot.reference for slot in self._slots]
        waiting = [reference for reference in waiting if reference is not None]
        if not waiting:
            time.sleep(min(timeout, _RESTART_SECONDS))
            return ()
        try:
            return self._wait(waiting, timeout)
        except (ConnectionError, RaySystemError) as error:
            raise self._watch.gone(_cause(error)) from None

    def _wait(self, waiting: list[Any], timeout: float) -> Sequence[Done]:
        ready, _ = ray.wait(waiting, num_returns=1, timeout=timeout)
        if ready and len(waiting) > 1:
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        back = set(ready)
        done = []
        now = time.monotonic()
        for slot in self._slots:
            if slot.starting is not None:
                if slot.starting in back:
                    done += self._started(slot)
            elif slot.asked is not None:
                if slot.reference in back:
                    done.append(self._collect(slot))
                elif now - slot.began > self._trial_timeout:
                    reason = f"no answer within {self._trial_timeout:g} s"
                    failed = Failed(stage="worker", reason=reason, retryable=False)
                    done.append(self._finish(slot, failed, replace=True))
        self._dispatch()
        if any(slot.live for slot in self._slots) or not self._queue:
            self._lively = now
        elif now - self._lively > _START_SECONDS:
            free = ray.available_resources().get("CPU", 0)
            raise BackendLostError(
                f"No worker could start within {_START_SECONDS:g} s; the cluster has {free:g} free CPUs."
            )
        return done

    def _started(self, slot: _Slot) -> list[Done]:
        """A worker is up; or cannot start, which fails a request if one waits: else nobody would learn why."""
        try:
            ray.get(slot.starting)
        except RayError as error:
            self._end(slot)
            slot.start_at = time.monotonic() + _RESTART_SECONDS
            # One that was placed on a node that dies is not a fault of the evaluator: the next is placed elsewhere.
            unlucky = isinstance(error, RayActorError) and "creation task" not in str(error)
            if unlucky or not self._queue:
                return []
            asked = self._queue.popleft()
            failed = Failed(stage="worker", reason=_cause(error), retryable=True)
            return [self._done(slot, asked, failed)]
        slot.starting = None
        return []

    def _dispatch(self) -> None:
        for slot in self._slots:
            if not self._queue:
                return
            if slot.live and slot.asked is None:
                slot.asked = self._queue.popleft()
                slot.began = time.monotonic()
                slot.reference = slot.actor.evaluate.remote(slot.asked.request)

    def _collect(self, slot: _Slot) -> Done:
        try:
            evaluation, peak_bytes = ray.get(slot.reference)
        except RayTaskError as error:
            reason = str(error.cause or error).strip().splitlines()[-1]
            return self._finish(slot, Failed(stage="worker", reason=reason, retryable=False), replace=True)
        except RayActorError as error:
            reason = "the worker's node died" if "node" in _cause(error) else "the worker process died"
            return self._finish(slot, Failed(stage="worker", reason=reason, retryable=True), replace=True)
        except RaySystemError:
            raise
        except RayError as error:
            failed = Failed(stage="worker", reason=_cause(error), retryable=True)
            return self._finish(slot, failed, replace=True)
        slot.calls += 1
        worn = slot.calls >= _RECYCLE_CALLS or peak_bytes > _RECYCLE_BYTES
        return self._finish(slot, evaluation, replace=worn)

    def _finish(self, slot: _Slot, evaluation: Evaluation, *, replace: bool) -> Done:
        assert slot.asked is not None
        done = self._done(slot, slot.asked, evaluation)
        slot.asked = slot.reference = None
        if replace:
            self._end(slot)
            self._revive()
        return done

    def _done(self, slot: _Slot, asked: _Asked, evaluation: Evaluation) -> Done:
        waited = time.monotonic() - asked.at
        return Done(
            request=asked.request, evaluation=evaluation, worker=f"worker-{slot.index}", waited=waited
        )

    def _end(self, slot: _Slot) -> None:
        if slot.actor is not None:
            ray.kill(slot.actor, no_restart=True)
        slot.actor = slot.starting = None
        slot.calls = 0

    def _revive(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.actor is None and slot.start_at <= now:
                slot.actor = self._class.options(**self._options).remote(*self._arguments, **self._shared)
                slot.starting = slot.actor.ready.remote()

    def abandon(self) -> None:
        """Forgets what waits and ends the workers that are busy; the next `wait` replaces them."""
        self._queue.clear()
        for slot in self._slots:
            if slot.asked is not None:
                slot.asked = slot.reference = None
                self._end(slot)

    def close(self) -> None:
        """Kills the workers and leaves Ray."""
        if self._watch.lost:
            leave_lost()
            return
        for slot in self._slots:
            self._end(slot)
        disconnect()


def _cause(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
