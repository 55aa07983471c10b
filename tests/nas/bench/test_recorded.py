"""The recorded benchmark: its table, what it answers, and replays over it."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import spearmanr

from nas.bench import search
from nas.bench.replay import Judge, Ours, Plain, replay
from nas.bench.table import STEPS, TABLES, TASKS, _like, params_of, screen_of
from nas.bench.truth import Truth, read_table
from search_spaces.choices import Choices

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return read_table(TASKS["har"])


@pytest.fixture(scope="module")
def truth(rows: list[dict[str, str]]) -> Truth:
    return Truth(TASKS["har"], rows)


@pytest.mark.parametrize(("task", "networks"), [("fashion14", 200), ("har", 200), ("fsdd", 75)])
def test_many_networks_of_each_task_are_recorded_at_every_fidelity(task: str, networks: int) -> None:
    steps: defaultdict[str, set[int]] = defaultdict(set)
    for row in read_table(TASKS[task]):
        steps[row["network"]].add(int(row["steps"]))
    assert sum(have == set(STEPS) for have in steps.values()) >= networks
    assert (TABLES / TASKS[task].table).stat().st_size < 1 << 20


@pytest.mark.parametrize("task", TASKS)
def test_recorded_costs_are_those_of_the_cost_models(task: str) -> None:
    mine = read_table(TASKS[task])
    screen = screen_of(TASKS[task])
    for row in mine[::40]:
        asked = screen(Choices(params_of(row, screen)))
        assert asked.costs is not None
        assert (asked.costs.sram_bytes, asked.costs.macs) == (int(row["sram_bytes"]), int(row["macs"]))


def test_the_benchmark_ranks_networks_that_it_was_fitted_without(truth: Truth) -> None:
    for k in range(len(STEPS)):
        assert spearmanr(truth.predicted[:, k], truth.errors[:, k])[0] > 0.75


def test_the_same_search_is_replayed_alike_and_keeps_its_time(truth: Truth) -> None:
    runs = []
    for _ in range(2):
        done = replay(Ours(truth, 1, 60.0), truth, seed=1, horizon=60.0)
        runs.append([(one.screened.digest, one.steps, one.ended) for one in done])
    assert runs[0] == runs[1]
    assert runs[0][-1][2] <= 60.0
    assert any(steps == STEPS[-1] for _, steps, _ in runs[0])


def test_ours_beats_plain_random_search_at_equal_compute(truth: Truth, rows: list[dict[str, str]]) -> None:
    judge = Judge.of(truth, rows)
    ours, plain = (
        [judge.score(replay(make(seed), truth, seed=seed, horizon=120.0))[0] for seed in range(4)]
        for make in (lambda seed: Ours(truth, seed, 120.0), lambda seed: Plain("random", truth, seed))
    )
    assert np.mean(ours) > np.mean(plain)


def test_the_table_is_printed_with_intervals_and_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--ways", "random,ours", "--seeds", "2", "--seconds", "100", "--workers", "1", "--tasks", "har"]
    assert search.main(words) == 0
    out = capsys.readouterr().out
    assert "| random | " in out
    assert "ours at 20% of the compute against the best plain way (random) at 100%" in out


def test_values_of_the_table_come_back_as_the_space_asks_for_them() -> None:
    assert _like("True", False) is True
    assert _like("False", True) is False
    assert _like("3", 1) == 3
    assert _like("0.25", 0.5) == 0.25
    assert _like("flatten", "average") == "flatten"
