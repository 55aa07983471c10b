"""Latency for chips that nobody measured: the class of their core, and what it rests on."""

from __future__ import annotations

import json
import math
import random
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from cost_models.cores import CORES
from cost_models.cycles import predict
from cost_models.cycles.board_facts import measured_boards
from cost_models.cycles.boards import Check, Measurement
from cost_models.cycles.class_fit import (
    Board,
    LeftOut,
    check_of_boards,
    document_of,
    factor_of,
    few_models_rates,
    fit_classes,
    leave_board_out,
)
from cost_models.cycles.classes import CLASSES, FETCH, class_rates, ideal_parts
from cost_models.cycles.kernel_table import graph_of
from cost_models.cycles.published import FEW_MODELS
from cost_models.cycles.table import core_table
from cost_models.graph import OpGraph
from cost_models.target_file import load_target
from cost_models.target_names import list_targets

PROJECT = Path(__file__).resolve().parents[2]
CALIBRATION = PROJECT.parent / "shared" / "calibration"
needs_figures = pytest.mark.skipif(
    not CALIBRATION.is_dir(), reason="needs the measured figures beside the project"
)


def conv(channels: int) -> OpGraph:
    row = {
        "op": "CONV_2D",
        "input_shape": f"1x16x16x{channels}",
        "filter_shape": f"{channels}x3x3x{channels}",
        "output_shape": f"1x16x16x{channels}",
        "stride_h": "1",
        "stride_w": "1",
        "padding": "SAME",
    }
    return graph_of([row])


def board(name: str, core: str, factor: float, *, noise: float = 0.02) -> Board:
    """A made-up board whose cycles are a factor times what its core predicts, with some noise."""
    rng = random.Random(name)
    measurements = []
    for channels in (8, 12, 16, 24, 32, 40):
        graph = conv(channels)
        parts = ideal_parts(graph, "cmsis_nn", core)
        cycles = sum(ideal + FETCH["flash"] * fetched for ideal, fetched in parts) * factor
        measurements.append(
            Measurement(
                model=f"{name}-{channels}", graph=graph, cycles=(cycles * math.exp(rng.gauss(0, noise)),)
            )
        )
    return Board(name=name, core=core, memory="flash", measurements=tuple(measurements))


def test_every_target_has_latency_and_says_what_it_rests_on() -> None:
    bases = {}
    for name in list_targets():
        target = load_target(name)
        bases[name] = target.cycle_rates.basis if target.cycle_rates else None
    assert None not in bases.values()
    assert {bases[name] for name in ("nrf52840", "stm32l552", "rp2040", "ra6m4", "nrf5340")} == {"measured"}
    assert {bases[name] for name in ("stm32h743", "rp2350", "ra8d1", "apollo510", "cortex_m55")} == {"class"}
    assert {bases[name] for name in ("arduino_due", "stm32f103", "cortex_m4")} == {"bound"}
    assert {bases[name] for name in ("esp32", "esp32s3", "esp32p4")} == {"class"}
    assert bases["esp32c3"] == "bound"


def test_every_arm_core_whose_instructions_are_known_has_a_class() -> None:
    for name, core in CORES.items():
        if core.is_arm and core_table("cmsis_nn", name) is not None:
            assert class_rates(name, "cmsis_nn", "flash") is not None, name


def test_boards_left_out_weigh_the_same_however_many_cases_they_have() -> None:
    check = Check(models=0, median=0, p90=0, worst=0, coverage=0.0)
    many = LeftOut(
        board="a", core="c", others=1, cases=((0.1, True),) * 98, check=replace(check, coverage=1.0)
    )
    few = LeftOut(board="b", core="c", others=1, cases=((0.3, False),) * 2, check=check)
    found = check_of_boards([many, few])
    assert (found.models, found.median, found.p90, found.worst) == (100, 0.1, 0.3, 0.3)
    assert found.coverage == 0.5


def test_own_rates_come_before_the_class() -> None:
    measured, sibling = load_target("stm32l552"), load_target("stm32u575")
    assert measured.class_rates is None
    assert measured.cycle_rates is measured.rates
    assert sibling.rates is None
    assert sibling.cycle_rates is sibling.class_rates


def test_a_class_is_wider_than_rates_of_ones_own() -> None:
    for own, other in (("nrf52832", "apollo4"), ("stm32l552", "stm32u575")):
        rates, of_class = load_target(own).rates, load_target(other).cycle_rates
        assert rates is not None
        assert of_class is not None
        assert of_class.spread_model > rates.spread_model


def test_external_flash_costs_more_and_is_less_certain() -> None:
    inside, outside = (
        class_rates("cortex-m33", "cmsis_nn", "flash"),
        class_rates("cortex-m33", "cmsis_nn", "xip"),
    )
    assert inside is not None
    assert outside is not None
    assert outside.cycles_per_weight_byte > 3 * inside.cycles_per_weight_byte
    assert outside.spread_model > inside.spread_model
    assert outside.source.endswith("; weights from external flash as on the RP2040")
    rates = load_target("rp2350").cycle_rates
    assert rates == outside


def test_a_core_or_library_that_nobody_counted_has_no_class() -> None:
    assert class_rates("xtensa-lx7", "cmsis_nn", "flash") is None
    assert class_rates("cortex-m7", "reference", "flash") is None
    assert class_rates("cortex-m23", "cmsis_nn", "flash") is None


