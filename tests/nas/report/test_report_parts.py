from __future__ import annotations

import itertools
import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.report import facts, quantities
from nas.report.drawing import network
from nas.report.memory import arena_picture
from nas.report.page import render
from nas.report.picture import linear_ticks, log_ticks, picture
from nas.report.quantities import (
    CYCLES,
    ENERGY,
    FLASH,
    LATENCY,
    SRAM,
    count,
    duration_us,
    energy_uj,
    interval,
    kilobytes,
    seconds,
)
from nas.report.time_use import time_use
from nas.report.uses import tight, uses
from nas.strategy.driver import StoppedBy
from tests.nas.report.synthetic_summary import typed

COSTS = {
    "sram_bytes": 16_000,
    "flash_bytes": 80_000,
    "model_bytes": 20_000,
    "code_low_bytes": 59_000,
    "code_high_bytes": 61_000,
    "cycles": 1_000_000,
    "cycles_low": 900_000,
    "cycles_high": 1_200_000,
    "latency_us": 15_625.0,
    "energy_uj": 156.0,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (kilobytes(0), "0 B"),
        (kilobytes(99), "99 B"),
        (kilobytes(1024), "1.0 KB"),
        (kilobytes(262_144), "256.0 KB"),
        (kilobytes(8 * 1024 * 1024), "8.0 MB"),
        (duration_us(250), "250 µs"),
        (duration_us(3_124), "3.12 ms"),
        (duration_us(2_500_000), "2.50 s"),
        (energy_uj(47.1), "47.1 µJ"),
        (energy_uj(1_500), "1.50 mJ"),
        (count(999), "999"),
        (count(1_240_000), "1.24 M"),
        (seconds(4.44), "4.4 s"),
        (seconds(171.4), "2 min 51 s"),
        (seconds(7_260), "2 h 01 min"),
    ],
)
def test_quantities_are_written_with_a_unit_that_reads_well(text: str, expected: str) -> None:
    assert text.replace("\xa0", " ") == expected


def test_latency_and_energy_have_the_interval_of_the_cycles() -> None:
    assert interval(CYCLES, COSTS) == (900_000, 1_200_000)
    assert interval(LATENCY, COSTS) == pytest.approx((14_062.5, 18_750))
    assert interval(ENERGY, COSTS) == pytest.approx((140.4, 187.2))


def test_flash_is_as_uncertain_as_its_code_and_sram_is_exact() -> None:
    assert interval(FLASH, COSTS) == (79_000, 81_000)
    assert interval(SRAM, COSTS) is None


def test_unknown_cycles_have_no_interval() -> None:
    assert interval(LATENCY, COSTS | {"cycles": None, "latency_us": None}) is None


def budget(**limits: float) -> dict[str, Any]:
    return {"budget": [{"resource": name, "limit": limit, "note": ""} for name, limit in limits.items()]}


def test_a_limit_that_only_the_upper_end_breaks_is_pointed_out() -> None:
    found = uses(typed(budget(latency=16_000)), COSTS)
    assert [use.fits for use in found if use.resource is LATENCY] == [True]
    assert [use.resource for use in tight(found)] == [LATENCY]
    assert tight(uses(typed(budget(latency=19_000)), COSTS)) == []


def test_a_latency_says_what_it_rests_on() -> None:
    for basis, expected in (
        ("measured", "calibrated, "),
        ("class", "class of its core's boards, "),
        ("bound", "bound: no board of its core was measured, "),
    ):
        summary = budget(latency=16_000) | {"target": {"basis": basis}}
        (use,) = (use for use in uses(typed(summary), COSTS) if use.resource is LATENCY)
        assert use.basis.startswith(expected)


def test_the_latency_of_a_model_for_an_npu_is_said_to_be_the_cores() -> None:
    summary = budget(latency=16_000) | {"chosen": {"number": 1, "npu": {"accelerator": "ethos-u55-128"}}}
    (use,) = (use for use in uses(typed(summary), COSTS) if use.resource is LATENCY)
    assert use.basis.startswith("of the core alone, without the NPU; calibrated, ")


