"""Commands in README and documentation name flags that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from cost_models.cli import _parser as cost_parser
from nas.cli.run import _parse as read_run

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
READERS: dict[str, Callable[[list[str]], object]] = {
    "nas-run": read_run,
    "nas-cost": lambda words: cost_parser().read(words),
}
COMMAND = re.compile(r"^\s*(?:scripts/)?(nas-run|nas-cost) (.*)$", re.MULTILINE)


def commands(page: Path) -> list[tuple[str, str]]:
    """Name and words of each command in a block of code."""
    blocks = re.findall(r"```\w*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [match for block in blocks for match in COMMAND.findall(block)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_can_be_given(page: Path) -> None:
    for name, text in commands(page):
        words = [word for word in shlex.split(text, comments=True) if word != "..."]
        READERS[name](words)


def test_there_are_commands_to_read() -> None:
    found = [command for page in PAGES for command in commands(page)]
    assert len(found) > 10
    assert {name for name, _ in found} == set(READERS)
