"""What a run has time for: how long its trainings may take, and which networks it trains at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas.execute import Executor
from nas.model.records import TrialRecord
from nas.strategy.engine import Proposal, SearchEngine, Times
from nas.strategy.gaussian_process import Array
from nas.strategy.plan import Plan
from nas.strategy.screening import Screened
from nas.strategy.time_limit import TimeLimit
from nas.strategy.time_reserve import TimeReserve

_SEARCH_OVERTIME = 1 / 3  # of the time kept for the finalists, that trainings of the search may take
# A full training that cannot end is begun where it gets so many times further than the last one.
_WORTH_MORE = 1.5
_WORTH_SEARCHING = 0.1  # of a limit: with less to search for, the full trainings have it
_WHOLE = 0.8  # of the trainings in folds, for which there must be time
# Finalists are asked for so many times the steps that there seems to be time for: what turns out quicker uses all of
# its time, and the others are ended by it, with learning rate and pruning at their ends.
_AMPLE = 1.25
# Times the steps of a training in full for which finalists are trained for longer, and of which they are begun.
_WORTH_LONGER, _BEGUN_LONGER = 1.3, 1.15


@dataclass(slots=True, kw_only=True)
class TimePlan:
    """Decides by the plan, the time limit and the times of trainings so far. Without a limit there is time for all.

    Attributes:
        plan: How much to do.
        engine: Knows which networks promise most.
        executor: Where trainings run.
        limit: The time limit.
        reserve: What of it is kept for the end; None without a limit.
        late: Whether what is left of the time is needed for the full trainings.
        finals: Whether the search is over: nothing is kept for the end any more.
        told: Whether a training ended.
    """

    plan: Plan
    engine: SearchEngine
    executor: Executor
    limit: TimeLimit = field(init=False)
    reserve: TimeReserve | None = field(init=False, default=None)
    late: bool = False
    finals: bool = False
    told: bool = False

    def __post_init__(self) -> None:
        plan = self.plan
        self.limit = TimeLimit(
            seconds=plan.limit,
            validation=plan.validation,
            test_share=plan.test_share,
            measuring=plan.measuring,
            retrains=plan.retrains,
        )
        if plan.limit is not None:
            self.reserve = TimeReserve(
                engine=self.engine,
                finalists=plan.finalists,
                spread=plan.spread,
                workers=self.executor.slots,
                limit=plan.limit,
                after=self.limit.after,
                stretch=plan.stretch,
                folds=plan.folds,
            )

    def start(self) -> None:
        """Starts the clock with the first worker."""
        if self.executor.up:
            self.limit.start()

    def tell(self, record: TrialRecord, screened: Screened) -> None:
        """A training ended, of the network that was screened so."""
        self.limit.tell(record)
        if record.state != "evaluated":
            return
        self.told = True
        if record.retrains is None and self.reserve is not None:
            self.reserve.after = self.limit.after
            # The first trainings wait for their workers to start, which says nothing of the later ones.
            self.reserve.tell(screened, record.trained_steps, record.worked_seconds)
            self.engine.pace = self.reserve.typical_pace() or 1.0

    def is_late(self) -> bool:
        """Whether what is left of the time is needed for the full trainings."""
        left = self.limit.left()
        if not self.late and self.reserve is not None and left is not None:
            self.late = self.reserve.reached(left + self.limit.after)
        return self.late

    def kept(self) -> float:
        """Seconds that trainings of the search leave to the full ones; before a training ended, none."""
        if self.reserve is None or not self.told:
            return 0.0
        return max(0.0, self.reserve.seconds() - self.limit.after) * (1 - _SEARCH_OVERTIME)

    # -- one training

    def train_seconds(self, proposal: Proposal, rounds: int, *, shares: bool) -> float | None:
        """Seconds that a training may take; finalists that are trained for longer, or in folds, share what is left."""
        if shares or proposal.longer is not None:
            return self._share(rounds)
        full = self.finals or proposal.rung == len(self.plan.steps) - 1
        seconds = self.limit.training(0.0 if full else self.kept())
        return None if seconds is None else max(seconds, 0.0)

    def possible_steps(self, proposal: Proposal) -> float:
        """Training steps for which there is time, at the pace so far; before any was timed as many as are asked."""
        seconds, steps = self.limit.training(), self.plan.steps_of(proposal)
        took = None if self.reserve is None else self.reserve.surely_seconds(proposal.screened, steps)
        return steps if seconds is None or took is None else steps * seconds / took

    def fits(self, network: Screened, rung: int) -> bool:
        """Whether a training of the search almost surely ends before the time that is kept for the full ones."""
        seconds = self.limit.training(self.kept())
        took = None if self.reserve is None else self.reserve.surely_seconds(network, self.plan.steps[rung])
        return seconds is None or took is None or took <= seconds

    def goes_on(self) -> bool:
        """Whether there is so much time to search that a training for which there is too little does not end it."""
        seconds = self.limit.training(self.kept())
        return seconds is None or seconds > _WORTH_SEARCHING * (self.limit.seconds or 0.0)

    def worth_beginning(self, proposal: Proposal) -> bool:
        """Whether a training gets well beyond the network's last one within the time, and counts as one in full.

        Learning rate and pruning go by the time where that is short, so that a training ends as it would in full.
        """
        full, trained = self.plan.steps[-1], self.engine.trained_steps(proposal)
        if proposal.longer is not None:
            times = float(self._times_in(self.limit.training())([proposal.screened])[0])
            return times * full >= min(_BEGUN_LONGER * max(trained, full), proposal.longer)
        return self.possible_steps(proposal) >= min(
            full, max([1, _WORTH_MORE * trained, *self.plan.steps[-2:-1]])
        )

    def has_time_for_folds(self, proposal: Proposal, rounds: int) -> bool:
        """Whether a network can be trained once without each fold in its share of the time that is left."""
        reserve, seconds, steps = self.reserve, self.limit.training(), self.plan.steps_of(proposal)
        times = None if reserve is None else reserve.typical_seconds([proposal.screened], steps)
        if seconds is None or not times:
            return True
        return _WHOLE * self.plan.folds * times[0] <= seconds / rounds

    def _share(self, rounds: int) -> float | None:
        """Seconds that each of so many trainings, one after another, may take."""
        seconds = self.limit.training()
        return None if seconds is None else max(0.0, (seconds + self.limit.tail) / rounds - self.limit.tail)

    # -- the trainings at the end

    def rounds_in_folds(self, networks: int) -> int:
        """Trainings one after another that it takes to judge so many networks in folds."""
        return self.plan.folds * math.ceil(networks / self.executor.slots)

    def finalists(self) -> tuple[list[dict[str, Any]], list[int]]:
        """The most promising networks and the training steps of each: more than in full where there is time for that.

        As many as promise the least error of the best: the fewer, the longer each of them is trained. In full only
        those are trained that are not yet, and so where longer ones, for want of time the small alone, promise no
        better network than there is.
        """
        plan, slots, full = self.plan, self.executor.slots, self.plan.steps[-1]
        options = []
        for count in range(plan.finalists, min(plan.finalists, slots) - 1, -1) if plan.stretch > 1 else ():
            times = self._times_as_long(count)
            worth = min(_WORTH_LONGER, plan.stretch)
            chosen = self.engine.finalists(count, spread=plan.spread, trained=True, times=times, least=worth)
            if len(chosen) >= count or (chosen and count <= slots):
                long = times([one.screened for one in chosen])
                options.append((self.engine.expected_best(chosen, times), chosen, long))
        if options:
            promise, chosen, long = min(options, key=lambda option: option[0])
            if promise < self.engine.least_error():
                ample = long if plan.limit is None else np.minimum(_AMPLE * long, plan.stretch)
                return [one.params for one in chosen], [int(full * each) for each in ample]
        chosen = self.engine.finalists(plan.finalists, spread=plan.spread)
        return [one.params for one in chosen], [full] * len(chosen)

    def _times_as_long(self, count: int) -> Times:
        """How many times as long as in full each of so many finalists can be trained in its share of the time left."""
        plan = self.plan
        return self._times_in(
            self._share(math.ceil(count / self.executor.slots) + self.rounds_in_folds(count) + plan.retrains)
        )

    def _times_in(self, seconds: float | None) -> Times:
        """How many times as long as in full networks can be trained in so many seconds; None for no limit."""
        plan, full = self.plan, self.plan.steps[-1]
        if plan.longest is not None:
            seconds = plan.longest if seconds is None else min(seconds, plan.longest)

        def times(networks: Sequence[Screened]) -> Array:
            # Trainings that turn out slower are cut to their share of the time: typical times are enough.
            took = None if self.reserve is None else self.reserve.typical_seconds(networks, full)
            most = np.full(len(networks), plan.stretch)
            return most if took is None or seconds is None else np.minimum(most, seconds / np.array(took))

        return times
