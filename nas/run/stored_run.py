"""Runs as they lie on the disk, looked at and never changed: what each is, in what state, and what came out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cost_models.errors import UserError
from cost_models.reading import read_bounded
from nas.model.metrics import NUMBER_METRICS
from nas.model.policy import MetricName
from nas.model.result import RunSummary
from nas.model.words import printable
from nas.report.quantities import RESOURCES, resource_of
from nas.run.config import keys
from nas.run.file_lock import is_locked
from nas.run.folder import LARGEST_CONFIG_BYTES, LARGEST_RESULT_BYTES, SCHEMA, RunFolder

RunState = Literal[
    "finished", "time limit", "Ctrl-C", "failed", "running", "interrupted", "not begun", "damaged"
]

_LARGEST_JOURNAL_BYTES = 256 << 20
_ENDED: Mapping[str, RunState] = {"timeout": "time limit", "interrupt": "Ctrl-C", "failures": "failed"}
_RECORD = b'"user_attr":{"record":'  # in the line of the journal that ends a training
# What damaged values do to whoever writes them for people.
_DAMAGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class _Part(BaseModel):
    """A part of a file; what is not asked for is not even built."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Mark(_Part):
    """config.json."""

    version: int = Field(alias="schema")
    config: dict[str, Any]
    data_sha256: str
    started: str
    versions: dict[str, str] = {}


class _Trial(_Part):
    state: str


class _Accuracy(_Part):
    value: Annotated[float, Field(le=1, allow_inf_nan=False)]
    score: Annotated[float, Field(le=1, allow_inf_nan=False)] | None = None


class _Costs(_Part):
    sram_bytes: Annotated[int, Field(ge=0)] | None = None
    flash_bytes: Annotated[int, Field(ge=0)] | None = None


class _Chosen(_Part):
    test_accuracy: _Accuracy | None = None
    costs: _Costs = _Costs()


class _Task(_Part):
    metric: MetricName = "accuracy"


