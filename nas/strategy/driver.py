"""The one driver: proposes, screens, hands out, tells, until enough is trained or time is up."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from nas.execute import Done, Executor
from nas.model.evaluation import Evaluated, Failed, Rejected, Request
from nas.model.records import TrialRecord, trainings
from nas.model.result import model_key
from nas.model.weights import FloatWeights, Inherited
from nas.strategy.engine import Proposal, SearchEngine
from nas.strategy.plan import Plan
from nas.strategy.study import Study
from nas.strategy.time_plan import TimePlan
from nas.strategy.training_cost import expected_seconds

StoppedBy = Literal["trials", "timeout", "interrupt", "exhausted", "failures"]

_MOST_FAILURES = 8  # in a row, none having succeeded: the cause is not the architecture
_POLL_SECONDS = 0.25
_MOSTLY = (
    0.7  # of its steps, which make a finalist's training an ended one: more are asked for than have time
)
_START_SECONDS = 12.0  # of workers, for the first estimate


_Todo = TypeVar("_Todo", Proposal, TrialRecord)


class Listener(Protocol):
    """Who wants to know how the search goes."""

    def stage(self, text: str, total: int) -> None:
        """A stage begins that will end after about `total` trials; 0 where only the time says when."""

    def trial(self, record: TrialRecord) -> None:
        """A trial ended."""

    def say(self, text: str) -> None:
        """A sentence that stays."""


@dataclass(slots=True)
class _Pending:
    trial: Any
    proposal: Proposal
    tries: int
    started: float
    model: Path | None = None
    first: TrialRecord | None = None  # whose training this repeats on all samples
    judged: TrialRecord | None = None  # whose network is trained in folds

    @property
    def searches(self) -> bool:
        """Whether it tells the search something of a network."""
        return self.first is None and self.judged is None


@dataclass(slots=True)
class Driver:
    """Runs one search.

    Attributes:
        plan: How much to do.
        study: The record.
        engine: Suggests what to train next.
        executor: Where evaluations run.
        save_model: Keeps the bytes of an evaluated model, by `TrialRecord.model_key`; returns their file, if any.
        listener: Who is told of progress.
        stop: Asked often; True ends the search with what there is.
        save_log: Keeps the traceback of a failed trial, by number; returns the file's name.
        model_lost: Whether the bytes of a recorded training are gone, by `TrialRecord.model_key`.
        save_weights: Keeps the float weights of a full training, by `TrialRecord.model_key`.
        init: Weights that networks begin with as far as their layers match; None to begin at random.
    """

    plan: Plan
    study: Study
    engine: SearchEngine
    executor: Executor
    save_model: Callable[[str, bytes], Path | None]
    listener: Listener
    stop: Callable[[], bool]
    save_log: Callable[[int, str], str] = lambda number, trace: ""
    model_lost: Callable[[str], bool] = lambda key: False
    save_weights: Callable[[str, bytes], None] = lambda key, content: None
    init: FloatWeights | None = None
    started: float = field(default_factory=time.monotonic)
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _time: TimePlan = field(init=False)
    _announced: bool = False
    _failures: int = 0

    def __post_init__(self) -> None:
        self._time = self._new_time()

    def _new_time(self) -> TimePlan:
        return TimePlan(plan=self.plan, engine=self.engine, executor=self.executor)

    def search(self) -> StoppedBy:
        """Trains `plan.trials` networks that fit, those of earlier runs included, and the best of them longer."""
        earlier = self.study.records()
        self._time = self._new_time()
        self._time.start()
        self.listener.stage("search", self._expected())
        for record in earlier:
            self._learn(record)
            self.listener.trial(record)
        for trial, params, steps in self.study.opened():
            self._submit(trial, self._replayed(params, steps))
        reason: StoppedBy = "trials"
        while True:
            if self.stop():
                reason = "interrupt"
                break
            late = self._time.is_late()
            if late:
                # What is under way was told to end in time, and most of the time for the full trainings is left.
                reason = "timeout"
                if not self._pending or self._time.limit.over(self._time.kept()):
                    break
            while not late and len(self._pending) < self.executor.slots:
                proposal = self._propose()
                if proposal is None:
                    break
                if not self._time.fits(proposal.screened, proposal.rung):
                    proposal = self._propose_quicker()
                    if proposal is None:
                        late = self._time.late = True
                        break
                self._begin(proposal)
            if late and not self._pending:
                continue  # which ends the search
            if not self._pending:
                reason = "exhausted" if self._more else "trials"
                break
            if not self._announced:
                self._announce()
            self._collect()
            if self._failures >= _MOST_FAILURES and not self._time.told:
                reason = "failures"
                break
        self._abandon()
        return reason

    def _propose(self) -> Proposal | None:
        for params in self.plan.starts:
            if not self.engine.taken(params):
                return self.engine.replayed(params, 0)
        return self.engine.suggest(self.study.asked, more=self._more)

    def _propose_quicker(self) -> Proposal | None:
        """In place of a training for which there is no time one that has it; None where that is not worth it."""
        if not self._time.goes_on():
            return None
        return self.engine.suggest(self.study.asked, more=self._more, fits=self._time.fits)

    @property
    def _more(self) -> bool:
        """Whether another network is to be begun."""
        return self.plan.trials is None or self.engine.begun < self.plan.trials

    def _expected(self) -> int:
        """How many trainings make a search of so many networks; 0 where that is not said."""
        if self.plan.trials is None:
            return 0
        factor = self.engine.settings.reduction_factor
        return sum(self.plan.trials // factor**rung for rung in range(len(self.plan.steps)))

    def _announce(self) -> None:
        """Says what is being waited for, until the first training ends and speaks for itself."""
        self._announced = True
        if not self._pending or self._time.told:
            return
        waited = [(one.proposal.screened, self.plan.steps_of(one.proposal)) for one in self._pending.values()]
        seconds = min(float(expected_seconds([screened], steps)[0]) for screened, steps in waited)
        seconds = min(seconds, self.plan.limit or seconds)
        several = f"first of {len(waited)} trainings at once" if len(waited) > 1 else "first training"
        self.listener.say(
            f"starting workers; the {several} should end in about {_START_SECONDS + seconds:.0f} s{self._counted()}"
        )

    def _counted(self) -> str:
        limit = self.plan.limit
        return "" if limit is None else f", and the time limit of {limit:g} s counts from the first worker on"

    def train_finalists(self) -> None:
        """Trains the most promising networks in full, those that are not yet."""
        if self.stop() or self._time.limit.over():
            return
        self._time.finals = True
        chosen, steps = self.study.finalists(self._time.finalists)
        ended = {
            (r.digest, r.steps)
            for r in self.study.records()
            if r.state != "rejected" and r.trained_steps >= _MOSTLY * r.steps and r.retrains is None
        }
        replayed = list(map(self._replayed, chosen, steps))
        todo = [one for one in replayed if not self._has(one, ended) or self._lost(one)]
        self.listener.stage("full training", len(todo))
        later = self.plan.retrains + self._time.rounds_in_folds(len(chosen))

        def begin(proposal: Proposal, rounds: int) -> bool:
            if not self._time.worth_beginning(proposal):
                return False
            self._begin(proposal, rounds=rounds + later)
            return True

        if left_out := self._train_in_turn(todo, begin):
            self.listener.say(f"no time left for {left_out} more full {trainings(left_out)}")

    def _train_in_turn(self, todo: Sequence[_Todo], begin: Callable[[_Todo, int], bool]) -> int:
        """Trains one after the other, as many at a time as there are workers.

        Args:
            todo: What is to be trained, in this order.
            begin: Begins one, given how many rounds of trainings the time left is for; False where it is not worth it.

        Returns:
            How many were left out so.
        """
        left, left_out = list(todo), 0
        while (left or self._pending) and not self.stop() and not self._time.limit.over():
            while left and len(self._pending) < self.executor.slots:
                following = left.pop(0)
                left_out += not begin(following, 1 + len(left) // self.executor.slots)
            if self._pending:
                self._collect()
        self._abandon()
        return left_out

    def judge_in_folds(self, chosen: Sequence[TrialRecord]) -> None:
        """Trains chosen networks again for as long, once without each fold of training and validation samples."""
        self._time.finals = True
        todo = [_first_of(record) for record in chosen if record.folded is None]
        if not todo or self.stop() or self._time.limit.over():
            return
        self.listener.stage(f"training in {self.plan.folds} folds", len(todo))

        def begin(judged: TrialRecord, rounds: int) -> bool:
            proposal = self._replayed(judged.params, judged.trained_steps)
            if not self._time.has_time_for_folds(proposal, rounds):
                return False
            self._begin(proposal, rounds=rounds, judged=judged)
            return True

        if left_out := self._train_in_turn(todo, begin):
            self.listener.say(f"no time left to judge {left_out} more of the finalists in folds")

    def retrain(self, chosen: Sequence[TrialRecord]) -> None:
        """Trains chosen networks again for as long, on training and validation samples together."""
        self._time.finals, self._time.limit.retrains = True, False
        todo = [
            _first_of(record)
            for record in chosen
            if record.retrains is None or self.model_lost(record.model_key)
        ]
        if not todo or self.stop() or self._time.limit.over():
            return
        self.listener.stage("training on all samples", len(todo))

        def begin(first: TrialRecord, rounds: int) -> bool:
            self._begin(self._replayed(first.params, first.trained_steps), rounds=rounds, first=first)
            return True

        self._train_in_turn(todo, begin)

    def _replayed(self, params: Mapping[str, Any], steps: int) -> Proposal:
        """A training of given choices for so many steps."""
        if steps in self.plan.steps:
            return self.engine.replayed(params, self.plan.steps.index(steps))
        return replace(self.engine.replayed(params, len(self.plan.steps) - 1), longer=steps)

    def _has(self, proposal: Proposal, ended: Container[tuple[str, int]]) -> bool:
        """Whether a finalist's training ended already."""
        if proposal.longer is None:
            return self.engine.has(proposal)
        return (proposal.screened.digest, proposal.longer) in ended

    def _lost(self, proposal: Proposal) -> bool:
        """Whether a network was trained and its bytes are gone: it is trained again."""
        init = self._inherited(proposal)
        return self.model_lost(model_key(proposal.screened.digest, self.plan.steps_of(proposal), init=init))

    def _inherited(self, proposal: Proposal) -> Inherited | None:
        """What a network takes of given weights before it is trained."""
        return None if self.init is None else self.init.taken_by(proposal.screened.candidate.wide)

    def records(self) -> list[TrialRecord]:
        """Every ended trial."""
        return self.study.records()

    def _begin(
        self,
        proposal: Proposal,
        rounds: int = 1,
        first: TrialRecord | None = None,
        judged: TrialRecord | None = None,
    ) -> None:
        steps = self.plan.steps_of(proposal)
        if proposal.trial is None:
            trial = self.study.ask(
                proposal.params,
                steps,
                self.engine.screen.candidate,
                proposal.screened,
                retrains=None if first is None else first.number,
                judges=None if judged is None else judged.number,
            )
        else:
            trial = self.study.begin(proposal.trial, steps, proposal.screened.digest)
        self._submit(trial, proposal, rounds, first, judged)

    def _submit(
        self,
        trial: Any,
        proposal: Proposal,
        rounds: int = 1,
        first: TrialRecord | None = None,
        judged: TrialRecord | None = None,
    ) -> None:
        began = time.monotonic() - self.started
        waiting = _Pending(trial, proposal, 0, began, first=first, judged=judged)
        if waiting.searches:
            self.engine.start(proposal)
        self._pending[trial.number] = waiting
        self.executor.submit(self._request(waiting, rounds))

    def _collect(self) -> None:
        """Takes in what came back."""
        self._time.start()
        for done in self.executor.wait(_POLL_SECONDS):
            waiting = self._pending.pop(done.request.number)
            if self._retries(done, waiting):
                self._pending[done.request.number] = waiting
                continue
            record = self._record(done, waiting)
            self.study.tell(waiting.trial, record, waiting.model if record.full else None)
            if waiting.judged is None:
                self._learn(record)
            self.listener.trial(record)

    def _learn(self, record: TrialRecord) -> None:
        evaluated = record.state == "evaluated"
        whole = self._replayed(record.params, record.steps)
        self._time.tell(record, whole.screened)
        self._failures = self._failures + 1 if record.state == "failed" else 0
        if record.retrains is not None:
            return  # it says nothing new of the network
        rung = self._rung(record)
        if rung is None:
            self.engine.forget(whole)
        else:
            self.engine.update(record.number, record.params, rung, 1.0 - record.value if evaluated else None)

    def _rung(self, record: TrialRecord) -> int | None:
        """The fidelity that a training counts for: one of other steps counts for the longest that it covers, if new."""
        if record.cut_at is None and record.steps in self.plan.steps:
            return self.plan.steps.index(record.steps)
        covered = [rung for rung, steps in enumerate(self.plan.steps) if steps <= record.trained_steps]
        if not covered or self.engine.has(self.engine.replayed(record.params, covered[-1])):
            return None
        return covered[-1]

    def _abandon(self) -> None:
        """Gives up what is under way; a resume begins it again."""
        if self._pending:
            self.executor.abandon()
        for waiting in self._pending.values():
            if waiting.searches:
                self.engine.forget(waiting.proposal)
        self._pending.clear()

    def _request(self, waiting: _Pending, rounds: int) -> Request:
        proposal = waiting.proposal
        init = self._inherited(proposal)
        return Request(
            number=waiting.trial.number,
            space=self.plan.space,
            params=dict(proposal.params),
            steps=self.plan.steps_of(proposal),
            full=proposal.rung == len(self.plan.steps) - 1,
            seed=self.plan.seed,
            sparsity=self.plan.sparsity,
            train_seconds=self._time.train_seconds(proposal, rounds, shares=waiting.judged is not None),
            on_all=waiting.first is not None,
            init=None if init is None else init.source,
            folds=0 if waiting.judged is None else self.plan.folds,
        )

    def _retries(self, done: Done, waiting: _Pending) -> bool:
        """Asks once more where that may help."""
        evaluation = done.evaluation
        if (
            not isinstance(evaluation, Failed)
            or not evaluation.retryable
            or waiting.tries >= 1
            or self.stop()
        ):
            return False
        waiting.tries += 1
        self.executor.submit(done.request)
        return True

    def _record(self, done: Done, waiting: _Pending) -> TrialRecord:
        screened = waiting.proposal.screened
        base = TrialRecord(
            number=done.request.number,
            state="failed",
            full=done.request.full,
            steps=done.request.steps,
            digest=screened.digest,
            params=dict(done.request.params),
            started=waiting.started,
            worker=done.worker,
            retrains=None if waiting.first is None else waiting.first.number,
            init=self._inherited(waiting.proposal),
            folds=done.request.folds,
            judges=None if waiting.judged is None else waiting.judged.number,
        )
        match done.evaluation:
            case Evaluated() as ended if not math.isfinite(ended.accuracy.objective):
                return replace(
                    base,
                    costs=ended.costs,
                    boards=ended.boards,
                    reason="evaluate: the accuracy is not a number",
                )
            case Evaluated() as ended:
                steps = done.request.steps if ended.cut_at is None else ended.cut_at
                keeps = waiting.judged is None  # nothing of its folds will be exported
                if keeps:
                    key = model_key(screened.digest, steps, base.retrains, base.init)
                    waiting.model = self.save_model(key, ended.tflite)
                    if ended.weights is not None:
                        self.save_weights(key, ended.weights)
                covers = len(self.plan.steps) < 2 or steps >= self.plan.steps[-2]
                judged = waiting.first or ended
                return replace(
                    base,
                    state="evaluated",
                    full=done.request.full and covers,
                    cut_at=ended.cut_at,
                    model_sha256=hashlib.sha256(ended.tflite).hexdigest() if keeps else None,
                    weights_sha256=hashlib.sha256(ended.weights).hexdigest()
                    if keeps and ended.weights is not None
                    else None,
                    accuracy=judged.accuracy,
                    tflm_accuracy=judged.tflm_accuracy,
                    curve=ended.curve,
                    costs=ended.costs,
                    quantization=ended.quantization,
                    boards=ended.boards,
                    # What no stage accounts for: start-up of the worker, transport.
                    seconds={**ended.seconds, "waiting": max(0.0, done.waited - sum(ended.seconds.values()))},
                )
            case Rejected() as ended:
                return replace(
                    base,
                    state="rejected",
                    costs=ended.costs,
                    boards=ended.boards,
                    violations=ended.violations,
                )
            case Failed() as ended:
                log = self.save_log(done.request.number, ended.trace) if ended.trace else ""
                reason = f"{ended.stage}: {ended.reason}"
                return replace(base, state="failed", costs=screened.costs, reason=reason, log=log)


def _first_of(record: TrialRecord) -> TrialRecord:
    """The record of the training that one on all samples repeats; any other itself."""
    return record if record.retrains is None else replace(record, number=record.retrains)
