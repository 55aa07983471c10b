from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from nas.report import facts, print_front, table
from nas.report.page import render
from nas.report.quantities import GAP, RESOURCES
from tests.nas.report.synthetic_summary import chosen_of, typed


def printed(summary: dict[str, Any], width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_front(typed(summary), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_front_member_has_a_row_and_the_chosen_one_a_mark(summary: dict[str, Any]) -> None:
    lines = printed(summary).splitlines()
    rows = [line.split() for line in lines]
    for number in summary["front"]:
        assert any(str(number) in row[:2] for row in rows)
    marked = [row for row in rows if row[:1] == ["*"]]
    assert [row[1] for row in marked] == [str(summary["chosen"]["number"])]


@pytest.mark.parametrize("width", [32, 50, 60, 80, 100, 200])
def test_no_number_of_the_table_is_cut_at_any_width(summary: dict[str, Any], width: int) -> None:
    table = printed(summary, width).split("\nTrial ")[0]
    headings = next(line for line in table.splitlines() if "Accuracy" in line).split()
    for trial in facts.front(typed(summary)):
        for resource in RESOURCES:
            if resource.label in headings:
                assert resource.text(trial.known_costs[resource.key]).replace("\xa0", " ") in table


def test_a_wide_table_has_every_cost_and_the_choices(summary: dict[str, Any]) -> None:
    table = printed(summary, 160)
    for heading in ("Trial", "Accuracy", *(resource.label for resource in RESOURCES), "Choices"):
        assert heading in table


def test_the_verdict_has_accuracy_with_its_interval_and_each_limit(summary: dict[str, Any]) -> None:
    text = printed(summary)
    assert "98.6 % (355 of 360; 95 % Wilson interval 96.8 % to 99.4 %), int8, measured" in text
    assert "of 24.0 KB" in text
    assert "[exact]" in text
    assert "[calibrated, 90 % interval " in text


def test_a_target_without_calibration_prints_no_latency(uncalibrated: dict[str, Any]) -> None:
    text = printed(uncalibrated)
    assert "Latency        – [not known: no calibration for this target]" in text
    assert "Cycles" not in text


def test_nothing_feasible_prints_the_closest_miss(summary: dict[str, Any]) -> None:
    rejected = [trial for trial in summary["trials"] if trial["state"] == "rejected"]
    text = printed(summary | {"trials": rejected, "front": [], "chosen": None})
    assert text.startswith("Nothing fits nrf52840: SRAM is the limit that blocks.")
    assert "Closest miss: trial " in text


def test_a_run_without_trials_prints_one_line(summary: dict[str, Any]) -> None:
    assert printed(summary | {"trials": [], "front": [], "chosen": None}) == "No trial was run.\n"


def test_markup_in_choices_is_printed_as_it_stands(summary: dict[str, Any]) -> None:
    for trial in summary["trials"]:
        trial["params"] = {"act": "[red]relu[/red]"}
    assert "act [red]relu[/red]" in printed(summary)


NPU = {
    "accelerator": "ethos-u55-128",
    "compiler": "Vela 5.2.0",
    "arena_bytes": 1360,
    "model_bytes": 8256,
    "npu_operators": 1,
    "core_operators": 2,
    "estimate": {
        "clock_hz": 500_000_000,
        "sram_bytes": 896,
        "off_chip_flash_bytes": 4080,
        "npu_cycles": 7518,
        "total_cycles": 9513,
        "inference_us": 19.026,
    },
}


def test_an_npus_model_is_told_from_its_compilers_estimate(summary: dict[str, Any]) -> None:
    assert "On the NPU" not in printed(summary)
    summary["chosen"]["npu"] = NPU
    text = printed(summary, 200)
    assert "compiled for ethos-u55-128: tensor arena 1,360 B, model 8,256 B [exact]; 1 operator(s)" in text
    assert "9,513 cycles, 0.019 ms at 500 MHz; SRAM 896 B" in text
    assert "[estimated by Vela 5.2.0]" in text
    page = render(typed(summary))
    assert "<p>compiled for ethos-u55-128: tensor arena 1,360 B" in page
    assert "[estimated by Vela 5.2.0].</p>" in page


def test_the_table_ends_with_where_the_workers_time_went(summary: dict[str, Any]) -> None:
    summary["time"]["share"] = {"build": 0.002, "train": 0.8, "waiting": 0.198}
    assert "Worker time    train 80 %, waiting 20 %\n" in printed(summary)
    summary["time"] = {}
    assert "Worker time" not in printed(summary)


def test_warnings_stand_beside_the_accuracy_in_terminal_and_report(summary: dict[str, Any]) -> None:
    summary["chosen"]["warnings"] = ["Never predicted on test data, so its recall is 0: <rare> (1 sample)."]
    lines = table.verdict(typed(summary))
    place = next(i for i, line in enumerate(lines) if "Test accuracy" in line)
    assert lines[place + 1].split() == ["Warning", *summary["chosen"]["warnings"][0].split()]
    assert "its recall is 0: &lt;rare&gt; (1 sample)" in render(typed(summary))


def test_a_terminal_of_80_columns_breaks_no_word(summary: dict[str, Any]) -> None:
    summary["chosen"]["warnings"] = ["Extraordinarily " * 12]
    stream = io.StringIO()
    print_front(typed(summary), Console(file=stream, width=80, force_terminal=True, no_color=True))
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in stream.getvalue().splitlines()]
    assert all(len(line) <= 80 for line in lines)
    assert " ".join(stream.getvalue().split()).count("Extraordinarily") == 12
    assert any(line.startswith(" " * 17 + "Extraordinarily") for line in lines)


def test_the_verdict_says_what_of_the_limits_is_left_and_what_more_would_have_bought(
    summary: dict[str, Any],
) -> None:
    chosen = next(t for t in summary["trials"] if t["number"] == summary["chosen"]["number"])
    summary["config"]["budget"] = "sram=24KB"
    summary["budget"] = [{"resource": "sram", "limit": 4 * chosen["costs"]["sram_bytes"], "note": ""}]
    larger = next(
        trial
        for trial in summary["trials"]
        if trial["state"] == "evaluated" and trial["rung"] == "full" and trial is not chosen
    )
    larger["costs"] = larger["costs"] | {"sram_bytes": chosen["costs"]["sram_bytes"] + 16}
    left = [line for line in table.verdict(typed(summary)) if "Left unused" in line]
    assert len(left) == 1
    assert (
        f"75{GAP}% of the SRAM: the best of 1 training in full of networks that take more came to" in left[0]
    )
    larger["rung"] = "search"
    left = [line for line in table.verdict(typed(summary)) if "Left unused" in line]
    assert left[0].endswith(f"75{GAP}% of the SRAM: no network that takes more was trained in full")
    summary["config"]["budget"] = None
    assert not any("Left unused" in line for line in table.verdict(typed(summary)))


def test_the_verdict_of_a_robust_search_has_both_halves_of_its_metric(summary: dict[str, Any]) -> None:
    summary["task"]["metric"] = "robust_accuracy"
    summary["chosen"]["test_accuracy"] |= {
        "metric": "robust_accuracy",
        "score": 0.9,
        "score_low": 0.88,
        "score_high": 0.92,
        "disturbed": 0.85,
    }
    lines = [line.replace(GAP, " ") for line in table.verdict(typed(summary))]
    assert lines[0].endswith("at 90.0 % test robust accuracy.")
    searched = next(line for line in lines if "Searched by" in line)
    assert searched.endswith(
        "robust accuracy: 90.0 % on test data (95 % mean Wilson interval 88.0 % to 92.0 %), the mean of 95.0 % accuracy"
        " as they are and 85.0 % disturbed"
    )
    assert "robust accuracy" in render(typed(summary))


def test_the_verdict_names_the_disturbances_that_cost_most() -> None:
    rows = [
        {"name": "gain 0.8", "metric": 0.9},
        {"name": "noise", "metric": 0.7},
        {"name": "loss", "metric": 0.8},
    ]
    chosen: dict[str, Any] = {"robustness": {"samples": 1000, "metric": 0.95, "disturbances": rows}}
    shown = "95.0 % of 1,000 test samples as they are; lowest 70.0 % with noise, 80.0 % with loss"
    assert facts.robustness_text(chosen_of(chosen), most=2).replace("\N{NO-BREAK SPACE}", " ") == shown
    every = facts.robustness_text(chosen_of(chosen)).replace("\N{NO-BREAK SPACE}", " ")
    assert every.endswith("; 90.0 % with gain 0.8, 70.0 % with noise, 80.0 % with loss")
    assert facts.robustness_text(chosen_of({})) == ""
    chosen["robustness"]["attacks"] = [{"name": "FGSM", "metric": 0.3}, {"name": "PGD", "metric": 0.1}]
    attacked = facts.robustness_text(chosen_of(chosen), most=1).replace("\N{NO-BREAK SPACE}", " ")
    assert attacked.endswith("; lowest 70.0 % with noise; lowest under attack 10.0 % with PGD")
    every = facts.robustness_text(chosen_of(chosen)).replace("\N{NO-BREAK SPACE}", " ")
    assert every.endswith("80.0 % with loss; under attack 30.0 % with FGSM, 10.0 % with PGD")


def test_the_verdict_says_by_how_much_the_validation_figure_is_expected_to_be_too_good(
    summary: dict[str, Any],
) -> None:
    optimism = {"value": 0.0123, "networks": 9, "paired": True, "groups": 0}
    summary["chosen"] |= {
        "optimism": optimism,
        "validation_accuracy": {"engine": "tflm", "correct": 350, "total": 360, "value": 350 / 360},
    }
    shown = (
        "accuracy 97.2 %; chosen among 9 trainings judged by the same samples, its figure is expected to be 1.2 points"
        " too good"
    )
    assert facts.validation_text(typed(summary)).replace(GAP, " ") == shown
    assert any(line.startswith("  Validation ") for line in table.verdict(typed(summary)))
    assert "is expected to be 1.2 points too good" in render(typed(summary))
    del summary["chosen"]["optimism"]
    assert facts.validation_text(typed(summary)) == ""


def test_the_verdict_says_what_the_chosen_came_to_in_folds(summary: dict[str, Any]) -> None:
    summary["chosen"]["validation_accuracy"] = {
        "engine": "tflm",
        "correct": 350,
        "total": 360,
        "value": 350 / 360,
    }
    assert facts.folds_text(typed(summary)) == ""
    summary["config"]["folds"] = 5
    assert facts.folds_text(typed(summary)) == (
        "not judged in 5 folds, for the run ended before: chosen by the validation part alone"
    )
    assert "on validation data, by which it was chosen: " in render(typed(summary))
    summary["chosen"] |= {
        "folded": {
            "folds": 5,
            "networks": 4,
            "samples": 1437,
            "score": 0.9511,
            "low": 0.9386,
            "high": 0.9611,
        },
        "optimism": {"value": 0.0123, "networks": 4, "paired": True, "groups": 13, "folds": 5},
    }
    said = facts.folds_text(typed(summary))
    assert said == (
        "accuracy 95.1 % on 1,437 training and validation samples, each left out of one of 5 trainings (95 % interval"
        " 93.9 to 96.1 %); chosen among 4 trainings judged by the same samples, its figure is"
        " expected to be 1.2 points too good, as 13 groups differ"
    )
    assert facts.validation_text(typed(summary)) == "", "the choice did not go by it"
    assert any(line.startswith("  Folds ") for line in table.verdict(typed(summary)))
    page = render(typed(summary))
    assert f"Folds: {said}." in page
    assert "on validation data: " in page
    summary["chosen"]["folded"]["networks"] = 1
    assert facts.folds_text(typed(summary)).endswith(
        "no other was judged so: chosen by the validation part alone"
    )
    summary["chosen"]["folded"]["samples"] = "many"
    assert facts.folds_text(typed(summary)).startswith("not judged")
