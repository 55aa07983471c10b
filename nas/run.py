"""One run from configuration to verified bundle: what `nas-run` does once its flags are read."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cost_models.budget import format_quantity
from cost_models.errors import UserError
from cost_models.folded import folded
from nas.candidates import Survey, survey
from nas.config import RunConfig, make_config
from nas.exit_codes import ALL_FAILED, DONE, NOTHING_FEASIBLE
from nas.finish import finish, summary_of
from nas.job import Job, prepare
from nas.lost import LostError
from nas.progress import Listeners, Progress
from nas.run_folder import (
    RunFolder,
    check_out,
    create_run_folder,
    model_key,
    open_run_folder,
    save_config,
    saved_config,
    write_atomically,
)
from nas.storage_url import StorageUrl
from nas.warm_start import earlier_trainings, load, save
from search_spaces.space import list_spaces

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO}
_RESUMABLE = (
    "trials", "timeout", "trial_timeout", "workers", "ray_address", "gpus_per_trial", "finalists", "policy",
    "name", "format", "deliver", "branch",
)  # fmt: skip
_CODE_HINT = "Add --trust-space if you trust it, or name it yourself: --space {}."


def start(config: RunConfig, *, as_json: bool, verbose: bool = False) -> int:
    """A new run. Returns the exit code."""
    progress = Progress(sys.stderr, verbose=verbose)
    job = prepare(config.with_seed())
    folder = create_run_folder(config.out, config.task)
    try:
        digest = job.dataset.digest()
        if config.warm_start is not None:
            save(folder, earlier_trainings(config.warm_start, config=config, data_digest=digest))
        save_config(folder, job.config, digest)
        return _search(job, folder, progress, as_json=as_json)
    finally:
        folder.discard_unless_begun()  # so that the corrected call can take the same name


def resume(
    path: str,
    values: Mapping[str, Any],
    origin: Mapping[str, str],
    *,
    as_json: bool,
    verbose: bool = False,
    trust_space: bool = False,
) -> int:
    """Goes on with an earlier run; flags may change how long and where, not what is searched.

    Args:
        path: The run folder.
        values: What was given, by key.
        origin: Where each key was given.
        as_json: Print the result as JSON.
        verbose: Show tracebacks of failed trials.
        trust_space: Run the code of a search space or sampler that the run folder names, and the user did not.

    Raises:
        UserError: Not a run, other data, or a flag that would make it another search.
    """
    folder = open_run_folder(path)
    config = saved_config(folder)
    if config.space not in list_spaces() and "space" not in values and not trust_space:
        raise UserError(
            f"The run {path} searches the space {config.space}, which is code that a resume would execute.",
            _CODE_HINT.format(config.space),
        )
    if config.sampler.endswith(".py") and "sampler" not in values and not trust_space:
        raise UserError(
            f"The run {path} searches by the sampler {config.sampler}, which is code that a resume would execute.",
            f"Add --trust-space if you trust it, or name it yourself: --sampler {config.sampler}.",
        )
    for key in values:
        if key == "storage" and config.storage and _same_storage(values[key], config.storage):
            continue  # the same database, with the password that is kept nowhere
        if key not in _RESUMABLE and values[key] != getattr(config, key, None):
            raise UserError(
                f"{origin[key]} cannot change in a resumed run.",
                f"Start a new run, or change only {', '.join(_RESUMABLE)}.",
            )
    config = make_config(config.model_dump() | dict(values), origin)
    progress = Progress(sys.stderr, verbose=verbose)
    job = prepare(config)
    digest = job.dataset.digest()
    if folder.load_config().get("data_sha256") != digest:
        raise UserError(
            f"The data of {config.task} are not those that {path} was started with.",
            "Start a new run for new data.",
        )
    return _search(job, folder, progress, as_json=as_json)


def _same_storage(one: str, other: str) -> bool:
    return StorageUrl.parse(one).kept() == StorageUrl.parse(other).kept()


def dry_run(config: RunConfig, *, as_json: bool) -> int:
    """Says what would be done, and how much of the space fits; trains nothing, writes nothing."""
    check_out(config.out)
    job = prepare(config.with_seed())
    found = _survey(job)
    content = {
        "schema": 1,
        "config": job.config.shown(),
        "target": job.target.name,
        "budget": dict(job.budget.limits()),
        "notes": list(job.budget.notes),
        "data": job.dataset.report.to_json(),
        "drawn": found.drawn,
        "fitting": found.fitting,
    }
    if as_json:
        print(json.dumps(content))
    else:
        for line in _plan_lines(job, found):
            print(folded(line, sys.stdout, indent=8))
    if not found.feasible:
        return _nothing_feasible(found)
    return DONE


def _plan_lines(job: Job, found: Survey) -> list[str]:
    """What would be done, in words."""
    config, info = job.config, job.dataset.info
    limits = ", ".join(f"{name} <= {format_quantity(name, limit)}" for name, limit in job.budget.limits())
    lines = [
        f"task    {config.task}: {info.input_shape}, {len(info.class_names)} classes,",
        f"        {info.samples['train']} train, {info.samples['val']} val, {info.samples['test']} test samples",
        *(f"data    {line}" for line in job.dataset.report.lines()),
        f"space   {job.space.name}: {found.fitting} of {found.drawn} random networks fit",
        f"target  {job.target.name} ({job.target.title}): {limits}",
        *(f"        {note}" for note in job.budget.notes),
    ]
    if found.feasible:
        lines.append(
            f"search  {config.trials} networks, trained for {config.steps} steps, the best of them longer,"
            f" the best {config.finalists} for {config.final_steps}"
        )
    return lines


def _survey(job: Job) -> Survey:
    return survey(job.screen, rng=job.rng("survey"))


def _nothing_feasible(found: Survey) -> int:
    if found.closest.refused is not None:
        text = f"nas-run: Nothing fits: {found.closest.refused}"
        print(folded(text, sys.stderr, indent=2), file=sys.stderr)
        return NOTHING_FEASIBLE
    worst = max(found.closest.violations, key=lambda violation: violation.excess)
    text = (
        f"nas-run: Nothing fits: of {found.drawn} networks and a descent from the best of them the closest misses"
        f" by {worst}. Raise the {worst.resource} limit, or take another --space or --target."
    )
    print(folded(text, sys.stderr, indent=2), file=sys.stderr)
    return NOTHING_FEASIBLE


def _search(job: Job, folder: RunFolder, progress: Progress, *, as_json: bool) -> int:
    from nas.export import BundleError
    from nas.search.study import lost_storage

    for note in job.budget.notes:
        progress.say(note)
    for line in job.dataset.report.lines():
        progress.say(f"data: {line}")
    found = _survey(job)
    if not found.feasible:
        return _nothing_feasible(found)
    try:
        with folder.locked(), lost_storage(job.config.storage):
            return _search_feasible(job, folder, progress, found, as_json=as_json)
    except KeyboardInterrupt:
        if folder.begun:
            progress.say(f"Ended at once. No trial that ended is lost; --resume {folder.path} goes on.")
        raise
    except LostError as error:
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


def _own_files(config: RunConfig) -> dict[str, bytes]:
    """The user's search space, if it is a file: workers on other machines cannot read it."""
    return {config.space: Path(config.space).read_bytes()} if config.space.endswith(".py") else {}


