"""Everything that an exporter writes from: one finished model, costed, with its golden vectors computed."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cost_models.arena import ArenaPartner
from cost_models.errors import UserError
from cost_models.ethos_u import compiled_arena
from cost_models.tflite_graph import read_graph
from nas.bundle.arenas import host_arena, loose_arena
from nas.bundle.front_end import FrontEndContent, make_front_end_content
from nas.bundle.names import check_name
from nas.bundle.operators import Registration, registrations
from nas.model.anomaly_score import AnomalyScore
from nas.model.input_quantization import InputScaling
from nas.model.regression import NumberScaling
from nas.model.trained import FrontEndSpec, TaskInfo, TrainedModel
from nas.runtimes.interpreter import Engine, Port
from nas.runtimes.npu import NpuModel, compiler_for, npu_violations
from nas.runtimes.reference import reference_model

if TYPE_CHECKING:
    from cost_models.budget import Budget
    from cost_models.costing import Costs
    from cost_models.target import Target

# The date of TFLM_VERSION, by which people find it.
TFLM_DATE = "2026-08-20"

_RAW_DTYPES = {"uint8": np.dtype(np.uint8), "int16": np.dtype(np.int16), "float32": np.dtype(np.float32)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyContent:
    """The part of the content of a bundle that finds anomalies.

    Attributes:
        score: Of a sample and what the network makes of it.
        threshold: The score above which a sample is taken for an anomaly.
        false_alarms: Share of normal validation samples that may lie above it.
        golden_scores: Of the golden samples. Shape: (n,).
    """

    score: AnomalyScore
    threshold: int
    false_alarms: float
    golden_scores: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleContent:
    """The content that a bundle is written from.

    Attributes:
        model: The finished model.
        target: What it was costed for.
        costs: Of the model's bytes on the target.
        budget: The limits that it was searched under, if any.
        input: The model's input tensor.
        output: The model's output tensor.
        scaling: From raw samples to int8 inputs.
        operators: The resolver's lines.
        tensors: Number of tensors of the graph.
        operator_count: Number of operators of the graph.
        golden_raw: Raw samples. Shape: (n, *input.shape).
        golden_inputs: The same, quantized.
        golden_outputs: What the engine computes from them. Shape: (n, *output.shape).
        engine: The interpreter that did, "tflm" or "litert".
        npu: The model compiled for the target's NPU, which then is what the bundle's array holds.
        frontend: What makes the raw samples of recordings; None where samples are the network's own.
        anomaly: How a sample and what the network makes of it become a score; None where the network tells classes.
        numbers: From outputs to the numbers that are predicted; None where there are none.
    """

    model: TrainedModel
    target: Target
    costs: Costs
    budget: Budget | None
    input: Port
    output: Port
    scaling: InputScaling
    operators: tuple[Registration, ...]
    tensors: int
    operator_count: int
    golden_raw: NDArray[np.generic]
    golden_inputs: NDArray[np.int8]
    golden_outputs: NDArray[np.int8]
    engine: Engine = "tflm"
    npu: NpuModel | None = None
    frontend: FrontEndContent | None = None
    anomaly: AnomalyContent | None = None
    numbers: NumberScaling | None = None

    @property
    def emitted(self) -> bytes:
        """The flatbuffer that the device runs."""
        return self.npu.tflite if self.npu else self.model.tflite

    @property
    def arena_bytes(self) -> int:
        """The smallest arena that it works in on the target, with its front end."""
        own = self.npu.arena_bytes if self.npu else self.costs.sram_bytes
        return own + (self.frontend.costs.arena_bytes if self.frontend else 0)

    @property
    def all_operator_count(self) -> int:
        """Number of operators of the graph and of the front end's."""
        return self.operator_count + (len(self.frontend.operators) if self.frontend else 0)

    @property
    def loose_arena_bytes(self) -> int:
        """See `loose_arena`."""
        return loose_arena(
            self.arena_bytes, operators=self.all_operator_count, graphs=2 if self.frontend else 1
        )

    @property
    def host_arena_bytes(self) -> int:
        """See `host_arena`."""
        tensors = self.tensors + (self.frontend.tensors if self.frontend else 0)
        return host_arena(self.arena_bytes, tensors=tensors, operators=self.all_operator_count)


