"""What a budget admits of each search space, before anything is trained: shares, limits that bind, capacity."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cost_models.errors import UserError
from nas.model.explanation import ExplainedTarget, ExplainedTask, Explanation, Record
from nas.run.config import RunConfig
from nas.run.folder import RunFolder
from nas.run.setup import prepare
from nas.run.space_look import look
from nas.run.warm_start import EarlierTraining, earlier_trainings
from nas.strategy.screening import FRONT_END
from search_spaces.space import list_spaces

DRAWS = 2000
SECONDS = 50.0  # for all spaces together; a slow machine draws fewer networks, and that is said
_SEED = 0  # where none is given: two calls then say the same


def explain(
    config: RunConfig,
    *,
    spaces: Sequence[str] | None = None,
    draws: int = DRAWS,
    seconds: float = SECONDS,
    say: Callable[[str], None] = lambda text: None,
) -> Explanation:
    """What the budget of a run admits; trains nothing, writes nothing.

    Args:
        config: The run.
        spaces: Which spaces; None for all that are shipped.
        draws: Random networks of each; changes of the best are in proportion.
        seconds: After this fewer are drawn.
        say: Is told which space is looked at.

    Raises:
        UserError: A name, limit, data set or earlier run that cannot be used.
    """
    begin = time.monotonic()
    config = config if config.seed is not None else config.model_copy(update={"seed": _SEED})
    names = tuple(spaces) if spaces is not None else list_spaces()
    config = _with_recorded_space(config, given=spaces is not None)
    job = prepare(config)
    whole = job.dataset
    if job.front_ends:
        job = job.behind({FRONT_END: job.front_ends[0].name})  # the one that is taken without a search
    trainings: tuple[EarlierTraining, ...] = ()
    record = None
    if config.warm_start is not None:
        metric = job.dataset.info.metric
        trainings = earlier_trainings(
            config.warm_start, config=config, data_digest=whole.digest(), metric=metric
        )
        record = Record(run=config.warm_start, space=config.space, metric=metric, trainings=len(trainings))
    looked = []
    for index, name in enumerate(names):
        say(name)
        left = seconds - (time.monotonic() - begin)
        known = trainings if record is not None and name == record.space else None
        looked.append(look(job, name, draws, max(0.5, left / (len(names) - index)), known))
    return Explanation(
        task=ExplainedTask(
            name=config.task,
            input_shape=job.dataset.info.input_shape,
            classes=len(job.dataset.info.class_names),
            learned=job.dataset.info.learned(),
        ),
        target=ExplainedTarget(name=job.target.name, title=job.target.title, basis=job.model.basis),
        budget=dict(job.budget.limits()),
        certain=job.budget.certain,
        notes=job.budget.notes,
        seed=job.seed,
        seconds=round(time.monotonic() - begin, 2),
        record=record,
        spaces=tuple(looked),
    )


def _with_recorded_space(config: RunConfig, *, given: bool) -> RunConfig:
    """Where no space was asked for, an earlier run is looked up in its own, if that is a shipped one."""
    if config.warm_start is None or given:
        return config
    folder = RunFolder(path=Path(config.warm_start))
    try:
        space = str(folder.load_config()["config"]["space"])
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return config  # `earlier_trainings` says what is wrong
    if space not in list_spaces():
        raise UserError(
            f"{config.warm_start} searched the space {space}, which is none of the shipped ones.",
            f"Name it: --space {space}.",
        )
    return config.model_copy(update={"space": space})
