"""The manifest of a bundle that is being written, made from its content and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cost_models.arena import CMSIS_NN_VERSION, TFLM_VERSION
from nas.bundle.content import TFLM_DATE, BundleContent, sha256
from nas.bundle.layout import File, load_layout
from nas.bundle.manifest import (
    SETTINGS,
    AccuracyEntry,
    AnomalyEntry,
    CostsEntry,
    DutyEntry,
    FileEntry,
    FrameEntry,
    FrontEndEntry,
    GoldenShareEntry,
    InputEntry,
    LimitEntry,
    Manifest,
    NpuEntry,
    NpuEstimateEntry,
    NumberEntry,
    OutputEntry,
    RuntimeEntry,
    TargetEntry,
    TaskEntry,
    exporter_version,
)
from nas.model.trained import Accuracy


def make_manifest(content: BundleContent, *, format_name: str, files: Mapping[str, File]) -> Manifest:
    """The manifest of a bundle whose files are all there."""
    model, task, target = content.model, content.model.task, content.target
    return Manifest(
        schema=1,
        exporter=exporter_version(),
        format=format_name,
        name=model.name,
        model_sha256=sha256(content.emitted),
        task=TaskEntry(
            name=task.name,
            input_shape=task.input_shape,
            class_names=task.class_names,
            source=task.source,
            licence=task.licence,
            samples=task.samples,
        ),
        input=InputEntry(
            **asdict(content.input),
            raw_type=task.preprocess.raw_type,
            raw_offset=task.preprocess.offset,
            raw_scale=task.preprocess.scale,
            offset=content.scaling.offset,
            multiplier=content.scaling.multiplier,
        ),
        output=OutputEntry(**asdict(content.output)),
        operators=tuple(line.kind for line in content.operators),
        target=TargetEntry(
            name=target.name,
            title=target.title,
            core=target.core,
            kernels=target.kernels,
            clock_hz=target.clock_hz,
        ),
        runtime=RuntimeEntry(
            tflite_micro=TFLM_VERSION,
            tflite_micro_date=TFLM_DATE,
            cmsis_nn=CMSIS_NN_VERSION if target.kernels == "cmsis_nn" else None,
        ),
        budget=tuple(
            LimitEntry(resource=resource, limit=limit)
            for resource, limit in (content.budget.limits() if content.budget else ())
        ),
        duty_cycle=None
        if content.budget is None or content.budget.duty is None
        else DutyEntry.of(content.budget.duty),
        costs=CostsEntry(**{name: getattr(content.costs, name) for name in CostsEntry.model_fields}),
        npu=_npu_entry(content),
        frontend=_front_end_entry(content),
        anomaly=_anomaly_entry(content),
        numbers=tuple(
            NumberEntry(**asdict(target), multiplier=multiplier, offset=offset)
            for target, multiplier, offset in zip(
                task.targets, content.numbers.multiplier, content.numbers.offset, strict=True
            )
        )
        if content.numbers
        else (),
        accuracies=tuple(
            AccuracyEntry(**_stated(accuracy), value=accuracy.value, low=low, high=high)
            for accuracy in model.accuracies
            for low, high in (accuracy.value_interval(),)
        ),
        golden_count=len(content.golden_raw),
        golden_share=None if model.golden_share is None else GoldenShareEntry(**asdict(model.golden_share)),
        engine=content.engine,
        notes=load_layout(format_name).notes(content),
        provenance=model.provenance,
        files=tuple(
            FileEntry(path=path, role=file.role, bytes=len(file.data), sha256=sha256(file.data))
            for path, file in sorted(files.items())
        ),
    )


def _stated(accuracy: Accuracy) -> dict[str, Any]:
    """An accuracy's fields; the threshold is stated once, for the bundle, and the rest left out is for the run."""
    return {
        name: value
        for name, value in asdict(accuracy).items()
        if name not in ("threshold", "predictions", "hits")
    }


def _anomaly_entry(content: BundleContent) -> AnomalyEntry | None:
    anomaly = content.anomaly
    if anomaly is None:
        return None
    return AnomalyEntry(
        false_alarms=anomaly.false_alarms,
        threshold=anomaly.threshold,
        input_multiplier=anomaly.score.input_multiplier,
        output_multiplier=anomaly.score.output_multiplier,
        shift=anomaly.score.shift,
        unit=anomaly.score.unit,
    )


def _npu_entry(content: BundleContent) -> NpuEntry | None:
    if content.npu is None:
        return None
    npu, compiled = content.npu.npu, content.npu.compiled
    return NpuEntry(
        accelerator=npu.accelerator,
        system_config=npu.system_config,
        memory_mode=npu.memory_mode,
        compiler=content.npu.compiler,
        int8_sha256=sha256(content.model.tflite),
        arena_bytes=content.npu.arena_bytes,
        model_bytes=len(content.npu.tflite),
        npu_operators=compiled.npu_operators,
        core_operators=len(compiled.graph.operators) - compiled.npu_operators,
        estimate=NpuEstimateEntry(**asdict(content.npu.estimate)),
    )


def _front_end_entry(content: BundleContent) -> FrontEndEntry | None:
    if content.frontend is None:
        return None
    spec, costs = content.frontend.spec, content.frontend.costs
    return FrontEndEntry(
        kind=spec.kind,
        settings=SETTINGS[spec.kind].model_validate(spec.settings),
        sample_rate=spec.sample_rate,
        clip_samples=spec.clip_samples,
        window_samples=spec.window_samples,
        hop_samples=spec.hop_samples,
        frames=spec.frames,
        bands=spec.bands,
        channels=spec.channels,
        recordings=len(content.frontend.recordings),
        model_sha256=sha256(spec.tflite),
        arena_bytes=costs.arena_bytes,
        buffer_bytes=costs.buffer_bytes,
        model_bytes=costs.model_bytes,
        code_bytes=costs.code_bytes,
        frame=FrameEntry(
            busy_share=costs.busy_share,
            **{name: getattr(costs.frame, name) for name in FrameEntry.model_fields if name != "busy_share"},
        ),
    )
