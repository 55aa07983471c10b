"""SIGTERM and Ctrl-C in each stage of a real run, to the process and to its whole group; and what listens meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TINY = [
    "--space",
    "mlp",
    "--trials",
    "40",
    "--finalists",
    "4",
    "--steps",
    "200",
    "--final-steps",
    "800",
    "--workers",
    "1",
    "--seed",
    "1",
]

pytestmark = pytest.mark.slow


@pytest.fixture
def short() -> Iterator[Path]:
    """A temporary folder for Ray, whose sockets need short paths."""
    with tempfile.TemporaryDirectory(prefix="nas") as folder:
        yield Path(folder)


def stopped(short: Path, number: int, stage: str, *, group: bool) -> tuple[int, str]:
    """A run that gets a signal when a line of `stage` shows; its exit code and its output."""
    command = [sys.executable, "-m", "nas", *TINY, "--out", str(short / "out")]
    run = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(short)},
        cwd=short,
    )
    text, sent = "", False
    assert run.stdout is not None
    for line in run.stdout:
        text += line
        if stage in line and not sent:
            (os.killpg if group else os.kill)(run.pid, number)
            sent = True
    assert sent, text
    return run.wait(timeout=120), text


@pytest.mark.parametrize(
    ("number", "stage", "group"),
    [
        (signal.SIGTERM, "  search 2", False),
        (signal.SIGTERM, "  search 2", True),
        (signal.SIGINT, "  search 2", True),
        (signal.SIGTERM, "  full training 1", True),
        (signal.SIGTERM, "exporting and verifying", False),
    ],
)
def test_a_signal_ends_a_run_with_the_best_so_far(number: int, stage: str, group: bool, short: Path) -> None:
    code, text = stopped(short, number, stage, group=group)
    assert code == 0, text
    assert "Stopping: the best so far will be exported." in text
    assert "Traceback" not in text
    assert (short / "out" / "bundle" / "manifest.json").is_file()
    assert not list(short.glob("ray/session_2*"))


def test_a_signal_before_the_search_leaves_nothing_behind(short: Path) -> None:
    code, text = stopped(short, signal.SIGTERM, "run folder", group=True)
    assert code == 143, text
    assert not (short / "out").exists()


def descendants(ancestor: int) -> set[int]:
    """Processes below one, from /proc."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(words[1])
    below, fresh = set[int](), {ancestor}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - below
        below |= fresh
    return below


def listening(pids: set[int]) -> set[str]:
    """Addresses on which processes listen, from /proc."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                inodes.add(str(link.readlink()))
            except OSError:
                continue
    found = set()
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                raw = bytes.fromhex(words[1].partition(":")[0])
                swapped = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
                found.add(socket.inet_ntop(family, swapped))
    return found


PROBE = """
import sys
from nas.execute.ray_cluster import connect, disconnect
connect(None, 1)
import ray
ray.get(ray.remote(lambda: 1).remote())
print("up", flush=True)
sys.stdin.read()
disconnect()
"""


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="there is no /proc")
@pytest.mark.parametrize("address", [None, "127.0.0.1:6399", "auto", "nonsense"])
def test_a_local_run_listens_on_loopback_alone_whatever_ray_address_says(
    address: str | None, short: Path
) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(short)}
    env |= {} if address is None else {"RAY_ADDRESS": address}
    with subprocess.Popen(
        [sys.executable, "-c", PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as probe:
        assert probe.stdout is not None
        assert probe.stdin is not None
        assert probe.stdout.readline().strip() == "up"
        below = descendants(probe.pid)
        assert len(below) >= 4
        found = listening({probe.pid, *below})
        groups = {os.getpgid(pid) for pid in below}
        probe.stdin.close()
        assert probe.wait(timeout=60) == 0
    assert found
    assert found <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert os.getpgid(0) not in groups
    assert not list(short.glob("ray/session_2*"))


def test_signals_while_ray_is_left_come_afterwards_and_the_second_is_not_kept_waiting() -> None:
    from nas.execute.ray_cluster import signals_wait

    before, seen = signal.getsignal(signal.SIGTERM), list[str]()
    signal.signal(signal.SIGTERM, lambda *_: seen.append("signal"))
    try:
        with signals_wait():
            signal.raise_signal(signal.SIGTERM)
            seen.append("left")
        assert seen == ["left", "signal"]
        with signals_wait():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            seen.append("left")
        assert seen == ["left", "signal", "signal", "left", "signal"]
    finally:
        signal.signal(signal.SIGTERM, before)
