"""Runs side by side, as data: what `nas-runs compare` prints, and its page is made from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nas.model.policy import MetricName
from nas.model.result import MeasuredAccuracy

ChangeKind = Literal["configuration", "target", "budget", "data", "versions"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ComparedModel(_Part):
    """The model that a run chose."""

    number: int
    test_accuracy: MeasuredAccuracy | None
    costs: dict[str, Any]


class ComparedRun(_Part):
    """One of the runs.

    Attributes:
        letter: What the comparison calls it.
        path: Its folder.
        state: How it ended; this and what follows is as `nas-runs` lists it, see `nas.run.stored_run.RunEntry`.
        front: How many models are on its front.
        hypervolume: Of its front, as a share of the box between `best` and `reference` of the comparison; None where
            its front is empty, too large, or nothing is comparable.
    """

    letter: str
    path: str
    state: str
    problem: str
    started: str
    task: str
    target: str
    budget: str
    trainings: int | None
    metric: MetricName
    test_score: float | None
    test_accuracy: float | None
    sram_bytes: int | None
    flash_bytes: int | None
    name: str
    chosen: ComparedModel | None
    front: int
    hypervolume: float | None


class Change(_Part):
    """Something in which the runs differ; a value for each run, None where a run has none."""

    kind: ChangeKind
    name: str
    values: tuple[Any, ...]


class Overlap(_Part):
    """Two fronts over each other.

    Attributes:
        runs: Letters of both.
        dominated: How many models of each are dominated by a model of the other.
    """

    runs: tuple[str, str]
    dominated: tuple[int, int]


class Comparison(_Part):
    """Two or more runs compared: what they share, and where they differ.

    Attributes:
        metric: By which the fronts are compared; None where they are not.
        runs: In the order given.
        changes: In what they differ.
        objectives: In which the fronts are compared: the runs' metric on validation data, and keys of costs. Empty
            where the runs learned different data.
        notes: What is not comparable and why, a sentence each.
        overlaps: Each pair of fronts.
        reference: Of the hypervolume: the worst of all fronts by objective, and a tenth of the range beyond it.
        best: The best of all fronts by objective.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    metric: MetricName | None
    runs: tuple[ComparedRun, ...]
    changes: tuple[Change, ...]
    objectives: tuple[str, ...]
    notes: tuple[str, ...]
    overlaps: tuple[Overlap, ...]
    reference: dict[str, float]
    best: dict[str, float]

    @property
    def letters(self) -> tuple[str, ...]:
        """A letter for each run."""
        return tuple(run.letter for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """Plain values: `nas-runs compare --json`."""
        return self.model_dump(mode="json", by_alias=True)
