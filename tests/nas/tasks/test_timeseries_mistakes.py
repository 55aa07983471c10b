"""Mistakes that people make with recordings in tables: each is one sentence that says where, and a hint."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cost_models.errors import UserError
from nas.run.config import make_config
from nas.tasks.options import TaskOptions
from nas.tasks.timeseries import load
from tests.nas.tasks.written_recordings import HEADER, folder, noise, recording, seconds, table, turns

Change = Callable[[Path], object]


def refusal(path: Path, options: dict[str, Any]) -> str:
    with pytest.raises(UserError) as error:
        load(str(path), TaskOptions(**({"window": "32"} | options)))
    assert error.value.hint.strip()
    assert error.value.hint.endswith((".", "?"))
    message = error.value.message.replace(str(path), "R")
    assert message.endswith(".")
    assert "\n" not in message
    return message


def unchanged(root: Path) -> None:
    pass


def a_csv(content: str | bytes) -> Change:
    """Another a.csv."""
    return lambda root: (root / "a.csv").write_bytes(
        content.encode() if isinstance(content, str) else content
    )


def no_tables(root: Path) -> None:
    for path in root.rglob("*.csv"):
        path.unlink()


def only(content: str) -> Change:
    """One file alone."""

    def change(root: Path) -> None:
        for path in root.glob("*.csv"):
            path.unlink()
        (root / "a.csv").write_text(content)

    return change


def line(number: int, edit: Callable[[str], str | None]) -> Change:
    """Another line of a.csv, counted from 1."""

    def change(root: Path) -> None:
        lines: list[str | None] = [*(root / "a.csv").read_text().splitlines()]
        lines[number - 1] = edit(lines[number - 1] or "")
        (root / "a.csv").write_text("".join(f"{text}\n" for text in lines if text is not None))

    return change


def cell(number: int, column: int, text: str) -> Change:
    """Another cell of a.csv."""

    def edit(old: str) -> str:
        cells = old.split(",")
        cells[column] = text
        return ",".join(cells)

    return line(number, edit)


def everywhere(old: str, new: str) -> Change:
    def change(root: Path) -> None:
        for path in sorted(root.glob("*.csv")):
            path.write_text(path.read_text().replace(old, new))

    return change


def moved(*places: str) -> Change:
    """The files, one by one, elsewhere below the folder."""

    def change(root: Path) -> None:
        for path, place in zip(sorted(root.glob("*.csv")), places, strict=False):
            (root / place).mkdir(parents=True, exist_ok=True)
            path.rename(root / place / path.name)

    return change


def several(*changes: Change) -> Change:
    return lambda root: [change(root) for change in changes]


def beside(name: str, content: str) -> Change:
    return lambda root: (root / name).write_text(content)


def pictures(root: Path) -> None:
    for path in root.glob("*.csv"):
        path.rename(path.with_suffix(".png"))


def late_latin(root: Path) -> None:
    rows = recording(rows=20_000).encode()
    (root / "a.csv").write_bytes(rows + "400.0,1,1,café\n".encode("latin-1"))


def of_groups(count: int) -> Change:
    header = f"{HEADER},person"
    who = lambda i: f"p{i * count // 800}"  # noqa: E731
    return only(table(header, seconds, noise(1), noise(2), turns, who, rows=800))


LABELS = "file,label\n" + "".join(f"{name}.csv,{'rest' if name in 'abc' else 'walk'}\n" for name in "abcdef")

MISTAKES: dict[str, tuple[Change, dict[str, Any], str]] = {
    # Files
    "an empty file": (a_csv(""), {}, "R/a.csv is empty."),
    "a file of blank lines": (a_csv("\r\n \r\n"), {}, "R/a.csv is empty."),
    "a header and nothing else": (a_csv(f"{HEADER}\n"), {}, "R/a.csv has a header but no rows."),
    "an Excel workbook": (a_csv(b"PK\3\4rest"), {}, "R/a.csv is a zip archive or an Excel workbook."),
    "an old Excel workbook": (a_csv(b"\xd0\xcf\x11\xe0\xa1"), {}, "R/a.csv is an Excel workbook."),
    "a compressed file": (a_csv(gzip.compress(b"a,b\n1,2\n")), {}, "R/a.csv is compressed."),
    "a picture": (a_csv(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), {}, "R/a.csv is not text."),
    "a web page": (a_csv("<!DOCTYPE html><html>"), {}, "R/a.csv is a web page."),
    "Parquet by another name": (a_csv(b"PAR1abcd"), {}, "R/a.csv is a Parquet file by its content."),
    "a pipe": (lambda root: os.mkfifo(root / "z.csv"), {}, "R/z.csv is not a regular file."),
    "one line for all": (a_csv(b"1,2,3," * 20_000), {}, "R/a.csv has no ends of lines."),
    "no tables": (pictures, {}, "R holds no tables (6 .png)."),
    "a folder of empty folders": (
        several(moved(*"xyxyxy"), no_tables),
        {},
        "R holds no tables: it is empty.",
    ),
    # Rows and cells
    "a file that was cut": (
        line(401, lambda text: text[:9]),
        {},
        "R/a.csv: line 401 has 2 cells instead of 4.",
    ),
    "a cell too many": (cell(9, 3, "rest,1"), {}, "R/a.csv: line 9 has 5 cells instead of 4."),
    "decimal commas between commas": (
        a_csv(table("time,acc_x,acc_y,label", lambda i: "0,1,2,5,3,5,rest", rows=9)),
        {},
        "R/a.csv: line 1 has 4 cells, but line 2 has 7.",
    ),
    "remarks above the header": (
        line(1, "Device 7\n{}".format),
        {},
        "R/a.csv: line 1 has 1 cell, but line 2 has 4.",
    ),
    "an open quote": (
        cell(5, 3, '"rest'),
        {},
        "R/a.csv cannot be read as a table (a quote opens that does not end).",
    ),
    "a word among numbers": (
        cell(20, 1, "ERR"),
        {},
        "R/a.csv: 'ERR' in line 20, column acc_x, is not a number.",
    ),
    "a unit behind a number": (
        cell(20, 1, "1.5 g"),
        {},
        "R/a.csv: '1.5 g' in line 20, column acc_x, is not a number.",
    ),
    "a separator of thousands": (
        cell(20, 1, '"1,234.5"'),
        {},
        "R/a.csv: '1,234.5' in line 20, column acc_x, is not a number.",
    ),
    "units behind all numbers": (
        a_csv(table(HEADER, seconds, lambda i: f"{i}g", noise(1), turns)),
        {},
        "R/a.csv: '0g' in line 2, column acc_x, is not a number.",
    ),
    "a semicolon at the end of each line": (
        a_csv(table("time,label,acc_x,acc_y", seconds, turns, noise(1), lambda i: f"{i % 9 - 4}.5;")),
        {},
        "R/a.csv: '-4.5;' in line 2, column acc_y, is not a number.",
    ),
    "an underscore": (
        cell(20, 1, "1_000"),
        {},
        "R/a.csv: '1_000' in line 20, column acc_x, is not a number.",
    ),
    "a decimal comma among points": (
        cell(20, 1, '"1,5"'),
        {},
        "R/a.csv: '1,5' in line 20, column acc_x, is not a number.",
    ),
    "a column of quoted decimal commas": (
        a_csv(table(HEADER, seconds, lambda i: f'"{i % 7},25"', noise(1), turns)),
        {},
        "R/a.csv: '0,25' in line 2, column acc_x, is not a number.",
    ),
    "two encodings": (late_latin, {}, "R/a.csv has characters further down that are not UTF-8."),
    # Columns
    "a name twice": (
        line(1, lambda text: text.replace("acc_y", "acc_x")),
        {},
        "R/a.csv has 'acc_x' twice in its header.",
    ),
    "a name that cannot be printed": (
        line(1, lambda text: text.replace("acc_y", "\x1b[1m")),
        {},
        "R/a.csv has a column '\\x1b[1m', which cannot be printed.",
    ),
    "a column without a name": (everywhere("acc_y", ""), {}, "R/a.csv: column 3 has no name."),
    "a column of one file only": (
        line(1, lambda text: text.replace("acc_y", "gyro")),
        {},
        "R/b.csv has no column gyro, which R/a.csv has.",
    ),
    "other letters in one file": (
        line(1, lambda text: text.replace("acc_y", "Acc_Y")),
        {},
        "R/b.csv has no column Acc_Y, which R/a.csv has.",
    ),
    "a header in some files": (line(1, lambda text: None), {}, "R/b.csv has no column 0, which R/a.csv has."),
    "words in one file": (
        a_csv(table(HEADER, seconds, lambda i: "low", noise(1), turns)),
        {},
        "R/a.csv: column acc_x holds words, in other files numbers.",
    ),
    "no channel": (
        only(table("time,label", seconds, turns)),
        {},
        "R/a.csv has no channels: no column of numbers is left.",
    ),
    "clocks alone": (
        only(table("frame,n,label", lambda i: i * 2, lambda i: i + 7, turns)),
        {},
        "No channel is left: clocks, counters or the label itself are all of frame, n.",
    ),
    "no label": (everywhere("label", "what"), {}, "R/a.csv has no column that is called label."),
    "another label": (unchanged, {"label": "lable"}, "R/a.csv has no column lable for --label."),
    "another group": (unchanged, {"group": "person"}, "R/a.csv has no column person for --group."),
    "another time": (unchanged, {"time": "clock"}, "R/a.csv has no column clock for --time."),
    "one column for two": (unchanged, {"time": "label"}, "R/a.csv has no column label for --time."),
    "another channel": (
        unchanged,
        {"channels": "acc_x,acc_z"},
        "R/a.csv has no column acc_z for --channels.",
    ),
    "no named channel": (unchanged, {"channels": " "}, "--channels names an empty column."),
    "a channel twice": (unchanged, {"channels": "acc_x,ACC_X"}, "--channels names acc_x twice."),
    "a channel of words": (
        unchanged,
        {"channels": "label", "label": "acc_x"},
        "R/a.csv: column label of --channels holds words.",
    ),
    "a channel that is the label": (
        everywhere("rest", "0"),
        {"channels": "acc_x", "label": "acc_x"},
        "R/a.csv has no column acc_x for --label.",
    ),
    # Labels and groups
    "a row without label": (cell(7, 3, ""), {}, "R/a.csv: line 7 has no label."),
    "a measured quantity": (
        unchanged,
        {"label": "acc_x"},
        "R: the labels are numbers with fractions, such as ",
    ),
    "one label only": (everywhere("walk", "rest"), {}, "R: there is one label only (rest)."),
    "two spellings": (
        cell(7, 3, "Rest"),
        {},
        "R: the labels 'rest' and 'Rest' differ in case or spaces only.",
    ),
    "a label that does not last": (
        cell(7, 3, "fall"),
        {},
        "Label fall never lasts a window of 32 rows: its longest stretch has 1.",
    ),
    "a label that no window has enough of": (
        several(*(cell(number, 3, "fall") for number in range(7, 20))),
        {"label_share": 0.6},
        "Label fall has 20 of 32 rows in no window: its longest stretch has 13.",
    ),
    "a label of many words": (
        only(table("a,b,label", noise(1), noise(2), lambda i: f"n{i}", rows=1200)),
        {},
        "R: there are 1,200 different labels, such as n0, n1, n2, n3, n4 and 1195 more.",
    ),
    "recordings that take turns": (
        only(table("a,b,device,label", noise(1), noise(2), lambda i: i % 7, turns)),
        {},
        "R/a.csv: label or group change 399 times in 400 rows.",
    ),
    "two groups": (of_groups(2), {}, "R: 2 groups are too few to split by group."),
    "a label file that is not there": (
        unchanged,
        {"label": "labels.csv"},
        "There is no file of labels labels.csv.",
    ),
    "a label file without a file": (
        beside("labels.csv", LABELS.replace("a.csv", "z.csv")),
        {},
        "R/labels.csv: line 2 names 'z.csv', which is not there.",
    ),
    "a file without a label": (
        beside("labels.csv", LABELS.replace("a.csv,rest\n", "")),
        {},
        "R/labels.csv has no label for a.csv.",
    ),
    "two labels for one file": (
        beside("labels.csv", f"{LABELS}a.csv,walk\n"),
        {},
        "R/labels.csv labels a.csv both 'rest' and 'walk'.",
    ),
    "a label file without labels": (
        beside("labels.csv", "file,x,y\na.csv,1,2\nb.csv,1,2\n"),
        {},
        "R/labels.csv has no column of labels: it has file, x, y.",
    ),
    # Folders
    "no such path": (
        shutil.rmtree,
        {},
        "There is no file or folder R.",
    ),
    "train too short": (
        lambda r: [
            moved("train", "test", "train", "test", "test", "test")(r),
            [p.write_text(recording(rows=20)) for p in (r / "train").iterdir()],
        ],
        {},
        "R: the training part gives no window.",
    ),
    "folders and a column": (moved(*"xyxyxy"), {}, "R: the classes may be its folders or column label."),
    "folders within class folders": (
        several(everywhere("label", "note"), moved("x/1", *"yxyxy")),
        {},
        "R/x/1/a.csv lies deeper than its class folder.",
    ),
    "a file outside of the class folders": (
        moved("x", "y"),
        {"label": "folder"},
        "R/c.csv lies outside of a class folder.",
    ),
    "train without test": (
        moved("train", "train", "val", "val", "val", "val"),
        {},
        "R has a folder train, but none for test.",
    ),
    "a class beside the parts": (
        moved("train", "test", "walk"),
        {},
        "R has walk next to the folders of the parts.",
    ),
    "a file beside the parts": (
        moved("train", "test", "train", "train", "train"),
        {},
        "R has f.csv outside of the folders train, val and test.",
    ),
    "a part without tables": (
        several(moved("train", "test", "train", "test", "train", "train"), lambda r: (r / "val").mkdir()),
        {},
        "R/val holds no tables.",
    ),
    # Missing values and times
    "an empty cell": (cell(31, 1, ""), {}, "R/a.csv: line 31 has no value in column acc_x."),
    "many empty cells": (
        several(cell(31, 1, "NaN"), cell(31, 2, "NA"), cell(40, 2, "-")),
        {},
        "R/a.csv: line 31 has no value in column acc_x, acc_y, and 1 more value in the file.",
    ),
    "an infinite value": (cell(31, 1, "inf"), {}, "R/a.csv: line 31 has an infinite value in column acc_x."),
    "a marker beyond float32": (
        cell(31, 1, "1e300"),
        {},
        "R/a.csv: line 31 has 1e+300 in column acc_x, beyond the range of float32.",
    ),
    "a row without time": (cell(31, 0, ""), {}, "R/a.csv: line 31 has no time in column time."),
    "a lost row": (
        line(31, lambda text: None),
        {},
        "R/a.csv: the times in column time have a gap before line 31, from 0.56 to 0.6 at steps of 0.02.",
    ),
    "times that go back": (
        cell(31, 0, "0.1"),
        {},
        "R/a.csv: the time in line 31, column time, does not rise (0.56, then 0.1).",
    ),
    "times in whole seconds": (
        a_csv(table(HEADER, lambda i: i // 50, noise(1), noise(2), turns)),
        {},
        "R/a.csv: most times in column time repeat the one before them: they are too coarse.",
    ),
    "a time of another kind": (
        cell(31, 0, "2026-01-31 12:00"),
        {},
        "R/a.csv: '2026-01-31 12:00' in line 31, column time, is not a time.",
    ),
    "a local date": (
        a_csv(table(HEADER, lambda i: f"31.01.2026 12:00:{i // 50:02}", noise(1), noise(2), turns)),
        {},
        "R/a.csv: '31.01.2026 12:00:00' in line 2, column time, is not a time.",
    ),
    "text here and numbers there": (
        a_csv(table(HEADER, lambda i: f"2026-01-31T12:00:{i * 0.02:09.6f}", noise(1), noise(2), turns)),
        {},
        "R/a.csv writes times as text, R/b.csv as numbers.",
    ),
    "another rate in one file": (
        a_csv(table(HEADER, lambda i: f"{i * 0.01:.2f}", noise(1), noise(2), turns)),
        {},
        "R/a.csv has steps of 0.01 in column time, where most files have 0.02.",
    ),
    "a rate far from the times": (
        unchanged,
        {"sample_rate": 5000.0},
        "The times in column time (s) run at 50 Hz, far from --sample-rate 5000.",
    ),
    "times of no plain unit": (
        only(table(HEADER, lambda i: i * 20, noise(1), noise(2), turns)),
        {"window": "1s"},
        "The unit of column time is not plain: its steps are 20.",
    ),
    "seconds without a rate": (
        only(table("acc_x,label", noise(1), turns)),
        {"window": "1s"},
        "Windows in seconds need a sample rate.",
    ),
    # Windows and options
    "no window": (
        unchanged,
        {"window": None},
        "The length of a window is not given, and recordings of 100 rows are not samples by themselves.",
    ),
    "a window in other words": (unchanged, {"window": "2.5"}, "--window 2.5 is not a length."),
    "a negative hop": (unchanged, {"hop": "-4"}, "--hop -4 is not a length."),
    "a hop of nothing": (unchanged, {"hop": "1ms"}, "A hop of 0 rows is out of range."),
    "a window of three rows": (unchanged, {"window": "3"}, "A window of 3 rows is out of range."),
    "labels that change with each row": (
        only(table(HEADER, seconds, noise(1), noise(2), lambda i: "ab"[i % 2], rows=90)),
        {"window": "1s"},
        "Column time tells no sample rate: nowhere do two rows of one label follow each other.",
    ),
    "a window longer than all": (
        unchanged,
        {"window": "500"},
        "No recording lasts a window of 500 rows: the longest stretch of one label has 100.",
    ),
    "too little to split by time": (
        only(table(HEADER, seconds, noise(1), noise(2), turns, rows=200)),
        {"window": "60"},
        "R: label rest has 2 windows, too few for the parts train, val, test without overlap.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_that_says_where_and_a_hint(mistake: str, tmp_path: Path) -> None:
    change, options, expected = MISTAKES[mistake]
    root = folder(tmp_path / "R")
    change(root)
    message = refusal(root, options)
    assert (message if expected.endswith(".") else message[: len(expected)]) == expected


@pytest.mark.parametrize("share", [0.5, 1.01, float("nan"), float("inf"), -1.0])
def test_a_share_of_rows_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(
        UserError, match=r"^--label-share is (0\.5|1\.01|nan|inf|-1\.0)\. (It must be|Write a finite number)"
    ):
        make_config({"label_share": share}, {"label_share": "--label-share"})


def test_a_channel_that_is_not_there_is_answered_by_its_neighbours(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load(str(folder(tmp_path)), TaskOptions(window="32", channels="acc_y,accx"))
    assert error.value.hint == "Did you mean acc_x?"


def test_the_task_needs_a_path() -> None:
    with pytest.raises(UserError, match="The task timeseries needs a file or folder"):
        load("", TaskOptions())
