"""A run folder as lines of text: the log of a job is the one way home that every Ray cluster has."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

# Marks of lines in the log.
FOLDER_MARK = "@mcu-nas-folder "
EXIT_MARK = "@mcu-nas-exit "
JOB_FILE = "job.toml"
_LINE = 3000
_MOST_BYTES = 200 << 20


def packed(folder: Path, most_bytes: int = _MOST_BYTES) -> Iterator[str]:
    """The run folder as lines of text, with bundle and record; where it were too large without its float weights, and
    at last without its models."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    for left_out in (("weights",), ("models", "artifacts")):
        if sum(path.stat().st_size for path in files) > most_bytes:
            files = [path for path in files if path.parent.name not in left_out]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:xz") as tar:
        for path in files:
            tar.add(path, str(path.relative_to(folder)))
    text = base64.b64encode(archive.getvalue()).decode()
    for start in range(0, len(text), _LINE):
        yield text[start : start + _LINE]


def unpack(lines: list[str], folder: Path) -> None:
    """The inverse of `packed`; nothing is written outside of the folder."""
    archive = io.BytesIO(base64.b64decode("".join(lines)))
    with tarfile.open(fileobj=archive, mode="r:xz") as tar:
        tar.extractall(folder, filter="data")
