"""Joining a Ray cluster, or one on this machine, and noticing when it is gone."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

# Ray reads these at import: nothing is sent anywhere, and log lines of workers stay out of the user's screen.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")

import ray
import ray._private.ray_constants
import ray._private.services
import ray._private.utils

from cost_models.command_line import ending_signals
from cost_models.errors import UserError
from nas.model.errors import BackendLostError
from nas.model.words import first_line

_PACKAGES = ("nas", "search_spaces", "cost_models")
_HERE = (None, "local")
_LOOK_SECONDS = 2.0
_LEAVE_SECONDS = 15.0
_PATIENCE_SECONDS = 20.0  # Ray itself ends the whole process after 60 s without the head
_TRIES = 2  # of starting Ray on this machine, whose own limits are short for a machine under load
# Of a Ray that runs for itself: settings of somebody's cluster must not lead it there, or stop it.
_FOREIGN = ("RAY_ADDRESS", "RAY_NAMESPACE", "RAY_RUNTIME_ENV_HOOK", "RAY_OVERRIDE_NODE_ID_FOR_TESTING")
_LOCAL = {
    "RAY_gcs_server_port_wait_time_s": "120",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_enable_metrics_collection": "0",
    # What listens does so on loopback only, see `_alone`; workers and agents read it at their start.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
_session: Path | None = None  # folder of the Ray that this process started


def connect(address: str | None, workers: int | None, *, gpus: bool = False) -> None:
    """Joins a cluster, or starts Ray on this machine with just the CPUs that are asked for.

    Without an address the run stays on this machine, whatever RAY_ADDRESS says. Workers of a cluster get this code
    from here, whatever is installed there. Signals keep their handlers.

    Raises:
        UserError: The cluster cannot be reached, or Ray cannot be started here.
    """
    if ray.is_initialized():
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address in _HERE:
        _start_here(workers or os.cpu_count() or 1, gpus=gpus)
        return
    knock(address)
    environment = (
        {} if in_ray_job() else {"py_modules": [importlib.import_module(name) for name in _PACKAGES]}
    )
    try:
        with _signals_kept():
            ray.init(
                address=address, logging_level=logging.ERROR, log_to_driver=False, runtime_env=environment
            )
    except Exception as error:  # of many kinds, Ray's own and those of the packages that it uses
        raise UserError(
            f"The Ray cluster {address} cannot be reached ({first_line(error)}).",
            "Check --ray-address, or leave it out to run on this machine.",
        ) from None


def _start_here(workers: int, *, gpus: bool) -> None:
    global _session
    for attempt in range(_TRIES):
        try:
            with _signals_kept(), _alone():
                started = ray.init(
                    address="local",
                    _node_ip_address="127.0.0.1",
                    num_cpus=workers,
                    num_gpus=None if gpus else 0,
                    include_dashboard=False,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    configure_logging=False,
                )
        except Exception as error:
            ray.shutdown()
            if attempt + 1 < _TRIES and not isinstance(error, OSError):
                continue
            raise UserError(
                f"Ray cannot be started on this machine ({first_line(error)}).",
                "Check that the temporary directory (TMPDIR), the home directory and /dev/shm can be written and have"
                " space, or name a cluster with --ray-address.",
            ) from error
        _session = Path(started.address_info["session_dir"])
        return


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes signals for itself when it starts and gives back others when it ends; ours ask the run to end."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, *ending_signals())}
    # Ray's Python part takes them by this function, its C++ part behind Python's back.
    taken = ray._private.utils.set_sigterm_handler
    ray._private.utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        ray._private.utils.set_sigterm_handler = taken
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


@contextmanager
def _alone() -> Iterator[None]:
    """The processes that Ray starts have a session of their own, and listen on loopback only.

    A signal to the whole process group (Ctrl-C, docker stop, Slurm) then reaches the driver alone, which ends them
    when it has what it needs; they end with it, too, however it ends.
    """
    services, constants = ray._private.services, ray._private.ray_constants
    popen, cluster = services.ConsolePopen, constants.ENABLE_RAY_CLUSTER
    environment = dict(os.environ)

    class Popen(popen):  # type: ignore[misc, valid-type]
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options | {"start_new_session": True})

    for name in _FOREIGN:
        os.environ.pop(name, None)
    for name, value in _LOCAL.items():
        os.environ.setdefault(name, value)
    services.ConsolePopen = Popen
    constants.ENABLE_RAY_CLUSTER = False  # else Ray takes the host's address in the place of 127.0.0.1
    try:
        yield
    finally:
        services.ConsolePopen, constants.ENABLE_RAY_CLUSTER = popen, cluster
        os.environ.clear()
        os.environ.update(environment)


@contextmanager
def signals_wait() -> Iterator[None]:
    """A signal that comes meanwhile is raised at the end; the second is not kept waiting.

    A Ray that is left half way ends the process by itself, with an exit code that means something else.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def keep(number: int, frame: FrameType | None) -> None:
        handler = handlers[number]
        if came and callable(handler):
            handler(number, frame)
        came.append(number)

    handlers = {number: signal.signal(number, keep) for number in (signal.SIGINT, *ending_signals())}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def disconnect() -> None:
    """Leaves Ray; what a Ray of this process left in the temporary directory is removed."""
    global _session
    with signals_wait():
        with _signals_kept():
            ray.shutdown()
        if _session is None:
            return
        session, _session = _session, None
        shutil.rmtree(session, ignore_errors=True)
        latest = session.parent / "session_latest"
        with suppress(OSError):
            if latest.is_symlink() and latest.readlink().name == session.name:
                latest.unlink()


