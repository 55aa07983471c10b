"""Writes a bundle: renders it whole, then puts the folder in place at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cost_models.errors import UserError
from nas.bundle.content import BundleContent, make_content
from nas.bundle.layout import File, load_layout
from nas.bundle.make_manifest import make_manifest
from nas.bundle.manifest import MANIFEST_NAME, Manifest, read_manifest
from nas.bundle.sources import render
from nas.model.trained import TrainedModel

if TYPE_CHECKING:
    from cost_models.budget import Budget
    from cost_models.costing import Costs
    from cost_models.target import Target

# A checkout that converts line ends, or filters models, would break the hashes.
_GIT_ATTRIBUTES = b"* -text\n*.tflite binary -filter -text\n"
_SCRATCH = ".mcu-nas-"  # begins the name of the folder in which a bundle is written before it is put in place


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A folder of files for a firmware repository.

    Attributes:
        path: The folder.
        manifest: What its manifest.json says.
        target: What it was exported for; None finds the target by the name in the manifest.
    """

    path: Path
    manifest: Manifest
    target: Target | None = None

    @classmethod
    def read(cls, path: Path, *, target: Target | None = None) -> Bundle:
        """The bundle in a folder.

        Args:
            path: The folder.
            target: What it was exported for, where that is a target file of the user's.

        Raises:
            ValueError: The folder has no manifest, or a broken one.
        """
        return cls(path=path, manifest=read_manifest(path), target=target)


def export(
    model: TrainedModel,
    *,
    target: Target,
    costs: Costs,
    out: Path,
    format: str = "tflm",  # noqa: A002 - the command line's word
    budget: Budget | None = None,
) -> Bundle:
    """Write a model as a bundle: the same model gives the same bytes.

    Args:
        model: The finished model; its `tflite` is emitted as it stands, or as Vela compiles it for the target's NPU.
        target: What it was costed for.
        costs: Of `model.tflite` on the target; `sram_bytes` becomes the arena's size.
        out: The folder, made or replaced; it may hold an older bundle and nothing else.
        format: The layout, see `LAYOUTS`.
        budget: The limits, kept in the manifest; a model over them is refused.

    Raises:
        UserError: An unknown format, a model that cannot leave as C, or a folder that holds something else.
    """
    load_layout(format)
    content = make_content(model, target=target, costs=costs, budget=budget)
    manifest, files = render_bundle(content, format)
    _write(out, files)
    return Bundle(path=out, manifest=manifest, target=target)


def render_bundle(content: BundleContent, format_name: str) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, and the bytes of every file by its path: a function of the content and the layout alone.

    Raises:
        UserError: An unknown format.
    """
    files = {**load_layout(format_name).files(content), **documents(content)}
    manifest = make_manifest(content, format_name=format_name, files=files)
    contents = {path: file.data for path, file in files.items()}
    return manifest, {**contents, MANIFEST_NAME: manifest.to_json().encode()}


def documents(content: BundleContent) -> dict[str, File]:
    """The files that every bundle has besides its layout's: the model, and what is said of it."""
    from nas.bundle.model_card import model_card

    name = content.model.name
    source = {f"{name}_int8.tflite": File(role="int8_model", data=content.model.tflite)}
    frontend = content.frontend
    return {
        f"{name}.tflite": File(role="model", data=content.emitted),
        **(source if content.npu else {}),
        **(
            {f"{name}_frontend.tflite": File(role="frontend_model", data=frontend.spec.tflite)}
            if frontend
            else {}
        ),
        ".gitattributes": File(role="build", data=_GIT_ATTRIBUTES),
        "MODEL_CARD.md": File(role="document", data=model_card(content).encode()),
        "LICENSE-NOTE.txt": File(role="licence", data=render("license_note.txt.j2", content).encode()),
    }


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    _check_folder(out)
    there = out.exists()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=out if there else out.parent))
    except OSError as error:
        raise _cannot_write(out, error) from error
    fresh = scratch / "new"
    try:
        fresh.mkdir(mode=0o755)
        for relative, data in files.items():
            path = fresh / PurePosixPath(relative)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if there:
            _replace_content(out, scratch)
        else:
            fresh.replace(out)
    except OSError as error:
        raise _cannot_write(out, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replace_content(out: Path, scratch: Path) -> None:
    """Puts what is in `scratch`/new in the place of all else in a folder, or leaves all as it was.

    The folder itself stays: it may be a link, a mount point or where a shell is. Whenever this is killed, what stands
    in the folder is of one bundle, and its manifest is there as long as any other file is.
    """
    fresh, old = scratch / "new", scratch / "old"
    old.mkdir()
    gone = sorted((path for path in out.iterdir() if path != scratch), key=_is_manifest)
    come = sorted(fresh.iterdir(), key=_is_manifest, reverse=True)
    moves = [(path, old / path.name) for path in gone] + [(path, out / path.name) for path in come]
    done = []
    try:
        for source, target in moves:
            source.replace(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.replace(source)
        raise


def _is_manifest(path: Path) -> bool:
    return path.name == MANIFEST_NAME


def _check_folder(out: Path) -> None:
    """Refuse to replace what the exporter did not write."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{out} is a file.", "Give a folder for the bundle.")
    if not any(_not_scratch(path) for path in out.iterdir()):
        return
    try:
        own = {entry.path for entry in read_manifest(out).files} | {MANIFEST_NAME}
    except ValueError as error:
        raise UserError(
            f"{out} holds files and is not a bundle ({error}).",
            "Give a new folder, or one of an older bundle.",
        ) from error
    paths = (path.relative_to(out) for path in out.rglob("*") if not path.is_dir())
    present = {path.as_posix() for path in paths if _not_scratch(Path(path.parts[0]))}
    if foreign := sorted(present - own):
        raise UserError(
            f"{out} holds {foreign[0]}, which the exporter did not write.", "Move it, or give a new folder."
        )


def _not_scratch(path: Path) -> bool:
    """Whether a path is not what an export left that was killed."""
    return not path.name.startswith(_SCRATCH)


def _cannot_write(out: Path, error: OSError) -> UserError:
    return UserError(f"{out} cannot be written: {error.strerror or error}.", "Give a folder that can.")
