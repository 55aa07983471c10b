"""How arrays, pictures and tables are read and checked before they become a data set; tasks lie above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from nas.tasks.loading.kinds import InputKind

PARTS = ("train", "val", "test")

Missing = Literal["refuse", "drop", "interpolate"]
MISSING_CHOICES: tuple[Missing, ...] = get_args(Missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """What the user says of the data beside where they are.

    Attributes:
        image_size: Side of the pictures in pixels; None keeps or chooses one.
        input_kind: What the axes of arrays are.
        label: Column of labels in tables; a file of them; "folder" for class folders; None finds them.
        group: Column of groups, which no split parts; "folder" for the first folder; "none"; None finds one.
        time: Column of times; "none"; None finds one.
        missing: What to do about missing values, gaps in time and times that do not rise.
        window: Length of a window in rows ("64") or seconds ("2.5s"); None where each file is one sample.
        hop: From one window to the next, in the same way; None for half a window.
        sample_rate: In Hz: of tables without times; with times, what they are resampled to.
    """

    image_size: int | None = None
    input_kind: InputKind = "auto"
    label: str | None = None
    group: str | None = None
    time: str | None = None
    missing: Missing = "refuse"
    window: str | None = None
    hop: str | None = None
    sample_rate: float | None = None
