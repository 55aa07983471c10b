from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.budget import Budget, Violation, parse_budget
from cost_models.costing import Costs
from cost_models.cycles.rates import Rates
from cost_models.errors import UserError
from cost_models.resources import RESOURCES, format_quantity
from cost_models.target import Target
from cost_models.target_file import load_target

CALIBRATED = Target(
    name="mine",
    title="Mine",
    core="cortex-m4",
    kernels="cmsis_nn",
    clock_hz=64_000_000,
    sram_bytes=262_144,
    flash_bytes=1_048_576,
    reserved_sram_bytes=8_192,
    reserved_flash_bytes=16_384,
    rates=Rates(scale=1.0, spread_model=0.1, spread_operator=0.1, source="test"),
    energy_uj_per_mcycle=156.0,
)
UNCALIBRATED = replace(CALIBRATED, rates=None)
EXAMPLE = " Write it like 256KB, or like sram=256KB,flash=512KB,latency=50ms,energy=2mJ,cycles=3M."


@dataclass(frozen=True)
class Numbers:
    sram_bytes: int = 1
    flash_bytes: int = 1
    latency_us: float | None = 1.0
    energy_uj: float | None = 1.0
    cycles: int | None = 1
    at_least: bool = False
    uncounted: tuple[str, ...] = ()


def violations(budget: Budget, costs: Numbers) -> tuple[Violation, ...]:
    """The limits that these numbers break; a budget reads no more of `Costs` than they have."""
    return budget.violations(cast(Costs, costs))


def test_a_limit_that_uncounted_operators_decide_is_an_error_and_never_kept_in_silence() -> None:
    costs = Numbers(latency_us=1.0, at_least=True, uncounted=("SVDF",))
    budget = parse_budget("latency=50ms", CALIBRATED)
    with pytest.raises(UserError, match=r"latency keeps its limit is not known: nobody counted .* SVDF"):
        violations(budget, costs)
    assert budget.unjudged(cast(Costs, costs)) == ("latency",)
    assert budget.violations(cast(Costs, costs), known_only=True) == ()
    (broken,) = violations(budget, replace(costs, latency_us=60_000.0))
    assert str(broken) == "latency at least 60 ms is over the limit of 50 ms"


def test_a_bare_size_limits_sram_and_the_rest_comes_from_the_target() -> None:
    budget = parse_budget("64KB", CALIBRATED)
    assert budget == Budget.of({"sram": 65_536, "flash": 1_048_576 - 16_384})


def test_without_a_budget_the_limits_are_what_the_target_has_to_spare() -> None:
    budget = parse_budget(None, CALIBRATED)
    assert budget == Budget.of({"sram": 262_144 - 8_192, "flash": 1_048_576 - 16_384})
    assert budget.limits() == (("sram", 253_952), ("flash", 1_032_192))


def test_every_resource_can_be_named() -> None:
    budget = parse_budget("sram=64KB, flash=512KB,latency=50ms,energy=2mJ,cycles=3M", CALIBRATED)
    assert budget == Budget.of(
        {"sram": 65_536, "flash": 524_288, "latency": 50_000.0, "energy": 2_000.0, "cycles": 3_000_000}
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1000", 1000),
        ("1000B", 1000),
        ("2KB", 2048),
        ("2kb", 2048),
        ("2KiB", 2048),
        ("0.1MB", 104_857),
        (".5KB", 512),
        (" 2 KB ", 2048),
        ("0.125MiB", 131_072),
    ],
)
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    assert parse_budget(text, CALIBRATED).limit("sram") == size


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("latency=7us", 7.0),
        ("latency=7µs", 7.0),
        ("latency=7\N{GREEK SMALL LETTER MU}s", 7.0),
        ("latency=1.5ms", 1500.0),
        ("latency=2s", 2e6),
    ],
)
def test_times_have_units(text: str, microseconds: float) -> None:
    assert parse_budget(text, CALIBRATED).limit("latency") == microseconds


