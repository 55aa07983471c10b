"""`nas-cost --targets NAMES`: one table of boards; `--timeline`: the arena over time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

import cost_models
from cost_models.arena import arena, timeline
from cost_models.arena.rules import RULES
from cost_models.costing_report import rendered
from cost_models.cycles.paths import COUNTERS
from cost_models.target_file import load_target
from cost_models.target_names import list_targets
from cost_models.tflite_graph import read_graph
from cost_models.timeline_text import timeline_text
from tests.cost_models.conftest import Run

DATA = Path(__file__).parents[1] / "data"
MODEL = str(DATA / "calibration" / "ds_cnn-20059.tflite")
LARGE = str(DATA / "calibration" / "resnet-20138.tflite")
UNKNOWN = str(DATA / "operators" / "batch_matmul.tflite")


def rows(out: str) -> list[list[str]]:
    lines = [line for line in out.splitlines() if line.startswith("│ ")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def entries(out: str, model: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(out)["models"][model]["targets"]
    return found


def test_all_targets_are_costed_in_less_than_two_seconds_of_one_core(run: Run) -> None:
    begin = time.process_time()
    _, out, err = run(MODEL, "--targets", "all")
    assert time.process_time() - begin < 2
    assert err == ""
    assert {row[0] for row in rows(out)} == set(list_targets())


def test_fitting_targets_come_first_then_the_fastest(run: Run) -> None:
    code, out, _ = run(LARGE, "--targets", "all", "--json")
    found = entries(out)
    assert code == 1
    assert {each["fits"] for each in found} == {True, False}
    order = [(not each["fits"], each["latency_us"]) for each in found]
    assert order == sorted(order)


def test_an_unknown_latency_comes_last_and_says_so(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "nrf52840"\ncore = "cortex-m23"\n', encoding="utf-8")
    code, out, _ = run(MODEL, "--targets", f"{mine},samd21")
    assert code == 0
    assert [row[0] for row in rows(out)] == ["samd21", "mine"]
    assert rows(out)[1][4:7] == ["unknown", "unknown", "unknown"]
    assert "Cycles are not known on mine: there is no calibration." in out


def test_each_number_is_the_one_of_the_target_alone(run: Run) -> None:
    _, out, _ = run(MODEL, "--targets", "pico, stm32l4r5", "--json")
    for each in entries(out):
        _, alone, _ = run(MODEL, "--target", each["target"], "--json")
        single = json.loads(alone)["models"][0]
        same = ("sram_bytes", "flash_bytes", "cycles_low", "cycles_high", "latency_us", "energy_uj", "basis")
        assert {key: each[key] for key in same} == {key: single[key] for key in same}


def test_the_limit_that_fails_is_named_with_its_excess(run: Run) -> None:
    code, out, _ = run(LARGE, "--targets", "stm32f446,samd21", "--budget", "latency=200ms")
    cells = {row[0]: row[1] for row in rows(out) if row[0]}
    assert code == 1
    assert cells["stm32f446"] == "no: latency +48 %"
    assert cells["samd21"].startswith("no: sram 3.8x,")
    _, out, _ = run(LARGE, "--targets", "stm32f446", "--budget", "latency=200ms", "--json")
    (entry,) = entries(out)
    assert [each["resource"] for each in entry["violations"]] == ["latency"]
    assert entry["limits"]["latency"] == 200_000


def test_a_limit_that_cannot_be_judged_is_neither_kept_nor_broken(run: Run) -> None:
    code, out, _ = run(MODEL, "--targets", "nrf52840,rp2040", "--budget", "energy=1mJ")
    assert code == 1
    assert [row[:2] for row in rows(out)] == [["nrf52840", "yes"], ["rp2040", "? energy"]]
    assert "Energy is not known on rp2040: nobody can say whether its limit is kept there." in out
    _, out, _ = run(MODEL, "--targets", "rp2040", "--budget", "energy=1mJ", "--json")
    assert (entries(out)[0]["fits"], entries(out)[0]["not_judged"]) == (None, ["energy"])
    # A limit that is broken decides all the same.
    _, out, _ = run(MODEL, "--targets", "rp2040", "--budget", "sram=1KB,energy=1mJ", "--json")
    assert (entries(out)[0]["fits"], entries(out)[0]["verdict"]) == (False, "does not fit")


def test_a_limit_above_what_a_target_has_is_capped_there_and_said(run: Run) -> None:
    _, out, _ = run(MODEL, "--targets", "nrf52840,samd21", "--budget", "100KB")
    assert "On 1 of 2 targets there is less sram to spare than that: the limit there is what there is." in out


def test_targets_that_refuse_a_model_say_why_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, "BATCH_MATMUL")
    code, out, _ = run(UNKNOWN, "--targets", "nrf52840,rp2040")
    assert code == 1
    assert [row[1] for row in rows(out)] == ["refused", "refused"]
    reason = "TFLM 90b983c2 has no operator BATCH_MATMUL. Replace the operator."
    assert f"Refused on nrf52840, rp2040: {reason}" in out
    _, out, _ = run(UNKNOWN, "--targets", "nrf52840", "--json")
    assert (entries(out)[0]["refused"], entries(out)[0]["fits"]) == (reason, False)


def test_operators_that_nobody_counted_are_named_with_their_cores(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = read_graph(Path(MODEL).read_bytes()).operators[0].kind
    monkeypatch.setitem(COUNTERS, "cmsis_nn", {k: v for k, v in COUNTERS["cmsis_nn"].items() if k != kind})
    code, out, _ = run(MODEL, "--targets", "nrf52840,rp2040,esp32")
    assert code == 0
    assert rows(out)[0][0] == "esp32"
    said = f"At least so much, as nobody counted the instructions of {kind} on cortex-m4, cortex-m0plus."
    assert said in out
    # MACs are known all the same, and can be limited.
    assert run(MODEL, "--targets", "nrf52840", "--budget", "macs=1G")[0] == 0
    assert run(MODEL, "--budget", "macs=1G")[0] == 0


def test_a_period_says_power_and_days_of_every_board(run: Run) -> None:
    words = (MODEL, "--targets", "nrf52840,rp2040", "--period", "1s", "--battery", "230mAh")
    code, out, _ = run(*words)
    assert code == 0
    _, alone, _ = run(MODEL, "--target", "nrf52840", "--period", "1s", "--battery", "230mAh", "--json")
    cycle = json.loads(alone)["models"][0]["duty_cycle"]
    _, several, _ = run(*words, "--json")
    by_name = {entry["target"]: entry for entry in entries(several)}
    assert (by_name["nrf52840"]["duty_cycle"], by_name["rp2040"]["duty_cycle"]) == (cycle, None)
    assert {row[0]: row[-3:] for row in rows(out)} == {
        "nrf52840": [f"{cycle['power_uw']:.3g} uW", f"{cycle['battery_days']:,.0f}", "measured"],
        "rp2040": ["unknown", "unknown", "measured"],
    }
    assert "Power is unknown where a target has no sourced energy or sleep current, or no cycles." in out
    assert "Limit of latency: at most the period, 1.0 s." in out


def test_power_is_limited_where_it_is_known(run: Run) -> None:
    words = (MODEL, "--targets", "nrf52840,rp2040", "--period", "1s", "--budget", "power=10uW")
    code, out, _ = run(*words)
    assert code == 1
    assert [row[1].rpartition(" ")[0] for row in rows(out)] == ["no: power", "?"]
    code, _, err = run(MODEL, "--targets", "all", "--budget", "power=1mW")
    assert code == 2
    assert "power cannot be limited without a period." in err


def test_a_period_shorter_than_an_inference_is_a_limit_that_is_broken(run: Run) -> None:
    code, out, _ = run(MODEL, "--targets", "nrf52840", "--period", "100us", "--json")
    assert code == 1
    assert [each["resource"] for each in entries(out)[0]["violations"]] == ["latency"]


def test_a_table_of_long_numbers_keeps_the_name_and_all_columns() -> None:
    from rich.table import Table

    table = Table()
    table.add_column("model", overflow="fold", min_width=16)
    for _ in range(9):
        table.add_column("B", no_wrap=True)
    table.add_row("a_long_name_of_a_model.tflite", *["123,456,789,012"] * 9)
    lines = rendered([table]).splitlines()
    assert lines[3].count("123,456,789,012") == 9
    assert "a_long_name_of_a" in lines[3]


def test_certainty_judges_every_target_by_the_upper_end(run: Run) -> None:
    _, out, _ = run(MODEL, "--targets", "stm32u575", "--json")
    (entry,) = entries(out)
    limit = f"latency={(entry['latency_us'] + entry['latency_high_us']) / 2:.0f}us"
    code, out, _ = run(MODEL, "--targets", "stm32u575", "--budget", limit)
    assert code == 0
    assert "by their middle" in out
    code, out, _ = run(MODEL, "--targets", "stm32u575", "--budget", limit, "--certain")
    assert code == 1
    assert "by the upper ends of their 90 % intervals" in out


def test_each_model_has_a_table_and_one_that_is_damaged_does_not_stop_the_others(
    run: Run, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(b"nothing")
    code, out, err = run(MODEL, str(damaged), LARGE, "--targets", "stm32h743")
    assert code == 2
    assert out.count("fits 1 of 1 targets") == 2
    assert err.startswith(f"nas-cost: {damaged}: ")
    _, out, _ = run(str(damaged), "--targets", "stm32h743", "--json")
    assert list(json.loads(out)["models"][0]) == ["path", "error"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--targets", "all"), "There is no model to cost. Give one or more .tflite files."),
        ((MODEL, "--targets", "nrf52840,nrf5284"), "There is no target 'nrf5284'. Did you mean nrf52840?"),
        ((MODEL, "--targets", "pico,rp2040"), "--targets names rp2040 twice. Name each once."),
        ((MODEL, "--targets", "pico,all"), "--targets names all and more. Write all alone, or the names."),
        (
            (MODEL, "--targets", "pico,"),
            "--targets 'pico,' has an empty part. Write it like nrf52840,rp2040,my_board.toml, or all.",
        ),
        (
            ("--targets", "model.tflite"),
            "--targets takes model.tflite for a target."
            " Name the model first: nas-cost model.tflite --targets all.",
        ),
        (
            (MODEL, "--targets", "all", "--target", "rp2040"),
            "--target and --targets all do not go together. Leave one of them out.",
        ),
        (
            (MODEL, "--targets", "all", "--timeline"),
            "--timeline and --targets all do not go together. Leave one of them out.",
        ),
        (
            (MODEL, "--targets", "all", "--budget", "256XB"),
            "Budget '256XB': sram has the unit 'XB'. Its units are B, KB or MB.",
        ),
    ],
)
def test_a_mistake_is_a_sentence_a_hint_and_exit_code_2(
    run: Run, argv: tuple[str, ...], message: str
) -> None:
    code, out, err = run(*argv)
    assert (code, out, err) == (2, "", f"nas-cost: {message}\n")


@pytest.mark.parametrize("width", [10, 40, 66, 120, 300])
@pytest.mark.parametrize("model", [MODEL, LARGE])
def test_the_timeline_keeps_the_width_and_marks_the_peak(model: str, width: int) -> None:
    graph = read_graph(Path(model).read_bytes())
    target = load_target("nrf52840")
    text = timeline_text("m.tflite", graph, target, width=width)
    assert max(map(len, text.splitlines())) <= min(max(width, 40), 120)
    memory = timeline(graph, kernels=target.kernels, core=target.core)
    (peak,) = [line for line in text.splitlines() if line.endswith(" <peak")]
    assert peak.split()[0] == str(memory.steps[memory.peak].operator)
    bars = [line for line in text.splitlines() if "█" in line and "activations" not in line]
    assert len(bars) == len(graph.operators)


def test_the_timeline_names_what_lives_at_the_peak_and_the_parts_of_the_arena(run: Run) -> None:
    code, out, _ = run(LARGE, "--timeline")
    assert code == 0
    assert "tensor 9 (1x48x48x16), its input" in out
    assert "scratch of operator 2" in out
    graph = read_graph(Path(LARGE).read_bytes())
    whole = arena(graph, kernels="cmsis_nn", core="cortex-m4")
    assert f"Tensor arena: {whole.min_bytes:,} B" in out
    assert f"{whole.planned_bytes:,} B  head: activations and scratch as planned" in out
    assert f"{whole.persistent_bytes:,} B  persistent part, kept as long as the interpreter:" in out


def test_the_timeline_in_json_adds_up(run: Run) -> None:
    _, out, _ = run(LARGE, "--timeline", "--json")
    entry = json.loads(out)["models"][0]
    found = entry["timeline"]
    assert found["head_bytes"] + found["persistent_bytes"] + found["setup_bytes"] == entry["sram_bytes"]
    assert sum(found["persistent"].values()) == found["persistent_bytes"]
    for step in found["steps"]:
        assert step["live_bytes"] == sum(each["bytes"] for each in step["live"])
    peak = max(step["live_bytes"] for step in found["steps"])
    assert found["steps"][found["peak_operator"]]["live_bytes"] == peak
    _, out, _ = run(LARGE, "--json")
    assert "timeline" not in json.loads(out)["models"][0]


def test_a_target_that_nothing_can_be_costed_on_is_a_row_and_stops_no_other(run: Run, tmp_path: Path) -> None:
    shipped = (Path(cost_models.__file__).parent / "targets" / "nrf52840.toml").read_text(encoding="utf-8")
    odd = tmp_path / "odd.toml"
    odd.write_text(shipped.replace('kernels = "cmsis_nn"', 'kernels = "esp_nn"'))
    code, out, err = run(MODEL, "--targets", f"nrf52840,{odd}")
    assert (code, err) == (1, "")
    assert "fits 1 of 2 targets" in out
    assert "Refused on odd: ESP-NN does not run on cortex-m4. Set kernels to cmsis_nn or reference." in out
