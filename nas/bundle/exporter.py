"""The exporter seam: what turns a context into files, and how one is found by its format's name."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, cast

from cost_models.errors import UserError, did_you_mean
from nas.bundle.context import Context

Role = Literal[
    "model",
    "int8_model",
    "model_source",
    "model_header",
    "api_header",
    "runner_source",
    "io_source",
    "golden_source",
    "golden_header",
    "self_test_source",
    "self_test_main",
    "build",
    "example",
    "document",
    "licence",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a bundle.

    Attributes:
        role: What it is for; verification finds files by it in any layout.
        data: Its bytes.
    """

    role: Role
    data: bytes


class Exporter(Protocol):
    """One firmware ecosystem's layout."""

    @property
    def title(self) -> str:
        """What people call it."""

    def files(self, context: Context) -> Mapping[str, File]:
        """The bundle's files by their path in the folder, with `/` between parts."""


def list_formats() -> tuple[str, ...]:
    """Names of the formats, sorted: modules of this folder that define EXPORTER."""
    folder = Path(__file__).parent
    found = [path.stem for path in folder.glob("*.py") if re.search(r"^EXPORTER\b", path.read_text(), re.M)]
    return tuple(sorted(stem.replace("_", "-") for stem in found))


def load_exporter(name: str) -> Exporter:
    """Find an exporter by its format's name.

    Raises:
        UserError: There is none.
    """
    formats = list_formats()
    if name not in formats:
        raise UserError(f"There is no format {name!r}.", did_you_mean(name, formats))
    module = importlib.import_module(f"nas.bundle.{name.replace('-', '_')}")
    return cast(Exporter, module.EXPORTER)