@pytest.mark.parametrize(
    ("text", "microjoules"), [("energy=7uJ", 7.0), ("energy=0.5mJ", 500.0), ("energy=1J", 1e6)]
)
def test_energies_have_units(text: str, microjoules: float) -> None:
    assert parse_budget(text, CALIBRATED).limit("energy") == microjoules


@pytest.mark.parametrize(
    ("text", "cycles"),
    [("cycles=7", 7), ("cycles=1.5K", 1500), ("cycles=2m", 2_000_000), ("cycles=1G", 10**9)],
)
def test_cycles_are_powers_of_1000(text: str, cycles: int) -> None:
    assert parse_budget(text, CALIBRATED).limit("cycles") == cycles


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sram=262,144",
            "Budget 'sram=262,144' has a comma within a number (262,144)."
            " Commas part limits; write 262144 for 262,144.",
        ),
        (
            "macs=3,500",
            "Budget 'macs=3,500' has a comma within a number (3,500). Commas part limits; write 262144 for 262,144.",
        ),
        ("SRAM=4KB", "Budget 'SRAM=4KB' names 'SRAM', which cannot be limited. Did you mean sram?"),
        ("256XB", "Budget '256XB': sram has the unit 'XB'. Its units are B, KB or MB."),
        ("-1KB", "Budget '-1KB': sram must be more than 0." + EXAMPLE),
        ("0", "Budget '0': sram must be more than 0." + EXAMPLE),
        ("0.4B", "Budget '0.4B': sram must be more than 0." + EXAMPLE),
        ("cycles=0.5", "Budget 'cycles=0.5': cycles must be more than 0." + EXAMPLE),
        ("", "The budget is empty." + EXAMPLE),
        ("  ", "The budget is empty." + EXAMPLE),
        (",", "Budget ',' has an empty part." + EXAMPLE),
        ("64KB,", "Budget '64KB,' has an empty part." + EXAMPLE),
        ("sram=", "Budget 'sram=' has an empty part." + EXAMPLE),
        ("=64KB", "Budget '=64KB' has an empty part." + EXAMPLE),
        ("nan", "Budget 'nan': 'nan' is not a quantity." + EXAMPLE),
        ("inf", "Budget 'inf': 'inf' is not a quantity." + EXAMPLE),
        ("1e400", "Budget '1e400': '1e400' is not a quantity." + EXAMPLE),
        ("64 KB each", "Budget '64 KB each': '64 KB each' is not a quantity." + EXAMPLE),
        ("٤KB", "Budget '٤KB': '٤KB' is not a quantity." + EXAMPLE),
        ("9" * 40, f"Budget '{'9' * 40}': '{'9' * 40}' is not a quantity." + EXAMPLE),
        (
            "ram=64KB",
            "Budget 'ram=64KB' names 'ram', which cannot be limited. Did you mean sram?",
        ),
        (
            "64KB,sram=32KB",
            "Budget '64KB,sram=32KB' limits sram twice. Name each once; a bare size is sram.",
        ),
        ("latency=50", "Budget 'latency=50': latency has no unit. Its units are us, ms or s."),
        ("latency=5KB", "Budget 'latency=5KB': latency has the unit 'KB'. Its units are us, ms or s."),
        ("energy=2MJ", "Budget 'energy=2MJ': energy has the unit 'MJ'. Its units are uJ, mJ or J."),
        ("cycles=2T", "Budget 'cycles=2T': cycles has the unit 'T'. Its units are K, M or G, or nothing."),
    ],
)
def test_what_is_no_budget_is_refused_in_a_sentence_with_a_hint(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_budget(text, CALIBRATED)
    assert str(caught.value) == message


@pytest.mark.parametrize("limit", ["latency=50ms", "cycles=3M", "energy=2mJ"])
def test_a_target_without_calibration_refuses_limits_on_time_and_energy(limit: str) -> None:
    resource = limit.partition("=")[0]
    with pytest.raises(UserError) as caught:
        parse_budget(limit, UNCALIBRATED)
    assert str(caught.value) == (
        f"{resource} cannot be limited: target mine has no calibration of its cycles."
        " Limit sram or flash, take a target that has one (nas-cost --targets), or run nas-calibrate."
    )


def test_a_target_without_a_sourced_energy_refuses_a_limit_on_it() -> None:
    with pytest.raises(UserError) as caught:
        parse_budget("energy=2mJ", replace(CALIBRATED, energy_uj_per_mcycle=None))
    assert str(caught.value) == (
        "energy cannot be limited: target mine has no sourced figure of its energy per cycle."
        " Limit latency instead, or set energy_uj_per_mcycle in a target file of your own."
    )


def test_a_limit_above_what_the_target_has_is_capped_and_that_is_said() -> None:
    budget = parse_budget("256KB,flash=2MB", CALIBRATED)
    assert (budget.limit("sram"), budget.limit("flash")) == (253_952, 1_032_192)
    assert budget.notes == (
        "sram=262,144 B is more than mine has to spare: the limit is 253,952 B"
        " (262,144 B less 8,192 B reserved).",
        "flash=2,097,152 B is more than mine has to spare: the limit is 1,032,192 B"
        " (1,048,576 B less 16,384 B reserved).",
    )


def test_violations_name_the_resource_and_by_how_much() -> None:
    budget = parse_budget("1KB,latency=50ms", CALIBRATED)
    (sram, latency) = violations(budget, Numbers(sram_bytes=1536, latency_us=60_000.0))
    assert sram == Violation(resource="sram", value=1536, limit=1024)
    assert sram.excess == 0.5
    assert str(sram) == "sram 1,536 B (1.5 KB) is over the limit of 1,024 B (1.0 KB)"
    assert str(latency) == "latency 60 ms is over the limit of 50 ms"


def test_a_cost_equal_to_its_limit_fits() -> None:
    assert violations(parse_budget("1KB", CALIBRATED), Numbers(sram_bytes=1024)) == ()


def test_a_limited_cost_that_is_unknown_is_never_admitted() -> None:
    with pytest.raises(ValueError, match="latency is limited, but its cost is unknown"):
        violations(parse_budget("latency=50ms", CALIBRATED), Numbers(latency_us=None))


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("sram", 2048, "2,048 B (2.0 KB)"),
        ("latency", 1234.5, "1.23 ms"),
        ("latency", 999_600, "1.0 s"),
        ("latency", 2_500_000, "2.5 s"),
        ("energy", 12.34, "12.3 uJ"),
        ("energy", 999.7, "1.000 mJ"),
        ("energy", 1234.0, "1.234 mJ"),
        ("cycles", 1234, "1,234 cycles"),
    ],
)
def test_quantities_are_shown_with_units(resource: str, value: float, text: str) -> None:
    assert format_quantity(resource, value) == text


