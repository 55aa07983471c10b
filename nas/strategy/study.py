"""The Optuna study of a run: the record that a resume reads."""

from __future__ import annotations

import json
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from cost_models.command_line import require_extra
from cost_models.errors import UserError
from nas.model.errors import BackendLostError
from nas.model.records import TrialRecord, record_from_json
from nas.model.storage_url import PASSWORD_VARIABLE, StorageUrl
from nas.model.words import first_line
from nas.strategy.dashboard import ModelArtifacts, readable_attributes, readable_costs
from nas.strategy.distributions import DistributionRecorder
from nas.strategy.journal import RunJournal
from nas.strategy.objectives import board_objectives, objective_names
from nas.strategy.pareto import all_objectives
from nas.strategy.screening import Screened
from search_spaces.choices import Choices
from search_spaces.users_code import users_fault

_RECORD = "record"
_IDENTITY = "search"
_STEPS = "steps"
_NETWORK = "network"
_HOME = "run_folder"
_FINALISTS = "finalists"
_RETRAINS = "retrains"
_JUDGES = "judges"
_WHOLE = 0.8  # of the steps, for which a training that the time limit ended judges a finalist


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """The storage behind a URL, or the journal file.

    Raises:
        UserError: The storage cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if url is None:
        with damaged_record(str(journal)):
            return RunJournal(journal)
    address = StorageUrl.parse(url)
    if not address.scheme:
        raise UserError(
            f"--storage {url} is not a URL.",
            "Write sqlite:///PATH or postgresql://USER@HOST/DATABASE, or leave it out.",
        )
    from sqlalchemy.exc import SQLAlchemyError

    if address.scheme in ("postgres", "postgresql"):
        require_extra("postgresql", f"--storage {address.scheme}://")
        address = replace(address, scheme="postgresql+psycopg")
    try:
        return optuna.storages.RDBStorage(address.complete())
    except (SQLAlchemyError, ImportError, OSError, ValueError) as error:
        reason = first_line(error, address.scrub)
        raise UserError(
            f"The storage {address.shown()} cannot be opened: {reason}.",
            "Check the URL, the server and its driver."
            f" A password that was not kept may come from the environment variable {PASSWORD_VARIABLE}.",
        ) from None


@contextmanager
def lost_storage(url: str | None = None) -> Iterator[None]:
    """Turns what a database that goes away raises into a sentence.

    Args:
        url: Of the storage, whose password must not be shown.

    Raises:
        BackendLostError: The storage cannot be reached any more.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        reason = first_line(cause, StorageUrl.parse(url or "").scrub)
        raise BackendLostError(f"The storage cannot be reached any more: {reason}.") from error


def find_study(storage: BaseStorage, *, started: str, name: str | None, fallback: str) -> str:
    """The name of a run's study, wherever its folder lies now.

    Args:
        storage: Where it is kept.
        started: When the run began, which every study says of its search.
        name: As the run's configuration has it; None in runs that kept none.
        fallback: For a study that has not been made yet.
    """
    if name is not None:
        return name
    for study in storage.get_all_studies():
        try:
            identity = json.loads(study.user_attrs.get(_IDENTITY, "null"))
        except ValueError:
            continue
        if isinstance(identity, dict) and identity.get("started") == started:
            return study.study_name
    return fallback


