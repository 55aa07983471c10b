"""What a bundle was written from, made again from its manifest, its model and its golden samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost_models.budget import Budget
from cost_models.costing import Costs
from cost_models.errors import UserError
from cost_models.graph import OpGraph
from cost_models.reading import LARGEST_MODEL_BYTES
from cost_models.resources import RESOURCES
from cost_models.target import Target
from cost_models.tflite_graph import read_graph
from nas.bundle.content import BundleContent, make_content, sha256
from nas.bundle.errors import BundleError
from nas.bundle.layout import load_layout
from nas.bundle.manifest import MANIFEST_NAME, Manifest
from nas.bundle.names import check_name
from nas.bundle.untrusted import golden_raw, golden_recordings, read_file
from nas.frontend.costs import cost_model
from nas.frontend.spec import remake_spec
from nas.model.groups import group_scores
from nas.model.regression import NumberError, TargetScale
from nas.model.trained import Accuracy, FrontEndSpec, GoldenShare, Preprocess, TaskInfo, TrainedModel
from nas.runtimes.interpreter import InterpreterError
from nas.runtimes.npu import Estimate, NpuModel, compiler_for


def remake_content(
    folder: Path, manifest: Manifest, target: Target, present: Mapping[str, int]
) -> tuple[BundleContent, bool]:
    """The content that the exporter wrote the bundle from, and whether a model for an NPU was compiled again.

    Args:
        folder: The bundle.
        manifest: Its manifest.
        target: What it was exported for.
        present: The size of every file of the bundle by its path.

    Raises:
        BundleError: The manifest contradicts itself, the model or the target, or a file is not as it states.
    """
    try:
        check_name(manifest.name)
        load_layout(manifest.format)
    except UserError as error:
        raise BundleError("manifest", error.message) from error
    emitted = _model(folder, f"{manifest.name}.tflite", manifest.model_sha256, present)
    int8 = emitted
    if manifest.npu:
        int8 = _model(folder, f"{manifest.name}_int8.tflite", manifest.npu.int8_sha256, present)
    try:
        graph = read_graph(int8)
        costs = cost_model(target, front_end_of(manifest)).estimate(graph, file_bytes=len(int8))
        budget = _budget(manifest, target, costs)
        raw = golden_raw(folder, manifest, graph, present)
        recordings = golden_recordings(folder, manifest, present)
        npu, compared = _compiled(manifest, target, emitted, int8, graph, budget)
        with np.errstate(all="ignore"):
            content = make_content(
                _trained_model(manifest, int8, raw, recordings),
                target=target,
                costs=costs,
                budget=budget,
                compiled=npu,
            )
    except UserError as error:
        raise BundleError("model", error.message) from error
    except (InterpreterError, ValueError, OverflowError) as error:
        raise BundleError("model", f"The bundle cannot be made again: {error}.") from error
    return content, compared


def _model(folder: Path, name: str, digest: str, present: Mapping[str, int]) -> bytes:
    data = read_file(folder, name, LARGEST_MODEL_BYTES, present)
    if sha256(data) != digest:
        raise BundleError("hash", f"{name} is not the model that was exported: its sha256 differs.")
    return data


def _budget(manifest: Manifest, target: Target, costs: Costs) -> Budget | None:
    if not manifest.budget:
        return None
    limits = {limit.resource: limit.limit for limit in manifest.budget}
    if not {"sram", "flash"} <= set(limits) <= RESOURCES.keys():
        raise BundleError("manifest", f"{MANIFEST_NAME}: budget does not limit sram and flash.")
    duty = None
    if manifest.duty_cycle is not None:
        try:
            duty = manifest.duty_cycle.on(target)
        except ValueError as error:
            raise BundleError("manifest", f"{MANIFEST_NAME}: duty_cycle has {error}.") from error
    budget = Budget.of(limits, duty=duty)
    for name, value in budget.judged(costs).items():
        if value is None:
            raise BundleError(
                "manifest", f"{MANIFEST_NAME}: budget limits {name}, which is not known of this model."
            )
    if broken := budget.violations(costs):
        raise BundleError("budget", f"The model is over the budget that it was exported under: {broken[0]}.")
    return budget


def front_end_of(manifest: Manifest) -> FrontEndSpec | None:
    """The front end that the manifest's settings give; its other fields and files are compared later."""
    if manifest.frontend is None:
        return None
    entry = manifest.frontend
    return remake_spec(entry.kind, entry.settings.model_dump(), entry.clip_samples)


def _trained_model(
    manifest: Manifest, int8: bytes, raw: NDArray[np.generic], recordings: NDArray[np.int16] | None
) -> TrainedModel:
    task, entry, share = manifest.task, manifest.input, manifest.golden_share
    return TrainedModel(
        name=manifest.name,
        tflite=int8,
        task=TaskInfo(
            name=task.name,
            input_shape=task.input_shape,
            class_names=task.class_names,
            preprocess=Preprocess(raw_type=entry.raw_type, offset=entry.raw_offset, scale=entry.raw_scale),
            source=task.source,
            licence=task.licence,
            samples=task.samples,
            frontend=front_end_of(manifest),
            false_alarms=None if manifest.anomaly is None else manifest.anomaly.false_alarms,
            targets=tuple(
                TargetScale(name=number.name, mean=number.mean, deviation=number.deviation)
                for number in manifest.numbers
            ),
        ),
        golden_inputs=raw,
        golden_recordings=recordings,
        accuracies=tuple(
            Accuracy(
                part=accuracy.part,
                engine=accuracy.engine,
                correct=accuracy.correct,
                total=accuracy.total,
                confusion=accuracy.confusion,
                metric=accuracy.metric,
                score=accuracy.score,
                interval=accuracy.interval,
                numbers=tuple(NumberError(**number.model_dump()) for number in accuracy.numbers),
                groups=group_scores(None if accuracy.groups is None else accuracy.groups.model_dump()),
                disturbed=accuracy.disturbed,
                threshold=None if manifest.anomaly is None else manifest.anomaly.threshold,
            )
            for accuracy in manifest.accuracies
        ),
        provenance=manifest.provenance,
        golden_share=GoldenShare(noticed=share.noticed, tried=share.tried) if share else None,
    )


def _compiled(
    manifest: Manifest, target: Target, emitted: bytes, int8: bytes, graph: OpGraph, budget: Budget | None
) -> tuple[NpuModel | None, bool]:
    """The model for the NPU: compiled again where the same compiler is installed, else what its bytes say of it."""
    entry = manifest.npu
    if (entry is None) != (target.npu is None):
        raise BundleError("manifest", f"{MANIFEST_NAME}: npu is not what the target {target.name} has.")
    if entry is None or target.npu is None:
        return None, False
    compiler = compiler_for(target)
    if entry.compiler == compiler.installed():
        return compiler.compile(int8, target=target, budget=budget), True
    compiled, arena_bytes = compiler.read(emitted, target)
    if _ends(compiled.graph) != _ends(graph):
        raise BundleError("model", "The compiled model's input or output is not the int8 model's.")
    return (
        NpuModel(
            npu=target.npu,
            compiler=entry.compiler,
            tflite=emitted,
            compiled=compiled,
            arena_bytes=arena_bytes,
            estimate=Estimate(**entry.estimate.model_dump()),
        ),
        False,
    )


def _ends(graph: OpGraph) -> list[tuple[tuple[int, ...], str]]:
    """Shape and type of inputs and outputs."""
    return [
        (graph.tensors[index].shape, graph.tensors[index].dtype) for index in (*graph.inputs, *graph.outputs)
    ]
