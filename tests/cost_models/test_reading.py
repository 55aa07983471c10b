from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cost_models.errors import UserError
from cost_models.reading import read_bounded


def refused(path: Path, limit: int = 100, *, follow_links: bool = True) -> str:
    with pytest.raises(UserError) as caught:
        read_bounded(path, limit, follow_links=follow_links)
    return str(caught.value)


def test_a_file_of_the_limit_is_read_and_a_byte_more_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    assert read_bounded(path, 100) == b"x" * 100
    assert refused(path, 99) == f"{path} has more than 99 B. That is not a file of the kind expected here."


def test_a_sparse_file_of_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "has more than 256 MB" in refused(path, 256 << 20)


def test_what_is_no_regular_file_is_refused_by_its_kind(tmp_path: Path) -> None:
    fifo, link, sock = tmp_path / "fifo", tmp_path / "link", tmp_path / "sock"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(sock))
        assert refused(sock) == f"{sock} is a socket. Give a regular file."
    assert refused(fifo) == f"{fifo} is a FIFO. Give a regular file."
    assert refused(link) == f"{link} is a FIFO. Give a regular file."
    assert refused(Path("/dev/zero")) == "/dev/zero is a device. Give a regular file."
    assert refused(tmp_path) == f"{tmp_path} is a folder. Give a regular file."


def test_a_symbolic_link_is_followed_only_where_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    link = tmp_path / "link"
    link.symlink_to("f")
    assert read_bounded(link, 1) == b"x"
    assert refused(link, follow_links=False) == f"{link} is a symbolic link. Give a regular file."


def test_a_file_that_states_no_size_is_counted() -> None:
    if not Path("/proc/self/maps").exists():
        pytest.skip("no /proc")
    assert "has more than 10 B" in refused(Path("/proc/self/maps"), 10)


def test_a_path_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = tmp_path / "none"
    assert refused(path) == f"{path} cannot be read: No such file or directory. Give a file that can be read."
    assert "null" in refused(Path("a\0b"))
