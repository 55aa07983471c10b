"""What users say of their data besides where they are; a task reads the options that name it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from cost_models.errors import UserError
from nas.model.config_key import facts_of, key

InputKind = Literal["auto", "features", "signals", "images", "channels-first"]


class TaskOptions(BaseModel):
    """Options of tasks; each is a flag and a key of a job file, and part of what makes a search itself.

    Attributes:
        image_size: Side of the pictures in pixels; None keeps or chooses one.
        input_kind: What the axes of arrays are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    image_size: int | None = key(
        None,
        "side of pictures, for images:FOLDER",
        metavar="PIXELS",
        example=48,
        tasks=("images",),
        ge=4,
        le=512,
    )
    input_kind: InputKind = key(
        "auto",
        "axes of npz arrays: features, signals, images or channels-first",
        metavar="KIND",
        default="auto, and said",
        tasks=("npz",),
    )


def check_options(options: TaskOptions, task: str) -> None:
    """Refuses options that the task does not read.

    Args:
        options: What was given.
        task: The task's name, without its argument.

    Raises:
        UserError: An option is of no use to it.
    """
    for name, field in TaskOptions.model_fields.items():
        tasks = facts_of(field).tasks
        if getattr(options, name) != field.default and task not in tasks:
            flag = f"--{name.replace('_', '-')}"
            raise UserError(
                f"{flag} is of no use to the task {task}.", f"It is for {' and '.join(map(_written, tasks))}."
            )


def _written(task: str) -> str:
    return f"{task}:{'PATH' if task in ('npz', 'timeseries') else 'FOLDER'}"
