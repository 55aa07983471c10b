from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from cost_models.costing import CostModel, Costs, estimate, explain
from cost_models.cycles.rates import Rates
from cost_models.errors import UserError
from cost_models.graph import OpGraph
from cost_models.lean import lean
from cost_models.target import Target
from cost_models.target_file import load_target
from cost_models.target_names import list_targets
from cost_models.tflite_graph import read_graph

MODELS = sorted((Path(__file__).parents[1] / "data" / "calibration").glob("*.tflite"))
RATES = Rates(scale=1.1, cycles_per_operator=50.0, spread_model=0.05, spread_operator=0.1, source="test")
PLAIN = replace(load_target("cortex_m4"), rates=None, energy_uj_per_mcycle=None)
CALIBRATED = replace(PLAIN, rates=RATES, clock_hz=50_000_000, energy_uj_per_mcycle=200.0)


def graph(path: Path) -> OpGraph:
    return read_graph(lean(path.read_bytes()))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_model_bytes_are_those_of_the_lean_file(path: Path) -> None:
    data = lean(path.read_bytes())
    assert estimate(read_graph(data), PLAIN).model_bytes == len(data)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
@pytest.mark.parametrize("target", [PLAIN, CALIBRATED], ids=["plain", "calibrated"])
def test_the_parts_add_up_to_the_whole(path: Path, target: Target) -> None:
    explanation = explain(graph(path), target)
    costs, parts = explanation.costs, explanation.operators
    assert costs.ops == len(parts) == len({part.index for part in parts})
    assert costs.macs == sum(part.macs for part in parts)
    assert costs.flash_bytes == costs.model_bytes + costs.code_bytes
    assert costs.instructions == sum(part.instructions or 0 for part in parts)
    if target is CALIBRATED:
        assert costs.cycles == sum(part.cycles or 0 for part in parts)
    else:
        assert all(part.cycles is None for part in parts)


def test_the_long_form_costs_what_the_short_form_costs() -> None:
    model = CostModel(CALIBRATED)
    for path in MODELS:
        assert model.explain(graph(path)).costs == model.estimate(graph(path))


def test_without_calibration_there_are_no_cycles_latency_or_energy() -> None:
    costs = estimate(graph(MODELS[0]), PLAIN)
    assert costs.instructions is not None
    unknown = ("cycles", "cycles_low", "cycles_high", "latency_us", "energy_uj")
    assert [getattr(costs, name) for name in unknown] == [None] * len(unknown)


def test_latency_and_energy_follow_from_the_cycles() -> None:
    costs = estimate(graph(MODELS[0]), CALIBRATED)
    assert costs.cycles is not None
    assert costs.cycles_low is not None
    assert costs.cycles_high is not None
    assert costs.cycles_low < costs.cycles < costs.cycles_high
    assert costs.latency_us == pytest.approx(costs.cycles / 50, rel=1e-4)
    assert costs.energy_uj == pytest.approx(costs.cycles * 200e-6, rel=1e-4)


def test_energy_is_unknown_without_a_sourced_figure() -> None:
    costs = estimate(graph(MODELS[0]), replace(CALIBRATED, energy_uj_per_mcycle=None))
    assert costs.latency_us is not None
    assert costs.energy_uj is None


def test_a_file_that_is_not_lean_costs_its_own_length() -> None:
    lean_costs = CostModel(PLAIN).estimate(graph(MODELS[0]))
    costs = CostModel(PLAIN).estimate(graph(MODELS[0]), file_bytes=lean_costs.model_bytes + 1000)
    assert costs.flash_bytes == lean_costs.flash_bytes + 1000


@pytest.mark.parametrize("name", list_targets())
def test_every_target_costs_a_model(name: str) -> None:
    target = load_target(name)
    costs = estimate(graph(MODELS[0]), target)
    assert costs.arena_used_bytes <= costs.sram_bytes
    assert costs.flash_low_bytes <= costs.flash_bytes <= costs.flash_high_bytes
    assert target.cycle_rates is not None
    assert costs.cycles is not None
    counted = target.core.startswith("cortex") or target.core == "riscv32"
    assert (costs.instructions is not None) == counted


def test_costs_are_the_same_whatever_was_costed_before() -> None:
    model = CostModel(CALIBRATED)
    forward = [model.estimate(graph(path)) for path in MODELS]
    backward = [model.estimate(graph(path)) for path in reversed(MODELS)]
    assert forward == backward[::-1]


def test_every_number_says_what_it_is() -> None:
    bases = CostModel(CALIBRATED).bases()
    assert bases["sram_bytes"] == "exact for TFLM 90b983c2 with CMSIS-NN 4ab83cc3 on cortex-m4"
    assert bases["flash_bytes"] == (
        "calibrated, +-1% of the code: as linked, checked against measured programs"
    )
    assert bases["cycles"] == "calibrated, with its 90 % interval: test"
    assert bases["energy_uj"] == "cycles times 200 uJ per million cycles: no source given"
    unknown = CostModel(PLAIN).bases()
    assert unknown["cycles"] == unknown["energy_uj"] == "not known: this target has no calibration"
    bases = CostModel(replace(CALIBRATED, energy_uj_per_mcycle=None)).bases()
    assert bases["energy_uj"] == "not known: this target has no sourced figure"


def test_an_operator_without_a_rule_is_refused() -> None:
    known = graph(MODELS[0])
    strange = replace(known.operators[-1], kind="WHILE")
    with pytest.raises(UserError, match="WHILE"):
        estimate(replace(known, operators=(*known.operators[:-1], strange)), PLAIN)


def test_every_field_of_the_costs_carries_its_unit() -> None:
    counts = {"ops", "macs", "instructions", "cycles", "cycles_low", "cycles_high", "uncounted"}
    names = {field.name for field in fields(Costs)} - counts
    assert all(name.endswith(("_bytes", "_us", "_uj")) for name in names)


def test_a_class_says_that_the_chip_was_not_measured() -> None:
    rates = replace(RATES, basis="class")
    model = CostModel(replace(PLAIN, class_rates=rates))
    assert model.basis == "class"
    assert model.bases()["cycles"] == (
        "by the class of its core, with a 90 % interval for any board of it: test"
    )
    model = CostModel(replace(PLAIN, class_rates=replace(rates, basis="bound")))
    assert model.bases()["cycles"] == (
        "by its core's pipeline, no board of which was measured, with a 90 % interval: test"
    )
    assert CostModel(CALIBRATED).basis == "measured"
    assert CostModel(PLAIN).basis is None


def test_the_ends_of_latency_and_energy_follow_from_those_of_the_cycles() -> None:
    costs = estimate(graph(MODELS[0]), CALIBRATED)
    assert costs.cycles_low is not None
    assert costs.cycles_high is not None
    assert costs.latency_low_us == pytest.approx(costs.cycles_low / 50, rel=1e-3)
    assert costs.latency_high_us == pytest.approx(costs.cycles_high / 50, rel=1e-3)
    assert costs.energy_high_uj == pytest.approx(costs.cycles_high * 200e-6, rel=1e-3)
    plain = estimate(graph(MODELS[0]), PLAIN)
    assert plain.latency_low_us is plain.latency_high_us is plain.energy_high_uj is None


def test_cycles_on_a_chip_with_an_npu_are_those_of_the_core_alone() -> None:
    target = load_target("corstone300_u55_128")
    assert (
        CostModel(target)
        .bases()["cycles"]
        .startswith(
            "of the core alone, without ethos-u55-128; by the class of its core, with a 90 % interval"
        )
    )