@contextmanager
def damaged_record(place: str) -> Iterator[None]:
    """Turns what a broken or newer record raises while it is read into a sentence.

    Raises:
        UserError: The record cannot be read.
    """
    try:
        yield
    except (KeyError, ValueError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        raise UserError(
            f"The record of the run in {place} cannot be read ({type(error).__name__}).",
            "It is damaged or was written by another version; start a new run.",
        ) from error


class Study:
    """The record of one search. Every training is a trial of it, short ones and full ones alike.

    Args:
        storage: Where it is kept.
        name: The study's name.
        identity: What makes it this search; a study of another search is refused.
        artifacts: Folder of Optuna's artifact store, for the models of full trainings; None keeps none.
        boards: Names of the targets that the search serves.
        folds: In how many folds finalists are judged; 0 for none.

    Raises:
        UserError: A study of that name belongs to another search.
    """

    def __init__(
        self,
        *,
        storage: BaseStorage,
        name: str,
        identity: Mapping[str, Any],
        artifacts: Path | None = None,
        boards: Sequence[str] = ("",),
        folds: int = 0,
    ) -> None:
        self._boards, self._folds = boards, folds
        names = objective_names(boards)
        self._sync = storage.sync if isinstance(storage, RunJournal) else lambda: None
        self._batch = storage.batch if isinstance(storage, RunJournal) else nullcontext
        self._artifacts = None if artifacts is None else ModelArtifacts(artifacts)
        self._study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=[optuna.study.StudyDirection.MINIMIZE] * len(names),
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=0),  # see `use`
        )
        self._storage, self._id = storage, storage.get_study_id_from_name(name)
        mine = json.dumps(identity, sort_keys=True)
        theirs = self._study.user_attrs.get(_IDENTITY)
        if theirs is None:
            self._study.set_metric_names(names)
            self._study.set_user_attr(_IDENTITY, mine)
        elif theirs != mine:
            raise UserError(
                f"The storage already holds a study {name} of another search.",
                "Give another --out or --storage.",
            )
        self._open: list[FrozenTrial] = []
        self._recover()
        self.asked = len(self._study.get_trials(deepcopy=False))

    def claim(self, home: Path) -> None:
        """Notes which run folder the study belongs to: two folders must not record into one study of a database.

        Raises:
            UserError: The folder is a copy, and the run's own folder still exists.
        """
        place = f"{socket.gethostname()}:{home.resolve()}"
        theirs = str(self._study.user_attrs.get(_HOME, place))
        host, _, path = theirs.partition(":")
        if theirs != place and host == socket.gethostname() and Path(path, "config.json").is_file():
            raise UserError(
                f"{home} is a copy of {path}, and both would record into one study of the database.",
                f"Go on with --resume {path}, or learn from it in a new run: --warm-start {home}.",
            )
        if self._study.user_attrs.get(_HOME) != place:
            self._study.set_user_attr(_HOME, place)

    def ask(
        self,
        params: Mapping[str, Any],
        steps: int,
        space: Callable[[Choices], object],
        screened: Screened | None = None,
        retrains: int | None = None,
        judges: int | None = None,
    ) -> Trial:
        """A new trial of these choices at this fidelity, written at once.

        Args:
            params: The choices.
            steps: Training steps.
            space: Asks for the choices, so that the record knows them by their ranges.
            screened: Their network, whose name and costs the trial shows.
            retrains: The trial that it repeats on all samples; such a one is not opened again.
            judges: The trial whose network it judges in folds; likewise.
        """
        answers = DistributionRecorder(params)
        space(answers)
        shown: dict[str, Any] = {_STEPS: steps}
        if screened is not None:
            shown[_NETWORK] = screened.digest
            if screened.costs is not None:
                shown |= readable_costs(screened.costs)
        if retrains is not None:
            shown[_RETRAINS] = retrains
        if judges is not None:
            shown[_JUDGES] = judges
        template = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=answers.params,
            distributions=answers.distributions,
            user_attrs=shown,
        )
        self.asked += 1
        return Trial(self._study, self._storage.create_new_trial(self._id, template))

    def use(self, sampler: BaseSampler) -> None:
        """Lets a sampler propose in `draw`. Trials of `ask` have their choices given."""
        self._study.sampler = sampler

    def draw(self, distributions: dict[str, BaseDistribution], name: str) -> Trial:
        """A new trial whose choices the study's sampler proposes; `begin` or `refuse` follows.

        Args:
            distributions: Of the search space.
            name: Of the sampler, for messages.

        Raises:
            UserError: The sampler fails.
        """
        with quietly():
            try:
                trial = self._study.ask(fixed_distributions=distributions)
            except (optuna.exceptions.StorageInternalError, OSError):
                raise
            except (Exception, SystemExit) as error:
                raise UserError(
                    f"The sampler {name} fails: {users_fault(error, name)}.",
                    "What was trained is kept; leave --sampler out in a new run, or correct the sampler.",
                ) from error
        self.asked += 1
        return trial

    def begin(self, trial: Trial, steps: int, network: str) -> Trial:
        """Notes that the network of a drawn trial is trained."""
        trial.set_user_attr(_NETWORK, network)
        trial.set_user_attr(_STEPS, steps)
        return trial

    def refuse(self, trial: Trial, screened: Screened, error: float | None) -> None:
        """Ends a drawn trial without a training: its network does not fit, or is known.

        Args:
            trial: The trial.
            screened: Its network.
            error: Its validation error, where it was trained before.
        """
        with quietly():
            if screened.costs is None or (screened.fits and error is None):
                self._study.tell(trial, state=TrialState.FAIL)
                return
            for violation in screened.violations:
                trial.set_constraint(violation.resource, violation.excess)
            costs = (value for board in screened.boards for value in board_objectives(board.costs))
            self._study.tell(trial, [1.0 if error is None else error, *costs])

    def opened(self) -> list[tuple[Trial, dict[str, Any], int]]:
        """Trials that a killed driver left open, once: their choices and training steps."""
        studies = [
            (Trial(self._study, one._trial_id), dict(one.params), one.user_attrs[_STEPS])
            for one in self._open
        ]
        self._open = []
        return studies

    def finalists(
        self, choose: Callable[[], tuple[list[dict[str, Any]], list[int]]]
    ) -> tuple[list[dict[str, Any]], list[int]]:
        """Choices and training steps of the final candidates: as recorded where their training had begun, else chosen.

        The first full trainings change what looks promising; a run that is cut short there goes on with what it chose.
        """
        saved = self._study.user_attrs.get(_FINALISTS)
        if saved is not None:
            since = [r.params for r in self.records() if r.number >= saved["asked"] and r.retrains is None]
            # Runs from before finalists had steps of their own choose again: there the two come to the same.
            if "steps" in saved and all(params in saved["params"] for params in since):
                steps = saved["steps"]  # of all alike in runs from before each had its own
                return list(saved["params"]), steps if isinstance(steps, list) else [steps] * len(
                    saved["params"]
                )
        chosen, steps = choose()
        self._study.set_user_attr(_FINALISTS, {"asked": self.asked, "params": chosen, "steps": steps})
        return chosen, steps

    def tell(self, trial: Trial, record: TrialRecord, model: Path | None = None) -> None:
        """Ends a trial, in the storage and on the disk.

        Args:
            trial: The trial.
            record: Its result.
            model: The file of a full training, which becomes the trial's artifact.
        """
        with quietly(), self._batch():
            known = trial.user_attrs
            for name, value in readable_attributes(record).items():
                if known.get(name) != value:
                    trial.set_user_attr(name, value)
            if model is not None and self._artifacts is not None:
                self._artifacts.attach(trial, model)
            trial.set_user_attr(_RECORD, record.to_json())
            self._close(trial, record)
        self._sync()

    def _close(self, trial: Trial, record: TrialRecord) -> None:
        """A rejected trial is complete, with its excesses as constraints: a FAIL would teach a sampler nothing."""
        if record.costs is None or record.state == "failed":
            self._study.tell(trial, state=TrialState.FAIL)
            return
        for violation in record.violations:
            trial.set_constraint(violation.resource, violation.excess)
        self._study.tell(trial, all_objectives(record, self._boards))

    def records(self) -> list[TrialRecord]:
        """Every ended trial, by number; those that judge finalists in folds are part of the records of these."""
        ended = [
            record_from_json(trial.user_attrs[_RECORD])
            for trial in self._study.get_trials(deepcopy=False)
            if _RECORD in trial.user_attrs and trial.state.is_finished()
        ]
        folded = {
            record.judges: record.accuracy
            for record in ended
            if record.folds == self._folds > 0
            and record.state == "evaluated"
            and record.trained_steps >= _WHOLE * record.steps
        }
        return [
            replace(record, folded=folded.get(record.number if record.retrains is None else record.retrains))
            for record in ended
            if record.judges is None
        ]

    def _recover(self) -> None:
        """Picks up what a killed driver left open.

        A trial whose record was written but not told is told now: no result is lost, none is made twice. One
        without a record is opened again, with its number and its choices.
        """
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if _RECORD in frozen.user_attrs:
                record = record_from_json(frozen.user_attrs[_RECORD])
                with quietly():
                    self._close(Trial(self._study, frozen._trial_id), record)
            elif _STEPS in frozen.user_attrs and not {_RETRAINS, _JUDGES} & frozen.user_attrs.keys():
                self._open.append(frozen)
            else:
                self._study.tell(
                    frozen.number, state=TrialState.FAIL
                )  # drawn and never begun, or to be chosen again


@contextmanager
def quietly() -> Iterator[None]:
    """Without Optuna's warnings of what is experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
