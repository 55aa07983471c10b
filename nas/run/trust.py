"""Code that a run folder names runs only for those who named it themselves, or say that they trust it."""

from __future__ import annotations

from collections.abc import Collection

from cost_models.errors import UserError
from nas.run.config import RunConfig
from nas.tasks import is_users_task
from search_spaces.mlperf_tiny import SPACE_NAME as MLPERF_TINY
from search_spaces.space import list_spaces


def refuse_resume(path: str, config: RunConfig, named: Collection[str]) -> None:
    """Refuses a resume that would run such code.

    Args:
        path: The run folder, for messages.
        config: What it holds.
        named: The keys that the user gave besides.

    Raises:
        UserError: Its task, search space or sampler is code that the user did not name.
    """
    own = (
        ("task", "learns the task", _has_own_task(config)),
        ("space", "searches the space", config.space not in (*list_spaces(), MLPERF_TINY)),
        ("sampler", "searches by the sampler", config.sampler.endswith(".py")),
    )
    for key, does, is_code in own:
        if is_code and key not in named:
            name = getattr(config, key)
            raise UserError(
                f"The run {path} {does} {name}, which is code that a resume would execute.",
                f"Add --trust-space if you trust it, or name it yourself: --{key} {name}.",
            )


def refuse_export(path: str, config: RunConfig) -> None:
    """Refuses an export that would run such code: it loads the data again, and nothing else.

    Args:
        path: The run folder, for messages.
        config: What it holds.

    Raises:
        UserError: Its task is code.
    """
    if _has_own_task(config):
        raise UserError(
            f"The run {path} learns the task {config.task}, which is code that an export would execute.",
            "Add --trust-space if you trust it.",
        )


def _has_own_task(config: RunConfig) -> bool:
    return is_users_task(config.task.partition(":")[0])
