"""The user's own arrays: `npz:PATH`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.tasks.dataset import PARTS, Array, Dataset, make_dataset
from nas.tasks.split import hold_out

_SPLIT_SEED = 0
_HINT = "Expected X_train, y_train, X_val, y_val, X_test, y_test; or X and y (optional: groups, class_names)."


def load(argument: str, image_size: int | None) -> Dataset:
    """Reads `X_train y_train X_val y_val X_test y_test`, or `X y` and splits them.

    `groups` (or `groups_train` beside a given test part) keep a subject's samples on one side of a split.

    Raises:
        UserError: The file is missing, broken, holds pickled objects or the wrong arrays.
    """
    if not argument:
        raise UserError("The task npz needs a file.", "Write npz:PATH, for example npz:data/wearable.npz.")
    path = Path(argument)
    arrays = _read(path)
    name = path.stem
    names = arrays.get("class_names")
    class_names = None if names is None else tuple(str(n) for n in names.reshape(-1))
    source, licence = _text(arrays, "source"), _text(arrays, "license")
    if "X" in arrays and "y" in arrays:
        return split_parts(
            name=name,
            samples=arrays["X"],
            labels=arrays["y"],
            groups=arrays.get("groups"),
            class_names=class_names,
            source=source,
            licence=licence,
            seed=_SPLIT_SEED,
        )
    for key in ("X_train", "y_train", "X_test", "y_test"):
        if key not in arrays:
            raise UserError(
                f"{path} has no array {key}: it holds {', '.join(sorted(arrays)) or 'nothing'}.", _HINT
            )
    if ("X_val" in arrays) != ("y_val" in arrays):
        raise UserError(f"{path} has only one of X_val and y_val.", _HINT)
    samples = {part: arrays[f"X_{part}"] for part in PARTS if f"X_{part}" in arrays}
    labels = {part: arrays[f"y_{part}"] for part in PARTS if f"y_{part}" in arrays}
    if "val" not in samples:
        _same_length(name, samples["train"], labels["train"], arrays.get("groups_train"))
        stay, held = hold_out(
            labels["train"], arrays.get("groups_train"), share=0.2, seed=_SPLIT_SEED, name=name
        )
        samples["train"], samples["val"] = samples["train"][stay], samples["train"][held]
        labels["train"], labels["val"] = labels["train"][stay], labels["train"][held]
    return make_dataset(
        name=name, samples=samples, labels=labels, class_names=class_names, source=source, licence=licence
    )


def split_parts(
    *,
    name: str,
    samples: Array,
    labels: Array,
    groups: Array | None,
    class_names: tuple[str, ...] | None,
    source: str,
    licence: str,
    seed: int,
) -> Dataset:
    """A data set of samples that come in one heap: 60 % train, 20 % val, 20 % test."""
    _same_length(name, samples, labels, groups)
    flat = labels.reshape(-1)
    rest, test = hold_out(flat, groups, share=0.2, seed=seed, name=name)
    inner = None if groups is None else groups[rest]
    stay, held = hold_out(flat[rest], inner, share=0.25, seed=seed, name=name)
    index = {"train": rest[stay], "val": rest[held], "test": test}
    return make_dataset(
        name=name,
        samples={part: samples[index[part]] for part in PARTS},
        labels={part: flat[index[part]] for part in PARTS},
        class_names=class_names,
        source=source,
        licence=licence,
    )


def _same_length(name: str, samples: Array, labels: Array, groups: Array | None) -> None:
    if labels.size != len(labels) or samples.ndim < 2:
        raise UserError(
            f"{name}: samples of shape {samples.shape} and labels of shape {labels.shape} do not go together.",
            "Labels are one class index for each sample (not one-hot).",
        )
    if len(samples) == 0:
        raise UserError(f"{name} holds no samples.", "Each part needs samples of each class.")
    if len(samples) != len(labels):
        raise UserError(
            f"{name}: {len(samples)} samples but {len(labels)} labels.", "Each sample needs one label."
        )
    if groups is not None and groups.shape != (len(labels),):
        raise UserError(
            f"{name}: groups has shape {groups.shape} for {len(labels)} samples.",
            "Each sample needs one group.",
        )


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    if not path.is_file():
        raise UserError(f"There is no file {path}.", "Check the path after npz:.")
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError(f"{path} is a single array, not an .npz.", _HINT)
        with archive:
            return {key: archive[key] for key in archive.files}
    except UserError:
        raise
    except MemoryError:
        raise UserError(f"{path} does not fit into memory.", "Store fewer or smaller samples.") from None
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as error:
        if "allow_pickle" in str(error):
            raise UserError(
                f"{path} holds pickled objects, which are never loaded.",
                "Save plain numeric arrays (no dtype=object).",
            ) from None
        raise UserError(f"{path} cannot be read as .npz ({error}).", "Write it with numpy.savez.") from None


def _text(arrays: dict[str, NDArray[np.generic]], key: str) -> str:
    array = arrays.get(key)
    return "" if array is None or array.dtype.kind != "U" else " ".join(str(a) for a in array.reshape(-1))


TASK = load
