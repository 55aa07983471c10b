"""The expected optimism of choices among recorded networks."""

from __future__ import annotations

import pytest

from nas.bench.optimism import compare


@pytest.mark.parametrize("task", ["fashion14", "har"])
def test_the_expected_optimism_of_a_choice_among_recorded_networks_is_the_actual(task: str) -> None:
    actual, expected, _, of_few, expected_of_few = compare(task, 4, draws=100).mean(axis=0)
    assert expected == pytest.approx(actual, abs=0.002)
    assert expected_of_few == pytest.approx(of_few, rel=0.2)