def test_a_limit_on_instructions_is_shown() -> None:
    (use,) = (u for u in uses(typed(budget(instructions=2_000)), COSTS | {"instructions": 1_500}) if u.limit)
    assert (use.resource.label, use.basis, use.fits) == ("Instructions", "counted", True)


def test_a_limit_that_the_middle_is_held_to_says_so() -> None:
    told = uses(typed(budget(latency=16_000, flash=300_000)), COSTS)
    by_name = {use.resource.name: use.basis for use in told}
    assert by_name["latency"].endswith(", held to its limit by the middle")
    assert "held" not in by_name["flash"]


def test_certainty_fails_what_only_the_upper_end_breaks() -> None:
    summary = budget(latency=16_000) | {"config": {"certain": True}}
    (use,) = (use for use in uses(typed(summary), COSTS) if use.resource is LATENCY)
    assert use.fits is False
    assert use.basis.endswith(", held to its limit by the upper end")


def test_budgets_may_name_a_resource_by_its_cost_key() -> None:
    by_name, by_key = (uses(typed(budget(**{name: 32_768})), COSTS)[0] for name in ("sram", "sram_bytes"))
    assert by_name == by_key
    assert by_name.verdict.replace("\xa0", " ") == "49 % of 32.0 KB, 16.4 KB to spare"


def test_a_cost_over_its_limit_says_by_how_much() -> None:
    use = uses(typed(budget(sram=15_000)), COSTS)[0]
    assert use.fits is False
    assert use.verdict.replace("\xa0", " ") == "1,000 B over the limit of 14.6 KB".replace(
        "1,000 B", "1.0 KB"
    )


def test_an_unknown_resource_is_a_bug_and_said_so() -> None:
    with pytest.raises(ValueError, match="unknown resource 'weight'"):
        uses(typed(budget(weight=1)), COSTS)


def test_rejections_count_each_limit_and_misses_come_closest_first(summary: dict[str, Any]) -> None:
    rejected = [trial for trial in summary["trials"] if trial["violations"]]
    assert [(resource.name, n) for resource, n in facts.rejections(typed(summary))] == [
        ("sram", len(rejected))
    ]
    excesses = [miss.excess for miss in facts.closest_misses(typed(summary))]
    assert excesses == sorted(excesses)
    assert excesses[0] == pytest.approx(min(t["costs"]["sram_bytes"] for t in rejected) / 24_576 - 1)


def steps(*rows: list[tuple[str, int, int]]) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "op": "CONV_2D",
            "live": [{"name": n, "offset": o, "bytes": b} for n, o, b in row],
            "bytes": sum(b for _, _, b in row),
        }
        for index, row in enumerate(rows)
    ]


def test_a_tensor_alive_over_several_operators_is_one_block() -> None:
    made = arena_picture(steps([("a", 0, 50), ("b", 50, 50)], [("b", 50, 50), ("c", 0, 40)]), 200)
    assert made is not None
    blocks = {block.title.split(":")[0]: block for block in made.blocks}
    assert (blocks["b"].x, blocks["b"].width, blocks["b"].y, blocks["b"].height) == (0, 100, 50, 25)
    assert (blocks["c"].x, blocks["c"].width) == (50, 50)
    assert made.peak_column == 0
    assert blocks["a"].at_peak
    assert not blocks["c"].at_peak
    assert made.tail == 50


def test_scratch_of_neighbouring_operators_stays_two_blocks() -> None:
    made = arena_picture(steps([("scratch", 0, 50)], [("scratch", 0, 50)]), None)
    assert made is not None
    assert [(block.x, block.width) for block in made.blocks] == [(0, 50), (50, 50)]
    assert made.tail is None


def test_no_live_tensor_is_no_picture() -> None:
    assert arena_picture(steps([]), 100) is None
    assert arena_picture([], None) is None


@given(low=st.floats(1, 1e9), ratio=st.floats(1.05, 1e4), binary=st.booleans())
def test_ticks_lie_within_the_axis_and_are_few(low: float, ratio: float, binary: bool) -> None:
    ticks = log_ticks(low, low * ratio, binary=binary)
    assert 1 <= len(ticks) <= 7
    assert ticks == sorted(set(ticks))
    assert all(low * 0.999 <= tick <= low * ratio * 1.001 for tick in ticks)


