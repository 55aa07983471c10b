"""The front end as a choice of the search: the same data behind several, costs of both, one network for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.frontend.costs import front_end_costs
from nas.model.evaluation import Evaluated, Request
from nas.run.config import make_config
from nas.run.setup import Job, prepare
from nas.strategy.distributions import distributions_of
from nas.strategy.screening import FRONT_END, network_digest
from search_spaces.choices import Choices

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("tflite_micro")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    for name, hertz in (("low", 300.0), ("high", 1500.0)):
        (root / name).mkdir()
        for index in range(12):
            time = np.arange(4000) / 8000
            samples = 0.3 * np.sin(2 * np.pi * hertz * time) + rng.normal(0, 0.02, 4000)
            soundfile.write(root / name / f"{index}.wav", samples, 8000)
    return root


def job(root: Path, **changed: Any) -> Job:
    given = {
        "task": f"audio:{root}",
        "front_end": "search",
        "augment": 0,
        "budget": "sram=32KB,flash=128KB",
        "seed": 1,
    }
    return prepare(make_config(given | changed, {}))


@pytest.fixture(scope="module")
def searched(recordings: Path) -> Job:
    return job(recordings)


def test_the_same_recordings_stand_behind_each_front_end(searched: Job) -> None:
    data = searched.dataset
    assert len(data.behind) == 5
    assert len({each.digest() for each in data.behind.values()}) == 5
    for name, each in data.behind.items():
        assert np.array_equal(each.labels["train"], data.labels["train"])
        spec = each.info.frontend
        assert spec is not None
        assert each.info.input_shape == (spec.frames, spec.bands, 1)
        assert f"{spec.bands} bands" in name
    assert data.info.frontend == next(iter(data.behind.values())).info.frontend
    assert any("The front end is searched, of 5." in note for note in data.notes)


def test_the_front_end_is_a_choice_beside_those_of_the_space(searched: Job) -> None:
    names = list(searched.dataset.behind)
    asked = distributions_of(searched.screen)
    assert list(asked[FRONT_END].choices) == names  # type: ignore[attr-defined]
    drawn = Choices(rng=np.random.default_rng(2))
    searched.screen(drawn)
    screened = [searched.screen(Choices(drawn.params | {FRONT_END: name})) for name in names]
    assert len({each.digest for each in screened}) == len(names)
    for name, each in zip(names, screened, strict=True):
        assert each.candidate.wide.input_shape == searched.dataset.behind[name].info.input_shape


def test_costs_are_those_of_front_end_and_network_and_limits_hold_for_both(searched: Job) -> None:
    drawn = Choices(rng=np.random.default_rng(2))
    searched.screen(drawn)
    params = drawn.params
    alone, both = searched.behind(params), searched.screen(Choices(params)).costs
    network = alone.screen(Choices(params)).costs
    spec = alone.dataset.info.frontend
    assert both is not None
    assert network is not None
    assert spec is not None
    front_end = front_end_costs(spec, searched.target)
    assert both.sram_bytes == network.sram_bytes + front_end.sram_bytes
    assert both.flash_bytes == network.flash_bytes + front_end.flash_bytes
    assert both.cycles == (network.cycles or 0) + (front_end.frame.cycles or 0)
    assert both.macs == network.macs
    assert alone.budget.limit("sram") == 32 * 1024 - front_end.sram_bytes
    assert searched.budget.limit("sram") == 32 * 1024


def test_a_network_without_a_choice_of_front_end_keeps_its_name(searched: Job) -> None:
    drawn = Choices(rng=np.random.default_rng(2))
    proposed = searched.screen.candidate(drawn)
    alone = searched.behind(drawn.params).screen.candidate(Choices(drawn.params))
    assert alone.wide == proposed.wide
    assert network_digest(alone) == alone.wide.digest()[:16] or alone.prune_ratio > 0
    assert network_digest(alone) != network_digest(proposed)


def test_front_ends_that_leave_a_network_nothing_are_not_searched_and_this_is_said(
    searched: Job, recordings: Path
) -> None:
    costs = sorted(
        front_end_costs(spec, searched.target).sram_bytes
        for each in searched.dataset.behind.values()
        if (spec := each.info.frontend) is not None
    )
    tight = job(recordings, budget=f"sram={costs[2]}B")
    assert 0 < len(tight.front_ends) < 5
    dropped = [note for note in tight.dataset.notes if note.startswith("Not searched: ")]
    assert len(dropped) == 5 - len(tight.front_ends)
    assert list(tight.dataset.behind) == [each.name for each in tight.front_ends]
    with pytest.raises(UserError, match="The front end alone takes"):
        job(recordings, budget=f"sram={costs[0]}B")


def test_a_worker_trains_behind_the_front_end_that_is_asked(searched: Job) -> None:
    from nas.tf.worker import make_evaluator

    board = searched.boards[0]
    evaluator = make_evaluator(
        dataset=searched.dataset,
        target=searched.target,
        budget=searched.budget,
        front_ends={
            each.name: [(searched.target, one.budget, one.taken) for one in each.boards]
            for each in searched.front_ends
        },
    )
    assert board.taken == {}
    params: dict[str, Any] = {}
    rng, wanted = np.random.default_rng(2), list(searched.dataset.behind)[3]
    while not params:
        drawn = Choices(rng=rng)
        if searched.screen(drawn).fits and drawn.params[FRONT_END] == wanted:
            params = drawn.params
    ended = evaluator(
        Request(number=0, space="ds_cnn", params=params, steps=5, full=False, seed=1, sparsity=0.0)
    )
    assert isinstance(ended, Evaluated)
    screened = searched.screen(Choices(params))
    assert ended.costs == screened.costs
    assert ended.digest == screened.digest
