"""The one driver: proposes, screens, hands out, tells, until enough is trained or time is up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from nas.config import Policy
from nas.execute import Done, Executor
from nas.outcome import Evaluated, Failed, Rejected, Request
from nas.search.proposer import ETA, Proposal, Proposer
from nas.search.records import TrialRecord
from nas.search.reserve import Reserve
from nas.search.study import Study

StoppedBy = Literal["trials", "timeout", "interrupt", "exhausted", "failures"]

_MOST_FAILURES = 8  # in a row, none having succeeded: the cause is not the architecture
_POLL_SECONDS = 0.25
_EXPORT_SECONDS = 15.0  # that a run takes after its last training, generously


class Listener(Protocol):
    """Who wants to know how the search goes."""

    def stage(self, text: str, total: int) -> None:
        """A stage begins that will end after `total` trials."""

    def trial(self, record: TrialRecord) -> None:
        """A trial ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much to do.

    Attributes:
        trials: Networks to train, most of them briefly.
        steps: Training steps of each rung, ascending; the last is the full training.
        finalists: How many of the best are trained in full at the end, where they are not yet.
        space: Name of the space, for the requests.
        seed: The run's seed.
        sparsity: Of magnitude pruning.
        policy: How the one will be chosen, which decides who is trained in full.
        deadline: `time.monotonic()` when all trainings must have ended; None for never.
        limit: How long the whole run may take, in seconds: a part of it is kept for the end.
    """

    trials: int
    steps: tuple[int, ...]
    finalists: int
    space: str
    seed: int
    sparsity: float
    policy: Policy = "accuracy"
    deadline: float | None = None
    limit: float | None = None


@dataclass(slots=True)
class _Pending:
    trial: Any
    proposal: Proposal
    tries: int
    started: float


@dataclass(slots=True)
class Driver:
    """Runs one search.

    Attributes:
        plan: How much to do.
        study: The record.
        proposer: Says what to train next.
        executor: Where evaluations run.
        save_model: Keeps the bytes of an evaluated model, by key and training steps.
        listener: Who is told of progress.
        stop: Asked often; True ends the search with what there is.
    """

    plan: Plan
    study: Study
    proposer: Proposer
    executor: Executor
    save_model: Callable[[str, int, bytes], None]
    listener: Listener
    stop: Callable[[], bool]
    started: float = field(default_factory=time.monotonic)
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _reserve: Reserve | None = None
    _late_at: float | None = None
    _failures: int = 0
    _evaluated: int = 0

    def search(self) -> StoppedBy:
        """Trains `plan.trials` networks that fit, those of earlier runs included, and the best of them longer."""
        earlier = self.study.records()
        self._late_at = None
        if self.plan.limit is not None:
            self._reserve = Reserve(
                proposer=self.proposer,
                finalists=self.plan.finalists,
                spread=self._spread,
                workers=self.executor.slots,
                limit=self.plan.limit,
                after=_EXPORT_SECONDS,
            )
        self.listener.stage("search", self._expected())
        for record in earlier:
            self._learn(record)
            self.listener.trial(record)
        for trial, params, steps in self.study.opened():
            self._submit(trial, self.proposer.replayed(params, self.plan.steps.index(steps)))
        reason: StoppedBy = "trials"
        while True:
            if self.stop():
                reason = "interrupt"
                break
            late = self._late()
            if late:
                # What is under way may end, as long as time is left for the full trainings.
                reason = "timeout"
                if not self._pending or _past(self._grace()):
                    break
            while not late and len(self._pending) < self.executor.slots:
                proposal = self._propose()
                if proposal is None:
                    break
                self._begin(proposal)
            if not self._pending and not late:
                reason = "trials" if self.proposer.begun >= self.plan.trials else "exhausted"
                break
            self._collect()
            if self._failures >= _MOST_FAILURES and not self._evaluated:
                reason = "failures"
                break
        self._abandon()
        return reason

    def _propose(self) -> Proposal | None:
        return self.proposer.propose(self.study.asked, more=self.proposer.begun < self.plan.trials)

    def _expected(self) -> int:
        """How many trainings make a search of so many networks."""
        return sum(self.plan.trials // ETA**rung for rung in range(len(self.plan.steps)))

    def _late(self) -> bool:
        """Whether what is left of the time is needed for the full trainings."""
        if self._late_at is None and self._reserve is not None and self.plan.deadline is not None:
            now = time.monotonic()
            if self._reserve.reached(self.plan.deadline - now):
                self._late_at = now
        return self._late_at is not None

    def _grace(self) -> float | None:
        """When trials that overran the search's time are given up: a third of the way to the end of all."""
        start, end = self._late_at, self.plan.deadline
        return start if start is None or end is None else start + (end - start) / 3

    @property
    def _spread(self) -> bool:
        return self.plan.policy != "accuracy"

    def train_finalists(self) -> None:
        """Trains the most promising networks in full, those that are not yet."""
        if self.stop() or _past(self.plan.deadline):
            return
        rung = len(self.plan.steps) - 1
        chosen = self.study.finalists(
            lambda: [one.params for one in self.proposer.finalists(self.plan.finalists, spread=self._spread)]
        )
        todo = [
            one for params in chosen if not self.proposer.has(one := self.proposer.replayed(params, rung))
        ]
        self.listener.stage("full training", len(todo))
        while (todo or self._pending) and not self.stop() and not _past(self.plan.deadline):
            while todo and len(self._pending) < self.executor.slots:
                self._begin(todo.pop(0))
            self._collect()
        self._abandon()

    def records(self) -> list[TrialRecord]:
        """Every ended trial."""
        return self.study.records()

    def _begin(self, proposal: Proposal) -> None:
        steps = self.plan.steps[proposal.rung]
        trial = self.study.ask(proposal.params, steps, self.proposer.screen.candidate)
        self._submit(trial, proposal)

    def _submit(self, trial: Any, proposal: Proposal) -> None:
        self.proposer.start(proposal)
        self._pending[trial.number] = _Pending(trial, proposal, 0, time.monotonic() - self.started)
        self.executor.submit(self._request(trial.number, proposal))

    def _collect(self) -> None:
        """Takes in what came back."""
        for done in self.executor.wait(_POLL_SECONDS):
            waiting = self._pending.pop(done.request.number)
            if self._retries(done, waiting):
                self._pending[done.request.number] = waiting
                continue
            record = self._record(done, waiting)
            self.study.tell(waiting.trial, record)
            self._learn(record)
            self.listener.trial(record)

    def _learn(self, record: TrialRecord) -> None:
        evaluated = record.state == "evaluated"
        self._failures = self._failures + 1 if record.state == "failed" else 0
        self._evaluated += evaluated
        if evaluated and self._reserve is not None:
            screened = self.proposer.replayed(record.params, 0).screened
            self._reserve.tell(screened, record.steps, sum(record.seconds.values()))
        self.proposer.tell(
            record.number,
            record.params,
            self.plan.steps.index(record.steps),
            1.0 - record.value if evaluated else None,
        )

    def _abandon(self) -> None:
        """Gives up what is under way; a resume begins it again."""
        if self._pending:
            self.executor.abandon()
        for waiting in self._pending.values():
            self.proposer.forget(waiting.proposal)
        self._pending.clear()

    def _request(self, number: int, proposal: Proposal) -> Request:
        return Request(
            number=number,
            space=self.plan.space,
            params=dict(proposal.params),
            steps=self.plan.steps[proposal.rung],
            full=proposal.rung == len(self.plan.steps) - 1,
            seed=self.plan.seed,
            sparsity=self.plan.sparsity,
        )

    def _retries(self, done: Done, waiting: _Pending) -> bool:
        """Asks once more where that may help."""
        outcome = done.outcome
        if not isinstance(outcome, Failed) or not outcome.retryable or waiting.tries >= 1 or self.stop():
            return False
        waiting.tries += 1
        self.executor.submit(done.request)
        return True

    def _record(self, done: Done, waiting: _Pending) -> TrialRecord:
        screened = waiting.proposal.screened
        base = TrialRecord(
            number=done.request.number,
            state="failed",
            rung="full" if done.request.full else "search",
            steps=done.request.steps,
            key=screened.key,
            params=dict(done.request.params),
            started=waiting.started,
            worker=done.worker,
        )
        match done.outcome:
            case Evaluated() as ended if not math.isfinite(ended.accuracy.value):
                return replace(base, costs=ended.costs, reason="evaluate: the accuracy is not a number")
            case Evaluated() as ended:
                self.save_model(screened.key, done.request.steps, ended.tflite)
                return replace(
                    base,
                    state="evaluated",
                    accuracy=ended.accuracy,
                    tflm_accuracy=ended.tflm_accuracy,
                    costs=ended.costs,
                    # What no stage accounts for: start-up of the worker, transport.
                    seconds={**ended.seconds, "waiting": max(0.0, done.waited - sum(ended.seconds.values()))},
                )
            case Rejected() as ended:
                return replace(base, state="rejected", costs=ended.costs, violations=ended.violations)
            case Failed() as ended:
                reason = f"{ended.stage}: {ended.reason}"
                return replace(base, state="failed", costs=screened.costs, reason=reason)


def _past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
