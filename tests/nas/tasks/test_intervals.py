"""Labels of intervals of recordings, and recordings that are packed."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.tasks.dataset import Dataset
from nas.tasks.loading import gzip_file
from nas.tasks.options import TaskOptions
from nas.tasks.timeseries import load
from tests.nas.tasks.written_recordings import NAMES, folder, noise, seconds, table


def loaded(path: Path, **options: Any) -> Dataset:
    return load(str(path), TaskOptions(**({"window": "32"} | options)))


def refusal(path: Path, **options: Any) -> UserError:
    with pytest.raises(UserError) as error:
        loaded(path, **options)
    assert error.value.hint.endswith((".", "?"))
    return error.value


def counting(i: int) -> object:
    return i % 400


def recordings(root: Path, lines: list[str], header: str = "time", time: Any = seconds) -> Path:
    """Files of 400 rows whose channel says the row, and a file of labels."""
    for seed, name in enumerate(NAMES):
        columns = [time, counting, noise(seed)] if header else [counting, noise(seed)]
        text = table(",".join(filter(None, [header, "row", "acc"])), *columns)
        (root / f"{name}.csv").write_text(text)
    (root / "labels.csv").write_text("\n".join(["file,start,end,label", *lines, ""]))
    return root


def for_all(*intervals: str) -> list[str]:
    return [f"{name}.csv,{interval}" for name in NAMES for interval in intervals]


BY_TIME = for_all("4.00,6.00,walk", "0.20,2.20,rest", "2.20,4.00,walk")


def rows_of(dataset: Dataset, label: int) -> set[int]:
    # Channels are the row and noise: the row rises like a counter, so it is named.
    return {
        int(row)
        for part in ("train", "val", "test")
        for row in dataset.samples[part][dataset.labels[part] == label][..., 0].ravel()
    }


@pytest.mark.parametrize(
    ("header", "time", "scale"),
    [
        ("time", seconds, lambda text: text),
        ("t_ms", lambda i: i * 20, lambda text: str(round(float(text) * 1000))),
        (
            "time",
            lambda i: f"2026-01-31T12:00:{i * 0.02:09.6f}",
            lambda text: f"2026-01-31 12:00:{float(text):05.2f}",
        ),
        ("", None, lambda text: str(round(float(text) * 50))),
    ],
    ids=["seconds", "milliseconds", "text", "rows"],
)
def test_rows_have_the_label_of_the_interval_they_lie_in(
    header: str, time: Any, scale: Any, tmp_path: Path
) -> None:
    lines = [
        ",".join([f, scale(a), scale(b), label]) for f, a, b, label in (line.split(",") for line in BY_TIME)
    ]
    root = recordings(tmp_path, lines, header, time)
    dataset = loaded(root, channels="row,acc", hop="1")
    assert dataset.info.class_names == ("rest", "walk")
    assert rows_of(dataset, 0) == set(range(10, 110))
    assert rows_of(dataset, 1) == set(range(110, 300))
    assert "Labels are those of 18 intervals in labels.csv, column label." in dataset.notes
    assert "Outside of the intervals with labels, left out: 660 of 2,400 rows." in dataset.notes


def test_an_interval_without_rows_is_counted(tmp_path: Path) -> None:
    root = recordings(tmp_path, [*BY_TIME, "a.csv,90,91,walk"])
    assert "1 of 19 intervals hold no row." in loaded(root, channels="acc").notes


def test_windows_may_cross_from_one_interval_to_the_next_but_not_out_of_all(tmp_path: Path) -> None:
    dataset = loaded(recordings(tmp_path, BY_TIME), channels="row,acc", hop="4", label_share=0.75)
    rest = rows_of(dataset, 0)
    assert rest - set(range(10, 110)) == set(range(110, 118))
    assert rows_of(dataset, 0) | rows_of(dataset, 1) <= set(range(10, 300))


def test_a_label_file_of_intervals_may_have_groups(tmp_path: Path) -> None:
    root = recordings(tmp_path, [])
    lines = [f"{line},p{line[0]}" for line in BY_TIME]
    (root / "labels.csv").write_text("\n".join(["file,from,to,label,person", *lines]))
    assert loaded(root, channels="acc").report.groups == (6, 0)
    (root / "labels.csv").write_text("\n".join(["file,from,to,label,person", *lines, "a.csv,7,8,rest,pz"]))
    assert refusal(root).message == f"{root}/labels.csv has a.csv in the groups 'pa' and 'pz'."


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [*BY_TIME, "a.csv,5.5,7,rest"],
            "R/labels.csv: the intervals of line 2 (walk, 4.00 to 6.00) and line 20 (rest, 5.5 to 7) overlap in a.csv.",
        ),
        ([*BY_TIME, "a.csv,7,7,rest"], "R/labels.csv: line 20 ends at 7, but starts at 7."),
        (
            [*BY_TIME, "a.csv,soon,7,rest"],
            "R/labels.csv: 'soon' in line 20, column start, is not a time or row.",
        ),
        ([*BY_TIME, "a.csv,7,,rest"], "R/labels.csv: line 20 has no time in column end."),
        ([*BY_TIME, "a.csv,7,8,"], "R/labels.csv: line 20 gives no label."),
        (BY_TIME[3:], "R/labels.csv has no label for a.csv."),
        (
            for_all("4000,6000,walk", "7000,9000,rest"),
            "R/labels.csv: no row lies in any of its 12 intervals.",
        ),
        (
            [*BY_TIME, "a.csv,7,2026-01-31 12:00:02,rest"],
            "R/labels.csv: '2026-01-31 12:00:02' in line 20, column end, is not a time or row.",
        ),
        (
            for_all("2,2026-01-31 12:00:02,rest"),
            "R/labels.csv writes start as numbers, end as text.",
        ),
        (
            for_all("2026-01-31 12:00:00,2026-01-31 12:00:02,walk"),
            "R/labels.csv writes starts and ends as text, R/a.csv writes times as numbers.",
        ),
    ],
)
def test_intervals_that_cannot_be_are_one_sentence(lines: list[str], message: str, tmp_path: Path) -> None:
    root = tmp_path / "R"
    root.mkdir()
    assert refusal(recordings(root, lines)).message.replace(str(root), "R") == message


def test_starts_without_ends_are_no_intervals(tmp_path: Path) -> None:
    root = recordings(tmp_path, [])
    (root / "labels.csv").write_text("file,start,label\na.csv,1,rest\na.csv,2,walk\n")
    error = refusal(root)
    assert error.message == f"{root}/labels.csv labels a.csv both 'rest' and 'walk'."
    assert error.hint == "It holds one label for each file, or intervals in columns start and end."


# Packed files


def packed(root: Path) -> Path:
    """The usual recordings, all of them packed."""
    for path in folder(root).glob("*.csv"):
        (root / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    return root


def test_packed_recordings_are_read_like_others(tmp_path: Path) -> None:
    plain, other = loaded(folder(tmp_path / "plain")), loaded(packed(tmp_path / "packed"))
    assert plain.digest() == other.digest()
    assert plain.notes == other.notes
    single = loaded(tmp_path / "packed" / "a.csv.gz")
    assert single.info.name == "a"


@pytest.mark.parametrize("named", ["{}", "{}.csv", "{}.csv.gz"])
def test_a_label_file_names_packed_recordings_and_may_be_packed(named: str, tmp_path: Path) -> None:
    root = packed(tmp_path)
    lines = ["file,label", *(f"{named.format(name)},{'xy'[i % 2]}" for i, name in enumerate(NAMES))]
    (root / "labels.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert loaded(root).info.class_names == ("x", "y")


def change(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def test_a_packed_file_that_is_damaged_cut_or_not_packed_is_named(tmp_path: Path) -> None:
    root = packed(tmp_path)
    path = root / "a.csv.gz"
    sound = path.read_bytes()
    for content, what in (
        (
            sound[:-400],
            "cannot be unpacked (Compressed file ended before the end-of-stream marker was reached).",
        ),
        (sound[:500] + bytes(50) + sound[550:], "cannot be unpacked ("),
        (sound[:-8] + bytes(8), "cannot be unpacked (CRC check failed"),
        (b"time,x\n1,2\n", "is not compressed, though its name says so."),
        (b"", "is not compressed, though its name says so."),
        (gzip.compress(b""), "is empty."),
        (gzip.compress(sound), "is compressed."),
    ):
        path.write_bytes(content)
        assert refusal(root).message.startswith(f"{path} {what}")


def test_a_bomb_ends_at_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_file, "_BOMB_BYTES", 1 << 20)
    root = packed(tmp_path)
    line = b"0.00,0.0,0.0,rest\n"
    (root / "a.csv.gz").write_bytes(gzip.compress(b"time,acc_x,acc_y,label\n" + line * 1_000_000))
    assert " to more than 200 times as many, as only repetitions do." in refusal(root).message


def test_packed_files_that_memory_does_not_hold_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = packed(tmp_path)
    size = sum(len(gzip.decompress(path.read_bytes())) for path in root.iterdir())
    for name in ("nas.tasks.timeseries.available_bytes", "nas.tasks.loading.memory.available_bytes"):
        monkeypatch.setattr(name, lambda: size - 1)
    assert "would take about 0 MB of memory" in refusal(root).message


def test_the_size_of_a_packed_file_is_measured_and_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(np.random.default_rng(0).bytes(3 << 20)))
    assert gzip_file.content_bytes(path, 1 << 30) == 3 << 20
    assert 1 << 20 < gzip_file.content_bytes(path, 1 << 20) <= 2 << 20