sizes = st.integers(min_value=1, max_value=300_000)
numbers = st.builds(
    Numbers,
    sram_bytes=sizes,
    flash_bytes=st.integers(min_value=1, max_value=2_000_000),
    latency_us=st.floats(min_value=0, max_value=1e6),
    energy_uj=st.floats(min_value=0, max_value=1e6),
    cycles=sizes,
)


@given(
    loose=st.tuples(sizes, sizes, sizes, sizes, sizes),
    cuts=st.tuples(*[st.floats(min_value=0.01, max_value=1)] * 5),
    costs=numbers,
)
def test_tighter_budget_never_admits_more(
    loose: tuple[int, ...], cuts: tuple[float, ...], costs: Numbers
) -> None:
    tight = [max(1, int(limit * cut)) for limit, cut in zip(loose, cuts, strict=True)]
    admitted = []
    for sram, flash, latency, energy, cycles in (loose, tight):
        text = f"sram={sram}B,flash={flash}B,latency={latency}us,energy={energy}uJ,cycles={cycles}"
        admitted.append(violations(parse_budget(text, CALIBRATED), costs) == ())
    assert admitted[0] or not admitted[1]


@given(st.text(max_size=30))
def test_any_text_is_a_budget_or_a_users_mistake(text: str) -> None:
    message = hint = "."
    sram_bytes: float = 1
    try:
        sram_bytes = parse_budget(text, CALIBRATED).limit("sram") or 0
    except UserError as error:
        message, hint = error.message, error.hint
    assert message.endswith(".")
    assert hint.endswith((".", "?"))
    assert 0 < sram_bytes <= CALIBRATED.usable_sram_bytes


