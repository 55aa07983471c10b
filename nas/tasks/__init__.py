"""Tasks: what a network is to learn, one file each, named in `TASKS`; users bring files of their own.

A task's file exports `TASK`, a function of the text after the task's name and of the options: it returns a
`Dataset`, made by `split_parts` (one heap of samples) or `make_dataset` (the parts as given).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.errors import UserError, did_you_mean
from nas.tasks.options import TaskOptions, check_options, make_options

if TYPE_CHECKING:
    from nas.tasks.dataset import Dataset, make_dataset
    from nas.tasks.split import split_parts

__all__ = [
    "TASKS", "Dataset", "TaskOptions", "check_task", "is_users_task", "load_task", "make_dataset", "split_parts",
]  # fmt: skip

TASKS = ("audio", "digits", "images", "npz", "timeseries")
_LAZY = {
    "Dataset": "nas.tasks.dataset",
    "make_dataset": "nas.tasks.dataset",
    "split_parts": "nas.tasks.split",
}
_EXAMPLE = "See `Your own task` in docs/data.md."


def __getattr__(name: str) -> Any:
    """What needs numpy is imported when it is asked for."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(name)


def is_users_task(name: str) -> bool:
    """Whether the name (without the argument) is that of a file or module of the user's."""
    return name.endswith(".py") or (name not in TASKS and "." in name)


def check_task(text: str) -> None:
    """Refuses a name that stands for no task, without loading data or running code.

    Raises:
        UserError: Unknown task.
    """
    name = text.partition(":")[0]
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise UserError(
                f"There is no task file {name}.", "Give a path to a Python file that exports TASK."
            )
    elif not is_users_task(name) and name not in TASKS:
        raise UserError(f"There is no task {name}.", did_you_mean(name, TASKS))


def load_task(text: str, options: TaskOptions | None = None, **given: Any) -> Dataset:
    """The data set of a task of ours (`digits`, `npz:PATH` ...; see `TASKS`) or of the user's.

    Args:
        text: Name, a colon and the argument where the task takes one.
        options: What the user says of the data besides; a `RunConfig` has it all.
        given: The same by keyword: window="2.5s", label="activity".

    Raises:
        UserError: Unknown task, or data that cannot be used.
    """
    check_task(text)
    name, _, argument = text.partition(":")
    options = options or make_options(given)
    check_options(options, name, own=is_users_task(name))
    _check_text(argument)
    try:
        if is_users_task(name):
            return _load_users(name, argument, options)
        loaded: Dataset = importlib.import_module(f"nas.tasks.{name}").TASK(argument, options)
        return loaded
    except MemoryError:
        raise UserError(
            f"The data of {text} do not fit into memory.", "Give fewer or smaller samples."
        ) from None


def _load_users(name: str, argument: str, options: TaskOptions) -> Dataset:
    """The data set of a user's file or module."""
    from nas.tasks.dataset import Dataset
    from search_spaces.users_code import exported, load_file, load_module, users_fault

    module = load_file(Path(name), "task") if name.endswith(".py") else load_module(name, "task")
    load: Callable[[str, TaskOptions], object] | None = exported(module, "TASK", "task")
    if not callable(load):
        raise UserError(f"{name} exports no TASK.", _EXAMPLE)
    try:
        loaded = load(argument, options)
    except (UserError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        source = load if hasattr(load, "__code__") else str(module.__file__)
        raise UserError(
            f"The task {name} fails: {users_fault(error, source)}.", "Correct the file, or what it is given."
        ) from error
    if not isinstance(loaded, Dataset):
        raise UserError(
            f"The task {name} returns {type(loaded).__name__}, not a Dataset.",
            f"Return what split_parts or make_dataset of nas.tasks make. {_EXAMPLE}",
        )
    for flag, ignored in (
        ("--normal", options.normal is not None and loaded.info.false_alarms is None),
        ("--metric", options.wants_numbers and not loaded.info.targets),
    ):
        if ignored:
            raise UserError(
                f"The task {name} makes nothing of {flag}.",
                f"Hand its options on: split_parts(..., options=options). {_EXAMPLE}",
            )
    return loaded


def _check_text(argument: str) -> None:
    """Refuses a path whose name could not be written into reports and manifests.

    Raises:
        UserError: It is no UTF-8, or has characters that cannot be printed.
    """
    from nas.tasks.loading.labels import is_printable

    if not is_printable(argument):
        raise UserError(
            f"The path {argument!a} has characters that cannot be printed or are not UTF-8.",
            "Rename the file or folder.",
        )
