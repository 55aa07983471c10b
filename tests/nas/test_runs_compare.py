"""`nas-runs compare`: what changed, the fronts over each other, and the page that draws them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cost_models.errors import UserError
from nas.cli.runs import main
from nas.model.comparison import Comparison
from nas.model.result import RunSummary
from nas.report.comparison_page import render_comparison
from nas.run.comparison import MOST_RUNS, compare
from nas.run.stored_run import open_stored_run
from nas.strategy.pareto import dominates
from tests.nas.report.kinds_of_run import of_numbers
from tests.nas.report.synthetic_summary import synthetic_summary
from tests.nas.runs_on_disk import write_run, write_two_runs

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with runs/ of two runs, and a clock in UTC."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    write_two_runs(tmp_path / "runs")
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


def printed(capsys: Capture, *argv: str, code: int = 0) -> str:
    """What a call prints to stdout."""
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert not err, err
    return out


def refused(capsys: Capture, *argv: str) -> str:
    """The sentence on stderr."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "Traceback" not in err
    return err.removeprefix("nas-runs: ").rstrip("\n")


def tiny(*front: tuple[float, int], **parts: Any) -> dict[str, Any]:
    """A run whose front is known to the digit: accuracies and bytes of SRAM."""
    summary = synthetic_summary(trials=24)
    trial = next(trial for trial in summary["trials"] if trial["state"] == "evaluated")
    summary["trials"] = [
        trial
        | {"number": number, "accuracy": accuracy, "tflm_accuracy": None}
        | {"costs": trial["costs"] | {"sram_bytes": sram}}
        for number, (accuracy, sram) in enumerate(front)
    ]
    summary["front"] = list(range(len(front)))
    summary["chosen"]["number"] = 0
    return summary | parts


