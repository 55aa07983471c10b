"""Training curves of the report."""

from __future__ import annotations

from typing import Any

import pytest

from nas.report.curves import training_curves
from nas.report.page import render
from tests.nas.report.synthetic_summary import typed


@pytest.fixture
def trained(summary: dict[str, Any]) -> dict[str, Any]:
    """The chosen model's curve, and one of another full training that was cut short."""
    chosen = summary["chosen"]["number"]
    others = [t for t in summary["trials"] if t["state"] == "evaluated" and t["number"] != chosen]
    others[0] |= {"rung": "full", "steps": 400, "cut_at": 100, "curve": [2.0, 1.0]}
    others[1] |= {"rung": "search", "curve": [8.0, 8.0]}
    mine = next(t for t in summary["trials"] if t["number"] == chosen)
    mine |= {"rung": "full", "steps": 400, "curve": [4.0, 2.0, 1.0, 0.0]}
    return summary


def test_the_chosen_training_lies_on_top_of_other_full_ones(trained: dict[str, Any]) -> None:
    curves = training_curves(typed(trained))
    assert curves is not None
    assert [curve.chosen for curve in curves.curves] == [False, True], "short trainings are left out"
    assert curves.curves[1].points == "12.50,0.00 37.50,50.00 62.50,75.00 87.50,100.00"
    assert curves.curves[0].points == "6.25,50.00 18.75,75.00", (
        "a training that was cut ends where it was cut"
    )
    assert curves.steps[-1] == (100.0, "400")
    assert curves.losses[-1] == (0.0, "4.00")


def test_the_page_says_the_curve_in_words(trained: dict[str, Any]) -> None:
    number = trained["chosen"]["number"]
    assert f"Training loss of trial {number}: 4.00 at first, 0.00 at the end, 400 steps" in render(
        typed(trained)
    )


def test_a_run_without_curves_draws_none(summary: dict[str, Any]) -> None:
    assert training_curves(typed(summary)) is None
    assert "Mean training loss" not in render(typed(summary))
