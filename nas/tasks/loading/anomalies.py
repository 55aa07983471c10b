"""Anomalies: which samples are normal, and made anomalies where a part has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError, did_you_mean
from nas.model.trained import Preprocess
from nas.model.words import listed
from nas.tasks.loading.mapped import chunks, gathered

Array = NDArray[np.generic]
Sorted = tuple[
    dict[str, Array], dict[str, NDArray[np.int64]], tuple[str, str], Mapping[str, Array] | None, list[str]
]

_SEED = 0  # of made anomalies: they are part of the data set
_NAMED = 6


def sort_out(
    samples: Mapping[str, Array],
    labels: Mapping[str, NDArray[np.int64]],
    class_names: tuple[str, ...],
    normal: str,
    groups: Mapping[str, Array] | None,
    name: str,
) -> Sorted:
    """Samples, labels, names, groups and notes of two classes: the normal one, and the anomalies that are all others.

    Training samples that are not normal are left out. A part without anomalies gets made ones: each element is that of
    another normal sample of the part, so that all values are usual ones and only their company is not.

    Source of the made ones: L. Breiman and A. Cutler, Random Forests (2003), the synthetic second class.

    Args:
        samples: By part. Shape: (n, ...).
        labels: Class indices by part.
        class_names: Names by index.
        normal: The class of normal samples.
        groups: Groups of the samples by part, where they are known.
        name: The task, for messages.

    Raises:
        UserError: No such class, or a part without a normal sample.
    """
    if normal not in class_names:
        raise UserError(f"{name} has no class {normal!r}.", did_you_mean(normal, class_names))
    wanted = class_names.index(normal)
    binary = {part: (array != wanted).astype(np.int64) for part, array in labels.items()}
    for part, array in binary.items():
        if array.all():
            raise UserError(
                f"{name}: the {part} part has no sample of {normal}.", "Each part needs normal samples."
            )
    others = [word for word in class_names if word != normal]
    names = (normal, others[0] if len(others) == 1 else "anomaly" if normal != "anomaly" else "other")
    kept = binary["train"] == 0
    notes = []
    if len(others) > 1:
        notes.append(f"Anomalies are {listed(others, _NAMED)}.")
    if not kept.all():
        notes.append(
            f"{int((~kept).sum()):,} training samples are not of {normal} and are left out: a network learns what is"
            " normal alone."
        )
    held = dict(samples)
    if not kept.all():
        held["train"] = gathered(samples["train"], np.flatnonzero(kept))
        binary["train"] = binary["train"][kept]
        groups = groups and {**groups, **({"train": groups["train"][kept]} if "train" in groups else {})}
    for part in ("val", "test"):
        if binary[part].any():
            continue
        made = _made(held[part])
        if groups is not None and part in groups:
            groups = {**groups, part: np.concatenate([groups[part], groups[part]])}
        held[part] = np.concatenate([held[part], made])
        binary[part] = np.repeat(np.array([0, 1], np.int64), len(made))
        notes.append(
            f"The {part} part has no anomalies: as many are made as there are normal samples, each element that of"
            " another normal sample. "
            + (
                "The search goes by how well they are told apart, which says little of real anomalies."
                if part == "val"
                else "Figures of this part say little of real anomalies, apart from the false alarms."
            )
        )
    return held, binary, names, groups, notes


def centred(preprocess: Preprocess, normal: Array) -> tuple[Preprocess, tuple[float, float]]:
    """The scaling of bytes for a network that rebuilds them, and the range of its input.

    Bytes between 0 and 1 would leave it differences of some hundredths to learn. Here the mean, a whole number so that
    a byte still is an int8 value, becomes 0, and the usual deviation of an element from its own mean becomes 1.

    Args:
        preprocess: The scaling of bytes as classes take it.
        normal: Training samples, bytes. Shape: (n, ...).
    """
    sums, squares = np.zeros(normal[0].size), np.zeros(normal[0].size)
    for chunk in chunks(normal):
        flat = chunk.reshape(len(chunk), -1).astype(np.float64)
        sums += flat.sum(axis=0)
        squares += (flat**2).sum(axis=0)
    means = sums / len(normal)
    spread = max(float(np.sqrt(np.maximum(squares / len(normal) - means**2, 0.0).mean())), 1.0)
    offset = float(np.rint(means.mean()))
    scale = float(np.float32(1.0 / spread))
    shifted = replace(preprocess, offset=(offset,), scale=(scale,))
    return shifted, (-offset * scale, (255.0 - offset) * scale)


def _made(normal: Array) -> Array:
    """As many samples, with each element drawn from all samples by itself. Shape: that of `normal`."""
    rng = np.random.default_rng(_SEED)
    flat = normal.reshape(len(normal), -1)
    made = np.empty_like(flat)
    for element in range(flat.shape[1]):
        made[:, element] = flat[rng.permutation(len(flat)), element]
    return made.reshape(normal.shape)
