"""The one driver: proposes, screens, hands out, tells, until enough is trained or time is up."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from nas.execute import Done, Executor
from nas.model.evaluation import Evaluated, Failed, Rejected, Request
from nas.model.policy import Policy
from nas.model.records import TrialRecord, trainings
from nas.model.result import model_key
from nas.model.weights import FloatWeights, Inherited
from nas.strategy.engine import Proposal, SearchEngine, Times
from nas.strategy.gaussian_process import Array
from nas.strategy.screening import Screened
from nas.strategy.study import Study
from nas.strategy.time_limit import TimeLimit
from nas.strategy.time_reserve import TimeReserve
from nas.strategy.training_cost import expected_seconds

StoppedBy = Literal["trials", "timeout", "interrupt", "exhausted", "failures"]

_MOST_FAILURES = 8  # in a row, none having succeeded: the cause is not the architecture
_POLL_SECONDS = 0.25
_SEARCH_OVERTIME = 1 / 3  # of the time kept for the finalists, that trainings of the search may take
# A full training that cannot end is begun where it gets so many times further than the last one.
_WORTH_MORE = 1.5
_WHOLE = 0.8  # of the trainings in folds, for which there must be time
_WORTH_LONGER = 2.0  # times the steps of a training in full, for which finalists are trained for longer
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much to do.

    Attributes:
        trials: Networks to train, most of them briefly; None for as many as there is time for.
        steps: Training steps of each rung, ascending; the last is the full training.
        finalists: How many of the best are trained in full at the end, where they are not yet.
        space: Name of the space, for the requests.
        seed: The run's seed.
        sparsity: Of magnitude pruning.
        policy: How the one will be chosen, which decides who is trained in full.
        limit: Seconds that the run may take from its first worker on: a part of it is kept for the end.
        validation: Validation samples.
        test_share: Test samples for each of them.
        starts: Choices of networks to train before any that is proposed.
        finalist_steps: Training steps of the finalists, where a time limit leaves time for more than in full; None
            for in full.
        longest: Seconds that one training may take; None for as many as it takes.
        retrains: Whether `Driver.retrain` comes after the finalists, for which time is kept.
        folds: In how many folds `Driver.judge_in_folds` judges the finalists, for which time is kept; 0 for not at all.
    """

    trials: int | None
    steps: tuple[int, ...]
    finalists: int
    space: str
    seed: int
    sparsity: float
    policy: Policy = "accuracy"
    limit: float | None = None
    validation: int = 1000
    test_share: float = 1.0
    starts: tuple[dict[str, Any], ...] = ()
    finalist_steps: int | None = None
    longest: float | None = None
    retrains: bool = False
    folds: int = 0

    @property
    def stretch(self) -> float:
        """How many times as long as in full finalists may be trained."""
        return max(1.0, (self.finalist_steps or 0) / self.steps[-1])


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
    _reserve: TimeReserve | None = None
    _time: TimeLimit = field(default_factory=lambda: TimeLimit(seconds=None))
    _late_now: bool = False
    _announced: bool = False
    _finals: bool = False
    _failures: int = 0
    _evaluated: int = 0

    def search(self) -> StoppedBy:
        """Trains `plan.trials` networks that fit, those of earlier runs included, and the best of them longer."""
        earlier = self.study.records()
        self._late_now = False
        self._time = TimeLimit(
            seconds=self.plan.limit,
            validation=self.plan.validation,
            test_share=self.plan.test_share,
            retrains=self.plan.retrains,
        )
        self._start_clock()
        if self.plan.limit is not None:
            self._reserve = TimeReserve(
                engine=self.engine,
                finalists=self.plan.finalists,
                spread=self._spread,
                workers=self.executor.slots,
                limit=self.plan.limit,
                after=self._time.after,
                stretch=self.plan.stretch,
                folds=self.plan.folds,
            )
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
            late = self._late()
            if late:
                # What is under way was told to end in time, and most of the time for the full trainings is left.
                reason = "timeout"
                if not self._pending or self._time.over(self._kept()):
                    break
            while not late and len(self._pending) < self.executor.slots:
                proposal = self._propose()
                if proposal is None:
                    break
                if self._possible_steps(proposal, self._kept()) < self.plan.steps[proposal.rung]:
                    late = self._late_now = True
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
            if self._failures >= _MOST_FAILURES and not self._evaluated:
                reason = "failures"
                break
        self._abandon()
        return reason

    def _propose(self) -> Proposal | None:
        for params in self.plan.starts:
            if not self.engine.taken(params):
                return self.engine.replayed(params, 0)
        return self.engine.suggest(self.study.asked, more=self._more)

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

    def _late(self) -> bool:
        """Whether what is left of the time is needed for the full trainings."""
        left = self._time.left()
        if not self._late_now and self._reserve is not None and left is not None:
            self._late_now = self._reserve.reached(left + self._time.after)
        return self._late_now

    def _kept(self) -> float:
        """Seconds that trainings of the search leave to the full ones; before a training ended, none."""
        if self._reserve is None or not self._evaluated:
            return 0.0
        return max(0.0, self._reserve.seconds() - self._time.after) * (1 - _SEARCH_OVERTIME)

    def _announce(self) -> None:
        """Says what is being waited for, until the first training ends and speaks for itself."""
        self._announced = True
        if not self._pending or self._evaluated:
            return
        waited = [(one.proposal.screened, self._steps(one.proposal)) for one in self._pending.values()]
        seconds = min(float(expected_seconds([screened], steps)[0]) for screened, steps in waited)
        seconds = min(seconds, self.plan.limit or seconds)
        several = f"first of {len(waited)} trainings at once" if len(waited) > 1 else "first training"
        self.listener.say(
            f"starting workers; the {several} should end in about {_START_SECONDS + seconds:.0f} s{self._counted()}"
        )

    def _counted(self) -> str:
        limit = self.plan.limit
        return "" if limit is None else f", and the time limit of {limit:g} s counts from the first worker on"

    @property
    def _spread(self) -> bool:
        return self.plan.policy != "accuracy"

    def train_finalists(self) -> None:
        """Trains the most promising networks in full, those that are not yet."""
        if self.stop() or self._time.over():
            return
        self._finals = True
        chosen, steps = self.study.finalists(self._choose_finalists)
        ended = {
            (r.digest, r.steps)
            for r in self.study.records()
            if r.state != "rejected" and r.cut_at is None and r.retrains is None
        }
        replayed = list(map(self._replayed, chosen, steps))
        todo = [one for one in replayed if not self._has(one, ended) or self._lost(one)]
        self.listener.stage("full training", len(todo))
        later = self.plan.retrains + self._rounds_in_folds(len(chosen))

        def begin(proposal: Proposal, rounds: int) -> bool:
            if not self._worth_beginning(proposal):
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
        while (left or self._pending) and not self.stop() and not self._time.over():
            while left and len(self._pending) < self.executor.slots:
                following = left.pop(0)
                left_out += not begin(following, 1 + len(left) // self.executor.slots)
            if self._pending:
                self._collect()
        self._abandon()
        return left_out

    def _rounds_in_folds(self, networks: int) -> int:
        """Trainings one after another that it takes to judge so many networks in folds."""
        return self.plan.folds * math.ceil(networks / self.executor.slots)

    def judge_in_folds(self, chosen: Sequence[TrialRecord]) -> None:
        """Trains chosen networks again for as long, once without each fold of training and validation samples."""
        self._finals = True
        todo = [_first_of(record) for record in chosen if record.folded is None]
        if not todo or self.stop() or self._time.over():
            return
        self.listener.stage(f"training in {self.plan.folds} folds", len(todo))

        def begin(judged: TrialRecord, rounds: int) -> bool:
            proposal = self._replayed(judged.params, judged.trained_steps)
            if not self._has_time_for_folds(proposal, rounds):
                return False
            self._begin(proposal, rounds=rounds, judged=judged)
            return True

        if left_out := self._train_in_turn(todo, begin):
            self.listener.say(f"no time left to judge {left_out} more of the finalists in folds")

    def _has_time_for_folds(self, proposal: Proposal, rounds: int) -> bool:
        """Whether a network can be trained once without each fold in its share of the time that is left."""
        reserve, seconds, steps = self._reserve, self._time.training(), self._steps(proposal)
        times = None if reserve is None else reserve.typical_seconds([proposal.screened], steps)
        if seconds is None or not times:
            return True
        return _WHOLE * self.plan.folds * times[0] <= seconds / rounds

    def retrain(self, chosen: Sequence[TrialRecord]) -> None:
        """Trains chosen networks again for as long, on training and validation samples together."""
        self._finals, self._time.retrains = True, False
        todo = [
            _first_of(record)
            for record in chosen
            if record.retrains is None or self.model_lost(record.model_key)
        ]
        if not todo or self.stop() or self._time.over():
            return
        self.listener.stage("training on all samples", len(todo))

        def begin(first: TrialRecord, rounds: int) -> bool:
            self._begin(self._replayed(first.params, first.trained_steps), rounds=rounds, first=first)
            return True

        self._train_in_turn(todo, begin)

    def _choose_finalists(self) -> tuple[list[dict[str, Any]], list[int]]:
        """The most promising networks and the training steps of each: more than in full where there is time for that.

        As many as promise the least error of the best: the fewer, the longer each of them is trained. In full only
        those are trained that are not yet.
        """
        count, spread, full = self.plan.finalists, self._spread, self.plan.steps[-1]
        options = []
        for fewer in range(count, min(count, self.executor.slots) - 1, -1) if self.plan.stretch > 1 else ():
            times = self._times_as_long(fewer)
            worth = min(_WORTH_LONGER, self.plan.stretch)
            chosen = self.engine.finalists(fewer, spread=spread, trained=True, times=times, least=worth)
            if len(chosen) >= fewer or (chosen and fewer <= self.executor.slots):
                long = times([one.screened for one in chosen])
                options.append((self.engine.expected_best(chosen, times), chosen, long))
        if options:
            _, chosen, long = min(options, key=lambda option: option[0])
            return [one.params for one in chosen], [int(full * each) for each in long]
        chosen = self.engine.finalists(count, spread=spread)
        return [one.params for one in chosen], [full] * len(chosen)

    def _times_as_long(self, count: int) -> Times:
        """How many times as long as in full each of so many finalists can be trained in its share of the time left."""
        rounds = math.ceil(count / self.executor.slots) * (1 + self.plan.folds) + self.plan.retrains
        seconds = self._share_of_time(rounds)
        if self.plan.longest is not None:
            seconds = self.plan.longest if seconds is None else min(seconds, self.plan.longest)

        def times(networks: Sequence[Screened]) -> Array:
            # Trainings that turn out slower are cut to their share of the time: typical times are enough.
            full = self.plan.steps[-1]
            took = None if self._reserve is None else self._reserve.typical_seconds(networks, full)
            most = np.full(len(networks), self.plan.stretch)
            return most if took is None or seconds is None else np.minimum(most, seconds / np.array(took))

        return times

    def _share_of_time(self, rounds: int) -> float | None:
        """Seconds that each of so many trainings, one after another, may take."""
        seconds = self._time.training()
        return None if seconds is None else max(0.0, (seconds + self._time.tail) / rounds - self._time.tail)

    def _replayed(self, params: Mapping[str, Any], steps: int) -> Proposal:
        """A training of given choices for so many steps."""
        if steps in self.plan.steps:
            return self.engine.replayed(params, self.plan.steps.index(steps))
        return replace(self.engine.replayed(params, len(self.plan.steps) - 1), longer=steps)

    def _steps(self, proposal: Proposal) -> int:
        return proposal.longer or self.plan.steps[proposal.rung]

    def _has(self, proposal: Proposal, ended: Container[tuple[str, int]]) -> bool:
        """Whether a finalist's training ended already."""
        if proposal.longer is None:
            return self.engine.has(proposal)
        return (proposal.screened.digest, proposal.longer) in ended

    def _lost(self, proposal: Proposal) -> bool:
        """Whether a network was trained and its bytes are gone: it is trained again."""
        init = self._inherited(proposal)
        return self.model_lost(model_key(proposal.screened.digest, self._steps(proposal), init=init))

    def _inherited(self, proposal: Proposal) -> Inherited | None:
        """What a network takes of given weights before it is trained."""
        return None if self.init is None else self.init.taken_by(proposal.screened.candidate.wide)

    def _worth_beginning(self, proposal: Proposal) -> bool:
        """Whether a training gets well beyond the network's last one within the time, and counts as one in full.

        Learning rate and pruning go by the time where that is short, so that a training ends as it would in full.
        """
        full, trained = self.plan.steps[-1], self.engine.trained_steps(proposal)
        if proposal.longer is not None:
            least = _WORTH_MORE * max(trained, full)
        else:
            least = min(full, max([1, _WORTH_MORE * trained, *self.plan.steps[-2:-1]]))
        return self._possible_steps(proposal) >= least

    def _possible_steps(self, proposal: Proposal, keep: float = 0.0) -> float:
        """Training steps for which there is time, at the pace so far; before any was timed as many as are asked."""
        seconds, steps = self._time.training(keep), self._steps(proposal)
        took = None if self._reserve is None else self._reserve.surely_seconds(proposal.screened, steps)
        return steps if seconds is None or took is None else steps * seconds / took

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
        steps = self._steps(proposal)
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

    def _start_clock(self) -> None:
        if self.executor.up:
            self._time.start()

    def _collect(self) -> None:
        """Takes in what came back."""
        self._start_clock()
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
        self._time.tell(record)
        self._failures = self._failures + 1 if record.state == "failed" else 0
        self._evaluated += evaluated
        if record.retrains is not None:
            return  # it says nothing new of the network
        whole = self._replayed(record.params, record.steps)
        if evaluated and self._reserve is not None:
            self._reserve.after = self._time.after
            # The first trainings wait for their workers to start, which says nothing of the later ones.
            worked = sum(spent for stage, spent in record.seconds.items() if stage != "waiting")
            self._reserve.tell(whole.screened, record.trained_steps, worked)
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
            steps=self._steps(proposal),
            full=proposal.rung == len(self.plan.steps) - 1,
            seed=self.plan.seed,
            sparsity=self.plan.sparsity,
            train_seconds=self._train_seconds(proposal, rounds, shares=waiting.judged is not None),
            on_all=waiting.first is not None,
            init=None if init is None else init.source,
            folds=0 if waiting.judged is None else self.plan.folds,
        )

    def _train_seconds(self, proposal: Proposal, rounds: int, *, shares: bool) -> float | None:
        """Seconds that a training may take; finalists that are trained for longer, or in folds, share what is left."""
        full = self._finals or proposal.rung == len(self.plan.steps) - 1
        if shares or proposal.longer is not None:
            return self._share_of_time(rounds)
        seconds = self._time.training(0.0 if full else self._kept())
        return None if seconds is None else max(seconds, 0.0)

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
