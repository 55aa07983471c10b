"""Words that sentences share."""

from __future__ import annotations

from nas.model.storage_url import StorageUrl
from nas.model.words import first_line, listed, sized


def test_a_long_list_is_cut_and_says_how_much_is_missing() -> None:
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert listed([], 2) == ""


def test_a_shape_reads_as_people_say_it() -> None:
    assert sized((48, 32, 3)) == "48 x 32 x 3"


def test_an_exception_is_its_first_line_or_its_type() -> None:
    assert first_line(ValueError("  it broke.\nand more")) == "it broke"
    assert first_line(ValueError()) == "ValueError"


def test_a_password_is_taken_out_before_a_long_reason_is_cut() -> None:
    error = ValueError("x" * 195 + "swordfish")
    assert first_line(error, StorageUrl.parse("postgresql://me:swordfish@host/db").scrub) == "x" * 195 + "***"
