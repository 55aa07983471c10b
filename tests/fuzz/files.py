"""Mutated data sets (.npz), target files, job files, bundles and run folders."""

from __future__ import annotations

import io
import json
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.target_file import load_target
from cost_models.target_names import TARGETS_FOLDER
from tests.fuzz.campaign import FaultError, mutated

_WORDS = (
    "0", "-1", "1e400", "nan", "inf", "true", '""', "[]", "{}", "null", "1" * 60, '"../x"', '"\\u0000"', "[[[[1]]]]",
)  # fmt: skip


def _text(data: bytes, rng: random.Random) -> bytes:
    """Text with a value replaced, a line dropped, doubled or moved, or bytes changed."""
    lines = data.decode("utf-8", errors="replace").splitlines()
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                head, sign, _ = lines[at].partition(":" if ":" in lines[at] else "=")
                tail = "," if lines[at].rstrip().endswith(",") else ""
                lines[at] = f"{head}{sign} {rng.choice(_WORDS)}{tail}"
            case 1:
                lines.pop(at)
                lines = lines or [""]
            case 2:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 3:
                lines[at] = mutated(lines[at].encode() or b" ", rng).decode("utf-8", errors="replace")
            case _:
                return mutated(data, rng)
    return "\n".join(lines).encode()


_JOB = b"""task = "digits"
budget = "sram=64KB,flash=256KB"
trials = 12
timeout = "90s"
steps = 100
"""


class Npz:
    """Archives of arrays: bytes changed, and arrays of odd types, shapes and names."""

    name = "npz"

    def case(self, rng: random.Random) -> bytes:
        generator = np.random.default_rng(rng.randrange(1 << 32))
        count = rng.choice((40, 60, 60, 9, 2, 0))
        shape = rng.choice(
            ((count, 6), (count, 8, 3), (count, 8, 8), (count, 8, 8, 3), (count,), (count, 2, 2, 2, 2))
        )
        x: Any = generator.normal(0, 10.0 ** rng.randint(-12, 12), shape)
        with np.errstate(all="ignore"):
            x = x.astype(rng.choice(("f4", "f8", ">f8", "i2", "u1", "u2", "i8", "?", "f2", "c8")), copy=False)
        y: Any = generator.integers(0, rng.choice((1, 2, 5)), count)
        y = rng.choice((y, y.astype("f8"), y.astype("U3"), y.astype("S3"), y[:-1], y.reshape(-1, 1)))
        if x.size and x.dtype.kind == "f" and rng.random() < 0.3:
            with np.errstate(all="ignore"):
                x.flat[rng.randrange(x.size)] = rng.choice((np.nan, np.inf, -9999.0, 1e30))
        if rng.random() < 0.4:  # a sound one, for what its bytes do
            x, y = generator.normal(0, 1, (60, 6)).astype("f4"), np.arange(60) % 3
        names = rng.choice(
            (("X", "y"), ("X", "y"), ("X_train", "y_train"), ("x", "label"), ("X", "y", "groups"))
        )
        arrays = dict(zip(names, (x, y, generator.integers(0, 3, count)), strict=False))
        stream = io.BytesIO()
        rng.choice((np.savez, np.savez_compressed))(stream, **arrays)
        data = stream.getvalue()
        if rng.random() < 0.5:
            return mutated(data, rng, most=6)
        return data[: rng.randrange(len(data))] if rng.random() < 0.2 else data

    def run(self, case: bytes, folder: Path) -> str:
        from nas.tasks import load_task

        path = folder / "case.npz"
        path.write_bytes(case)
        try:
            dataset = load_task(f"npz:{path}")
        except (zipfile.BadZipFile, ValueError) as error:
            raise AssertionError(f"{type(error).__name__} came through: {error}") from error
        if (
            not np.isfinite(dataset.inputs(dataset.samples["train"])).all()
            or not np.isfinite(dataset.input_range).all()
        ):
            raise FaultError("an input or a range that is not finite")
        return "accepted"


