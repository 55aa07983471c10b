"""Other samplers behind the same screen and rungs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import optuna
import pytest

from cost_models.errors import UserError
from nas.run.config import SAMPLERS, RunConfig
from nas.strategy import screened_sampler
from nas.strategy.driver import Driver
from nas.strategy.samplers import make_sampler
from nas.testing import check_sampler
from search_spaces.choices import Choices
from tests.nas.strategy.search_fakes import STEPS, Heard, make_driver, make_screen

TIGHT = "sram=5KB,flash=60KB"
OWN = """
import optuna

class Counting(optuna.samplers.RandomSampler):
    def __init__(self, seed):
        super().__init__(seed=seed)
        self.ended = []

    def after_trial(self, study, trial, state, values):
        self.ended.append((trial.number, state, values, dict(trial.constraints)))

SAMPLER = Counting
"""


def names(driver: Driver) -> list[tuple[str, int]]:
    return [(one.digest, one.steps) for one in driver.records()]


@pytest.mark.parametrize("name", ["tpe", "nsga2", "random", "own.py"])
def test_any_sampler_proposes_behind_the_screen_and_the_rungs(tmp_path: Path, name: str) -> None:
    if name == "own.py":
        name = str(tmp_path / name)
        Path(name).write_text(OWN)
    screen = make_screen(TIGHT)
    driver, _ = make_driver(tmp_path, screen=screen, trials=18, sampler=name)
    assert driver.search() == "trials"
    done = names(driver)
    assert len(done) == len(set(done)), "nothing is trained twice"
    assert all(screen(Choices(one.params)).fits for one in driver.records())
    counts = [sum(steps == rung for _, steps in done) for rung in STEPS]
    assert counts == [18, 6, 2]
    usual, _ = make_driver(tmp_path / "..", screen=screen, trials=1)
    assert usual.engine.source is None


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in ("nas", "gp")])
def test_every_sampler_keeps_the_contract(name: str) -> None:
    def make(seed: int) -> optuna.samplers.BaseSampler:
        made = make_sampler(name, seed)
        assert made is not None
        return made

    check_sampler(make)


def test_the_same_seed_gives_the_same_search_and_another_sampler_another(tmp_path: Path) -> None:
    runs = []
    for number, name in enumerate(("nsga2", "nsga2", "tpe", "nas")):
        folder = tmp_path / str(number)
        folder.mkdir()
        driver, _ = make_driver(folder, trials=14, sampler=name)
        driver.search()
        runs.append(names(driver))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0] != runs[3]


def test_the_sampler_learns_what_does_not_fit_and_the_run_does_not_record_it(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, screen=make_screen(TIGHT), trials=8, sampler="random")
    driver.search()
    trials = driver.study._study.trials
    refused = [one for one in trials if "record" not in one.user_attrs]
    assert refused
    assert len(trials) == len(refused) + len(driver.records())
    for one in refused:
        assert one.state == optuna.trial.TrialState.COMPLETE
        assert one.values[0] == 1.0 or not one.constraints, "a known network ends with its error"
        assert one.values[1] > 0
        if one.constraints:
            assert max(one.constraints.values()) > 0
    assert any(one.constraints for one in refused)


def test_a_resumed_search_goes_on_with_other_proposals_and_ends_trials_that_were_never_begun(
    tmp_path: Path,
) -> None:
    driver, _ = make_driver(tmp_path, trials=6, sampler="random")
    driver.search()
    before = names(driver)
    from nas.strategy.distributions import distributions_of

    drawn = driver.study.draw(distributions_of(driver.engine.screen), "random")
    again, _ = make_driver(tmp_path, trials=12, sampler="random")
    again.search()
    assert names(again)[: len(before)] == before
    assert len({key for key, _ in names(again)}) == 12
    assert again.study._study.trials[drawn.number].state == optuna.trial.TrialState.FAIL
    # Hardly a proposal was drawn twice.
    assert sum("record" not in one.user_attrs for one in again.study._study.trials) <= 2


def test_a_sampler_that_finds_nothing_new_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screened_sampler, "_MOST_REFUSED", 20)
    own = tmp_path / "same.py"
    own.write_text(
        "import optuna\n"
        "class Same(optuna.samplers.RandomSampler):\n"
        "    def sample_independent(self, study, trial, name, distribution):\n"
        "        return getattr(distribution, 'choices', [getattr(distribution, 'low', None)])[0]\n"
        "SAMPLER = lambda seed: Same()\n"
    )
    driver, _ = make_driver(tmp_path, trials=6, sampler=str(own))
    assert driver.search() == "exhausted"
    assert len(driver.records()) == 1
    assert isinstance(driver.listener, Heard)
    assert driver.listener.said[-1] == (
        f"the sampler {own} found no new network that fits in 20 proposals: no more are begun"
    )
    known = [one.values[0] for one in driver.study._study.trials[1:]]
    assert set(known) == {1 - driver.records()[0].value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "x = 1",
            r"own\.py exports no sampler\. It needs SAMPLER, a function of a seed that returns an Optuna",
        ),
        ("SAMPLER = 3", r"own\.py exports no sampler\."),
        (
            "import nothing_like_this",
            r"own\.py fails to load: ModuleNotFoundError: No module named 'nothing_like",
        ),
        ("SAMPLER = lambda: 1", r"own\.py fails to start: TypeError: .*SAMPLER must take a seed"),
        (
            "SAMPLER = lambda seed: seed",
            r"SAMPLER of \S+own\.py returns int\. It must return an optuna\.samplers",
        ),
    ],
)
def test_a_file_that_holds_no_sampler_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        make_sampler(str(tmp_path / "own.py"), 1)
    assert "\n" not in str(error.value)


def test_a_sampler_that_fails_in_the_search_is_named(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "import optuna\n"
        "class Broken(optuna.samplers.RandomSampler):\n"
        "    def sample_independent(self, study, trial, name, distribution):\n"
        "        return 1 / 0\n"
        "SAMPLER = lambda seed: Broken()\n"
    )
    driver, _ = make_driver(tmp_path, sampler=str(own))
    with pytest.raises(
        UserError,
        match=r"The sampler \S+own\.py fails: ZeroDivisionError: division by zero \(own\.py, line 4\)",
    ):
        driver.search()


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_gp_says_what_it_needs() -> None:
    with pytest.raises(UserError, match=r"--sampler gp needs PyTorch\. Install it: pip install torch\."):
        make_sampler("gp", 1)


def test_the_sampler_makes_a_search_what_it_is_and_earlier_runs_can_be_resumed() -> None:
    assert RunConfig(sampler="tpe").search_identity()["sampler"] == "tpe"
    assert "sampler" not in RunConfig().search_identity()
    assert make_sampler("nas", 1) is None
    assert all(make_sampler(name, 1) is not None for name in SAMPLERS if name not in ("nas", "gp"))
