"""Stands in for Vela where a test is not about it: writes a model that Vela 5.2.0 made, or fails as asked."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data" / "ethos_u"
SUMMARY = """\
core_clock,inference_time,sram_memory_used,off_chip_flash_memory_used,cycles_npu,cycles_total
500000000.0,1.9026e-05,0.875,3.984375,7518,9513
"""
_WRITES = """\
import pathlib, sys
pathlib.Path("model_vela.tflite").write_bytes(pathlib.Path({model!r}).read_bytes())
pathlib.Path("model_summary_Ethos_U55_High_End_Embedded.csv").write_text({summary!r})
"""


def install(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *,
    script: str = "",
    model: str = "whole",
    summary: str = SUMMARY,
) -> None:
    """Put a package in Vela's place for processes that are started from here on."""
    package = folder / "stub" / "ethosu" / "vela"
    package.mkdir(parents=True, exist_ok=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    text = script or _WRITES.format(model=str(DATA / f"{model}.tflite"), summary=summary)
    (package / "__main__.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder / "stub"))
    monkeypatch.setattr(metadata, "version", lambda name: "5.2.0")
