"""Targets by name: where the shipped ones lie, and what people call them."""

from __future__ import annotations

import os
import re
from itertools import takewhile
from pathlib import Path

from cost_models.errors import UserError, did_you_mean

DEFAULT_TARGET = "nrf52840"
TARGETS_FOLDER = Path(__file__).parent / "targets"


def list_targets() -> tuple[str, ...]:
    """Names of the shipped targets, sorted."""
    return tuple(sorted(path.stem for path in TARGETS_FOLDER.glob("*.toml")))


# What boards and chips are called by those who have them.
_ALIASES = {
    "bluepill": "stm32f103",
    "blackpill": "stm32f411",
    "due": "arduino_due",
    "esp32_c3": "esp32c3",
    "esp32_p4": "esp32p4",
    "esp32_s3": "esp32s3",
    "microbit": "nrf52833",
    "microbit_v2": "nrf52833",
    "nano33ble": "arduino_nano_33_ble",
    "nano_33_ble": "arduino_nano_33_ble",
    "pico": "rp2040",
    "pico_w": "rp2040",
    "pico2": "rp2350",
    "pico_2": "rp2350",
    "sparkfun_edge": "apollo3",
    "teensy40": "imxrt1062",
    "teensy41": "imxrt1062",
    "teensy_4_0": "imxrt1062",
    "teensy_4_1": "imxrt1062",
    "xiao_nrf52840": "nrf52840",
    "zero": "samd21",
}
_NUCLEO = re.compile(r"nucleo_([a-z]\w{3})")


def _of_the_same_family(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Names that begin as this one does (stm32h7..., esp32_s3...), or all: common letters say little of a chip."""
    shared = {
        other: sum(1 for _ in takewhile(lambda ab: ab[0] == ab[1], zip(name, other))) for other in known
    }
    longest = max(shared.values())
    return tuple(other for other in known if shared[other] == longest) if longest > 5 else known


def find_target(name_or_path: str | Path) -> Path:
    """The TOML file that a name or path stands for.

    Raises:
        UserError: There is none.
    """
    text = str(name_or_path)
    if text.endswith(".toml") or "/" in text or isinstance(name_or_path, Path):
        path = Path(name_or_path)
        if not os.path.lexists(path):  # whatever else is wrong with it is said where it is read
            raise UserError(f"There is no target file {text}.", "Give the path of a TOML file.")
        return path
    names = list_targets()
    if text not in names:
        plain = text.strip().lower().replace("-", "_").replace(" ", "_")
        board = _NUCLEO.match(plain)
        known = (plain, _ALIASES.get(plain), f"stm32{board[1]}" if board else None)
        text = next((name for name in known if name in names), text)
    if text not in names:
        hint = did_you_mean(plain, _of_the_same_family(plain, (*names, *_ALIASES)))
        if hint.startswith("Known"):
            hint = "nas-cost --targets lists them; a path to a TOML file works too."
        raise UserError(f"There is no target {text!r}.", hint)
    return TARGETS_FOLDER / f"{text}.toml"
