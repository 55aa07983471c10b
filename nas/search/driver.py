"""The one driver: proposes, screens, hands out, tells, until enough is trained or time is up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from nas.candidates import Screen, Screened
from nas.config import Policy
from nas.execute import Done, Executor
from nas.outcome import Evaluated, Failed, Rejected, Request
from nas.search.front import finalists, pareto_front
from nas.search.records import Rung, TrialRecord
from nas.search.study import Study

StoppedBy = Literal["trials", "timeout", "interrupt", "exhausted", "failures"]

_MOST_PROPOSALS = 300  # in a row without a new network that fits: then the space is taken as searched
_RANDOM_AFTER = 8  # of those in a row: ask at random, the sampler proposes what it knows
_MOST_FAILURES = 8  # in a row, none having succeeded: the cause is not the architecture
_POLL_SECONDS = 0.25


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
        trials: Networks to train at the search fidelity.
        startup: Trials before the sampler starts to model.
        steps: Training steps of a search trial.
        final_steps: Training steps of a final candidate.
        finalists: How many candidates to train in full.
        space: Name of the space, for the requests.
        seed: The run's seed.
        sparsity: Of magnitude pruning.
        policy: How the one will be chosen, which decides who is trained in full.
        search_deadline: `time.monotonic()` when the search must end; None for never.
        deadline: The same for the whole run.
    """

    trials: int
    startup: int
    steps: int
    final_steps: int
    finalists: int
    space: str
    seed: int
    sparsity: float
    policy: Policy = "accuracy"
    search_deadline: float | None = None
    deadline: float | None = None


@dataclass(slots=True)
class _Pending:
    trial: Any
    screened: Screened
    tries: int
    started: float


