"""The tutorials' commands, run on small data as their pages describe them, with short trainings."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas.bundle import verify

ROOT = Path(__file__).parents[2]
SHORT = ["--trials", "2", "--workers", "1", "--steps", "30", "--final-steps", "30", "--finalists", "1"]

pytestmark = pytest.mark.slow


def commands(page: str) -> list[list[str]]:
    """The words of each `nas-run` of a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [shlex.split(line) for line in re.findall(r"^nas-run (.*)$", text, re.MULTILINE)]


def nas_run(words: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nas.cli.run", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def write(path: Path, header: str, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def walks(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for person in range(5):
        rows = []
        for at in range(1500):
            activity = "walk" if at // 500 % 2 else "rest"
            x, y, z = rng.normal((0, 0, 1000), 200 if activity == "walk" else 20).astype(int)
            rows.append(f"{20 * at},{x},{y},{z},{activity},p{person}")
        write(folder / "walks" / f"p{person}.csv", "time_ms,acc_x,acc_y,acc_z,activity,person", rows)


def gearbox(folder: Path) -> None:
    rng = np.random.default_rng(2)
    for place, count in (("train/healthy/0", 60), ("val/healthy/4", 30), ("val/broken_tooth/4", 20),
                         ("test/healthy/2", 30), ("test/broken_tooth/2", 20)):  # fmt: skip
        at = np.arange(128 * count)
        pitch = 0.2 if "healthy" in place else 0.33
        values = 3 * np.sin(2 * np.pi * pitch * at)[:, None] + rng.normal(0, 1, (len(at), 2))
        rows = [f"{a:.2f},{b:.2f}" for a, b in values.tolist()]
        write(folder / "gearbox" / f"{place}.csv", "sensor_3,sensor_4", rows)


def test_motion_is_looked_at_as_the_tutorial_says(tmp_path: Path) -> None:
    walks(tmp_path)
    plain, disturbed, search = commands("tutorial-motion.md")
    assert {"--dry-run"} <= set(plain) & set(disturbed)
    said = nas_run(disturbed, tmp_path)
    assert "acc_x,acc_y,acc_z turn together, by up to 30 degrees" in " ".join(said.split())
    assert search[: len(disturbed) - 3] == disturbed[:-3], "the search is of the data that were looked at"


def test_anomalies_of_vibration_come_to_a_verified_bundle_as_the_tutorial_says(tmp_path: Path) -> None:
    gearbox(tmp_path)
    look, search = commands("tutorial-anomaly.md")
    assert look[:-1] == search[: len(look) - 1]
    nas_run([*search, *SHORT, "--seed", "3"], tmp_path)
    bundle = tmp_path / "runs" / "gearbox" / "bundle"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert (manifest["frontend"]["kind"], manifest["frontend"]["channels"]) == ("spectrum", 2)
    assert manifest["anomaly"]["false_alarms"] == 0.01
    assert "_detect_features(&score, nullptr)" in next(bundle.rglob("*_self_test.cc")).read_text()
    verify(bundle)
