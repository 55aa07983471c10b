"""Checks a bundle without running any of it: everything is written again from manifest and model, and compared."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cost_models.arena import CMSIS_NN_VERSION, TFLM_VERSION
from cost_models.errors import UserError
from cost_models.reading import LARGEST_MODEL_BYTES
from nas.bundle.bundle import render_bundle
from nas.bundle.content import BundleContent, sha256
from nas.bundle.errors import BundleError
from nas.bundle.manifest import (
    MANIFEST_NAME,
    AccuracyEntry,
    Manifest,
    exporter_version,
    parse_manifest,
    read_manifest_bytes,
)
from nas.bundle.remake import remake_content
from nas.bundle.untrusted import golden_words, read_file, shown
from nas.model.groups import MOST_SHOWN
from nas.runtimes.interpreter import Engine
from nas.runtimes.litert import LARGEST_DIFFERENCE
from nas.runtimes.reference import NOT_BY_TFLM

if TYPE_CHECKING:
    from cost_models.costing import Costs
    from cost_models.target import Target

_MOST_FILES = 200
_EXACT_COSTS = {"ops", "macs", "sram_bytes", "arena_used_bytes", "model_bytes"}
_LARGEST_COUNT = 1 << 53

ON_TRUST = (
    "taken from the manifest on trust, since a bundle cannot prove them: counts of correct answers, golden samples and"
    " their share, names, licence and provenance"
)
DIFFERING = (
    "{count} of {of} golden vectors differ by 1 between LiteRT and TFLM's interpreter: one of them answered when the"
    " bundle was exported, the other now"
)
FEATURES_ON_TRUST = (
    "that the front end makes the first golden samples of the golden recordings was not computed: TFLM's interpreter,"
    " which alone runs front ends, is not installed on this machine"
)
NPU_ON_TRUST = (
    "the model compiled for {accelerator} and the estimates of {compiler} were not compared with a new compilation:"
    " this version of it is not installed"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A bundle whose every byte is what its manifest and its model give.

    Attributes:
        manifest: Its manifest.
        files: Every file of it, as written again.
        target: What it was exported for.
        costs: Of the int8 model on that target.
        int8: The int8 model.
        engine: The interpreter that answered the golden vectors here.
        by_another_engine: What follows where that is not TFLM's, or not that of the export.
        notes: What the check could not compute and took on trust.
    """

    manifest: Manifest
    files: Mapping[str, bytes]
    target: Target
    costs: Costs
    int8: bytes
    engine: Engine
    by_another_engine: tuple[str, ...]
    notes: tuple[str, ...]


def check_bundle(folder: Path, *, target: Target | None = None) -> Checked:
    """Write a bundle again from its manifest, its model and its golden samples, and compare every byte.

    Nothing of the bundle is compiled or run but the model itself, by TFLM's interpreter.

    Args:
        folder: The bundle.
        target: Stands for the target of its name, where that is a target file of the user's.

    Raises:
        BundleError: A file, a path or a number that is not what manifest and model give.
        UserError: The bundle was exported for a target that is not known here.
    """
    try:
        text = read_manifest_bytes(folder)
        manifest = parse_manifest(text)
    except ValueError as error:
        raise BundleError("manifest", f"{error}.") from error
    present = _listed(folder)
    _check_version(manifest)
    _check_accuracies(manifest)
    target = _target(manifest, target)
    content, compared = remake_content(folder, manifest, target, present)
    engine = content.engine
    content, odd = _as_exported(folder, manifest, content, present)
    try:
        again, files = render_bundle(content, manifest.format)
    except (ValueError, OverflowError) as error:
        raise BundleError("manifest", f"{MANIFEST_NAME} cannot be written again: {error}.") from error
    # A changed file is told by its name, not by its hash in the manifest.
    _check_fields(manifest, again, leave_out={"files"})
    _check_files(folder, manifest, files, present)
    _check_fields(manifest, again, leave_out=set())
    if text != files[MANIFEST_NAME]:
        raise BundleError("manifest", f"{MANIFEST_NAME} is not written as the exporter writes it.")
    npu = manifest.npu
    unproved = []
    if npu and not compared:
        unproved.append(NPU_ON_TRUST.format(accelerator=npu.accelerator, compiler=npu.compiler))
    if content.frontend and engine != "tflm":
        unproved.append(FEATURES_ON_TRUST)
    return Checked(
        manifest=manifest,
        files=files,
        target=target,
        costs=content.costs,
        int8=content.model.tflite,
        engine=engine,
        by_another_engine=odd,
        notes=(ON_TRUST, *unproved, *odd),
    )


