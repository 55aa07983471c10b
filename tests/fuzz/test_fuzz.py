"""Short campaigns with fixed seeds, and the machinery itself: a fault must be found."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from cost_models.errors import UserError
from tests.fuzz.__main__ import tiny_run
from tests.fuzz.campaign import Campaign, FaultError, run
from tests.fuzz.files import Bundles, Npz, RunFolders, Toml
from tests.fuzz.models import Models


def faults(campaign: Campaign, count: int, folder: Path, seed: int = 1) -> list[tuple[int, str]]:
    tally = run(campaign, first=seed, count=count, folder=folder, end=time.monotonic() + 120, faults=None)
    assert tally.counts["tried"] == count
    return tally.faults


def test_mutated_models_never_raise_and_never_cost_less_than_nothing(tmp_path: Path) -> None:
    assert faults(Models(), 600, tmp_path) == []


def test_mutated_toml_is_taken_or_refused(tmp_path: Path) -> None:
    assert faults(Toml(), 300, tmp_path) == []


@pytest.mark.slow
def test_mutated_data_sets_are_taken_or_refused(tmp_path: Path) -> None:
    assert faults(Npz(), 300, tmp_path) == []


@pytest.mark.slow
def test_accepted_models_run_in_tflm(tmp_path: Path) -> None:
    tally = run(Models(1.0), first=1, count=3000, folder=tmp_path, end=time.monotonic() + 120, faults=None)
    assert tally.faults == []
    refused = tally.counts["accepted, refused by TFLM"] + tally.counts["accepted, crashed TFLM"]
    ran = tally.counts["accepted, ran in TFLM"]
    assert ran > 300
    assert refused < 0.01 * ran


@pytest.mark.slow
def test_damaged_bundles_and_run_folders_are_refused(tmp_path: Path) -> None:
    finished, work = tiny_run(tmp_path), tmp_path / "work"
    work.mkdir()
    assert faults(Bundles(finished / "bundle"), 60, work) == []
    assert faults(RunFolders(finished), 60, work) == []


class Planted:
    """A product that hangs, dies, raises, takes what it must not, and refuses."""

    name = "planted"

    def case(self, rng: random.Random) -> bytes:
        return b"%d" % rng.randrange(1 << 30)

    def run(self, case: bytes, folder: Path) -> str:
        match int(case) % 5:
            case 0:
                raise ZeroDivisionError("oh")
            case 1:
                raise FaultError("negative")
            case 2:
                os.kill(os.getpid(), signal.SIGKILL)
                raise AssertionError
            case 3:
                raise UserError("No.")
        return "accepted"


def test_a_fault_is_found_whatever_it_does_to_the_process(tmp_path: Path) -> None:
    tally = run(
        Planted(), first=0, count=60, folder=tmp_path, end=time.monotonic() + 60, faults=tmp_path / "kept"
    )
    assert tally.counts["tried"] == 60
    assert all(tally.counts[word] > 3 for word in ("exception", "fault", "crash", "refused", "accepted"))
    assert len(tally.faults) == len(list((tmp_path / "kept").iterdir()))
    assert any("ZeroDivisionError: oh (test_fuzz.py:" in text for _, text in tally.faults)
