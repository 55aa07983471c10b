"""C literals: numbers, strings and arrays as text that reads back as the same bits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np

from nas.model.words import printable


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


def plain_text(text: str) -> str:
    """Text on a single line that neither controls a terminal nor turns the order of what is shown.

    Source: N. Boucher, R. Anderson, "Trojan Source", 2021: characters that reorder text hide code from its reader.
    """
    return printable(" ".join(text.split()))


def comment_text(text: str) -> str:
    """Text that can stand inside a C comment."""
    # The backslash first: what it becomes must not end a comment together with what stands before it.
    text = plain_text(text).replace("\\", "/")
    while "??" in text:
        text = text.replace("??", "? ?")
    while "*/" in text or "/*" in text:
        text = text.replace("*/", "* /").replace("/*", "/ *")
    return text


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, in a table too: no HTML, pictures, links or emphasis come of it."""
    text = plain_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_{}\[\]#!|~$^])", r"\\\1", text)
    # Addresses become links by themselves in some dialects.
    text = re.sub(r"(?i)(www)\.", r"\1&#46;", text)
    return text.replace("://", "&#58;//").replace("@", "&#64;")


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
