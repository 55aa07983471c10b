"""Neural architecture search for microcontrollers: from a budget and data to C for TensorFlow Lite for Micro.

import nas
result = nas.search(X, y, budget="sram=64KB,flash=256KB", target="rp2040")
print(result)
nas.export(result, "firmware/kws", policy="smallest")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cost_models.errors import UserError
    from nas.api import export, resume, search, verify
    from nas.bundle.errors import BundleError
    from nas.run.config import RunConfig
    from nas.run.pipeline import NothingFitsError
    from nas.run.result import RunResult, load_run

__all__ = [
    "BundleError", "NothingFitsError", "RunConfig", "RunResult", "UserError", "export", "load_run", "resume",
    "search", "verify",
]  # fmt: skip

_HOMES = {
    "BundleError": "nas.bundle.errors",
    "NothingFitsError": "nas.run.pipeline",
    "RunConfig": "nas.run.config",
    "RunResult": "nas.run.result",
    "UserError": "cost_models.errors",
    "export": "nas.api",
    "load_run": "nas.run.result",
    "resume": "nas.api",
    "search": "nas.api",
    "verify": "nas.api",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for only then: `import nas` alone stays light."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "__version__":
        from importlib import metadata

        return metadata.version("mcu-nas")
    raise AttributeError(f"module 'nas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
