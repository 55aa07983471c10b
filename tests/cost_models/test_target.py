from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from cost_models.cores import CORES
from cost_models.cycles.rates import Rates
from cost_models.errors import UserError
from cost_models.target import Target
from cost_models.target_file import load_target
from cost_models.target_names import DEFAULT_TARGET, list_targets

GOOD = """\
title = "Mine"
core = "cortex-m4"
kernels = "cmsis_nn"
clock_hz = 100_000_000
sram_bytes = 65_536
flash_bytes = 262_144
"""
RATES = """
[rates]
scale = 1.25
spread_model = 0.05
spread_operator = 0.1
source = "my own log"

[rates.scale_by_kind]
CONV_2D = 1.5
ADD = 1.1
"""
FIGURES = ("core", "clock_hz", "sram_bytes", "flash_bytes", "reserved_sram_bytes", "reserved_flash_bytes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def written(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UserError) as caught:
        load_target(written(folder, text))
    return str(caught.value).replace(f"{folder}/", "")


def test_at_least_thirty_targets_are_shipped() -> None:
    assert len(list_targets()) >= 30


@pytest.mark.parametrize("name", list_targets())
def test_every_shipped_target_loads_and_names_the_source_of_every_figure(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    assert target.core in CORES
    assert 0 < target.usable_sram_bytes <= target.sram_bytes
    assert 0 < target.usable_flash_bytes <= target.flash_bytes
    missing = [key for key in FIGURES if not target.sources.get(key)]
    assert not missing
    if target.energy_uj_per_mcycle is not None:
        assert target.sources["energy_uj_per_mcycle"]
    for key in ("sleep_current_ua", "supply_volts"):
        assert (getattr(target, key) is None) or target.sources[key]
    if target.rates is not None:
        assert target.rates.source


@pytest.mark.parametrize("name", list_targets())
def test_only_arm_cores_run_cmsis_nn(name: str) -> None:
    target = load_target(name)
    library = "cmsis_nn" if target.core.startswith("cortex-m") else "reference"
    assert target.kernels == ("esp_nn" if name.startswith("esp32") else library)


def test_the_default_target_is_the_nrf52840_with_256_kb() -> None:
    target = load_target()
    assert (target.name, target.core, target.clock_hz) == (DEFAULT_TARGET, "cortex-m4", 64_000_000)
    assert (target.sram_bytes, target.flash_bytes) == (256 * 1024, 1024 * 1024)


def test_a_file_of_the_users_own_is_read_by_its_path(folder: Path) -> None:
    target = load_target(str(written(folder, GOOD + RATES)))
    assert target.name == "mine"
    assert target.usable_sram_bytes == 65_536
    assert target.rates is not None
    assert target.rates.scale_by_kind == (("ADD", 1.1), ("CONV_2D", 1.5))


def test_a_target_extends_another_and_keeps_what_it_does_not_name(folder: Path) -> None:
    target = load_target(written(folder, 'extends = "nrf52840"\nreserved_sram_bytes = 65_536\n'))
    base = load_target("nrf52840")
    assert target.usable_sram_bytes == base.sram_bytes - 65_536
    assert target.clock_hz == base.clock_hz
    assert target.energy_uj_per_mcycle == base.energy_uj_per_mcycle
    assert "reserved_sram_bytes" not in target.sources
    assert target.sources["clock_hz"] == base.sources["clock_hz"]


def test_a_file_beside_it_can_be_extended(folder: Path) -> None:
    written(folder, GOOD, "base")
    assert load_target(written(folder, 'extends = "base.toml"\nclock_hz = 5_000_000\n')).clock_hz == 5_000_000


@pytest.mark.parametrize(
    ("change", "rates", "energy"),
    [
        ('title = "x"', True, True),
        ("clock_hz = 1_000_000", False, True),
        ('core = "cortex-m7"', False, False),
        ('kernels = "reference"', False, True),
    ],
)
def test_a_calibration_is_inherited_only_with_what_it_was_measured_on(
    folder: Path, change: str, rates: bool, energy: bool
) -> None:
    written(folder, GOOD + "energy_uj_per_mcycle = 100.0\n" + RATES, "base")
    target = load_target(written(folder, f'extends = "base.toml"\n{change}\n'))
    assert (target.rates is not None, target.energy_uj_per_mcycle is not None) == (rates, energy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            GOOD.replace("clock_hz", "clok_hz"),
            "mine.toml, line 4: unknown key clok_hz. Did you mean clock_hz?",
        ),
        (
            GOOD.replace("cortex-m4", "cortex-m0+"),
            "mine.toml, line 2: core = 'cortex-m0+' is unknown. Did you mean cortex-m0?",
        ),
        (
            GOOD.replace("cmsis_nn", "cmsis"),
            "mine.toml, line 3: kernels = 'cmsis' is unknown. Did you mean cmsis_nn?",
        ),
        (
            GOOD.replace("100_000_000", '"fast"'),
            "mine.toml, line 4: clock_hz = 'fast' is wrong. It should be a valid integer."
            " It is in Hz: 64 MHz is 64_000_000.",
        ),
        (
            GOOD.replace("100_000_000", "64"),
            "mine.toml, line 4: clock_hz = 64 is wrong. It should be greater than or equal to 1000000."
            " It is in Hz: 64 MHz is 64_000_000.",
        ),
        (
            GOOD.replace("262_144", "256"),
            "mine.toml, line 6: flash_bytes = 256 is wrong. It should be greater than or equal to 1024."
            " It is in bytes: 256 KB is 262_144.",
        ),
        (
            GOOD.replace("Mine", r"a\u001b[31mb"),
            "mine.toml, line 1: title has characters that cannot be shown. Leave control characters out.",
        ),
        (
            GOOD.replace("65_536", "-1"),
            "mine.toml, line 5: sram_bytes = -1 is wrong. It should be greater than or equal to 1024."
            " It is in bytes: 256 KB is 262_144.",
        ),
        (
            GOOD.replace("65_536", "true"),
            "mine.toml, line 5: sram_bytes = True is wrong. It should be a valid integer."
            " It is in bytes: 256 KB is 262_144.",
        ),
        (
            GOOD + "energy_uj_per_mcycle = nan\n",
            "mine.toml, line 7: energy_uj_per_mcycle = nan is wrong. It should be a finite number.",
        ),
        (
            GOOD.replace("flash_bytes = 262_144\n", ""),
            "mine.toml, line 1: flash_bytes is missing. Add a line 'flash_bytes = ...'.",
        ),
        (
            GOOD + "reserved_sram_bytes = 70_000\n",
            "mine.toml, line 7: reserved_sram_bytes = 70000 leaves nothing of sram_bytes = 65536. Lower it.",
        ),
        (
            GOOD + RATES.replace("1.25", "-1.0"),
            "mine.toml, line 9: rates.scale = -1.0 is wrong. It should be greater than 0.",
        ),
        (
            GOOD + RATES.replace('source = "my own log"\n', ""),
            "mine.toml, line 8: rates.source is missing. Add a line 'source = ...'.",
        ),
        (
            GOOD + RATES.replace("spread_model", "spred_model"),
            "mine.toml, line 10: unknown key rates.spred_model. Did you mean spread_model?",
        ),
        (
            GOOD + '[sources]\nclok_hz = "x"\n',
            "mine.toml, line 8: sources.clok_hz is the source of no field. Did you mean clock_hz?",
        ),
        (GOOD + "rates = 3\n", "mine.toml, line 7: rates = 3 is wrong. It should be a table, [rates]."),
        (GOOD + "sources = 3\n", "mine.toml, line 7: sources = 3 is wrong. It should be a table, [sources]."),
        ("title = \n", "mine.toml is not TOML: Invalid value (at line 1, column 9). Mend that line."),
        (
            'extends = "nrf52841"\n',
            "mine.toml, line 1: There is no target 'nrf52841'. Did you mean nrf52840?",
        ),
        ("extends = 3\n", "mine.toml, line 1: extends is not a string. Name a target, or a TOML file."),
        (
            'extends = "arduino_nano_33_ble"\n',
            "mine.toml, line 1: arduino_nano_33_ble itself extends nrf52840, and only one level is allowed."
            " Extend that one, or repeat the fields here.",
        ),
        (
            'extends = "nrf52840"\n\nreserved_flash_bytes = 9_000_000\n',
            "mine.toml, line 3: reserved_flash_bytes = 9000000 leaves nothing of flash_bytes = 1048576."
            " Lower it.",
        ),
        (
            'title = """\nsram_bytes = 3\n"""\nkernels = ["x",\n  "sram_bytes = 4", # ]\n]\nsram_bytes = -1\n',
            "mine.toml, line 4: kernels = ['x', 'sram_bytes = 4'] is unknown. Known: cmsis_nn, esp_nn, reference.",
        ),
        (
            'title = """\nsram_bytes = 3\n"""\nsram_bytes = -1\n',
            "mine.toml, line 4: sram_bytes = -1 is wrong. It should be greater than or equal to 1024."
            " It is in bytes: 256 KB is 262_144.",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_the_line_that_is_at_fault(
    folder: Path, text: str, message: str
) -> None:
    assert refusal(folder, text) == message


def test_a_mistake_in_the_extended_file_is_found_there(folder: Path) -> None:
    written(folder, GOOD.replace("65_536", "0"), "base")
    assert refusal(folder, 'extends = "base.toml"\nclock_hz = 1_000_000\n') == (
        "base.toml, line 5: sram_bytes = 0 is wrong. It should be greater than or equal to 1024."
        " It is in bytes: 256 KB is 262_144."
    )


def test_a_file_that_is_no_text_is_refused(folder: Path) -> None:
    path = folder / "bytes.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bytes\.toml is not text in UTF-8"):
        load_target(path)


def test_a_target_that_is_something_else_than_a_file_is_said_to_be(folder: Path) -> None:
    (folder / "folder.toml").mkdir()
    (folder / "loop.toml").symlink_to("loop.toml")
    for name, message in (
        ("folder.toml", "is a folder. Give a regular file."),
        ("loop.toml", "cannot be read: "),
    ):
        with pytest.raises(UserError, match=message):
            load_target(folder / name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nrf52480", "There is no target 'nrf52480'. Did you mean nrf52840?"),
        ("STM32H74", "There is no target 'STM32H74'. Did you mean stm32h743?"),
        ("picoo", "There is no target 'picoo'. Did you mean pico?"),
        (
            "zzzzzz",
            "There is no target 'zzzzzz'. nas-cost --targets lists them; a path to a TOML file works too.",
        ),
        ("./none.toml", "There is no target file ./none.toml. Give the path of a TOML file."),
    ],
)
def test_an_unknown_target_gets_a_hint(name: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_target(name)
    assert str(caught.value) == message


def test_a_target_is_a_value() -> None:
    assert load_target("rp2040") == load_target("rp2040")
    assert isinstance(hash(load_target("rp2040")), int)
    assert load_target("rp2040") != load_target("rp2350")
    assert isinstance(load_target("rp2040"), Target)


def test_a_target_file_knows_every_field_of_the_rates(folder: Path) -> None:
    for field in fields(Rates):
        message = refusal(folder, GOOD + f"[rates]\n{field.name} = []\n")
        assert "unknown key" not in message
        assert f"rates.{field.name} = [] is wrong" in message


NPU = """
[npu]
accelerator = "ethos-u55-128"
system_config = "Ethos_U55_High_End_Embedded"
memory_mode = "Shared_Sram"
source = "the chip's own manual"
"""


def test_an_npu_is_read_with_its_source(folder: Path) -> None:
    npu = load_target(written(folder, GOOD + NPU)).npu
    assert npu is not None
    assert (npu.accelerator, npu.memory_mode) == ("ethos-u55-128", "Shared_Sram")
    assert npu.source == "the chip's own manual"


@pytest.mark.parametrize("macs", [32, 64, 128, 256])
def test_an_ethos_u_board_is_found_with_hyphens_too(macs: int) -> None:
    target = load_target(f"corstone300-u55-{macs}")
    assert target.name == f"corstone300_u55_{macs}"
    assert target.npu is not None
    assert target.npu.accelerator == f"ethos-u55-{macs}"
    assert target.sram_bytes == load_target("corstone300").sram_bytes


def test_targets_without_an_npu_say_so() -> None:
    assert load_target("corstone300").npu is None


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            '"ethos-u55-128"',
            '"ethos-u55-129"',
            "line 9: npu.accelerator = 'ethos-u55-129' is unknown. Did you mean ethos-u55-128?",
        ),
        ('"Shared_Sram"', '"Dedicated_Sram"', "line 11: npu.memory_mode = 'Dedicated_Sram' is unknown."),
        ("memory_mode", "memory_mod", "line 11: unknown key npu.memory_mod. Did you mean memory_mode?"),
        (NPU[NPU.index("source") :], "", "line 8: npu.source is missing."),
        ("source = ", "clock = 1\nsource = ", "line 12: unknown key npu.clock."),
        ('"Ethos_U55_High_End_Embedded"', '"--help"', "line 10: npu.system_config = '--help' is wrong."),
    ],
)
def test_a_wrong_npu_is_refused_with_its_line(folder: Path, old: str, new: str, text: str) -> None:
    assert refusal(folder, GOOD + NPU.replace(old, new)).startswith(f"mine.toml, {text}")


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("nRF52840", "nrf52840"),
        ("PICO", "rp2040"),
        ("pico-2", "rp2350"),
        ("Teensy41", "imxrt1062"),
        ("ESP32-S3", "esp32s3"),
        ("Nano 33 BLE", "arduino_nano_33_ble"),
        ("NUCLEO-L4R5ZI", "stm32l4r5"),
        ("nucleo_h743zi2", "stm32h743"),
    ],
)
def test_a_board_is_found_by_what_people_call_it(called: str, name: str) -> None:
    assert load_target(called).name == name


def test_every_alias_leads_to_a_target() -> None:
    from cost_models.target_names import _ALIASES, list_targets

    assert set(_ALIASES.values()) <= set(list_targets())
    assert not set(_ALIASES) & set(list_targets())
