"""`nas-cost --period --battery`: average power of one inference in each period, and how long a battery lasts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cost_models.budget import parse_budget
from cost_models.costing import CostModel, Costs
from cost_models.cycles.paths import COUNTERS
from cost_models.duty_cycle import duty_cycle, duty_on, parse_charge, parse_period, rests_on
from cost_models.errors import UserError
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from tests.cost_models.conftest import Run

MODEL = str(Path(__file__).parents[1] / "data" / "calibration" / "ds_cnn-20059.tflite")
TARGET = load_target("nrf52840")


@pytest.fixture(scope="module")
def costs() -> Costs:
    return CostModel(TARGET).estimate(read_graph(Path(MODEL).read_bytes()))


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("100ms", 1e5),
        ("1s", 1e6),
        ("1.5 S", 1.5e6),
        (".5m", 3e7),
        ("2min", 1.2e8),
        ("1h", 3.6e9),
        ("50us", 50),
    ],
)
def test_periods_have_units(text: str, microseconds: float) -> None:
    assert parse_period(text) == microseconds


@pytest.mark.parametrize(("text", "charge"), [("230mAh", 230), ("1.2Ah", 1200), (".5 ah", 500)])
def test_charges_have_units(text: str, charge: float) -> None:
    assert parse_charge(text) == charge


def test_the_average_is_energy_and_sleep_over_the_period(costs: Costs) -> None:
    found = duty_cycle(costs, TARGET, period_us=1e6, charge_mah=230)
    assert costs.energy_uj is not None
    assert costs.latency_us is not None
    sleep = 3.16 * 3.0 * (1 - costs.latency_us / 1e6)
    assert found.middle.total_uw == pytest.approx(costs.energy_uj + sleep)
    assert found.middle.battery_days(230) == pytest.approx(230e3 / (found.middle.total_uw / 3.0) / 24)
    assert found.low.total_uw < found.middle.total_uw < found.high.total_uw


def test_a_chip_that_hardly_ever_infers_takes_what_it_takes_asleep(costs: Costs) -> None:
    found = duty_cycle(costs, TARGET, period_us=86400e6)
    assert found.middle.current_ua == pytest.approx(3.16, rel=0.01)


def test_a_longer_period_never_takes_more(costs: Costs) -> None:
    powers = [duty_cycle(costs, TARGET, period_us=t).middle.total_uw for t in (4e4, 1e5, 1e6, 1e7)]
    assert powers == sorted(powers, reverse=True)


def test_where_the_latency_may_exceed_the_period_the_chip_infers_without_pause(costs: Costs) -> None:
    assert costs.latency_us is not None
    found = duty_cycle(costs, TARGET, period_us=costs.latency_us * 1.02)
    assert found.overruns
    assert found.high.sleep_uw == 0
    assert found.high.inference_uw == pytest.approx(156.0 * 64)  # uJ per Mcycle times MHz
    assert "The upper end of the latency is longer than the period" in found.text()


def test_the_supply_is_the_targets_or_three_volts_and_that_is_said(costs: Costs) -> None:
    assert "supply: 3 V: that of the energy figure." in rests_on(TARGET)
    assert "supply: 1.8 V: that of the energy figure." in rests_on(load_target("stm32u575"))
    unsaid = replace(TARGET, supply_volts=None)
    assert "supply: 3 V: assumed, as the target does not say." in rests_on(unsaid)
    other = replace(TARGET, supply_volts=1.8)
    three, less = (duty_cycle(costs, each, period_us=1e6).middle for each in (unsaid, other))
    assert three.sleep_uw / less.sleep_uw == pytest.approx(3.0 / 1.8)


def test_words_say_power_days_sources_and_what_is_left_out(run: Run) -> None:
    code, out, _ = run(MODEL, "--period", "1s", "--battery", "230mAh")
    assert code == 0
    assert f"{MODEL}: one inference every 1 s takes 328 uW on average (290 uW to 372 uW)" in out
    assert "230 mAh last 88 days (77 to 99)." in out
    assert "sleep: 3.16 uA: ION_RAMON_RTC of the nRF52840 Product Specification" in out
    assert "left out: the sensor, the radio and every other peripheral" in out
    _, out, _ = run(MODEL, "--period", "1s")
    assert "mAh" not in out


def test_json_has_the_same(run: Run) -> None:
    _, out, _ = run(MODEL, "--period", "1s", "--battery", "230mAh", "--json")
    document = json.loads(out)
    entry = document["models"][0]["duty_cycle"]
    assert entry["power_uw"] == pytest.approx(entry["inference_uw"] + entry["sleep_uw"], abs=0.01)
    assert entry["battery_low_days"] < entry["battery_days"] < entry["battery_high_days"]
    assert document["duty_cycle_rests_on"] == rests_on(TARGET)
    _, out, _ = run(MODEL, "--json")
    assert "duty_cycle" not in out


def test_a_target_file_of_ones_own_can_say_its_sleep_current(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "stm32l4r5"\nsleep_current_ua = 10.0\n', encoding="utf-8")
    code, out, _ = run(MODEL, "--period", "1s", "--target", str(mine))
    assert code == 0
    assert "sleep: 10 uA: no source given." in out
    other = tmp_path / "other.toml"
    other.write_text('extends = "nrf52840"\ncore = "cortex-m7"\n', encoding="utf-8")
    assert load_target(str(other)).sleep_current_ua is None
    own = tmp_path / "own.toml"
    own.write_text('extends = "stm32u575"\nenergy_uj_per_mcycle = 100.0\n', encoding="utf-8")
    assert load_target(str(own)).supply_volts is None


KNOWN = (
    " Take one of arduino_nano_33_ble, nrf52832, nrf52840, stm32l496, stm32u385, stm32u575,"
    " or set energy_uj_per_mcycle and sleep_current_ua in a target file of your own."
)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--battery", "230mAh"), "--battery needs --period. Say how often it infers: --period 1s."),
        (("--period", "1"), "--period is '1'. Write a time with its unit, like 100ms, 1s, 5m or 1h."),
        (("--period", "0s"), "--period is '0s'. Write a time with its unit, like 100ms, 1s, 5m or 1h."),
        (("--period", "-1s"), "--period is '-1s'. Write a time with its unit, like 100ms, 1s, 5m or 1h."),
        (
            ("--period", "1s", "--battery", "230"),
            "--battery is '230'. Write its charge like 230mAh or 1.2Ah.",
        ),
        (
            ("--period", "1s", "--target", "stm32l4r5"),
            "The power of a duty cycle is not known: target stm32l4r5 has no sourced sleep current." + KNOWN,
        ),
        (
            ("--period", "1s", "--target", "rp2040"),
            "The power of a duty cycle is not known: target rp2040 has no sourced figure of its energy per cycle"
            " and no sourced sleep current." + KNOWN,
        ),
        (
            ("--battery", "1Ah", "--targets", "all"),
            "--battery needs --period. Say how often it infers: --period 1s.",
        ),
        (
            ("--period", "10ms"),
            f"{MODEL}: A period of 10 ms is shorter than an inference, which takes 32 ms."
            " Give a longer --period, or take a smaller model or a faster target.",
        ),
    ],
)
def test_a_mistake_is_a_sentence_a_hint_and_exit_code_2(
    run: Run, argv: tuple[str, ...], message: str
) -> None:
    code, out, err = run(MODEL, *argv)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == f"nas-cost: {message}"


def test_a_model_of_unknown_cycles_has_no_power(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = read_graph(Path(MODEL).read_bytes()).operators[0].kind
    monkeypatch.setitem(COUNTERS, "cmsis_nn", {k: v for k, v in COUNTERS["cmsis_nn"].items() if k != kind})
    code, _, err = run(MODEL, "--period", "1s")
    assert code == 2
    assert f"{MODEL}: Whether latency keeps its limit is not known: its instructions, cycles" in err


def test_a_limit_of_average_power_is_judged_by_the_same_figure(run: Run) -> None:
    code, out, err = run(MODEL, "--period", "1s", "--budget", "power=329uW")
    assert (code, "power 329 uW" in out) == (0, True)
    assert "latency is limited to the period, 1.0 s." in err
    code, out, _ = run(MODEL, "--period", "1s", "--budget", "power=0.3mW")
    assert code == 1
    assert "power 328 uW is over the limit of 300 uW" in out
    code, out, _ = run(MODEL, "--period", "1s", "--budget", "power=350uW", "--certain")
    assert code == 1
    assert "power 372 uW (upper end of its 90 % interval) is over the limit of 350 uW" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ("--budget", "power=1mW"),
            "power cannot be limited without a period. Say how often the chip infers:",
        ),
        (("--budget", "power=1MW", "--period", "1s"), "power has the unit 'MW'. Its units are uW, mW or W."),
        (("--budget", "power=1", "--period", "1s"), "power has no unit. Its units are uW, mW or W."),
        (("--budget", "power=1mW", "--targets", "all"), "power cannot be limited without a period."),
        (
            ("--budget", "power=1mW", "--period", "1s", "--target", "rp2040"),
            "The power of a duty cycle is not known: target rp2040 has no",
        ),
    ],
)
def test_a_limit_of_power_that_cannot_be_meant_is_a_sentence(
    run: Run, argv: tuple[str, ...], message: str
) -> None:
    code, _, err = run(MODEL, *argv)
    assert code == 2
    assert message in err


def test_a_longer_period_never_breaks_a_limit_of_power(costs: Costs) -> None:
    def fits(period: str) -> bool:
        duty = duty_on(TARGET, period=period)
        return not parse_budget("power=400uW", TARGET, duty=duty).violations(costs)

    assert [fits(period) for period in ("10ms", "100ms", "1s", "1m", "1d")] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_where_power_is_not_known_a_period_still_limits_the_latency() -> None:
    chip = load_target("rp2040")
    budget = parse_budget(None, chip, duty=duty_on(chip, period="20ms"))
    assert budget.limit("latency") == 20_000
    assert budget.notes[-1].startswith("The power of a duty cycle is not known: target rp2040 has no")
    assert parse_budget("latency=5ms", chip, duty=duty_on(chip, period="20ms")).limit("latency") == 5_000


def test_nothing_is_known_of_power_where_energy_is_not(costs: Costs) -> None:
    with pytest.raises(UserError, match="The power of a duty cycle is not known"):
        duty_cycle(replace(costs, energy_uj=None), TARGET, period_us=1e6)
