"""Windows and their parts, for any stretches: nothing is crossed, no row is in two parts, no class vanishes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.errors import UserError
from nas.tasks.loading.recordings import narrow
from nas.tasks.loading.stretches import Stretch
from nas.tasks.loading.telltales import telltales
from nas.tasks.loading.window_split import SHARES, split_windows
from nas.tasks.loading.windows import (
    Length,
    choose_window,
    cut_windows,
    parse_length,
    place_windows,
)

LENGTHS = st.lists(st.integers(1, 90), min_size=2, max_size=12)


def stretches_of(lengths: list[int], files: int) -> list[Stretch]:
    """Stretches whose rows are all different."""
    start, made = 0, []
    for index, length in enumerate(lengths):
        values = np.arange(start, start + length, dtype=np.float32)[:, np.newaxis]
        made.append(
            Stretch(
                values=values,
                times=None,
                labels=np.full(length, index % 2, np.int32),
                group=index % 6,
                file=index * files // len(lengths),
            )
        )
        start += length
    return made


def mixed(stretches: list[Stretch]) -> Stretch:
    """One stretch of several labels."""
    return replace(
        stretches[0],
        values=np.concatenate([one.values for one in stretches]),
        labels=np.concatenate([one.labels for one in stretches]),
    )


@settings(deadline=None)  # a busy machine takes its time
@given(LENGTHS, st.integers(1, 9), st.integers(4, 20), st.integers(1, 25))
def test_windows_are_rows_of_one_stretch_in_order(
    lengths: list[int], files: int, rows: int, hop: int
) -> None:
    stretches = stretches_of(lengths, files)
    windows = place_windows(stretches, rows, hop)
    samples = cut_windows(stretches, windows, np.arange(len(windows.label)), [0])[..., 0]
    assert (np.diff(samples, axis=1) == 1).all()
    for sample, place, label in zip(samples, windows.stretch, windows.label, strict=True):
        assert np.isin(sample, stretches[place].values).all()
        assert (stretches[place].labels == label).all()
    assert len(samples) == sum(max(0, (n - rows) // hop + 1) for n in lengths)


@given(LENGTHS, st.integers(4, 20), st.integers(1, 25), st.floats(0.5, 1.0, exclude_min=True))
def test_a_window_is_of_the_label_that_its_share_of_rows_have(
    lengths: list[int], rows: int, hop: int, share: float
) -> None:
    stretches = [mixed(stretches_of(lengths, 1))]
    windows = place_windows(stretches, rows, hop, share)
    labels = stretches[0].labels
    kept = dict(zip(windows.start.tolist(), zip(windows.label, windows.foreign, strict=True), strict=True))
    starts = range(0, max(0, len(labels) - rows + 1), hop)
    for start in starts:
        counts = np.bincount(labels[start : start + rows], minlength=2)
        if counts.max() / rows >= share:
            assert kept.pop(start) == (counts.argmax(), rows - counts.max())
        else:
            assert start not in kept
    assert not kept
    assert windows.left_out == len(starts) - len(windows.start)


def test_a_share_is_not_missed_by_rounding() -> None:
    assert 0.55 * 100 > 55
    assert place_windows([mixed(stretches_of([55, 45], 1))], 100, 100, 0.55).label.tolist() == [0]
    assert place_windows([mixed(stretches_of([54, 46], 1))], 100, 100, 0.55).left_out == 1


@settings(deadline=None, max_examples=120)  # the first call imports scikit-learn
@given(
    LENGTHS,
    st.integers(1, 9),
    st.integers(4, 20),
    st.integers(1, 25),
    st.booleans(),
    st.sampled_from([0.6, 0.75, 1.0]),
)
def test_no_row_group_or_class_is_in_the_wrong_part(
    lengths: list[int], files: int, rows: int, hop: int, grouped: bool, share: float
) -> None:
    stretches = stretches_of(lengths, files)
    if share < 1:
        stretches = [
            mixed([one for one in stretches if one.file == file]) for file in {s.file for s in stretches}
        ]
    windows = place_windows(stretches, rows, hop, share)
    if len(np.unique(windows.label)) < 2:
        return
    everything = np.arange(len(windows.label))
    try:
        parts, notes = split_windows(
            windows, everything, SHARES, grouped=grouped, name="x", labels=("a", "b")
        )
    except UserError:
        return  # too few to divide
    seen = [set(cut_windows(stretches, windows, index, [0]).ravel().tolist()) for index in parts.values()]
    assert all(len(index) for index in parts.values())
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    assert set(windows.label[parts["train"]]) == {0, 1}
    if not grouped:
        assert all(set(windows.label[index]) == {0, 1} for index in parts.values())
    else:
        groups = [set(windows.group[index].tolist()) for index in parts.values()]
        assert not groups[0] & groups[1]
        assert not (groups[0] | groups[1]) & groups[2]
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("64", Length(64, None)),
        (" 2.5s ", Length(None, 2.5)),
        ("500 ms", Length(None, 0.5)),
        ("3 seconds", Length(None, 3.0)),
    ],
)
def test_lengths_are_rows_or_seconds(text: str, expected: Length) -> None:
    assert parse_length(text, "--window") == expected


@pytest.mark.parametrize("text", ["", "s", "-3", "2.5", "1e3", "0", "0s", "nan", "2 minutes", "64 rows"])
def test_other_lengths_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a length"):
        parse_length(text, "--window")


def test_a_hop_longer_than_a_window_is_said() -> None:
    rows, hop, notes = choose_window(Length(10, None), Length(15, None), stretches_of([90], 1), None, 1)
    assert (rows, hop) == (10, 15)
    assert notes[1] == "The hop leaves 5 rows between windows that no window sees."


def test_values_are_kept_as_int16_or_float32_only_where_these_hold_them() -> None:
    assert narrow(np.array([[1.0, -32768.0]])).dtype == np.int16
    assert narrow(np.array([[0.5, 1.0]])).dtype == np.float32
    assert narrow(np.array([[40000.0], [1.0]])).dtype == np.float32
    stamps = 1.7e9 + np.arange(100, dtype=np.float64)[:, np.newaxis] * 0.02
    assert narrow(stamps).dtype == np.float64
    assert narrow(np.array([[np.nan], [1.0]])).dtype == np.float32


def test_the_label_in_another_column_is_left_out_and_what_only_hints_at_it_is_kept() -> None:
    def stretch(label: int, *columns: float) -> Stretch:
        values = np.stack(
            [np.full(20, 1.0 * column) for column in columns] + [np.sin(np.arange(20.0) + label)], 1
        )
        return Stretch(values=values, times=None, labels=np.full(20, label, np.int32), group=-1, file=0)

    stretches = [stretch(0, 5, 1, 3), stretch(1, 6, 1, 3), stretch(0, 5, 1, 4), stretch(1, 6, 1, 4)]
    kept, notes = telltales(stretches, ["code", "constant", "load", "acc"])
    assert kept == [1, 2, 3]
    assert notes == ["Left out, as it has one value for each label and would tell it: code."]
