"""The search engine as an Optuna sampler: Optuna's own contract, and studies over our search spaces."""

from __future__ import annotations

import pickle
import runpy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from cost_models.errors import UserError
from nas.model.evaluation import Evaluated, Request
from nas.strategy.sampler import McuSampler
from nas.strategy.samplers import make_sampler
from nas.strategy.study import open_storage
from nas.testing import check_sampler
from search_spaces.choices import Choices
from search_spaces.space import list_spaces, load_space
from tests.nas.strategy.search_fakes import SPACE, STEPS, FakeEvaluator, make_driver, make_screen

optuna.logging.set_verbosity(optuna.logging.ERROR)


def make(seed: int | None = 1, **changed: Any) -> McuSampler:
    arguments: dict[str, Any] = {
        "space": SPACE,
        "input_shape": (8, 8, 1),
        "classes": 10,
        "budget": "256KB",
        "steps": STEPS,
        "seed": seed,
    }
    return McuSampler(**(arguments | changed))


@pytest.fixture(scope="module")
def _pickled() -> bytes:
    return pickle.dumps(make())


class TestContract(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """Optuna's own tests of any sampler. Those of samplers for a single objective do not apply: ours takes several."""

    @pytest.fixture
    def sampler(self, _pickled: bytes) -> Callable[[], BaseSampler]:
        return lambda: pickle.loads(_pickled)


def test_the_engine_keeps_the_contract_of_samplers() -> None:
    check_sampler(make)


def objective(sampler: McuSampler, evaluate: FakeEvaluator | None = None) -> Callable[[optuna.Trial], float]:
    """As a user would write it, over the fake evaluator."""
    evaluate = evaluate or FakeEvaluator(make_screen())

    def error(trial: optuna.Trial) -> float:
        sampler.candidate(trial)
        steps = sampler.training_steps(trial)
        evaluation = evaluate(
            Request(
                number=trial.number,
                space=SPACE,
                params=trial.params,
                steps=steps,
                full=steps == STEPS[-1],
                seed=1,
                sparsity=0.0,
            )
        )
        assert isinstance(evaluation, Evaluated)
        return 1 - (evaluation.tflm_accuracy or evaluation.accuracy).value

    return error


def asked(trials: list[Any]) -> list[tuple[dict[str, Any], int]]:
    return [(one.params, one.user_attrs["steps"]) for one in trials]


def test_a_study_of_ones_own_gets_the_proposals_of_a_run(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=20)
    sampler = make()
    # The two start from networks that fit, each drawn in its own way.
    sampler._engine_arguments["feasible"] = driver.engine._candidates.feasible
    sampler._forget()
    driver.search()
    records = driver.records()
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective(sampler), n_trials=len(records))
    assert asked(study.trials) == [(one.params, one.steps) for one in records]


def test_a_new_sampler_goes_on_with_a_stored_study_as_the_old_one_would(tmp_path: Path) -> None:
    sampler = make()
    whole = optuna.create_study(sampler=sampler)
    whole.optimize(objective(sampler), n_trials=30)
    storage = open_storage(None, tmp_path / "journal")
    for count in (17, 13):
        sampler = make()
        study = optuna.create_study(storage=storage, study_name="s", sampler=sampler, load_if_exists=True)
        study.optimize(objective(sampler), n_trials=count)
    assert asked(study.trials) == asked(whole.trials)


@pytest.mark.parametrize("url", [None, "sqlite"])
def test_steps_can_be_read_where_the_trial_is(tmp_path: Path, url: str | None) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/db" if url else None, tmp_path / "journal")
    sampler = make()
    study = optuna.create_study(storage=storage, sampler=sampler)
    trial = study.ask()
    sampler.candidate(trial)
    assert trial.user_attrs["steps"] == sampler.training_steps(trial) == STEPS[0]
    assert sampler.training_steps(study.trials[0]) == STEPS[0]


def test_whatever_is_suggested_fits_and_is_trained_longer_where_it_did_well() -> None:
    screen = make_screen("sram=5KB,flash=60KB")
    sampler = make(budget="sram=5KB,flash=60KB")
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective(sampler), n_trials=40)
    assert all(screen(Choices(one.params)).fits for one in study.trials)
    names = [(screen(Choices(params)).digest, steps) for params, steps in asked(study.trials)]
    assert len(set(names)) == 40
    counts = [sum(steps == rung for _, steps in names) for rung in STEPS]
    assert counts[0] > counts[1] > counts[2] > 0


def test_accuracy_may_be_maximized_and_other_objectives_be_added() -> None:
    sampler = make()
    errors = optuna.create_study(sampler=sampler)
    errors.optimize(objective(sampler), n_trials=20)
    sampler = make()
    both = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    error = objective(sampler)
    both.optimize(lambda trial: (1 - error(trial), 5.0), n_trials=20)
    assert asked(both.trials) == asked(errors.trials)


