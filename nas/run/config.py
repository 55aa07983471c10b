"""One job's configuration: parsed from flags and a TOML job file, frozen, saved with the run."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from cost_models.errors import UserError, did_you_mean, shortened
from cost_models.reading import read_toml
from nas.model.config_key import facts_of, key
from nas.model.policy import AskedMetricName, NumberMetricName, Policy
from nas.model.storage_url import StorageUrl
from nas.tasks.options import TaskOptions

SAMPLERS = ("nas", "tpe", "gp", "nsga2", "random")
_TRIALS = 24  # without a time limit
_STRETCH = 16  # how many times as long as in full finalists are trained, at most
_FIRST_KEYS = {
    "task", "space", "target", "budget", "seed", "steps", "final_steps", "sparsity", "image_size",
}  # fmt: skip


class RunConfig(TaskOptions):
    """Everything that decides a run; the seed is stored even when it was drawn.

    Each field says what it means and who may change it: flags, job files and the reference are made from this.
    """

    task: str = key(
        "digits",
        "digits, npz:PATH, images:FOLDER, audio:FOLDER, timeseries:PATH, or a .py file that exports TASK",
    )
    space: str = key("ds_cnn", "search space: a name, a .py file or a module")
    target: str = key("nrf52840", "chip or board, or a TOML file; nas-cost --targets lists them")
    targets: str | None = key(
        None,
        "several boards that one search serves, in place of --target: each has a front, a choice and a bundle",
        metavar="NAMES",
        example="nrf52840,rp2040,esp32s3",
    )
    budget: str | None = key(
        None,
        "256KB limits SRAM; sram=64KB,flash=512KB,latency=50ms,energy=2mJ,cycles=3M name any; power=200uW with"
        " --period",
        metavar="LIMITS",
        example="sram=64KB,flash=256KB",
        default="what the target has",
    )
    certain: bool = key(False, "hold predictions to the limits by the upper ends of their 90 % intervals")
    period: str | None = key(
        None,
        "the chip infers once in this time and sleeps between: average power, and a limit of the latency",
        metavar="TIME",
        example="1s",
    )
    battery: str | None = key(
        None,
        "with --period: how long this charge lasts",
        scope="output",
        metavar="CHARGE",
        example="230mAh",
    )
    metric: AskedMetricName | Literal["auto"] = key(
        "auto",
        "what is searched and chosen by: accuracy, balanced_accuracy, macro_f1; of anomalies auc or partial_auc;"
        " of numbers to predict rmse, mae or r2",
        default="balanced_accuracy where classes are unbalanced, said, else accuracy; of anomalies auc; of numbers"
        " rmse",
    )
    robust: bool = key(
        False,
        "search for classifiers that stand noise, other gains, offsets and lost readings: disturbed samples count half,"
        " and are trained on",
    )
    sparsity: float = key(0.0, "weights that magnitude pruning zeroes", metavar="SHARE", ge=0.0, lt=1.0)
    sampler: str = key(
        "nas",
        "proposes new networks: nas, tpe, gp, nsga2, random, or a .py file that exports SAMPLER",
        metavar="NAME",
    )
    seed: int | None = key(
        None, "seed of everything", metavar="N", example=1, default="drawn, and kept", ge=0, lt=2**31
    )
    steps: int = key(500, "training steps of every network", metavar="N", ge=1, le=10_000_000)
    final_steps: int = key(2000, "training steps of the best", metavar="N", ge=1, le=100_000_000)
    trials: int | None = key(
        None,
        "networks to train",
        scope="resources",
        metavar="N",
        example=100,
        default=f"{_TRIALS}; with --timeout as many as there is time for",
        ge=1,
        le=1_000_000,
    )
    finalist_steps: int | None = key(
        None,
        "training steps of the finalists at the end, more than in full",
        scope="resources",
        metavar="N",
        example=8000,
        default=f"--final-steps; with --timeout up to {_STRETCH} times as many, where there is time",
        ge=1,
        le=1_000_000_000,
    )
    finalists: int = key(4, "how many are trained in full", scope="resources", metavar="N", ge=1, le=1000)
    timeout: float | None = key(
        None,
        "end with the best so far: 90s, 30m, 8h or seconds",
        scope="resources",
        metavar="TIME",
        example="8h",
        is_time=True,
        gt=0,
    )
    trial_timeout: float = key(
        1800.0,
        "give one trial up after this",
        scope="resources",
        metavar="TIME",
        default="30m",
        is_time=True,
        gt=0,
    )
    workers: int | None = key(
        None,
        "trials at a time",
        scope="resources",
        metavar="N",
        example=4,
        default="all cores",
        ge=1,
        le=4096,
    )
    ray_address: str | None = key(
        None,
        "a Ray cluster: auto, ray://HOST:10001; or local",
        scope="resources",
        metavar="ADDRESS",
        example="ray://HEAD:10001",
        default="local",
    )
    gpus_per_trial: float = key(
        0.0, "0.5: two trials share a GPU", scope="resources", metavar="N", ge=0, le=64
    )
    storage: str | None = key(
        None,
        "Optuna storage",
        scope="start",
        metavar="URL",
        example="sqlite:///study.db",
        default="a journal file in the run folder",
    )
    warm_start: str | None = key(
        None,
        "learn from an earlier run on the same data",
        scope="start",
        metavar="RUN",
        example="runs/earlier",
    )
    init_from: str | None = key(
        None,
        "begin trainings with the float weights of an earlier run's chosen model or a .keras file, where layers match",
        scope="start",
        metavar="RUN|FILE",
        example="runs/earlier",
    )
    start: str | None = key(
        None,
        "train a reference network first, where it fits: ds_cnn_kws, resnet8, mobilenet_v1_025 or fc_autoencoder",
        scope="start",
        metavar="NAME",
        example="resnet8",
    )
    out: str | None = key(
        None,
        "the run folder",
        scope="start",
        metavar="FOLDER",
        example="runs/first",
        default="a new one under runs/",
    )
    folds: int | None = key(
        None,
        "judge finalists on training and validation samples together, each left out of one of so many trainings",
        scope="resources",
        metavar="K",
        example=5,
        default="judged by the validation part alone",
        ge=3,
        le=10,
    )
    final_on: Literal["train", "all"] = key(
        "train",
        "what the exported network is trained on: train, or all to train it again on validation samples too",
        scope="output",
    )
    policy: Policy = key(
        "accuracy", "how the model is chosen: accuracy, balanced or smallest", scope="output"
    )
    name: str = key(
        "model",
        "prefix of emitted files and symbols",
        scope="output",
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
    )
    format: str = key("tflm", "layout of the bundle, as nas-export has them", scope="output")
    deliver: str | None = key(
        None,
        "commit the bundle to a branch of a git repository",
        scope="output",
        metavar="REPO[:PATH]",
        example="../firmware:models/kws",
    )
    branch: str | None = key(
        None,
        "branch for --deliver",
        scope="output",
        metavar="NAME",
        example="new-model",
        default="mcu-nas/<name>",
    )

    @property
    def wants_numbers(self) -> bool:
        return self.metric in get_args(NumberMetricName)

    @property
    def trains_on_validation(self) -> bool:
        return self.retrains or self.folds is not None

    @property
    def retrains(self) -> bool:
        """Whether the chosen network is trained again on training and validation samples."""
        return self.final_on == "all"

    def networks(self) -> int | None:
        """How many networks to train; None for as many as there is time for."""
        return _TRIALS if self.trials is None and self.timeout is None else self.trials

    def longest_steps(self) -> int:
        """Training steps that finalists may have."""
        if self.finalist_steps is not None:
            return self.finalist_steps
        return self.final_steps if self.timeout is None else _STRETCH * self.final_steps

    def rungs(self) -> tuple[int, ...]:
        """Training steps of each fidelity, ascending, about four times as many from one to the next."""
        ratio = self.final_steps / self.steps
        if ratio <= 1:
            return (self.final_steps,)
        count = max(1, round(math.log(ratio, 4)))
        return (*(round(self.steps * ratio ** (i / count)) for i in range(count)), self.final_steps)

    def boards(self) -> tuple[str, ...]:
        """The targets that the run serves, as the user named them."""
        if self.targets is None:
            return (self.target,)
        return tuple(name.strip() for name in self.targets.split(","))

    def on(self, board: str) -> RunConfig:
        """The configuration of one of the boards by itself."""
        return self.model_copy(update={"target": board, "targets": None})

    def with_seed(self) -> RunConfig:
        """This configuration with a seed, drawn if none was given."""
        if self.seed is not None:
            return self
        return self.model_copy(update={"seed": secrets.randbelow(2**31)})

    def shown(self) -> dict[str, Any]:
        """The values that reports may show: a password in the storage's URL is not among them."""
        return self._content() | {"storage": StorageUrl.parse(self.storage).shown() if self.storage else None}

    def kept(self) -> dict[str, Any]:
        """The values that a run folder keeps: a password in the storage's URL is not among them."""
        return self._content() | {"storage": StorageUrl.parse(self.storage).kept() if self.storage else None}

    def _content(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in keys()}

    def search_identity(self) -> dict[str, Any]:
        """The values that two runs must share to be one search: a resume may change the rest."""
        return {
            name: getattr(self, name)
            for name, field in keys().items()
            # Younger keys are left out where they are not given: runs from before there were such keys resume.
            if facts_of(field).scope == "search"
            and (name in _FIRST_KEYS or getattr(self, name) != field.default)
        }