class Toml:
    """Target files and job files."""

    name = "toml"

    def case(self, rng: random.Random) -> bytes:
        if rng.random() < 0.5:
            return b"T" + _text(rng.choice(sorted(TARGETS_FOLDER.glob("*.toml"))).read_bytes(), rng)
        return b"J" + _text(_JOB, rng)

    def run(self, case: bytes, folder: Path) -> str:
        from nas.run.config import make_config, read_job_file

        path = folder / "case.toml"
        path.write_bytes(case[1:])
        if case[:1] == b"T":
            load_target(str(path))
        else:
            values = read_job_file(path)
            make_config({k: v for k, v in values.items() if k != "timeout"}, {})
        return "accepted"


class Bundles:
    """A bundle with one file changed, its hash corrected in the manifest: never PASS with other bytes.

    Args:
        bundle: A verified bundle.
    """

    name = "bundles"

    def __init__(self, bundle: Path) -> None:
        self._files = {
            path.relative_to(bundle).as_posix(): path.read_bytes()
            for path in bundle.rglob("*")
            if path.is_file()
        }

    def case(self, rng: random.Random) -> bytes:
        import hashlib

        name = rng.choice(sorted(self._files))
        old = self._files[name]
        new = mutated(old, rng) if name.endswith(".tflite") else _text(old, rng)
        files = {**self._files, name: new}
        if name != "manifest.json" and rng.random() < 0.9:
            was, now = (hashlib.sha256(data).hexdigest() for data in (old, new))
            text = files["manifest.json"].decode().replace(was, now)
            files["manifest.json"] = text.replace(f'"bytes": {len(old)},', f'"bytes": {len(new)},').encode()
        return json.dumps({path: data.hex() for path, data in files.items()}).encode()

    def run(self, case: bytes, folder: Path) -> str:
        from nas.cli.check import check

        place = folder / "bundle"
        shutil.rmtree(place, ignore_errors=True)
        files = {path: bytes.fromhex(text) for path, text in json.loads(case).items()}
        for path, data in files.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(data)
        verdict = check(place)
        if verdict["ok"] and files != self._files and not _only_on_trust(files, self._files):
            raise FaultError("PASS with other bytes")
        return "same" if verdict["ok"] else "refused"


_ON_TRUST = ("accuracies", "provenance", "golden_share", "task", "notes")


def _only_on_trust(files: dict[str, bytes], own: dict[str, bytes]) -> bool:
    """Whether a bundle differs in what it cannot prove alone, and was written again from that."""
    mine, theirs = (json.loads(content["manifest.json"]) for content in (own, files))
    return any(mine.get(key) != theirs.get(key) for key in (*_ON_TRUST, "name", "target"))


class RunFolders:
    """Damaged run folders, through what `nas-export` and `--resume` read before anything is trained.

    Args:
        run: The folder of a finished run.
    """

    name = "runs"
    _FILES = ("config.json", "result.json", "study.journal")

    def __init__(self, run: Path) -> None:
        self._run = run
        self._content = {name: (run / name).read_bytes() for name in self._FILES}

    def case(self, rng: random.Random) -> bytes:
        name = rng.choice(self._FILES)
        return name.encode() + b"\n" + _text(self._content[name], rng)

    def run(self, case: bytes, folder: Path) -> str:
        from nas.run.folder import open_run_folder, saved_config
        from nas.run.stored_model import _find, model_bytes
        from nas.strategy.study import Study, damaged_record, find_study, open_storage

        name, _, content = case.partition(b"\n")
        place = folder / "run"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._run, place)
        (place / name.decode()).write_bytes(content)
        opened = open_run_folder(str(place))
        config = saved_config(opened)
        model_bytes(opened, _find(opened, None))
        saved = opened.load_config()
        storage = open_storage(None, opened.journal)
        with damaged_record(str(opened.journal)):
            study_name = find_study(
                storage, started=saved["started"], name=saved.get("study"), fallback=place.name
            )
            identity = config.search_identity() | {"started": saved["started"]}
            Study(storage=storage, name=study_name, identity=identity).records()
        return "accepted"
