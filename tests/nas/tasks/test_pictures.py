"""Pictures are read as a person sees them, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cost_models.errors import UserError
from nas.tasks import load_task
from nas.tasks.loading import memory
from nas.tasks.options import TaskOptions

RNG = np.random.default_rng(0)
Save = Callable[[Path, str], None]


def noise(high: int = 12, wide: int = 12) -> Any:
    return RNG.integers(0, 255, (high, wide, 3)).astype(np.uint8)


def load(root: Path, save: Save, **kwargs: Any) -> Any:
    """Ten pictures of each of two classes; `save` takes a path without suffix and the class."""
    for name in ("cat", "dog"):
        (root / name).mkdir()
        for index in range(10):
            save(root / name / f"{index:02}", name)
    return load_task(f"images:{root}", TaskOptions(**kwargs))


def levels(name: str, high: int, wide: int) -> Any:
    return (RNG.normal(9000 if name == "cat" else 30000, 400, (high, wide))).astype(np.uint16)


def test_colour_is_left_out_where_that_is_asked_for_and_said(tmp_path: Path) -> None:
    def save(path: Path, name: str) -> None:
        shade = noise()
        Image.fromarray(shade if name == "cat" else shade[:, :, 0]).save(f"{path}.png")

    dataset = load(tmp_path, save, grayscale=True)
    assert dataset.info.input_shape == (12, 12, 1)
    assert dataset.notes[0] == "Made grey: 10 of 20 pictures, by their luminance."
    assert load_task(f"images:{tmp_path}", TaskOptions()).info.input_shape == (12, 12, 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("side", [12, 120])
def test_sixteen_bits_keep_their_values(suffix: str, side: int, tmp_path: Path) -> None:
    dataset = load(tmp_path, lambda p, n: Image.fromarray(levels(n, side, side)).save(f"{p}.{suffix}"))
    means = [dataset.samples["train"][dataset.labels["train"] == c].mean() for c in (0, 1)]
    assert means == pytest.approx([9000, 30000], rel=0.02)
    assert dataset.samples["train"].dtype == np.int16
    assert dataset.report.levels[0] > 25


def test_floats_keep_their_values(tmp_path: Path) -> None:
    dataset = load(
        tmp_path,
        lambda p, n: Image.fromarray(np.full((8, 8), 0.2 if n == "cat" else 0.7, np.float32)).save(
            f"{p}.tif"
        ),
    )
    assert set(np.unique(dataset.samples["train"])) == {np.float32(0.2), np.float32(0.7)}


def test_transparent_pictures_are_shown_over_white_and_counted(tmp_path: Path) -> None:
    def save(path: Path, name: str) -> None:
        alpha = np.full((12, 12, 1), 0 if name == "cat" else 255, np.uint8)
        Image.fromarray(np.concatenate([noise() // 2, alpha], 2)).save(f"{path}.png")

    dataset = load(tmp_path, save)
    assert (dataset.samples["train"][dataset.labels["train"] == 0] == 255).all()
    assert dataset.samples["train"][dataset.labels["train"] == 1].max() < 128
    assert dataset.notes[0] == "10 pictures with transparent places: shown over white."


def test_a_palette_with_a_transparent_colour_is_shown_over_white(tmp_path: Path) -> None:
    def save(path: Path, name: str) -> None:
        image = Image.fromarray(np.zeros((8, 8), np.uint8), "P")
        image.putpalette([10, 20, 30] * 256)
        image.save(f"{path}.png", transparency=0) if name == "cat" else image.save(f"{path}.png")

    dataset = load(tmp_path, save)
    pixels = [dataset.samples["train"][dataset.labels["train"] == c][0, 0, 0].tolist() for c in (0, 1)]
    assert pixels == [[255, 255, 255], [10, 20, 30]]


# What a camera stores of an upright picture, by the orientation that it notes.
STORED: dict[int, Callable[[Any], Any]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("bits", [8, 16])
def test_pictures_are_turned_as_their_cameras_noted(
    suffix: str, orientation: int, bits: int, tmp_path: Path
) -> None:
    grey = np.zeros((20, 12), np.uint8)
    grey[:10, :6], grey[:10, 6:] = 255, 128
    upright = grey if bits == 8 else grey.astype(np.uint16) * 100

    def save(path: Path, name: str) -> None:
        image = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
        exif = image.getexif()
        exif[0x0112] = orientation
        image.save(f"{path}.{suffix}", exif=exif)

    dataset = load(tmp_path, save)
    assert dataset.info.input_shape == (20, 12, 1)
    assert (dataset.samples["train"][..., 0] == upright).all()
    if orientation > 1:
        assert dataset.notes[0] == "20 pictures turned upright, as the camera noted."


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_other_colour_spaces_look_the_same(mode: str, tmp_path: Path) -> None:
    colour = np.full((8, 8, 3), (200, 40, 20), np.uint8)
    suffix = "jpg" if mode != "LAB" else "tif"
    shades = {"cat": colour, "dog": colour // 2}
    dataset = load(tmp_path, lambda p, n: Image.fromarray(shades[n]).convert(mode).save(f"{p}.{suffix}"))
    for label, shade in enumerate(shades.values()):
        seen = dataset.samples["train"][dataset.labels["train"] == label]
        assert np.abs(seen.astype(int) - shade).max() < 12


def animated(path: Path, suffix: str) -> None:
    Image.fromarray(noise()).save(
        f"{path}.{suffix}", save_all=True, append_images=[Image.fromarray(noise()), Image.fromarray(noise())]
    )


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_several_frames_are_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=rf"20 of 20 files are not readable pictures: .*00\.{suffix} \(3 frames\)"
    ):
        load(tmp_path, lambda p, n: animated(p, suffix))


def test_depths_are_not_mixed(tmp_path: Path) -> None:
    def save(path: Path, name: str) -> None:
        Image.fromarray(levels(name, 12, 12).astype(np.uint16 if name == "cat" else np.uint8)).save(
            f"{path}.png"
        )

    with pytest.raises(
        UserError, match=r"mixes pictures of different depths \(10 of 16 bits, 10 of 8 bits\), such as"
    ):
        load(tmp_path, save)


def test_wide_integers_and_white_as_zero_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    wide = np.array([[0, 100000]], np.int32).repeat(4, 0)
    with pytest.raises(UserError, match=r"00\.tif \(32-bit integers of 0 to 100000\)"):
        load(tmp_path / "a", lambda p, n: Image.fromarray(wide).save(f"{p}.tif"))
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match=r"\(16 bits with white as zero\)"):
        load(
            tmp_path / "b", lambda p, n: Image.fromarray(levels(n, 8, 8)).save(f"{p}.tif", tiffinfo={262: 0})
        )


def test_resizing_is_said(tmp_path: Path) -> None:
    sizes = iter([(12, 10)] * 5 + [(200, 300)] * 15)
    dataset = load(tmp_path, lambda p, n: Image.fromarray(noise(*next(sizes))).save(f"{p}.png"))
    assert dataset.notes[0] == (
        "20 of 20 pictures (12 x 10 to 200 x 300, height x width) are resized to 48 x 48, 20 of them stretched to"
        " another shape; --image-size sets the size."
    )


def test_pictures_beyond_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 20)
    with pytest.raises(
        UserError, match=r"would take about 75 MB of memory; 1 MB are available\. Give a smaller"
    ):
        load(tmp_path, lambda p, n: Image.fromarray(noise()).save(f"{p}.png"), image_size=512)
