"""Joining a Ray cluster, or one on this machine, and noticing when it is gone."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import threading
import time

# Ray reads these at import: nothing is sent anywhere, and log lines of workers stay out of the user's screen.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")

import ray

from cost_models.errors import UserError
from nas.lost import LostError

_PACKAGES = ("nas", "search_spaces", "cost_models")
_HERE = (None, "local")
_LOOK_SECONDS = 2.0
_LEAVE_SECONDS = 15.0
_PATIENCE_SECONDS = 20.0  # Ray itself ends the whole process after 60 s without the head


def connect(address: str | None, workers: int | None, *, gpus: bool = False) -> None:
    """Joins a cluster, or starts Ray on this machine with just the CPUs that are asked for.

    Workers of a cluster get this code from here, whatever is installed there.

    Raises:
        UserError: The cluster cannot be reached.
    """
    if ray.is_initialized():
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address in _HERE:
        ray.init(
            _node_ip_address="127.0.0.1",  # nobody else's business: listen on loopback only
            num_cpus=workers or os.cpu_count() or 1,
            num_gpus=None if gpus else 0,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            configure_logging=False,
        )
        return
    knock(address)
    environment = (
        {} if in_ray_job() else {"py_modules": [importlib.import_module(name) for name in _PACKAGES]}
    )
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, runtime_env=environment)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(
            f"The Ray cluster {address} cannot be reached ({reason}).",
            "Check --ray-address, or leave it out to run on this machine.",
        ) from None


def in_ray_job() -> bool:
    """Whether this process is the entry point of a submitted job, which brought its code along."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def knock(address: str) -> None:
    """Fails within seconds where nobody listens; Ray itself keeps trying for minutes.

    Raises:
        UserError: It is no address, or nobody answers there.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        if address == "auto":
            return
        raise UserError(
            f"{address!r} is no address of a Ray cluster.",
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
        self._next = self._seen = time.monotonic()
        self.lost = False

    def look(self) -> None:
        """Returns at once, mostly.

        Raises:
            LostError: Nobody has answered for a while.
        """
        now = time.monotonic()
        if now < self._next:
            return
        try:
            socket.create_connection(self._at, timeout=1).close()
            self._seen = now
        except OSError as error:
            if now - self._seen > _PATIENCE_SECONDS:
                raise self.gone(str(error)) from None
        self._next = now + _LOOK_SECONDS

    def gone(self, reason: str) -> LostError:
        """The sentence for a cluster that is lost."""
        self.lost = True
        return LostError(f"The Ray cluster {self._named} went away ({reason[:200]}).")