@given(low=st.floats(0, 1e6), span=st.floats(1e-2, 1e6))
def test_linear_ticks_are_few_and_evenly_spaced(low: float, span: float) -> None:
    ticks = linear_ticks(low, low + span)
    assert len(ticks) <= 7
    gaps = {round((b - a) / span, 6) for a, b in itertools.pairwise(ticks)}
    assert len(gaps) <= 2


def test_the_picture_has_each_trial_once_in_the_group_it_belongs_to(summary: dict[str, Any]) -> None:
    made = picture(typed(summary))
    assert made is not None
    for panel in made["panels"]:
        groups = {kind: points["n"] for kind, points in panel["points"].items()}
        assert groups["chosen"] == [summary["chosen"]["number"]]
        assert sorted(groups["front"] + groups["chosen"]) == sorted(summary["front"])
        states = {trial["number"]: trial["state"] for trial in summary["trials"]}
        assert all(states[number] == "rejected" for number in groups["rejected"])
        drawn = [number for numbers in groups.values() for number in numbers]
        assert sorted(drawn) == [n for n, state in states.items() if state in ("evaluated", "rejected")]


def test_the_staircase_climbs_along_the_front(summary: dict[str, Any]) -> None:
    made = picture(typed(summary))
    assert made is not None
    for panel in made["panels"]:
        stairs = panel["stairs"]
        assert [p[0] for p in stairs] == sorted({p[0] for p in stairs})
        assert [p[1] for p in stairs] == sorted({p[1] for p in stairs})
        members = [panel["points"][kind] for kind in ("front", "chosen")]
        on_front = {(x, y) for points in members for x, y in zip(points["x"], points["y"], strict=True)}
        assert set(stairs) <= on_front


def test_a_perfect_score_has_a_place_on_the_axis(summary: dict[str, Any]) -> None:
    summary["trials"][0]["accuracy"] = 1.0
    made = picture(typed(summary))
    assert made is not None
    ys = [y for points in made["panels"][0]["points"].values() for y in points["y"]]
    assert all(map(math.isfinite, ys))
    assert made["y"]["range"][0] < min(ys) <= max(ys) < made["y"]["range"][1]


def test_hover_names_every_choice(summary: dict[str, Any]) -> None:
    made = picture(typed(summary))
    assert made is not None
    trial = next(t for t in summary["trials"] if t["number"] == summary["chosen"]["number"])
    for panel in made["panels"]:
        for name, value in trial["params"].items():
            assert f"{name} = {value}" in panel["points"]["chosen"]["text"][0]


def test_worker_lines_have_each_trial_after_it_waited(summary: dict[str, Any]) -> None:
    trial = next(t for t in summary["trials"] if t["number"] == summary["chosen"]["number"])
    trial["seconds"] = {"waiting": 1.0, "train": 2.0}
    made = time_use(typed(summary))
    assert [name for name, _, _ in made.workers] == ["worker-0", "worker-1"]
    bar = next(
        b for _, bars, _ in made.workers for b in bars if b.title.startswith(f"Trial {trial['number']}:")
    )
    assert bar.x == pytest.approx(100 * (trial["started"] + 1.0) / summary["seconds"])
    assert bar.width == pytest.approx(100 * 2.0 / summary["seconds"])


def test_a_resumed_run_has_no_worker_lines_and_says_why(summary: dict[str, Any]) -> None:
    evaluated = [trial for trial in summary["trials"] if trial["state"] == "evaluated"]
    for trial in evaluated[-4:]:
        trial["started"] = evaluated[0]["started"]
    made = time_use(typed(summary))
    assert made.resumed
    assert made.workers == ()
    assert "The run was resumed" in render(typed(summary))


def test_stage_shares_fall_back_on_the_seconds_of_the_trials(summary: dict[str, Any]) -> None:
    summary["time"] = {}
    shares = {stage: share for stage, share, _ in time_use(typed(summary)).stages}
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares, key=shares.__getitem__) == "train"


def test_a_run_without_trials_has_no_time_to_show(summary: dict[str, Any]) -> None:
    made = time_use(typed(summary | {"trials": [], "time": {}, "seconds": 0.0}))
    assert made.stages == ()
    assert made.workers == ()


