"""Reads picture files as a person sees them: turned upright, over white where transparent, 16 bits as 16 bits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.words import listed
from nas.tasks.loading.class_folders import show

if TYPE_CHECKING:
    from PIL.Image import Image

Depth = Literal["8 bits", "16 bits", "float"]

_MOST_PIXELS = 50_000_000
_ORIENTATION = 0x0112  # of EXIF
_PHOTOMETRIC = 262  # of TIFF: 0 is white
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The header of a picture file.

    Attributes:
        path: The file.
        size: (height, width), upright.
        grey: Whether it has no colour.
        depth: What a pixel is.
        transparent: Whether some of it may be.
        turned: Whether its camera noted that it must be turned.
    """

    path: Path
    size: tuple[int, int]
    grey: bool
    depth: Depth
    transparent: bool
    turned: bool


class UnreadableError(Exception):
    """A file that cannot be shown as one picture, with the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


def inspect(path: Path) -> Picture:
    """Reads the header of a picture.

    Raises:
        UnreadableError: It is not a picture, or none that can be shown.
    """
    with _opened(path) as image:
        height, width = image.height, image.width
        if height * width > _MOST_PIXELS:
            raise UnreadableError(path, f"more than {_MOST_PIXELS:,} pixels")
        # Telephones add a second view (MPO), which nobody is shown.
        frames = int(getattr(image, "n_frames", 1))
        if frames > 1 and image.format != "MPO":
            raise UnreadableError(path, f"{frames} frames")
        mode = image.mode
        depth: Depth = "8 bits"
        if mode.startswith("I"):
            depth = "16 bits"
        elif mode == "F":
            depth = "float"
        if depth != "8 bits" and image.format == "TIFF" and _tag(image, _PHOTOMETRIC) == 0:
            raise UnreadableError(path, f"{depth} with white as zero")
        orientation = image.getexif().get(_ORIENTATION, 1)
        # Of a TIFF, Pillow gives the upright size already.
        if orientation in (5, 6, 7, 8) and image.format != "TIFF":
            height, width = width, height
        return Picture(
            path=path,
            size=(height, width),
            grey=mode in ("1", "L", "LA", "La", "F") or depth == "16 bits",
            depth=depth,
            transparent=mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info,
            turned=orientation in range(2, 9),
        )


def decode(picture: Picture, size: tuple[int, int], *, grey: bool) -> tuple[NDArray[np.generic], bool]:
    """The pixels, and whether transparent ones were laid over white. Shape: (h, w, 1) or (h, w, 3).

    Raises:
        UnreadableError: The file is damaged.
    """
    from PIL import Image, ImageOps

    with _opened(picture.path) as image:
        upright = ImageOps.exif_transpose(image) if picture.turned else image
        seen_through = False
        if picture.depth == "8 bits":
            if picture.transparent:
                upright, seen_through = _over_white(upright)
            shown = upright.convert("L" if grey else "RGB")
        else:
            if picture.transparent:
                raise UnreadableError(picture.path, f"transparent with {picture.depth}")
            if picture.depth == "16 bits":
                values = np.asarray(upright)
                low, high = int(values.min()), int(values.max())
                if low < 0 or high > 65535:
                    raise UnreadableError(picture.path, f"32-bit integers of {low} to {high}")
            shown = upright.convert("F") if upright.mode != "F" else upright
        if (shown.height, shown.width) != size:
            shown = shown.resize((size[1], size[0]), Image.Resampling.BOX)
        pixels = np.asarray(shown)
    if picture.depth == "16 bits":
        pixels = np.rint(pixels).astype(np.uint16)
    return pixels.reshape(*size, -1), seen_through


def unreadable(errors: Sequence[UnreadableError], checked: int) -> UserError:
    """One sentence on all files that cannot be read."""
    if len(errors) == 1:
        return UserError(
            f"{show(errors[0].path)} is not a readable picture ({errors[0].reason}).",
            "Remove it, or save it again as PNG or JPEG.",
        )
    named = listed([f"{show(error.path)} ({error.reason})" for error in errors], _NAMED)
    return UserError(
        f"{len(errors)} of {checked} files are not readable pictures: {named}.",
        "Remove them, or save them again as PNG or JPEG.",
    )


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """An open picture; whatever its decoder raises comes out as `UnreadableError`."""
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():  # a broken link, or a pipe that would never end
        raise UnreadableError(path, "not a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # By its path Pillow would map a TIFF into memory, and mix its pixels up where it is to be turned.
            with path.open("rb") as file, Image.open(file) as image:
                yield image
    except UnreadableError:
        raise
    except Image.DecompressionBombError:
        raise UnreadableError(path, f"more than {_MOST_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise UnreadableError(path, "empty" if not path.stat().st_size else "no picture") from None
    except OSError as error:
        raise UnreadableError(path, (error.strerror or "damaged").lower()) from None
    except MemoryError:
        raise
    except (
        Exception
    ) as error:  # decoders raise what they like: ValueError, SyntaxError, struct.error, KeyError ...
        raise UnreadableError(path, str(error).splitlines()[0][:80] if str(error) else "damaged") from None


def _over_white(image: Image) -> tuple[Image, bool]:
    """The picture over a white background, and whether anything shows through."""
    from PIL import Image as Pillow

    full = image.convert("RGBA")
    if full.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB"), False
    white = Pillow.new("RGBA", full.size, (255, 255, 255, 255))
    return Pillow.alpha_composite(white, full).convert("RGB"), True


def _tag(image: Any, number: int) -> Any:
    return image.tag_v2.get(number) if hasattr(image, "tag_v2") else None
