"""Features of recordings, made once: several processes at a time where there are many, and kept for the next time."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.frontend.front_end import FrontEnd
from nas.frontend.kinds import FrontEndSettings, kind_of, read_settings
from nas.tasks.loading.audio_augment import varied
from nas.tasks.loading.audio_clip import ClipTally, audible, padded
from nas.tasks.loading.audio_file import AudioInfo, Recording, Waveform, read
from nas.tasks.loading.kept import kept
from nas.tasks.loading.mapped import Array
from nas.tasks.loading.progress import tell
from nas.tasks.loading.waveforms import heard

_BLOCK = 64  # recordings that a process is given at a time
_MANY = 8_000  # clips, from which processes are worth their start
_MADE_BY = (  # what makes features: with other code they are others
    "nas.frontend.filter_bank", "nas.frontend.frames", "nas.frontend.front_end", "nas.frontend.kinds",
    "nas.frontend.log_mel", "nas.frontend.settings", "nas.frontend.signal_graph", "nas.frontend.spectrum",
    "nas.tasks.loading.audio_augment", "nas.tasks.loading.audio_clip", "nas.tasks.loading.audio_file",
    "nas.tasks.loading.waveforms", __name__,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A recording before it is read.

    Attributes:
        path: The file; of an array of recordings, that of all.
        info: What its head says.
        digest: Hash of its content.
        row: Its samples in an array, as `waveforms.heard` takes them; None where the file is this recording alone.
    """

    path: Path
    info: AudioInfo
    digest: str
    row: NDArray[Any] | None = None

    def read(self, rate: int) -> Recording:
        """The recording at a rate in Hz.

        Raises:
            UserError: The file is damaged.
        """
        return read(self.path, self.info, rate) if self.row is None else heard(self.row, self.info, rate)

    def packed(self) -> dict[str, Any]:
        """It as JSON values, for another process."""
        row = None
        if self.row is not None:
            row = {"dtype": self.row.dtype.str, "base64": b64encode(self.row.tobytes()).decode()}
        return {"path": str(self.path), "info": asdict(self.info), "digest": self.digest, "row": row}

    @classmethod
    def unpacked(cls, item: Mapping[str, Any]) -> Source:
        """The values that `packed` made JSON of."""
        row = item["row"]
        return cls(
            path=Path(item["path"]),
            info=AudioInfo(**item["info"]),
            digest=item["digest"],
            row=None if row is None else np.frombuffer(b64decode(row["base64"]), row["dtype"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How recordings become features.

    Attributes:
        settings: Of the front end; its sample rate is that of the clips.
        clip_samples: Of a clip.
        versions: Of each recording besides itself, by part.
    """

    settings: FrontEndSettings
    clip_samples: int
    versions: Mapping[str, int]


def features(
    plan: Plan,
    parts: Mapping[str, Sequence[Source]],
    noises: Mapping[str, Waveform],
) -> tuple[dict[str, Array], ClipTally]:
    """Features as bytes, by part: of each recording, and of its versions behind it.

    Args:
        plan: How.
        parts: The recordings.
        noises: Background noise for the versions, by hash.

    Returns:
        Arrays of the shape (n * (versions + 1), frames, bands), uint8, and what was done to the recordings.

    Raises:
        UserError: A file is damaged.
    """
    shapes = {
        part: (
            len(sources) * (plan.versions[part] + 1),
            plan.settings.clip_frames(plan.clip_samples),
            plan.settings.bands,
        )
        for part, sources in parts.items()
    }
    tally = ClipTally(clip=plan.clip_samples / plan.settings.sample_rate)

    def fill(arrays: Mapping[str, Array], files: Mapping[str, Path]) -> dict[str, Any]:
        total = sum(len(sources) for sources in parts.values())
        clips = sum(shape[0] for shape in shapes.values())
        workers = min(os.cpu_count() or 1, clips // (_MANY // 2))
        if files and workers > 1:
            _in_processes(plan, parts, noises, files, tally, workers, total)
        else:
            maker = _Maker(plan, list(noises.values()))
            done = 0
            for part, sources in parts.items():
                for at, source in enumerate(sources):
                    maker.make(source, part, at, arrays[part], tally)
                    done += 1
                    tell("making features of recordings", done, total)
        return tally.counts()

    arrays, facts = kept(_key(plan, parts, noises), shapes, np.uint8, fill)
    return arrays, ClipTally(clip=tally.clip, **facts)


class _Maker:
    """Makes features in this process.

    Args:
        plan: How.
        noises: Background noise.
    """

    def __init__(self, plan: Plan, noises: Sequence[Waveform]) -> None:
        self._plan, self._noises = plan, noises
        self._front_end = FrontEnd(plan.settings)

    def make(self, source: Source, part: str, at: int, into: Array, tally: ClipTally) -> None:
        """The rows of the recording that is number `at` of its part."""
        plan = self._plan
        recording = source.read(plan.settings.sample_rate)
        tally.add(recording, plan.clip_samples)
        sound = audible(recording.samples, plan.clip_samples)
        rng = np.random.default_rng([0, at])
        rows = plan.versions[part] + 1
        clips = [padded(sound, plan.clip_samples)]
        clips += [varied(sound, plan.clip_samples, self._noises, rng) for _ in range(rows - 1)]
        into[at * rows : (at + 1) * rows] = self._front_end.raw_features(np.stack(clips))


def _key(plan: Plan, parts: Mapping[str, Sequence[Source]], noises: Mapping[str, Waveform]) -> str:
    """Hash of all that the features depend on."""
    digest = hashlib.sha256(version("tflite-micro").encode())
    for name in _MADE_BY:
        digest.update(Path(str(importlib.import_module(name).__file__)).read_bytes())
    content = {part: [source.digest for source in sources] for part, sources in parts.items()}
    said = [
        kind_of(plan.settings),
        asdict(plan.settings),
        plan.clip_samples,
        dict(plan.versions),
        content,
        list(noises),
    ]
    digest.update(json.dumps(said).encode())
    return f"features-{digest.hexdigest()[:32]}"


def _in_processes(
    plan: Plan,
    parts: Mapping[str, Sequence[Source]],
    noises: Mapping[str, Waveform],
    files: Mapping[str, Path],
    tally: ClipTally,
    workers: int,
    total: int,
) -> None:
    """Several processes write their rows into the files; each thread here talks to one of them."""
    folder = next(iter(files.values())).parent
    names = []
    for index, noise in enumerate(noises.values()):
        names.append(str(folder / f"noise{index}.npy"))
        np.save(names[-1], noise)
    head = {
        "kind": kind_of(plan.settings),
        "settings": asdict(plan.settings),
        "clip_samples": plan.clip_samples,
        "versions": dict(plan.versions),
        "noises": names,
        "files": {part: str(file) for part, file in files.items()},
    }
    blocks = (
        {
            "part": part,
            "first": first,
            "sources": [source.packed() for source in sources[first : first + _BLOCK]],
        }
        for part, sources in parts.items()
        for first in range(0, len(sources), _BLOCK)
    )
    done = 0
    helpers = [_Helper(head) for _ in range(workers)]
    try:
        with ThreadPoolExecutor(workers) as pool:
            under_way = {pool.submit(helper.ask, block): helper for helper, block in zip(helpers, blocks)}
            while under_way:
                ready, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for answer in ready:
                    helper = under_way.pop(answer)
                    count, counts = answer.result()
                    tally.merge(counts)
                    done += count
                    tell("making features of recordings", done, total)
                    if (block := next(blocks, None)) is not None:
                        under_way[pool.submit(helper.ask, block)] = helper
    finally:
        for helper in helpers:
            helper.end()
        for name in names:
            Path(name).unlink(missing_ok=True)


class _Helper:
    """A process that makes features of blocks, one line of JSON for each.

    It is a program of its own: a fork would copy threads' locks, and multiprocessing would run the user's script again.
    """

    def __init__(self, head: dict[str, Any]) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._say(head)

    def ask(self, block: dict[str, Any]) -> tuple[int, dict[str, int]]:
        """How many recordings were done, and what was done to them.

        Raises:
            UserError: A file is damaged.
            MemoryError: The process was ended.
        """
        self._say(block)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise MemoryError  # nothing else ends it without a word
        answer = json.loads(line)
        if "message" in answer:
            raise UserError(answer["message"], answer["hint"])
        return len(block["sources"]), answer

    def _say(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise MemoryError from None

    def end(self) -> None:
        """Ends it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def serve(lines: IO[str], answers: IO[str]) -> None:
    """Makes features as another process asks: its first line says how, each of the others is a block of recordings."""
    head = json.loads(lines.readline())
    plan = Plan(
        settings=read_settings(head["kind"], head["settings"]),
        clip_samples=head["clip_samples"],
        versions=head["versions"],
    )
    noises: list[NDArray[np.int16]] = [np.load(name, allow_pickle=False) for name in head["noises"]]
    arrays = {part: np.load(file, mmap_mode="r+") for part, file in head["files"].items()}
    maker = _Maker(plan, noises)
    for line in lines:
        block = json.loads(line)
        tally = ClipTally(clip=0.0)
        try:
            for at, item in enumerate(block["sources"], start=block["first"]):
                maker.make(Source.unpacked(item), block["part"], at, arrays[block["part"]], tally)
            answer: dict[str, Any] = tally.counts()
        except UserError as error:
            answer = {"message": error.message, "hint": error.hint}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
