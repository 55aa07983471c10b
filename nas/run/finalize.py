"""The end of a run: choose, measure on the test set once, export, verify, report."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from cost_models.errors import UserError
from cost_models.resources import format_quantity
from cost_models.tflite_graph import read_graph
from nas.model.folded import Folded
from nas.model.records import TrialRecord
from nas.model.result import RunSummary, TrialSummary
from nas.model.trained import Accuracy, TaskInfo
from nas.model.words import FRONT_END as FRONT_END_TAKES
from nas.run.folder import RunFolder, versions, write_atomically
from nas.run.listeners import RunListener
from nas.run.result import RunResult
from nas.run.setup import Job
from nas.strategy.screening import FRONT_END
from nas.tasks.folds import make_folds

if TYPE_CHECKING:
    from nas.bundle.delivery import Delivery

_TRAINING = ("build", "train", "prune")
_USED_SHARE = 0.6  # of a time limit, that a training may take


def finalize(
    job: Job,
    folder: RunFolder,
    listener: RunListener,
    records: list[TrialRecord],
    stopped_by: str,
    clock: float,
    *,
    signal: int | None = None,
) -> RunResult:
    """Chooses, measures on the test set once, exports and verifies; writes result and report.

    Args:
        job: The run's objects.
        folder: Where it runs.
        listener: Is told how it goes.
        records: All trials.
        stopped_by: Why the search ended.
        clock: `time.monotonic()` of the run's start.
        signal: That ended the search early, if one did.
    """
    if len(job.boards) > 1:
        return _finalize_boards(job, folder, listener, records, stopped_by, clock, signal=signal)
    from nas.report import write_report
    from nas.strategy.pareto import pareto_front

    front = pareto_front(records)
    chosen, refusal = None, ""
    notes: tuple[str, ...] = ()
    if front:
        listener.say("exporting and verifying the chosen model")
        try:
            chosen, notes = _export_best(job, folder, front, records)
        except _NotDeliveredError as error:
            refusal = str(error)
        else:
            record = next(record for record in front if record.number == chosen["number"])
            chosen["warnings"] += _time_notes(record, job.config.final_steps)
    summary = summary_of(job, folder, records, stopped_by, clock, notes=notes, chosen=chosen)
    text = json.dumps(summary, indent=1)
    write_atomically(folder.result_file, f"{text}\n".encode())
    write_report(
        folder.report_file, RunSummary.model_validate(summary), write_atomically
    )  # the page of the search reloads itself
    if chosen is None and not refusal:
        refusal = _nothing_chosen(folder, records)
        notes = _time_notes(
            next((record for record in records if record.state == "evaluated"), None), job.config.final_steps
        )
    return RunResult(
        path=folder.path,
        content=json.loads(text),  # what a reader of the file would have
        refusal=refusal,
        refusal_notes=notes if chosen is None else (),
        signal=signal,
    )


def _finalize_boards(
    job: Job,
    folder: RunFolder,
    listener: RunListener,
    records: list[TrialRecord],
    stopped_by: str,
    clock: float,
    *,
    signal: int | None,
) -> RunResult:
    """Ends the run on each of its boards, in a folder of its own, and lays them side by side."""
    from nas.report import write_report

    results: dict[str, RunResult] = {}
    for index, board in enumerate(job.boards):
        listener.say(f"{board.name}:")
        part = folder.board(board.name)
        part.path.mkdir(exist_ok=True)
        views = [record.on(board.name, board.budget) for record in records]
        results[board.name] = finalize(job.on(index), part, listener, views, stopped_by, clock, signal=signal)
    summary = _side_by_side(job, folder, records, [result.content for result in results.values()])
    text = json.dumps(summary, indent=1)
    write_atomically(folder.result_file, f"{text}\n".encode())
    write_report(folder.report_file, RunSummary.model_validate(summary), write_atomically)
    return RunResult(
        path=folder.path,
        content=json.loads(text),
        refusal=" ".join(f"{name}: {each.refusal}" for name, each in results.items() if each.refusal),
        refusal_notes=tuple(note for each in results.values() for note in each.refusal_notes),
        signal=signal,
    )


def _side_by_side(
    job: Job, folder: RunFolder, records: Sequence[TrialRecord], parts: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The result of a run for several boards: all trainings, the first board's choice, and the choice of each."""
    from nas.run.summary import board_summary

    boards = [board_summary(part) for part in parts]
    chosen = parts[0]["chosen"]
    return {
        **parts[0],
        "run": folder.path.resolve().name,
        "config": job.config.shown(),
        "trials": [record.summary() for record in records],
        "chosen": None if chosen is None else chosen | {"bundle": boards[0]["chosen"]["bundle"]},
        "boards": boards,
    }


