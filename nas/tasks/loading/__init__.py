"""How arrays and pictures are read and checked before they become a data set; the tasks are in the folder above."""

from __future__ import annotations

from dataclasses import dataclass

from nas.tasks.loading.kinds import InputKind

PARTS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """What the user says of the data beside where they are.

    Attributes:
        image_size: Side of the pictures in pixels; None keeps or chooses one.
        input_kind: What the axes of arrays are.
    """

    image_size: int | None = None
    input_kind: InputKind = "auto"
