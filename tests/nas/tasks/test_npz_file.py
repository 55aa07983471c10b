"""An .npz that nobody vouches for: damaged, hostile and merely odd archives; what is unused is named."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.tasks import load_task
from nas.tasks.loading import memory, npz_file


def arrays(**more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {}
    for part, count in (("train", 40), ("val", 20), ("test", 20)):
        made[f"X_{part}"] = rng.normal(0, 1, (count, 5))
        made[f"y_{part}"] = np.arange(count) % 2
    return {key: value for key, value in (made | more).items() if value is not None}


def saved(tmp_path: Path, **more: Any) -> Path:
    path = tmp_path / "d.npz"
    np.savez_compressed(path, **arrays(**more))
    return path


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array))
    return buffer.getvalue()


def archive(tmp_path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path = tmp_path / "d.npz"
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        load_task(f"npz:{path}")
    assert error.value.hint
    return error.value.message


def good(skip: str = "") -> list[tuple[str, bytes]]:
    return [(f"{key}.npy", npy(value)) for key, value in arrays().items() if key != skip]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>404</html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "it is a pointer of Git LFS"),
        (b"\x80\x04K\x01.", "it is not a zip archive"),
        (b"PK\x03\x04 and then nothing", "its end is missing"),
    ],
)
def test_a_file_that_is_no_archive_is_told_what_it_is(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "d.npz").write_bytes(content)
    assert refusal(tmp_path / "d.npz") == f"{tmp_path / 'd.npz'} cannot be read as .npz ({reason})."


def test_a_download_that_broke_off_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    assert refusal(path).endswith("cannot be read as .npz (its end is missing).")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_byte_of_the_samples_is_noticed(method: int, tmp_path: Path) -> None:
    path = archive(tmp_path, good(), method)
    with zipfile.ZipFile(path) as file:
        info = file.getinfo("X_train.npy")
    data = bytearray(path.read_bytes())
    data[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 1
    path.write_bytes(data)
    assert "cannot be read as .npz (" in refusal(path) or "has no sound header" in refusal(path)


def test_folders_and_pipes_are_no_files(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} is not a regular file."
    assert refusal(tmp_path / "none.npz") == f"There is no file {tmp_path / 'none.npz'}."


def test_a_name_that_cannot_be_printed_is_refused() -> None:
    with pytest.raises(UserError, match=r"The path 'a\\nb\.npz' has characters that cannot be printed"):
        load_task("npz:a\nb.npz")
    with pytest.raises(UserError, match="or are not UTF-8"):
        load_task("images:\udcff")


def header_claims(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    """An array file with a header alone."""
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            header_claims((1 << 40, 5)),
            "the array X_train has 0 bytes where its header says 43,980,465,111,040",
        ),
        (npy(np.zeros((40, 5)))[:-8], "the array X_train has 1,592 bytes where its header says 1,600"),
        (npy(np.zeros((40, 5))) + b"more", "the array X_train has 1,604 bytes where its header says 1,600"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 31) + b"{", "the array X_train has no sound header"),
        (b"\x93NUMPY\x09\x00" + b" " * 100, "the array X_train has no sound header"),
        (header_claims((-1, 5)), "the array X_train has no sound header"),
        (
            b"\x93NUMPY\x01\x00" + struct.pack("<H", 4000) + b"(" * 4000,
            "the array X_train has no sound header",
        ),
        (b"hello", "the array X_train has no sound header"),
        (header_claims((1,), "|O"), "holds pickled objects, which are never loaded (array X_train)"),
        (npy(np.zeros(40, [("a", "f4"), ("b", "i2")])), "X_train is a structured array"),
        (npy(np.zeros(40, "m8[s]")), "X_train is of type timedelta64[s]"),
        (npy(np.zeros(40, "V3")), "X_train is of type |V3"),
    ],
)
def test_a_header_is_judged_before_memory_is_taken(content: bytes, message: str, tmp_path: Path) -> None:
    path = archive(tmp_path, [("X_train.npy", content), *good(skip="X_train")])
    assert message in refusal(path)


def test_a_header_of_gigabytes_is_not_read() -> None:
    asked = []

    def read(count: int) -> bytes:
        asked.append(count)
        return struct.pack("<I", 1 << 31)[:count]

    assert npz_file._parse(b"\x93NUMPY\x02\x00", read) == (None, 0)
    assert asked == [4]


def test_a_bomb_of_zeros_is_refused_by_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz_file, "_BOMB_BYTES", 1 << 20)
    path = archive(tmp_path, [("X_train.npy", npy(np.zeros((40, 10000)))), *good(skip="X_train")])
    assert re.search(
        r"the array X_train unpacks [\d,]+ bytes to 3,200,128, as only repetitions do", refusal(path)
    )


def test_more_than_the_memory_is_refused_with_both_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 20)
    path = saved(tmp_path, X_train=np.random.default_rng(0).normal(0, 1, (40, 5000)))
    assert refusal(path) == f"{path} would take about 6 MB of memory; 1 MB are available."


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak is read from /proc")
def test_large_arrays_take_less_memory_than_they_are_large(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(size=(16_000, 256, 3)).astype(np.float32)
    samples[::3, :, 1] = -9999
    np.savez(tmp_path / "large.npz", X=samples, y=np.arange(len(samples)) % 4)
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import re, sys, sklearn.model_selection\n"
            "from pathlib import Path\n"
            "from nas.tasks import load_task\n"
            "peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])\n"
            "before = peak()\n"
            "data = load_task(sys.argv[1])\n"
            "data.digest()\n"
            "print(1024 * (peak() - before), [str(note) for note in data.notes])\n",
            f"npz:{tmp_path / 'large.npz'}",
        ],
        env={**os.environ, "MCU_NAS_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    grown = int(said.split()[0])
    assert "-9999" in said
    assert grown < 1.5 * samples.nbytes, f"{grown / samples.nbytes:.2f} times the raw samples"
    assert not list((tmp_path / "cache").iterdir())


def test_damage_in_a_large_array_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCU_NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(npz_file, "LARGE_BYTES", 1000)
    path = tmp_path / "d.npz"
    np.savez(path, **arrays())
    assert np.array_equal(
        load_task(f"npz:{path}").samples["test"], np.load(path)["X_test"].astype(np.float32)
    )
    data = bytearray(path.read_bytes())
    data[data.index(b"X_train.npy") + 400] ^= 1
    path.write_bytes(data)
    assert "cannot be read as .npz (Bad CRC-32 for file 'X_train.npy')" in refusal(path)


def test_memory_that_runs_out_later_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("nas.tasks.dataset.fit_scaling", full)
    path = saved(tmp_path)
    assert refusal(path) == f"The data of npz:{path} do not fit into memory."


def test_the_available_memory_is_known() -> None:
    assert 0 < memory.available_bytes() < 1 << 62


def test_twice_the_same_name_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path, [*good(), ("y_test.npy", npy(np.zeros(20, int)))])
    assert refusal(path) == f"{path} holds 'y_test.npy' 2 times."


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, good(), zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1  # the flag in the directory
    path.write_bytes(data)
    assert refusal(path) == f"{path} is encrypted ('X_train.npy')."


def test_unused_arrays_and_other_members_are_named(tmp_path: Path) -> None:
    path = archive(tmp_path, [*good(), ("rate.npy", npy(50)), ("objects.npy", header_claims((1,), "|O")),
                              ("README.txt", b"hello")])  # fmt: skip
    assert load_task(f"npz:{path}").notes == ("Not used: README.txt, objects, rate.",)


@pytest.mark.parametrize("name", ["group", "subject_id", "speakers", "participant_train", "Groups"])
def test_arrays_that_look_like_subjects_are_named_with_a_hint(name: str, tmp_path: Path) -> None:
    (note,) = load_task(f"npz:{saved(tmp_path, **{name: np.arange(40)})}").notes
    assert note.startswith(f"Array {name} is not used; as groups (or groups_train, groups_val, groups_test)")


@pytest.mark.parametrize("name", ["X_valid", "y_validation", "x_train", "Xtest"])
def test_data_of_another_name_are_refused(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path, **{name: np.zeros((20, 5))})
    assert refusal(path) == f"{path} has an array {name}, which no part of the data is called."


def test_a_heap_beside_parts_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, X=np.zeros((20, 5)), y=np.zeros(20))
    assert refusal(path).startswith(f"{path} holds X and y as well as X_test, X_train, X_val, y_test")


def subject_of(samples: Any) -> set[int]:
    return set(samples[..., 0].astype(int).ravel().tolist())


def test_groups_beside_x_train_keep_the_subjects_of_the_validation_part_apart(tmp_path: Path) -> None:
    subjects = np.arange(180) // 10
    made = arrays(X_val=None, y_val=None, y_train=np.arange(180) % 2, groups=subjects)
    made["X_train"] = np.random.default_rng(0).normal(0, 0.01, (180, 5)) + subjects[:, None]
    made["X_test"] = made["X_train"][:20]
    np.savez(tmp_path / "d.npz", **made)
    dataset = load_task(f"npz:{tmp_path / 'd.npz'}")
    train, val = (set(np.rint(dataset.samples[p][:, 0]).astype(int).tolist()) for p in ("train", "val"))
    assert not train & val
    assert len(train | val) == 18
    assert "groups is taken for the groups of X_train: the val part holds other groups." in dataset.notes


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"groups": np.arange(80)}, "groups has shape (80,), but X_train has 40 samples"),
        ({"groups": np.arange(40), "groups_train": np.arange(40)}, "groups and groups_train are both given"),
        ({"groups": np.array(3)}, "groups is a single value"),
        ({"X_train": np.array(3.0), "X_val": None, "y_val": None}, "X_train is a single value"),
        ({"groups_test": np.arange(3)}, "groups has shape (3,) for 20 samples"),
        ({"groups_train": np.full(40, np.nan)}, "groups has NaN"),
    ],
)
def test_groups_that_do_not_go_with_their_samples_are_refused(
    more: Any, message: str, tmp_path: Path
) -> None:
    assert message in refusal(saved(tmp_path, **more))


def test_groups_in_several_parts_are_counted(tmp_path: Path) -> None:
    path = saved(tmp_path, groups_train=np.arange(40) % 8, groups_test=np.arange(20) % 10)
    dataset = load_task(f"npz:{path}")
    assert dataset.report.groups == (10, 8)
    assert dataset.notes[-1].startswith("8 of 10 groups are in more than one part")