def test_a_target_file_without_rates_takes_its_cores_class(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('extends = "nrf52840"\nclock_hz = 80_000_000\n', encoding="utf-8")
    target = load_target(path)
    assert target.rates is None
    assert target.cycle_rates == class_rates("cortex-m4", "cmsis_nn", "flash")
    path.write_text('extends = "nrf52840"\nweights_memory = "psram"\n', encoding="utf-8")
    with pytest.raises(Exception, match=r"weights_memory = 'psram' is unknown\. Known: flash, xip\."):
        load_target(path)


def test_the_interval_of_a_class_holds_its_middle() -> None:
    target = load_target("stm32h743")
    work = predict(conv(16), kernels=target.kernels, core=target.core, rates=target.cycle_rates)
    assert work.cycles_low is not None
    assert work.cycles_high is not None
    assert work.cycles is not None
    assert 0.6 < work.cycles_low / work.cycles < 0.85
    assert 1.2 < work.cycles_high / work.cycles < 1.6


def test_a_core_of_many_boards_lies_at_their_mean_and_one_without_at_that_of_all() -> None:
    boards = [board(f"a{index}", "cortex-m4", factor) for index, factor in enumerate((1.1, 1.2, 1.3))]
    boards += [board(f"b{index}", "cortex-m33", factor) for index, factor in enumerate((0.8, 0.9))]
    classes = fit_classes([factor_of(each) for each in boards], ["cortex-m4", "cortex-m33", "cortex-m55"])
    assert math.exp(classes["cortex-m4"].center) == pytest.approx(1.2, rel=0.05)
    assert math.exp(classes["cortex-m33"].center) == pytest.approx(0.85, rel=0.08)
    assert classes["cortex-m33"].center < classes["cortex-m55"].center < classes["cortex-m4"].center
    assert classes["cortex-m55"].spread_model > classes["cortex-m4"].spread_model
    assert classes["cortex-m55"].boards == ()


def test_boards_that_differ_more_make_a_wider_class() -> None:
    alike = [board(f"a{index}", "cortex-m4", factor) for index, factor in enumerate((1.0, 1.02, 1.04))]
    apart = [board(f"a{index}", "cortex-m4", factor) for index, factor in enumerate((0.7, 1.0, 1.4))]
    narrow, wide = (
        fit_classes([factor_of(each) for each in boards], ["cortex-m4"])["cortex-m4"]
        for boards in (alike, apart)
    )
    assert wide.spread_model > 2 * narrow.spread_model


def test_a_core_without_a_board_takes_the_pipeline_that_it_shares_and_says_so() -> None:
    classes = fit_classes([factor_of(board("a", "cortex-m4", 1.2))], ["cortex-m3", "cortex-m4"])
    assert classes["cortex-m3"].center == classes["cortex-m4"].center
    assert classes["cortex-m3"].spread_model > classes["cortex-m4"].spread_model
    entries = document_of(classes)["cores"]
    assert entries["cortex-m3"]["basis"] == "bound"
    assert entries["cortex-m3"]["source"] == (
        "no Cortex-M3 board was measured: instruction counts, and the pipeline that it shares with the Cortex-M4 (a)"
    )
    assert entries["cortex-m4"]["source"] == "the class of Cortex-M4 boards: a"


def test_boards_left_out_are_held_by_the_interval_of_the_others() -> None:
    rng = random.Random(7)
    boards = [
        board(f"{core}-{index}", core, scale * math.exp(rng.gauss(0, 0.08)))
        for core, scale in (("cortex-m4", 1.25), ("cortex-m33", 1.1), ("cortex-m7", 1.3))
        for index in range(6)
    ]
    rows = leave_board_out([factor_of(each) for each in boards])
    assert len(rows) == 18
    assert all(row.others == 5 and row.check.models == 6 for row in rows)
    assert statistics.median(row.check.median for row in rows) < 0.12
    assert statistics.fmean(row.check.coverage for row in rows) >= 0.85


def test_rates_from_few_models_are_as_wide_as_these_scatter() -> None:
    steady, shaky = (factor_of(board("a", "cortex-m33", 1.1, noise=noise)) for noise in (0.001, 0.2))
    assert few_models_rates(steady, "x").spread_model == 0.06
    assert few_models_rates(shaky, "x").spread_model > 0.2
    assert few_models_rates(steady, "x").scale == pytest.approx(1.1, rel=0.01)
    assert few_models_rates(steady, "x").basis == "measured"


@needs_figures
def test_the_shipped_classes_are_those_of_the_measured_boards() -> None:
    factors = [factor_of(each) for each in measured_boards(CALIBRATION, PROJECT / "scripts")]
    cores = sorted(
        {factor.board.core for factor in factors} | {name for name, core in CORES.items() if core.pipeline_of}
    )
    assert json.loads(CLASSES.read_text(encoding="utf-8")) == document_of(fit_classes(factors, cores))
    for factor in factors:
        if factor.board.name in FEW_MODELS:
            rates = load_target(factor.board.name).rates
            assert rates == few_models_rates(factor, FEW_MODELS[factor.board.name])


@needs_figures
def test_measured_boards_left_out_lie_within_their_class_as_often_as_said() -> None:
    rows = leave_board_out([factor_of(each) for each in measured_boards(CALIBRATION, PROJECT / "scripts")])
    assert 0.85 <= statistics.fmean(row.check.coverage for row in rows) <= 0.95
    with_others = [row for row in rows if row.others]
    assert len(with_others) >= 9
    assert max(row.check.median for row in with_others) < 0.12
