from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.model.records import State, TrialRecord
from nas.report.live import LiveReport
from nas.report.page import render
from tests.nas.report.synthetic_summary import typed


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(number: int, state: State = "evaluated") -> TrialRecord:
    return TrialRecord(number=number, state=state, full=False, steps=500, digest=f"k{number}", params={})


def make(summary: dict[str, Any]) -> tuple[LiveReport, Clock, list[str]]:
    clock, pages = Clock(), list[str]()
    live = LiveReport(
        Path("report.html"),
        summarize=lambda: summary | {"chosen": None, "stopped_by": "running"},
        write=lambda path, content: pages.append(content.decode()),
        clock=clock,
    )
    return live, clock, pages


def test_the_page_appears_with_the_first_training_and_says_when_the_search_ends(
    summary: dict[str, Any],
) -> None:
    live, clock, pages = make(summary)
    live.stage("search", 10)
    clock.now = 20.0
    live.trial(record(0))
    assert len(pages) == 1
    assert "Search: 1 of 10 trainings, best validation accuracy " in pages[0]
    assert "About 3\xa0min 00\xa0s to go at the pace so far." in pages[0]
    assert "location.reload()" in pages[0]


def test_the_page_is_not_written_for_every_training(summary: dict[str, Any]) -> None:
    live, clock, pages = make(summary)
    live.stage("search", 100)
    for number in range(60):
        clock.now += 1.0
        live.trial(record(number))
    assert len(pages) == 6
    live.trial(record(60, "rejected"))
    assert "51 of 100 trainings" in pages[-1]


def test_trainings_before_a_resume_say_nothing_of_the_pace(summary: dict[str, Any]) -> None:
    live, clock, pages = make(summary)
    live.stage("search", 10)
    for number in range(5):
        live.trial(record(number))
    assert "to go at the pace" not in pages[0]
    clock.now = 30.0
    live.trial(record(5))
    assert "About 2\xa0min 00\xa0s to go" in pages[-1]


def test_a_finished_report_does_not_reload(summary: dict[str, Any]) -> None:
    assert "location.reload" not in render(typed(summary))
    assert 'http-equiv="refresh"' not in render(typed(summary))
