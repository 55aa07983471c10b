"""One job's configuration: parsed from flags and a TOML job file, frozen, saved with the run."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cost_models.errors import UserError, did_you_mean
from cost_models.reading import read_toml
from nas.storage_url import StorageUrl
from nas.tasks.loading.kinds import InputKind

Policy = Literal["accuracy", "balanced", "smallest"]
SAMPLERS = ("nas", "tpe", "gp", "nsga2", "random")


class RunConfig(BaseModel):
    """Everything that decides a run; the seed is stored even when it was drawn.

    Attributes:
        task: `digits`, `npz:PATH` or `images:FOLDER`.
        space: Name of a search space, or a path or module that exports SPACE.
        target: Name of a target, or a path of a TOML file.
        budget: Limits as on the command line; None takes the target's memory.
        certain: Whether predictions are held to the limits by the upper ends of their 90 % intervals.
        trials: Networks to train at the search fidelity.
        timeout: Seconds after which the search ends with the best so far; None for none.
        trial_timeout: Seconds after which one evaluation is given up.
        workers: Evaluations at a time; None takes all cores of the machine or cluster.
        ray_address: Address of a Ray cluster; None or local starts Ray on this machine.
        gpus_per_trial: GPUs of a worker; below 1, several share one.
        storage: Optuna storage URL; None keeps a journal file in the run folder.
        sampler: Proposes new networks: one of `SAMPLERS`, or a Python file that exports SAMPLER.
        seed: Seed of everything; None draws one.
        warm_start: Folder of an earlier run on the same data, to learn from.
        out: The run folder; None makes a new one under runs/.
        steps: Training steps that every network gets (the lowest fidelity).
        final_steps: Training steps of the best of them.
        finalists: How many of the best are trained in full at the end.
        sparsity: Share of weights that magnitude pruning zeroes.
        policy: How the one is chosen from the front.
        image_size: Side of pictures in pixels, for tasks that resize.
        input_kind: What the axes of arrays are, for tasks that take arrays.
        name: Prefix of the emitted files and symbols.
        format: Layout of the bundle.
        deliver: `REPO` or `REPO:PATH`, a git repository that the bundle is committed to.
        branch: The branch of that commit; None takes mcu-nas/<name>.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    task: str = "digits"
    space: str = "ds_cnn"
    target: str = "nrf52840"
    budget: str | None = None
    certain: bool = False
    trials: int = Field(default=24, ge=1, le=1_000_000)
    timeout: float | None = Field(default=None, gt=0)
    trial_timeout: float = Field(default=1800.0, gt=0)
    workers: int | None = Field(default=None, ge=1, le=4096)
    ray_address: str | None = None
    gpus_per_trial: float = Field(default=0.0, ge=0, le=64)
    storage: str | None = None
    sampler: str = "nas"
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    warm_start: str | None = None
    out: str | None = None
    steps: int = Field(default=500, ge=1, le=10_000_000)
    final_steps: int = Field(default=2000, ge=1, le=100_000_000)
    finalists: int = Field(default=4, ge=1, le=1000)
    sparsity: float = Field(default=0.0, ge=0.0, lt=1.0)
    policy: Policy = "accuracy"
    image_size: int | None = Field(default=None, ge=4, le=512)
    input_kind: InputKind = "auto"
    name: str = Field(default="model", pattern=r"^[a-z][a-z0-9_]{0,31}$")
    format: str = "tflm"
    deliver: str | None = None
    branch: str | None = None

    def rungs(self) -> tuple[int, ...]:
        """Training steps of each fidelity, ascending, about four times as many from one to the next."""
        ratio = self.final_steps / self.steps
        if ratio <= 1:
            return (self.final_steps,)
        count = max(1, round(math.log(ratio, 4)))
        return (*(round(self.steps * ratio ** (i / count)) for i in range(count)), self.final_steps)

    def with_seed(self) -> RunConfig:
        """This configuration with a seed, drawn if none was given."""
        if self.seed is not None:
            return self
        return self.model_copy(update={"seed": secrets.randbelow(2**31)})

    def shown(self) -> dict[str, Any]:
        """What reports may show: a password in the storage's URL is none of it."""
        content = self.model_dump()
        content["storage"] = StorageUrl.parse(self.storage).shown() if self.storage else None
        return content

    def kept(self) -> dict[str, Any]:
        """What a run folder keeps: a password in the storage's URL is none of it."""
        content = self.model_dump()
        content["storage"] = StorageUrl.parse(self.storage).kept() if self.storage else None
        return content

    def search_identity(self) -> dict[str, Any]:
        """What two runs must share to be one search: a resume may change the rest."""
        keys = ("task", "space", "target", "budget", "seed", "steps", "final_steps", "sparsity", "image_size")
        identity = {key: getattr(self, key) for key in keys}
        # Left out where they are not given: runs from before there were such keys can be resumed.
        if self.input_kind != "auto":
            identity["input_kind"] = self.input_kind
        if self.certain:
            identity["certain"] = True
        if self.sampler != "nas":
            identity["sampler"] = self.sampler
        return identity


def check_sampler(name: str) -> None:
    """Finds out early whether `--sampler` can be meant.

    Raises:
        UserError: There is no such sampler or file.
    """
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise UserError(
                f"There is no sampler file {name}.", "Give a path to a Python file that exports SAMPLER."
            )
    elif name not in SAMPLERS:
        raise UserError(f"There is no sampler {name!r}.", did_you_mean(name, SAMPLERS))


# What the JSON words of pydantic mean on a command line.
_BOUNDS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_RELATION = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


def make_config(values: Mapping[str, Any], origin: Mapping[str, str]) -> RunConfig:
    """Checks values that come from outside.

    Args:
        values: Configuration by key.
        origin: Where each key was given, as the user would name it ("--trials", "job.toml, key trials").

    Raises:
        UserError: An unknown key or a value out of range, named as the user gave it.
    """
    try:
        return RunConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        where = origin.get(key, key)
        kind = str(first["type"])
        if kind == "extra_forbidden":
            raise UserError(f"{where} is unknown.", did_you_mean(key, RunConfig.model_fields)) from None
        if kind in _BOUNDS:
            bound = _BOUNDS[kind]
            raise UserError(
                f"{where} is {first['input']}.", f"It must be {_RELATION[bound]} {first['ctx'][bound]}."
            ) from None
        if kind == "literal_error":
            raise UserError(
                f"{where} is {first['input']!r}.",
                did_you_mean(
                    str(first["input"]),
                    [w.strip("'") for w in first["ctx"]["expected"].replace(" or ", ", ").split(", ")],
                ),
            ) from None
        if kind == "string_pattern_mismatch":
            raise UserError(
                f"{where} is {first['input']!r}.", "Use lower-case letters, digits and _, a letter first."
            ) from None
        raise UserError(f"{where} is {first['input']!r}.", f"{first['msg']}.") from None


def read_job_file(path: Path) -> dict[str, Any]:
    """The keys of a TOML job file.

    Raises:
        UserError: The file is missing, not TOML, or has tables.
    """
    if not path.exists():
        raise UserError(f"There is no job file {path}.", "Check the path after --config.")
    return read_toml(path, 'Write lines like trials = 100 or task = "digits".')[1]