class _Glance(_Part):
    """The part of result.json that a list shows."""

    task: _Task = _Task()

    stopped_by: str = ""
    trials: list[_Trial]
    chosen: _Chosen | None

    @property
    def trainings(self) -> int:
        return sum(trial.state != "rejected" for trial in self.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """A run as a list shows it; what is not known is None or empty.

    Attributes:
        path: The folder.
        state: How it ended, or that it did not: an interrupted run goes on with --resume.
        problem: What is damaged, one sentence.
        started: UTC, ISO 8601.
        budget: The user's words; empty where the target's own limits hold.
        trainings: That ended, failed ones too.
        metric: By which the run was searched; accuracy before it has a result.
        test_score: Its value on test data, of the chosen model; at most 1.
        test_accuracy: Of the chosen model, between 0 and 1; None of numbers.
        sram_bytes: Tensor arena of the chosen model.
        flash_bytes: Model and code of the chosen model.
    """

    path: Path
    state: RunState
    problem: str = ""
    started: str = ""
    task: str = ""
    target: str = ""
    budget: str = ""
    trainings: int | None = None
    metric: MetricName = "accuracy"
    test_score: float | None = None
    test_accuracy: float | None = None
    sram_bytes: int | None = None
    flash_bytes: int | None = None

    @property
    def name(self) -> str:
        """The folder's name, to be printed."""
        return printable(self.path.name or str(self.path))

    @property
    def time(self) -> datetime | None:
        """When it started, with its time zone."""
        return start_time(self.started)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"path": str(self.path), "name": self.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run with all that its folder says of it.

    Attributes:
        entry: As in a list.
        config: The configuration that it was started with.
        versions: Of the packages that it was started with.
        data_sha256: Digest of its data.
        content: result.json without control characters; None before the run ended.
        result: The same with types.
    """

    entry: RunEntry
    config: dict[str, Any] = field(repr=False)
    versions: dict[str, str] = field(repr=False)
    data_sha256: str
    content: dict[str, Any] | None = field(repr=False)
    result: RunSummary | None = field(repr=False)

    @property
    def path(self) -> Path:
        return self.entry.path

    @property
    def folder(self) -> RunFolder:
        return RunFolder(path=self.path)

    @property
    def summary(self) -> RunSummary:
        """The result of a run that has one.

        Raises:
            UserError: There is none yet.
        """
        if self.result is None:
            raise UserError(
                f"{self.path} has no result yet.",
                f"Let nas-run end, or go on with it by --resume {self.path}.",
            )
        return self.result

    def changed(self) -> dict[str, tuple[Any, Any]]:
        """Configuration that is not the default: value and default by key, in the order of the reference."""
        defaults = {name: known.default for name, known in keys().items()}
        names = [*(name for name in defaults if name in self.config), *(self.config.keys() - defaults.keys())]
        return {
            name: (self.config[name], defaults.get(name))
            for name in names
            if name != "out" and self.config[name] != defaults.get(name)
        }


def list_runs(root: Path) -> list[RunEntry]:
    """The runs in a folder, by their start; damaged ones say so, and those without a start come last.

    Raises:
        UserError: There is no such folder, or it is a run itself.
    """
    try:
        children = sorted(root.iterdir())
    except FileNotFoundError:
        raise UserError(
            f"There is no folder {root}.", "Give the folder that holds run folders; nas-run makes runs/."
        ) from None
    except NotADirectoryError:
        raise UserError(f"{root} is a file.", "Give the folder that holds run folders.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{root} cannot be read ({reason}).", "Give a folder that can be read.") from None
    if _is_run(root):
        raise UserError(f"{root} is a run, not a folder of runs.", f"nas-runs show {root} shows it.")
    entries = [look_at(child) for child in children if _is_run(child)]
    return sorted(entries, key=lambda entry: (_seconds(entry.time), entry.path))


def _seconds(time: datetime | None) -> float:
    return math.inf if time is None else time.timestamp()


def start_time(text: str) -> datetime | None:
    """The start of a run; None where the text is not a time with its zone."""
    try:
        time = datetime.fromisoformat(text)
        return time if time.tzinfo and time.timestamp() >= 0 else None
    except (ValueError, OverflowError):
        return None


def _is_run(path: Path) -> bool:
    """Whether a folder is meant to be a run, damaged or not; other tools write files named config.json as well."""
    try:
        folder = RunFolder(path=path)
        begun = folder.begun or folder.journal.exists() or folder.result_file.exists()
        return path.is_dir() and (begun or (folder.config_file.exists() and folder.models.is_dir()))
    except OSError:  # a folder that may not be looked into is shown as one
        return True


def look_at(path: Path) -> RunEntry:
    """A run as a list shows it, damaged or not."""
    folder = RunFolder(path=path)
    try:
        mark = _read_mark(folder)
    except UserError as error:
        return RunEntry(path=path, state="damaged", problem=error.message)
    return _entry(folder, mark)


def _entry(folder: RunFolder, mark: _Mark) -> RunEntry:
    facts: dict[str, Any] = {
        "path": folder.path,
        "started": printable(mark.started),
        **{name: printable(str(mark.config.get(name) or "")) for name in ("task", "target", "budget")},
        **({"target": printable(str(mark.config["targets"]))} if mark.config.get("targets") else {}),
    }
    try:
        result = _read_glance(folder)
    except UserError as error:
        return RunEntry(state="damaged", problem=error.message, **facts)
    state, trainings = _state(folder, result)
    if result is not None and result.chosen is not None:
        chosen = result.chosen
        facts |= {"sram_bytes": chosen.costs.sram_bytes, "flash_bytes": chosen.costs.flash_bytes}
        facts["metric"] = metric = result.task.metric
        if (test := chosen.test_accuracy) is not None:
            facts["test_score"] = test.value if test.score is None else test.score
            facts["test_accuracy"] = None if metric in NUMBER_METRICS else test.value
    return RunEntry(state=state, trainings=trainings, **facts)


def _state(folder: RunFolder, result: _Glance | None) -> tuple[RunState, int | None]:
    """The state, and how many trainings have ended."""
    running = is_locked(folder.path / ".lock")
    if result is not None and not running and not _went_on(folder, result):
        return _ENDED.get(result.stopped_by, "finished"), result.trainings
    trainings = _ended_trainings(folder)
    if running:
        return "running", trainings
    return "interrupted" if folder.begun or folder.journal.exists() else "not begun", trainings


def _went_on(folder: RunFolder, result: _Glance) -> bool:
    """Whether a resumed run was cut short after its earlier result: its record knows more trainings."""
    try:
        if folder.journal.stat().st_mtime <= folder.result_file.stat().st_mtime:
            return False
    except OSError:
        return False
    return (_ended_trainings(folder) or 0) > result.trainings


def _ended_trainings(folder: RunFolder) -> int | None:
    """Trainings in the run's own record; None where it lies in a database or cannot be read."""
    try:
        lines = read_bounded(folder.journal, _LARGEST_JOURNAL_BYTES).splitlines()
        records = [json.loads(line)["user_attr"]["record"] for line in lines if _RECORD in line]
        return sum(bool(record["state"] != "rejected") for record in records)
    except (UserError, *_DAMAGE):
        return None


def open_stored_run(path: Path) -> StoredRun:
    """All that a run folder says of a run, ended or not.

    Raises:
        UserError: It is not a run, or is damaged.
    """
    if not is_there(path):
        raise UserError(f"There is no run folder {path}.", "nas-runs FOLDER lists the runs of a folder.")
    folder = RunFolder(path=path)
    if not _holds(folder, folder.config_file):
        raise UserError(f"{path} is not a run: it has no config.json.", "Give a folder that nas-run made.")
    mark = _read_mark(folder)
    entry = _entry(folder, mark)
    if entry.state == "damaged":
        raise UserError(entry.problem, f"nas-run --resume {path} writes the result again.")
    with damage_is_an_error(path):
        content = None
        if _holds(folder, folder.result_file):
            content = _cleaned(json.loads(read_bounded(folder.result_file, LARGEST_RESULT_BYTES)))
        return StoredRun(
            entry=entry,
            config=_cleaned(mark.config),
            versions=_cleaned(mark.versions),
            data_sha256=printable(mark.data_sha256),
            content=content,
            result=None if content is None else _checked(RunSummary.model_validate(content)),
        )


def _checked(summary: RunSummary) -> RunSummary:
    """The summary, if its limits and costs are what those who write them take for granted.

    Raises:
        ValueError, OverflowError: They are not.
    """
    for limit in summary.budget:
        resource_of(limit.resource)
    costs = [trial.costs or {} for trial in summary.trials]
    costs += [] if summary.chosen is None else [summary.chosen.costs]
    for resource, value in ((resource, one.get(resource.key)) for one in costs for resource in RESOURCES):
        if value is not None and (isinstance(value, str) or not 0 <= float(value) < math.inf):
            raise ValueError(f"no number of {resource.name}")
    numbers = {trial.number for trial in summary.evaluated()}
    if not numbers.issuperset(summary.front):
        raise ValueError("no model on the front")
    return summary


@contextmanager
def damage_is_an_error(path: Path) -> Iterator[None]:
    """Whatever nonsense in a run's files does to its reader becomes a sentence.

    Raises:
        UserError: The result cannot be read as one.
    """
    try:
        yield
    except _DAMAGE:
        raise UserError(
            f"{path}/result.json is damaged: its parts are not those of a result.",
            f"nas-run --resume {path} writes it again.",
        ) from None


def is_there(path: Path) -> bool:
    """Whether a path that someone typed leads to something."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, a null character, a folder that may not be looked into
        return False


def _holds(folder: RunFolder, file: Path) -> bool:
    """Whether the folder has that file.

    Raises:
        UserError: It may not be looked into.
    """
    try:
        return file.exists()
    except OSError as error:
        raise UserError(
            f"{folder.path} cannot be read ({error.strerror}).", "Check its permissions."
        ) from None


def _read_mark(folder: RunFolder) -> _Mark:
    if not _holds(folder, folder.config_file):
        raise UserError(f"{folder.path} has no config.json.", "Start a new run.")
    data = read_bounded(folder.config_file, LARGEST_CONFIG_BYTES)
    try:
        mark = _Mark.model_validate_json(data)
    except ValueError:  # pydantic's errors are ValueErrors
        raise UserError(
            f"{folder.config_file} cannot be read as the mark of a run.", "Start a new run."
        ) from None
    if mark.version != SCHEMA:
        raise UserError(f"{folder.path} was written by another version of nas-run.", "Start a new run.")
    return mark


def _read_glance(folder: RunFolder) -> _Glance | None:
    if not _holds(folder, folder.result_file):
        return None
    data = read_bounded(folder.result_file, LARGEST_RESULT_BYTES)
    try:
        return _Glance.model_validate_json(data)
    except ValueError:
        raise UserError(f"{folder.result_file} cannot be read as the result of a run.") from None


def _cleaned(value: Any) -> Any:
    """JSON values with printable text."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(name): _cleaned(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_cleaned(entry) for entry in value]
    return value
