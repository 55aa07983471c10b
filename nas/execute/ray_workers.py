"""Ray actors that evaluate: warm between trials, recycled before they grow, replaced when they die."""

from __future__ import annotations

import logging
import os
import resource
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Ray reads these at import: nothing is sent anywhere, and log lines of workers stay out of the user's screen.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from cost_models.errors import UserError
from nas.execute import Done, EvaluatorSpec
from nas.outcome import Failed, Outcome, Request

# One thread a worker: small networks gain nothing from more, and workers must not fight for cores.
_WORKER_ENV = {
    "TF_USE_LEGACY_KERAS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
}
_RECYCLE_BYTES = 3 << 30  # TensorFlow's converter leaks some 20 MB a call
_RECYCLE_CALLS = 60


class _Worker:
    """Lives in its own process. Makes its evaluator once."""

    def __init__(self, factory: str, settings: dict[str, Any], **shared: Any) -> None:
        # `shared` values came through the object store: one copy a node, however many workers.
        self._evaluate = EvaluatorSpec(factory=factory, settings={**settings, **shared}).make()

    def ready(self) -> int:
        return os.getpid()

    def evaluate(self, request: Request) -> tuple[Outcome, int]:
        """The outcome, and the peak memory of this process in bytes."""
        try:
            outcome = self._evaluate(request)
        except MemoryError:
            outcome = Failed(stage="worker", reason="out of memory", retryable=True)
        except Exception as error:
            outcome = Failed(stage="worker", reason=f"{type(error).__name__}: {error}", retryable=False)
        return outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@dataclass(slots=True)
class _Slot:
    index: int
    actor: Any
    calls: int = 0
    request: Request | None = None
    reference: Any = None
    submitted: float = 0.0


class RayExecutor:
    """Evaluations on Ray actors, one CPU each.

    Args:
        spec: What evaluates.
        shared: Large settings that travel through Ray's object store once.
        workers: Number of actors; None takes every CPU of the machine or cluster.
        address: Address of a Ray cluster; None starts Ray on this machine.
        trial_timeout: Seconds after which an evaluation is given up and its worker replaced.

    Raises:
        UserError: The cluster cannot be reached.
    """

    def __init__(
        self,
        *,
        spec: EvaluatorSpec,
        shared: dict[str, Any],
        workers: int | None,
        address: str | None,
        trial_timeout: float,
    ) -> None:
        self._spec = spec
        self._trial_timeout = trial_timeout
        connect(address, workers)
        self._shared = {key: ray.put(value) for key, value in shared.items()}
        count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._slots = [_Slot(index=i, actor=self._start()) for i in range(count)]
        self.slots = count

    def _start(self) -> Any:
        actor = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Worker)
        options = actor.options(runtime_env={"env_vars": _WORKER_ENV})
        # Ray resolves references only where they are arguments of their own.
        return options.remote(self._spec.factory, dict(self._spec.settings), **self._shared)

    def submit(self, request: Request) -> None:
        """Hands the request to an idle worker."""
        slot = next(slot for slot in self._slots if slot.request is None)
        slot.request = request
        slot.submitted = time.monotonic()
        slot.reference = slot.actor.evaluate.remote(request)

    def wait(self, timeout: float) -> Sequence[Done]:
        """Outcomes that came back; a worker that died or overran its time comes back as `Failed`."""
        busy = [slot for slot in self._slots if slot.request is not None]
        if not busy:
            return ()
        ready, _ = ray.wait([slot.reference for slot in busy], num_returns=1, timeout=timeout)
        if ready:
            ready, _ = ray.wait([slot.reference for slot in busy], num_returns=len(busy), timeout=0)
        done = []
        for slot in busy:
            if slot.reference in ready:
                done.append(self._collect(slot))
            elif time.monotonic() - slot.submitted > self._trial_timeout:
                reason = f"no answer within {self._trial_timeout:g} s"
                done.append(
                    self._finish(slot, Failed(stage="worker", reason=reason, retryable=False), replace=True)
                )
        return done

    def _collect(self, slot: _Slot) -> Done:
        try:
            outcome, peak_bytes = ray.get(slot.reference)
        except RayTaskError as error:
            reason = str(error.cause or error).strip().splitlines()[-1]
            return self._finish(slot, Failed(stage="worker", reason=reason, retryable=False), replace=True)
        except RayActorError as error:
            reason = "the worker process died" if "__init__" not in str(error) else _cause(error)
            return self._finish(slot, Failed(stage="worker", reason=reason, retryable=True), replace=True)
        except RayError as error:
            return self._finish(
                slot, Failed(stage="worker", reason=_cause(error), retryable=True), replace=True
            )
        slot.calls += 1
        worn = slot.calls >= _RECYCLE_CALLS or peak_bytes > _RECYCLE_BYTES
        return self._finish(slot, outcome, replace=worn)

    def _finish(self, slot: _Slot, outcome: Outcome, *, replace: bool) -> Done:
        assert slot.request is not None
        done = Done(
            request=slot.request,
            outcome=outcome,
            worker=f"worker-{slot.index}",
            waited=time.monotonic() - slot.submitted,
        )
        slot.request = slot.reference = None
        if replace:
            self._replace(slot)
        return done

    def _replace(self, slot: _Slot) -> None:
        ray.kill(slot.actor, no_restart=True)
        slot.actor = self._start()
        slot.calls = 0

    def abandon(self) -> None:
        """Replaces the workers that are busy."""
        for slot in self._slots:
            if slot.request is not None:
                slot.request = slot.reference = None
                self._replace(slot)

    def close(self) -> None:
        """Kills the workers and leaves Ray."""
        for slot in self._slots:
            ray.kill(slot.actor, no_restart=True)
        ray.shutdown()


def connect(address: str | None, workers: int | None) -> None:
    """Joins a cluster, or starts Ray on this machine with just the CPUs that are asked for.

    Raises:
        UserError: The cluster cannot be reached.
    """
    if ray.is_initialized():
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address is None:
        ray.init(
            _node_ip_address="127.0.0.1",  # nobody else's business: listen on loopback only
            num_cpus=workers or os.cpu_count() or 1,
            num_gpus=0,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            configure_logging=False,
        )
        return
    _knock(address)
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(
            f"The Ray cluster {address} cannot be reached ({reason}).",
            "Check --ray-address, or leave it out to run on this machine.",
        ) from None


def _knock(address: str) -> None:
    """Fails within seconds where nobody listens; Ray itself keeps trying for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        if address == "auto":
            return
        raise UserError(
            f"{address!r} is no address of a Ray cluster.", "Write auto, HOST:6379 or ray://HOST:10001."
        )
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"The Ray cluster {address} cannot be reached ({error}).",
            "Check --ray-address, or leave it out to run on this machine.",
        ) from None


def _cause(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
