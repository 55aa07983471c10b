"""One run from configuration to verified bundle: what `nas-run` does once its flags are read."""

from __future__ import annotations

import errno
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cost_models.budget import Budget, parse_budget
from cost_models.costing import CostModel
from cost_models.errors import UserError
from cost_models.target import Target, load_target
from cost_models.tflite_graph import read_graph
from nas.candidates import Screen, Survey, survey
from nas.cli import ALL_FAILED, DONE, NOTHING_FEASIBLE
from nas.config import RunConfig, make_config
from nas.progress import Progress
from nas.run_folder import (
    RunFolder,
    create_run_folder,
    open_run_folder,
    save_config,
    saved_config,
    versions,
    write_atomically,
)
from nas.search.records import Rung, TrialRecord
from nas.tasks import check_task, load_task
from nas.tasks.dataset import Dataset
from search_spaces.space import SearchSpace, load_space

_SURVEY_DRAWS = 500
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO}
_GOLDEN = 8
_FINAL_SHARE = 0.25  # of a time limit, kept for full trainings and the export
_RESUMABLE = ("trials", "timeout", "trial_timeout", "workers", "ray_address", "finalists", "policy", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A configuration made real: names have become objects."""

    config: RunConfig
    target: Target
    budget: Budget
    space: SearchSpace
    dataset: Dataset
    model: CostModel
    screen: Screen

    @property
    def seed(self) -> int:
        assert self.config.seed is not None
        return self.config.seed

    def rng(self, purpose: str) -> np.random.Generator:
        """The generator of one purpose."""
        return np.random.default_rng([self.seed, *purpose.encode()])


def prepare(config: RunConfig) -> Job:
    """Turns names into objects; every mistake in them is found here, the cheap ones first.

    Raises:
        UserError: A name, limit or data set that cannot be used.
    """
    check_task(config.task)
    target = load_target(config.target)
    budget = parse_budget(config.budget, target)
    space = load_space(config.space)
    dataset = load_task(config.task, image_size=config.image_size)
    model = CostModel(target)
    screen = Screen(
        space=space,
        input_shape=dataset.info.input_shape,
        classes=len(dataset.info.class_names),
        model=model,
        budget=budget,
    )
    return Job(
        config=config,
        target=target,
        budget=budget,
        space=space,
        dataset=dataset,
        model=model,
        screen=screen,
    )


def start(config: RunConfig, *, as_json: bool) -> int:
    """A new run. Returns the exit code."""
    progress = Progress(sys.stderr)
    job = prepare(config.with_seed())
    folder = create_run_folder(config.out, config.task)
    save_config(folder, job.config, job.dataset.digest())
    return _search(job, folder, progress, as_json=as_json)


def resume(path: str, values: Mapping[str, Any], origin: Mapping[str, str], *, as_json: bool) -> int:
    """Goes on with an earlier run; flags may change how long and where, not what is searched.

    Raises:
        UserError: Not a run, other data, or a flag that would make it another search.
    """
    folder = open_run_folder(path)
    config = saved_config(folder)
    for key in values:
        if key not in _RESUMABLE and values[key] != getattr(config, key, None):
            raise UserError(
                f"{origin[key]} cannot change in a resumed run.",
                f"Start a new run, or change only {', '.join(_RESUMABLE)}.",
            )
    config = make_config(config.model_dump() | dict(values), origin)
    progress = Progress(sys.stderr)
    job = prepare(config)
    digest = job.dataset.digest()
    if folder.load_config().get("data_sha256") != digest:
        raise UserError(
            f"The data of {config.task} are not those that {path} was started with.",
            "Start a new run for new data.",
        )
    return _search(job, folder, progress, as_json=as_json)


def dry_run(config: RunConfig, *, as_json: bool) -> int:
    """Says what would be done, and how much of the space fits; trains nothing, writes nothing."""
    job = prepare(config.with_seed())
    found = _survey(job)
    content = {
        "schema": 1,
        "config": job.config.model_dump(),
        "target": job.target.name,
        "budget": dict(job.budget.limits()),
        "notes": list(job.budget.notes),
        "drawn": found.drawn,
        "fitting": found.fitting,
    }
    if as_json:
        print(json.dumps(content))
    else:
        limits = ", ".join(f"{name} <= {limit:,.0f}" for name, limit in job.budget.limits())
        samples = job.dataset.info.samples
        print(
            f"task    {job.config.task}: {job.dataset.info.input_shape}, {len(job.dataset.info.class_names)} classes,"
        )
        print(f"        {samples['train']} train, {samples['val']} val, {samples['test']} test samples")
        print(f"space   {job.space.name}: {found.fitting} of {found.drawn} random networks fit")
        print(f"target  {job.target.name} ({job.target.title}): {limits}")
        for note in job.budget.notes:
            print(f"        {note}")
        print(
            f"search  {job.config.trials} trials of {job.config.steps} steps,"
            f" then {job.config.finalists} of {job.config.final_steps}"
        )
    if not found.feasible:
        return _nothing_feasible(found)
    return DONE


def _survey(job: Job) -> Survey:
    startup = _startup(job.config)
    return survey(job.screen, rng=job.rng("survey"), draws=_SURVEY_DRAWS, wanted=startup)


def _startup(config: RunConfig) -> int:
    """Trials drawn at random before the sampler models them."""
    return max(4, min(20, config.trials // 3))


def _nothing_feasible(found: Survey) -> int:
    if found.closest.refused is not None:
        print(f"nas-run: Nothing fits: {found.closest.refused}", file=sys.stderr)
        return NOTHING_FEASIBLE
    worst = max(found.closest.violations, key=lambda violation: violation.excess)
    print(
        f"nas-run: Nothing fits: of {found.drawn} networks and a descent from the best of them the closest misses"
        f" by {worst}. Raise the {worst.resource} limit, or take another --space or --target.",
        file=sys.stderr,
    )
    return NOTHING_FEASIBLE


def _search(job: Job, folder: RunFolder, progress: Progress, *, as_json: bool) -> int:
    from nas.export import BundleError

    folder.lock()
    for note in job.budget.notes:
        progress.say(note)
    found = _survey(job)
    if not found.feasible:
        return _nothing_feasible(found)
    try:
        return _search_feasible(job, folder, progress, found, as_json=as_json)
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


def _search_feasible(job: Job, folder: RunFolder, progress: Progress, found: Survey, *, as_json: bool) -> int:
    from nas.execute import EvaluatorSpec
    from nas.execute.ray_workers import RayExecutor
    from nas.search.driver import Driver, Plan
    from nas.search.study import Study, open_storage
    from nas.stop import StopRequest

    config = job.config
    storage = open_storage(config.storage, folder.journal)
    name = folder.path.resolve().name
    identity = config.search_identity()
    study = Study(storage=storage, name=name, identity=identity, seed=job.seed, rung="search")
    final = Study(storage=storage, name=f"{name}-full", identity=identity, seed=job.seed, rung="full")
    final.recover()
    if study.records():
        for params in study.recover():
            study.enqueue(params)
    else:
        study.recover()
        for params in found.feasible:
            study.enqueue(params)
    # A resumed run's clock goes on where the record ends, so that times of all trials are on one line.
    before = max(
        (r.started + sum(r.seconds.values()) for r in study.records() + final.records()), default=0.0
    )
    now = time.monotonic()
    clock = now - before
    progress.say(f"run folder {folder.path}, seed {job.seed}")

    def save_model(key: str, rung: Rung, tflite: bytes) -> None:
        folder.save_model(_model_key(key, rung), tflite)

    limit = config.timeout
    with StopRequest(progress.say) as stop:
        executor = RayExecutor(
            spec=EvaluatorSpec(
                factory="nas.tf.worker:make_evaluator", settings={"target": job.target, "budget": job.budget}
            ),
            shared={"dataset": job.dataset},
            workers=config.workers,
            address=config.ray_address,
            trial_timeout=config.trial_timeout,
        )
        driver = Driver(
            plan=Plan(
                trials=config.trials,
                startup=_startup(config),
                steps=config.steps,
                final_steps=config.final_steps,
                finalists=config.finalists,
                space=config.space,
                seed=job.seed,
                sparsity=config.sparsity,
                policy=config.policy,
                search_deadline=None if limit is None else now + limit * (1 - _FINAL_SHARE),
                deadline=None if limit is None else now + limit,
            ),
            screen=job.screen,
            study=study,
            final=final,
            executor=executor,
            save_model=save_model,
            listener=progress,
            stop=stop,
            started=clock,
        )
        try:
            stopped_by = driver.search()
            if stopped_by != "failures":
                driver.train_finalists()
        finally:
            progress.end_stage()
            executor.close()
    from nas.result import number_through

    records = number_through(study.records(), final.records())
    return _finish(job, folder, progress, records, stopped_by, clock, as_json=as_json)


def _model_key(key: str, rung: Rung) -> str:
    return key if rung == "search" else f"{key}-full"


def _finish(
    job: Job,
    folder: RunFolder,
    progress: Progress,
    records: list[TrialRecord],
    stopped_by: str,
    clock: float,
    *,
    as_json: bool,
) -> int:
    """Chooses, measures on the test set once, exports, verifies, reports."""
    from rich.console import Console

    from nas.report import print_front, write_report
    from nas.result import summarize
    from nas.search.front import choose, pareto_front

    front = pareto_front(records)
    chosen = notes = None
    if front:
        progress.say("exporting and verifying the chosen model")
        chosen, notes = _export(job, folder, choose(front, job.config.policy))
    summary = summarize(
        run=folder.path.resolve().name,
        started=str(folder.load_config()["started"]),
        seconds=time.monotonic() - clock,
        stopped_by=stopped_by,
        config=job.config,
        versions=versions(),
        target=job.target,
        budget=job.budget,
        notes=notes or (),
        task=job.dataset.info,
        records=records,
        chosen=chosen,
    )
    write_atomically(folder.result_file, (json.dumps(summary, indent=1) + "\n").encode())
    write_report(folder.report_file, summary)
    if as_json:
        print(json.dumps(summary))
    else:
        console = Console(soft_wrap=False)
        print_front(summary, console)
        for what, path in (("report", folder.report_file), ("bundle", folder.bundle)):
            if path.exists():
                console.print(f"{what} {path}", markup=False, highlight=False, soft_wrap=True)
    if chosen is not None:
        return DONE
    failed = [record for record in records if record.state == "failed"]
    if failed:
        print(f"nas-run: No trial succeeded: {failed[-1].reason}.", file=sys.stderr)
        return ALL_FAILED
    print(f"nas-run: Stopped before a trial ended. --resume {folder.path} goes on.", file=sys.stderr)
    return ALL_FAILED


def _export(job: Job, folder: RunFolder, record: TrialRecord) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The chosen model as a verified bundle, and its part of the result."""
    from nas.accuracy import measure_accuracy
    from nas.export import export, verify
    from nas.finished import FinishedModel
    from nas.result import chosen_model

    tflite = folder.model_file(_model_key(record.key, record.rung)).read_bytes()
    test = measure_accuracy(tflite, job.dataset, "test", "tflm")
    validation = record.tflm_accuracy or measure_accuracy(tflite, job.dataset, "val", "tflm")
    graph = read_graph(tflite)
    costs = job.model.estimate(graph, file_bytes=len(tflite))
    picks = job.rng("golden").choice(
        len(job.dataset.samples["test"]), min(_GOLDEN, len(job.dataset.samples["test"])), replace=False
    )
    finished = FinishedModel(
        name=job.config.name,
        tflite=tflite,
        task=job.dataset.info,
        golden_inputs=job.dataset.samples["test"][np.sort(picks)],
        accuracies=(validation, test),
        provenance={
            "space": job.space.name,
            "digest": record.key,
            "trial": record.number,
            "seed": job.seed,
            "params": record.params,
            "steps": job.config.final_steps if record.rung == "full" else job.config.steps,
            "sparsity": job.config.sparsity,
            "versions": versions(),
        },
    )
    bundle = export(finished, target=job.target, costs=costs, out=folder.bundle, budget=job.budget)
    verification = verify(bundle)
    part = chosen_model(
        record=record,
        config=job.config,
        accuracy=test,
        model=job.model,
        graph=graph,
        model_bytes=len(tflite),
        bundle=folder.bundle.name,
    )
    return part, verification.notes
