"""Tables as people's programs write them: encodings, separators, headers, decimal signs, comments, Parquet."""

from __future__ import annotations

import datetime
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.tasks.dataset import Dataset
from nas.tasks.loading.numbers import NoNumberError, to_numbers
from nas.tasks.options import TaskOptions
from nas.tasks.timeseries import load
from tests.nas.tasks.written_recordings import HEADER, noise, recording, seconds, table, turns

PLAIN = recording(rows=800)
SPACED = PLAIN.replace(",", "   ")
GERMAN = PLAIN.replace(",", ";").replace(".", ",")


def loaded(path: Path, **options: Any) -> Dataset:
    return load(str(path), TaskOptions(**({"window": "32"} | options)))


def written(tmp_path: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (PLAIN, "1 file, separated by commas."),
        (PLAIN.replace(",", ", "), "1 file, separated by commas."),
        (PLAIN.replace(",", ";"), "1 file, separated by semicolons."),
        (PLAIN.replace(",", "\t"), "1 file, separated by tabs."),
        (PLAIN.replace(",", "|"), "1 file, separated by bars."),
        (SPACED, "1 file, separated by spaces."),
        (GERMAN, "1 file, separated by semicolons, decimal commas."),
        (GERMAN.replace(";", "\t"), "1 file, separated by tabs, decimal commas."),
        (PLAIN.replace("\n", "\r\n"), "1 file, separated by commas."),
        (PLAIN.replace("\n", "\r"), "1 file, separated by commas."),
        (PLAIN.rstrip("\n"), "1 file, separated by commas."),
        (PLAIN.replace("\n", "\n\n"), "1 file, separated by commas."),
        (PLAIN.encode("utf-8-sig"), "1 file, separated by commas."),
        (PLAIN.encode("utf-16"), "1 file, separated by commas, UTF-16."),
        (PLAIN.encode("utf-16-le"), "1 file, separated by commas, UTF-16-LE."),
        (PLAIN.encode("utf-16-be"), "1 file, separated by commas, UTF-16-BE."),
        (GERMAN.encode("utf-16"), "1 file, separated by semicolons, decimal commas, UTF-16."),
        ("sep=;\n" + GERMAN, "1 file, separated by semicolons, decimal commas."),
        ("# Device 7\n% of May\n" + PLAIN, "1 file, separated by commas."),
        ('"' + PLAIN.replace(",", '","').replace("\n", '"\n"').rstrip('"'), "1 file, separated by commas."),
        (PLAIN.replace("walk", '"walk, fast"'), "1 file, separated by commas."),
    ],
)
def test_a_format_is_found_and_said(content: str | bytes, note: str, tmp_path: Path) -> None:
    dataset = loaded(written(tmp_path, content))
    plain = loaded(written(tmp_path, PLAIN, "plain.csv"))
    assert dataset.notes[0] == note
    for part in ("train", "val", "test"):
        np.testing.assert_array_equal(dataset.samples[part], plain.samples[part])


@pytest.mark.parametrize(
    ("content", "options", "note"),
    [
        (
            PLAIN.partition("\n")[2],
            {"label": "3", "time": "0"},
            "There is no header: columns are called by their position, 0 to 3.",
        ),
        (
            "# " + PLAIN,
            {},
            "The names of the columns are those of the comment above the data.",
        ),
        (
            PLAIN.replace("\n", "\ns,m/s²,m/s²,\n", 1),
            {},
            "Line 2 below the header is not data and is left out: s, m/s², m/s².",
        ),
        (
            PLAIN.replace("acc_x", "acc_x [m/s²]", 1).encode("latin-1"),
            {},
            "Read as Windows-1252, not being UTF-8.",
        ),
        (PLAIN.replace("\n4.", "\n# lost\n4."), {}, "Comments between the rows are skipped (50 lines)."),
    ],
)
def test_what_is_skipped_or_guessed_of_a_header_is_said(
    content: str | bytes, options: dict[str, Any], note: str, tmp_path: Path
) -> None:
    dataset = loaded(written(tmp_path, content), **options)
    assert note in dataset.notes
    assert dataset.info.input_shape == (32, 2)
    plain = loaded(written(tmp_path, PLAIN, "plain.csv"))
    np.testing.assert_array_equal(dataset.samples["train"], plain.samples["train"])


def test_what_pandas_writes_of_an_array_has_positions_for_a_header(tmp_path: Path) -> None:
    text = table(",0,1,2", lambda i: i, noise(1), noise(2), turns, rows=800)
    dataset = loaded(written(tmp_path, text), label="2")
    assert dataset.info.input_shape == (32, 2)


def test_a_separator_at_the_end_of_each_line_is_a_column_of_nothing(tmp_path: Path) -> None:
    dataset = loaded(written(tmp_path, PLAIN.replace("\n", ",\n")))
    assert "Column without a name left out: there is nothing in it." in dataset.notes


