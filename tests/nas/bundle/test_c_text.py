from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.bundle.c_text import (
    comment_text,
    float_literal,
    hex_rows,
    markdown_text,
    number_rows,
    string_literal,
)
from nas.model.statistics import wilson


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_literal_reads_back_as_the_same_bits(value: float) -> None:
    text = float_literal(value)
    assert text.endswith("f")
    assert "." in text or "e" in text
    assert np.float32(text[:-1]).tobytes() == np.float32(value).tobytes()


def test_floats_that_are_no_numbers_take_their_macros() -> None:
    assert [float_literal(value) for value in (float("inf"), float("-inf"), float("nan"))] == [
        "INFINITY",
        "-INFINITY",
        "NAN",
    ]


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", '"plain"'),
        ('say "hi"', r'"say \"hi\""'),
        ("a\\b", r'"a\\b"'),
        ("what??!", r'"what\?\?!"'),
        ("ü1", r'"\303\2741"'),
        ("line\nbreak", r'"line\012break"'),
    ],
)
def test_a_string_literal_escapes_what_c_would_misread(text: str, literal: str) -> None:
    assert string_literal(text) == literal


@given(st.text())
def test_a_comment_never_ends_early(text: str) -> None:
    found = comment_text(text)
    assert "*/" not in found
    assert "/*" not in found
    assert "\n" not in found
    assert "\\" not in found


def test_rows_hold_every_value_in_order() -> None:
    assert list(hex_rows(bytes(range(18)), per_row=16))[1] == "0x10, 0x11,"
    assert list(number_rows([1, -2, 3], is_float=False, per_row=2)) == ["1, -2,", "3,"]
    assert list(number_rows([1.0, 0.5], is_float=True)) == ["1.0f, 0.5f,"]


def test_markdown_shows_text_as_it_is() -> None:
    assert markdown_text("a|b\nc\\ [x](y) <b> &lt; *_`") == r"a\|b c\\ \[x\](y) &lt;b&gt; &amp;lt; \*\_\`"
    assert markdown_text("https://x.org www.x.org a@x.org") == "https&#58;//x.org www&#46;x.org a&#64;x.org"
    assert markdown_text("five gestures, CC0-1.0") == "five gestures, CC0-1.0"


def test_no_text_ends_a_comment() -> None:
    for text in ("*\\ x; /*", "*\\\\/", "**//", "*/*/", "/\\*", "???/", "a\u202eb"):
        found = comment_text(text)
        assert not any(mark in found for mark in ("*/", "/*", "\\", "??", "\u202e"))


def test_wilson_intervals_are_those_of_the_tables() -> None:
    """Source: R. G. Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263 and 0 of 20."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)
