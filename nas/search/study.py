"""The Optuna study of a run: asks a sampler, and is the record that a resume reads."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import Trial, TrialState

from cost_models.errors import UserError
from nas.lost import LostError
from nas.search.front import objectives
from nas.search.journal import RunJournal
from nas.search.records import Rung, TrialRecord, record_from_json
from nas.search.sampler import Memory, SteadySampler, derived_seed, quietly

_RECORD = "record"
_IDENTITY = "search"
_DIRECTIONS = [optuna.study.StudyDirection.MINIMIZE] * 4
_OBJECTIVES = ["int8 error", "sram_bytes", "flash_bytes", "cycles"]


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """The storage behind a URL, or the journal file.

    Raises:
        UserError: The storage cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if url is None:
        return RunJournal(journal)
    if "://" not in url:
        raise UserError(
            f"--storage {url} is not a URL.",
            "Write sqlite:///PATH or postgresql://USER@HOST/DATABASE, or leave it out.",
        )
    from sqlalchemy.exc import SQLAlchemyError

    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            url = f"postgresql+psycopg://{url.removeprefix(scheme)}"
    try:
        return optuna.storages.RDBStorage(url)
    except (SQLAlchemyError, ImportError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(
            f"The storage cannot be opened: {reason}.", "Check the URL, the server and its driver."
        ) from None


@contextmanager
def lost_storage() -> Iterator[None]:
    """Turns what a database that goes away raises into a sentence.

    Raises:
        LostError: The storage cannot be reached any more.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        reason = str(cause).strip().splitlines()[0][:200].rstrip(".")
        raise LostError(f"The storage cannot be reached any more: {reason}.") from error


class Study:
    """One study at one rung.

    Args:
        storage: Where it is kept.
        name: The study's name.
        identity: What makes it this search; a study of another search is refused.
        seed: The run's seed.
        rung: Which training the trials got.

    Raises:
        UserError: A study of that name belongs to another search.
    """

    def __init__(
        self, *, storage: BaseStorage, name: str, identity: Mapping[str, Any], seed: int, rung: Rung
    ) -> None:
        self._seed = seed
        self.rung: Rung = rung
        self._sync = storage.sync if isinstance(storage, RunJournal) else lambda: None
        self._study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=_DIRECTIONS,
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=seed),
        )
        mine = json.dumps(identity, sort_keys=True)
        theirs = self._study.user_attrs.get(_IDENTITY)
        if theirs is None:
            self._study.set_metric_names(_OBJECTIVES)
            self._study.set_user_attr(_IDENTITY, mine)
        elif theirs != mine:
            raise UserError(
                f"The storage already holds a study {name} of another search.",
                "Give another --out or --storage.",
            )
        self._open: list[int] = []
        self._memory = Memory()
        # Trials that a killed driver left open are asked again and count once: the sampler's seeds stay in step.
        self._asked = 0
        for trial in self._study.get_trials(deepcopy=False):
            if _RECORD in trial.user_attrs:
                self._asked += 1
                self._memory.add(trial, record_from_json(trial.user_attrs[_RECORD]))

    def ask(self, startup: int) -> Trial:
        """The next trial; its choices are drawn when the space asks for them.

        The sampler is made anew from the seed and the count of trials, so that what it proposes follows from the record
        alone, in a run that was interrupted as in one that was not.

        Args:
            startup: How many trials the sampler takes as given before it models them.
        """
        self._study.sampler = SteadySampler(derived_seed(self._seed, self._asked), startup, self._memory)
        self._asked += 1
        if self._open:
            # The same number, the same history, the same seed: what it had not chosen yet, it chooses alike.
            return Trial(self._study, self._open.pop(0))
        return self._study.ask()

    def ask_random(self) -> Trial:
        """A trial drawn at random, for when the sampler keeps proposing what is known."""
        return self.ask(1 << 62)

    def enqueue(self, params: Mapping[str, Any]) -> None:
        """Choices for one of the next trials; nothing where a trial of these choices exists."""
        self._study.enqueue_trial(dict(params), skip_if_exists=True)

    def ask_for(self, params: Mapping[str, Any]) -> Trial:
        """A trial of these choices, now."""
        self._study.sampler = optuna.samplers.RandomSampler(seed=self._seed)
        self._asked += 1
        self._study.enqueue_trial(dict(params))
        return self._study.ask()

    def tell(self, trial: Trial, record: TrialRecord) -> None:
        """Ends a trial. A rejected one is complete, with its excesses as constraints: a FAIL teaches nothing."""
        with quietly():
            trial.set_user_attr(_RECORD, record.to_json())
            self._close(trial, record)
        if record.state in ("evaluated", "failed"):
            self._sync()

    def _close(self, trial: Trial, record: TrialRecord) -> None:
        if record.costs is None or record.state == "failed":
            self._study.tell(trial, state=TrialState.FAIL)
            return
        for limit in ("sram", "flash", "latency", "energy", "cycles"):
            excess = [v.excess for v in record.violations if v.resource == limit]
            trial.set_constraint(limit, excess[0] if excess else 0.0)
        self._memory.add(self._study.tell(trial, list(objectives(record))), record)

    def records(self) -> list[TrialRecord]:
        """Every ended trial, by number."""
        return [
            record_from_json(trial.user_attrs[_RECORD])
            for trial in self._study.get_trials(deepcopy=False)
            if _RECORD in trial.user_attrs and trial.state.is_finished()
        ]

    @property
    def open(self) -> int:
        """How many trials of a killed driver wait to be asked again."""
        return len(self._open)

    def recover(self, *, reopen: bool = True) -> None:
        """Picks up what a killed driver left open.

        A trial whose record was written but not told is told now: no result is lost, none is made twice. One
        without a record comes back from the next `ask`, as if nothing had happened.

        Args:
            reopen: False drops open and enqueued trials instead.
        """
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._study.sampler = optuna.samplers.RandomSampler(seed=self._seed)
        for frozen in trials:
            if _RECORD in frozen.user_attrs:
                record = record_from_json(frozen.user_attrs[_RECORD])
                with quietly():
                    self._close(Trial(self._study, frozen._trial_id), record)
            elif reopen:
                self._open.append(frozen._trial_id)
            else:
                self._study.tell(frozen.number, state=TrialState.FAIL)
        while not reopen and self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self._study.tell(self._study.ask(), state=TrialState.FAIL)
