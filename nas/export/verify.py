"""Proves a bundle: its files are those exported, and what they compile to computes what TFLM computes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cost_models.arena import arena
from cost_models.errors import UserError
from cost_models.ethos_u import compiled_arena, read_compiled_model
from cost_models.graph import OpGraph
from cost_models.tflite_graph import read_graph
from nas.export.bundle import Bundle
from nas.export.compiler import CompileError, HostCompiler, find_compiler
from nas.export.context import fnv1a, sha256
from nas.export.cross import Sections, has_cross_compiler, measure
from nas.export.manifest import MANIFEST_NAME, Manifest, read_manifest
from nas.export.operators import kind_of_method
from nas.export.read_back import ReadBack, read_compiled, read_text
from nas.interpreter import Engine, InterpreterError
from nas.litert import LARGEST_DIFFERENCE
from nas.quantize_input import InputScaling
from nas.reference import NOT_BY_TFLM, reference_model

Reason = Literal[
    "manifest",
    "files",
    "hash",
    "model",
    "operators",
    "arena",
    "costs",
    "budget",
    "compile",
    "array",
    "labels",
    "interface",
    "preprocessing",
    "golden",
    "sections",
]

NO_COMPILER = (
    "no C++ compiler was found: the sources were read as text, not compiled,"
    " and the preprocessing was not run"
)


NPU_NOT_RUN = (
    "the model compiled for {accelerator} was not run, for want of one: golden vectors were answered by the int8"
    " model that it was compiled from"
)


DIFFERING = (
    "{count} of {of} golden vectors differ by 1 between LiteRT and TFLM's interpreter: one of them answered when the"
    " bundle was exported, the other now"
)


class BundleError(Exception):
    """A bundle that must not be used.

    Args:
        reason: Which check it fails.
        message: What differs, as one sentence.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was proved of a bundle.

    Attributes:
        compiled: Whether the sources were compiled; else their text was read.
        golden_count: Vectors that the engine answered as the bundle says.
        engine: The interpreter that answered: "tflm", or "litert" where TFLM's is not installed.
        sections: Of the objects for each Cortex-M core; empty without GNU Arm Embedded.
        notes: What a reader must know, such as a missing compiler or compiler warnings.
    """

    compiled: bool
    golden_count: int
    engine: Engine = "tflm"
    sections: tuple[Sections, ...] = ()
    notes: tuple[str, ...] = ()


def verify(
    bundle: Bundle | Path, *, compiler: HostCompiler | Literal["find"] | None = "find", cross: bool = True
) -> Verification:
    """Check a bundle from its hashes to its golden vectors.

    Args:
        bundle: The bundle or its folder.
        compiler: The host's compilers; None reads the sources' text instead, "find" is the machine's own.
        cross: Whether to compile for Cortex-M too, where GNU Arm Embedded is installed.

    Raises:
        BundleError: The first check that fails.
    """
    folder = bundle.path if isinstance(bundle, Bundle) else bundle
    host = find_compiler() if compiler == "find" else compiler
    try:
        manifest = read_manifest(folder)
    except ValueError as error:
        raise BundleError("manifest", f"{error}.") from error
    _check_files(folder, manifest)
    tflite = (folder / manifest.paths("model")[0]).read_bytes()
    int8 = (folder / manifest.int8_path()).read_bytes()
    _check_model(folder, manifest, tflite, int8)
    sections: tuple[Sections, ...] = ()
    try:
        found = read_compiled(folder, manifest, host) if host else read_text(folder, manifest)
        if host and cross and has_cross_compiler():
            sections = measure(folder, manifest)
    except CompileError as error:
        raise BundleError("compile", f"The sources do not compile: {error}.") from error
    _check_constants(manifest, tflite, found)
    engine, differing = _check_answers(manifest, found, int8 if manifest.npu else found.model)
    _check_sections(manifest, sections)
    unproved = [NPU_NOT_RUN.format(accelerator=manifest.npu.accelerator)] if manifest.npu else []
    if engine != "tflm":
        unproved.append(NOT_BY_TFLM)
    if differing:
        unproved.append(DIFFERING.format(count=differing, of=manifest.golden_count))
    warnings = (*found.warnings, *(line for core in sections for line in core.warnings))
    return Verification(
        compiled=host is not None,
        golden_count=manifest.golden_count,
        engine=engine,
        sections=sections,
        notes=(*unproved, *warnings) if host else (*unproved, NO_COMPILER),
    )


def _check_files(folder: Path, manifest: Manifest) -> None:
    roles = ("model", "model_source", "api_header", "runner_source", "io_source", "golden_source")
    for role in (*roles, "int8_model") if manifest.npu else roles:
        if len([entry for entry in manifest.files if entry.role == role]) != 1:
            raise BundleError("manifest", f"{MANIFEST_NAME} does not name exactly one file as {role}.")
    for entry in manifest.files:
        path = folder / entry.path
        if not path.resolve().is_relative_to(folder.resolve()):
            raise BundleError("files", f"{entry.path} lies outside the bundle.")
        if not path.is_file():
            raise BundleError("files", f"{entry.path} is missing.")
        if sha256(path.read_bytes()) != entry.sha256:
            raise BundleError("hash", f"{entry.path} is not the file that was exported: its sha256 differs.")


def _check_model(folder: Path, manifest: Manifest, tflite: bytes, int8: bytes) -> None:
    if sha256(tflite) != manifest.model_sha256:
        raise BundleError(
            "hash", f"{manifest.name}.tflite is not the model that was exported: its sha256 differs."
        )
    try:
        graph = read_graph(int8)
        emitted = _check_npu(manifest, tflite, int8, graph) if manifest.npu else graph
    except UserError as error:
        raise BundleError("model", error.message) from error
    runner = (folder / manifest.paths("runner_source")[0]).read_text(encoding="utf-8", errors="replace")
    _check_resolver(emitted, runner)
    _check_costs(graph, manifest, int8)


def _check_npu(manifest: Manifest, tflite: bytes, int8: bytes, graph: OpGraph) -> OpGraph:
    """The graph that the device runs, after what the manifest says of it was found true."""
    npu = manifest.npu
    assert npu is not None
    if sha256(int8) != npu.int8_sha256:
        raise BundleError(
            "hash", f"{manifest.name}_int8.tflite is not the model that was exported: its sha256 differs."
        )
    compiled = read_compiled_model(tflite)
    ends = [
        [(each.tensors[at].shape, each.tensors[at].dtype) for at in (*each.inputs, *each.outputs)]
        for each in (compiled.graph, graph)
    ]
    if ends[0] != ends[1]:
        raise BundleError("interface", "The compiled model's input or output is not the int8 model's.")
    needed = compiled_arena(compiled, kernels=manifest.target.kernels, core=manifest.target.core).min_bytes
    if npu.arena_bytes < needed:
        raise BundleError(
            "arena",
            f"The arena of {npu.arena_bytes} B is {needed - npu.arena_bytes} B smaller than the model needs.",
        )
    if npu.model_bytes != len(tflite):
        raise BundleError("costs", f"The model has {len(tflite)} B, the manifest says {npu.model_bytes} B.")
    return compiled.graph


def _check_resolver(graph: OpGraph, runner: str) -> None:
    registered = {kind_of_method(method) for method in re.findall(r"\bresolver\.(Add\w+)\(", runner)}
    for kind in graph.kinds():
        if kind not in registered:
            raise BundleError("operators", f"Operator {kind} is missing from the resolver.")
    slots = re.search(r"MicroMutableOpResolver<(\d+)>", runner)
    if slots is None or int(slots.group(1)) < len(registered):
        raise BundleError("operators", f"The resolver has no room for its {len(registered)} operators.")


def _check_costs(graph: OpGraph, manifest: Manifest, tflite: bytes) -> None:
    costs = manifest.costs
    try:
        needed = arena(graph, kernels=manifest.target.kernels, core=manifest.target.core).min_bytes
    except UserError as error:
        raise BundleError("costs", error.message) from error
    if costs.sram_bytes < needed:
        raise BundleError(
            "arena",
            f"The arena of {costs.sram_bytes} B is {needed - costs.sram_bytes} B smaller than the model needs.",
        )
    if costs.model_bytes != len(tflite):
        raise BundleError("costs", f"The model has {len(tflite)} B, the manifest says {costs.model_bytes} B.")
    values = {
        "sram": costs.sram_bytes,
        "flash": costs.flash_bytes,
        "latency": costs.latency_us,
        "energy": costs.energy_uj,
        "cycles": costs.cycles,
        "instructions": costs.instructions,
    }
    if manifest.npu:
        values |= {"sram": max(costs.sram_bytes, manifest.npu.arena_bytes)}
        values |= {"flash": max(costs.flash_bytes, manifest.npu.model_bytes)}
    for limit in manifest.budget:
        value = values.get(limit.resource)
        if value is None or value > limit.limit:
            raise BundleError("budget", f"{limit.resource} is {value}, over the limit of {limit.limit:g}.")


def _check_constants(manifest: Manifest, tflite: bytes, found: ReadBack) -> None:
    if found.model != tflite:
        at = next(
            (i for i, (a, b) in enumerate(zip(found.model, tflite)) if a != b),
            min(len(found.model), len(tflite)),
        )
        raise BundleError("array", f"The model array differs from {manifest.name}.tflite from byte {at} on.")
    if found.misalignment:
        raise BundleError("array", f"The model array lies {found.misalignment} B off a multiple of 16.")
    if found.arena_bytes < manifest.arena_bytes:
        raise BundleError(
            "arena",
            f"The header's arena of {found.arena_bytes} B is {manifest.arena_bytes - found.arena_bytes} B"
            " smaller than the model needs.",
        )
    if found.class_names != manifest.task.class_names:
        raise BundleError(
            "labels",
            f"The class names are {', '.join(found.class_names)}; the model was exported with"
            f" {', '.join(manifest.task.class_names)}.",
        )


def _check_sections(manifest: Manifest, sections: tuple[Sections, ...]) -> None:
    for found in sections:
        if found.constant_bytes < manifest.emitted_bytes:
            raise BundleError(
                "sections", f"On {found.core} the weights are not read-only data, which stays in flash."
            )
        if found.data_bytes or found.zero_bytes:
            taken = found.data_bytes + found.zero_bytes
            raise BundleError("sections", f"On {found.core} the model's own sources take {taken} B of SRAM.")


def _check_answers(manifest: Manifest, found: ReadBack, runnable: bytes) -> tuple[Engine, int]:
    """Run the array that was read back, of a model compiled for an NPU its source; no other file is used any more.

    Returns:
        The interpreter that answered, and the number of vectors that it answers otherwise by a last bit than the
        interpreter of the export, which is not a fault of the bundle.
    """
    try:
        model = reference_model(runnable)
    except (InterpreterError, UserError) as error:
        raise BundleError("model", f"{error}.") from error
    scales = np.array([model.input.scale, model.output.scale], np.float32).tobytes()
    zero_points = (model.input.zero_point, model.output.zero_point)
    sizes = (model.input.size, model.output.size)
    if (found.scales, found.zero_points, (found.input_size, found.output_size)) != (
        scales,
        zero_points,
        sizes,
    ):
        raise BundleError("interface", "The header's sizes, scales or zero points are not the model's.")

    count = manifest.golden_count
    raw = np.frombuffer(found.golden_raw, np.dtype(manifest.input.raw_type))
    if raw.size != count * model.input.size or len(found.golden_output) != count * model.output.size:
        raise BundleError("golden", f"There are not {count} golden vectors of the model's size.")
    scaling = InputScaling(
        offset=manifest.input.offset, multiplier=manifest.input.multiplier, zero_point=model.input.zero_point
    )
    inputs = scaling.quantize(raw.reshape((count, *model.input.shape)))
    if found.golden_quantized is not None and found.golden_quantized != inputs.tobytes():
        raise BundleError(
            "preprocessing", "The emitted C quantizes the golden samples to other bytes than Python."
        )
    hashes = np.array([fnv1a(row.tobytes()) for row in inputs], np.uint32).tobytes()
    if found.golden_hash != hashes:
        raise BundleError(
            "golden", "The golden vectors are stale: the hashes of the quantized inputs differ."
        )
    expected = np.frombuffer(found.golden_output, np.int8).reshape((count, *model.output.shape))
    answers = model.run(inputs)
    allowed = 0 if model.engine == manifest.engine else LARGEST_DIFFERENCE
    differing = 0
    for vector in range(count):
        difference = int(np.abs(answers[vector].astype(np.int16) - expected[vector]).max(initial=0))
        differing += difference > 0
        if difference > allowed:
            raise BundleError(
                "golden",
                f"The golden vectors are stale: of vector {vector} the model answers"
                f" {answers[vector].ravel()[:12].tolist()}, the bundle says {expected[vector].ravel()[:12].tolist()}.",
            )
    return model.engine, differing
