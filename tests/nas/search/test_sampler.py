"""What the sampler remembers of a long search."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from search_fakes import make_driver

from nas.search import sampler
from nas.search.front import pareto_front
from nas.search.sampler import Memory


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "_RECENT", 6)
    monkeypatch.setattr(sampler, "_BEST", 5)
    monkeypatch.setattr(sampler, "_SLACK", 2)


def remembered(folder: Path) -> tuple[Memory, list[optuna.trial.FrozenTrial]]:
    driver, _ = make_driver(folder, trials=30)
    driver.search()
    memory = Memory()
    trials = [t for t in driver.study._study.get_trials(deepcopy=False) if "record" in t.user_attrs]
    for trial, record in zip(trials, driver.study.records(), strict=True):
        memory.add(trial, record)
    return memory, trials


def test_a_short_search_is_remembered_whole(tmp_path: Path) -> None:
    memory, trials = remembered(tmp_path)
    assert [t.number for t in memory.trials()] == [t.number for t in trials]


@pytest.mark.usefixtures("small")
def test_a_long_search_is_remembered_by_its_latest_and_its_best(tmp_path: Path) -> None:
    memory, trials = remembered(tmp_path)
    numbers = [t.number for t in memory.trials()]
    assert numbers == sorted(numbers)
    assert len(numbers) <= 6 + 2 + 5
    assert [t.number for t in trials[-6:]] == numbers[-6:]
    driver, _ = make_driver(tmp_path, trials=30)
    old = [r for r in driver.study.records() if r.number < numbers[-6]]
    best = min(pareto_front(old), key=lambda r: -r.value)
    assert best.number in numbers


@pytest.mark.usefixtures("small")
def test_a_resumed_search_remembers_the_same(tmp_path: Path) -> None:
    memory, _ = remembered(tmp_path)
    again, _ = make_driver(tmp_path, trials=30)
    assert [t.number for t in again.study._memory.trials()] == [t.number for t in memory.trials()]
    assert again.study._memory.space == memory.space
