"""C literals: numbers, strings and arrays as text that reads back as the same bits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np


def float_literal(value: float) -> str:
    """A float32 as a C literal that every correct compiler reads back as the same bits."""
    value = float(np.float32(value))
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = f"{value:.9g}"
    if not any(mark in text for mark in ".e"):
        text += ".0"
    return text + "f"


def string_literal(text: str) -> str:
    """A C string literal of UTF-8 text, free of trigraphs and of escapes that could run on."""
    out = []
    for byte in text.encode():
        char = chr(byte)
        if char in '"\\?':
            out.append("\\" + char)
        elif 0x20 <= byte < 0x7F:
            out.append(char)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def comment_text(text: str) -> str:
    """Text that can stand inside a C comment."""
    return " ".join(
        text.replace("*/", "* /").replace("/*", "/ *").replace("\\", "/").replace("??", "? ?").split()
    )


def table_text(text: str) -> str:
    """Text that can stand in a cell of a Markdown table."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())


def hex_rows(data: bytes, *, per_row: int = 16) -> Iterable[str]:
    """Rows of a byte array's initializer."""
    for start in range(0, len(data), per_row):
        yield ", ".join(f"0x{byte:02x}" for byte in data[start : start + per_row]) + ","


def number_rows(
    values: Sequence[int] | Sequence[float], *, is_float: bool, per_row: int = 16
) -> Iterable[str]:
    """Rows of a number array's initializer."""
    texts = [float_literal(value) if is_float else str(int(value)) for value in values]
    for start in range(0, len(texts), per_row):
        yield ", ".join(texts[start : start + per_row]) + ","
