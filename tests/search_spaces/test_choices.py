"""Choices drawn, replayed and mutated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from search_spaces.choices import Choices


def ask(choices: Choices) -> dict[str, Any]:
    choices.suggest_int("step", 3, 7, step=2)
    choices.suggest_int("log", 4, 64, log=True)
    choices.suggest_float("float", 0.0, 1.0)
    choices.suggest_float("float_log", 0.5, 2.0, log=True)
    choices.suggest_float("float_step", 0.0, 1.0, step=0.25)
    choices.suggest_categorical("word", ("x", "y"))
    return choices.params


def test_drawn_choices_stay_in_their_ranges_and_reach_both_ends() -> None:
    rng = np.random.default_rng(1)
    drawn = [ask(Choices(rng=rng)) for _ in range(500)]
    assert {d["step"] for d in drawn} == {3, 5, 7}
    logs = {d["log"] for d in drawn}
    assert logs <= set(range(4, 65))
    assert {4, 64} <= logs
    assert all(0.0 <= d["float"] <= 1.0 and 0.5 <= d["float_log"] <= 2.0 for d in drawn)
    assert {d["float_step"] for d in drawn} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert {d["word"] for d in drawn} == {"x", "y"}


def test_replayed_choices_are_the_known_ones_and_a_missing_one_is_a_bug() -> None:
    known = ask(Choices(rng=np.random.default_rng(2)))
    assert ask(Choices(known)) == known
    with pytest.raises(KeyError, match="the choice other is not among those to replay"):
        Choices(known).suggest_int("other", 0, 1)
    with pytest.raises(ValueError, match="x"):
        Choices({"word": "z"}).suggest_categorical("word", ("x", "y"))


def test_mutated_choices_keep_most_and_change_some() -> None:
    known = ask(Choices(rng=np.random.default_rng(3)))
    rng = np.random.default_rng(4)
    kept = [ask(Choices(known, rng, change=0.3))["float"] == known["float"] for _ in range(300)]
    assert 0.6 < np.mean(kept) < 0.8
