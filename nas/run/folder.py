"""The run folder: what a run leaves on disk, and how a later one finds it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from cost_models.errors import UserError
from cost_models.reading import LARGEST_MODEL_BYTES, read_bounded
from nas.model.words import printable
from nas.run.config import RunConfig, make_config
from nas.run.file_lock import lock_exclusively

_MARK = "config.json"
_BEGUN = ".begun"
INIT_FILE = "init.npz"  # the weights that networks begin with, where they are given
_BEFORE_THE_SEARCH = (
    _MARK,
    ".lock",
    "earlier.json",
    INIT_FILE,
    "study.journal",
)  # what a run writes until then
SCHEMA = 1
LARGEST_CONFIG_BYTES, LARGEST_RESULT_BYTES = 1 << 20, 64 << 20
TAKEN_NAMES = ("artifacts", "bundle", "models", "trials", "weights")  # what no board's part can be called
_PACKAGES = (
    "mcu-nas", "tensorflow", "tf-keras", "tensorflow-model-optimization", "ray", "optuna", "ai-edge-litert",
    "tflite-micro", "numpy",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """Paths of one run.

    Attributes:
        path: The folder.
        made: Whether this process made it.
        home: Where configuration and models are: the run's own folder, of which this is one board's part.
    """

    path: Path
    made: bool = False
    home: Path | None = None

    def board(self, name: str) -> RunFolder:
        """The part of one board of a run for several."""
        return RunFolder(path=self.path / name, home=self.path)

    @property
    def config_file(self) -> Path:
        return (self.home or self.path) / _MARK

    @property
    def journal(self) -> Path:
        """Optuna's journal, the record of the search."""
        return self.path / "study.journal"

    @property
    def artifacts(self) -> Path:
        """Optuna's artifact store: the models of full trainings, as optuna-dashboard finds them."""
        return self.path / "artifacts"

    @property
    def result_file(self) -> Path:
        return self.path / "result.json"

    @property
    def report_file(self) -> Path:
        return self.path / "report.html"

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    @property
    def models(self) -> Path:
        return (self.home or self.path) / "models"

    def model_file(self, key: str) -> Path:
        """The lean .tflite of an evaluated candidate."""
        return self.models / f"{key}.tflite"

    @property
    def weights(self) -> Path:
        """Float weights of full trainings."""
        return (self.home or self.path) / "weights"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other drivers out, until the end or until this process ends, however it ends.

        Raises:
            UserError: Another driver runs in this folder.
        """
        # The kernel drops the lock with the process.
        descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            lock_exclusively(descriptor)
        except OSError:
            os.close(descriptor)
            raise UserError(
                f"Another nas-run is at work in {self.path}.", "Wait for it, or end it first."
            ) from None
        for left in (
            part for place in ("", "models/", "weights/") for part in self.path.glob(f"{place}.*.part")
        ):
            left.unlink(missing_ok=True)  # of a driver that was killed while it wrote
        try:
            yield
        finally:
            os.close(descriptor)

    @property
    def begun(self) -> bool:
        """Whether a search began in it."""
        return (self.path / _BEGUN).exists()

    def begin(self) -> None:
        """Notes that the search begins: from here on the folder holds what must not be lost."""
        (self.path / _BEGUN).touch()

    def discard_unless_begun(self) -> None:
        """Removes the folder of a run that never came to its search."""
        if self.begun:
            return
        for name in _BEFORE_THE_SEARCH:
            (self.path / name).unlink(missing_ok=True)
        # Folders that hold something else, or that stood there before, stay.
        for folder in (self.models, *([self.path] if self.made else [])):
            with suppress(OSError):
                folder.rmdir()

    def save_model(self, key: str, tflite: bytes) -> None:
        write_atomically(self.model_file(key), tflite)

    def load_model(self, key: str, *, trial: int, sha256: str | None) -> bytes:
        """The bytes that a trial left.

        Args:
            key: See `nas.model.result.model_key`.
            trial: Number, for messages.
            sha256: Their hash as recorded; None in a run that kept none.

        Raises:
            UserError: They are gone, or other bytes than were trained.
        """
        hint = f"Take another of the front, or train it again with --resume {self.path}."
        try:
            tflite = read_bounded(self.model_file(key), LARGEST_MODEL_BYTES)
        except UserError:
            raise UserError(f"The model of trial {trial} is not in {self.path}.", hint) from None
        if sha256 is not None and hashlib.sha256(tflite).hexdigest() != sha256:
            raise UserError(
                f"The model of trial {trial} in {self.path} is not the one that was trained: its hash differs.",
                hint,
            )
        return tflite

    def save_weights(self, key: str, content: bytes) -> None:
        """Keeps the float weights of a training, see `nas.model.weights`."""
        self.weights.mkdir(exist_ok=True)
        write_atomically(self.weights / f"{key}.npz", content)

    def load_weights(self, key: str, *, trial: int, sha256: str | None) -> bytes:
        """The float weights that a trial left; see `load_model`.

        Raises:
            UserError: They are gone, or others than were trained.
        """
        from nas.model.weights import LARGEST_WEIGHTS_BYTES  # with numpy, which `--version` does without

        hint = "Take another run, or a .keras file."
        try:
            content = read_bounded(self.weights / f"{key}.npz", 2 * LARGEST_WEIGHTS_BYTES)
        except UserError:
            raise UserError(f"The float weights of trial {trial} are not in {self.path}.", hint) from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise UserError(
                f"The float weights of trial {trial} in {self.path} are not those that were trained: their hash"
                " differs.",
                hint,
            )
        return content

    def model_lost(self, key: str, sha256: str | None) -> bool:
        """Whether `load_model` would refuse."""
        try:
            self.load_model(key, trial=0, sha256=sha256)
        except UserError:
            return True
        return False

    def save_log(self, number: int, trace: str) -> str:
        """Keeps the traceback of a failed trial; returns the file's name in the folder."""
        name = f"trials/{number}.log"
        (self.path / "trials").mkdir(exist_ok=True)
        write_atomically(self.path / name, trace.encode(errors="replace"))
        return name

    def load_config(self) -> dict[str, Any]:
        """What `save_config` wrote.

        Raises:
            UserError: It cannot be read.
            ValueError: It is not JSON.
        """
        return dict(json.loads(read_bounded(self.config_file, LARGEST_CONFIG_BYTES)))


