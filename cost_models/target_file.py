"""Reads a target's TOML file: checks every field and names the line that is at fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cost_models.cores import CoreName
from cost_models.cycles.classes import class_rates
from cost_models.cycles.rates import Rates
from cost_models.errors import UserError, did_you_mean
from cost_models.reading import read_toml
from cost_models.target import Accelerator, Kernels, MemoryMode, Npu, Target, WeightsMemory
from cost_models.target_names import DEFAULT_TARGET, find_target

_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=(.*)""")
_TABLE = re.compile(r"\s*\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?$")


# A calibration holds for the core, kernels and clock that it was measured with, energy and sleep for the core, and
# the voltage for the figure of energy that it belongs to.
_INHERITED_WITH = {
    "rates": {"core", "kernels", "clock_hz"},
    "energy_uj_per_mcycle": {"core"},
    "sleep_current_ua": {"core"},
    "supply_volts": {"core", "energy_uj_per_mcycle"},
}


# What is often written in another unit; below 1 MHz or 1 KB it was.
_UNITS = {
    "clock_hz": "It is in Hz: 64 MHz is 64_000_000.",
    **dict.fromkeys(
        ("sram_bytes", "flash_bytes", "reserved_sram_bytes", "reserved_flash_bytes"),
        "It is in bytes: 256 KB is 262_144.",
    ),
}


class _RatesFields(BaseModel):
    """The `[rates]` table of a target file; see `cost_models.cycles.rates.Rates`."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    scale: float = Field(gt=0, lt=1e6)
    scale_by_kind: dict[str, Annotated[float, Field(gt=0, lt=1e6)]] = Field(default_factory=dict)
    cycles_per_operator: float = Field(default=0.0, ge=0, lt=1e12)
    cycles_per_weight_byte: float = Field(default=0.0, ge=0, lt=1e6)
    spread_model: float = Field(ge=0, lt=10)
    spread_operator: float = Field(ge=0, lt=10)
    source: str = Field(min_length=1)
    basis: str = Field(default="measured", pattern="^(measured|class|bound)$")


class _NpuFields(BaseModel):
    """The `[npu]` table of a target file; see `cost_models.target.Npu`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    accelerator: Accelerator
    system_config: str = Field(pattern=r"^\w+$")
    memory_mode: MemoryMode
    source: str = Field(min_length=1)


class _TargetFields(BaseModel):
    """The fields of a target file."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    title: str = Field(min_length=1)
    core: CoreName
    kernels: Kernels
    clock_hz: int = Field(ge=1_000_000, le=10_000_000_000)
    sram_bytes: int = Field(ge=1024, le=1 << 32)
    flash_bytes: int = Field(ge=1024, le=1 << 32)
    reserved_sram_bytes: int = Field(default=0, ge=0)
    reserved_flash_bytes: int = Field(default=0, ge=0)
    energy_uj_per_mcycle: float | None = Field(default=None, gt=0, lt=1e9)
    sleep_current_ua: float | None = Field(default=None, gt=0, lt=1e6)
    supply_volts: float | None = Field(default=None, gt=0, lt=100)
    rates: _RatesFields | None = None
    npu: _NpuFields | None = None
    weights_memory: WeightsMemory = "flash"
    sources: dict[str, str] = Field(default_factory=dict)


_TABLE_KEYS = {"rates": tuple(_RatesFields.model_fields), "npu": tuple(_NpuFields.model_fields)}
_KEYS = (*_TargetFields.model_fields, "extends")


class _Document:
    """One TOML file: its values, and the line that each key stands on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, Any]
        text, self.values = read_toml(path, "Mend that line.")
        self.lines = _key_lines(text)
        if (place := _unshowable(self.values)) is not None:
            what = f"{'.'.join(place)} has characters that cannot be shown"
            raise self.error(place, what, "Leave control characters out.")

    def line(self, location: tuple[str, ...]) -> int:
        """The line of a key, or of the innermost table around it that the file has."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.lines:
                return self.lines[location[:length]]
        return 1

    def has(self, location: tuple[str, ...]) -> bool:
        return location in self.lines or location[:1] in self.lines

    def error(self, location: tuple[str, ...], what: str, hint: str) -> UserError:
        return UserError(f"{self.path}, line {self.line(location)}: {what}.", hint)


def load_target(name_or_path: str | Path = DEFAULT_TARGET) -> Target:
    """Find a target by its name, or read a user's own from the path of a TOML file.

    Raises:
        UserError: No such target or file, or a file that is wrong: its name, key and line are named.
    """
    return read_target(find_target(name_or_path))


def read_target(path: Path) -> Target:
    """Parse and check a target file, with the one it extends.

    Raises:
        UserError: The file is wrong; the message names file, line and key.
    """
    document = _Document(path)
    base: _Document | None = None
    values = dict(document.values)
    if "extends" in values:
        base = _base(document, values.pop("extends"))
        values = _merged(base.values, values)
    try:
        fields = _TargetFields.model_validate(values)
    except ValidationError as error:
        raise _explain(error, document, base) from None
    return _target(path.stem, fields, document, base)


def _base(document: _Document, name: object) -> _Document:
    if not isinstance(name, str):
        raise document.error(("extends",), "extends is not a string", "Name a target, or a TOML file.")
    beside = document.path.parent / name
    try:
        base = _Document(beside if name.endswith(".toml") and beside.is_file() else find_target(name))
    except UserError as error:
        raise document.error(("extends",), error.message.rstrip("."), error.hint) from None
    if "extends" in base.values:
        what = f"{name} itself extends {base.values['extends']}, and only one level is allowed"
        raise document.error(("extends",), what, "Extend that one, or repeat the fields here.")
    return base


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The base's fields under the file's own; a figure given again does not keep the old one's source."""
    kept = {key: value for key, value in base.items() if not _INHERITED_WITH.get(key, set()) & set(own)}
    merged = {**kept, **own}
    old, new = base.get("sources"), own.get("sources", {})
    if isinstance(old, dict) and isinstance(new, dict):
        merged["sources"] = {key: text for key, text in old.items() if key in kept and key not in own} | new
    return merged


