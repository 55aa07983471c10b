"""Recordings in tables: where labels, groups and times come from, windows that cross nothing, honest splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.tasks.dataset import Dataset
from nas.tasks.options import TaskOptions
from nas.tasks.timeseries import load
from tests.nas.tasks.written_recordings import (
    HEADER,
    NAMES,
    Column,
    folder,
    noise,
    recording,
    seconds,
    table,
    turns,
)


def loaded(path: Path, **options: Any) -> Dataset:
    return load(str(path), TaskOptions(**({"window": "32"} | options)))


def single(tmp_path: Path, text: str, name: str = "walks.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def rows_of(dataset: Dataset, part: str, channel: int = 0) -> set[float]:
    return set(dataset.samples[part][..., channel].ravel().tolist())


def test_a_folder_of_files_is_split_by_file_and_all_that_was_found_is_said(tmp_path: Path) -> None:
    dataset = loaded(folder(tmp_path))
    assert dataset.info.input_shape == (32, 2)
    assert dataset.info.class_names == ("rest", "walk")
    assert sum(dataset.info.samples.values()) == 6 * 4 * 5
    assert dataset.notes == (
        "6 files, separated by commas.",
        "Column label is taken for the label by its name; --label names another.",
        "Column time is taken for the time by its name; --time names another.",
        "Channels from 0: acc_x, acc_y.",
        "Times in column time (s, by their size) run at 50 Hz.",
        "Windows of 32 rows (0.64 s), one every 16 rows by default.",
        "36 windows across a change of label or group left out (23 % of all); --label-share 0.75 keeps those with 75 %"
        " of one label.",
        "96 of 2,400 rows are in no window: stretches of one label, group and file that end.",
        "Split by file: 3 in train, 1 in val, 2 in test.",
    )


def levels_of(file: int) -> Column:
    return lambda i: file * 100 + i // 100 + (50 if i >= 330 else 0) + (25 if i >= 160 else 0)


def subjects_of(file: int) -> Column:
    return lambda i: f"s{file}{'a' if i < 160 else 'b'}"


def test_no_window_crosses_a_label_a_group_a_gap_or_a_file(tmp_path: Path) -> None:
    # The channel counts up by label, group and file, so that a window that crosses has two values.
    for file in range(6):
        text = table(
            f"{HEADER},subject",
            lambda i: f"{i * 0.02 + (7 if i >= 330 else 0):.2f}",
            levels_of(file),
            noise(file),
            turns,
            subjects_of(file),
        )
        single(tmp_path, text, f"{file}.csv")
    dataset = loaded(tmp_path, window="20", hop="3", missing="drop")
    for part in ("train", "val", "test"):
        levels = dataset.samples[part][..., 0].astype(np.float64)
        assert (levels.min(axis=1) == levels.max(axis=1)).all()
        wrong = (levels[:, 0].astype(int) % 25 % 2) != dataset.labels[part]
        assert not wrong[levels[:, 0] % 100 < 25].any()
    assert dataset.report.groups == (12, 0)
    assert "6 gaps in time; no window crosses one." in dataset.notes


def bouts(i: int) -> str:
    """Walks of 100 rows, with falls of 30 rows between them."""
    return "fall" if i % 130 >= 100 else "walk"


def test_windows_across_a_change_of_label_may_be_kept_by_the_label_of_most_rows(tmp_path: Path) -> None:
    for seed in range(6):
        text = table(
            f"{HEADER},code", seconds, noise(seed), noise(seed + 50), bouts,
            lambda i: int(bouts(i) == "fall"), rows=1300,
        )  # fmt: skip
        single(tmp_path, text.replace("code", "temperature"), f"{seed}.csv")
        # A third value, so that the column does not only say the label again.
        (tmp_path / f"{seed}.csv").write_text((tmp_path / f"{seed}.csv").read_text() + "26.00,0,0,walk,2\n")
    dataset = loaded(tmp_path, hop="8", label_share=0.75)
    for part in ("train", "val", "test"):
        falls = (dataset.samples[part][..., 2] == 1).sum(axis=1)
        fall = dataset.labels[part] == 0
        assert falls[fall].min() >= 24
        assert falls[~fall].max() <= 8
    said = [note for note in dataset.notes if "window" in note]
    assert said[:2] == [
        "228 windows with up to 8 of 32 rows of another label kept, by the label of the most rows (24 % of all).",
        "204 windows across a change of label or group left out (21 % of all): fewer than 24 of 32 rows of one label"
        " and group.",
    ]
    with pytest.raises(
        UserError, match=r"Label fall never lasts a window of 32 rows: its longest stretch has 30\."
    ):
        loaded(tmp_path, hop="8")


def test_a_share_that_changes_nothing_is_said(tmp_path: Path) -> None:
    for seed, name in enumerate(("good", "worn")):
        (tmp_path / name).mkdir()
        for file in range(4):
            (tmp_path / name / f"{file}.csv").write_text(table("x,y", noise(seed), noise(file)))
    notes = loaded(tmp_path, label_share=0.8).notes
    assert "No window has rows of two labels: --label-share 0.8 changes none." in notes


def test_labels_follow_their_rows_where_times_are_resampled(tmp_path: Path) -> None:
    for seed in range(6):
        text = table(
            "time,acc_x,level,label", seconds, noise(seed), lambda i: i // 100 % 2 + i % 3 * 1e-3, turns, rows=800,
        )  # fmt: skip
        single(tmp_path, text, f"{seed}.csv")
    dataset = loaded(tmp_path, window="1s", label_share=0.75, sample_rate=25.0)
    assert dataset.info.input_shape == (25, 2)
    walk = (dataset.samples["train"][..., 1].astype(np.float64) > 0.5).sum(axis=1)
    assert (walk[dataset.labels["train"] == 1] >= 18).all()
    assert (walk[dataset.labels["train"] == 0] <= 7).all()
    assert set(walk.tolist()) - {0, 25}


def test_a_group_stays_in_one_part(tmp_path: Path) -> None:
    header = f"{HEADER},Person"
    text = table(header, seconds, lambda i: i // 200, noise(1), turns, lambda i: i // 200, rows=2000)
    dataset = loaded(single(tmp_path, text), group="person")
    assert dataset.report.groups == (10, 0)
    assert not rows_of(dataset, "train") & rows_of(dataset, "test")
    assert "Split by group: 6 in train, 2 in val, 2 in test." in dataset.notes


def test_one_recording_is_split_by_time_with_nothing_in_two_parts(tmp_path: Path) -> None:
    text = table(
        "t,acc_x,label",
        seconds,
        lambda i: (i * 7919) % 4001,
        lambda i: "rest" if i < 2000 else "walk",
        rows=4000,
    )
    dataset = loaded(single(tmp_path, text), window="0.64s", hop="0.08s")
    seen = [rows_of(dataset, part) for part in ("train", "val", "test")]
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]
    assert not seen[0] & seen[2]
    assert dataset.notes[-1] == (
        "Split by time, as no split by file has each label in each part: the first 60 % of each label are for train,"
        " the next for val and test; 28 windows overlapping two parts left out. Accuracy is that of known recordings."
    )


def test_class_folders_are_the_classes(tmp_path: Path) -> None:
    for seed, name in enumerate(("good", "worn")):
        (tmp_path / name).mkdir()
        for file in range(4):
            text = table("x;y", noise(seed), noise(file)).replace(",", ";")
            (tmp_path / name / f"{file}.csv").write_text(text)
    dataset = loaded(tmp_path)
    assert dataset.info.class_names == ("good", "worn")
    assert "The 2 folders are taken for the classes." in dataset.notes
    assert dataset.notes[-1].startswith("Split by file: ")


def parts(root: Path, *names: str) -> Path:
    for index, name in enumerate(names):
        for file in range(6 if index == 0 else 1):
            place = root / name / "deep" if index == 0 else root / name
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{file}.csv").write_text(recording(seed=index * 10 + file))
    return root


def test_parts_may_be_given_as_folders(tmp_path: Path) -> None:
    dataset = loaded(parts(tmp_path, "Training", "valid", "test"))
    assert dataset.info.samples == {"train": 120, "val": 20, "test": 20}
    assert not any(note.startswith("Split") for note in dataset.notes)


def test_without_a_val_folder_whole_files_of_train_give_it(tmp_path: Path) -> None:
    dataset = loaded(parts(tmp_path, "train", "test"))
    assert dataset.info.samples == {"train": 80, "val": 40, "test": 20}
    assert dataset.notes[-2:] == (
        "There is no val folder: a fifth of the training windows is held out for it.",
        "Split by file: 4 in train, 2 in val.",
    )


def test_folders_may_be_the_groups(tmp_path: Path) -> None:
    for person in range(6):
        (tmp_path / f"p{person}").mkdir()
        for file in range(2):
            (tmp_path / f"p{person}" / f"{file}.csv").write_text(recording(seed=person * 2 + file))
    dataset = loaded(tmp_path, group="folder", label="label")
    assert dataset.report.groups == (6, 0)


@pytest.mark.parametrize("named", [None, "labels.csv"])
def test_a_file_of_labels_names_the_class_and_the_group_of_each_file(
    named: str | None, tmp_path: Path
) -> None:
    lines = ["file;person;class"]
    for index in range(12):
        text = table("t_ms,acc", lambda i: i * 20, noise(index), rows=64)
        (tmp_path / f"rec{index}.csv").write_text(text)
        lines.append(f"rec{index}{'.csv' if index % 2 else ''};p{index // 2};{'ab'[index % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    dataset = loaded(tmp_path, label=named, window=None)
    assert dataset.info.input_shape == (64, 1)
    assert dataset.info.class_names == ("a", "b")
    assert dataset.report.groups == (6, 0)
    assert "Labels are those of labels.csv, column class; groups of column person." in dataset.notes
    assert "Each recording is one sample, as all have 64 rows." in dataset.notes


def test_a_file_of_labels_may_have_no_header(tmp_path: Path) -> None:
    folder(tmp_path)
    for name in NAMES:
        (tmp_path / f"{name}.csv").write_text(table("acc", noise(ord(name)), rows=400))
    (tmp_path / "labels.csv").write_text(
        "".join(f"{name}.csv,{'xy'[i % 2]}\n" for i, name in enumerate(NAMES))
    )
    assert loaded(tmp_path).info.class_names == ("x", "y")


def test_a_file_called_labels_that_names_no_recording_is_not_used(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "labels.txt").write_text("1 walk\n2 rest\n")
    assert "labels.txt names none of the files, and is not used." in loaded(tmp_path).notes


def test_labels_that_are_numbers_are_names_in_their_order(tmp_path: Path) -> None:
    text = table(HEADER, seconds, noise(1), noise(2), lambda i: ("10", "2", "2.0")[i // 400], rows=1200)
    assert loaded(single(tmp_path, text)).info.class_names == ("2", "10")


def test_whole_numbers_stay_int16(tmp_path: Path) -> None:
    text = table("adc,label", lambda i: (i * 7919) % 4001 - 2000, turns, rows=800)
    assert loaded(single(tmp_path, text)).samples["train"].dtype == np.int16


def test_the_values_of_windows_are_those_of_the_file(tmp_path: Path) -> None:
    text = table("a,b,label", lambda i: i % 37, lambda i: -(i % 41), turns, rows=800)
    dataset = loaded(single(tmp_path, text), window="50", hop="50")
    first = dataset.samples["train"][0]
    assert first[:, 0].tolist() == [i % 37 for i in range(50)]
    assert first[:, 1].tolist() == [-(i % 41) for i in range(50)]


# What would be learned in place of the signal


@pytest.mark.parametrize(
    ("name", "column", "note"),
    [
        (
            "subject",
            lambda i: i // 80,
            "Column subject is taken for the group by its name; --group names another.",
        ),
        ("", lambda i: i, "Column without a name left out: it numbers the rows."),
        (
            "ticks",
            lambda i: i * 3 + i % 2,
            "Left out, as it rises from row to row like a clock or counter: ticks;",
        ),
        (
            "code",
            lambda i: 7 + i // 100 % 2,
            "Left out, as it has one value for each label and would tell it: code.",
        ),
        (
            "activity_id",
            lambda i: i // 100 % 2,
            "Column activity_id left out, as the name is that of a label",
        ),
        ("remark", lambda i: "ok", "Column remark left out: words are not a channel."),
        ("spare", lambda i: "", "Column spare left out: there is nothing in it."),
    ],
)
def test_a_column_that_tells_more_than_the_sensor_is_no_channel(
    name: str, column: Any, note: str, tmp_path: Path
) -> None:
    header = f"{name},acc_x,label" if not name else f"acc_x,{name},label"
    columns = (column, noise(1), turns) if not name else (noise(1), column, turns)
    dataset = loaded(single(tmp_path, table(header, *columns, rows=800)))
    assert dataset.info.input_shape == (32, 1)
    assert any(said.startswith(note) for said in dataset.notes), dataset.notes


def test_named_channels_are_taken_in_their_order_and_all_others_left_out(tmp_path: Path) -> None:
    header = "time,acc_x,acc_y,subject,remark,T [C],spare,label"
    text = table(
        header, seconds, lambda i: i % 37, lambda i: -(i % 41), lambda i: i // 200, lambda i: "ok",
        lambda i: 20 + i % 3, lambda i: "", turns, rows=2000,
    )  # fmt: skip
    dataset = loaded(single(tmp_path, text), channels="t, acc_y", group="none")
    assert dataset.samples["train"][0, :5].tolist() == [[20, 0], [21, -1], [22, -2], [20, -3], [21, -4]]
    assert "Channels from 0: T [C], acc_y." in dataset.notes
    assert [note for note in dataset.notes if "left out" in note and note.startswith("Column")] == [
        "Columns acc_x, subject, remark, spare left out, as --channels does not name them."
    ]


def test_a_named_channel_is_kept_though_its_name_or_course_is_that_of_something_else(tmp_path: Path) -> None:
    text = table(
        "clock,subject,code,x,label", lambda i: i * 3 + i % 2, lambda i: i % 7, lambda i: i // 100 % 2, noise(1),
        turns, rows=800,
    )  # fmt: skip
    dataset = loaded(single(tmp_path, text), channels='"clock",subject,code', time="none")
    assert dataset.info.input_shape == (32, 3)
    assert dataset.report.groups is None
    assert [note for note in dataset.notes if note.startswith(("Column x", "Kept"))] == [
        "Column x left out, as --channels does not name it.",
        "Kept, as --channels names it, though it rises from row to row like a clock or counter: clock; --time takes"
        " times.",
        "Kept, as --channels names it, though it has one value for each label and would tell it: code.",
    ]


def test_no_group_and_no_time_can_be_said(tmp_path: Path) -> None:
    text = table("time,subject,acc_x,label", lambda i: i // 50, lambda i: i // 200, noise(1), turns, rows=800)
    dataset = loaded(
        single(tmp_path, text), group="none", time="none", window="1s", hop="0.2s", sample_rate=50.0
    )
    assert dataset.info.input_shape == (50, 1)
    assert dataset.report.groups is None
    assert any("Column time left out, as the name is that of a time" in note for note in dataset.notes)


def test_a_label_that_one_group_has_is_trained_and_its_lack_elsewhere_said(tmp_path: Path) -> None:
    text = table(
        f"{HEADER},subject", seconds, noise(1), noise(2),
        lambda i: "fall" if 40 < i < 100 else turns(i), lambda i: i // 200, rows=2000,
    )  # fmt: skip
    dataset = loaded(single(tmp_path, text))
    assert "The val part has no sample of fall." in dataset.notes
    assert "The test part has no sample of fall." in dataset.notes


def test_a_file_that_is_too_short_is_named(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "short.csv").write_text(recording(rows=20))
    assert "1 file gives no window, it is too short: short.csv." in loaded(tmp_path).notes


def test_a_text_file_is_read_where_nothing_else_is_there(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "README.txt").write_text("hello")
    (tmp_path / ".hidden").write_text("")
    assert "Files that are not tables left out: 1 .txt." in loaded(tmp_path).notes
    assert "1 hidden file or folder left out." in loaded(tmp_path).notes
    (tmp_path / "README.txt").unlink()
    for name in NAMES:
        (tmp_path / f"{name}.csv").rename(tmp_path / f"{name}.txt")
    assert sum(loaded(tmp_path).info.samples.values()) == 120


def test_a_channel_that_rises_at_several_paces_is_a_measurement(tmp_path: Path) -> None:
    text = table("x,y,label", lambda i: i % 100 * (1 + i // 100 % 3), noise(1), turns, rows=1600)
    assert loaded(single(tmp_path, text)).info.input_shape == (32, 2)


def always(value: int) -> Column:
    return lambda i: value


def test_blank_lines_between_rows_end_a_recording(tmp_path: Path) -> None:
    # As the Arduino examples have gestures: a file for each class, blank lines between the gestures.
    for index, name in enumerate(("flex", "punch")):
        gestures = [table("", noise(index), always(g), rows=50).strip() for g in range(20)]
        single(tmp_path, "aX,aY\n" + "\n\n".join(gestures), f"{name}.csv")
    single(tmp_path, "file,label\nflex,flex\npunch,punch\n", "labels.csv")
    dataset = loaded(tmp_path, window=None)
    assert dataset.info.input_shape == (50, 2)
    assert (dataset.samples["train"][:, :1, 1] == dataset.samples["train"][..., 1]).all()
    assert "38 blank lines between the rows; no window crosses one." in dataset.notes
    again = loaded(tmp_path, window="50", hop="25")
    assert not any("change of label or group" in note for note in again.notes)


def test_linked_folders_are_read_once(tmp_path: Path) -> None:
    folder(tmp_path / "real")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "data").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "again").symlink_to(tmp_path / "real")
    assert loaded(tmp_path / "in").notes[0] == "6 files, separated by commas."
