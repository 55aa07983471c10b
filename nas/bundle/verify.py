"""Proves a bundle: it is what its manifest and model give, and what that compiles to computes what TFLM computes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import numpy as np

from cost_models.errors import UserError
from nas.bundle.bundle import Bundle
from nas.bundle.check import Checked, check_bundle
from nas.bundle.compiler import CompileError, HostCompiler, find_compiler
from nas.bundle.content import fnv1a
from nas.bundle.cross import Sections, has_cross_compiler, measure
from nas.bundle.errors import BundleError
from nas.bundle.manifest import Manifest
from nas.bundle.read_back import ReadBack, read_compiled
from nas.frontend.front_end import FrontEnd
from nas.frontend.spec import remake_spec, settings_of
from nas.model.anomaly_score import AnomalyScore
from nas.model.input_quantization import InputScaling
from nas.model.regression import NumberScaling, TargetScale
from nas.runtimes.interpreter import Engine, InterpreterError
from nas.runtimes.litert import LARGEST_DIFFERENCE
from nas.runtimes.reference import reference_engine, reference_model

if TYPE_CHECKING:
    from cost_models.target import Target

NO_COMPILER = (
    "no C++ compiler was found: the sources were compared with what the exporter writes, not compiled"
)

NPU_NOT_RUN = (
    "the model compiled for {accelerator} was not run, for want of one: golden vectors were answered by the int8"
    " model that it was compiled from"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The proof of a bundle.

    Attributes:
        checked: The bundle as it was written again.
        compiled: Whether the sources were compiled and run.
        sections: Of the objects for each Cortex-M core; empty without GNU Arm Embedded.
        notes: What a reader must know, such as a missing compiler or compiler warnings.
    """

    checked: Checked
    compiled: bool
    sections: tuple[Sections, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def golden_count(self) -> int:
        """Vectors that the engine answered as the bundle says."""
        return self.checked.manifest.golden_count

    @property
    def engine(self) -> Engine:
        """The interpreter that answered: "tflm", or "litert" where TFLM's is not installed."""
        return self.checked.engine


def verify(
    bundle: Bundle | Path,
    *,
    target: Target | None = None,
    compiler: HostCompiler | Literal["find"] | None = "find",
    cross: bool = True,
) -> Verification:
    """Check every byte of a bundle, then compile and run what was written again in its place.

    Code of the bundle's folder is never run: what is compiled is the exporter's own, found to be the same.

    Args:
        bundle: The bundle or its folder.
        target: What it was exported for, where that is a target file of the user's; a `Bundle` may know it.
        compiler: The host's compilers; None compiles nothing, "find" takes the machine's own.
        cross: Whether to compile for Cortex-M too, where GNU Arm Embedded is installed.

    Raises:
        BundleError: The first check that fails.
        UserError: The bundle was exported for a target that is not known here.
    """
    folder = bundle.path if isinstance(bundle, Bundle) else bundle
    if target is None and isinstance(bundle, Bundle):
        target = bundle.target
    host = find_compiler() if compiler == "find" else compiler
    checked = check_bundle(folder, target=target)
    manifest = checked.manifest
    unproved = [NPU_NOT_RUN.format(accelerator=manifest.npu.accelerator)] if manifest.npu else []
    unproved += checked.by_another_engine
    if host is None:
        return Verification(checked=checked, compiled=False, notes=(*unproved, NO_COMPILER))
    with tempfile.TemporaryDirectory() as scratch:
        for relative, data in checked.files.items():
            path = Path(scratch) / PurePosixPath(relative)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        sections, warnings = prove_sources(
            Path(scratch), manifest, int8=checked.int8, compiler=host, cross=cross
        )
    return Verification(checked=checked, compiled=True, sections=sections, notes=(*unproved, *warnings))


def prove_sources(
    folder: Path, manifest: Manifest, *, int8: bytes, compiler: HostCompiler, cross: bool = True
) -> tuple[tuple[Sections, ...], tuple[str, ...]]:
    """Compile a bundle's sources, run them on this machine, and compare what they hold and compute.

    Args:
        folder: The sources, which must be trusted.
        manifest: The bundle's manifest.
        int8: The int8 model.
        compiler: The host's compilers.
        cross: Whether to compile for Cortex-M too, where GNU Arm Embedded is installed.

    Returns:
        Sections of the objects for each core, and the compilers' warnings.

    Raises:
        BundleError: What was compiled is not what the exporter meant.
    """
    sections: tuple[Sections, ...] = ()
    try:
        printed = read_compiled(folder, manifest, compiler)
        if cross and has_cross_compiler():
            sections = measure(folder, manifest)
    except CompileError as error:
        raise BundleError("compile", f"The sources do not compile: {error}.") from error
    tflite = (folder / manifest.paths("model")[0]).read_bytes()
    _check_constants(manifest, tflite, printed)
    _check_answers(manifest, printed, int8 if manifest.npu else printed.model)
    _check_front_end(folder, manifest, printed)
    _check_sections(manifest, sections)
    return sections, (*printed.warnings, *(line for core in sections for line in core.warnings))


def _check_constants(manifest: Manifest, tflite: bytes, printed: ReadBack) -> None:
    if printed.model != tflite:
        at = next(
            (i for i, (a, b) in enumerate(zip(printed.model, tflite)) if a != b),
            min(len(printed.model), len(tflite)),
        )
        raise BundleError("array", f"The model array differs from {manifest.name}.tflite from byte {at} on.")
    if printed.misalignment:
        raise BundleError("array", f"The model array lies {printed.misalignment} B off a multiple of 16.")
    if printed.arena_bytes != manifest.arena_bytes:
        raise BundleError(
            "interface",
            f"The header's arena is {printed.arena_bytes} B, the manifest's {manifest.arena_bytes} B.",
        )
    if printed.class_names != manifest.class_names:
        raise BundleError(
            "labels",
            f"The class names are {', '.join(printed.class_names)}; the model was exported with"
            f" {', '.join(manifest.class_names)}.",
        )


def _check_front_end(folder: Path, manifest: Manifest, printed: ReadBack) -> None:
    """The array and the sizes that were read back, and what TFLM makes of the recordings, where it is installed."""
    entry, front_end = manifest.frontend, printed.frontend
    if entry is None or front_end is None:
        return
    tflite = (folder / manifest.paths("frontend_model")[0]).read_bytes()
    if front_end.model != tflite or front_end.misalignment:
        raise BundleError("array", f"The front end's array is not {manifest.name}_frontend.tflite, aligned.")
    sizes = (entry.sample_rate, entry.clip_samples, entry.window_samples, entry.hop_samples)
    if front_end.sizes != (*sizes, entry.frames, entry.bands, entry.channels):
        raise BundleError("interface", "The front end's header states other sizes than the manifest.")
    recordings = np.array(front_end.golden_recordings, np.int16)
    if recordings.size != entry.recordings * entry.clip_samples * entry.channels:
        raise BundleError(
            "golden", f"There are not {entry.recordings} golden recordings of the front end's size."
        )
    if reference_engine() != "tflm":
        return
    spec = remake_spec(entry.kind, entry.settings.model_dump(), entry.clip_samples)
    waveforms = recordings.reshape(entry.recordings, *spec.recording_shape)
    features = FrontEnd(settings_of(spec)).raw_features(waveforms).tobytes()
    if spec.tflite != front_end.model or printed.golden_raw[: len(features)] != features:
        raise BundleError(
            "golden", "The golden recordings are stale: the front end makes other features of them."
        )


def _check_sections(manifest: Manifest, sections: tuple[Sections, ...]) -> None:
    for core in sections:
        weights = manifest.emitted_bytes + (manifest.frontend.model_bytes if manifest.frontend else 0)
        if core.constant_bytes < weights:
            raise BundleError(
                "sections", f"On {core.core} the weights are not read-only data, which stays in flash."
            )
        if core.data_bytes or core.zero_bytes:
            taken = core.data_bytes + core.zero_bytes
            raise BundleError("sections", f"On {core.core} the model's own sources take {taken} B of SRAM.")


def _check_answers(manifest: Manifest, printed: ReadBack, runnable: bytes) -> None:
    """Run the array that was read back, of a model compiled for an NPU its source; no other file is used any more."""
    try:
        model = reference_model(runnable)
    except (InterpreterError, UserError) as error:
        raise BundleError("model", f"{error}.") from error
    scales = np.array([model.input.scale, model.output.scale], np.float32).tobytes()
    zero_points = (model.input.zero_point, model.output.zero_point)
    sizes = (model.input.size, model.output.size)
    if (printed.scales, printed.zero_points, (printed.input_size, printed.output_size)) != (
        scales,
        zero_points,
        sizes,
    ):
        raise BundleError("interface", "The header's sizes, scales or zero points are not the model's.")

    count = manifest.golden_count
    raw = np.frombuffer(printed.golden_raw, np.dtype(manifest.input.raw_type))
    if raw.size != count * model.input.size or len(printed.golden_output) != count * model.output.size:
        raise BundleError("golden", f"There are not {count} golden vectors of the model's size.")
    scaling = InputScaling(
        offset=manifest.input.offset, multiplier=manifest.input.multiplier, zero_point=model.input.zero_point
    )
    inputs = scaling.quantize(raw.reshape((count, *model.input.shape)))
    if printed.golden_quantized != inputs.tobytes():
        raise BundleError(
            "preprocessing", "The emitted C quantizes the golden samples to other bytes than Python."
        )
    hashes = np.array([fnv1a(row.tobytes()) for row in inputs], np.uint32).tobytes()
    if printed.golden_hash != hashes:
        raise BundleError(
            "golden", "The golden vectors are stale: the hashes of the quantized inputs differ."
        )
    if printed.scores is not None and manifest.anomaly is not None:
        stated, computed, threshold = printed.scores
        score = AnomalyScore.fold(
            scales=(model.input.scale, model.output.scale), zero_points=zero_points, elements=model.input.size
        )
        wanted = score.of(inputs, np.frombuffer(printed.golden_output, np.int8).reshape(count, -1)).tolist()
        if not list(stated) == list(computed) == wanted or threshold != manifest.anomaly.threshold:
            raise BundleError("golden", "The emitted C scores the golden samples otherwise than Python.")
    if manifest.numbers:
        _check_numbers(manifest, printed, scale=model.output.scale, zero_point=model.output.zero_point)
    expected = np.frombuffer(printed.golden_output, np.int8).reshape((count, *model.output.shape))
    answers = model.run(inputs)
    allowed = 0 if model.engine == manifest.engine else LARGEST_DIFFERENCE
    for vector in range(count):
        difference = int(np.abs(answers[vector].astype(np.int16) - expected[vector]).max(initial=0))
        if difference > allowed:
            raise BundleError(
                "golden",
                f"The golden vectors are stale: of vector {vector} the model answers"
                f" {answers[vector].ravel()[:12].tolist()}, the bundle says {expected[vector].ravel()[:12].tolist()}.",
            )


def _check_numbers(manifest: Manifest, printed: ReadBack, *, scale: float, zero_point: int) -> None:
    """The numbers that the emitted C makes of the golden outputs, and their names."""
    targets = tuple(
        TargetScale(name=one.name, mean=one.mean, deviation=one.deviation) for one in manifest.numbers
    )
    scaling = NumberScaling.fold(targets, scale=scale, zero_point=zero_point)
    codes = np.frombuffer(printed.golden_output, np.int8).reshape(manifest.golden_count, -1)
    numbers = scaling.numbers(codes).tobytes()
    wanted = (numbers, numbers, tuple(one.name for one in targets))
    stated = tuple((one.multiplier, one.offset) for one in manifest.numbers)
    if printed.numbers != wanted or stated != tuple(zip(scaling.multiplier, scaling.offset, strict=True)):
        raise BundleError("golden", "The emitted C makes other numbers of the golden outputs than Python.")