def _search_feasible(job: Job, folder: RunFolder, progress: Progress, found: Survey, *, as_json: bool) -> int:
    from nas.execute import EvaluatorSpec
    from nas.execute.ray_workers import RayExecutor
    from nas.report.live import LiveReport
    from nas.search.driver import Driver, Plan
    from nas.search.engine import SearchEngine
    from nas.search.screened_sampler import propose_by
    from nas.search.study import Study, damaged_record, find_study, open_storage
    from nas.stop import StopRequest

    config = job.config
    engine = SearchEngine(
        screen=job.screen,
        steps=config.rungs(),
        seed=job.seed,
        samples=job.dataset.info.samples["val"],
        feasible=found.feasible,
    )
    try:
        for one in load(folder):
            engine.update_earlier(one.params, one.steps, one.error)
    except (KeyError, ValueError, UserError):
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
        study = Study(storage=storage, name=name, identity=identity, artifacts=folder.artifacts)
        records = study.records()
    if config.storage is not None:
        study.claim(folder.path)
    propose_by(config.sampler, study=study, engine=engine, seed=job.seed, say=progress.say)
    hashes = {(r.key, r.trained_steps): r.model_sha256 for r in records if r.state == "evaluated"}
    lost = {key for key in hashes if folder.model_lost(model_key(*key), hashes[key])}
    if lost:
        progress.say(
            f"{len(lost)} of {len(hashes)} models are missing in {folder.path}/models or are not those that were"
            " trained: their records still guide the search, and final candidates among them are trained again"
        )
    # A resumed run's clock goes on where the record ends, so that times of all trials are on one line.
    before = max((r.started + sum(r.seconds.values()) for r in records), default=0.0)
    now = time.monotonic()
    clock = now - before
    progress.say(f"run folder {folder.path}, seed {job.seed}")

    def save_model(key: str, steps: int, tflite: bytes) -> Path:
        folder.save_model(model_key(key, steps), tflite)
        return folder.model_file(model_key(key, steps))

    def save_log(number: int, trace: str) -> str:
        if progress.verbose:
            progress.say(trace)
        return folder.save_log(number, trace)

    live = LiveReport(
        folder.report_file,
        summarize=lambda: summary_of(job, folder, study.records(), "running", clock),
        write=write_atomically,
    )
    if config.ray_address is None and os.environ.get("RAY_ADDRESS"):
        progress.say(
            "RAY_ADDRESS is not used: the run stays on this machine; --ray-address auto joins that cluster"
        )
    with StopRequest(progress.say) as stop:
        executor = RayExecutor(
            spec=EvaluatorSpec(
                factory="nas.tf.worker:make_evaluator", settings={"target": job.target, "budget": job.budget}
            ),
            shared={"dataset": job.dataset},
            workers=config.workers,
            address=config.ray_address,
            trial_timeout=config.trial_timeout,
            gpus=config.gpus_per_trial,
            files=_own_files(config),
        )
        driver = Driver(
            plan=Plan(
                trials=config.trials,
                steps=config.rungs(),
                finalists=config.finalists,
                space=config.space,
                seed=job.seed,
                sparsity=config.sparsity,
                policy=config.policy,
                limit=config.timeout,
                test_share=job.dataset.info.samples["test"] / job.dataset.info.samples["val"],
            ),
            study=study,
            engine=engine,
            executor=executor,
            save_model=save_model,
            listener=Listeners((progress, live)),
            stop=stop,
            save_log=save_log,
            model_lost=lambda key, steps: (key, steps) in lost,
            started=clock,
        )
        try:
            if stop() and not records:
                progress.say("Stopped before the search began; nothing is left behind.")
                return stop.exit_code
            folder.begin()
            stopped_by = driver.search()
            if stopped_by != "failures":
                driver.train_finalists()
        finally:
            progress.end_stage()
            executor.close()
        # Still within: a signal while the chosen model is exported must not lose it.
        code = finish(job, folder, progress, driver.records(), stopped_by, clock, as_json=as_json)
        return stop.exit_code if code == ALL_FAILED and stop() else code
