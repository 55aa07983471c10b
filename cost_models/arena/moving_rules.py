"""Allocations of kernels that move, pick or keep values, and of those that run whole parts of a model.

Source: as `cost_models.arena.rules`.
"""

from __future__ import annotations

from cost_models.arena.build import Build
from cost_models.arena.demand import Demand, Rule, Temporaries, Tensors, kept
from cost_models.errors import UserError
from cost_models.graph import KernelOptions, Operator

# kMaxInputNum of kernels/concatenation.cc.
_MOST_CONCATENATED = 10
_DECODE_STATE = 36  # sizeof(DecodeStateLut)
_QUANTIZED_DIMENSION = 4


def concatenation(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """CONCATENATION."""
    if len(op.inputs) > _MOST_CONCATENATED:
        raise UserError(
            f"TFLM concatenates at most {_MOST_CONCATENATED} tensors, not {len(op.inputs)}.",
            "Concatenate in steps.",
        )
    temp = temps[op.inputs[0]] + temps[op.outputs[0]]
    for index in op.inputs:
        temp += temps[index]
    return Demand((8, 4), (24,), (), temp)


def split(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """SPLIT and SPLIT_V: only the axis is looked at, the first input of the former, the last of the latter."""
    return Demand((4, 4), temporaries=temps[op.inputs[0 if op.kind == "SPLIT" else 2]])


def writable_dims(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """GATHER, DEPTH_TO_SPACE and SPACE_TO_DEPTH: Prepare copies the output's shape out of the flatbuffer."""
    output = op.outputs[0]
    temp = sum(temps[index] for index in op.inputs) + temps[output]
    dims = 4 + 4 * len(tensors[output].shape)
    return Demand((8 if op.kind == "GATHER" else 4, 4), (), (dims,), kept(temp, output, temps, build))


def copied_dims(own: int = 0) -> Rule:
    """The rule of operators that copy their output's shape in Prepare, and have `own` bytes of data after that."""

    def rule(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
        output = op.outputs[0]
        temp = sum(temps[index] for index in (*op.inputs, output))
        persistent = (4 + 4 * len(tensors[output].shape), *((own,) if own else ()))
        return Demand(persistent=persistent, temporaries=kept(temp, output, temps, build))

    return rule


def mirror_pad(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """MIRROR_PAD."""
    temp = temps[op.inputs[0]] + temps[op.inputs[1]] + temps[op.outputs[0]]
    size = 4 * len(tensors[op.inputs[0]].shape)
    return Demand((1, 1) if build.short_enums else (4, 4), (20,), (), temp, (size, size))


def assign_variable(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """ASSIGN_VARIABLE to a variable that has its memory."""
    return Demand(temporaries=temps[op.inputs[1]])


def first_assignment(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """The ASSIGN_VARIABLE that is the first to its variable: it takes the memory of that as well."""
    value = op.inputs[1]
    return Demand(
        persistent=(tensors[value].size_bytes,), temporaries=kept(temps[value], value, temps, build)
    )


def ethos_u(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """ETHOS_U: Prepare asks for the base addresses (64 bits each) and sizes, then looks at the command stream."""
    bases = len(op.inputs) + len(op.outputs)
    return Demand(data=(12,), temporaries=temps[op.inputs[0]], scratch=(8 * bases, 4 * bases))


def decode(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """TFLM_DECODE by tables of values: a pointer and a DecodeStateLut for each tensor that it restores.

    The last state may run over the last temporary as far as `kept` says, but for the quantized dimension, which Setup
    reads when the state is there.
    """
    count, output = len(op.outputs), op.outputs[-1]
    temp = sum(temps[index] for index in (*op.inputs, *op.outputs))
    left = min(kept(temp, output, temps, build) + _QUANTIZED_DIMENSION, temp)
    return Demand(persistent=(4 * count, *[_DECODE_STATE] * count), temporaries=left)


def detection(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """TFLite_Detection_PostProcess."""
    options = op.options
    if not isinstance(options, KernelOptions):
        raise UserError(
            "The memory of the detections is not known without their number.", "Replace the operator."
        )
    boxes, scores = tensors[op.inputs[0]].shape[1], tensors[op.inputs[1]].shape
    most = options["max_detections"]
    words = (4, 0, 1, 1, most, most, 1, most, max(options["num_classes"], most), min(boxes, most))
    sizes = [4 * boxes * count for count in words]
    sizes[1] = 4 * scores[1] * scores[2]
    temp = sum(temps[index] for index in op.inputs)
    return Demand(data=(112,), temporaries=temp, scratch=(boxes, *sizes))
