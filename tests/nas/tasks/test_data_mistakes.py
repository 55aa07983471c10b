"""Forty mistakes in recordings, tables and pictures: a sentence, a hint and exit code 2 each, before any training."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas.cli.run import main

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("tflite_micro")

Change = Callable[[Path], object]


def recording(path: Path, samples: Any = None, **kwargs: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    usual = 0.2 * np.random.default_rng(len(str(path))).normal(size=1600)
    soundfile.write(path, usual if samples is None else samples, 8000, **kwargs)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def words(root: Path, parts: Sequence[str] = (".",)) -> Path:
    for part in parts:
        for name in ("no", "yes"):
            for index in range(5):
                recording(root / part / name / f"s{index}_{index}.wav")
    return root


def table(path: Path, lines: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def walks(root: Path, change: Callable[[list[str]], list[str]] = lambda lines: lines) -> Path:
    for index in range(5):
        rng = np.random.default_rng(index)
        lines = ["t,x,label"]
        for row in range(80):
            lines.append(f"{row / 50:.2f},{rng.normal():.3f},{'run' if row >= 40 else 'walk'}")
        table(root / f"w{index}.csv", change(lines))
    return root


def without(column: int) -> Callable[[list[str]], list[str]]:
    def change(lines: list[str]) -> list[str]:
        return [",".join(cell for i, cell in enumerate(line.split(",")) if i != column) for line in lines]

    return change


def put(row: int, text: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[:row], text, *lines[row + 1 :]]


def picture(path: Path, shape: tuple[int, ...] = (8, 8), dtype: type[np.generic] = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(len(str(path))).integers(0, 255, shape).astype(dtype)).save(path)
    return path


def photos(root: Path, parts: Sequence[str] = (".",)) -> Path:
    for part in parts:
        for name in ("cat", "dog"):
            for index in range(10):
                picture(root / part / name / f"{index}.png")
    return root


def animation(path: Path) -> Path:
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 99)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


AUDIO: dict[str, tuple[Change, list[str], str]] = {
    "no such folder": (lambda r: None, [], "There is no folder data. Check the path after audio:."),
    "one class": (
        lambda r: recording(r / "yes" / "a.wav"),
        [],
        "data holds 1 class folder with recordings."
        " A classifier needs at least two: FOLDER/yes/*.wav, FOLDER/no/*.wav;"
        " to find anomalies name the normal one: --normal CLASS.",
    ),
    "loose files": (
        lambda r: recording(r / "a.wav"),
        [],
        "data holds 0 class folders with recordings."
        " A classifier needs at least two: FOLDER/yes/*.wav, FOLDER/no/*.wav;"
        " to find anomalies name the normal one: --normal CLASS.",
    ),
    "an empty class": (
        lambda r: (words(r), folder(r / "maybe")),
        [],
        "The class folder data/maybe holds no recording: it is empty. Give it recordings (WAV, FLAC, OGG,"
        " AIFF), or remove them.",
    ),
    "files of types that are not read": (
        lambda r: (words(r), (r / "yes" / "b.aac").write_bytes(b"x")),
        [],
        "The class folder data/yes holds recordings of types that are not read (1 .aac). Give it"
        " recordings (WAV, FLAC, OGG, AIFF), or remove them.",
    ),
    "text called wav": (
        lambda r: (words(r), (r / "yes" / "b.wav").write_text("hello")),
        [],
        "data/yes/b.wav is not a readable recording (Error opening 'data/yes/b.wav': Format not"
        " recognised). Give WAV, FLAC or OGG files; remove or convert this one.",
    ),
    "no samples": (
        lambda r: (words(r), recording(r / "yes" / "b.wav", np.zeros(0))),
        [],
        "data/yes/b.wav holds no sample. Remove it.",
    ),
    "not a number": (
        lambda r: (words(r), recording(r / "yes" / "b.wav", np.full(99, np.nan), subtype="FLOAT")),
        [],
        "data/yes/b.wav holds samples that are NaN or infinite. Remove it or correct them.",
    ),
    "a clip without a unit": (
        words,
        ["--clip", "1"],
        "--clip 1 is not a length. Write seconds or milliseconds, such as 1s or 800ms.",
    ),
    "a clip beyond a minute": (
        words,
        ["--clip", "2m"],
        "--clip 2m is not a length. Write seconds or milliseconds, such as 1s or 800ms.",
    ),
    "a speaker's pattern without brackets": (
        words,
        ["--group", "s[0-9]"],
        "--group 's[0-9]' has 0 groups. Put one part in brackets, like '^([a-z]+)_'.",
    ),
    "a pattern that meets no file": (
        words,
        ["--group", "^(q)"],
        "--group '^(q)' does not match data/no/s0_0.wav, data/no/s1_1.wav, data/no/s2_2.wav and 7 more."
        " It is searched in the file's name without its suffix.",
    ),
    "one speaker": (
        words,
        ["--group", "^(s)"],
        "data: 1 group is too few to hold out 20% of the samples by group. Give at least 5 groups, or the"
        " parts themselves (X_train, X_val, X_test; train, val, test).",
    ),
    "a training part alone": (
        lambda r: words(r, ("train",)),
        [],
        "data has a folder train, but none for test. Give train, val and test (val may be missing), or"
        " one folder for each class.",
    ),
    "an option of tables": (
        words,
        ["--window", "2s"],
        "--window is of no use to the task audio. It is for timeseries:PATH.",
    ),
    "bands that the spectrum has no place for": (
        words,
        ["--bands", "120"],
        "Band 1 of 120 has no place in the spectrum, whose places are 31.25 Hz apart. Take fewer bands, a"
        " longer window, or a higher low_hz.",
    ),
}
TABLES: dict[str, tuple[Change, list[str], str]] = {
    "nothing there": (
        lambda r: None,
        [],
        "There is no file or folder data. Check the path after timeseries:.",
    ),
    "no tables": (
        lambda r: table(r / "notes.md", ["hello"]),
        [],
        "data holds no tables (1 .md). Give CSV or Parquet files (.csv, .csv.gz, .tsv, .txt, .parquet),"
        " or a folder of them.",
    ),
    "an empty file": (
        lambda r: (walks(r), (r / "w0.csv").write_text("")),
        [],
        "data/w0.csv is empty. Give each file a header and rows, or remove it.",
    ),
    "a head alone": (
        lambda r: (walks(r), table(r / "w0.csv", ["t,x,label"])),
        [],
        "data/w0.csv has a header but no rows. Record data, or remove the file.",
    ),
    "no labels": (
        lambda r: walks(r, without(2)),
        ["--window", "10"],
        "data/w0.csv has no column that is called label. Name it with --label (t, x); or give one folder"
        " for each class, or a file labels.csv.",
    ),
    "an unknown label column": (
        walks,
        ["--label", "activity", "--window", "10"],
        "data/w0.csv has no column activity for --label. Known: label, t, x.",
    ),
    "an unknown channel": (
        walks,
        ["--channels", "y", "--window", "10"],
        "data/w0.csv has no column y for --channels. Known: label, t, x.",
    ),
    "an unknown group": (
        walks,
        ["--group", "person", "--window", "10"],
        "data/w0.csv has no column person for --group. Known: x.",
    ),
    "a missing value": (
        lambda r: walks(r, put(7, "0.12,,walk")),
        ["--window", "10"],
        "data/w0.csv: line 8 has no value in column x. --missing drop leaves such rows out, --missing"
        " interpolate fills short gaps.",
    ),
    "a row too long": (
        lambda r: walks(r, put(7, "0.12,1,2,walk")),
        ["--window", "10"],
        "data/w0.csv: line 8 has 4 cells instead of 3. Give each line as many cells as the header; text"
        " with separators in it needs quotes.",
    ),
    "a word among numbers": (
        lambda r: walks(r, put(7, "0.12,high,walk")),
        ["--window", "10"],
        "data/w0.csv: 'high' in line 8, column x, is not a number. Leave a missing value empty; a column of"
        " words alone is left out by itself.",
    ),
    "a clock that goes back": (
        lambda r: walks(r, put(7, "0.02,1,walk")),
        ["--window", "10"],
        "data/w0.csv: the time in line 8, column t, does not rise (0.1, then 0.02). Sort the rows by"
        " time, name several recordings of one file by --group, or choose --missing drop (leaves them"
        " out) or --missing interpolate (sorts them).",
    ),
    "a length of a window that is none": (
        walks,
        ["--window", "ten"],
        "--window ten is not a length. Write rows, such as 64, or seconds, such as 2.5s.",
    ),
    "a window longer than the recordings": (
        walks,
        ["--window", "500"],
        "No recording lasts a window of 500 rows: the longest stretch of one label has 40. Give a shorter"
        " --window.",
    ),
    "no window": (
        lambda r: (
            walks(r),
            table(r / "w0.csv", ["t,x,label", *[f"{i / 50},{i % 7},walk" for i in range(40)]]),
        ),
        [],
        "The length of a window is not given, and recordings of 40 rows are not samples by themselves."
        " Give --window, such as 100 or 2s: long enough for what is to be told apart.",
    ),
    "half a label": (
        walks,
        ["--window", "10", "--label-share", "0.4"],
        "--label-share is 0.4. It must be more than 0.5.",
    ),
    "seconds without times": (
        lambda r: walks(r, without(0)),
        ["--window", "1s"],
        "Windows in seconds need a sample rate. Give --sample-rate, a column with --time, or rows.",
    ),
}
PICTURES: dict[str, tuple[Change, list[str], str]] = {
    "no folder": (lambda r: None, [], "There is no folder data. Check the path after images:."),
    "one class": (
        lambda r: picture(r / "cat" / "a.png"),
        [],
        "data holds 1 class folder with pictures. A classifier needs at least two: FOLDER/cat/*.png,"
        " FOLDER/dog/*.png; to find anomalies name the normal one: --normal CLASS.",
    ),
    "an empty class": (
        lambda r: (photos(r), folder(r / "owl")),
        [],
        "The class folder data/owl holds no picture: it is empty. Give it pictures (PNG, JPEG, BMP, GIF,"
        " PGM, PPM, TIFF, WebP), or remove them.",
    ),
    "a text called png": (
        lambda r: (photos(r), (r / "cat" / "x.png").write_text("hello")),
        [],
        "data/cat/x.png is not a readable picture (no picture). Remove it, or save it again as PNG or JPEG.",
    ),
    "a cut file": (
        lambda r: (
            photos(r),
            picture(r / "cat" / "x.png", (99, 99)),
            (r / "cat" / "x.png").write_bytes((r / "cat" / "x.png").read_bytes()[:500]),
        ),
        [],
        "data/cat/x.png is not a readable picture (damaged). Remove it, or save it again as PNG or JPEG.",
    ),
    "an animation": (
        lambda r: (photos(r), animation(r / "cat" / "x.gif")),
        [],
        "data/cat/x.gif is not a readable picture (2 frames). Remove it, or save it again as PNG or JPEG.",
    ),
    "two depths": (
        lambda r: (photos(r), picture(r / "cat" / "x.png", dtype=np.uint16)),
        [],
        "data mixes pictures of different depths (1 of 16 bits, 20 of 8 bits), such as data/cat/x.png."
        " Save all of them with 8 bits a channel, or all with 16.",
    ),
    "classes that differ in case": (
        lambda r: (photos(r), picture(r / "Cat" / "x.png")),
        [],
        "data has the class folders 'Cat' and 'cat', which differ in case or spelling only. Give one"
        " class one name in all parts.",
    ),
    "two validation folders": (
        lambda r: photos(r, ("train", "val", "valid", "test")),
        [],
        "data has both val and valid. Keep one folder for val.",
    ),
    "a class beside the parts": (
        lambda r: (photos(r, ("train", "test")), picture(r / "owl" / "x.png")),
        [],
        "data has owl next to the folders of the parts. Keep only train, val and test there.",
    ),
    "pictures too small": (photos, ["--image-size", "2"], "--image-size is 2. It must be at least 4."),
    "an option of recordings": (
        photos,
        ["--clip", "1s"],
        "--clip is of no use to the task images. It is for npz:PATH and audio:FOLDER.",
    ),
}
MISTAKES = [
    pytest.param(task, *case, id=f"{task}: {name}")
    for task, cases in (("audio", AUDIO), ("timeseries", TABLES), ("images", PICTURES))
    for name, case in cases.items()
]


def test_they_are_forty() -> None:
    assert len(MISTAKES) >= 40


@pytest.mark.parametrize(("task", "make", "flags", "text"), MISTAKES)
def test_a_mistake_in_data_is_one_sentence_with_a_hint(
    task: str,
    make: Change,
    flags: list[str],
    text: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("data"))
    extra = ["--augment", "0"] if task == "audio" else []
    assert main(["--task", f"{task}:data", "--dry-run", *flags, *extra]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert " ".join(said.err.split()) == f"nas-run: {text}"
    assert re.search(r"\. [A-Z-].+\.$", text), "a sentence, and a hint behind it"