def in_ray_job() -> bool:
    """Whether this process is the entry point of a submitted job, which brought its code along."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def knock(address: str) -> None:
    """Fails within seconds where nobody listens; Ray itself keeps trying for minutes.

    Raises:
        UserError: It is not an address, or nobody answers there.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        if address == "auto":
            return
        raise UserError(
            f"{address!r} is not an address of a Ray cluster.",
            "Write auto, local, HOST:6379 or ray://HOST:10001.",
        )
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"The Ray cluster {address} cannot be reached ({error}).",
            "Check --ray-address, or leave it out to run on this machine.",
        ) from None


def leave_lost() -> None:
    """Leaves a cluster that does not answer; Ray takes seconds over it, or for ever."""
    leaving = threading.Thread(target=ray.shutdown, daemon=True)
    leaving.start()
    leaving.join(_LEAVE_SECONDS)


class Watch:
    """Looks now and then whether the head still answers.

    Args:
        address: As given to `connect`.
    """

    def __init__(self, address: str | None) -> None:
        self._named = "of this machine" if address in _HERE else address
        client = address is not None and address.startswith("ray://")
        # Ray's client speaks to its own server on the head; anybody else to the global control store.
        whole = address if client else ray.get_runtime_context().gcs_address
        assert whole is not None
        host, _, port = whole.removeprefix("ray://").rpartition(":")
        self._at = (host, int(port))
        node = ray._private.worker._global_node if address in _HERE else None
        self._here = (
            [] if node is None else [info.process for infos in node.all_processes.values() for info in infos]
        )
        self._next = self._seen = time.monotonic()
        self.lost = False

    def look(self) -> None:
        """Returns at once, mostly.

        Raises:
            BackendLostError: Nobody has answered for a while.
        """
        now = time.monotonic()
        if now < self._next:
            return
        # Ray itself notices late that a process of its own is gone, and ends this one without a word.
        if any(process.poll() is not None for process in self._here):
            raise self.gone("one of its processes ended")
        try:
            socket.create_connection(self._at, timeout=1).close()
            self._seen = now
        except OSError as error:
            if now - self._seen > _PATIENCE_SECONDS:
                raise self.gone(str(error)) from None
        self._next = now + _LOOK_SECONDS

    def gone(self, reason: str) -> BackendLostError:
        """The sentence for a cluster that is lost."""
        self.lost = True
        return BackendLostError(f"The Ray cluster {self._named} went away ({reason[:200]}).")
