"""The meaning of an array's axes: features, signals or pictures, decided by shape and type unless the user says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.words import sized
from nas.tasks.loading.mapped import converted
from nas.tasks.options import InputKind

Array = NDArray[np.generic]
INPUT_KINDS: tuple[InputKind, ...] = get_args(InputKind)

_MOST_FEATURES = 64
_COLOURS = (1, 3, 4)
_LEAST_SIDE = 8  # of what may be a picture
_DIMENSIONS: dict[InputKind, tuple[int, ...]] = {
    "auto": (2, 3, 4),
    "features": (2,),
    "signals": (2, 3),
    "images": (3, 4),
    "channels-first": (3, 4),
}
_EXPECTED: dict[InputKind, str] = {
    "auto": "(n, features), (n, time, channels), (n, height, width) or (n, height, width, channels)",
    "features": "(n, features)",
    "signals": "(n, time) or (n, time, channels)",
    "images": "(n, height, width) or (n, height, width, channels)",
    "channels-first": "(n, channels, time) or (n, channels, height, width)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Samples with a channel axis at the end, and how their axes were understood.

    Attributes:
        samples: Arrays by part. Shape: (n, features), (n, time, channels) or (n, height, width, channels).
        text: The understanding in words, for the data report.
        note: What else the array could be, and the flag that says so; empty where there is no doubt.
    """

    samples: dict[str, Array]
    text: str
    note: str


def check_shape(array: Array, kind: InputKind, what: str) -> None:
    """Refuses a number of axes that the kind cannot have.

    Raises:
        UserError: So it is.
    """
    if array.ndim not in _DIMENSIONS[kind] or 0 in array.shape[1:]:
        said = "" if kind == "auto" else f", which --input-kind {kind} does not take"
        raise UserError(f"{what} has shape {array.shape}{said}.", f"Expected {_EXPECTED[kind]}.")


def take(samples: Mapping[str, Array], kind: InputKind) -> Taken:
    """Gives all parts a channel axis, by the shape and type of the training part.

    Args:
        samples: Arrays by part, of one sample shape that the kind can have.
        kind: What they are; "auto" decides.
    """
    train = samples["train"]
    shape = train.shape[1:]
    decided, note = (kind, "") if kind != "auto" else _decide(shape, train.dtype)
    if decided == "channels-first":
        moved = {part: _channels_last(array) for part, array in samples.items()}
        return Taken(samples=moved, text=_text(moved["train"]), note=note)
    if decided == "features":
        return Taken(samples=dict(samples), text=f"{shape[0]} features", note=note)
    if (decided == "signals" and len(shape) == 1) or (decided == "images" and len(shape) == 2):
        channel = {part: array[..., np.newaxis] for part, array in samples.items()}
        return Taken(samples=channel, text=_text(channel["train"]), note=note)
    return Taken(samples=dict(samples), text=_text(train), note=note)


def _channels_last(array: Array) -> Array:
    return converted(np.moveaxis(array, 1, -1), array.dtype)


def _decide(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> tuple[InputKind, str]:
    """The likely kind, and the doubt that is worth a word."""
    if len(shape) == 1:
        if shape[0] <= _MOST_FEATURES:
            return "features", ""
        return "signals", (
            f"Rows of {shape[0]} values are taken as signals of one channel;"
            " --input-kind features gives every value a scale of its own."
        )
    if len(shape) == 2:
        a, b = shape
        # Unsigned bytes come from cameras; what is wide and square-ish is not a signal either.
        if dtype == np.uint8 or (b > 16 and b * 4 > a):
            why = "uint8 samples" if dtype == np.uint8 else "Samples"
            return "images", (
                f"{why} of {a} x {b} are taken as pictures of one channel; --input-kind signals takes them as"
                f" {a} steps of {b} channels, channels-first as {b} steps of {a}."
            )
        if a < b:
            return "signals", (
                f"Samples of {a} x {b} are taken as {a} steps of {b} channels;"
                f" --input-kind channels-first takes them as {b} steps of {a}."
            )
        if b >= _LEAST_SIDE and b * 2 >= a:
            return "signals", (
                f"Samples of {a} x {b} are taken as {a} steps of {b} channels; --input-kind images takes them as"
                " pictures of one channel."
            )
        return "signals", ""
    if shape[0] in _COLOURS and shape[2] not in _COLOURS:
        return "channels-first", (
            f"Samples of {sized(shape)} are taken as pictures with their {shape[0]} channels first;"
            " --input-kind images takes the last axis for the channels."
        )
    if shape[2] not in _COLOURS and shape[0] * 2 <= min(shape[1:]):
        return "images", (
            f"Samples of {sized(shape)} are taken as pictures of {shape[2]} channels;"
            f" --input-kind channels-first takes them as {shape[0]} channels."
        )
    return "images", ""


def _text(samples: Array) -> str:
    *place, channels = samples.shape[1:]
    word = "channel" if channels == 1 else "channels"
    if len(place) == 1:
        return f"signals of {place[0]} steps, {channels} {word}"
    return f"pictures of {place[0]} x {place[1]}, {channels} {word}"
