"""`nas-run --submit`: sends a job with its code and data to a Ray cluster, follows it, and fetches the run folder."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cost_models.errors import UserError
from nas.model.words import first_line
from nas.run.archive import EXIT_MARK, FOLDER_MARK, JOB_FILE, unpack
from nas.run.config import RunConfig
from nas.run.folder import INIT_FILE, RunFolder, create_run_folder
from nas.run.init_from import read_source
from nas.run.warm_start import READ_FILES
from nas.tasks import is_users_task

_PACKAGES = ("nas", "search_spaces", "cost_models")
_MOST_BYTES = 450 << 20  # Ray takes packages of 500 MiB
_TALKERS = (
    "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk", "ray._private.runtime_env.packaging"
)  # fmt: skip
_START_SECONDS = 60.0
_HERE_ONLY = ("deliver", "branch", "out", "ray_address")


class _Log:
    """Tells the user's lines from ours."""

    def __init__(self) -> None:
        self.folder: list[str] = []
        self.code: int | None = None
        self._rest = ""

    def read(self, chunk: str, *, show: bool) -> None:
        *lines, self._rest = (self._rest + chunk).split("\n")
        for line in lines:
            if line.startswith(FOLDER_MARK):
                self.folder.append(line.removeprefix(FOLDER_MARK))
            elif line.startswith(EXIT_MARK):
                self.code = int(line.removeprefix(EXIT_MARK))
            elif show:
                print(line, file=sys.stderr)


def submit(
    url: str, config: RunConfig, given: Mapping[str, Any], *, follow: str | None, as_json: bool
) -> int:
    """Runs a job on a cluster as if it ran here. Returns its exit code.

    Args:
        url: Of the cluster's dashboard, such as http://HEAD:8265.
        config: The checked configuration.
        given: What the user gave, by key.
        follow: A job submitted earlier, to be followed instead of a new one.
        as_json: Print the result as JSON.

    Raises:
        UserError: The cluster cannot be reached, the data are too large, or the job broke.
    """
    if config.deliver is not None:
        raise UserError(
            "--deliver does not go with --submit.", "Deliver the bundle from here afterwards, by nas-export."
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.exceptions import RayError
    from ray.job_submission import JobSubmissionClient

    for name in _TALKERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="mcu-nas-") as packing:
        root = Path(packing, "job")
        if follow is None:
            pack_job(root, config, given)
        folder = create_run_folder(config.out, config.task)
        try:
            client = JobSubmissionClient(url)
            job = follow or _send(client, root)
        except (RayError, RuntimeError, ConnectionError, ValueError, OSError) as error:
            folder.models.rmdir()
            folder.path.rmdir()
            raise UserError(
                f"The cluster {url} takes no job ({first_line(error)}).",
                "Check --submit, the cluster, and its token (RAY_AUTH_MODE, RAY_AUTH_TOKEN_PATH).",
            ) from None
    print(f"job {job}; --submit {url} --follow {job} finds it again", file=sys.stderr)
    log = _Log()
    try:
        asyncio.run(_tail(client, job, log))
        if log.code is None:  # the end of a log that was followed may be missing
            log = _Log()
            log.read(client.get_job_logs(job), show=False)
    except (RayError, RuntimeError, ConnectionError, OSError) as error:
        raise UserError(
            f"The log of job {job} broke off ({first_line(error)}).",
            f"The job may go on: --submit {url} --follow {job} finds it again.",
        ) from None
    if log.folder:
        unpack(log.folder, folder.path)
    if log.code is None:
        reason = str(client.get_job_info(job).message or "no reason given").strip().splitlines()[0]
        raise UserError(f"The job {job} ended early: {reason[:300]}", "Its log above says more.")
    _show(folder, as_json=as_json)
    return log.code


def _send(client: Any, root: Path) -> str:
    give_up = time.monotonic() + _START_SECONDS
    while True:
        try:
            return str(
                client.submit_job(
                    entrypoint="python -m nas.cli.ray_job", runtime_env={"working_dir": str(root)}
                )
            )
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(2)  # a cluster that has just started


def _show(folder: RunFolder, *, as_json: bool) -> None:
    result = folder.result_file
    if not result.exists():
        return
    if as_json:
        print(json.dumps(json.loads(result.read_text(encoding="utf-8"))))
    else:
        print(f"run folder {folder.path}")


async def _tail(client: Any, job: str, log: _Log) -> None:
    async for chunk in client.tail_job_logs(job):
        log.read(chunk, show=True)


def pack_job(root: Path, config: RunConfig, given: Mapping[str, Any]) -> None:
    """Fills a folder with this code, the user's files and a job file that names them.

    Relative paths stay what they are, so that the run can be resumed here.

    Raises:
        UserError: A file is missing, or all is too large.
    """
    for name in _PACKAGES:
        source = Path(str(importlib.import_module(name).__file__)).parent
        shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    values = {key: getattr(config, key) for key in given if key not in _HERE_ONLY}
    name, colon, path = config.task.partition(":")
    own = is_users_task(name)
    if name.endswith(".py"):
        name = _carry(Path(name), root)
    if path and (not own or Path(path).exists()):  # the argument of a user's task need not be a path
        path = _carry(Path(path), root)
    values["task"] = f"{name}{colon}{path}"
    for key, suffix in (("space", ".py"), ("sampler", ".py"), ("target", ".toml")):
        if getattr(config, key).endswith(suffix):
            values[key] = _carry(Path(getattr(config, key)), root)
    if config.label is not None and Path(config.label).is_file():  # else a column, or a file below the task's
        values["label"] = _carry(Path(config.label), root)
    if config.warm_start is not None:
        for name in READ_FILES:
            values["warm_start"] = str(Path(_carry(Path(config.warm_start, name), root)).parent)
    if config.init_from is not None:
        values["init_from"] = INIT_FILE
        (root / INIT_FILE).write_bytes(read_source(config.init_from).to_npz())
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    (root / JOB_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    whole = sum(file.stat().st_size for file in _files(root))
    if whole > _MOST_BYTES:
        raise UserError(
            f"Code and data are {whole / 2**20:,.0f} MiB; a submitted job carries {_MOST_BYTES >> 20} MiB.",
            "Put the data on the head, and start nas-run there with --ray-address auto.",
        )


def _carry(path: Path, root: Path) -> str:
    """Copies a file or folder into the job; returns its name there."""
    plain = not path.is_absolute() and ".." not in path.parts
    name = path if plain else Path("files", path.name)
    if not path.exists():
        raise UserError(f"There is no {path}.", "Check the path.")
    if not plain and (root / name).exists():  # another folder's file of the same name
        number = next(n for n in itertools.count(2) if not (root / f"files-{n}").exists())
        name = Path(f"files-{number}", path.name)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, root / name)
    else:
        shutil.copyfile(path, root / name)
    return name.as_posix()


def _files(root: Path) -> Iterable[Path]:
    return (path for path in root.rglob("*") if path.is_file())
