"""Writes a board's rates into its target file, leaving every other line as it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cost_models.cycles.rates import Rates

_TABLE = re.compile(r"^\s*\[")
_RATES = re.compile(r"^\s*\[\s*rates\s*(\.[^\]]*)?\]")


def rates_toml(rates: Rates) -> str:
    """The `[rates]` table of a target file."""
    lines = ["[rates]", f"scale = {_number(rates.scale)}"]
    if rates.scale_by_kind:
        pairs = ", ".join(f"{kind} = {_number(scale)}" for kind, scale in rates.scale_by_kind)
        lines.append(f"scale_by_kind = {{ {pairs} }}")
    for name in ("cycles_per_operator", "cycles_per_weight_byte"):
        value: float = getattr(rates, name)
        if value:
            lines.append(f"{name} = {_number(value)}")
    lines.append(f"spread_model = {_number(rates.spread_model)}")
    lines.append(f"spread_operator = {_number(rates.spread_operator)}")
    if rates.basis != "measured":
        lines.append(f"basis = {json.dumps(rates.basis)}")
    lines.append(f"source = {json.dumps(rates.source, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return repr(float(value))


def with_rates(text: str, rates: Rates) -> str:
    """A target file's text with these rates in the place of its own, or before its first table."""
    kept: list[str] = []
    at: int | None = None
    inside = False
    for line in text.splitlines():
        if _TABLE.match(line):
            inside = _RATES.match(line) is not None
            if inside and at is None:
                at = len(kept)
        if not inside:
            kept.append(line)
    if at is None:
        tables = [index for index, line in enumerate(kept) if _TABLE.match(line)]
        at = tables[0] if tables else len(kept)
    before = "\n".join(kept[:at]).rstrip()
    after = "\n".join(kept[at:]).strip("\n")
    return f"{before}\n\n{rates_toml(rates)}" + (f"\n{after}\n" if after else "")


def write_rates(path: Path, rates: Rates) -> None:
    """Puts rates into a target file."""
    path.write_text(with_rates(path.read_text(encoding="utf-8"), rates), encoding="utf-8")
