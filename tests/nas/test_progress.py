"""The lines that tell how a run goes, and the plan of a dry run."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from nas.cli.progress import Progress
from nas.cli.run import main
from nas.model.records import TrialRecord
from nas.model.trained import Accuracy

RECORD = TrialRecord(
    number=3, state="failed", full=False, steps=1500, digest="k", params={}, reason="train: no"
)


def lines(*records: TrialRecord, stage: str = "search", total: int = 1) -> list[str]:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.stage(stage, total)
    for record in records:
        progress.trial(record)
    return stream.getvalue().splitlines()


def test_more_trainings_than_expected_raise_the_total() -> None:
    assert [line.split(" trial")[0] for line in lines(RECORD, RECORD, total=1)[1:]] == [
        "  search 1/1",
        "  search 2/2",
    ]


@pytest.mark.parametrize(
    ("stage", "total", "text"),
    [
        ("full training", 1, "full training: 1 training"),
        ("full training", 2, "full training: 2 trainings"),
        ("search", 133_333, "search: about 133,333 trainings"),
    ],
)
def test_a_stage_says_how_much_it_is(stage: str, total: int, text: str) -> None:
    assert lines(stage=stage, total=total) == [text]


def test_reading_is_said_once_where_it_takes_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    clock = iter([0.0, 0.5, 0.5, 1.5, 1.5, 9.0, 9.0])
    monkeypatch.setattr("nas.cli.progress.time.monotonic", lambda: next(clock))
    for done in (1, 2, 3, 4):
        progress.reading("making features of recordings", done, 3000)
    assert stream.getvalue() == "making features of recordings: 3,000\n"


def test_a_failed_trial_names_its_log() -> None:
    assert lines(replace(RECORD, log="trials/3.log"))[1] == (
        "  search 1/1 trial 3, 1,500 steps: failed, train: no (traceback in trials/3.log)"
    )


def test_a_training_that_was_cut_says_after_how_many_steps() -> None:
    accuracy = Accuracy(part="val", engine="litert", correct=9, total=10)
    cut = replace(RECORD, state="evaluated", reason=None, accuracy=accuracy, cut_at=300)
    assert "trial 3, time limit, 300 of 1,500 steps:" in lines(cut)[1]


def test_the_plan_has_units_and_is_not_printed_when_nothing_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--seed", "1", "--budget", "sram=64KB,latency=50ms"]) == 0
    out = capsys.readouterr().out
    assert "sram <= 65,536 B (64.0 KB)" in out
    assert "latency <= 50 ms" in out
    assert "networks, trained for" in out
    assert main(["--dry-run", "--seed", "1", "--budget", "200B"]) == 3
    out, err = capsys.readouterr()
    assert "networks, trained for" not in out
    assert "Nothing fits" in err


def test_where_only_the_time_says_when_a_search_ends_no_total_is_made_up() -> None:
    said = lines(RECORD, total=0)
    assert said[0] == "search: as many trainings as there is time for"
    assert said[1].startswith("  search 1 trial 3,")
