from __future__ import annotations

import re

import pytest

from nas.bench.costs import main, networks
from search_spaces.space import list_spaces


def test_the_same_seed_draws_the_same_networks() -> None:
    first, again, other = (networks(["ds_cnn"], 10, seed) for seed in (1, 1, 2))
    assert [spec.digest() for spec in first] == [spec.digest() for spec in again]
    assert [spec.digest() for spec in first] != [spec.digest() for spec in other]


def test_every_space_gives_networks() -> None:
    for name in list_spaces():
        assert len(networks([name], 5, 0)) == 5


def test_the_benchmark_reports_median_growth_batch_and_stages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--n", "60", "--profile"]) == 0
    out = capsys.readouterr().out
    median = re.search(r"^median (\d+) us", out, re.MULTILINE)
    assert median is not None
    assert 0 < int(median[1]) < 100_000
    assert re.search(r"^growth -?\d+ us \+ -?[\d.]+ us per operator", out, re.MULTILINE)
    assert re.search(
        r"^where  lower \d+ us, arena \d+ us, model bytes \d+ us, cycles \d+ us", out, re.MULTILINE
    )
    assert "model_bytes.py" in out


def test_an_unknown_target_is_a_users_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--n", "1", "--target", "nrf5284"]) == 2
    assert capsys.readouterr().err == ("bench_costs: There is no target 'nrf5284'. Did you mean nrf52840?\n")
