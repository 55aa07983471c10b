"""One run from configuration to verified bundle: a library that prints nothing and knows no exit codes."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost_models.errors import UserError
from nas.model.errors import BackendLostError
from nas.model.records import TrialRecord
from nas.model.storage_url import StorageUrl
from nas.run.config import RunConfig, make_config, resumable
from nas.run.finalize import finalize, summary_of
from nas.run.folder import (
    RunFolder,
    check_out,
    create_run_folder,
    open_run_folder,
    relative_paths_told,
    save_config,
    saved_config,
    write_atomically,
)
from nas.run.init_from import InitLook, keep, kept, look_at, read_source
from nas.run.listeners import Listeners, RunListener
from nas.run.result import RunResult
from nas.run.setup import Job, prepare
from nas.run.signals import GracefulStop
from nas.run.trust import refuse_resume
from nas.run.warm_start import earlier_trainings, load, refuse_other_init, save
from nas.strategy.screening import Survey, survey_boards
from nas.tasks.accuracy import judged_samples
from nas.tasks.loading.progress import told
from search_spaces.choices import Choices

_LONGEST_SHARE = 0.5  # of the time after which a trial is given up, that a finalist is meant to take
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO}


class NothingFitsError(UserError):
    """No network of the space keeps the limits on the target."""


class StoppedError(Exception):
    """A signal ended the run before its search began; nothing is left behind.

    Args:
        signal: Its number.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run would do: all names have become objects, and the space was drawn from.

    Attributes:
        job: The run's objects.
        surveys: How much of the space fits each board.
    """

    job: Job
    surveys: tuple[Survey, ...]

    def check(self) -> None:
        """Refuses to begin what cannot end well.

        Raises:
            NothingFitsError: No network of the space keeps the limits of one of the boards.
        """
        for board, survey in zip(self.job.boards, self.surveys, strict=True):
            self._check(survey, f" {board.name}" if len(self.surveys) > 1 else "")

    def _check(self, survey: Survey, board: str) -> None:
        if survey.feasible:
            return
        if survey.closest.refused is not None:
            raise NothingFitsError(f"Nothing fits{board}: {survey.closest.refused}")
        worst = survey.closest.worst
        assert worst is not None
        raise NothingFitsError(
            f"Nothing fits{board}: of {survey.drawn} networks and a descent from the best of them the closest misses"
            f" by {worst}.",
            f"Raise the {worst.resource} limit, or take another --space or --target."
            if not board
            else f"Raise the {worst.resource} limit, take another --space, or leave{board} out of --targets.",
        )

    def feasible(self) -> tuple[dict[str, Any], ...]:
        """Choices of networks that fit a board, those of all boards."""
        return tuple(params for found in self.surveys for params in found.feasible)

    def init(self) -> InitLook | None:
        """What networks that fit take of given weights; None where none are given.

        Raises:
            UserError: Not one of them takes any.
        """
        path, weights, feasible = self.job.config.init_from, self.job.init, self.feasible()
        if path is None or weights is None or not feasible:
            return None
        return look_at(path, weights, [self.job.screen(Choices(params)) for params in feasible])


def plan(config: RunConfig) -> RunPlan:
    """What a run would do, and how much of the space fits; trains nothing, writes nothing.

    Raises:
        UserError: A name, limit or data set that cannot be used.
    """
    check_out(config.out)
    return _plan(_prepare(config.with_seed()))


def start(config: RunConfig, listener: RunListener, *, verbose: bool = False) -> RunResult:
    """Runs a new search to its end: choice, test, export, verification, report.

    Args:
        config: The run.
        listener: Is told how it goes.
        verbose: Whether it is told the tracebacks of failed trials too.

    Raises:
        NothingFitsError: No network of the space keeps the limits.
        StoppedError: A signal came before the search began.
        UserError: Something in the configuration, the data, the disk or the cluster.
    """
    with told(listener.reading):
        job = _prepare(config.with_seed())
    folder = create_run_folder(config.out, config.task)
    try:
        digest = job.dataset.digest()
        if config.warm_start is not None:
            metric = job.dataset.info.metric
            known = earlier_trainings(config.warm_start, config=config, data_digest=digest, metric=metric)
            refuse_other_init(config.warm_start, _init_digest(job))
            save(folder, known)
        if job.init is not None:
            keep(folder, job.init)
        save_config(folder, job.config, digest, _init_digest(job))
        return _search(job, folder, listener, verbose=verbose)
    finally:
        folder.discard_unless_begun()  # so that the corrected call can take the same name


def resume(
    path: str,
    values: Mapping[str, Any],
    origin: Mapping[str, str],
    listener: RunListener,
    *,
    verbose: bool = False,
    trust_space: bool = False,
) -> RunResult:
    """Goes on with an earlier run; flags may change how long and where, not what is searched.

    Args:
        path: The run folder.
        values: What was given, by key.
        origin: Where each key was given.
        listener: Is told how it goes.
        verbose: Whether it is told the tracebacks of failed trials too.
        trust_space: Run the code of a task, search space or sampler that the run folder names, and the user did not.

    Raises:
        UserError: Not a run, other data, or a flag that would make it another search.
    """
    folder = open_run_folder(path)
    config = saved_config(folder)
    if not trust_space:
        refuse_resume(path, config, values)
    for key in values:
        if key == "storage" and config.storage and _same_storage(values[key], config.storage):
            continue  # the same database, with the password that is kept nowhere
        if key not in resumable() and values[key] != getattr(config, key, None):
            raise UserError(
                f"{origin[key]} cannot change in a resumed run.",
                f"Start a new run, or change only {', '.join(resumable())}.",
            )
    config = make_config(config.model_dump() | dict(values), origin)
    init = None if config.init_from is None else kept(folder, folder.load_config().get("init"))
    with told(listener.reading), relative_paths_told(folder):
        job = prepare(config, init=init)
    digest = job.dataset.digest()
    if folder.load_config().get("data_sha256") != digest:
        raise UserError(
            f"The data set {config.task} has changed since {path} was started with it.",
            "Start a new run for new data.",
        )
    return _search(job, folder, listener, verbose=verbose)


def _prepare(config: RunConfig) -> Job:
    """A new run's objects."""
    return prepare(config, init=None if config.init_from is None else read_source(config.init_from))


