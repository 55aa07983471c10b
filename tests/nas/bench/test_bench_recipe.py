from __future__ import annotations

import numpy as np
import pytest

from nas.bench.recipe import CHANGES, differences, interval, table, works
from nas.bench.table import TASKS


def row(network: int, change: str, correct: int, *, task: str = "har") -> dict[str, str]:
    return {
        "task": task,
        "network": str(network),
        "seed": "100",
        "change": change,
        "val_correct": str(correct),
        "test_correct": str(correct),
    }


ROWS = [
    row(1, "nothing", 900),
    row(1, "twice the peak rate", 910),
    row(2, "twice the peak rate", 930),
    row(2, "nothing", 940),
    row(3, "twice the peak rate", 989),  # the other of its pair is still to come
    row(1, "twice the peak rate", 1, task="fsdd"),
]


def test_a_change_is_set_against_the_same_network_and_seed_without_it() -> None:
    points = differences(ROWS, "har", "twice the peak rate", "val")
    assert points == pytest.approx([1000 / 989, -1000 / 989])
    assert not len(differences(ROWS, "fsdd", "twice the peak rate", "val"))


def test_an_interval_is_as_wide_as_students_t_has_it() -> None:
    """Source: t of 97.5 % with 3 degrees of freedom, 3.182 (any table)."""
    mean, half = interval(np.array([1.0, 2.0, 3.0, 4.0]))
    assert mean == 2.5
    assert half == pytest.approx(3.182 * 1.29099 / 2, abs=1e-3)


def test_the_table_has_a_row_for_what_was_trained_twice_at_least() -> None:
    head, line, last = table(ROWS).splitlines()
    assert head.count("|") == line.count("|") == last.count("|")
    assert last.startswith("| twice the peak rate |")
    assert "+0.00 ± 12.85 (2)" in last


def test_every_pair_is_trained_without_a_change_and_with_each_that_matters_there() -> None:
    todo = list(works(list(TASKS), list(CHANGES), 2))
    assert len({work.key for work in todo}) == len(todo)
    for task in TASKS:
        mine = [work for work in todo if work.task == task]
        matter = [name for name, change in CHANGES.items() if task in change.tasks]
        assert sorted(work.change for work in mine) == sorted(2 * matter)
        assert len({(work.network, work.seed) for work in mine}) == 2
    assert {work.seed for work in todo}.isdisjoint({1, 2, 3})  # those of the record
