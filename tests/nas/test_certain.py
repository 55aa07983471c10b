"""`--certain`: predictions held to their limits by the upper ends, from the flag to the screen."""

from __future__ import annotations

from nas.cli.run import _parse
from nas.run.config import RunConfig
from nas.run.setup import prepare

BUDGET = "latency=20ms"


def test_the_flag_is_a_key_of_the_job_and_off_by_default() -> None:
    assert _parse(["--certain"]) == {"certain": True}
    assert _parse([]) == {}
    assert RunConfig().certain is False


def test_a_certain_search_is_another_search() -> None:
    plain, certain = RunConfig().search_identity(), RunConfig(certain=True).search_identity()
    assert "certain" not in plain
    assert certain == plain | {"certain": True}


def test_the_screen_holds_networks_to_the_upper_ends() -> None:
    job = prepare(RunConfig(certain=True, budget=BUDGET, target="stm32u575", seed=1))
    assert job.budget.certain
    assert "upper ends" in job.budget.notes[0]
    assert job.screen.budget is job.budget
    assert not prepare(RunConfig(budget=BUDGET, target="stm32u575", seed=1)).budget.certain