def test_numbered_choices_are_gathered() -> None:
    params = {
        "stem_width": 32,
        "width_1": 25,
        "blocks_1": 2,
        "width_2": 30,
        "blocks_2": 0,
        "halve_1": True,
        "rate": 0.12345,
    }
    assert quantities.choices(params) == "stem width 32, width 25/30, blocks 2/0, halve yes, rate 0.1235"


def test_a_network_is_drawn_with_its_branches() -> None:
    layers = [
        {"index": 0, "op": "CONV_2D", "output_shape": [1, 8, 8, 16], "sources": [-1]},
        {"index": 1, "op": "DEPTHWISE_CONV_2D", "output_shape": [1, 4, 4, 16], "sources": [0]},
        {"index": 2, "op": "ADD", "output_shape": [1, 4, 4, 16], "sources": [1, -1]},
        {"index": 3, "op": "FULLY_CONNECTED", "output_shape": [1, 10], "sources": [2]},
    ]
    blocks = network(layers)
    assert [block.name for block in blocks] == ["Conv", "Depthwise conv", "Add", "Dense"]
    assert [block.sources for block in blocks] == ["", "", "from 1 and the input", ""]
    assert blocks[0].height > blocks[1].height > blocks[3].height
    assert blocks[0].shape == "8 × 8 × 16"


def test_a_single_point_lies_in_the_middle_of_its_axis(summary: dict[str, Any]) -> None:
    number = summary["chosen"]["number"]
    summary["trials"] = [trial for trial in summary["trials"] if trial["number"] == number]
    summary["front"] = [number]
    made = picture(typed(summary))
    assert made is not None
    for panel in made["panels"][1:]:
        low, high = panel["range"]
        at = math.log10(panel["points"]["chosen"]["x"][0])
        assert abs((at - low) / (high - low) - 0.5) < 0.01
        assert 3 <= len(panel["values"]) <= 6


def test_ticks_of_latency_have_units(summary: dict[str, Any]) -> None:
    summary["budget"].append({"resource": "latency", "limit": 9_000.0, "note": ""})
    made = picture(typed(summary))
    assert made is not None
    panel = made["panels"][2]
    assert panel["title"] == "Latency"
    assert panel["limit"] == 9_000.0
    assert all(text.endswith(("ms", "µs")) for text in panel["texts"])


def test_settings_are_written_for_people(summary: dict[str, Any]) -> None:
    summary["task"]["class_names"] = [f"c{index}" for index in range(40)]
    page = render(typed(summary))
    for name, value in (
        ("clock", "64 MHz"),
        ("input shape", "8 × 8 × 1"),
        ("samples", "train 1,077, val 360, test 360"),
        ("class names", "c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 and 28 more"),
    ):
        assert f'<th scope="row">{name}</th><td>{value}</td>' in page
    assert "timeout" not in page.split('id="run"')[1].split("</section>")[0]


def test_what_a_front_end_takes_is_said_beside_the_network() -> None:
    note = "The front end takes 6,184 B of SRAM off the limits."
    summary = {
        "task": {"frontend": {"kind": "log_mel", "settings": {}, "clip_samples": 8000}},
        "notes": ["another", note],
    }
    assert facts.front_end_notes(typed(summary)) == [note]
    assert facts.front_end_notes(typed(summary | {"task": {"frontend": None}})) == []


def test_each_way_in_which_a_search_ends_has_words() -> None:
    assert {*get_args(StoppedBy), "running"} <= facts.STOPPED.keys()


def test_a_lower_bound_is_said_to_be_one_and_what_it_leaves_out(summary: dict[str, Any]) -> None:
    costs = summary["chosen"]["costs"] | {"uncounted": ["L2_POOL_2D"]}
    (latency,) = [use for use in uses(typed(summary), costs) if use.resource.name == "latency"]
    assert latency.text.startswith("at least ")
    assert "without L2_POOL_2D, which nobody counted" in latency.basis
    for trial in summary["trials"]:
        if trial["costs"]:
            trial["costs"]["uncounted"] = ["L2_POOL_2D"]
    page = render(typed(summary))
    assert "≥\N{NO-BREAK SPACE}" in page
    (sram,) = [use for use in uses(typed(summary), costs) if use.resource.name == "sram"]
    assert "least" not in sram.text
