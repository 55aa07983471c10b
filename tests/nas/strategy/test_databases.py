"""Searches recorded in SQLite and in a real PostgreSQL server, which goes away and comes back."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from cost_models.errors import UserError
from nas.model.errors import BackendLostError
from nas.model.evaluation import Evaluation, Request
from nas.strategy.study import Study, lost_storage, open_storage
from tests.nas.strategy.search_fakes import FakeEvaluator, make_driver, make_screen


class Server:
    """PostgreSQL on loopback, as its Debian packages have it."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.folder = folder
        # Its programs refuse to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._postgres = programs / "postgres"
        self._process: subprocess.Popen[bytes] | None = None
        data = str(folder / "data")
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "--no-sync"],
            user=self._user,
            cwd=folder,
            check=True,
            capture_output=True,
        )

    @property
    def url(self) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "fsync": "off"}
        settings["unix_socket_directories"] = str(self.folder)
        words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        self._process = subprocess.Popen(
            [self._postgres, "-D", self.folder / "data", *words],
            user=self._user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + 60
        import psycopg

        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < give_up, "the server does not start"
                time.sleep(0.1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            # Its children end when they notice, and the next server waits for none of them.
            (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
            time.sleep(0.5)


@pytest.fixture
def server() -> Iterator[Server]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    if find_spec("psycopg") is None:
        pytest.skip("its driver is not installed: pip install mcu-nas[postgresql]")
    folder = Path(tempfile.mkdtemp(prefix="mcu-nas-pg-"))
    made = Server(found[-1].parent, folder)
    made.start()
    yield made
    made.kill()
    shutil.rmtree(folder)


def test_a_search_on_sqlite_finds_what_one_on_a_journal_finds(tmp_path: Path) -> None:
    same_as_on_a_journal(f"sqlite:///{tmp_path}/search.db", tmp_path)


@pytest.mark.slow
def test_a_search_on_postgresql_finds_what_one_on_a_journal_finds(server: Server, tmp_path: Path) -> None:
    same_as_on_a_journal(server.url, tmp_path)


def same_as_on_a_journal(url: str, tmp_path: Path) -> None:
    journal, _ = make_driver(tmp_path, trials=8)
    other, _ = make_driver(tmp_path, trials=8, url=url)
    rows = []
    for driver in (journal, other):
        driver.search()
        driver.train_finalists()
        rows.append([(r.number, r.steps, r.state, r.digest, r.accuracy, r.costs) for r in driver.records()])
    assert rows[0] == rows[1]
    assert other.study.records()
    with pytest.raises(UserError, match="already holds a study run of another search"):
        Study(storage=open_storage(url, tmp_path / "none"), name="run", identity={})


@pytest.mark.slow
def test_a_server_that_goes_away_is_one_sentence_and_the_search_goes_on_when_it_is_back(
    server: Server, tmp_path: Path
) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)

    def goes_away(request: Request) -> Evaluation:
        if len(evaluate.requests) == 4:
            server.kill()
        return evaluate(request)

    driver, _ = make_driver(tmp_path, evaluate=goes_away, screen=screen, trials=8, url=server.url)
    with (
        pytest.raises(BackendLostError, match=r"^The storage cannot be reached any more: [^\n]+\.$"),
        lost_storage(),
    ):
        driver.search()
    assert len(evaluate.requests) == 5
    server.start()
    again, _ = make_driver(tmp_path, evaluate=evaluate, screen=screen, trials=8, url=server.url)
    assert sum(r.state == "evaluated" for r in again.study.records()) == 4
    again.search()
    done = [(r.digest, r.steps) for r in again.study.records() if r.state == "evaluated"]
    assert len(done) == len(set(done))
    assert len({key for key, _ in done}) == 8
    assert len(evaluate.requests) == len(done) + 1
    (tmp_path / "whole").mkdir()
    whole, _ = make_driver(tmp_path / "whole", trials=8)
    whole.search()
    assert [r.digest for r in whole.study.records()] == [r.digest for r in again.study.records()]


def test_an_sqlite_file_that_goes_away_is_one_sentence(tmp_path: Path) -> None:
    screen = make_screen()
    evaluate = FakeEvaluator(screen)
    file = tmp_path / "search.db"

    def goes_away(request: Request) -> Evaluation:
        if len(evaluate.requests) == 2:
            file.write_bytes(b"no database")
        return evaluate(request)

    driver, _ = make_driver(tmp_path, evaluate=goes_away, screen=screen, url=f"sqlite:///{file}")
    with (
        pytest.raises(BackendLostError, match=r"^The storage cannot be reached any more: [^\n]+\.$"),
        lost_storage(),
    ):
        driver.search()
