"""A folder of pictures: no class and no picture vanishes without a word."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cost_models.errors import UserError
from nas.tasks import load_task

RNG = np.random.default_rng(0)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, (12, 12)).astype(np.uint8)).save(path)


def classes(root: Path, *names: str, count: int = 12) -> Path:
    for name in names or ("cat", "dog"):
        for index in range(count):
            picture(root / name / f"{index:02}.png")
    return root


def refusal(root: Path) -> str:
    with pytest.raises(UserError) as error:
        load_task(f"images:{root}")
    assert error.value.hint
    return error.value.message.replace(str(root), "R")


@pytest.mark.parametrize(
    "names",
    [("train", "validation", "test"), ("Training", "VALID", "Testing"), ("TRAIN", "dev", "test")],
)
def test_the_parts_go_by_their_usual_names(names: tuple[str, ...], tmp_path: Path) -> None:
    for name, count in zip(names, (10, 4, 6), strict=True):
        classes(tmp_path / name, count=count)
    assert load_task(f"images:{tmp_path}").info.samples == {"train": 20, "val": 8, "test": 12}


def test_without_a_val_folder_the_training_pictures_give_it_and_this_is_said(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    classes(tmp_path / "test")
    dataset = load_task(f"images:{tmp_path}")
    assert dataset.info.class_names == ("cat", "dog")
    assert dataset.info.samples == {"train": 19, "val": 5, "test": 24}
    assert dataset.notes[0] == "There is no val folder: a fifth of the training pictures is held out for it."


@pytest.mark.parametrize("names", [("cat", "test"), ("car", "plane", "train")])
def test_a_class_may_be_called_as_a_part(names: tuple[str, ...], tmp_path: Path) -> None:
    assert load_task(f"images:{classes(tmp_path, *names)}").info.class_names == names


def parts(root: Path) -> Path:
    for part in ("train", "val", "test"):
        classes(root / part)
    return root


def no_pictures(root: Path) -> None:
    shutil.rmtree(root / "val")
    (root / "val").mkdir()


def heic(root: Path) -> None:
    (root / "bird").mkdir()
    (root / "bird" / "a.heic").write_bytes(b"x")


def some_heic(root: Path) -> None:
    (root / "cat" / "a.HEIC").write_bytes(b"x")


def not_utf8(root: Path) -> None:
    shutil.copytree(root / "cat", root / os.fsdecode(b"\xff"))


def other_case(root: Path) -> None:
    (root / "val" / "cat").rename(root / "val" / "Cat")


@pytest.mark.parametrize(
    ("make", "change", "message"),
    [
        (classes, lambda r: (r / "bird").mkdir(), "The class folder R/bird holds no picture: it is empty."),
        (classes, heic, "The class folder R/bird holds no picture (1 .heic)."),
        (classes, some_heic, "The class folder R/cat holds pictures of types that are not read (1 .heic)."),
        (
            classes,
            lambda r: picture(r / "bird/red/a.png"),
            "R/bird/red/a.png lies deeper than its class folder R/bird.",
        ),
        (
            classes,
            lambda r: picture(r / "cat/old/a.png"),
            "R/cat/old/a.png lies deeper than its class folder R/cat.",
        ),
        (
            classes,
            lambda r: picture(r / "a\nb/a.png"),
            "The class folder 'R/a\\nb' has a name with characters that",
        ),
        (
            classes,
            not_utf8,
            "The class folder 'R/\\udcff' has a name with characters that cannot be printed or are not",
        ),
        (
            classes,
            lambda r: picture(r / "Cat/a.png"),
            "R has the class folders 'Cat' and 'cat', which differ in case",
        ),
        (classes, lambda r: (r / "puma").symlink_to(r / "cat"), "R/puma and R/cat are the same folder."),
        (classes, lambda r: (r / "lynx").symlink_to("nowhere"), "R/lynx is a link to nothing."),
        (
            parts,
            other_case,
            "R has the class folders 'Cat' and 'cat', which differ in case or spelling only.",
        ),
        (parts, lambda r: shutil.rmtree(r / "test"), "R has a folder train, but none for test."),
        (parts, lambda r: classes(r / "validation"), "R has both val and validation."),
        (parts, lambda r: classes(r / "unlabelled"), "R has unlabelled next to the folders of the parts."),
        (parts, no_pictures, "R/val holds no pictures."),
        (lambda r: classes(r, "train", "test"), lambda r: None, "R/train and R/test hold no class folders."),
        (parts, lambda r: shutil.rmtree(r / "train/dog"), "the training part holds one class only (cat)."),
    ],
)
def test_what_would_be_lost_is_refused_by_name(make: Any, change: Any, message: str, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    change(make(root) and root)
    assert message in refusal(root)


def test_hidden_and_other_files_are_left_out_and_said(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "cat" / "._00.png").write_bytes(b"x")
    (tmp_path / "cat" / "notes.txt").write_text("x")
    picture(tmp_path / "loose.png")
    assert load_task(f"images:{tmp_path}").notes == (
        "2 hidden files or folders left out: .git, cat/._00.png.",
        "1 file outside of class folders left out: loose.png.",
        "Files in class folders that are not pictures left out: 1 .txt.",
    )


def test_a_class_that_the_val_part_lacks_is_said(tmp_path: Path) -> None:
    shutil.rmtree(parts(tmp_path) / "val" / "dog")
    assert load_task(f"images:{tmp_path}").notes == ("The val part has no sample of dog.",)


def test_all_broken_files_are_named_at_once(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    (tmp_path / "cat" / "b.png").write_bytes(b"hello")
    (tmp_path / "cat" / "c.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "cat" / "d.png")
    assert refusal(tmp_path) == (
        "4 of 28 files are not readable pictures: R/cat/a.png (empty), R/cat/b.png (no picture),"
        " R/cat/c.png (not a file), R/cat/d.png (not a file)."
    )


def test_of_many_broken_files_a_few_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    classes(tmp_path)
    for index in range(8):
        path = tmp_path / "dog" / f"{index:02}.png"
        path.write_bytes(path.read_bytes()[:-60])
    assert re.fullmatch(
        r"8 of 24 files are not readable pictures: (R/dog/0\d\.png \(damaged\),? ?){5}and 3 more\.",
        refusal(tmp_path),
    )