def create_run_folder(out: str | None, task: str) -> RunFolder:
    """Makes a new, empty run folder.

    Raises:
        UserError: The folder exists and is not empty, or cannot be written.
    """
    check_out(out)
    try:
        path, made = _claim(Path(out)) if out else _fresh(Path("runs"), task)
        probe = path / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"{out or 'runs'} cannot be written ({error.strerror}).", "Give another folder with --out."
        ) from None
    return RunFolder(path=path, made=made)


def _claim(path: Path) -> tuple[Path, bool]:
    """Takes a folder for a new run, and says whether it was made for it. Of two starts in one instant one gets it.

    Raises:
        UserError: Another start has it.
        OSError: It cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
        made = True
    except FileExistsError:
        made = False
    try:
        (path / "models").mkdir()
    except FileExistsError:
        raise UserError(f"Another run has just begun in {path}.", "Give another --out.") from None
    return path, made


def check_out(out: str | None) -> None:
    """Refuses a folder that a new run cannot take.

    Raises:
        UserError: It is a file, a run, or holds something else.
    """
    if out is None:
        return
    path = Path(out)
    try:
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file.", "Give a folder that does not exist yet.")
        taken = path.is_dir() and any(path.iterdir())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).", "Give another --out.") from None
    if taken and (path / _MARK).is_file():
        raise UserError(
            f"{path} already holds a run.", f"Go on with it by --resume {path}, or give another --out."
        )
    if taken:
        raise UserError(f"{path} exists and is not a run.", "Give an empty or new folder.")


def open_run_folder(path: str) -> RunFolder:
    """The folder of an earlier run.

    Raises:
        UserError: It is not a run.
    """
    folder = RunFolder(path=Path(path))
    if not folder.path.is_dir():
        raise UserError(
            f"There is no run folder {path}.", "--resume takes the folder that an earlier run made."
        )
    if not os.path.lexists(folder.config_file):
        raise UserError(
            f"{path} is not a run: it has no {_MARK}.", "--resume takes a folder that nas-run made."
        )
    try:
        saved = folder.load_config()
    except (UserError, ValueError, TypeError, RecursionError):
        raise UserError(f"{path}/{_MARK} cannot be read.", "The run is damaged; start a new one.") from None
    if saved.get("schema") != SCHEMA:
        raise UserError(f"{path} was written by another version of nas-run.", "Start a new run.")
    for key, kind in (("config", dict), ("data_sha256", str), ("started", str)):
        if not isinstance(saved.get(key), kind):
            raise UserError(
                f"{path}/{_MARK} is damaged: its {key} is missing or of another type.", "Start a new run."
            )
    try:
        (folder.path / "models").mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).", "Check its permissions.") from None
    return folder


def save_config(folder: RunFolder, config: RunConfig, data_digest: str, init: str | None = None) -> None:
    """Writes the effective configuration, versions and seed, and the name of the study wherever the folder lies.

    `init` is the digest of the weights that networks begin with, where they are given.
    """
    content = {
        "schema": SCHEMA,
        "study": f"{folder.path.resolve().name}-{secrets.token_hex(4)}",
        "config": config.kept(),
        "data_sha256": data_digest,
        **({} if init is None else {"init": init}),
        "versions": versions(),
        "folder": str(Path.cwd()),  # where relative paths of the configuration begin
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_atomically(folder.config_file, (json.dumps(content, indent=2) + "\n").encode())


@contextmanager
def relative_paths_told(folder: RunFolder) -> Iterator[None]:
    """What an earlier run's configuration names is looked for from here; a hint says where the run was started.

    Raises:
        UserError: As raised within.
    """
    try:
        yield
    except UserError as error:
        began = folder.load_config().get("folder")
        if not isinstance(began, str) or began == str(Path.cwd()):
            raise
        raise UserError(
            error.message,
            f"{error.hint} The run was started in {printable(began)}: its relative paths begin there.",
        ) from error


def saved_config(folder: RunFolder) -> RunConfig:
    """The configuration of an earlier run.

    Raises:
        UserError: The saved configuration is not one.
    """
    # Runs from before there were other metrics went by accuracy.
    values = {"metric": "accuracy", **folder.load_config()["config"]}
    config = make_config(values, {key: f"{folder.config_file}, key {key}" for key in values})
    if config.seed is None:
        raise UserError(f"{folder.config_file} has no seed.", "The run is damaged; start a new one.")
    return config


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide a result."""
    known = {}
    for package in _PACKAGES:
        try:
            known[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return known


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that no reader, and no crash, ever sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # what a message names
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _fresh(root: Path, task: str) -> tuple[Path, bool]:
    """A folder under `root` of a name that was not taken: date, time and task."""
    word = "".join(c if c.isalnum() else "-" for c in task.partition(":")[0]).strip("-") or "run"
    base = f"{time.strftime('%Y%m%d-%H%M%S')}-{word}"
    root.mkdir(parents=True, exist_ok=True)
    for path in (root / base, *(root / f"{base}-{count}" for count in range(2, 1000))):
        with suppress(FileExistsError):
            path.mkdir()
            return _claim(path)[0], True
    raise FileExistsError(errno.EEXIST, "too many runs began in this second", str(root / base))
