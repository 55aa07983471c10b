"""The user's own pictures: `images:FOLDER`, one folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.tasks.dataset import PARTS, Dataset, make_dataset
from nas.tasks.npz import split_parts

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}
_SPLIT_SEED = 0
_DEFAULT_SIZE = 48  # pixels; where pictures differ in size or are large
_LARGEST_KEPT = 96
_MOST_PIXELS = 50_000_000


def load(argument: str, image_size: int | None) -> Dataset:
    """Reads FOLDER/<class>/*.png|jpg|..., or FOLDER/{train,val,test}/<class>/*.

    Pictures become squares of `image_size` pixels; by default they keep their size when all are equal and
    at most 96 pixels wide, and become 48 x 48 otherwise. They stay grey when all are grey.

    Raises:
        UserError: No folder, fewer than two classes, a class without pictures, an unreadable picture.
    """
    if not argument:
        raise UserError(
            "The task images needs a folder.", "Write images:FOLDER, with one folder for each class."
        )
    root = Path(argument)
    if not root.is_dir():
        raise UserError(f"There is no folder {root}.", "Check the path after images:.")
    if image_size is not None and not 4 <= image_size <= 512:
        raise UserError(f"An image size of {image_size} pixels is out of range.", "Use 4 to 512.")
    given = all((root / part).is_dir() for part in PARTS)
    try:
        files = {part: _list(root / part) for part in PARTS} if given else {"all": _list(root)}
    except OSError as error:
        raise UserError(
            f"{error.filename} cannot be read ({error.strerror}).", "Check its permissions."
        ) from None
    classes = sorted({label for part in files.values() for label, _ in part})
    if len(classes) < 2:
        raise UserError(
            f"{root} holds {len(classes)} class folder{'s' if len(classes) != 1 else ''} with pictures.",
            "A classifier needs at least two: FOLDER/cat/*.png, FOLDER/dog/*.png.",
        )
    paths = [path for part in files.values() for _, path in part]
    size, grey = _common_format(paths, image_size)
    index = {label: i for i, label in enumerate(classes)}
    source = f"pictures of {root.name}"
    pixels = {
        part: np.stack([_pixels(path, size, grey) for _, path in files[part]])
        for part in files
        if files[part]
    }
    labels = {part: np.array([index[label] for label, _ in files[part]]) for part in files}
    if given:
        for part in PARTS:
            if not files[part]:
                raise UserError(
                    f"{root / part} holds no pictures.", "Each part needs pictures of each class."
                )
        return make_dataset(
            name=root.name, samples=pixels, labels=labels, class_names=tuple(classes), source=source
        )
    return split_parts(
        name=root.name,
        samples=pixels["all"],
        labels=labels["all"],
        groups=None,
        class_names=tuple(classes),
        source=source,
        licence="",
        seed=_SPLIT_SEED,
    )


def _list(root: Path) -> list[tuple[str, Path]]:
    """(class, file) of each picture, sorted, hidden files left out."""
    found = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        pictures = sorted(
            p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and not p.name.startswith(".")
        )
        found += [(folder.name, path) for path in pictures]
    return found


def _common_format(paths: list[Path], image_size: int | None) -> tuple[tuple[int, int], bool]:
    """((height, width), all grey) of the array to make."""
    from PIL import Image

    sizes, grey = set(), True
    for path in paths:
        try:
            with Image.open(path) as image:
                sizes.add((image.height, image.width))
                grey = grey and image.mode in ("1", "L", "LA", "I", "I;16", "F")
                if image.height * image.width > _MOST_PIXELS:
                    raise UserError(f"{path} has more than {_MOST_PIXELS:,} pixels.", "Shrink it first.")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise _unreadable(path) from None
    if image_size is not None:
        return (image_size, image_size), grey
    size = next(iter(sizes))
    if len(sizes) == 1 and max(size) <= _LARGEST_KEPT:
        return size, grey
    return (_DEFAULT_SIZE, _DEFAULT_SIZE), grey


def _pixels(path: Path, size: tuple[int, int], grey: bool) -> NDArray[np.uint8]:
    """One picture. Shape: (h, w, 1) or (h, w, 3)."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            picture = image.convert("L" if grey else "RGB")
            if (picture.height, picture.width) != size:
                picture = picture.resize((size[1], size[0]), Image.Resampling.BOX)
            pixels = np.asarray(picture, np.uint8)
    except (OSError, ValueError, SyntaxError):
        raise _unreadable(path) from None
    return pixels.reshape(*size, -1)


def _unreadable(path: Path) -> UserError:
    return UserError(f"{path} is not a readable picture.", "Remove it or save it anew as PNG or JPEG.")


TASK = load
