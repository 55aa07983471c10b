"""Allocations of kernels that compute on values without weights: pooling, reductions, activations, sums.

Source: as `cost_models.arena.rules`.
"""

from __future__ import annotations

from cost_models.arena.build import Build
from cost_models.arena.demand import Demand, Temporaries, Tensors, kept
from cost_models.errors import UserError
from cost_models.graph import Operator

# kInt16LUTArraySize of kernels/internal/common.h.
_TABLE_ENTRIES = 513


def pool(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""
    temp = temps[op.inputs[0]] + temps[op.outputs[0]]
    if not build.cmsis_nn:
        return Demand((40, 4), (32,), (), temp)
    if op.kind == "MAX_POOL_2D":
        return Demand((40, 4), (36,), (), temp)
    source = tensors[op.inputs[0]]
    size = 4 * source.shape[3] if build.dsp and source.dtype != "float32" else 0
    return Demand((40, 4), (36,), (), 2 * temp, (size,) if size > 0 else ())


def l2_pool(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """L2_POOL_2D."""
    temp = temps[op.outputs[0]] + temps[op.inputs[0]]
    return Demand((40, 4), (), (20,), kept(temp, op.inputs[0], temps, build))


def reduce(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """MEAN, SUM and REDUCE_...."""
    input_, axis = op.inputs
    output = op.outputs[0]
    dtype = tensors[input_].dtype
    # PrepareSimple asks for input and axis a second time, for the output on int8 alone.
    temp = 2 * (temps[input_] + temps[axis]) + temps[output]
    if dtype == "int8":
        temp += temps[output]
    sizes: tuple[int, ...] = (4 * len(tensors[input_].shape), 4 * tensors[axis].elements)
    if op.kind in ("MEAN", "SUM") and dtype != "float32":
        sizes = (4 * tensors[output].elements, *sizes)
    return Demand((1, 1), (44,), (), temp, sizes)


def softmax(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """SOFTMAX."""
    temp = temps[op.inputs[0]] + temps[op.outputs[0]]
    if tensors[op.inputs[0]].dtype == "int16":
        tables = (2 * _TABLE_ENTRIES, 2 * _TABLE_ENTRIES)
        data = (64 if build.cmsis_nn or build.esp_nn else 56,)
        return Demand((4, 4), data, tables, kept(temp, op.outputs[0], temps, build))
    if not build.esp_nn:
        return Demand((4, 4), (64 if build.cmsis_nn else 56,), (), temp)
    scratches: tuple[int, ...] = ()
    if tensors[op.outputs[0]].dtype == tensors[op.inputs[0]].dtype == "int8":
        shape = tensors[op.inputs[0]].shape
        if len(shape) < 2:
            raise UserError(
                "ESP-NN's SOFTMAX sizes its scratch by the second dimension, which this tensor does not have, so it"
                " cannot be predicted.",
                "Give the softmax a batch dimension, or set kernels to reference.",
            )
        # By the second dimension whatever the last one is.
        scratches = (4 * shape[1],) if shape[1] > 0 else ()
    return Demand((4, 4), (64,), (), temp, scratches)


def log_softmax(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """LOG_SOFTMAX."""
    temp = temps[op.inputs[0]] + temps[op.outputs[0]]
    if tensors[op.outputs[0]].dtype != "int8":
        return Demand(temporaries=temp)
    return Demand(persistent=(28,), temporaries=kept(temp, op.outputs[0], temps, build))


def tanh(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """TANH."""
    return Demand(data=(16,), temporaries=2 * temps[op.inputs[0]] + temps[op.outputs[0]])


def relu6(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """RELU6."""
    return Demand(data=(8,), temporaries=temps[op.inputs[0]])


def add_n(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """ADD_N."""
    pointers = (4 * len(op.inputs),)
    temp = sum(temps[index] for index in op.inputs) + temps[op.outputs[0]]
    if tensors[op.outputs[0]].dtype == "float32":
        return Demand(temporaries=temp, scratch=pointers)
    # Inputs behind the first are looked at once, and the output's zero points are not read again.
    unread = sum(temps[index] for index in op.inputs[1:])
    held = kept(temp - unread, op.outputs[0], temps, build)
    return Demand(persistent=(40,), temporaries=temp, scratch=pointers, slack=-1 - (temp - held))


def cumsum(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """CUMSUM."""
    temp = sum(temps[index] for index in (*op.inputs, *op.outputs))
    if tensors[op.outputs[0]].dtype != "int8":
        return Demand((2, 1), temporaries=temp)
    return Demand((2, 1), (), (36,), kept(temp, op.outputs[0], temps, build))
