"""Attributes and artifacts that `optuna-dashboard` shows of a trial besides choices and objectives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.trial import Trial

from cost_models.costing import Costs
from cost_models.resources import format_quantity
from nas.model.records import TrialRecord


def readable_attributes(record: TrialRecord) -> dict[str, Any]:
    """The result of a trial as short words and numbers."""
    shown: dict[str, Any] = {"state": record.state, "worker": record.worker}
    if record.state == "evaluated":
        shown["accuracy" if record.accuracy is None else record.accuracy.metric] = round(record.value, 4)
    if record.costs is not None:
        shown |= readable_costs(record.costs)
    if record.violations:
        shown["breaks"] = "; ".join(map(str, record.violations))
    if record.reason is not None:
        shown["reason"] = record.reason
    return shown


def readable_costs(costs: Costs) -> dict[str, str]:
    """SRAM, flash and work of a network in words."""
    work = {"MACs": f"{costs.macs:,}"} if costs.cycles is None else {"cycles": f"{round(costs.cycles):,}"}
    return {
        "SRAM": format_quantity("sram", costs.sram_bytes),
        "flash": format_quantity("flash", costs.flash_bytes),
        **work,
    }


class ModelArtifacts(FileSystemArtifactStore):
    """Optuna's artifact store in the run folder. Models are linked, not copied, where the file system can.

    Args:
        folder: Made when the first model is attached.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    def attach(self, trial: Trial, model: Path) -> None:
        """Makes a file an artifact of a trial that has not ended."""
        self._folder.mkdir(exist_ok=True)
        upload_artifact(artifact_store=self, file_path=str(model), study_or_trial=trial)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        try:
            os.link(content_body.name, self._folder / artifact_id)
        except OSError:
            super().write(artifact_id, content_body)
