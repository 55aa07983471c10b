"""What is kept of each trial: one JSON value in Optuna's storage, read back by a resume and by the report."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cost_models.budget import Budget, Violation
from cost_models.costing import Costs
from nas.model.quantization import Quantization, quantization_from_json
from nas.model.regression import NumberError
from nas.model.result import model_key
from nas.model.trained import Accuracy
from nas.model.weights import Inherited, inherited_from_json

State = Literal["evaluated", "rejected", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial, ended.

    Attributes:
        number: Optuna's number within its study.
        full: Whether it was trained in full, not briefly.
        steps: Training steps that were asked for.
        cut_at: Steps after which the time limit ended the training; None where all were done.
        log: File in the run folder with the traceback of a failed trial.
        curve: Training loss, a mean for each of equal parts of the training; empty before curves were kept.
        model_sha256: Of the bytes that the training left; None before hashes were kept.
        digest: Name of the network, see `nas.strategy.screening.network_digest`.
        quantization: How it came to int8, for full trainings; None before the ladder was kept.
        costs: Of the bytes, on the run's board; of several on the first that has some.
        boards: Of a run for several boards the costs on each that has some, by its target's name.
        started: Seconds since the run started.
        seconds: Where the worker's time went, by stage.
        retrains: Number of the trial whose training this repeats on training and validation samples together. The
            accuracies are that trial's, as no sample is left to validate this one by. None for all others.
        init: What the network took of given weights before it was trained; None where it began at random.
        weights_sha256: Of the float weights that the training left; None where none are kept.
        folded: Of a finalist, the accuracy on training and validation samples that were each left out of one training
            of its network, by the folds that the run asks for; None where there is none.
        folds: Of the trial of these trainings, how many there are; 0 for all others.
        judges: Of such a trial, the number of the finalist's.
    """

    number: int
    state: State
    full: bool
    steps: int
    digest: str
    params: dict[str, Any]
    accuracy: Accuracy | None = None
    tflm_accuracy: Accuracy | None = None
    costs: Costs | None = None
    violations: tuple[Violation, ...] = ()
    reason: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    started: float = 0.0
    worker: str = ""
    cut_at: int | None = None
    model_sha256: str | None = None
    log: str = ""
    quantization: Quantization | None = None
    curve: tuple[float, ...] = ()
    boards: dict[str, Costs] = field(default_factory=dict)
    retrains: int | None = None
    init: Inherited | None = None
    weights_sha256: str | None = None
    folded: Accuracy | None = None
    folds: int = 0
    judges: int | None = None

    def on(self, board: str, budget: Budget) -> TrialRecord:
        """The same trial as a run for one of its boards alone would record it.

        Args:
            board: The target's name.
            budget: The limits there.
        """
        if not self.boards or self.state == "failed":
            return replace(self, costs=self.boards.get(board, self.costs), boards={})
        costs = self.boards.get(board)
        if costs is None:
            reason = f"cost: {board} has no costs for this network"
            return replace(self, state="failed", costs=None, violations=(), boards={}, reason=reason)
        broken = budget.violations(costs)
        state: State = "rejected" if broken else "evaluated"
        return replace(self, state=state, costs=costs, violations=broken, boards={})

    def to_json(self) -> dict[str, Any]:
        """Plain values for Optuna's storage."""
        return dataclasses.asdict(self)

    def summary(self) -> dict[str, Any]:
        """Plain values for result.json and the report."""
        content = self.to_json()
        content["rung"] = "full" if content.pop("full") else "search"
        for name, accuracy in (("accuracy", self.accuracy), ("tflm_accuracy", self.tflm_accuracy)):
            content[name] = None if accuracy is None else accuracy.value
        content["score"] = self.value if self.state == "evaluated" else None
        content["score_interval"] = self._score_interval()
        del content["folds"], content["judges"]
        content["folded"] = None if self.folded is None else _figures(self.folded)
        return content

    def _score_interval(self) -> tuple[float, float] | None:
        """The ends of the 95 % interval of `value`, by which policies choose among full trainings."""
        accuracy = self.tflm_accuracy or self.accuracy
        if self.state != "evaluated" or accuracy is None or accuracy.metric == "accuracy":
            return None
        return accuracy.objective_interval() if self.full or accuracy.interval else None

    @property
    def trained_steps(self) -> int:
        """Training steps that were done."""
        return self.steps if self.cut_at is None else self.cut_at

    @property
    def worked_seconds(self) -> float:
        """Seconds that it took, without waiting for its worker."""
        return sum(spent for stage, spent in self.seconds.items() if stage != "waiting")

    @property
    def model_key(self) -> str:
        """Name of the bytes that it left."""
        return model_key(self.digest, self.trained_steps, self.retrains, self.init)

    @property
    def value(self) -> float:
        """The metric for ranking: TFLM's own where it was measured."""
        accuracy = self.tflm_accuracy or self.accuracy
        return 0.0 if accuracy is None else accuracy.objective


def _figures(accuracy: Accuracy) -> dict[str, Any]:
    """An accuracy as plain values, with its interval."""
    low, high = accuracy.objective_interval()
    return {
        "engine": accuracy.engine,
        "correct": accuracy.correct,
        "total": accuracy.total,
        "value": accuracy.value,
        "score": accuracy.objective,
        "score_low": low,
        "score_high": high,
    }


def record_from_json(content: dict[str, Any]) -> TrialRecord:
    """The inverse of `TrialRecord.to_json`."""
    values = dict(content)
    if "key" in values:  # as earlier versions wrote it
        values |= {"digest": values.pop("key"), "full": values.pop("rung") == "full"}
    for name in ("accuracy", "tflm_accuracy", "folded"):
        if values.get(name) is not None:
            inner = dict(values[name])
            inner["confusion"] = tuple(tuple(row) for row in inner["confusion"])
            if inner.get("interval") is not None:
                inner["interval"] = tuple(inner["interval"])
            inner |= {
                "groups": None,
                "predictions": (),
            }  # of the chosen model alone, which is measured once more
            inner["numbers"] = tuple(NumberError(**one) for one in inner.get("numbers", ()))
            values[name] = Accuracy(**inner)
    if values["costs"] is not None:
        values["costs"] = _costs(values["costs"])
    if values.get("quantization") is not None:
        values["quantization"] = quantization_from_json(values["quantization"])
    values["init"] = inherited_from_json(values.get("init"))
    values["curve"] = tuple(values.get("curve", ()))
    values["boards"] = {board: _costs(costs) for board, costs in values.get("boards", {}).items()}
    values["violations"] = tuple(Violation(**v) for v in values["violations"])
    return TrialRecord(**values)


def _costs(content: dict[str, Any]) -> Costs:
    return Costs(**content | {"uncounted": tuple(content.get("uncounted", ()))})


def trainings(count: int) -> str:
    """The noun in its number."""
    return "training" if count == 1 else "trainings"
