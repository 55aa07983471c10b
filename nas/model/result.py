"""The result of a run as data: what result.json holds, typed.

It is what report, choices from a finished run, warm starts and comparisons read.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nas.model.policy import MetricName
from nas.model.weights import Inherited

SCHEMA = 1


def model_key(digest: str, steps: int, retrains: int | None = None, init: Inherited | None = None) -> str:
    """Name of the bytes that a training left.

    Args:
        digest: Name of the network.
        steps: Training steps that were done.
        retrains: See `TrialSummary`.
        init: See `TrialSummary`.
    """
    began = "" if init is None else f"-from-{init.source[:8]}"
    return f"{digest}-{steps}{began}" if retrains is None else f"{digest}-{steps}{began}-all"


class _Part(BaseModel):
    """A part of result.json; what younger versions add is kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class ViolationSummary(_Part):
    """A limit that a network breaks."""

    resource: str
    value: int | float
    limit: int | float


class TrialSummary(_Part):
    """One training.

    Attributes:
        number: Of the trial.
        state: How it ended.
        rung: "search" (a short training) or "full".
        steps: Training steps that were asked for.
        digest: Name of the network.
        params: The choices.
        accuracy: Of the int8 bytes on validation data, by LiteRT's kernels.
        tflm_accuracy: The same by TFLM's interpreter, for full trainings.
        score: The run's metric on validation data, by TFLM's interpreter where it was asked; None before there were
            other metrics than accuracy.
        score_interval: The ends of its 95 % interval, where the metric is not accuracy; of short trainings where it was
            known without further work.
        costs: SRAM, flash, cycles and the rest, by name; None where the trial failed.
        cut_at: Steps after which the time limit ended the training.
        model_sha256: Of the bytes that it left.
        reason: Why it failed.
        log: File in the run folder with the traceback.
        quantization: The rung of the ladder that a full training's int8 bytes are from, and what was tried; see
            `nas.model.quantization`.
        curve: Training loss, a mean for each of equal parts of the training.
        violations: The limits that it breaks.
        seconds: Where the worker's time went, by stage.
        started: Seconds since the run began.
        worker: Which one trained it.
        retrains: Number of the trial whose training it repeats on training and validation samples together, and whose
            validation results it states.
        init: What it took of the weights of `--init-from` before it was trained; None where it began at random.
        weights_sha256: Of its float weights in the folder's `weights`; None where none are kept.
        folded: Of a finalist that was judged in folds, the figures on samples that were each left out of one training.
    """

    number: int
    state: Literal["evaluated", "rejected", "failed"]
    rung: str = "search"
    steps: int
    digest: str
    params: dict[str, Any]
    accuracy: float | None = None
    tflm_accuracy: float | None = None
    score: float | None = None
    score_interval: tuple[float, float] | None = None
    costs: dict[str, Any] | None = None
    cut_at: int | None = None
    model_sha256: str | None = None
    reason: str | None = None
    log: str = ""
    quantization: dict[str, Any] | None = None
    curve: list[float] = []
    violations: list[ViolationSummary] = []
    seconds: dict[str, float] = {}
    started: float | None = None
    worker: str = ""
    retrains: int | None = None
    init: Inherited | None = None
    weights_sha256: str | None = None
    folded: dict[str, Any] | None = None

    @property
    def model_key(self) -> str:
        """Name of the bytes that it left."""
        return model_key(self.digest, self.trained_steps, self.retrains, self.init)

    @property
    def known_costs(self) -> dict[str, Any]:
        """Its costs; empty where the trial failed before they were known."""
        return self.costs or {}

    @property
    def full(self) -> bool:
        """Whether it was trained in full, not briefly."""
        return self.rung == "full"

    @property
    def trained_steps(self) -> int:
        """Training steps that were done: fewer than asked for where time was up."""
        return self.steps if self.cut_at is None else self.cut_at

    @property
    def measured(self) -> float:
        """The accuracy on validation data: TFLM's own where it was measured."""
        return (self.accuracy if self.tflm_accuracy is None else self.tflm_accuracy) or 0.0

    @property
    def value(self) -> float:
        """The run's metric on validation data: TFLM's own where it was measured."""
        return self.measured if self.score is None else self.score


class GroupSummary(_Part):
    """The metric of one group, see `nas.model.groups`; `numbers` as in `MeasuredAccuracy`."""

    name: str
    samples: int
    score: float
    low: float
    high: float
    numbers: list[dict[str, Any]] = []


class GroupsSummary(_Part):
    """The metric by group, the worst first; of many groups the worst and the best."""

    measured: int
    left_out: int
    groups: list[GroupSummary]