@dataclass(slots=True)
class Driver:
    """Runs one search.

    Attributes:
        plan: How much to do.
        screen: Judges candidates before training.
        study: The record of search trials.
        final: The record of full trainings.
        executor: Where evaluations run.
        save_model: Keeps the bytes of an evaluated model, by key and rung.
        listener: Who is told of progress.
        stop: Asked often; True ends the search with what there is.
    """

    plan: Plan
    screen: Screen
    study: Study
    final: Study
    executor: Executor
    save_model: Callable[[str, Rung, bytes], None]
    listener: Listener
    stop: Callable[[], bool]
    started: float = field(default_factory=time.monotonic)
    _known: dict[str, TrialRecord] = field(default_factory=dict)
    _trained: int = 0
    _unsent: int = 0  # proposals in a row that brought no new network that fits

    def search(self) -> StoppedBy:
        """Trains `plan.trials` distinct networks that fit, those of earlier runs included."""
        earlier = self.study.records()
        self.listener.stage("search", self.plan.trials)
        for record in earlier:
            self._remember(record)
            self.listener.trial(record)
        sent = (index for index, record in enumerate(reversed(earlier)) if record.seconds or record.worker)
        self._unsent = next(sent, len(earlier))
        pending: dict[int, _Pending] = {}
        reason: StoppedBy = "trials"
        exhausted = False
        failures = 0
        while True:
            if self.stop():
                reason = "interrupt"
                break
            late = _past(self.plan.search_deadline)
            if late:
                # What is under way may end, as long as time is left for the full trainings.
                reason = "timeout"
                if not pending or _past(self._grace()):
                    break
            while not exhausted and not late and self._room(len(pending)):
                proposal = self._propose({p.screened.key for p in pending.values()})
                if proposal is None:
                    exhausted = not self._should_pause()
                    break
                pending[proposal.trial.number] = proposal
                self.executor.submit(
                    self._request(proposal.trial.number, dict(proposal.trial.params), "search")
                )
            if not pending and not late:
                reason = "exhausted" if exhausted else reason
                break
            for done in self.executor.wait(_POLL_SECONDS):
                waiting = pending.pop(done.request.number)
                if self._retries(done, waiting):
                    pending[done.request.number] = waiting
                    continue
                record = self._record(done, waiting.screened, waiting.started, "search")
                self.study.tell(waiting.trial, record)
                self._remember(record)
                self.listener.trial(record)
                failures = failures + 1 if record.state == "failed" else 0
            if failures >= _MOST_FAILURES and not any(r.state == "evaluated" for r in self._known.values()):
                reason = "failures"
                break
        if pending:
            self.executor.abandon()
        return reason

    def _grace(self) -> float | None:
        """When trials that overran the search's time are given up: a third of the way to the end of all."""
        start, end = self.plan.search_deadline, self.plan.deadline
        return start if start is None or end is None else start + (end - start) / 3

    def train_finalists(self) -> None:
        """Trains the most accurate of the front in full, those that are not yet."""
        if self.stop() or _past(self.plan.deadline):
            return
        have = {record.key for record in self.final.records()}
        front = pareto_front(self.study.records())
        chosen = finalists(front, self.plan.finalists, self.plan.policy)
        todo = [record for record in chosen if record.key not in have]
        self.listener.stage("full training", len(todo))
        pending: dict[int, _Pending] = {}
        while (todo or pending) and not self.stop() and not _past(self.plan.deadline):
            while todo and len(pending) < self.executor.slots:
                record = todo.pop(0)
                trial = self.final.ask_for(record.params)
                screened = self.screen(trial)
                pending[trial.number] = _Pending(trial, screened, 0, time.monotonic() - self.started)
                self.executor.submit(self._request(trial.number, record.params, "full"))
            for done in self.executor.wait(_POLL_SECONDS):
                waiting = pending.pop(done.request.number)
                if self._retries(done, waiting):
                    pending[done.request.number] = waiting
                    continue
                ended = self._record(done, waiting.screened, waiting.started, "full")
                self.final.tell(waiting.trial, ended)
                self.listener.trial(ended)
        if pending:
            self.executor.abandon()

    def records(self) -> list[TrialRecord]:
        """Every ended trial of both rungs."""
        return self.study.records() + self.final.records()

    def _propose(self, in_flight: set[str]) -> _Pending | None:
        """The next new network that fits; None when many proposals brought none."""
        for attempt in range(_MOST_PROPOSALS):
            if attempt % 20 == 19 and self._should_pause():
                return None
            started = time.monotonic() - self.started
            stuck = self._unsent >= _RANDOM_AFTER
            trial = self.study.ask_random() if stuck else self.study.ask(self.plan.startup)
            screened = self.screen(trial)
            known = self._known.get(screened.key)
            if not screened.fits or known is not None or screened.key in in_flight:
                self._unsent += 1
                self._tell_unsent(trial, screened, known, started)
                continue
            self._unsent = 0
            return _Pending(trial, screened, 0, started)
        return None

    def _room(self, pending: int) -> bool:
        return pending < self.executor.slots and self._trained + pending < self.plan.trials

    def _should_pause(self) -> bool:
        return self.stop() or _past(self.plan.search_deadline)

    def _tell_unsent(self, trial: Any, screened: Screened, known: TrialRecord | None, started: float) -> None:
        """Ends a trial that needs no training: it does not fit, or its answer is known or on its way."""
        base = TrialRecord(
            number=trial.number,
            state="duplicate",
            rung="search",
            key=screened.key,
            params=dict(trial.params),
            started=started,
        )
        if not screened.fits:
            record = replace(
                base,
                state="rejected",
                costs=screened.costs,
                violations=screened.violations,
                reason=screened.refused,
            )
            self.listener.trial(record)
        elif known is not None and known.state == "evaluated":
            reason = f"same as trial {known.number}"
            record = replace(base, costs=known.costs, accuracy=known.accuracy, reason=reason)
        elif known is not None and known.state == "rejected":
            record = replace(base, state="rejected", costs=known.costs, violations=known.violations)
        else:
            record = replace(base, reason="same as a trial under way or failed")
        self.study.tell(trial, record)

    def _request(self, number: int, params: Mapping[str, Any], rung: Rung) -> Request:
        full = rung == "full"
        return Request(
            number=number,
            space=self.plan.space,
            params=dict(params),
            steps=self.plan.final_steps if full else self.plan.steps,
            full=full,
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

    def _record(self, done: Done, screened: Screened, started: float, rung: Rung) -> TrialRecord:
        base = TrialRecord(
            number=done.request.number,
            state="failed",
            rung=rung,
            key=screened.key,
            params=dict(done.request.params),
            started=started,
            worker=done.worker,
        )
        match done.outcome:
            case Evaluated() as ended if not math.isfinite(ended.accuracy.value):
                return replace(base, costs=ended.costs, reason="evaluate: the accuracy is not a number")
            case Evaluated() as ended:
                self.save_model(screened.key, rung, ended.tflite)
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

    def _remember(self, record: TrialRecord) -> None:
        if record.state == "duplicate" or record.key in self._known:
            return
        self._known[record.key] = record
        if record.state in ("evaluated", "failed"):
            self._trained += 1


def _past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
