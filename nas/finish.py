"""The end of a run: choose, measure on the test set once, export, verify, deliver, report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from cost_models.errors import UserError
from cost_models.tflite_graph import read_graph
from nas.cli import ALL_FAILED, DONE
from nas.job import Job
from nas.progress import Progress
from nas.run_folder import RunFolder, versions, write_atomically
from nas.search.records import TrialRecord


def model_key(key: str, steps: int) -> str:
    """Name of the bytes that a network left after so many training steps."""
    return f"{key}-{steps}"


def finish(
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
    from nas.search.front import pareto_front

    front = pareto_front(records)
    chosen = notes = None
    if front:
        progress.say("exporting and verifying the chosen model")
        chosen, notes = _export_best(job, folder, front)
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
        data=job.dataset.report.to_json(),
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
        if job.config.deliver is not None:
            _deliver(folder, job.config.deliver, job.config.branch)
        return DONE
    failed = [record for record in records if record.state == "failed"]
    if failed:
        print(f"nas-run: No trial succeeded: {failed[-1].reason}.", file=sys.stderr)
        return ALL_FAILED
    print(f"nas-run: Stopped before a trial ended. --resume {folder.path} goes on.", file=sys.stderr)
    return ALL_FAILED


def _deliver(folder: RunFolder, place: str, branch: str | None) -> None:
    from nas.deliver import deliver
    from nas.export import Bundle

    done = deliver(Bundle.read(folder.bundle), place, branch=branch)
    # stdout is the result; with --json it must stay one JSON value.
    if done.commit is None:
        print(f"branch {done.branch} has this very bundle already", file=sys.stderr)
    else:
        print(f"commit {done.commit[:12]} on {done.branch}\n{done.table}", file=sys.stderr)


def _export_best(
    job: Job, folder: RunFolder, front: Sequence[TrialRecord]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The policy's choice of the front; where an NPU's compiler refuses it, the next, and a note that says so.

    Raises:
        UserError: The last of them is refused.
    """
    from nas.search.front import choose

    passed_over: list[str] = []
    left = list(front)
    while True:
        record = choose(left, job.config.policy)
        try:
            part, notes = _export(job, folder, record)
        except UserError as error:
            left.remove(record)
            if job.target.npu is None or not left:
                raise
            passed_over.append(f"Trial {record.number} was passed over. {error.message}")
        else:
            return part, (*passed_over, *notes)


def _export(job: Job, folder: RunFolder, record: TrialRecord) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The chosen model as a verified bundle, and its part of the result."""
    from nas.accuracy import measure_accuracy
    from nas.export import export, verify
    from nas.result import chosen_model
    from nas.run_models import finished_model

    tflite = folder.model_file(model_key(record.key, record.steps)).read_bytes()
    test = measure_accuracy(tflite, job.dataset, "test", "tflm")
    validation = record.tflm_accuracy or measure_accuracy(tflite, job.dataset, "val", "tflm")
    graph = read_graph(tflite)
    costs = job.model.estimate(graph, file_bytes=len(tflite))
    finished = finished_model(
        tflite,
        dataset=job.dataset,
        config=job.config,
        trial=record.summary(),
        accuracies=(validation, test),
        versions=versions(),
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
    )
    if bundle.manifest.npu is not None:
        part["npu"] = bundle.manifest.npu.model_dump()
    return part, verification.notes