def _explain(error: ValidationError, document: _Document, base: _Document | None) -> UserError:
    """The first thing that is wrong, as a sentence."""
    first = min(error.errors(), key=lambda each: each["type"] == "missing")
    location = tuple(str(part) for part in first["loc"])
    key = ".".join(location)
    at = base if base is not None and not document.has(location) and base.has(location) else document
    match first["type"]:
        case "extra_forbidden":
            known = _TABLE_KEYS.get(location[0], _KEYS) if len(location) > 1 else _KEYS
            return at.error(location, f"unknown key {key}", did_you_mean(location[-1], known))
        case "missing":
            return at.error(location, f"{key} is missing", f"Add a line '{location[-1]} = ...'.")
        case "literal_error":
            words = re.findall(r"'([^']*)'", first["ctx"]["expected"])
            hint = did_you_mean(str(first["input"]), words)
            return at.error(location, f"{key} = {first['input']!r} is unknown", hint)
        case "model_type" | "dict_type":
            return at.error(
                location, f"{key} = {first['input']!r} is wrong", f"It should be a table, [{key}]."
            )
        case _:
            detail = first["msg"].removeprefix("Input ").removeprefix("should ")
            hint = f"It should {detail}. {_UNITS.get(key, '')}".rstrip()
            return at.error(location, f"{key} = {first['input']!r} is wrong", hint)


def _target(name: str, fields: _TargetFields, document: _Document, base: _Document | None) -> Target:
    for kind in ("sram", "flash"):
        key = f"reserved_{kind}_bytes"
        size, reserved = getattr(fields, f"{kind}_bytes"), getattr(fields, key)
        if reserved >= size:
            at = document if document.has((key,)) or base is None else base
            raise at.error((key,), f"{key} = {reserved} leaves nothing of {kind}_bytes = {size}", "Lower it.")
    for key in fields.sources:
        if key not in _TargetFields.model_fields:
            at = document if ("sources", key) in document.lines or base is None else base
            hint = did_you_mean(key, _TargetFields.model_fields)
            raise at.error(("sources", key), f"sources.{key} is the source of no field", hint)
    values = {key: getattr(fields, key) for key in _TargetFields.model_fields if key not in _TABLE_KEYS}
    npu = Npu(**fields.npu.model_dump()) if fields.npu else None
    rates = _rates(fields.rates)
    of_class = None if rates else class_rates(fields.core, fields.kernels, fields.weights_memory)
    return Target(name=name, rates=rates, class_rates=of_class, npu=npu, **values)


def _unshowable(value: object, location: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    """Where a text has characters that would steer a terminal; None where none has."""
    if isinstance(value, str):
        return None if all(letter.isprintable() or letter in "\t\n" for letter in value) else location
    if isinstance(value, dict):
        places = (_unshowable(inner, (*location, str(key))) for key, inner in value.items())
        return next((place for place in places if place is not None), None)
    return None


def _rates(fields: _RatesFields | None) -> Rates | None:
    if fields is None:
        return None
    values = fields.model_dump()
    values["scale_by_kind"] = tuple(sorted(fields.scale_by_kind.items()))
    return Rates(**values)


def _key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line of each table and key; what lies inside values over several lines is passed over."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    quotes = ""
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        rest = line
        if not quotes and depth == 0:
            if match := _TABLE.match(line):
                table = _parts(match[1])
                lines.setdefault(table, number)
                continue
            match = _KEY.match(line)
            if match is None:
                continue
            lines.setdefault(table + _parts(match[1]), number)
            rest = match[2]
        quotes, depth = _open_at_end(rest, quotes, depth)
    return lines


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(r"""[^.\s"']+|"[^"]*"|'[^']*'""", dotted))


def _open_at_end(line: str, quotes: str, depth: int) -> tuple[str, int]:
    """Which quotes and how many brackets are still open after a line of a value."""
    position = 0
    while position < len(line):
        if quotes:
            if quotes[0] == '"' and line[position] == "\\":
                position += 2
                continue
            if line.startswith(quotes, position):
                position += len(quotes)
                quotes = ""
                continue
        elif line[position] in "\"'":
            mark = line[position]
            quotes = mark * 3 if line.startswith(mark * 3, position) else mark
            position += len(quotes)
            continue
        elif line[position] == "#":
            break
        else:
            depth += (line[position] in "[{") - (line[position] in "]}")
        position += 1
    return (quotes if len(quotes) == 3 else ""), depth