def _listed(folder: Path) -> dict[str, int]:
    """The size of every file by its path.

    Raises:
        BundleError: Something that is neither a regular file nor a folder, or too many files.
    """
    sizes: dict[str, int] = {}
    folders = [""]
    while folders:
        above = folders.pop()
        try:
            entries = sorted(os.scandir(folder / above), key=lambda entry: entry.name)
        except OSError as error:
            raise BundleError(
                "files", f"The folder {above or folder} cannot be read: {error.strerror}."
            ) from error
        if above and not entries:
            raise BundleError("files", f"The folder {shown(above)} is empty: the exporter makes none such.")
        for entry in entries:
            path = f"{above}/{entry.name}" if above else entry.name
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)
            elif not stat.S_ISREG(status.st_mode):
                raise BundleError("files", f"{shown(path)} is not a regular file.")
            else:
                sizes[path] = status.st_size
            if len(sizes) + len(folders) > _MOST_FILES:
                raise BundleError("files", f"The folder holds more than {_MOST_FILES} files.")
    return sizes


def _check_version(manifest: Manifest) -> None:
    """Tell a bundle of another version from one that was changed: its sources, too, are other ones."""
    here = exporter_version()
    if manifest.exporter != here:
        by = (
            f"mcu-nas {manifest.exporter}"
            if manifest.exporter
            else "a version of mcu-nas that left no version"
        )
        raise BundleError(
            "version",
            f"The bundle was exported by {by} and this is mcu-nas {here}:"
            " check it by that version, or export it again.",
        )
    runtime = manifest.runtime
    if runtime.tflite_micro != TFLM_VERSION or runtime.cmsis_nn not in (None, CMSIS_NN_VERSION):
        raise BundleError(
            "version",
            f"The bundle was exported for tflite-micro {runtime.tflite_micro} and CMSIS-NN {runtime.cmsis_nn},"
            f" whose costs are not known here: these are {TFLM_VERSION} and {CMSIS_NN_VERSION}.",
        )


def _check_accuracies(manifest: Manifest) -> None:
    """Refuses counts that do not even agree with themselves."""
    task = manifest.task
    if any(not 0 <= count <= _LARGEST_COUNT for count in task.samples.values()):
        raise BundleError("manifest", f"{MANIFEST_NAME}: task.samples are not counts.")
    share = manifest.golden_share
    if share and not (0 <= share.noticed <= share.tried <= _LARGEST_COUNT and share.tried):
        raise BundleError("manifest", f"{MANIFEST_NAME}: golden_share is not a share.")
    parts = [(entry.part, entry.engine) for entry in manifest.accuracies]
    if len(set(parts)) != len(parts):
        raise BundleError("manifest", f"{MANIFEST_NAME}: accuracies state one part by one engine twice.")
    for entry in manifest.accuracies:
        fault = _fault(entry, len(task.class_names), task.samples.get(entry.part))
        if fault:
            raise BundleError(
                "manifest", f"{MANIFEST_NAME}: accuracies, {entry.part} by {entry.engine}: {fault}."
            )


def _fault(entry: AccuracyEntry, classes: int, samples: int | None) -> str | None:
    if not 0 < entry.total <= _LARGEST_COUNT or not 0 <= entry.correct <= entry.total:
        return f"{entry.correct} of {entry.total} is not a share"
    if samples is not None and entry.total != samples:
        return f"{entry.total} answers, but the task has {samples} samples"
    if (stated := entry.groups) is not None:
        count = len(stated.groups)
        if (
            count != min(stated.measured, MOST_SHOWN)
            or sum(group.samples for group in stated.groups) > entry.total
        ):
            return f"{count} groups are stated of {stated.measured} that are measured"
    table = entry.confusion
    if not table:
        return None
    if len(table) != classes or any(len(row) != classes or min(row, default=0) < 0 for row in table):
        return f"the confusion matrix is not a table of {classes} classes"
    if sum(map(sum, table)) != entry.total:
        return f"the confusion matrix counts {sum(map(sum, table))} answers and not {entry.total}"
    right = sum(row[at] for at, row in enumerate(table))
    if right != entry.correct:
        return f"the confusion matrix counts {right} correct answers and not {entry.correct}"
    return None


def _target(manifest: Manifest, given: Target | None) -> Target:
    from cost_models.target_file import load_target
    from cost_models.target_names import list_targets

    name = manifest.target.name
    if given is not None and given.name == name:
        return given
    # Only names: the text of a manifest must not lead to files.
    if name not in list_targets():
        raise UserError(
            f"The bundle was exported for the target {name[:80]!r}, which is not known here.",
            "Give its file: --target FILE.",
        )
    return load_target(name)