def test_a_network_that_failed_or_breaks_a_constraint_is_not_suggested_again() -> None:
    sampler = make()
    study = optuna.create_study(sampler=sampler)
    error = objective(sampler)
    params = []
    for number in range(30):
        trial = study.ask()
        value = error(trial)
        params.append(frozenset(trial.params.items()))
        if number == 0:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif number == 1:
            trial.set_constraint("sram", 1.0)
            study.tell(trial, 0.001)  # it would be promoted first
        else:
            study.tell(trial, value)
    assert params.count(params[0]) == params.count(params[1]) == 1
    assert len(set(params)) < 30


def test_trials_under_way_are_told_apart_by_two_samplers_on_one_storage() -> None:
    storage = optuna.storages.InMemoryStorage()
    first = optuna.create_study(storage=storage, study_name="s", sampler=make())
    second = optuna.load_study(storage=storage, study_name="s", sampler=make())
    taken = []
    for study in (first, second, first, second, first, second):
        trial = study.ask()
        make().candidate(trial)
        taken.append(frozenset(trial.params.items()))
    assert len(set(taken)) == 6


def test_given_choices_are_trained_in_full_and_learned_from() -> None:
    sampler = make()
    study = optuna.create_study(sampler=sampler)
    given = Choices(rng=np.random.default_rng(3))
    make_screen()(given)
    study.enqueue_trial(given.params)
    study.optimize(objective(sampler), n_trials=10)
    assert study.trials[0].params == given.params
    assert sampler.training_steps(study.trials[0]) == STEPS[-1]
    assert given.params not in [one.params for one in study.trials[1:]]


def test_workers_in_threads_suggest_different_networks() -> None:
    sampler = make()
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective(sampler), n_trials=24, n_jobs=3)
    names = [(frozenset(params.items()), steps) for params, steps in asked(study.trials)]
    assert len(set(names)) == 24


def test_a_new_seed_draws_other_networks() -> None:
    sampler = make()
    before = optuna.create_study(sampler=sampler)
    before.optimize(objective(sampler), n_trials=12)
    again = make()
    again.reseed_rng()
    after = optuna.create_study(sampler=again)
    after.optimize(objective(again), n_trials=12)
    assert asked(before.trials) != asked(after.trials)
    assert make(seed=None)._seed != make(seed=None)._seed


def test_parameters_of_ones_own_are_drawn_at_random_beside_those_of_the_space() -> None:
    sampler = make()
    study = optuna.create_study(sampler=sampler)
    error = objective(sampler)

    def mixed(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
        return min(1.0, error(trial) + rate)

    study.optimize(mixed, n_trials=15)
    assert len({one.params["rate"] for one in study.trials}) == 15
    assert len({steps for _, steps in asked(study.trials)}) > 1


@pytest.mark.parametrize("name", list_spaces())
def test_every_space_can_be_searched_by_name_or_as_an_object(name: str) -> None:
    def search(space: Any) -> list[Any]:
        sampler = make(space=space, input_shape=(32, 3), classes=4, target="esp32c3", budget="sram=16KB")
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda trial: 0.5 / (1 + sampler.candidate(trial).prune_ratio), n_trials=8)
        return asked(study.trials)

    assert search(name) == search(load_space(name))


def test_an_objective_that_is_no_error_is_refused() -> None:
    sampler = make()
    study = optuna.create_study(sampler=sampler)

    def wrong(trial: optuna.Trial) -> float:
        sampler.candidate(trial)
        return 7.5

    with pytest.raises(
        UserError,
        match=r"The first objective of trial 0 is 7\.5\. It must be a validation error, or an accuracy that",
    ):
        study.optimize(wrong, n_trials=2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"budget": "sram=1KB,flash=1KB"},
            "No network of the space fits: of 500 random networks.*Raise the budget",
        ),
        ({"steps": (500, 500)}, r"steps is \(500, 500\)\. Give training steps that ascend"),
        ({"steps": ()}, r"steps is \(\)\."),
        ({"validation_samples": 0}, "validation_samples is 0. It must be at least 1"),
        ({"space": "ds_cn"}, "There is no search space 'ds_cn'"),
    ],
)
def test_what_cannot_be_searched_is_said_at_once(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**changed)


def test_no_warning_is_given() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler = make()
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective(sampler), n_trials=8)


def test_the_example_in_the_docs_runs_as_it_stands(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs/search.md").read_text(encoding="utf-8")
    [example] = [part for part in text.split("```python\n")[1:] if part.startswith("import optuna\nfrom nas")]
    code = example.partition("```")[0].replace("n_trials=100", "n_trials=8")
    stub = "def validation_error(network, steps): return 0.5 if steps == 500 else 0.4\n"
    (tmp_path / "example.py").write_text(stub + code)
    study = runpy.run_path(str(tmp_path / "example.py"))["study"]
    assert {steps for _, steps in asked(study.trials)} == {500, 2000}


def test_the_sampler_file_in_the_docs_is_a_sampler(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs/search.md").read_text(encoding="utf-8")
    [example] = [part for part in text.split("```python\n")[1:] if "SAMPLER =" in part]
    (tmp_path / "own.py").write_text(example.partition("```")[0])
    assert isinstance(make_sampler(str(tmp_path / "own.py"), 3), optuna.samplers.TPESampler)
