"""Run folders as nas-run leaves them, without a run."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

from tests.nas.report.synthetic_summary import synthetic_summary

STARTED = "2026-11-23T08:14:02Z"
CONFIG = {
    "task": "digits", "space": "ds_cnn", "target": "nrf52840", "budget": "24KB", "seed": 1234, "steps": 500,
    "final_steps": 2000, "trials": None, "finalists": 4, "timeout": None, "out": "runs/x",
}  # fmt: skip


def write_run(
    path: Path,
    summary: dict[str, Any] | None,
    *,
    started: str = STARTED,
    data: str = "a" * 64,
    begun: bool = True,
    recorded: int | None = None,
    **config: Any,
) -> Path:
    """A run folder.

    Args:
        path: Where.
        summary: What result.json holds; None for a run that has not ended.
        started: When.
        data: Digest of its data.
        begun: Whether its search began.
        recorded: Trainings in its journal; None for no journal.
        config: What differs from the usual configuration.
    """
    (path / "models").mkdir(parents=True)
    (path / ".lock").touch()
    if begun:
        (path / ".begun").touch()
    versions = {"mcu-nas": "0.1.0", "numpy": "2.4.6"} if summary is None else summary["versions"]
    mark = {
        "schema": 1, "study": path.name, "config": CONFIG | config, "data_sha256": data, "versions": versions,
        "started": started,
    }  # fmt: skip
    (path / "config.json").write_text(json.dumps(mark), encoding="utf-8")
    if summary is not None:
        content = copy.deepcopy(summary) | {"run": path.name, "started": started}
        (path / "result.json").write_text(json.dumps(content), encoding="utf-8")
        (path / "report.html").write_text("<!DOCTYPE html>", encoding="utf-8")
    if recorded is not None:
        _write_journal(path / "study.journal", recorded)
    return path


def write_two_runs(root: Path) -> None:
    """The runs "first" and "second", a day and a number of steps apart."""
    write_run(root / "second", synthetic_summary(seed=2), started="2026-11-24T10:00:00Z", steps=1000)
    write_run(root / "first", synthetic_summary(seed=1))


def _write_journal(path: Path, count: int) -> None:
    """Lines as Optuna's journal has them: a rejected trial, then trainings."""
    states = ["rejected"] + ["evaluated"] * count
    lines = [
        json.dumps(
            {"op_code": 8, "trial_id": n, "user_attr": {"record": {"state": s}}}, separators=(",", ":")
        )
        for n, s in enumerate(states)
    ]
    path.write_text("\n".join(['{"op_code":0}', *lines]) + "\n", encoding="utf-8")
    later = path.stat().st_mtime + 60
    os.utime(path, (later, later))
