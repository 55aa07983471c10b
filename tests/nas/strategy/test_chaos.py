"""A driver killed at random moments and resumed finds what an undisturbed one finds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.nas.strategy.search_fakes import make_driver

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("MCU_NAS_KILLS", "50"))


def chaos(folder: Path, kills: int, *, trials: int, seed: int = 1) -> list[str]:
    """Runs the search of chaos.py; returns the evaluator's calls."""
    done = run(folder, seed, trials, kills)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == kills
    return (folder / "calls").read_text().splitlines()


def run(folder: Path, *numbers: int) -> subprocess.CompletedProcess[str]:
    """Runs chaos.py."""
    here = Path(__file__).parent
    return subprocess.run(
        [sys.executable, here / "chaos.py", folder, *map(str, numbers)],
        env={**os.environ, "PYTHONPATH": str(here.parents[2])},
        capture_output=True,
        text=True,
        timeout=600,
    )


def outcomes(folder: Path) -> dict[Any, Any]:
    """All that a run found, without what clocks wrote."""
    driver, _ = make_driver(folder, trials=1)
    rows = [
        (r.number, r.steps, r.digest, r.state, r.accuracy, r.costs, tuple(r.params.items()), r.violations)
        for r in driver.records()
    ]
    assert driver.study.opened() == []
    return Counter(map(repr, rows))


def test_a_driver_killed_at_random_moments_ends_with_the_results_of_an_undisturbed_one(
    tmp_path: Path,
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    trials = 20 + 2 * KILLS
    calls = chaos(whole, 0, trials=trials)
    disturbed = chaos(cut, KILLS, trials=trials)
    assert outcomes(cut) == outcomes(whole)
    assert len(set(calls)) == len(calls)
    assert {call.split()[1] for call in calls} == {"10", "32", "100"}
    assert set(disturbed) == set(calls)
    # A kill costs at most the evaluation that it met; one whose result was recorded is never made again.
    assert len(disturbed) <= len(calls) + KILLS
    models = sorted(path.name for path in (whole / "models").iterdir())
    assert sorted(path.name for path in (cut / "models").iterdir()) == models
    assert not list(cut.glob("study.journal.lock*"))


def test_a_disk_that_fills_up_in_the_middle_costs_nothing_that_was_recorded(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    calls = chaos(whole, 0, trials=20)
    size = (whole / "study.journal").stat().st_size
    for share in (0.1, 0.3, 0.31, 0.7):
        done = run(cut, 1, 20, 0, int(share * size))
        assert done.returncode == 1
        assert "File too large" in done.stderr
        assert (cut / "study.journal").read_bytes().endswith(b"\n")
    disturbed = chaos(cut, 0, trials=20)
    assert outcomes(cut) == outcomes(whole)
    assert set(disturbed) == set(calls)
    assert len(disturbed) <= len(calls) + 4
