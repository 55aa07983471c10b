"""Allocations of kernels that multiply by weights: convolutions, dense layers, products of matrices, recurrent layers.

Source: as `cost_models.arena.rules`.
"""

from __future__ import annotations

from cost_models.arena import scratch, scratch_esp_nn
from cost_models.arena.build import EVAL_TENSOR_BYTES, Build
from cost_models.arena.demand import Demand, Temporaries, Tensors, all_temporaries, kept
from cost_models.errors import UserError
from cost_models.graph import (
    ITEM_BYTES,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    KernelOptions,
    Operator,
    TransposeConv2DOptions,
)

# The pointer that `kept` keeps can come to lie in the padding behind a buffer of 2 or 3 channels, which nobody
# writes: then 16 bytes less of arena do as well, if only so many bytes were left to the next multiple of 16.
_PADDING_SLACK = {2: 4, 3: 0}
_BATCH_MATMUL_SCALE = 28  # QuantizationOpDataBatchMatmul
_HIDDEN_STATE, _CELL_STATE = 18, 19  # inputs of UNIDIRECTIONAL_SEQUENCE_LSTM


def conv_2d(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """CONV_2D."""
    input_, filter_, output = tensors[op.inputs[0]], tensors[op.inputs[1]], tensors[op.outputs[0]]
    options = op.options
    assert isinstance(options, Conv2DOptions)
    size = 0
    if input_.dtype == "int8" and (build.cmsis_nn or build.esp_nn):
        rule = scratch_esp_nn.convolution if build.esp_nn else scratch.convolution
        size = rule(build, options, input_.shape, filter_.shape, output.shape)
    elif input_.dtype == "int16" and build.cmsis_nn:
        size = scratch.convolution_int16(build, input_.shape, filter_.shape)
    return _convolution(op, tensors, temps, build, filter_.shape[0], size)


def depthwise_conv_2d(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """DEPTHWISE_CONV_2D."""
    input_, filter_, output = tensors[op.inputs[0]], tensors[op.inputs[1]], tensors[op.outputs[0]]
    options = op.options
    assert isinstance(options, DepthwiseConv2DOptions)
    size = 0
    # Of other types, TFLM's portable kernel runs.
    if input_.dtype == "int8" and (build.cmsis_nn or build.esp_nn):
        rule = scratch_esp_nn.depthwise if build.esp_nn else scratch.depthwise
        size = rule(build, options, input_.shape, filter_.shape, output.shape)
    return _convolution(op, tensors, temps, build, filter_.shape[3], size)


def _convolution(
    op: Operator, tensors: Tensors, temps: Temporaries, build: Build, channels: int, scratch_bytes: int
) -> Demand:
    """The demand of CONV_2D or DEPTHWISE_CONV_2D with so many output channels and so much scratch."""
    # Prepare holds input, filter and output while CalculateOpDataConv asks for them again, with the bias.
    inputs = op.inputs
    temp = 2 * (temps[inputs[0]] + temps[inputs[1]] + temps[op.outputs[0]])
    if len(inputs) > 2 and inputs[2] >= 0:
        temp += temps[inputs[2]]
    scales: tuple[int, ...] = (4 * channels, 4 * channels)
    if not (build.cmsis_nn or build.esp_nn):
        return Demand((28, 4), (56,), scales, temp)
    if build.cmsis_nn and tensors[inputs[0]].dtype == "float32":
        scales = ()
    return Demand((28, 4), (60,), scales, temp, (scratch_bytes,) if scratch_bytes > 0 else ())


def transpose_conv(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """TRANSPOSE_CONV."""
    inputs = op.inputs  # output shape, filter, input, bias
    output = op.outputs[0]
    input_ = tensors[inputs[2]]
    filter_ = tensors[inputs[1]].shape
    channels = (4 * filter_[0], 4 * filter_[0])
    params = (16 if build.short_enums else 20, 4)
    data = (76 if build.cmsis_nn else 72,)
    temp = temps[inputs[2]] + temps[inputs[1]] + temps[output]
    if input_.dtype == "float32":
        return Demand(params, data, channels, kept(temp, inputs[1], temps, build))
    bias = inputs[3] if len(inputs) > 3 else -1
    temp = 2 * temp + (temps[bias] if bias >= 0 else 0)
    if input_.dtype == "int16":
        sums = [8 * tensors[output].elements]
        if bias >= 0 and tensors[bias].dtype == "int16":
            sums.append(8 * tensors[bias].elements)
        return Demand(params, data, channels, temp, tuple(sums))
    if not build.cmsis_nn:
        return Demand(params, data, channels, temp, (4 * tensors[output].elements,))
    options = op.options
    if not isinstance(options, TransposeConv2DOptions):
        raise UserError(
            "The memory of TRANSPOSE_CONV is not known without its strides.", "Replace the operator."
        )
    sizes = scratch.transpose_convolution(build, options, input_.shape, filter_, tensors[output].shape)
    return Demand(params, data, channels, temp, sizes)


def fully_connected(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """FULLY_CONNECTED."""
    inputs = op.inputs
    output = op.outputs[0]
    dtype = tensors[inputs[0]].dtype
    filter_ = tensors[inputs[1]]
    bias = inputs[2] if len(inputs) > 2 else -1
    temp = temps[inputs[0]] + temps[inputs[1]] + temps[output]
    if bias >= 0:
        temp += temps[bias]
    per_channel = dtype != "float32" and filter_.scales > 1 and filter_.zero_points > 0
    persistent: tuple[int, ...] = (4 * filter_.scales, 4 * filter_.scales) if per_channel else ()
    params = (5, 1) if build.short_enums else (16, 4)
    if not build.cmsis_nn:
        if not persistent:
            return Demand(params, (48,), (), temp)
        # Where enumerations are wide, the type in the last temporary lies out of reach.
        slack = -1 if build.short_enums else _PADDING_SLACK.get(filter_.scales, -1)
        return Demand(params, (48,), persistent, kept(temp, output, temps, build), (), slack)
    if persistent and dtype == "int16":
        raise UserError(
            "TFLM with CMSIS-NN refuses a FULLY_CONNECTED on int16 whose weights have a scale for each channel.",
            "Set kernels to reference, or convert it with one scale for all channels.",
        )
    shape = tensors[output].shape
    depth = shape[-1]
    scratches: tuple[int, ...] = ()
    if dtype != "int8":
        return Demand(params, (72,), (), temp)
    if len(shape) > 2 and filter_.shape[-1] % 4 == 0:
        # Runs as a 1x1 convolution, which wants multipliers per channel.
        if not per_channel:
            scratches = (8 * depth,)
    elif build.mve:
        # Sums of the filter's rows, worked out once where filter and bias are constant.
        if filter_.is_constant and (bias < 0 or tensors[bias].is_constant):
            persistent = (*persistent, 4 * depth)
        else:
            scratches = (4 * depth,)
    if persistent:
        temp = kept(temp, output, temps, build)
    # Sums are written when nobody reads the type in the last temporary any more.
    slack = _PADDING_SLACK.get(filter_.scales, -1) if len(persistent) == 3 else -1
    return Demand(params, (72,), persistent, temp, scratches, slack)


def batch_matmul(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """BATCH_MATMUL."""
    options = op.options
    if not isinstance(options, KernelOptions):
        raise UserError(
            "The memory of BATCH_MATMUL is not known without its options.", "Replace the operator."
        )
    output = op.outputs[0]
    quantized = tensors[op.inputs[0]].dtype != "float32"
    turned: list[int] = []
    for position, turn in enumerate((options["adj_x"], not options["adj_y"])):
        if turn:
            tensor = tensors[op.inputs[position]]
            turned += [EVAL_TENSOR_BYTES, 4 + 4 * len(tensor.shape), tensor.size_bytes]
    dims = 4 + 4 * len(tensors[output].shape)
    temp = kept(sum(temps[index] for index in (*op.inputs, output)), output, temps, build)
    scale = (_BATCH_MATMUL_SCALE,) if quantized else ()
    if not build.cmsis_nn:
        return Demand((3, 1), (16,), (*scale, *turned, dims), temp)
    size = 4 * tensors[output].shape[-1] if build.mve and tensors[output].dtype == "int8" else 0
    # The size of the sums is read of the output's shape in four dimensions, and so is its last.
    return Demand((3, 1), (36,), (*turned, dims, *scale), temp, (size,) if size else ())


def svdf(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """SVDF."""
    options = op.options
    if not isinstance(options, KernelOptions):
        raise UserError("The memory of SVDF is not known without its rank.", "Replace the operator.")
    source, features = tensors[op.inputs[0]], tensors[op.inputs[1]].shape
    sizes = [4 * source.shape[0] * features[0]]
    if source.dtype == "int8":
        sizes.append(4 * source.shape[0] * (features[0] // options["rank"]))
    temp = all_temporaries(op, temps)
    params = (8 if build.short_enums else 12, 4)
    if not build.cmsis_nn:
        return Demand(params, (36,), (), temp, tuple(sizes))
    if not build.mve or source.dtype != "int8":
        return Demand(params, (40,), (), temp, tuple(sizes))
    return Demand(params, (40,), (4 * features[0],), kept(temp, op.outputs[0], temps, build), tuple(sizes))


def lstm(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
    """UNIDIRECTIONAL_SEQUENCE_LSTM."""
    temp = all_temporaries(op, temps)
    hidden, state = tensors[op.inputs[_HIDDEN_STATE]].shape, tensors[op.inputs[_CELL_STATE]]
    size = hidden[0] * hidden[1] * ITEM_BYTES[state.dtype]
    if not build.cmsis_nn:
        return Demand((16, 4), (688,), (), temp, (size,) * 4)
    dtype = tensors[op.inputs[0]].dtype
    if dtype == "float32":
        return Demand((16, 4), (912,), (), temp, (size,) * 4)
    # Sums of the weights' rows for four gates, of the input and of the state.
    sums = (8 if dtype == "int16" else 4) * hidden[1]
    return Demand((16, 4), (912,), (sums,) * 8, kept(temp, op.outputs[0], temps, build), (size,) * 3)