@dataclass(frozen=True)
class Intervals(Numbers):
    flash_high_bytes: int = 3
    latency_high_us: float | None = 60_000.0
    energy_high_uj: float | None = 3.0
    cycles_high: int | None = 3


def test_certainty_holds_the_upper_ends_to_the_limits_and_says_so() -> None:
    costs = Intervals(latency_us=40_000.0)
    assert violations(parse_budget("latency=50ms", CALIBRATED), costs) == ()
    budget = parse_budget("latency=50ms", CALIBRATED, certain=True)
    assert budget.notes == ("Predictions are held to the limits by the upper ends of their 90 % intervals.",)
    (broken,) = violations(budget, costs)
    assert (broken.value, broken.upper) == (60_000.0, True)
    assert str(broken) == "latency 60 ms (upper end of its 90 % interval) is over the limit of 50 ms"


@pytest.mark.parametrize("limit", ["flash=2B", "energy=2uJ", "cycles=2"])
def test_every_prediction_has_an_upper_end_that_certainty_judges(limit: str) -> None:
    assert violations(parse_budget(limit, CALIBRATED), Intervals()) == ()
    assert len(violations(parse_budget(limit, CALIBRATED, certain=True), Intervals())) == 1


def test_certainty_leaves_the_exact_sram_as_it_is() -> None:
    (broken,) = violations(parse_budget("1KB", CALIBRATED, certain=True), Intervals(sram_bytes=1025))
    assert str(broken) == "sram 1,025 B (1.0 KB) is over the limit of 1,024 B (1.0 KB)"


def test_a_class_lets_latency_be_limited() -> None:
    rates = Rates(scale=1.0, spread_model=0.2, spread_operator=0.1, source="test", basis="class")
    budget = parse_budget("latency=50ms", replace(UNCALIBRATED, class_rates=rates))
    assert budget.limit("latency") == 50_000


def test_instructions_can_be_limited_where_they_are_counted() -> None:
    @dataclass(frozen=True)
    class Counted(Intervals):
        instructions: int | None = 2_500_000

    budget = parse_budget("instructions=2M", UNCALIBRATED)
    assert budget.limits()[-1] == ("instructions", 2_000_000)
    (broken,) = violations(budget, Counted())
    assert str(broken) == "instructions 2,500,000 instructions is over the limit of 2,000,000 instructions"
    assert violations(parse_budget("instructions=2.5M", UNCALIBRATED, certain=True), Counted()) == ()


def test_instructions_that_nobody_counted_cannot_be_limited() -> None:
    with pytest.raises(UserError) as caught:
        parse_budget("instructions=2M", replace(UNCALIBRATED, core="xtensa-lx6", kernels="reference"))
    assert str(caught.value) == (
        "instructions cannot be limited: nobody counted reference kernels on xtensa-lx6."
        " Limit sram or flash, or take another target."
    )


def test_multiplications_can_be_limited_on_any_target() -> None:
    budget = parse_budget("sram=20KB,flash=64KB,macs=60K", load_target("samd21"))
    assert budget.limits() == (("sram", 20_480), ("flash", 65_536), ("macs", 60_000))
    assert format_quantity("macs", 60_000) == "60,000 MACs"
    assert format_quantity("cycles", 60_000) == "60,000 cycles"


def test_each_resource_is_one_row_that_names_fields_of_the_costs() -> None:
    for name, row in RESOURCES.items():
        assert row.name == name
        if name == "power":  # of a duty as well, see `Budget.judged`
            continue
        assert hasattr(Costs, row.field)
        assert not row.upper or hasattr(Costs, row.upper)