def test_columns_are_found_by_name_in_any_order_of_the_files(tmp_path: Path) -> None:
    for index in range(6):
        order = (seconds, noise(index), lambda i: i % 7, turns)
        text = table(HEADER, *order)
        if index % 2:
            text = table("label,acc_y,acc_x,time", turns, lambda i: i % 7, noise(index), seconds)
        written(tmp_path, text, f"{index}.csv")
    dataset = loaded(tmp_path)
    for part in ("train", "val", "test"):
        assert set(np.unique(dataset.samples[part][..., 1]).tolist()) == set(range(7))


def test_a_name_is_known_without_its_unit_and_case(tmp_path: Path) -> None:
    text = PLAIN.replace("time", "Zeit [s]", 1).replace("label", "Was")
    assert loaded(written(tmp_path, text), time="zeit", label="was").info.input_shape == (32, 2)


def test_files_of_several_formats_are_counted(tmp_path: Path) -> None:
    for index in range(6):
        text = recording(seed=index)
        written(tmp_path, text.replace(",", ";").replace(".", ",") if index == 3 else text, f"{index}.csv")
    assert (
        loaded(tmp_path).notes[0]
        == "6 files: 5 separated by commas; 1 separated by semicolons, decimal commas."
    )


def test_missing_values_have_many_names_and_numbers_only_one(tmp_path: Path) -> None:
    cells = ["1.5", "", "nan", "NA", "-", "1e3", " 2 ", "-inf", ".5", "+7."]
    np.testing.assert_array_equal(
        to_numbers(cells, "."), [1.5, np.nan, np.nan, np.nan, np.nan, 1000, 2, -np.inf, 0.5, 7]
    )
    np.testing.assert_array_equal(to_numbers(["1,5", "2", ""], ","), [1.5, 2, np.nan])
    for cell, decimal in (
        ("1_0", "."),
        ("٣", "."),
        ("1.234", ","),
        ("0x1f", "."),
        ("1,5", "."),
        ("1.234,5", ","),
    ):
        with pytest.raises(NoNumberError):
            to_numbers(["1", cell], decimal)


def test_formulas_are_text(tmp_path: Path) -> None:
    text = table(HEADER, seconds, lambda i: "=1+1" if i == 300 else 1.5, noise(2), turns)
    with pytest.raises(UserError, match=r"'=1\+1' in line 302, column acc_x, is not a number"):
        loaded(written(tmp_path, text))


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow, which is not installed\.") as error:
        loaded(written(tmp_path, b"PAR1", "a.parquet"))
    assert error.value.hint == "Install it: pip install 'mcu-nas[parquet]'; or save it as CSV."


def parquet(path: Path, rows: int = 800, **more: Any) -> Path:
    arrow = pytest.importorskip("pyarrow")
    start = datetime.datetime(2026, 1, 31)
    columns = {
        "time": [start + datetime.timedelta(milliseconds=20 * i) for i in range(rows)],
        "acc_x": arrow.array([float(noise(0)(i)) for i in range(rows)], arrow.float32()),
        "acc_y": [i * 7 % 100 - 50 for i in range(rows)],
        "label": arrow.array([turns(i) for i in range(rows)]).dictionary_encode(),
    }
    import_module("pyarrow.parquet").write_table(arrow.table({**columns, **more}), path)
    return path


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    dataset = loaded(parquet(tmp_path / "a.parquet"), window="1s")
    assert dataset.notes[0] == "1 file, Parquet."
    assert "Times in column time (ISO 8601) run at 50 Hz." in dataset.notes
    assert dataset.info.class_names == ("rest", "walk")
    assert set(np.unique(dataset.samples["train"][..., 1]).tolist()) == set(range(-50, 50))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"acc_y": [None if i == 9 else i for i in range(800)]}, "row 10 has no value in column acc_y."),
        ({"label": [None, *("rest", "walk") * 399, "rest"]}, "row 1 has no label."),
        ({"acc_y": [2**60 + i for i in range(800)]}, "which float64 rounds."),
        ({"time": [str(i) for i in range(800)]}, "column time is of type string, no times."),
    ],
)
def test_what_parquet_cannot_give_is_said(column: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        loaded(parquet(tmp_path / "a.parquet", **column))
    assert error.value.message.endswith(message)


@pytest.mark.parametrize(
    ("rows", "cut", "message"),
    [(800, 900, "cannot be read as Parquet"), (0, None, "has columns but no rows")],
)
def test_broken_parquet_is_a_sentence(rows: int, cut: int | None, message: str, tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", rows)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=message):
        loaded(path)


def test_a_quoted_end_of_line_in_a_number_is_no_row_of_its_own() -> None:
    from nas.tasks.loading.numbers import NoNumberError, to_numbers

    with pytest.raises(NoNumberError):
        to_numbers(["1\n2", "3,5"], ",")