class MeasuredAccuracy(_Part):
    """Correct answers out of all, by an interpreter; test data come with a 95 % Wilson interval.

    `score` is the run's metric, with its own interval; `threshold` is that of anomalies, above which a score is one;
    `numbers` are the errors of each number that is predicted, in its unit, and then `value` is the score;
    `disturbed` is the half of a robust metric that disturbed samples have.
    """

    engine: str
    correct: int
    total: int
    value: float
    low: float | None = None
    high: float | None = None
    score: float | None = None
    score_low: float | None = None
    score_high: float | None = None
    threshold: int | None = None
    metric: MetricName | None = None
    numbers: list[dict[str, Any]] = []
    groups: GroupsSummary | None = None
    disturbed: float | None = None

    @property
    def objective(self) -> float:
        """The run's metric; of results from before there was a choice the accuracy."""
        return self.value if self.score is None else self.score

    @property
    def objective_interval(self) -> tuple[float | None, float | None]:
        """The ends of the 95 % interval of `objective`; None where they are not known."""
        return (self.low, self.high) if self.score is None else (self.score_low, self.score_high)


class ChosenSummary(_Part):
    """The chosen model: which, by what policy, how good, and what it costs.

    `robustness` is that of `nas.tasks.robustness`; None where it was not measured. `arena_bytes` is the arena that the
    model shares with a front end; None without one, where it is the `sram_bytes` of its costs. `predictions` are those
    of numbers on some test samples, see `nas.model.regression`. `optimism` is that of the validation figure, see
    `nas.model.optimism`; None where it is not known. `folded` is that of `nas.model.folded`, where it was judged so.
    """

    number: int
    policy: str = ""
    digest: str = ""
    test_accuracy: MeasuredAccuracy | None = None
    validation_accuracy: MeasuredAccuracy | None = None
    warnings: list[str] = []
    costs: dict[str, Any] = {}
    bundle: str | None = None
    robustness: dict[str, Any] | None = None
    confusion: list[list[int]] = []
    layers: list[dict[str, Any]] = []
    timeline: list[dict[str, Any]] = []
    arena_bytes: int | None = None
    npu: dict[str, Any] | None = None
    duty_cycle: dict[str, Any] | None = None
    front_end: str | None = None
    predictions: list[dict[str, Any]] = []
    optimism: dict[str, Any] | None = None
    folded: dict[str, Any] | None = None

    @property
    def tested(self) -> MeasuredAccuracy:
        """What was measured on test data, as every chosen model is."""
        assert self.test_accuracy is not None
        return self.test_accuracy


class FrontEndSummary(_Part):
    """What made the samples of recordings; see `nas.frontend.spec`."""

    kind: str
    settings: dict[str, Any]
    clip_samples: int


class TaskSummary(_Part):
    """The task: shape of a sample, classes, and the number of samples by part."""

    name: str = ""
    input_shape: list[int] = []
    class_names: list[str] = []
    targets: list[dict[str, Any]] = []
    samples: dict[str, int] = {}
    metric: MetricName = "accuracy"
    false_alarms: float | None = None
    frontend: FrontEndSummary | None = None
    front_ends: dict[str, FrontEndSummary] = {}
    source: str = ""
    licence: str = ""


class LimitSummary(_Part):
    """A limit of the budget."""

    resource: str
    limit: int | float
    note: str = ""


class TargetSummary(_Part):
    """The target; `basis` is what its predictions of cycles rest on."""

    name: str = ""
    title: str = ""
    core: str = ""
    kernels: str = ""
    clock_hz: int | None = None
    basis: str | None = None


class ProgressSummary(_Part):
    """How far a run is that is still under way; `total` is 0 where only the time says when it ends."""

    stage: str
    done: int
    total: int
    seconds_left: float | None = None
    at: str = ""


class BoardSummary(_Part):
    """One board of a run for several; `folder` within the run's has its whole result, report and bundle."""

    target: TargetSummary = TargetSummary()
    folder: str
    budget: list[LimitSummary] = []
    notes: list[str] = []
    front: list[int]
    chosen: ChosenSummary | None


class RunSummary(_Part):
    """The whole of result.json."""

    version: int = Field(default=SCHEMA, alias="schema")
    run: str = ""
    started: str = ""
    seconds: float = 0.0
    stopped_by: str = ""
    config: dict[str, Any] = {}
    versions: dict[str, str] = {}
    target: TargetSummary = TargetSummary()
    budget: list[LimitSummary] = []
    notes: list[str] = []
    task: TaskSummary = TaskSummary()
    data: dict[str, Any] = {}
    trials: list[TrialSummary]
    front: list[int]
    chosen: ChosenSummary | None
    boards: list[BoardSummary] = []
    time: dict[str, Any] = {}
    progress: ProgressSummary | None = None

    def evaluated(self) -> list[TrialSummary]:
        """The trials that left a model."""
        return [trial for trial in self.trials if trial.state == "evaluated"]
