"""A data set in memory: checked, split, scaled, and ready for the workers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.finished import Preprocess, RawType, TaskInfo

Array = NDArray[np.generic]
PARTS = ("train", "val", "test")
_MOST_FEATURES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Raw samples and labels by part, with the scaling that makes them model inputs.

    Attributes:
        info: Names, shapes, scaling, provenance.
        samples: Raw samples by part. Shape: (n, *info.input_shape), dtype `info.preprocess.raw_type`.
        labels: Class indices by part. Shape: (n,), int64.
        input_range: Real-valued range of the input quantization; what lies outside saturates.
    """

    info: TaskInfo
    samples: dict[str, Array]
    labels: dict[str, NDArray[np.int64]]
    input_range: tuple[float, float]

    def inputs(self, part: str) -> NDArray[np.float32]:
        """Real-valued model inputs of one part, saturated like the device's int8 input."""
        return np.clip(self.info.preprocess.apply(self.samples[part]), *self.input_range)

    def digest(self) -> str:
        """Hash of the content, to tell whether a resumed run still sees the same data."""
        digest = hashlib.sha256()
        for part in PARTS:
            digest.update(np.ascontiguousarray(self.samples[part]).data)
            digest.update(np.ascontiguousarray(self.labels[part]).data)
        return digest.hexdigest()


def make_dataset(
    *,
    name: str,
    samples: Mapping[str, Array],
    labels: Mapping[str, Array],
    class_names: tuple[str, ...] | None,
    source: str = "",
    licence: str = "",
) -> Dataset:
    """Checks the arrays of the three parts and fits the scaling on the training part alone.

    Args:
        name: The task's name in messages and manifests.
        samples: Arrays by part. Shape: (n, features), (n, time, channels), (n, h, w) or (n, h, w, c).
        labels: Class index or class name of each sample, by part.
        class_names: Names by index; taken from the labels when None.
        source: Where the data come from.
        licence: The licence of the data.

    Raises:
        UserError: NaNs, shapes that do not agree, labels out of range, fewer than two classes.
    """
    arrays = {part: _with_channels(samples[part], name, part) for part in PARTS}
    shape = arrays["train"].shape[1:]
    for part in PARTS:
        if arrays[part].shape[1:] != shape:
            raise UserError(
                f"{name}: X_{part} has samples of shape {arrays[part].shape[1:]}, but X_train has {shape}.",
                "All three parts need samples of one shape.",
            )
    indices, names = _class_indices(name, labels, class_names)
    for part in PARTS:
        if len(arrays[part]) != len(indices[part]):
            raise UserError(
                f"{name}: X_{part} has {len(arrays[part])} samples but y_{part} has {len(indices[part])} labels.",
                "Each sample needs one label.",
            )
        if len(arrays[part]) == 0:
            raise UserError(f"{name}: the {part} part is empty.", "Each part needs samples.")
    present = np.unique(indices["train"])
    if len(present) < 2:
        raise UserError(
            f"{name}: the training part holds one class only ({names[int(present[0])]}).",
            "A classifier needs samples of at least two classes.",
        )
    if len(present) < len(names):
        missing = sorted(set(range(len(names))) - set(present.tolist()))
        raise UserError(
            f"{name}: class {names[missing[0]]} has no training sample.", "Add samples or remove the class."
        )
    preprocess, input_range = _fit_scaling(arrays["train"])
    raw_type = np.dtype(preprocess.raw_type)
    info = TaskInfo(
        name=name,
        input_shape=tuple(int(n) for n in shape),
        class_names=names,
        preprocess=preprocess,
        source=source,
        licence=licence,
        samples={part: len(arrays[part]) for part in PARTS},
    )
    return Dataset(
        info=info,
        samples={part: np.ascontiguousarray(arrays[part].astype(raw_type)) for part in PARTS},
        labels=indices,
        input_range=input_range,
    )


