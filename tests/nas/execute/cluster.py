"""A Ray cluster of several nodes on this machine, with a token of its own; nodes can be killed."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = "from ray.scripts.scripts import main; main()"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Cluster:
    """Starts with a head without CPUs: all work is on the nodes that are added.

    Args:
        head_cpus: CPUs of the head.
        dashboard: Whether jobs can be submitted.
    """

    def __init__(self, *, head_cpus: int = 0, dashboard: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nasray"))  # short: sockets are in it
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("RAY_")},
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_raylet_liveness_self_check_interval_ms": "1000",
            "PYTHONPATH": "",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self.port, self.client_port, self.jobs_port = free_port(), free_port(), free_port()
        self.nodes: list[subprocess.Popen[bytes]] = []
        self.head = self._start(
            "--head", f"--port={self.port}", f"--num-cpus={head_cpus}", f"--temp-dir={self.folder}",
            f"--ray-client-server-port={self.client_port}", f"--include-dashboard={str(dashboard).lower()}",
            f"--dashboard-port={self.jobs_port}", "--dashboard-host=127.0.0.1",
        )  # fmt: skip
        self.host = self._wait_for(0, "ray start --address='").split("--address='")[1].split(":")[0]

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def client_address(self) -> str:
        return f"ray://{self.host}:{self.client_port}"

    def add_nodes(self, count: int) -> None:
        """Adds nodes of one CPU each, and waits until they are up."""
        for _ in range(count):  # one after the other: nodes of one machine compete for ports
            self.nodes.append(self._start(f"--address={self.address}", "--num-cpus=1"))
            self._wait_for(len(self.nodes), "Ray runtime started")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"start-{len(list(self.folder.glob('start-*')))}").open("wb")
        return subprocess.Popen(
            [
                sys.executable,
                "-c",
                PROGRAM,
                "start",
                "--block",
                "--object-store-memory=90000000",
                f"--dashboard-agent-listen-port={free_port()}",
                *words,
            ],
            env=self.environment,
            cwd=self.folder,  # not the checkout: nodes must get this code from the driver
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def _wait_for(self, number: int, words: str) -> str:
        """The line of a start-up log that has these words."""
        log = self.folder / f"start-{number}"
        give_up = time.monotonic() + 90
        while time.monotonic() < give_up:
            for line in log.read_text(errors="replace").splitlines():
                if words in line:
                    return line
            time.sleep(0.2)
        raise AssertionError(log.read_text(errors="replace"))

    @staticmethod
    def kill(node: subprocess.Popen[bytes]) -> None:
        """SIGKILL of all that the node runs; its workers end with it."""
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def close(self) -> None:
        for node in (*self.nodes, self.head):
            if node.poll() is None:
                self.kill(node)
        shutil.rmtree(self.folder, ignore_errors=True)
