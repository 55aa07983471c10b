"""Files of a bundle that is not trusted, and the golden vectors in them, as numbers: nothing is compiled or run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from cost_models.reading import read_bounded
from nas.bundle.errors import BundleError
from nas.bundle.manifest import MANIFEST_NAME, Manifest

if TYPE_CHECKING:
    from cost_models.graph import OpGraph

_LARGEST_GOLDEN_BYTES = 64 << 20


def read_file(folder: Path, name: str, limit: int, present: Mapping[str, int]) -> bytes:
    """A regular file's bytes.

    Args:
        folder: The bundle.
        name: The file's path in it.
        limit: Most bytes that are read.
        present: The size of every file by its path.

    Raises:
        BundleError: It is not there, too large, or cannot be read.
    """
    if name not in present:
        raise BundleError("files", f"{shown(name)} is missing.")
    try:
        return read_bounded(folder / name, limit, follow_links=False)
    except UserError as error:
        raise BundleError("files", error.message) from error


def golden_raw(
    folder: Path, manifest: Manifest, graph: OpGraph, present: Mapping[str, int]
) -> NDArray[np.generic]:
    """The golden samples. With recordings they alone are read from the sources: what stands around is compared later.

    Raises:
        BundleError: There are none of the model's input.
    """
    shape = graph.tensors[graph.inputs[0]].shape[1:] if graph.inputs else ()
    raw_type = manifest.input.raw_type
    words = golden_words(folder, manifest, f"{manifest.name}_raw_t", "golden_raw", present)
    try:
        if raw_type != "float32":
            return np.array([int(word) for word in words], np.dtype(raw_type)).reshape((-1, *shape))
        with np.errstate(all="ignore"):
            values = [word.removesuffix("f").replace("INFINITY", "inf") for word in words]
            return np.array(values, np.float64).astype(np.float32).reshape((-1, *shape))
    except (ValueError, OverflowError) as error:
        raise BundleError("golden", "The golden samples are none of the model's input.") from error


def golden_recordings(
    folder: Path, manifest: Manifest, present: Mapping[str, int]
) -> NDArray[np.int16] | None:
    """The recordings that the front end's self-test replays; None without a front end.

    Raises:
        BundleError: There are none of the front end's input.
    """
    if manifest.frontend is None:
        return None
    words = golden_words(folder, manifest, "int16_t", "golden_recording", present)
    try:
        samples: NDArray[np.int16] = np.array([int(word) for word in words], np.int16)
        entry = manifest.frontend
        channels = () if entry.channels == 1 else (entry.channels,)
        return samples.reshape((-1, entry.clip_samples, *channels))
    except (ValueError, OverflowError) as error:
        raise BundleError("golden", "The golden recordings are none of the front end's input.") from error


def golden_words(
    folder: Path, manifest: Manifest, c_type: str, name: str, present: Mapping[str, int]
) -> list[str]:
    """The words of an array of the golden vectors.

    Raises:
        BundleError: There is no such array.
    """
    paths = manifest.paths("golden_source")
    if len(paths) != 1:
        raise BundleError("manifest", f"{MANIFEST_NAME} does not name exactly one file as golden_source.")
    source = read_file(folder, paths[0], _LARGEST_GOLDEN_BYTES, present).decode("utf-8", errors="replace")
    head = re.search(rf"^const {c_type} {manifest.name}_{name}\[\d+\]\[\d+\] = \{{$", source, re.M)
    end = source.find("\n};", head.end()) if head else -1
    if head is None or end < 0:
        raise BundleError("golden", f"{shown(paths[0])} holds no golden vectors.")
    return re.findall(r"[^\s,{}]+", source[head.end() : end])


def shown(path: str) -> str:
    """A path that no character of it can make a message other than it is."""
    return path if path.isprintable() else ascii(path)
