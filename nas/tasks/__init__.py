"""Tasks: what a network is to learn, one file each; a name on the command line is a file name here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from cost_models.errors import UserError, did_you_mean
from nas.task_options import TaskOptions, check_options
from nas.tasks.dataset import Dataset
from nas.tasks.loading.labels import is_printable

Load = Callable[[str, TaskOptions], Dataset]

_HELPERS = {"__init__", "dataset", "split"}


def list_tasks() -> tuple[str, ...]:
    """Names of the tasks in this folder."""
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in _HELPERS))


def check_task(text: str) -> None:
    """Refuses a name that no file stands for, without loading data.

    Raises:
        UserError: Unknown task.
    """
    name = text.partition(":")[0]
    if name not in list_tasks():
        raise UserError(f"There is no task {name}.", did_you_mean(name, list_tasks()))


def load_task(text: str, options: TaskOptions | None = None) -> Dataset:
    """The data set of `digits`, `npz:PATH` or `images:FOLDER`.

    Args:
        text: Name, a colon and the argument where the task takes one.
        options: What the user says of the data besides; a `RunConfig` has it all.

    Raises:
        UserError: Unknown task, or data that cannot be used.
    """
    check_task(text)
    name, _, argument = text.partition(":")
    options = options or TaskOptions()
    check_options(options, name)
    _check_text(argument)
    load = cast(Load, importlib.import_module(f"nas.tasks.{name}").TASK)
    try:
        return load(argument, options)
    except MemoryError:
        raise UserError(
            f"The data of {text} do not fit into memory.", "Give fewer or smaller samples."
        ) from None


def _check_text(argument: str) -> None:
    """Refuses a path whose name could not be written into reports and manifests.

    Raises:
        UserError: It is no UTF-8, or has characters that cannot be printed.
    """
    if not is_printable(argument):
        raise UserError(
            f"The path {argument!a} has characters that cannot be printed or are not UTF-8.",
            "Rename the file or folder.",
        )
