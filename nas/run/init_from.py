"""`--init-from RUN|MODEL.keras`: the float weights that networks of a run begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cost_models.errors import UserError
from cost_models.reading import read_bounded
from nas.model.result import TrialSummary
from nas.model.weights import FloatWeights, Inherited, WeightsError, weights_digest
from nas.run.folder import INIT_FILE, RunFolder, write_atomically
from nas.run.keras_file import LARGEST_FILE_BYTES, keras_layers
from nas.run.result import read_result
from nas.strategy.screening import Screened

_HINT = "--init-from takes the folder of an earlier run, or a .keras file that model.save wrote."


def read_source(path: str) -> FloatWeights:
    """The weights of a run's chosen model, of a `.keras` file, or of an `.npz` in a run's `weights`.

    Raises:
        UserError: There is no such thing, or no weights in it that can be taken.
    """
    source = Path(path)
    if source.is_dir():
        return _of_run(source)
    if not source.exists():
        raise UserError(f"There is no {path}.", _HINT)
    content = read_bounded(source, LARGEST_FILE_BYTES)
    try:
        if source.suffix == ".npz":
            return FloatWeights.from_npz(content)
        return FloatWeights(keras_layers(content))
    except WeightsError as error:
        raise UserError(f"{path} cannot be taken as weights: {error}.", _HINT) from error


def _of_run(path: Path) -> FloatWeights:
    folder = RunFolder(path=path)
    if not folder.config_file.is_file():
        raise UserError(f"{path} is not a run.", _HINT)
    if not folder.result_file.is_file():
        raise UserError(f"{path} has no result yet.", f"Let it end first: --resume {path}.")
    summary, _ = read_result(folder)
    if summary.chosen is None:
        raise UserError(f"The run {path} chose no model, so there are no weights to begin with.", _HINT)
    trial = next((one for one in summary.trials if one.number == summary.chosen.number), None)
    if trial is None or trial.weights_sha256 is None:
        raise UserError(
            f"The run {path} kept no float weights of its chosen model.",
            "Full trainings keep them in runs of this version; take another run, or a .keras file.",
        )
    return stored_weights(folder, trial)


def stored_weights(folder: RunFolder, trial: TrialSummary) -> FloatWeights:
    """The float weights that a training left.

    Raises:
        UserError: They are gone, or others.
    """
    content = folder.load_weights(trial.model_key, trial=trial.number, sha256=trial.weights_sha256)
    try:
        return FloatWeights.from_npz(content)
    except WeightsError as error:
        raise UserError(
            f"The weights of trial {trial.number} in {folder.path} cannot be read: {error}.", _HINT
        ) from error


def keep(folder: RunFolder, weights: FloatWeights) -> None:
    """Keeps them with the run: a resume must not need the source."""
    write_atomically(folder.path / INIT_FILE, weights.to_npz())


def kept(folder: RunFolder, digest: object) -> FloatWeights:
    """The weights that `keep` kept.

    Raises:
        UserError: They are gone, or others than the run began with.
    """
    try:
        content = read_bounded(folder.path / INIT_FILE, LARGEST_FILE_BYTES)
        if weights_digest(content) == digest:
            return FloatWeights.from_npz(content)
    except (UserError, WeightsError):
        pass
    raise UserError(
        f"{folder.path / INIT_FILE} is not what the run's trainings began with.",
        "Bring it back, or start a new run with --init-from.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InitLook:
    """What networks that fit take of the source's weights.

    Attributes:
        path: The source, as the user named it.
        layers: Of the source.
        taken: By each network that was looked at; None where it takes nothing.
    """

    path: str
    layers: int
    taken: tuple[Inherited | None, ...]

    def text(self) -> str:
        """In a sentence."""
        shares = [0.0 if one is None else 100 * one.share for one in self.taken]
        some = sum(one is not None for one in self.taken)
        return (
            f"networks begin with the weights of {self.path} ({self.layers} layers) where kind, order and shape of"
            f" layers match: {some} of {len(shares)} networks that fit take some of it, half of them"
            f" {np.median(shares):.0f} % of their weights or more, at most {max(shares):.0f} %"
        )


def look_at(path: str, weights: FloatWeights, networks: Sequence[Screened]) -> InitLook:
    """What networks that fit take of the weights.

    Raises:
        UserError: Not one of them takes any.
    """
    taken = tuple(weights.taken_by(one.candidate.wide) for one in networks)
    if not any(taken):
        raise UserError(
            f"No layer of {path} has the kind and shape of a layer of the {len(networks)} networks that were looked"
            " at.",
            "Take a source of the same --space and of samples of the same shape, or leave --init-from out.",
        )
    return InitLook(path=path, layers=len(weights.layers), taken=taken)
