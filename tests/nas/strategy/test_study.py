"""The record: what another search's storage, a wrong URL and a crash do to it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from cost_models.errors import UserError
from nas.model.records import TrialRecord, record_from_json
from nas.strategy.study import Study, open_storage
from search_spaces.choices import Choices
from tests.nas.strategy.search_fakes import make_driver


def test_a_record_survives_the_storage_unchanged(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=6)
    driver.search()
    driver.train_finalists()
    for record in driver.records():
        assert record_from_json(record.to_json()) == record


def test_a_study_of_another_search_is_refused(tmp_path: Path) -> None:
    storage = open_storage(None, tmp_path / "journal")
    Study(storage=storage, name="run", identity={"task": "digits"})
    with pytest.raises(UserError, match=r"already holds a study run of another search\. Give another --out"):
        Study(storage=storage, name="run", identity={"task": "other"})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("here", "--storage here is not a URL"),
        ("nosuch://x", "The storage nosuch://x cannot be opened"),
        ("sqlite:////no/such/folder/db", "The storage sqlite:////no/such/folder/db cannot be opened"),
        (
            "postgresql://nobody:s@cret@127.0.0.1:1/none",
            r"psycopg is not installed|The storage \S+//nobody:\*\*\*@127.0.0.1:1/none cannot",
        ),
    ],
)
def test_a_storage_that_cannot_be_reached_is_one_sentence(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as error:
        open_storage(url, tmp_path / "journal")
    assert "\n" not in str(error.value)


def test_optunas_own_reader_finds_the_whole_journal(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path, trials=6)
    driver.search()
    journal = str(tmp_path / "study.journal")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(journal))
    trials = optuna.load_study(study_name="run", storage=storage).trials
    assert [t.user_attrs["record"]["digest"] for t in trials] == [r.digest for r in driver.study.records()]


def test_a_journal_on_a_full_disk_keeps_whole_lines_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, _ = make_driver(tmp_path, trials=4)
    driver.search()
    before = (tmp_path / "study.journal").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", broken(os.write))
        with pytest.raises(OSError, match=r"No space left on device.*study\.journal"):
            driver.study.ask({"x": 1}, 10, lambda trial: trial.suggest_int("x", 0, 2))
    assert (tmp_path / "study.journal").read_bytes() == before
    again, _ = make_driver(tmp_path, trials=6)
    again.search()
    assert len({r.digest for r in again.records() if r.state == "evaluated"}) == 6


def broken(write: Callable[[int, bytes], int]) -> Callable[[int, bytes], int]:
    """A disk with room for ten bytes."""
    room = [10]

    def some(descriptor: int, content: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        wrote = write(descriptor, content[: room[0]])
        room[0] -= wrote
        return wrote

    return some


def test_a_trial_is_written_at_once_with_its_choices_and_their_ranges(tmp_path: Path) -> None:
    driver, _ = make_driver(tmp_path)
    before = (tmp_path / "study.journal").read_text().count("\n")

    def space(trial: Choices) -> None:
        trial.suggest_int("width", 4, 64, log=True)
        trial.suggest_float("rate", 0.0, 0.5, step=0.25)
        trial.suggest_categorical("kernel", (3, 5))

    driver.study.ask({"width": 8, "rate": 0.25, "kernel": 5}, 10, space)
    assert (tmp_path / "study.journal").read_text().count("\n") == before + 1
    again, _ = make_driver(tmp_path)
    [(trial, params, steps)] = again.study.opened()
    assert (params, steps) == ({"width": 8, "rate": 0.25, "kernel": 5}, 10)
    assert trial.distributions == {
        "width": IntDistribution(4, 64, log=True),
        "rate": FloatDistribution(0.0, 0.5, step=0.25),
        "kernel": CategoricalDistribution((3, 5)),
    }


def test_a_record_of_an_earlier_version_is_read() -> None:
    content = TrialRecord(
        number=3, state="failed", full=True, steps=9, digest="k", params={}, reason="no"
    ).to_json()
    earlier = {**content, "key": content["digest"], "rung": "full"}
    del earlier["digest"], earlier["full"]

    assert record_from_json(earlier) == record_from_json(content)