def _init_digest(job: Job) -> str | None:
    return None if job.init is None else job.init.digest()


def _same_storage(url: str, other: str) -> bool:
    return StorageUrl.parse(url).kept() == StorageUrl.parse(other).kept()


def _plan(job: Job) -> RunPlan:
    return RunPlan(job=job, surveys=survey_boards(job.screen, rng=job.rng("survey")))


def _search(job: Job, folder: RunFolder, listener: RunListener, *, verbose: bool) -> RunResult:
    from nas.bundle import BundleError
    from nas.strategy.study import lost_storage

    for board in job.boards:
        for note in board.budget.notes:
            listener.say(note if len(job.boards) == 1 else f"{board.name}: {note}")
    for line in job.dataset.report.lines():
        listener.say(f"data: {line}")
    planned = _plan(job)
    planned.check()
    if (init := planned.init()) is not None:
        listener.say(init.text())
    try:
        with folder.locked(), lost_storage(job.config.storage):
            return _search_feasible(job, folder, listener, planned.feasible(), verbose=verbose)
    except KeyboardInterrupt:
        if folder.begun:
            listener.say(f"Ended at once. No trial that ended is lost; --resume {folder.path} goes on.")
        raise
    except BackendLostError as error:
        raise UserError(
            str(error), f"No trial that ended is lost; --resume {folder.path} goes on."
        ) from error
    except BundleError as error:
        raise UserError(
            f"The bundle failed its verification ({error.reason}): {error.message}",
            f"What the run found is in {folder.path}; --resume {folder.path} exports again.",
        ) from error
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise UserError(
            f"{error.filename or folder.path} cannot be written ({error.strerror}).",
            f"Free some space; --resume {folder.path} goes on, and no trial that ended is lost.",
        ) from error


def _longest_steps(job: Job) -> int:
    """Training steps that finalists may have; of anomalies more than in full only where the user asks for it.

    A network that rebuilds normal samples better and better may rebuild anomalies better as well.
    """
    anomalies = job.dataset.info.false_alarms is not None
    if anomalies and job.config.finalist_steps is None:
        return job.config.final_steps
    return job.config.longest_steps()