def make_content(
    model: TrainedModel,
    *,
    target: Target,
    costs: Costs,
    budget: Budget | None = None,
    compiled: NpuModel | None = None,
) -> BundleContent:
    """Check that a model can leave as C, and compute what it must answer.

    Args:
        model: The finished model.
        target: What it was costed for.
        costs: Of the model's bytes on the target.
        budget: The limits; a model over them is refused.
        compiled: The model as it was compiled for the target's NPU; None compiles it where there is an NPU.

    Raises:
        UserError: A name that cannot begin files and C symbols, operators that TFLM lacks, labels, samples or a front
            end that do not fit the model, a model over its budget, or one that the NPU's compiler does not
            take.
    """
    check_name(model.name)
    graph = read_graph(model.tflite)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UserError(
            f"The model has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs.",
            "The runner takes models of one input and one output.",
        )
    if budget is not None and (broken := budget.violations(costs)):
        raise UserError(f"The model is over its budget: {broken[0]}.", "Choose a smaller model of the front.")
    npu = None
    if target.npu:
        npu = compiled or compiler_for(target).compile(model.tflite, target=target, budget=budget)
        npu = _within(_beside_front_end(npu, target, model.task.frontend), budget)
    emitted = npu.compiled.graph if npu else graph
    interpreter = reference_model(model.tflite)
    outputs = model.task.outputs
    if outputs and outputs != interpreter.output.size:
        raise UserError(
            f"The model has {interpreter.output.size} outputs and the task {_outputs_text(model.task)}.",
            "Give one name per output, or none for a model that is not a classifier.",
        )
    # A space may see a sample in another shape (a picture as a vector), but with the same elements in the same order.
    if math.prod(model.task.input_shape) != math.prod(interpreter.input.shape):
        raise UserError(
            f"The task's samples have the shape {model.task.input_shape}, the model's input"
            f" {interpreter.input.shape}.",
            "Export the model with the task that it was trained for.",
        )
    scaling = InputScaling.fold(
        model.task.preprocess, scale=interpreter.input.scale, zero_point=interpreter.input.zero_point
    )
    raw = _golden_raw(model, interpreter.input)
    if len(scaling.offset) not in (1, interpreter.input.shape[-1]):
        raise UserError(
            f"The task scales {len(scaling.offset)} channels, the model has {interpreter.input.shape[-1]}.",
            "Give one offset and scale, or one per channel.",
        )
    inputs = scaling.quantize(raw)
    outputs_of_golden = interpreter.run(inputs)
    return BundleContent(
        model=model,
        target=target,
        costs=costs,
        budget=budget,
        input=interpreter.input,
        output=interpreter.output,
        scaling=scaling,
        operators=registrations(emitted.kinds()),
        tensors=len(emitted.tensors),
        operator_count=len(emitted.operators),
        golden_raw=raw,
        golden_inputs=inputs,
        golden_outputs=outputs_of_golden,
        engine=interpreter.engine,
        npu=npu,
        frontend=make_front_end_content(
            model, target=target, port=interpreter.input, scaling=scaling, raw=raw
        ),
        anomaly=_anomaly(model, interpreter.input, interpreter.output, inputs, outputs_of_golden),
        numbers=NumberScaling.fold(
            model.task.targets, scale=interpreter.output.scale, zero_point=interpreter.output.zero_point
        )
        if model.task.targets
        else None,
    )


def _outputs_text(task: TaskInfo) -> str:
    if task.targets:
        return f"{task.outputs} numbers to predict"
    return f"{task.outputs} classes" if task.false_alarms is None else f"samples of {task.outputs} elements"


def _anomaly(
    model: TrainedModel, port: Port, output: Port, inputs: NDArray[np.int8], outputs: NDArray[np.int8]
) -> AnomalyContent | None:
    if model.task.false_alarms is None:
        return None
    thresholds = {accuracy.threshold for accuracy in model.accuracies} - {None}
    if len(thresholds) != 1 or not 0 <= (threshold := thresholds.pop() or 0) < 1 << 32:
        raise UserError(
            "The accuracies of the model do not state one threshold of anomalies.",
            "Measure them with nas.tasks.accuracy.",
        )
    score = AnomalyScore.fold(
        scales=(port.scale, output.scale),
        zero_points=(port.zero_point, output.zero_point),
        elements=port.size,
    )
    return AnomalyContent(
        score=score,
        threshold=threshold,
        false_alarms=model.task.false_alarms,
        golden_scores=tuple(score.of(inputs, outputs).tolist()),
    )


def fnv1a(data: bytes) -> int:
    """The 32-bit FNV-1a hash that the self-test keeps of each quantized input."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def sha256(data: bytes) -> str:
    """The digest that the manifest states of a file."""
    return hashlib.sha256(data).hexdigest()


def _beside_front_end(compiled: NpuModel, target: Target, spec: FrontEndSpec | None) -> NpuModel:
    """The same with the arena that it adds to its front end's, where it has one."""
    if spec is None:
        return compiled
    build = {"kernels": target.kernels, "core": target.core}
    partner = ArenaPartner(read_graph(spec.tflite), **build)
    arena_bytes, _ = partner.added_by(compiled_arena(compiled.compiled, **build))
    return replace(compiled, arena_bytes=arena_bytes)


def _within(compiled: NpuModel, budget: Budget | None) -> NpuModel:
    broken = (
        npu_violations(budget, arena_bytes=compiled.arena_bytes, model_bytes=len(compiled.tflite))
        if budget
        else ()
    )
    if broken:
        raise UserError(
            f"Compiled for {compiled.npu.accelerator}, the model is over its budget: {broken[0]}.",
            "Choose a smaller model of the front.",
        )
    return compiled


def _golden_raw(model: TrainedModel, port: Port) -> NDArray[np.generic]:
    raw = np.asarray(model.golden_inputs)
    dtype = _RAW_DTYPES[model.task.preprocess.raw_type]
    if raw.dtype != dtype:
        raise UserError(
            f"The golden samples are {raw.dtype}, the task's raw samples {dtype}.",
            "Give samples as the sensor has them.",
        )
    if len(raw) == 0 or math.prod(raw.shape[1:]) != port.size:
        raise UserError(
            f"The golden samples have the shape {raw.shape}, the model's input {port.shape}.",
            "Give at least one sample of the model's input shape.",
        )
    return raw.reshape((len(raw), *port.shape))
