"""What `nas-run` prints: the plan of a dry run, the front and the verdict, why nothing was delivered."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from cost_models.folded import folded
from cost_models.resources import format_quantity
from nas.run.folder import RunFolder

if TYPE_CHECKING:
    from nas.bundle.delivery import Delivery
    from nas.run.pipeline import RunPlan
    from nas.run.result import RunResult


def complain(text: object, *, prog: str = "nas-run") -> None:
    """A sentence on stderr."""
    print(folded(f"{prog}: {text}", sys.stderr, indent=2), file=sys.stderr)


def print_plan(plan: RunPlan, *, as_json: bool) -> None:
    """The plan of a run, in words or as JSON."""
    if as_json:
        print(json.dumps(_plan_json(plan)))
        return
    for line in _plan_lines(plan):
        print(folded(line, sys.stdout, indent=8))


def print_result(result: RunResult, *, as_json: bool) -> None:
    """The front, the verdict and where to look; on stderr why no model was delivered."""
    from rich.console import Console

    from nas.report import print_boards, print_front

    if as_json:
        print(json.dumps(result.content))
    else:
        console = Console(soft_wrap=False)
        for name, part in (result.boards or {"": result}).items():
            if name:
                console.print(f"== {name}", markup=False, highlight=False)
            print_front(part.summary, console)
            for what, path in (("report", part.report), ("bundle", RunFolder(path=part.path).bundle)):
                if path.exists():
                    console.print(f"{what} {path}", markup=False, highlight=False, soft_wrap=True)
        if result.boards:
            print_boards(result.summary, console)
            console.print(f"report {result.report}", markup=False, highlight=False, soft_wrap=True)
    if not result.delivered:
        for text in (result.refusal, *result.refusal_notes):
            complain(text)


def print_delivery(delivery: Delivery) -> None:
    """The commit that was made; stdout is the result, and with --json it must stay one JSON value."""
    print(delivery_text(delivery), file=sys.stderr)


def delivery_text(delivery: Delivery) -> str:
    """The commit that was made, and the table of changes."""
    if delivery.commit is None:
        return f"branch {delivery.branch} has this very bundle already"
    return f"commit {delivery.commit[:12]} on {delivery.branch}\n{delivery.table}"


def _plan_json(plan: RunPlan) -> dict[str, Any]:
    job = plan.job
    boards = [
        {
            "target": board.name,
            "budget": dict(board.budget.limits()),
            "notes": list(board.budget.notes),
            "drawn": found.drawn,
            "fitting": found.fitting,
        }
        for board, found in zip(job.boards, plan.surveys, strict=True)
    ]
    return {
        "schema": 1,
        "config": job.config.shown(),
        "data": job.dataset.report.to_json(),
        **boards[0],
        **({"boards": boards} if len(boards) > 1 else {}),
    }


def _plan_lines(plan: RunPlan) -> list[str]:
    job = plan.job
    config, info = job.config, job.dataset.info
    lines = [
        f"task    {config.task}: {info.input_shape}, {info.learned()},",
        f"        {info.samples['train']} train, {info.samples['val']} val, {info.samples['test']} test samples",
        *(f"data    {line}" for line in job.dataset.report.lines()),
    ]
    for board, survey in zip(job.boards, plan.surveys, strict=True):
        limits = ", ".join(
            f"{name} <= {format_quantity(name, limit)}" for name, limit in board.budget.limits()
        )
        lines += [
            f"target  {board.name} ({board.model.target.title}): {limits}",
            *(f"        {note}" for note in board.budget.notes),
            f"space   {job.space.name}: {survey.fitting} of {survey.drawn} random networks fit",
        ]
    if (init := plan.init()) is not None:
        lines.append(f"init    {init.text()}")
    if all(survey.feasible for survey in plan.surveys):
        networks = config.networks()
        many = "as many networks as there is time for" if networks is None else f"{networks} networks"
        lines.append(
            f"search  {many}, trained for {config.steps} steps, the best of them longer,"
            f" the best {config.finalists} for {config.final_steps}"
            + (f" to {most}" if (most := config.longest_steps()) > config.final_steps else "")
            + (f" and judged in {config.folds} folds" if config.folds else "")
            + (", the chosen one again on all samples" if config.retrains else "")
        )
    return lines