def test_dominance_and_hypervolume_are_those_of_a_known_pair(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", tiny((0.9, 2000), (0.8, 1000)))
    other = write_run(tmp_path / "b", tiny((0.8, 2000)))
    found = compare([open_stored_run(one), open_stored_run(other)])
    assert found.overlaps[0].dominated == (0, 1)
    assert found.best["accuracy"] == pytest.approx(0.9)
    assert found.reference["accuracy"] == pytest.approx(0.79)
    assert found.reference["sram_bytes"] == pytest.approx(2100)
    # Flash and cycles are equal everywhere, so the box is the square of accuracy and SRAM.
    assert [run.hypervolume for run in found.runs] == pytest.approx([0.21 / 1.21, 0.01 / 1.21])


def test_dominated_models_are_counted_as_their_definition_has_it(here: Path) -> None:
    runs = [open_stored_run(here / "runs" / name) for name in ("first", "second")]
    found = compare(runs)
    assert found.objectives == ("accuracy", "sram_bytes", "flash_bytes", "cycles")
    fronts = []
    for run in runs:
        trials = {trial.number: trial for trial in run.summary.trials}
        members = [trials[number] for number in run.summary.front]
        fronts.append(
            [(1 - t.value, *((t.costs or {})[key] for key in found.objectives[1:])) for t in members]
        )
    expected = tuple(
        sum(any(dominates(q, p) for q in fronts[1 - side]) for p in fronts[side]) for side in (0, 1)
    )
    assert found.overlaps[0].dominated == expected
    assert all(run.hypervolume is not None and 0 < run.hypervolume < 1 for run in found.runs)


def test_a_run_beside_itself_differs_in_nothing(here: Path, capsys: Capture) -> None:
    text = printed(capsys, "compare", "first", "runs/first")
    assert "Nothing changed: the same configuration, data and versions." in text
    content = json.loads(printed(capsys, "compare", "first", "first", "--json"))
    assert content["overlaps"] == [{"runs": ["A", "B"], "dominated": [0, 0]}]
    assert content["runs"][0]["hypervolume"] == content["runs"][1]["hypervolume"]


def test_what_changed_and_the_chosen_models_stand_side_by_side(here: Path, capsys: Capture) -> None:
    summary = synthetic_summary(seed=3)
    summary["versions"]["numpy"] = "2.5.0"
    summary["budget"][0]["limit"] = 20480
    write_run(here / "runs/third", summary, budget="20KB")
    lines = printed(capsys, "compare", "first", "second", "third").splitlines()
    assert lines[:3] == [
        "A  runs/first, 2026-11-23 08:14, finished",
        "B  runs/second, 2026-11-24 10:00, finished",
        "C  runs/third, 2026-11-23 08:14, finished",
    ]
    assert "  steps              A, C: 500; B: 1000" in lines
    assert "  budget             A, B: 24KB; C: 20KB" in lines
    assert "  budget SRAM        A, B: 24.0 KB; C: 20.0 KB" in lines
    assert "  versions numpy     A, B: –; C: 2.5.0" in lines
    start = lines.index("Chosen models")
    assert lines[start + 1].split() == ["Trial", "Test", "95", "%", "interval", "SRAM", "Flash", "Latency"]
    assert lines[start + 2].startswith("  A     13  98.6 %  96.8 % to 99.4 %  16.1 KB  72.5 KB  16.8 ms")
    start = lines.index("Fronts by validation accuracy, SRAM, flash and cycles")
    assert lines[start + 1].split() == ["Models", "Hypervolume", "Dominated", "by", "A", "by", "B", "by", "C"]
    assert [line.split()[0] for line in lines[start + 2 : start + 5]] == ["A", "B", "C"]
    assert "to the reference (accuracy" in lines[start + 5]


def test_on_other_targets_flash_and_cycles_are_not_compared(here: Path, capsys: Capture) -> None:
    summary = synthetic_summary(seed=3)
    summary["target"] |= {"name": "rp2040", "core": "cortex-m0plus"}
    write_run(here / "runs/third", summary, target="rp2040")
    text = printed(capsys, "compare", "first", "third")
    assert "note: The targets differ, so flash and cycles are not comparable" in text
    assert "Fronts by validation accuracy and SRAM\n" in text
    assert "  target core        A: cortex-m4; B: cortex-m0plus\n" in text


def test_on_other_data_only_what_is_comparable_is_compared(here: Path, capsys: Capture) -> None:
    same = synthetic_summary(seed=3)
    write_run(here / "runs/resized", same, data="b" * 64)
    text = printed(capsys, "compare", "first", "resized")
    assert "note: The data differ, though not in classes and numbers of samples" in text
    assert "Hypervolume" in text
    same["task"]["class_names"] = ["yes", "no"]
    write_run(here / "runs/other", same, data="c" * 64, task="npz:kws.npz")
    text = printed(capsys, "compare", "first", "other")
    assert "note: The runs learned different data: neither their accuracies nor their fronts are" in text
    assert "Hypervolume" not in text
    assert "  task               A: digits; B: npz:kws.npz\n" in text
    assert "Chosen models" in text


def by_balanced_accuracy(seed: int) -> dict[str, Any]:
    """A run that was searched by another metric, whose values are the accuracies less a tenth."""
    summary = synthetic_summary(seed=seed)
    summary["task"]["metric"] = "balanced_accuracy"
    for trial in summary["trials"]:
        if trial["accuracy"] is not None:
            trial["score"] = trial["accuracy"] - 0.1
    summary["chosen"]["test_accuracy"] |= {"score": 0.9, "score_low": 0.85, "score_high": 0.93}
    return summary


def test_runs_are_compared_by_the_metric_that_they_were_searched_by(here: Path, capsys: Capture) -> None:
    for name, seed in (("third", 3), ("fourth", 4)):
        write_run(here / "runs" / name, by_balanced_accuracy(seed))
    text = printed(capsys, "compare", "third", "fourth")
    assert "Fronts by validation balanced accuracy, SRAM, flash and cycles\n" in text
    assert "balanced accuracy 90.0 % (85.0 % to 93.0 %)" in text
    found = compare([open_stored_run(here / "runs" / name) for name in ("third", "fourth")])
    assert found.best["balanced_accuracy"] < 0.9
    page = render_comparison(*page_parts(here / "runs/third", here / "runs/fourth"))
    assert picture_of(page)["metric"] == "balanced accuracy"
    assert "balanced accuracy 90.0\u00a0% (85.0\u00a0% to 93.0\u00a0%)" in page


def test_runs_that_were_searched_by_different_metrics_are_compared_by_accuracy(
    here: Path, capsys: Capture
) -> None:
    write_run(here / "runs/third", by_balanced_accuracy(1))
    text = printed(capsys, "compare", "first", "third")
    assert (
        "note: The runs were searched by different metrics: their fronts are compared by accuracy.\n" in text
    )
    assert "  data metric        A: accuracy; B: balanced_accuracy\n" in text
    content = json.loads(printed(capsys, "compare", "first", "third", "--json"))
    assert content["overlaps"] == [{"runs": ["A", "B"], "dominated": [0, 0]}]
    panel = picture_of(render_comparison(*page_parts(here / "runs/first", here / "runs/third")))["panels"][0]
    assert panel["points"]["A"]["y"] == panel["points"]["B"]["y"]


def test_numbers_are_compared_by_their_errors_in_the_unit_of_the_data(here: Path, capsys: Capture) -> None:
    for name, seed, count in (("third", 3, 1), ("fourth", 4, 3)):
        write_run(here / "runs" / name, of_numbers(synthetic_summary(seed=seed), count=count))
    text = printed(capsys, "compare", "third", "fourth", "--html", "c.html")
    assert "RMSE 6.251" in text
    assert "charge: RMSE 6.251, and 2 others" in text
    assert "5.7 to 6.8" in text
    assert "Test error" in (here / "c.html").read_text(encoding="utf-8")


def test_runs_of_numbers_that_were_searched_by_different_metrics_are_not_comparable(
    here: Path, capsys: Capture
) -> None:
    for name, metric in (("third", "rmse"), ("fourth", "mae")):
        write_run(here / "runs" / name, of_numbers(synthetic_summary(), metric=metric))
    content = json.loads(printed(capsys, "compare", "third", "fourth", "--json"))
    assert (content["metric"], content["objectives"], content["overlaps"]) == (None, [], [])
    assert content["notes"] == [
        "The runs were searched by different metrics: their fronts are not comparable."
    ]


def test_without_calibration_macs_stand_in_for_cycles(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        write_run(tmp_path / name, synthetic_summary(seed=seed, calibrated=False))
    found = compare([open_stored_run(tmp_path / name) for name in "ab"])
    assert found.objectives[-1] == "macs"


def test_empty_fronts_are_compared_all_the_same(here: Path, capsys: Capture) -> None:
    nothing = synthetic_summary() | {"front": [], "chosen": None}
    for name in ("none", "nil"):
        write_run(here / "runs" / name, nothing)
    assert "Hypervolume" in printed(capsys, "compare", "first", "none")
    assert "    0            –" in printed(capsys, "compare", "nil", "none")
    page = render_comparison(*page_parts(here / "runs/nil", here / "runs/none"))
    assert "The fronts are empty" in page


def page_parts(*paths: Path) -> tuple[Comparison, list[RunSummary]]:
    runs = [open_stored_run(path) for path in paths]
    return compare(runs), [run.summary for run in runs]


def picture_of(page: str) -> Any:
    found = re.search(r'id="picture">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found[1])


def test_the_page_is_one_file_that_asks_for_nothing(here: Path, capsys: Capture) -> None:
    assert printed(capsys, "compare", "first", "second", "--html", "c.html").endswith("page c.html\n")
    page = (here / "c.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    outside = page.replace(page[page.index("<script>") : page.rindex("</script>")], "")
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", outside)
    picture = picture_of(page)
    assert [panel["title"] for panel in picture["panels"]] == ["SRAM, KB", "Flash, KB", "Cycles"]
    assert [run["name"] for run in picture["runs"]] == ["A runs/first", "B runs/second"]
    for panel in picture["panels"]:
        assert [sum(panel["points"][letter]["star"]) for letter in "AB"] == [1, 1]


def test_limits_that_differ_are_drawn_for_the_runs_that_have_them(here: Path) -> None:
    summary = synthetic_summary(seed=3)
    summary["budget"][0]["limit"] = 20480
    write_run(here / "runs/third", summary)
    page = render_comparison(*page_parts(here / "runs/first", here / "runs/second", here / "runs/third"))
    panel = picture_of(page)["panels"][0]
    assert [(one["at"], one["text"].replace("\u00a0", " "), one["line"]) for one in panel["limits"]] == [
        (20480, "limit C 20.0 KB", 0),
        (24576, "limit A, B 24.0 KB", 1),
    ]
    assert picture_of(page)["panels"][1]["beyond"].replace("\u00a0", " ") == "limit 1,008.0 KB, outside"


def test_names_are_text_in_the_page(here: Path) -> None:
    summary = synthetic_summary(seed=3)
    for trial in summary["trials"]:
        trial["params"] = {"<img src=x>": "</script><script>alert(1)</script>"}
    evil = write_run(here / "runs/<b>&evil", summary, task="<script>alert(2)</script>")
    page = render_comparison(*page_parts(here / "runs/first", evil))
    assert "alert(2)</script>" not in page
    assert "<script>alert(1)" not in page
    assert "<b>&evil" not in page
    assert "&lt;b&gt;&amp;evil" in picture_of(page)["runs"][1]["name"]


def test_on_other_data_the_page_draws_no_fronts(here: Path) -> None:
    summary = synthetic_summary(seed=3)
    summary["task"]["class_names"] = ["yes", "no"]
    other = write_run(here / "runs/other", summary, data="c" * 64)
    page = render_comparison(*page_parts(here / "runs/first", other))
    assert picture_of(page) is None
    assert 'id="plot"' not in page
    assert "neither their accuracies nor their fronts are comparable" in page


def test_the_library_refuses_what_the_command_refuses(here: Path) -> None:
    run = open_stored_run(here / "runs/first")
    for count in (1, MOST_RUNS + 1):
        with pytest.raises(UserError, match=r"compare"):
            compare([run] * count)
