"""Numbers to predict from recordings: columns that are read as channels are, and learned from the windows before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cost_models.errors import UserError
from nas.model.regression import Numbers
from nas.model.words import listed
from nas.tasks.loading.columns import Roles, choose_roles
from nas.tasks.loading.label_sources import Sources
from nas.tasks.loading.stretches import Stretch
from nas.tasks.loading.tables import Head
from nas.tasks.loading.windows import Indices, Windows
from nas.tasks.options import TaskOptions

_ALL = "number"  # the one class that splits and windows see


def named_targets(options: TaskOptions) -> tuple[str, ...]:
    """The columns of the numbers to predict; none where classes are told.

    Raises:
        UserError: The metric is of numbers, and no column is named.
    """
    if not options.wants_numbers:
        return ()
    names = tuple(name.strip() for name in (options.label or "").split(",") if name.strip())
    if not names:
        raise UserError(
            "Which column has the numbers to predict is not said.",
            "Name it, or several, with --label COLUMN.",
        )
    return names


def number_roles(
    heads: Sequence[Head], targets: tuple[str, ...], sources: Sources, options: TaskOptions
) -> Roles:
    """The role of each column; the numbers to predict are the last channels."""
    roles = choose_roles(
        heads,
        label=targets[0],
        group=sources.group_column,
        time=options.time,
        labels_elsewhere=False,
        channels=options.channels,
    )
    if unknown := [name for name in targets if name not in heads[0].names]:
        raise UserError(
            f"There is no column {unknown[0]}.",
            f"Columns are {listed([n for n in heads[0].names if n], 12)}.",
        )
    channels = tuple(name for name in roles.channels if name not in targets)
    if not channels:
        raise UserError("No channel is left to predict from.", "Name channels with --channels.")
    return replace(
        roles,
        label=None,
        channels=(*channels, *targets),
        notes=(
            *roles.notes,
            f"Predicted is what {listed(targets, 12)} {'is' if len(targets) == 1 else 'are'} at the last row of a"
            " window.",
        ),
    )


def without_classes(sources: Sources, files: Sequence[str]) -> Sources:
    """The sources of recordings that all are of one class."""
    return replace(sources, label_column=None, labels=dict.fromkeys(files, _ALL))


def last_rows(stretches: Sequence[Stretch], windows: Windows, chosen: Indices, columns: int) -> Numbers:
    """The last `columns` channels at the last row of some windows. Shape: (n, columns)."""
    rows = np.empty((len(chosen), columns))
    ends = windows.start[chosen] + windows.rows - 1
    which = windows.stretch[chosen]
    for index in np.unique(which).tolist():
        here = which == index
        rows[here] = stretches[index].values[ends[here], -columns:]
    return rows
