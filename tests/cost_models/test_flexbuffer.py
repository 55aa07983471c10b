"""Options of custom operators: what FlatBuffers' own library writes and reads, and bytes from anywhere."""

from __future__ import annotations

import random

import pytest
from flatbuffers import flexbuffers
from hypothesis import given
from hypothesis import strategies as st

from cost_models.errors import UserError
from cost_models.flexbuffer import read_integers, write_integers

NAMES = st.text("abcdefghijklmnopqrstuvwxyzT_", min_size=1, max_size=40)
VALUES = st.one_of(st.booleans(), st.integers(-(1 << 31), (1 << 31) - 1))
MAPS = st.dictionaries(NAMES, VALUES, max_size=12)


@given(MAPS)
def test_what_is_written_is_read(values: dict[str, int | bool]) -> None:
    found = read_integers(write_integers(values))
    assert list(found) == sorted(values)
    assert found == {name: int(value) for name, value in values.items()}


@given(MAPS)
def test_the_library_of_flatbuffers_reads_what_is_written(values: dict[str, int | bool]) -> None:
    assert flexbuffers.Loads(write_integers(values)) == values


@given(MAPS)
def test_what_the_library_of_flatbuffers_writes_is_read(values: dict[str, int | bool]) -> None:
    found = read_integers(bytes(flexbuffers.Dumps(values)))
    assert found == {name: int(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "options are no FlexBuffer"),
        (b"\0\0\x04\x01", "options are not a map"),
        (bytes(flexbuffers.Dumps([1, 2])), "options are not a map"),
        (bytes(flexbuffers.Dumps({"shift": 1.5})), "option shift is not an integer"),
        (bytes(flexbuffers.Dumps({"shift": "x"})), "option shift is not an integer"),
        (b"\xff\x24\x01", "point outside of themselves"),
        (write_integers({"shift": 12}).replace(b"shift", b"\xffhift"), "a name that is none"),
        (write_integers({"a": 1, "b": 2}).replace(b"a\0", b"c\0"), "not in the order of their names"),
        (write_integers({"a": 1, "b": 2}).replace(b"a\0", b"b\0"), "not in the order of their names"),
    ],
    ids=str,
)
def test_what_is_no_map_of_integers_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_integers(data)


def test_damaged_options_are_refused_or_read_and_never_fault() -> None:
    rng = random.Random(3)
    whole = write_integers({"num_channels": 40, "smoothing": 409, "clamping": True, "T": 7})
    refused = 0
    for _ in range(5000):
        data = bytearray(whole[: rng.randint(0, len(whole))] if rng.random() < 0.2 else whole)
        for _ in range(rng.randint(0, 4)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            read_integers(bytes(data))
        except UserError:
            refused += 1
    assert 1000 < refused < 5000