def _as_exported(
    folder: Path, manifest: Manifest, content: BundleContent, present: Mapping[str, int]
) -> tuple[BundleContent, tuple[str, ...]]:
    """The content with the answers of the interpreter that exported, where that is another than the one here."""
    notes: tuple[str, ...] = () if content.engine == "tflm" else (NOT_BY_TFLM,)
    if content.engine == manifest.engine:
        return content, notes
    words = golden_words(folder, manifest, "int8_t", "golden_output", present)
    try:
        stated = np.array([int(word) for word in words], np.int8).reshape(content.golden_outputs.shape)
    except (ValueError, OverflowError) as error:
        raise BundleError("golden", "The golden outputs are none of the model's output.") from error
    difference = np.abs(stated.astype(np.int16) - content.golden_outputs).reshape(len(stated), -1).max(axis=1)
    if difference.max(initial=0) > LARGEST_DIFFERENCE:
        at = int(difference.argmax())
        raise BundleError("golden", f"The golden vectors are stale: the model answers vector {at} otherwise.")
    if count := int((difference > 0).sum()):
        notes += (DIFFERING.format(count=count, of=len(stated)),)
    return replace(content, golden_outputs=stated, engine=manifest.engine), notes


def _check_fields(manifest: Manifest, again: Manifest, *, leave_out: set[str]) -> None:
    """Name the first number of the manifest that is not what the model gives."""
    if manifest.frontend is not None and manifest.frontend.frame is None and again.frontend is not None:
        # Exported before a frame's cycles were known.
        again = again.model_copy(update={"frontend": again.frontend.model_copy(update={"frame": None})})
    stated = manifest.model_dump(mode="json", exclude=leave_out)
    computed = again.model_dump(mode="json", exclude=leave_out)
    difference = _first_difference(stated, computed, "")
    if difference is None:
        return
    where, said, given = difference
    hint = ""
    if where.split(".")[0] in ("costs", "target"):
        hint = f" If {manifest.target.name} is a target file of your own, give it: --target FILE."
    if where.startswith("costs.") and where.removeprefix("costs.") not in _EXACT_COSTS:
        hint += " It is a prediction: another build of mcu-nas, also of this version, may make another."
    raise BundleError(
        "manifest",
        f"{MANIFEST_NAME}: {where} is {_brief(said)}, model and target give {_brief(given)}.{hint}",
    )


def _first_difference(stated: Any, computed: Any, where: str) -> tuple[str, Any, Any] | None:
    if isinstance(stated, dict) and isinstance(computed, dict) and stated.keys() == computed.keys():
        pairs = [(stated[key], computed[key], f"{where}.{key}".lstrip(".")) for key in stated]
    elif isinstance(stated, list) and isinstance(computed, list) and len(stated) == len(computed):
        pairs = [(*pair, f"{where}.{at}") for at, pair in enumerate(zip(stated, computed, strict=True))]
    else:
        return None if stated == computed else (where, stated, computed)
    return next(filter(None, (_first_difference(*pair) for pair in pairs)), None)


def _brief(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _check_files(
    folder: Path, manifest: Manifest, files: Mapping[str, bytes], present: Mapping[str, int]
) -> None:
    stated = {entry.path: entry.sha256 for entry in manifest.files}
    roles = {entry.path: entry.role for entry in manifest.files}
    for path in files:
        if path not in present:
            raise BundleError("files", f"{path} is missing.")
    for path in sorted(present):
        if path not in files:
            raise BundleError("files", f"{shown(path)} is in the folder, but the exporter did not write it.")
    for path in sorted(set(files) - {MANIFEST_NAME}):
        wanted = files[path]
        data = (
            read_file(folder, path, LARGEST_MODEL_BYTES * 8, present)
            if present[path] == len(wanted)
            else None
        )
        if data == wanted:
            continue
        data = read_file(folder, path, LARGEST_MODEL_BYTES * 8, present) if data is None else data
        if sha256(data) != stated.get(path):
            raise BundleError("hash", f"{path} is not the file that was exported: its sha256 differs.")
        where = _first_line(data, wanted)
        if roles[path] == "golden_source":
            raise BundleError(
                "golden",
                f"The golden vectors are stale: from line {where} on {path} is not what TFLM answers to its samples.",
            )
        raise BundleError(
            "content", f"{path} is not what manifest and model give: it differs from line {where} on."
        )


def _first_line(data: bytes, wanted: bytes) -> int:
    lines = zip(data.split(b"\n"), wanted.split(b"\n"), strict=False)
    pairs = enumerate(lines, start=1)
    return next(
        (at for at, (line, other) in pairs if line != other), min(data.count(b"\n"), wanted.count(b"\n")) + 1
    )