def _chosen(job: Job, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The training that the policy chooses on each board, without repetition."""
    from nas.strategy.pareto import choose, pareto_front

    numbers = {
        choose(front, job.config.policy).number
        for board in job.boards
        if (front := pareto_front([record.on(board.name, board.budget) for record in records]))
    }
    return [record for record in records if record.number in numbers]


def _finalists(job: Job, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trainings that are judged in folds: on each board those that the policy would choose first."""
    from nas.strategy.pareto import finalists_of, pareto_front

    numbers = {
        record.number
        for board in job.boards
        for record in finalists_of(
            pareto_front([each.on(board.name, board.budget) for each in records]),
            job.config.policy,
            job.config.finalists,
        )
    }
    return sorted(
        (record for record in records if record.number in numbers), key=lambda record: -record.value
    )


def _own_files(config: RunConfig) -> dict[str, bytes]:
    """The user's search space, if it is a file: workers on other machines cannot read it."""
    return {config.space: Path(config.space).read_bytes()} if config.space.endswith(".py") else {}


def _starts(job: Job, listener: RunListener) -> tuple[dict[str, Any], ...]:
    """The networks to train first: the reference network that was asked for, where it keeps the limits."""
    if job.start is None:
        return ()
    screened = job.screen(Choices(job.start))
    if screened.fits:
        return (job.start,)
    reason = screened.refused or "; ".join(map(str, screened.violations))
    listener.say(f"the reference network {job.config.start} does not fit and is not trained: {reason}")
    return ()


def _refuse_lost_record(folder: RunFolder, config: RunConfig, *, recorded: int) -> None:
    """Refuses a search from its beginning where an earlier one left models.

    Raises:
        UserError: Models are there, and no trial that they are of.
    """
    if not recorded and any(folder.models.glob("*.tflite")):
        place = StorageUrl.parse(config.storage).shown() if config.storage else str(folder.journal)
        raise UserError(
            f"{folder.path} holds models, but {place} has no trial of this run.",
            "Bring the record back, or start a new run in another folder.",
        )


def _search_feasible(
    job: Job,
    folder: RunFolder,
    listener: RunListener,
    feasible: Sequence[Mapping[str, Any]],
    *,
    verbose: bool,
) -> RunResult:
    from nas.execute import EvaluatorSpec
    from nas.execute.kernels import kernel_variables
    from nas.execute.ray_workers import RayExecutor
    from nas.report.live import LiveReport
    from nas.runtimes.several import processes_for
    from nas.strategy.driver import Driver
    from nas.strategy.engine import SearchEngine
    from nas.strategy.plan import Plan
    from nas.strategy.screened_sampler import propose_by
    from nas.strategy.study import Study, damaged_record, find_study, open_storage

    config = job.config
    engine = SearchEngine(
        screen=job.screen,
        steps=config.rungs(),
        seed=job.seed,
        samples=job.dataset.info.samples["val"],
        metric=job.dataset.info.metric,
        feasible=feasible,
        limit=config.timeout if config.policy == "accuracy" else None,
        stretch=_longest_steps(job) / config.final_steps if config.policy == "accuracy" else 1.0,
    )
    known = load(folder)
    try:
        for training in known:
            engine.update_earlier(training.params, training.steps, training.error)
    except (KeyError, ValueError, TypeError, UserError):
        raise UserError(
            f"The choices of {config.warm_start} are not those that {config.space} asks for.",
            "The space has changed since; leave --warm-start out.",
        ) from None
    storage = open_storage(config.storage, folder.journal)
    saved = folder.load_config()
    # The start tells this run from another of the same name and seed in one database: its models are elsewhere.
    identity = config.search_identity() | {"started": saved["started"]}
    with damaged_record(StorageUrl.parse(config.storage).shown() if config.storage else str(folder.journal)):
        name = find_study(
            storage,
            started=saved["started"],
            name=saved.get("study"),
            fallback=folder.path.resolve().name,
        )
        study = Study(
            storage=storage,
            name=name,
            identity=identity,
            artifacts=folder.artifacts,
            boards=[board.name for board in job.boards],
            folds=config.folds or 0,
        )
        records = study.records()
    _refuse_lost_record(folder, config, recorded=len(records))
    if config.storage is not None:
        study.claim(folder.path)
    propose_by(config.sampler, study=study, engine=engine, seed=job.seed, say=listener.say)
    hashes = {r.model_key: r.model_sha256 for r in records if r.state == "evaluated"}
    lost = {key for key in hashes if folder.model_lost(key, hashes[key])}
    if lost:
        listener.say(
            f"{len(lost)} of {len(hashes)} models are missing in {folder.path}/models or are not those that were"
            " trained: their records still guide the search, and final candidates among them are trained again"
        )
    # A resumed run's clock goes on where the record ends, so that times of all trials are on one line.
    before = max((r.started + sum(r.seconds.values()) for r in records), default=0.0)
    clock = time.monotonic() - before
    listener.say(f"run folder {folder.path}, seed {job.seed}")

    def save_model(key: str, tflite: bytes) -> Path:
        folder.save_model(key, tflite)
        return folder.model_file(key)

    def save_log(number: int, trace: str) -> str:
        if verbose:
            listener.say(trace)
        return folder.save_log(number, trace)

    live = LiveReport(
        folder.report_file,
        summarize=lambda: summary_of(job, folder, study.records(), "running", clock),
        write=write_atomically,
    )
    if config.ray_address is None and os.environ.get("RAY_ADDRESS"):
        listener.say(
            "RAY_ADDRESS is not used: the run stays on this machine; --ray-address auto joins that cluster"
        )
    starts = _starts(job, listener)
    with GracefulStop(listener.say) as stop:
        executor = RayExecutor(
            spec=EvaluatorSpec(
                factory="nas.tf.worker:make_evaluator",
                settings={
                    "target": job.target,
                    "budget": job.budget,
                    "others": [(board.model.target, board.budget) for board in job.boards[1:]],
                    "front_ends": {
                        each.name: [(board.model.target, board.budget, board.taken) for board in each.boards]
                        for each in job.front_ends
                    },
                },
                variables=kernel_variables(job.dataset.info.input_shape),
            ),
            shared={"dataset": job.dataset} | ({} if job.init is None else {"init": job.init}),
            workers=config.workers,
            address=config.ray_address,
            # A finalist that is judged in folds is trained as often within one trial.
            trial_timeout=config.trial_timeout * (config.folds or 1),
            gpus=config.gpus_per_trial,
            files=_own_files(config),
        )
        driver = Driver(
            plan=Plan(
                trials=config.networks(),
                steps=config.rungs(),
                finalists=config.finalists,
                space=config.space,
                seed=job.seed,
                sparsity=config.sparsity,
                policy=config.policy,
                limit=config.timeout,
                validation=judged_samples(job.dataset, "val"),
                test_share=judged_samples(job.dataset, "test") / judged_samples(job.dataset, "val"),
                measuring=processes_for(config.workers),
                starts=starts,
                finalist_steps=_longest_steps(job),
                longest=_LONGEST_SHARE * config.trial_timeout,
                retrains=config.retrains,
                folds=config.folds or 0,
            ),
            study=study,
            engine=engine,
            executor=executor,
            save_model=save_model,
            listener=Listeners((listener, live)),
            stop=stop,
            save_log=save_log,
            model_lost=lost.__contains__,
            save_weights=folder.save_weights,
            init=job.init,
            started=clock,
        )
        try:
            if stop() and not records:
                listener.say("Stopped before the search began; nothing is left behind.")
                raise StoppedError(stop.signal)
            folder.begin()
            stopped_by = driver.search()
            if stopped_by != "failures":
                driver.train_finalists()
                if config.folds is not None:
                    driver.judge_in_folds(_finalists(job, driver.records()))
                if config.retrains:
                    driver.retrain(_chosen(job, driver.records()))
        finally:
            listener.end_stage()
            executor.close()
        # Still within: a signal while the chosen model is exported must not lose it.
        return finalize(
            job, folder, listener, driver.records(), stopped_by, clock, signal=stop.signal if stop() else None
        )