def summary_of(
    job: Job,
    folder: RunFolder,
    records: Sequence[TrialRecord],
    stopped_by: str,
    clock: float,
    *,
    notes: Sequence[str] = (),
    chosen: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The run's result as it stands; of several boards on the first, with the front of each."""
    from nas.run.summary import board_summary, summarize

    if len(job.boards) > 1:
        parts = [
            summary_of(
                job.on(index),
                folder,
                [record.on(board.name, board.budget) for record in records],
                stopped_by,
                clock,
                notes=notes,
            )
            for index, board in enumerate(job.boards)
        ]
        return parts[0] | {"config": job.config.shown(), "boards": [board_summary(part) for part in parts]}
    return summarize(
        run=folder.path.resolve().name,
        started=str(folder.load_config()["started"]),
        seconds=time.monotonic() - clock,
        stopped_by=stopped_by,
        config=job.config,
        versions=versions(),
        target=job.target,
        budget=job.budget,
        notes=notes,
        task=_task_of(job, chosen),
        front_ends={
            name: spec
            for name, each in job.dataset.behind.items()
            if (spec := each.info.frontend) is not None
        },
        records=records,
        chosen=chosen,
        data=job.dataset.report.to_json(),
    )


def _task_of(job: Job, chosen: Mapping[str, Any] | None) -> TaskInfo:
    """The task, behind the chosen network's front end where that was searched."""
    if chosen is None or not job.front_ends:
        return job.dataset.info
    return job.dataset.behind[chosen["front_end"]].info


def _nothing_chosen(folder: RunFolder, records: Sequence[TrialRecord]) -> str:
    failed = [record for record in records if record.state == "failed"]
    if not failed:
        return f"Stopped before a training ended. --resume {folder.path} goes on."
    last = failed[-1]
    log = f" The traceback is in {folder.path / last.log}." if last.log else ""
    return f"No trial succeeded: {last.reason.rstrip('.') if last.reason else 'no reason given'}.{log}"


def _time_notes(record: TrialRecord | None, full_steps: int) -> tuple[str, ...]:
    """What a time limit did to a training that is not one in full, and how much time would do."""
    if record is None or record.cut_at is None or record.cut_at >= full_steps:
        return ()
    spent = sum(seconds for stage, seconds in record.seconds.items() if stage in _TRAINING)
    whole = spent * record.steps / record.cut_at
    return (
        f"The time limit ended the training of trial {record.number} after {record.cut_at:,} of"
        f" {record.steps:,} steps. A whole training of this network takes about {whole:,.0f} s here: give --timeout"
        f" {_round_time(whole / _USED_SHARE)}, or fewer --steps and --final-steps.",
    )


def _round_time(seconds: float) -> str:
    """The next time that people would write."""
    return f"{math.ceil(seconds / 10) * 10}s" if seconds <= 90 else f"{math.ceil(seconds / 60)}m"


class _NotDeliveredError(Exception):
    """The chosen model must not leave as firmware; the text says why and what to do."""


def _export_best(
    job: Job, folder: RunFolder, front: Sequence[TrialRecord], records: Sequence[TrialRecord]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The policy's choice of the front; where an NPU's compiler refuses it, the next, and a note that says so.

    Raises:
        UserError: The last of them is refused.
    """
    from nas.strategy.pareto import choose

    passed_over: list[str] = []
    left = list(front)
    while True:
        record = choose(left, job.config.policy)
        try:
            tflite = folder.load_model(record.model_key, trial=record.number, sha256=record.model_sha256)
            part, notes = _export(job, folder, record, tflite, records)
        except UserError as error:
            left.remove(record)
            if not left or (
                job.target.npu is None and not folder.model_lost(record.model_key, record.model_sha256)
            ):
                raise
            passed_over.append(f"Trial {record.number} was passed over. {error.message}")
        else:
            return part, (*passed_over, *notes)


def _near_chance(record: TrialRecord, accuracy: Accuracy, folder: RunFolder, full_steps: int) -> str:
    from nas.model.quality import near_chance_text

    notes = _time_notes(record, full_steps)
    advice = notes[0] if notes else "Train longer (--steps, --final-steps), or look at the data."
    return (
        f"Trial {record.number} is the best and is not delivered. {near_chance_text(accuracy)} {advice}"
        f" nas-export {folder.path} --model {record.number} --out FOLDER exports it all the same."
    )


def _validated(folder: RunFolder, record: TrialRecord, records: Sequence[TrialRecord]) -> bytes | None:
    """Of a model that was trained on validation samples as well, the bytes of the training that it repeats."""
    if record.retrains is None:
        return None
    first = next(other for other in records if other.number == record.retrains)
    return folder.load_model(first.model_key, trial=first.number, sha256=first.model_sha256)


def _export(
    job: Job, folder: RunFolder, record: TrialRecord, tflite: bytes, records: Sequence[TrialRecord]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The chosen model as a verified bundle, and its part of the result.

    Args:
        job: The run's objects.
        folder: Where it runs.
        record: The chosen trial.
        tflite: Its bytes.
        records: All trials.

    Raises:
        _NotDeliveredError: It has learned nothing.
    """
    from nas.bundle import export, verify
    from nas.model.quality import is_near_chance
    from nas.run.stored_model import finished_model
    from nas.run.summary import chosen_model
    from nas.runtimes.several import processes_for
    from nas.tasks.accuracy import measure_accuracy
    from nas.tasks.robustness import measure_robustness

    taken, job = job.taken(record.params), job.behind(record.params)
    validated = _validated(folder, record, records)
    processes = processes_for(job.config.workers)
    validation = record.tflm_accuracy or measure_accuracy(
        validated or tflite, job.dataset, "val", "tflm", processes=processes
    )
    test = measure_accuracy(
        tflite,
        job.dataset,
        "test",
        "tflm",
        threshold=validation.threshold,
        detailed=True,
        processes=processes,
    )
    for accuracy in (validation, test):
        if is_near_chance(accuracy):
            raise _NotDeliveredError(_near_chance(record, accuracy, folder, job.config.final_steps))
    graph = read_graph(tflite)
    costs = job.model.estimate(graph, file_bytes=len(tflite))
    measured = measure_robustness(tflite, job.dataset, macs=costs.macs, seed=job.seed)
    robustness = None if measured is None else asdict(measured)
    optimism = _optimism(job, records)
    folded = _folded(job, record, records)
    finished = finished_model(
        tflite,
        dataset=job.dataset,
        config=job.config,
        trial=TrialSummary.model_validate(record.summary()),
        accuracies=(validation, test),
        versions=versions(),
        robustness=robustness,
        optimism=optimism,
        folded=folded,
    )
    bundle = export(
        finished,
        target=job.target,
        costs=costs,
        out=folder.bundle,
        format=job.config.format,
        budget=job.budget,
    )
    verification = verify(bundle)
    part = chosen_model(
        record=record,
        config=job.config,
        accuracy=test,
        validation=validation,
        class_names=job.dataset.info.class_names,
        model=job.model,
        graph=graph,
        model_bytes=len(tflite),
        bundle=folder.bundle.name,
        duty=job.budget.duty,
        taken=taken,
    )
    if FRONT_END in record.params:
        part["front_end"] = record.params[FRONT_END]
    if robustness is not None:
        part["robustness"] = robustness
    part |= {name: said for name, said in (("optimism", optimism), ("folded", folded)) if said is not None}
    if (front_end := bundle.manifest.frontend) is not None:
        part["arena_bytes"] = bundle.manifest.costs.sram_bytes + front_end.arena_bytes
    if bundle.manifest.npu is not None:
        part["npu"] = bundle.manifest.npu.model_dump()
    return part, (*verification.notes, *_front_end_note(record, taken))


def _optimism(job: Job, records: Sequence[TrialRecord]) -> dict[str, Any] | None:
    """By how much the figure that the choice went by is expected to be too good; None where that is not known."""
    from nas.strategy.optimism import choice_optimism
    from nas.strategy.pareto import chosen_from

    labels, groups = job.dataset.labels["val"], job.dataset.groups.get("val")
    in_folds = job.config.folds is not None and any(
        record.folded is figure for record, figure in chosen_from(records)
    )
    if in_folds:
        assert job.config.folds is not None
        folds = make_folds(job.dataset, job.config.folds)
        labels, groups = folds.labels, folds.groups_in_order
    expected = choice_optimism(records, job.config.policy, labels=labels, groups=groups)
    if expected is None:
        return None
    return asdict(replace(expected, folds=job.config.folds or 0) if in_folds else expected)


def _folded(job: Job, record: TrialRecord, records: Sequence[TrialRecord]) -> dict[str, Any] | None:
    """The chosen network's figures by folds, see `nas.model.folded`; None where it was not judged so."""
    if record.folded is None or job.config.folds is None:
        return None
    low, high = record.folded.objective_interval()
    judged = {each.digest for each in records if each.folded is not None and each.state == "evaluated"}
    return asdict(
        Folded(
            folds=job.config.folds,
            networks=len(judged),
            samples=record.folded.total,
            score=record.folded.objective,
            low=low,
            high=high,
        )
    )


def _front_end_note(record: TrialRecord, taken: Mapping[str, float]) -> tuple[str, ...]:
    """The part of the stated costs that the front end takes which the search chose."""
    if not taken:
        return ()
    sram, flash = format_quantity("sram", taken["sram_bytes"]), format_quantity("flash", taken["flash_bytes"])
    return (f"{FRONT_END_TAKES} {sram} of this SRAM and {flash} of this flash: {record.params[FRONT_END]}.",)


def deliver_chosen(result: RunResult) -> Delivery | None:
    """Commits the bundle to the firmware repository that the run's configuration names, if it names one.

    Raises:
        UserError: The repository cannot take it.
    """
    place = result.content["config"]["deliver"]
    bundle = None if place is None else result.bundle
    if bundle is None:
        return None
    from nas.bundle.delivery import deliver

    return deliver(bundle, place, branch=result.content["config"]["branch"])
