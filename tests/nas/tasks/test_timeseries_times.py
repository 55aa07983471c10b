"""Times of recordings: units, rates, gaps, disorder and missing values, answered as the user says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.tasks.dataset import Dataset
from nas.tasks.loading.recordings import cut
from nas.tasks.loading.times import guess_unit, measure_steps, named_unit, resample
from nas.tasks.options import TaskOptions
from nas.tasks.timeseries import load
from tests.nas.tasks.written_recordings import HEADER, Column, folder, noise, table, turns


def loaded(path: Path, **options: Any) -> Dataset:
    return load(str(path), TaskOptions(**({"window": "1s"} | options)))


def timed(tmp_path: Path, name: str, time: Column, **more: Any) -> Path:
    path = tmp_path / "a.csv"
    path.write_text(
        table(f"{name},acc_x,acc_y,label", time, more.get("acc", noise(1)), noise(2), turns, rows=800)
    )
    return path


@pytest.mark.parametrize(
    ("name", "time", "said"),
    [
        ("t", lambda i: f"{i * 0.02:.2f}", "t (s, by their size)"),
        ("t_ms", lambda i: i * 20, "t_ms (ms, by its name)"),
        ("Time [us]", lambda i: i * 20_000, "Time [us] (us, by its name)"),
        ("time (s)", lambda i: f"{i * 0.02:.2f}", "time (s) (s, by its name)"),
        ("timestamp", lambda i: 1_700_000_000_000 + i * 20, "timestamp (ms, by their size)"),
        ("timestamp", lambda i: f"{1_700_000_000 + i * 0.02:.3f}", "timestamp (s, by their size)"),
        ("timestamp", lambda i: 1_700_000_000_000_000_000 + i * 20_000_000, "timestamp (ns, by their size)"),
        ("ts", lambda i: 86_400_000_000_000 + i * 20_000_000, "ts (ns, by their size)"),
        ("time", lambda i: f"2026-01-31 12:00:{i * 0.02:09.6f}", "time (ISO 8601)"),
        ("time", lambda i: f"2026-01-31T12:00:{i * 0.02:06.3f}Z", "time (ISO 8601)"),
        ("time", lambda i: f"2026-01-31T12:00:{i * 0.02:06.3f}+02:00", "time (ISO 8601)"),
        ("time", lambda i: f"12:00:{i * 0.02:06.3f}", "time (ISO 8601)"),
    ],
)
def test_the_unit_of_times_is_found_and_said(name: str, time: Column, said: str, tmp_path: Path) -> None:
    dataset = loaded(timed(tmp_path, name, time))
    assert dataset.info.input_shape == (50, 2)
    assert f"Times in column {said} run at 50 Hz." in dataset.notes


def test_a_sample_rate_tells_the_unit_of_times(tmp_path: Path) -> None:
    dataset = loaded(timed(tmp_path, "t", lambda i: i * 20), sample_rate=50.0)
    assert "Times in column t (ms, by the sample rate) run at 50 Hz." in dataset.notes


def test_windows_in_rows_need_no_unit(tmp_path: Path) -> None:
    dataset = loaded(timed(tmp_path, "t", lambda i: i * 20), window="50")
    assert "The unit of column t is not plain (steps of 20): no sample rate is known." in dataset.notes


def test_times_rounded_to_milliseconds_are_even(tmp_path: Path) -> None:
    dataset = loaded(timed(tmp_path, "t_ms", lambda i: round(i * 1000 / 60)))
    assert dataset.info.input_shape == (60, 2)
    assert not any("resampled" in note for note in dataset.notes)


def test_uneven_times_are_resampled_and_this_is_said(tmp_path: Path) -> None:
    jitter = np.random.default_rng(0).uniform(-6, 6, 800)
    times = [round(i * 20 + jitter[i]) for i in range(800)]
    path = timed(tmp_path, "t_ms", lambda i: times[i], acc=lambda i: f"{np.sin(times[i] / 100):.5f}")
    dataset = loaded(path)
    (note,) = [note for note in dataset.notes if "resampled" in note]
    assert re.fullmatch(
        r"1 of 1 files has uneven times \(steps from \d+ to \d+\) and is resampled linearly to 50 Hz\.", note
    )
    # A sine over the true times is a sine over even ones: the jitter is gone.
    window = dataset.samples["train"][0, :, 0].astype(np.float64)
    phase = np.arange(50) / 5
    fit = np.stack([np.sin(phase), np.cos(phase)], 1)
    rest = window - fit @ np.linalg.lstsq(fit, window, rcond=None)[0]
    assert np.abs(rest).max() < 0.02


def test_files_of_two_rates_are_brought_to_the_rate_that_is_named(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "b.csv").write_text(
        table(HEADER, lambda i: f"{i * 0.01:.2f}", noise(1), noise(2), lambda i: turns(i // 2), rows=800)
    )
    dataset = loaded(tmp_path, sample_rate=25.0)
    assert dataset.info.input_shape == (25, 2)
    assert "6 of 6 files are resampled to 25 Hz, by means over each step." in dataset.notes


def test_resampling_to_longer_steps_lets_nothing_fast_come_back_as_something_slow() -> None:
    times = np.arange(2000) / 1000
    fast = np.sin(2 * np.pi * 90 * times)[:, np.newaxis]
    slow = np.sin(2 * np.pi * 2 * times)[:, np.newaxis]
    assert np.abs(resample(times, fast, 0.01, 0.001)[5:-5]).max() < 0.15
    assert np.abs(resample(times, slow, 0.01, 0.001)[:, 0] - slow[::10, 0]).max() < 0.02


def without(tmp_path: Path, *rows: int) -> Path:
    path = timed(tmp_path, "t", lambda i: f"{i * 0.02:.2f}", acc=lambda i: i % 90)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for i, line in enumerate(lines) if i - 1 not in rows))
    return path


def test_short_gaps_in_time_are_interpolated_and_long_ones_cut(tmp_path: Path) -> None:
    path = without(tmp_path, 30, 31, *range(110, 140))
    dataset = loaded(path, missing="interpolate", window="20", hop="20")
    assert "Interpolated: 1 short gap in time." in dataset.notes
    assert "1 gap in time; no window crosses one." in dataset.notes
    assert dataset.samples["train"][1, :, 0].tolist() == pytest.approx(list(range(20, 40)), abs=1e-4)


def test_gaps_in_time_cut_the_recording_where_they_are_to_be_dropped(tmp_path: Path) -> None:
    dataset = loaded(without(tmp_path, 30, 31), missing="drop", window="20", hop="20")
    assert "1 gap in time; no window crosses one." in dataset.notes
    assert dataset.samples["train"][:3, 0, 0].tolist() == [0, 32, 52]


def holed(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    cells = {10: "", 11: "NA", 60: "nan", **dict.fromkeys(range(120, 150), "")}
    path.write_text(table("a,b,label", lambda i: cells.get(i, i % 90), noise(2), turns, rows=800))
    return path


def test_missing_values_are_interpolated_where_they_are_few(tmp_path: Path) -> None:
    dataset = loaded(holed(tmp_path), missing="interpolate", window="20", hop="20")
    assert "Interpolated: 3 missing values." in dataset.notes
    assert "Without some value, left out: 30 of 800 rows; no window crosses them." in dataset.notes
    assert dataset.samples["train"][0, :, 0].tolist() == list(range(20))


def test_rows_with_missing_values_are_dropped_and_no_window_crosses_them(tmp_path: Path) -> None:
    dataset = loaded(holed(tmp_path), missing="drop", window="20", hop="20")
    assert "Without some value, left out: 33 of 800 rows; no window crosses them." in dataset.notes
    assert dataset.samples["train"][:2, 0, 0].tolist() == [12, 32]


def test_times_in_disorder_are_sorted_or_dropped(tmp_path: Path) -> None:
    path = timed(tmp_path, "t", lambda i: f"{i * 0.02:.2f}", acc=lambda i: i % 90)
    lines = path.read_text().splitlines()
    lines[31], lines[32] = lines[32], lines[31]
    path.write_text("\n".join(lines))
    dataset = loaded(path, missing="interpolate", window="20", hop="20")
    assert dataset.samples["train"][1, :, 0].tolist() == list(range(20, 40))
    assert "Times do not rise in 1 row: sorted in; of rows with one time the first is kept." in dataset.notes
    dropped = loaded(path, missing="drop", window="20", hop="20")
    assert "Times do not rise in 1 row: left out." in dropped.notes


@pytest.mark.parametrize("missing", ["drop", "interpolate"])
def test_a_clock_that_starts_anew_begins_another_recording(missing: str, tmp_path: Path) -> None:
    path = timed(tmp_path, "t", lambda i: f"{i % 250 * 0.02:.2f}", acc=lambda i: i * 7919 % 4001)
    dataset = loaded(path, missing=missing, window="20", hop="20")
    # At 500 the label changes as well.
    assert "The clock starts again 2 times; no window crosses that." in dataset.notes
    assert not any("do not rise" in note for note in dataset.notes)
    starts = np.concatenate([array[:, 0, 0] for array in dataset.samples.values()]).tolist()
    assert {i * 7919 % 4001 for i in (200, 220, 250, 270)} <= set(starts)


@pytest.mark.parametrize("missing", ["drop", "interpolate"])
def test_where_nothing_is_left_this_is_said(missing: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        table("a,b,label", lambda i: "" if i // 30 % 2 else 1, lambda i: i if i // 30 % 2 else "", turns)
    )
    with pytest.raises(UserError, match=r"[Nn]o row is left"):
        loaded(path, missing=missing, window="64")


def test_rows_without_label_or_time_are_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    time = lambda i: "inf" if i == 7 else f"{i * 0.02:.2f}"  # noqa: E731
    path.write_text(table(HEADER, time, noise(1), noise(2), lambda i: "" if i < 5 else turns(i), rows=800))
    notes = loaded(path, missing="drop").notes
    assert "Without label or group, left out: 5 of 800 rows." in notes
    assert "Without time, left out: 1 of 800 rows." in notes


def test_an_infinite_value_that_is_dropped_makes_no_doubles_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    types: set[np.dtype[Any]] = set()

    def watched(*args: Any, **options: Any) -> Any:
        found, steps = cut(*args, **options)
        types.update(stretch.values.dtype for stretch in found)
        return found, steps

    monkeypatch.setattr("nas.tasks.timeseries.cut", watched)
    signal = noise(1)
    path = timed(tmp_path, "t", lambda i: f"{i * 0.02:.2f}", acc=lambda i: "inf" if i == 90 else signal(i))
    dataset = loaded(path, missing="drop", window="20")
    assert "Without some value, left out: 1 of 800 rows; no window crosses them." in dataset.notes
    assert types == {np.dtype(np.float32)}


def test_units_are_read_from_names_and_guessed_only_where_they_are_plain() -> None:
    assert [named_unit(n) for n in ("t_ms", "time [µs]", "Timestamp (ns)", "seconds", "time", "items")] == [
        "ms", "us", "ns", "s", None, None,
    ]  # fmt: skip
    assert guess_unit(np.array([1e4]), 20) is None
    assert guess_unit(np.array([1e4]), 3600) is None
    assert guess_unit(np.array([1e4]), 0.5) == "s"


def test_steps_are_uneven_only_beyond_the_rounding_of_times() -> None:
    even = measure_steps([np.round(np.arange(500) * 1000 / 60)])
    assert even is not None
    assert even.even
    assert even.step == pytest.approx(1000 / 60, rel=1e-3)
    jittered = measure_steps([np.arange(500) * 20 + np.random.default_rng(0).uniform(-6, 6, 500)])
    assert jittered is not None
    assert not jittered.even
    assert measure_steps([np.array([1.0])]) is None
