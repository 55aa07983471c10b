"""The list of `nas-cost --targets`: every shipped target, as a table and as JSON."""

from __future__ import annotations

import json

from cost_models.costing_report import rendered
from cost_models.target_file import load_target
from cost_models.target_names import list_targets


def targets_text() -> str:
    """The table of `nas-cost --targets`."""
    from rich.table import Table

    title = "Targets; memory in KB, less what is reserved"
    table = Table()
    for name in ("name", "what", "core", "kernels"):
        table.add_column(name, no_wrap=name == "name")
    for name in ("MHz", "SRAM", "flash"):
        table.add_column(name, justify="right")
    table.add_column("cycles")
    for target in map(load_target, list_targets()):
        table.add_row(
            target.name,
            target.title,
            target.core,
            target.kernels,
            f"{target.clock_hz / 1e6:g}",
            f"{target.sram_bytes // 1024:,}-{target.reserved_sram_bytes // 1024:,}",
            f"{target.flash_bytes // 1024:,}-{target.reserved_flash_bytes // 1024:,}",
            "unknown" if target.cycle_rates is None else target.cycle_rates.basis,
        )
    return rendered([title, table])


def targets_json() -> str:
    """`nas-cost --targets --json`."""
    fields = ("name", "title", "core", "kernels", "clock_hz", "sram_bytes", "flash_bytes")
    more = ("reserved_sram_bytes", "reserved_flash_bytes", "energy_uj_per_mcycle")
    power = ("sleep_current_ua", "supply_volts")
    entries = [
        {key: getattr(target, key) for key in (*fields, *more, *power)}
        | {
            "calibrated": target.rates is not None,
            "basis": None if target.cycle_rates is None else target.cycle_rates.basis,
            "sources": dict(target.sources),
        }
        for target in map(load_target, list_targets())
    ]
    return json.dumps({"schema": 1, "targets": entries}, indent=1)
