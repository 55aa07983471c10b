"""Lines for a terminal, broken between words; a file or pipe gets them whole."""

from __future__ import annotations

import shutil
import textwrap
from typing import IO


def folded(text: str, stream: IO[str], *, indent: int) -> str:
    """The text as it should be printed to `stream`.

    Args:
        text: One line.
        stream: Where it goes to; only a terminal has a width.
        indent: Columns before every line but the first.
    """
    if not stream.isatty():
        return text
    width = max(indent + 20, shutil.get_terminal_size().columns)
    lines = textwrap.wrap(
        text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines)
