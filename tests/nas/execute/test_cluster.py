"""`nas-run` on a cluster of several nodes, some of which die."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.nas.execute.cluster import Cluster

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SPACE = """
from search_spaces.spaces.ds_cnn import SPACE
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(head_cpus=1)
    try:
        made.add_nodes(1)
        yield made
    finally:
        made.close()


def start(cluster: Cluster, folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "nas", "--ray-address", cluster.address, "--json",
            *words,
        ],
        cwd=folder.parent,
        env={**cluster.environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def end(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = running.communicate(timeout=400)
    finally:
        running.kill()
    return running.returncode, out, err


def wait_for_trials(folder: Path, count: int, running: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + 300
    while len(list(folder.glob("models/*.tflite"))) < count:
        assert time.monotonic() < give_up
        assert running.poll() is None, running.communicate()
        time.sleep(0.2)


def trials(out: str) -> list[dict[str, Any]]:
    return [t for t in json.loads(out)["trials"] if t["state"] in ("evaluated", "failed")]


def test_a_run_outlives_a_node_and_resumes_after_the_head(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SPACE)
    folder = tmp_path / "run"
    words = (
        "--out",
        str(folder),
        "--seed",
        "1",
        "--steps",
        "20",
        "--final-steps",
        "20",
        "--space",
        "mine.py",
    )
    # Workers of the cluster neither have this code installed nor see the user's files.
    running = start(cluster, folder, *words, "--trials", "60", "--finalists", "1")
    wait_for_trials(folder, 2, running)
    cluster.kill(cluster.nodes[0])
    wait_for_trials(folder, 4, running)
    cluster.kill(cluster.head)
    code, _, err = end(running)
    assert code == 2, err
    last = err.strip().splitlines()[-1]
    assert last.startswith("nas-run: The Ray cluster")
    assert last.endswith(f"No trial that ended is lost; --resume {folder} goes on.")
    kept = {path.name: path.read_bytes() for path in folder.glob("models/*.tflite")}
    again = (
        "--resume",
        str(folder),
        "--trials",
        "6",
        "--ray-address",
        "local",
        "--workers",
        "1",
        "--trust-space",
    )
    code, out, err = end(start(cluster, folder, *again))
    assert code == 0, err
    ended = trials(out)
    # A trial that lost its worker twice, to the node and then to the head, is recorded as failed and counts.
    states = [t["state"] for t in ended]
    assert len({t["digest"] for t in ended}) >= 6
    assert states.count("evaluated") >= max(4, len(kept))
    assert len({(t["steps"], t["digest"]) for t in ended}) == len(ended)
    assert kept.items() <= {p.name: p.read_bytes() for p in folder.glob("models/*.tflite")}.items()


def test_a_submitted_job_brings_its_run_folder_home(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    labels = numbers.integers(0, 3, 200)
    samples = numbers.normal(labels[:, None], 0.5, (200, 12)).astype(np.float32)
    np.savez(tmp_path / "mine.npz", X=samples, y=labels)
    cluster = Cluster(head_cpus=1, dashboard=True)
    try:
        words = f"--submit http://127.0.0.1:{cluster.jobs_port} --task npz:mine.npz --space mlp --trials 2"
        words += " --finalists 1 --steps 10 --final-steps 20"
        done = subprocess.run(
            [sys.executable, "-m", "nas", *words.split(), "--out", "home", "--seed", "3", "--json"],
            cwd=tmp_path,
            env={**cluster.environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == 0, done.stderr
        assert len(trials(done.stdout)) == 3
        assert "@mcu-nas" not in done.stderr
        assert "Uploading package" not in done.stderr
        home = tmp_path / "home"
        assert (home / "report.html").exists()
        assert any((home / "bundle").iterdir())
        assert json.loads((home / "result.json").read_text()) == json.loads(done.stdout)
        job = done.stderr.split("job ")[1].split(";")[0]
        url = f"http://127.0.0.1:{cluster.jobs_port}"
        again = subprocess.run(
            [sys.executable, "-m", "nas", "--submit", url, "--follow", job, "--out", "again"],
            cwd=tmp_path,
            env={**cluster.environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert again.returncode == 0, again.stderr
        assert (tmp_path / "again" / "result.json").read_bytes() == (home / "result.json").read_bytes()
        cluster.environment["RAY_AUTH_TOKEN_PATH"] = str(tmp_path / "token")
        (tmp_path / "token").write_text("0" * 64)
        stranger = subprocess.run(
            [sys.executable, "-m", "nas", "--submit", url, "--out", "none"],
            cwd=tmp_path,
            env={**cluster.environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert stranger.returncode == 2, stranger.stderr
        assert not (tmp_path / "none").exists()
        assert re.search(r"^nas-run: The cluster http://\S+ takes no job \(", stranger.stderr, re.MULTILINE)
    finally:
        cluster.close()