def _with_channels(array: Array, name: str, part: str) -> Array:
    """Samples with a channel axis: signals (n, t) -> (n, t, 1), images (n, h, w) -> (n, h, w, 1).

    Short rows are features, each with a scale of its own, and stay (n, features).
    """
    if array.dtype.kind not in "iufb":
        raise UserError(
            f"{name}: X_{part} holds {array.dtype}, not numbers.", "Store samples as integers or floats."
        )
    if array.ndim < 2 or array.ndim > 4 or 0 in array.shape[1:]:
        raise UserError(
            f"{name}: X_{part} has shape {array.shape}.",
            "Expected (n, features), (n, time, channels), (n, height, width) or (n, height, width, channels).",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(np.argmin(np.isfinite(array.reshape(len(array), -1)).all(axis=1)))
        raise UserError(
            f"{name}: X_{part} has NaN or infinite values (first in sample {bad}).", "Clean the data."
        )
    if array.ndim == 2:
        return array if array.shape[1] <= _MOST_FEATURES else array[..., np.newaxis]
    # (n, a, b): an image when it is unsigned bytes (cameras) or square-ish and wide, else time x channels.
    if array.ndim == 3 and (
        array.dtype == np.uint8 or (array.shape[2] > 16 and array.shape[2] * 4 > array.shape[1])
    ):
        return array[..., np.newaxis]
    return array


def _class_indices(
    name: str, labels: Mapping[str, Array], class_names: tuple[str, ...] | None
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    arrays = {
        part: labels[part].reshape(-1)
        if labels[part].ndim == 2 and labels[part].shape[1] == 1
        else labels[part]
        for part in PARTS
    }
    for part, array in arrays.items():
        if array.ndim != 1:
            raise UserError(
                f"{name}: y_{part} has shape {array.shape}.",
                "Labels are one class index for each sample (not one-hot).",
            )
    if arrays["train"].dtype.kind in "US":
        words = sorted({str(word) for part in PARTS for word in arrays[part]})
        if class_names is None:
            class_names = tuple(words)
        unknown = sorted(set(words) - set(class_names))
        if unknown:
            raise UserError(f"{name}: label {unknown[0]!r} is not among class_names.", "Name every class.")
        index = {word: i for i, word in enumerate(class_names)}
        return {
            part: np.array([index[str(w)] for w in arrays[part]], np.int64) for part in PARTS
        }, class_names
    indices: dict[str, NDArray[np.int64]] = {}
    for part, array in arrays.items():
        if array.dtype.kind == "f":
            whole = np.isfinite(array) & (array == np.floor(array))
            if not whole.all():
                raise UserError(
                    f"{name}: y_{part} has labels that are not whole numbers.", "Use class indices."
                )
        elif array.dtype.kind not in "iub":
            raise UserError(f"{name}: y_{part} holds {array.dtype}.", "Use class indices or class names.")
        indices[part] = array.astype(np.int64)
    highest = max(int(array.max(initial=-1)) for array in indices.values())
    lowest = min(int(array.min(initial=0)) for array in indices.values())
    if class_names is None:
        # A stray huge label must not become a huge output layer.
        if highest >= 1000:
            raise UserError(
                f"{name}: label {highest} is out of range.", "Class indices run from 0 to at most 999."
            )
        class_names = tuple(str(i) for i in range(highest + 1))
    if lowest < 0 or highest >= len(class_names):
        bad = lowest if lowest < 0 else highest
        raise UserError(
            f"{name}: label {bad} is out of range for {len(class_names)} classes.",
            f"Class indices run from 0 to {len(class_names) - 1}.",
        )
    return indices, class_names


def _fit_scaling(train: Array) -> tuple[Preprocess, tuple[float, float]]:
    """The scaling of raw samples and the range of the int8 input.

    Bytes become [0, 1], so that the int8 input is just `raw - 128`. Other numbers are standardized, by
    channel, and the range holds 99.9 % of the values:
    a few outliers must not cost everyone resolution.
    """
    if train.dtype == np.uint8:
        top = 255.0 if train.max() > 16 else float(max(int(train.max()), 1))
        return Preprocess(raw_type="uint8", offset=(0.0,), scale=(1.0 / top,)), (0.0, 1.0)
    raw_type: RawType = "float32"
    if train.dtype.kind in "iub" and int(train.min()) >= -32768 and int(train.max()) <= 32767:
        raw_type = "int16"
    axes = tuple(range(train.ndim - 1))
    values = train.astype(np.float64)
    mean = values.mean(axis=axes).reshape(-1)
    deviation = values.std(axis=axes).reshape(-1)
    scale = 1.0 / np.where(deviation > 1e-12, deviation, 1.0)
    preprocess = Preprocess(
        raw_type=raw_type,
        offset=tuple(float(np.float32(m)) for m in mean),
        scale=tuple(float(np.float32(s)) for s in scale),
    )
    inputs = preprocess.apply(train)
    low, high = np.percentile(inputs, (0.05, 99.95))
    # The range must hold zero, or the quantized zero (padding) would not exist.
    return preprocess, (min(float(low), -0.1), max(float(high), 0.1))
