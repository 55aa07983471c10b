"""Labels and class names: what can be a class, and what is refused before it reaches a table of C strings."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError

Array = NDArray[np.generic]
MOST_CLASSES = 1000  # a stray huge label must not become a huge output layer
_LONGEST_NAME = 100
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # controls, halves of characters, separators of lines
_BIDI_CONTROLS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they hide what a name is


def clean_labels(labels: Array, what: str) -> Array:
    """Labels as a row of int64 class indices or of words.

    Args:
        labels: Whole numbers or text, bytes included. Shape: (n,) or (n, 1).
        what: The array, for messages: "wearable: y_train".

    Raises:
        UserError: Several values a sample, NaN, fractions, or something that is neither number nor text.
    """
    flat = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1:
        raise UserError(
            f"{what} has shape {labels.shape}.", "Labels are one class index for each sample (not one-hot)."
        )
    kind = flat.dtype.kind
    if kind in "SU":
        return np.array(_words(flat, what), dtype=np.str_) if len(flat) else flat.astype(np.str_)
    if kind not in "iufb":
        raise UserError(f"{what} holds {flat.dtype}.", "Use class indices or class names.")
    if kind == "f":
        missing = ~np.isfinite(flat.astype(np.float64))
        if missing.any():
            raise UserError(
                f"{what} has labels that are NaN or infinite (first at sample {int(np.argmax(missing))}).",
                "Remove these samples, or give them a class of their own.",
            )
        broken = flat != np.floor(flat)
        if broken.any():
            first = int(np.argmax(broken))
            raise UserError(
                f"{what} has labels that are not whole numbers (first {flat[first]:g} at sample {first}).",
                "Use class indices or class names; --metric rmse predicts numbers.",
            )
    if len(flat) and (int(flat.max()) > 2**62 or int(flat.min()) < -(2**62)):
        raise UserError(f"{what} has a label of {flat.max()}.", "Use class indices from 0, or class names.")
    return flat.astype(np.int64)


def index_labels(
    labels: Mapping[str, Array], class_names: Sequence[str] | None, name: str
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """Class indices by part, and the names of the classes.

    Args:
        labels: Cleaned labels by part.
        class_names: Names by index; taken from the labels when None.
        name: The task, for messages.

    Raises:
        UserError: Words beside numbers, labels out of range, or names that cannot be told apart or printed.
    """
    words = {part for part, array in labels.items() if array.dtype.kind == "U"}
    if words and len(words) < len(labels):
        other = sorted(set(labels) - words)[0]
        raise UserError(
            f"{name}: y_{sorted(words)[0]} holds words, but y_{other} numbers.",
            "Label all parts in the same way.",
        )
    if words:
        known = sorted({str(word) for array in labels.values() for word in array})
        names = check_class_names(known if class_names is None else class_names, name)
        unknown = sorted(set(known) - set(names))
        if unknown:
            raise UserError(f"{name}: label {unknown[0]!r} is not among class_names.", "Name every class.")
        index = {word: i for i, word in enumerate(names)}
        return {p: np.array([index[str(w)] for w in array], np.int64) for p, array in labels.items()}, names
    indices = {part: array.astype(np.int64) for part, array in labels.items()}
    highest = max(int(array.max(initial=-1)) for array in indices.values())
    lowest = min(int(array.min(initial=0)) for array in indices.values())
    if class_names is None:
        if highest >= MOST_CLASSES:
            raise UserError(
                f"{name}: label {highest} is out of range.",
                "Class indices run from 0 to at most 999; --metric rmse predicts numbers.",
            )
        class_names = tuple(str(i) for i in range(highest + 1))
    names = check_class_names(class_names, name)
    if lowest < 0:
        raise UserError(
            f"{name}: label {lowest} is negative.", "Class indices count from 0; write other labels as words."
        )
    if highest >= len(names):
        raise UserError(
            f"{name}: label {highest} is out of range for {len(names)} classes.",
            f"Class indices run from 0 to {len(names) - 1}.",
        )
    return indices, names


def names_of(array: Array, what: str) -> tuple[str, ...]:
    """The class names that an array holds: text, bytes of UTF-8, or numbers.

    Raises:
        UserError: Something else, or bytes that are not UTF-8.
    """
    flat = array.reshape(-1)
    if flat.dtype.kind in "SU":
        return tuple(_words(flat, what))
    if flat.dtype.kind not in "iufb":
        raise UserError(f"{what} holds {flat.dtype}.", "Give names as text.")
    return tuple(str(word) for word in flat)


def check_class_names(names: Sequence[str], name: str, kind: str = "class") -> tuple[str, ...]:
    """The names, if people and C can tell them apart.

    Args:
        names: Of classes, or of what else `kind` says.
        name: The task, for messages.
        kind: What is named.

    Raises:
        UserError: An empty, duplicate, unprintable, overlong or not encodable name.
    """
    seen: dict[str, str] = {}
    for word in names:
        if not word.strip():
            raise UserError(f"{name}: a {kind} has an empty name.", f"Name every {kind}.")
        if not is_printable(word):
            raise UserError(
                f"{name}: the {kind} name {word!a} has characters that cannot be printed or are not UTF-8.",
                "Names go into C and into reports: use plain text.",
            )
        if len(word) > _LONGEST_NAME:
            raise UserError(
                f"{name}: the {kind} name {word[:20]!r}... has {len(word)} characters.",
                f"Use at most {_LONGEST_NAME}.",
            )
        same = unicodedata.normalize("NFC", word).strip()
        if same in seen:
            raise UserError(
                f"{name}: two {'classes' if kind == 'class' else f'{kind}s'} are named {same!r}."
                if seen[same] == word
                else f"{name}: the {kind} names {seen[same]!a} and {word!a} look the same.",
                f"Give each {kind} a name of its own.",
            )
        seen[same] = word
    return tuple(names)


def is_printable(text: str) -> bool:
    """Whether a name can be written into reports, manifests and C: UTF-8 without control characters."""
    return not any(unicodedata.category(char) in _UNPRINTABLE or char in _BIDI_CONTROLS for char in text)


def _words(flat: Array, what: str) -> list[str]:
    """Text of an array of str or bytes."""
    if flat.dtype.kind == "U":
        return [str(word) for word in flat]
    words = []
    for index, word in enumerate(flat):
        try:
            words.append(bytes(word).decode("utf-8"))
        except UnicodeDecodeError:
            raise UserError(
                f"{what} has bytes that are not UTF-8 text ({bytes(word)[:20]!r} at {index}).",
                "Store names as text (dtype str).",
            ) from None
    return words
