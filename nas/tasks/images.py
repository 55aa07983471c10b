"""The user's own pictures: `images:FOLDER`, one folder a class."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from cost_models.errors import UserError
from nas.model.words import counted, sized
from nas.tasks.dataset import Array, Dataset, make_dataset
from nas.tasks.loading import PARTS
from nas.tasks.loading.class_folders import Layout, read_layout
from nas.tasks.loading.mapped import room_for
from nas.tasks.loading.memory import require_memory, work_bytes
from nas.tasks.loading.picture_file import Picture, UnreadableError, decode, inspect, unreadable
from nas.tasks.loading.progress import tell
from nas.tasks.options import TaskOptions, least_classes
from nas.tasks.split import hold_out_validation, split_parts

_DEFAULT_SIZE = 48  # pixels; where pictures differ in size or are large
_LARGEST_KEPT = 96

Given = TypeVar("Given")
Made = TypeVar("Made")


def load(argument: str, options: TaskOptions) -> Dataset:
    """Reads FOLDER/<class>/*.png|jpg|..., or FOLDER/{train,val,test}/<class>/*.

    Pictures become squares of `image_size` pixels; by default they keep their size when all are equal and
    at most 96 pixels wide, and become 48 x 48 otherwise. They stay grey when all are grey, are made grey with
    `grayscale`, and keep 16 bits or floats when all have them.

    Raises:
        UserError: No folder, fewer than two classes, a class without pictures, unreadable pictures.
    """
    if not argument:
        raise UserError(
            "The task images needs a folder.", "Write images:FOLDER, with one folder for each class."
        )
    root = Path(argument)
    if not root.is_dir():
        raise UserError(f"There is no folder {root}.", "Check the path after images:.")
    layout = read_layout(root, least=least_classes(options))
    name = root.resolve().name or "images"
    pictures = _inspect_all([path for files in layout.files.values() for _, path in files])
    size, format_notes = _common_size(list(pictures.values()), options.image_size)
    coloured = sum(not picture.grey for picture in pictures.values())
    grey = options.grayscale or not coloured
    _check_depths(list(pictures.values()), root)
    deep = next(iter(pictures.values())).depth != "8 bits"
    shape = (len(pictures), *size, 1 if grey else 3)
    needed = math.prod(shape) * (4 if deep else 1) + work_bytes(shape, np.dtype("f4" if deep else "u1"))
    require_memory(needed, str(root), "Give a smaller --image-size or fewer pictures.")
    samples, through = _decode_all(layout, pictures, size, grey=grey)
    index = {label: i for i, label in enumerate(layout.classes)}
    labels: dict[str, Array] = {
        part: np.array([index[label] for label, _ in files], np.int64) for part, files in layout.files.items()
    }
    notes = [*layout.notes, *format_notes]
    if options.grayscale and coloured:
        notes.append(f"Made grey: {coloured:,} of {len(pictures):,} pictures, by their luminance.")
    if turned := sum(picture.turned for picture in pictures.values()):
        notes.append(f"{counted(turned, 'picture')} turned upright, as the camera noted.")
    if through:
        notes.append(f"{counted(through, 'picture')} with transparent places: shown over white.")
    source = f"pictures of {name}"
    if "all" in samples:
        return split_parts(
            name=name,
            samples=samples["all"],
            labels=labels["all"],
            groups=None,
            class_names=layout.classes,
            source=source,
            licence="",
            input_kind="images",
            notes=notes,
            options=options,
        )
    if "val" not in samples:
        notes.append("There is no val folder: a fifth of the training pictures is held out for it.")
        samples, labels, _ = hold_out_validation(samples, labels, {}, name=name)
    return make_dataset(
        name=name,
        samples={part: samples[part] for part in PARTS},
        labels={part: labels[part] for part in PARTS},
        class_names=layout.classes,
        source=source,
        input_kind="images",
        notes=notes,
        options=options,
    )


def _inspect_all(paths: Sequence[Path]) -> dict[Path, Picture]:
    """Headers by file.

    Raises:
        UserError: All files that cannot be read, in one sentence.
    """
    return dict(zip(paths, _each(inspect, paths, "reading the heads of pictures"), strict=True))


def _decode_all(
    layout: Layout, pictures: dict[Path, Picture], size: tuple[int, int], *, grey: bool
) -> tuple[dict[str, Array], int]:
    """Pixels by part, and how many pictures were laid over white.

    Raises:
        UserError: All files that are damaged, in one sentence.
    """
    deep = next(iter(pictures.values())).depth
    dtype = np.dtype({"8 bits": "u1", "16 bits": "u2", "float": "f4"}[deep])
    shape = (*size, 1 if grey else 3)
    samples = {part: room_for((len(files), *shape), dtype) for part, files in layout.files.items()}
    places = [(part, at, path) for part, files in layout.files.items() for at, (_, path) in enumerate(files)]

    def fill(place: tuple[str, int, Path]) -> bool:
        part, at, path = place
        samples[part][at], seen_through = decode(pictures[path], size, grey=grey)
        return seen_through

    return samples, sum(_each(fill, places, "decoding pictures"))


def _each(work: Callable[[Given], Made], things: Sequence[Given], what: str) -> list[Made]:
    """The pictures made of each file, several at a time; decoders leave Python meanwhile.

    Raises:
        UserError: All files that cannot be read, in one sentence.
    """

    def one(thing: Given) -> Made | UnreadableError:
        try:
            return work(thing)
        except UnreadableError as error:
            return error

    made, errors = [], []
    with ThreadPoolExecutor() as pool:
        for done, picture in enumerate(pool.map(one, things), start=1):
            if isinstance(picture, UnreadableError):
                errors.append(picture)
            else:
                made.append(picture)
            tell(what, done, len(things))
    if errors:
        raise unreadable(errors, len(things))
    return made


def _common_size(pictures: Sequence[Picture], image_size: int | None) -> tuple[tuple[int, int], list[str]]:
    """(height, width) of the array to make, and a word where pictures are resized."""
    sizes = Counter(picture.size for picture in pictures)
    first = min(sizes)
    if image_size is not None:
        size = (image_size, image_size)
    elif len(sizes) == 1 and max(first) <= _LARGEST_KEPT:
        size = first
    else:
        size = (_DEFAULT_SIZE, _DEFAULT_SIZE)
    changed = sum(count for found, count in sizes.items() if found != size)
    if not changed:
        return size, []
    largest = max(sizes, key=lambda s: s[0] * s[1])
    smallest = min(sizes, key=lambda s: s[0] * s[1])
    span = sized(smallest) if smallest == largest else f"{sized(smallest)} to {sized(largest)}"
    note = f"{changed} of {len(pictures)} pictures ({span}, height x width) are resized to {sized(size)}"
    stretched = sum(
        count for (high, wide), count in sizes.items() if abs(high * size[1] / (wide * size[0]) - 1) > 0.02
    )
    tail = f", {stretched} of them stretched to another shape" if stretched else ""
    return size, [f"{note}{tail}; --image-size sets the size."]


def _check_depths(pictures: Sequence[Picture], root: Path) -> None:
    """Refuses 16-bit or float pictures beside others: their values mean other things.

    Raises:
        UserError: Depths are mixed, or colour is beside 16 bits.
    """
    depths = Counter(picture.depth for picture in pictures)
    if len(depths) == 1:
        return
    rare = min(depths, key=lambda depth: depths[depth])
    example = next(picture for picture in pictures if picture.depth == rare)
    counts = ", ".join(f"{count} of {depth}" for depth, count in sorted(depths.items()))
    raise UserError(
        f"{root} mixes pictures of different depths ({counts}), such as {example.path}.",
        "Save all of them with 8 bits a channel, or all with 16.",
    )


TASK = load