def keys() -> dict[str, FieldInfo]:
    """All keys in the order in which people read them: options of single tasks at the end."""
    fields = RunConfig.model_fields
    return {name: fields[name] for name in sorted(fields, key=lambda name: name in TaskOptions.model_fields)}


def resumable() -> tuple[str, ...]:
    """The keys that a resumed run may change."""
    return tuple(name for name, field in keys().items() if facts_of(field).scope in ("resources", "output"))


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


def parse_time(text: str, flag: str) -> float:
    """Seconds of "90s", "30m", "8h", "2d" or a plain number.

    Raises:
        UserError: It is not a positive time.
    """
    factor = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:].lower(), 0)
    try:
        seconds = float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise UserError(f"{flag} is {shortened(text)!r}.", "Write a time like 90s, 30m or 8h.")
    return seconds


# What the JSON words of pydantic mean on a command line.
_BOUNDS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_RELATION = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
_KINDS = {
    "int_type": "Write a whole number.",
    "float_type": "Write a number.",
    "bool_type": "Write true or false.",
    "string_type": "Write text, in quotes.",
    "finite_number": "Write a finite number.",
}


def make_config(values: Mapping[str, Any], origin: Mapping[str, str]) -> RunConfig:
    """Checks values that come from outside.

    Args:
        values: Configuration by key; times may be text such as "8h".
        origin: Where each key was given, as the user would name it ("--trials", "job.toml, key trials").

    Raises:
        UserError: An unknown key or a value out of range, named as the user gave it.
    """
    values = dict(values)
    if isinstance(values.get("targets"), str):
        first = values["targets"].split(",")[0].strip()
        if values.get("target", first) != first:
            raise UserError(
                f"{origin.get('target', 'target')} and {origin.get('targets', 'targets')} are both given.",
                "Name all boards in the second.",
            )
        values["target"] = first
    for name, field in keys().items():
        if isinstance(values.get(name), str) and not values[name]:
            raise UserError(f"{origin.get(name, name)} is empty.", "Give it a value, or leave it out.")
        if facts_of(field).is_time and isinstance(values.get(name), str):
            values[name] = parse_time(values[name], origin.get(name, name))
    try:
        config = RunConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        where = origin.get(key, key)
        kind, given = str(first["type"]), shortened(repr(first["input"]))
        if kind == "extra_forbidden":
            raise UserError(
                f"{shortened(where)} is unknown.", did_you_mean(key, RunConfig.model_fields)
            ) from None
        if kind in _BOUNDS:
            bound = _BOUNDS[kind]
            raise UserError(
                f"{where} is {given}.", f"It must be {_RELATION[bound]} {first['ctx'][bound]}."
            ) from None
        if kind == "literal_error":
            raise UserError(
                f"{where} is {given}.",
                did_you_mean(
                    str(first["input"]),
                    [w.strip("'") for w in first["ctx"]["expected"].replace(" or ", ", ").split(", ")],
                ),
            ) from None
        if kind == "string_pattern_mismatch":
            raise UserError(
                f"{where} is {given}.", "Use at most 32 lower-case letters, digits and _, a letter first."
            ) from None
        raise UserError(f"{where} is {given}.", _KINDS.get(kind, f"{first['msg']}.")) from None
    if config.longest_steps() < config.final_steps:
        raise UserError(
            f"{origin.get('finalist_steps', 'finalist_steps')} is {config.finalist_steps}.",
            f"It must be at least --final-steps, {config.final_steps}.",
        )
    return config


def read_job_file(path: Path) -> dict[str, Any]:
    """The keys of a TOML job file.

    Raises:
        UserError: The file is missing, not TOML, or has tables.
    """
    if not path.exists():
        raise UserError(f"There is no job file {path}.", "Check the path after --config.")
    return read_toml(path, 'Write lines like trials = 100 or task = "digits".')[1]
