"""What each operator's kernel allocates, before and during Prepare: one rule per operator kind.

Source: tensorflow/lite/micro/kernels (and its cmsis_nn folder; the esp_nn folder of espressif/esp-tflite-micro
99f49e14), the parsers of
tensorflow/lite/core/api/flatbuffer_conversions.cc and the structs of tensorflow/lite/c/builtin_op_data.h,
tflite-micro 90b983c2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cost_models.arena import scratch, scratch_esp_nn
from cost_models.arena.build import TFLM_VERSION, Build
from cost_models.arena.signal_rules import signal_demand
from cost_models.errors import UserError
from cost_models.graph import (
    ITEM_BYTES,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    KernelOptions,
    Operator,
    Tensor,
    TransposeConv2DOptions,
)
from cost_models.signal_operators import PARAMETERS

# (parsed options: bytes, their alignment, operator data and state of Init, persistent buffers of Prepare,
#  temporaries of Prepare, scratch buffers, slack: with at most so many bytes to the next multiple of 16, 16 bytes
#  less do as well; -1 never, and below that so many bytes of the temporaries as persistent buffers may run over).
#  Temporaries are never given back before Prepare ends. Operator data
#  and persistent buffers are aligned to 16 bytes.
Demand = tuple[int, int, tuple[int, ...], tuple[int, ...], int, tuple[int, ...], int]
# Bytes of one temporary TfLiteTensor with its quantization, by tensor index.
Temporaries = Sequence[int]
Rule = Callable[[Operator, tuple[Tensor, ...], Temporaries, Build], Demand]

_NONE: tuple[int, ...] = ()
# The pointer that `_kept` keeps can come to lie in the padding behind a buffer of 2 or 3 channels, which nobody
# writes: then 16 bytes less of arena do as well, if only so many bytes were left to the next multiple of 16.
_PADDING_SLACK = {2: 4, 3: 0}
# kInt16LUTArraySize of kernels/internal/common.h.
_TABLE_ENTRIES = 513
EVAL_TENSOR_BYTES = 12
_BATCH_MATMUL_SCALE = 28  # QuantizationOpDataBatchMatmul
_HIDDEN_STATE, _CELL_STATE = 18, 19  # inputs of UNIDIRECTIONAL_SEQUENCE_LSTM
# kMaxInputNum of kernels/concatenation.cc.
_MOST_CONCATENATED = 10


def _kept(temp: int, last: int, temps: Temporaries, build: Build) -> int:
    """Temporaries that must survive when persistent buffers are allocated after them.

    TFLM checks a persistent buffer against the head only, so the buffer may run over the end of the last
    temporary. Its zero points and quantized dimension are not read again; the pointer before them is.
    """
    return temp - max(temps[last] - build.tensor_bytes - 8, 0)


def _conv_2d(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    input_, filter_, output = (tensors[index] for index in (op.inputs[0], op.inputs[1], op.outputs[0]))
    options = op.options
    assert isinstance(options, Conv2DOptions)
    size = 0
    if input_.dtype == "int8" and (build.cmsis_nn or build.esp_nn):
        rule = scratch_esp_nn.convolution if build.esp_nn else scratch.convolution
        size = rule(build, options, input_.shape, filter_.shape, output.shape)
    elif input_.dtype == "int16" and build.cmsis_nn:
        size = scratch.convolution_int16(build, input_.shape, filter_.shape)
    return _convolution(op, tensors, temps, build, filter_.shape[0], size)


def _depthwise_conv_2d(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    input_, filter_, output = (tensors[index] for index in (op.inputs[0], op.inputs[1], op.outputs[0]))
    options = op.options
    assert isinstance(options, DepthwiseConv2DOptions)
    size = 0
    # Of other types, TFLM's portable kernel runs.
    if input_.dtype == "int8" and (build.cmsis_nn or build.esp_nn):
        rule = scratch_esp_nn.depthwise if build.esp_nn else scratch.depthwise
        size = rule(build, options, input_.shape, filter_.shape, output.shape)
    return _convolution(op, tensors, temps, build, filter_.shape[3], size)


def _convolution(
    op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build, channels: int, scratch_: int
) -> Demand:
    """What CONV_2D and DEPTHWISE_CONV_2D ask for of so many output channels, with so much scratch."""
    # Prepare holds input, filter and output while CalculateOpDataConv asks for them again, with the bias.
    temp = 2 * sum(temps[index] for index in (*op.inputs[:2], op.outputs[0]))
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        temp += temps[op.inputs[2]]
    scales: tuple[int, ...] = (4 * channels, 4 * channels)
    if not (build.cmsis_nn or build.esp_nn):
        return 28, 4, (56,), scales, temp, _NONE, -1
    if build.cmsis_nn and tensors[op.inputs[0]].dtype == "float32":
        scales = _NONE
    return 28, 4, (60,), scales, temp, (scratch_,) if scratch_ > 0 else _NONE, -1


def _transpose_conv(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    inputs = op.inputs  # output shape, filter, input, bias
    output = op.outputs[0]
    input_ = tensors[inputs[2]]
    filter_ = tensors[inputs[1]].shape
    channels = 4 * filter_[0]
    params = 16 if build.short_enums else 20
    data = 76 if build.cmsis_nn else 72
    temp = temps[inputs[2]] + temps[inputs[1]] + temps[output]
    if input_.dtype == "float32":
        return params, 4, (data,), (channels, channels), _kept(temp, inputs[1], temps, build), _NONE, -1
    bias = inputs[3] if len(inputs) > 3 else -1
    temp = 2 * temp + (temps[bias] if bias >= 0 else 0)
    if input_.dtype == "int16":
        sums = [8 * tensors[output].elements]
        if bias >= 0 and tensors[bias].dtype == "int16":
            sums.append(8 * tensors[bias].elements)
        return params, 4, (data,), (channels, channels), temp, tuple(sums), -1
    if not build.cmsis_nn:
        size = 4 * tensors[output].elements
        return params, 4, (data,), (channels, channels), temp, (size,), -1
    options = op.options
    if not isinstance(options, TransposeConv2DOptions):
        raise UserError(
            "The memory of TRANSPOSE_CONV is not known without its strides.", "Replace the operator."
        )
    sizes = scratch.transpose_convolution(build, options, input_.shape, filter_, tensors[output].shape)
    return params, 4, (data,), (channels, channels), temp, sizes, -1


def _fully_connected(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    inputs = op.inputs
    output = op.outputs[0]
    dtype = tensors[inputs[0]].dtype
    filter_ = tensors[inputs[1]]
    bias = inputs[2] if len(inputs) > 2 else -1
    temp = temps[inputs[0]] + temps[inputs[1]] + temps[output]
    if bias >= 0:
        temp += temps[bias]
    per_channel = dtype != "float32" and filter_.scales > 1 and filter_.zero_points > 0
    persistent = (4 * filter_.scales, 4 * filter_.scales) if per_channel else _NONE
    params, align = (5, 1) if build.short_enums else (16, 4)
    if not build.cmsis_nn:
        if not persistent:
            return params, align, (48,), persistent, temp, _NONE, -1
        # Where enumerations are wide, the type in the last temporary lies out of reach.
        slack = -1 if build.short_enums else _PADDING_SLACK.get(filter_.scales, -1)
        return params, align, (48,), persistent, _kept(temp, output, temps, build), _NONE, slack
    if persistent and dtype == "int16":
        raise UserError(
            "TFLM with CMSIS-NN refuses a FULLY_CONNECTED on int16 whose weights have a scale for each channel.",
            "Set kernels to reference, or convert it with one scale for all channels.",
        )
    shape = tensors[output].shape
    depth = shape[-1]
    scratches = _NONE
    if dtype != "int8":
        return params, align, (72,), _NONE, temp, _NONE, -1
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
        temp = _kept(temp, output, temps, build)
    # Sums are written when nobody reads the type in the last temporary any more.
    slack = _PADDING_SLACK.get(filter_.scales, -1) if len(persistent) == 3 else -1
    return params, align, (72,), persistent, temp, scratches, slack


def _pool(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    temp = temps[op.inputs[0]] + temps[op.outputs[0]]
    if not build.cmsis_nn:
        return 40, 4, (32,), _NONE, temp, _NONE, -1
    if op.kind == "MAX_POOL_2D":
        return 40, 4, (36,), _NONE, temp, _NONE, -1
    source = tensors[op.inputs[0]]
    size = 4 * source.shape[3] if build.dsp and source.dtype != "float32" else 0
    return 40, 4, (36,), _NONE, 2 * temp, (size,) if size > 0 else _NONE, -1


def _reduce(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
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
    return 1, 1, (44,), _NONE, temp, sizes, -1


def _softmax(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    temp = temps[op.inputs[0]] + temps[op.outputs[0]]
    if tensors[op.inputs[0]].dtype == "int16":
        tables = (2 * _TABLE_ENTRIES, 2 * _TABLE_ENTRIES)
        data = 64 if build.cmsis_nn or build.esp_nn else 56
        return 4, 4, (data,), tables, _kept(temp, op.outputs[0], temps, build), _NONE, -1
    if not build.esp_nn:
        return 4, 4, (64 if build.cmsis_nn else 56,), _NONE, temp, _NONE, -1
    scratches = _NONE
    if tensors[op.outputs[0]].dtype == tensors[op.inputs[0]].dtype == "int8":
        shape = tensors[op.inputs[0]].shape
        if len(shape) < 2:
            raise UserError(
                "ESP-NN's SOFTMAX sizes its memory by the second dimension, and this tensor has none: its memory is"
                " that of chance.",
                "Give the softmax a batch dimension, or set kernels to reference.",
            )
        # By the second dimension whatever the last one is.
        scratches = (4 * shape[1],) if shape[1] > 0 else _NONE
    return 4, 4, (64,), _NONE, temp, scratches, -1


def _concatenation(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    if len(op.inputs) > _MOST_CONCATENATED:
        raise UserError(
            f"TFLM concatenates at most {_MOST_CONCATENATED} tensors, not {len(op.inputs)}.",
            "Concatenate in steps.",
        )
    temp = temps[op.inputs[0]] + temps[op.outputs[0]]
    for index in op.inputs:
        temp += temps[index]
    return 8, 4, (24,), _NONE, temp, _NONE, -1


def _tanh(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    return 0, 1, (16,), _NONE, 2 * temps[op.inputs[0]] + temps[op.outputs[0]], _NONE, -1


def _relu6(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    return 0, 1, (8,), _NONE, temps[op.inputs[0]], _NONE, -1


def _split(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    # Only the axis is looked at: the first input of SPLIT, the last one of SPLIT_V.
    return 4, 4, _NONE, _NONE, temps[op.inputs[0 if op.kind == "SPLIT" else 2]], _NONE, -1


def _writable_dims(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    # Prepare copies the output's shape out of the flatbuffer.
    output = op.outputs[0]
    temp = sum(temps[index] for index in op.inputs) + temps[output]
    dims = 4 + 4 * len(tensors[output].shape)
    return 8 if op.kind == "GATHER" else 4, 4, _NONE, (dims,), _kept(temp, output, temps, build), _NONE, -1


def _mirror_pad(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    temp = temps[op.inputs[0]] + temps[op.inputs[1]] + temps[op.outputs[0]]
    size = 4 * len(tensors[op.inputs[0]].shape)
    params, align = (1, 1) if build.short_enums else (4, 4)
    return params, align, (20,), _NONE, temp, (size, size), -1


def _ethos_u(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    # Prepare asks for the base addresses (64 bits each) and sizes, then looks at the command stream.
    bases = len(op.inputs) + len(op.outputs)
    return 0, 1, (12,), _NONE, temps[op.inputs[0]], (8 * bases, 4 * bases), -1


def _add_n(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    pointers = 4 * len(op.inputs)
    temp = sum(temps[index] for index in op.inputs) + temps[op.outputs[0]]
    if tensors[op.outputs[0]].dtype == "float32":
        return 0, 1, _NONE, _NONE, temp, (pointers,), -1
    # Inputs behind the first are looked at once, and the output's zero points are not read again.
    unread = sum(temps[index] for index in op.inputs[1:])
    kept = _kept(temp - unread, op.outputs[0], temps, build)
    return 0, 1, _NONE, (40,), temp, (pointers,), -1 - (temp - kept)


def _batch_matmul(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
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
    temp = _kept(sum(temps[index] for index in (*op.inputs, output)), output, temps, build)
    scale = (_BATCH_MATMUL_SCALE,) if quantized else _NONE
    if not build.cmsis_nn:
        return 3, 1, (16,), (*scale, *turned, dims), temp, _NONE, -1
    size = 4 * tensors[output].shape[-1] if build.mve and tensors[output].dtype == "int8" else 0
    # The size of the sums is read of the output's shape in four dimensions, and so is its last.
    return 3, 1, (36,), (*turned, dims, *scale), temp, (size,) if size else _NONE, -1


def _cumsum(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    temp = sum(temps[index] for index in (*op.inputs, *op.outputs))
    if tensors[op.outputs[0]].dtype != "int8":
        return 2, 1, _NONE, _NONE, temp, _NONE, -1
    return 2, 1, _NONE, (36,), _kept(temp, op.outputs[0], temps, build), _NONE, -1


def _log_softmax(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    temp = temps[op.inputs[0]] + temps[op.outputs[0]]
    if tensors[op.outputs[0]].dtype != "int8":
        return 0, 1, _NONE, _NONE, temp, _NONE, -1
    return 0, 1, _NONE, (28,), _kept(temp, op.outputs[0], temps, build), _NONE, -1


def _l2_pool(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    temp = temps[op.outputs[0]] + temps[op.inputs[0]]
    return 40, 4, _NONE, (20,), _kept(temp, op.inputs[0], temps, build), _NONE, -1


def _copied_dims(own: int = 0) -> Rule:
    """Operators that copy their output's shape in Prepare, and have `own` bytes of data after that."""

    def rule(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
        output = op.outputs[0]
        temp = sum(temps[index] for index in (*op.inputs, output))
        persistent = (4 + 4 * len(tensors[output].shape), *((own,) if own else _NONE))
        return 0, 1, _NONE, persistent, _kept(temp, output, temps, build), _NONE, -1

    return rule


def _svdf(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    options = op.options
    if not isinstance(options, KernelOptions):
        raise UserError("The memory of SVDF is not known without its rank.", "Replace the operator.")
    source, features = tensors[op.inputs[0]], tensors[op.inputs[1]].shape
    sizes = [4 * source.shape[0] * features[0]]
    if source.dtype == "int8":
        sizes.append(4 * source.shape[0] * (features[0] // options["rank"]))
    temp = sum(temps[index] for index in (*op.inputs, *op.outputs) if index >= 0)
    params = 8 if build.short_enums else 12
    if not build.cmsis_nn:
        return params, 4, (36,), _NONE, temp, tuple(sizes), -1
    if not build.mve or source.dtype != "int8":
        return params, 4, (40,), _NONE, temp, tuple(sizes), -1
    kept = _kept(temp, op.outputs[0], temps, build)
    return params, 4, (40,), (4 * features[0],), kept, tuple(sizes), -1


def _lstm(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    temp = sum(temps[index] for index in (*op.inputs, *op.outputs) if index >= 0)
    hidden, state = tensors[op.inputs[_HIDDEN_STATE]].shape, tensors[op.inputs[_CELL_STATE]]
    size = hidden[0] * hidden[1] * ITEM_BYTES[state.dtype]
    if not build.cmsis_nn:
        return 16, 4, (688,), _NONE, temp, (size,) * 4, -1
    dtype = tensors[op.inputs[0]].dtype
    if dtype == "float32":
        return 16, 4, (912,), _NONE, temp, (size,) * 4, -1
    # Sums of the weights' rows for four gates, of the input and of the state.
    sums = (8 if dtype == "int16" else 4) * hidden[1]
    kept = _kept(temp, op.outputs[0], temps, build)
    return 16, 4, (912,), (sums,) * 8, kept, (size,) * 3, -1


def _detection(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
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
    return 0, 1, (112,), _NONE, temp, (boxes, *sizes), -1


def _assign_variable(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    return 0, 1, _NONE, _NONE, temps[op.inputs[1]], _NONE, -1


def first_assignment(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
    """The demand of the ASSIGN_VARIABLE that is the first to its variable: it takes the memory of that as well."""
    value = op.inputs[1]
    kept = _kept(temps[value], value, temps, build)
    return 0, 1, _NONE, (tensors[value].size_bytes,), kept, _NONE, -1


def _plain(
    data: int = 0,
    *,
    params: tuple[int, int] = (0, 1),
    wide: tuple[int, int] | None = None,
    inputs: int | None = None,
    outputs: int | None = None,
) -> Rule:
    """A kernel that looks at its inputs and outputs once.

    Args:
        data: Operator data of Init.
        params: Size and alignment of the parsed options.
        wide: The same where enumerations take 4 bytes, if it differs.
        inputs: How many of the inputs it looks at; all where None.
        outputs: How many of the outputs; all where None.
    """
    kept = (data,) if data else _NONE

    def rule(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
        temp = 0
        for index in op.inputs[:inputs]:
            if index >= 0:
                temp += temps[index]
        for index in op.outputs[:outputs]:
            temp += temps[index]
        size, align = params if wide is None or build.short_enums else wide
        return size, align, kept, _NONE, temp, _NONE, -1

    return rule


def _blind(params: tuple[int, int] = (0, 1), *, wide: tuple[int, int] | None = None, data: int = 0) -> Rule:
    """A kernel that looks at no tensor in Prepare."""
    kept = (data,) if data else _NONE

    def rule(op: Operator, tensors: tuple[Tensor, ...], temps: Temporaries, build: Build) -> Demand:
        size, align = params if wide is None or build.short_enums else wide
        return size, align, kept, _NONE, 0, _NONE, -1

    return rule


RULES: dict[str, Rule] = {
    "ABS": _plain(28),
    "ADD": _plain(60, params=(2, 1), wide=(8, 4)),
    "ARG_MAX": _blind((1, 1), wide=(4, 4)),
    "ARG_MIN": _blind((1, 1), wide=(4, 4)),
    "AVERAGE_POOL_2D": _pool,
    "BATCH_TO_SPACE_ND": _plain(inputs=1),
    "CAST": _plain(params=(2, 1), wide=(8, 4)),
    "CONCATENATION": _concatenation,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "DEPTH_TO_SPACE": _writable_dims,
    "DEQUANTIZE": _plain(32),
    "DIV": _plain(28, params=(1, 1), wide=(4, 4)),
    "ELU": _plain(256),
    "ETHOS_U": _ethos_u,
    "EXPAND_DIMS": _plain(),
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _writable_dims,
    "HARD_SWISH": _plain(20),
    "L2_NORMALIZATION": _plain(4, params=(1, 1), wide=(4, 4)),
    "LEAKY_RELU": _plain(24, params=(4, 4)),
    "LOGISTIC": _plain(16),
    "MAXIMUM": _blind(),
    "MAX_POOL_2D": _pool,
    "MEAN": _reduce,
    "MINIMUM": _blind(),
    "MIRROR_PAD": _mirror_pad,
    "MUL": _plain(36, params=(1, 1), wide=(4, 4)),
    "PACK": _blind((8, 4)),
    "PAD": _plain(56),
    "PADV2": _plain(56),
    "PRELU": _plain(28),
    "QUANTIZE": _plain(32),
    "REDUCE_MAX": _reduce,
    "REDUCE_MIN": _reduce,
    "RELU": _plain(28),
    "RELU6": _relu6,
    "RESHAPE": _plain(params=(36, 4), inputs=1),
    "RESIZE_BILINEAR": _plain(params=(2, 1)),
    "RESIZE_NEAREST_NEIGHBOR": _plain(params=(2, 1)),
    "SLICE": _plain(),
    "SOFTMAX": _softmax,
    "SPACE_TO_BATCH_ND": _plain(4, inputs=1),
    "SPACE_TO_DEPTH": _writable_dims,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "SQUEEZE": _plain(params=(36, 4)),
    "SQUARED_DIFFERENCE": _plain(112),
    "STRIDED_SLICE": _plain(84, params=(24, 4)),
    "SUB": _plain(52, params=(2, 1), wide=(8, 4)),
    "SUM": _reduce,
    "TANH": _tanh,
    "TRANSPOSE": _plain(),
    "TRANSPOSE_CONV": _transpose_conv,
    "UNPACK": _blind((8, 4)),
    "ADD_N": _add_n,
    "ASSIGN_VARIABLE": _assign_variable,
    "BATCH_MATMUL": _batch_matmul,
    "BROADCAST_ARGS": _plain(),
    "BROADCAST_TO": _plain(),
    "CALL_ONCE": _blind((4, 4), data=8),
    "CEIL": _plain(),
    "CIRCULAR_BUFFER": _plain(8),
    "COS": _plain(),
    "CUMSUM": _cumsum,
    "DYNAMIC_UPDATE_SLICE": _plain(),
    "EMBEDDING_LOOKUP": _copied_dims(8),
    "EXP": _plain(),
    "FILL": _plain(),
    "FLOOR": _blind(),
    "FLOOR_DIV": _plain(),
    "FLOOR_MOD": _plain(),
    "GATHER_ND": _copied_dims(),
    "IF": _plain(8, params=(8, 4), inputs=1, outputs=0),
    "L2_POOL_2D": _l2_pool,
    "LOG": _plain(),
    "LOGICAL_AND": _blind(),
    "LOGICAL_NOT": _plain(),
    "LOGICAL_OR": _blind(),
    "LOG_SOFTMAX": _log_softmax,
    "NEG": _blind(),
    "READ_VARIABLE": _plain(outputs=0),
    "REDUCE_ALL": _reduce,
    "REVERSE_V2": _plain(),
    "ROUND": _plain(),
    "RSQRT": _plain(28),
    "SELECT_V2": _plain(1),
    "SHAPE": _blind((1, 1), wide=(4, 4)),
    "SIN": _plain(),
    "SQRT": _plain(),
    "SQUARE": _plain(),
    "SVDF": _svdf,
    "TFLite_Detection_PostProcess": _detection,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
    "VAR_HANDLE": _blind((8, 4), data=4),
    "WHILE": _blind((8, 4), data=8),
    "ZEROS_LIKE": _plain(),
    **dict.fromkeys(
        ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL"), _plain(32, outputs=0)
    ),
    **dict.fromkeys(PARAMETERS, signal_demand),
}


def misused_operator(op: Operator) -> UserError:
    """The refusal of an operator whose tensors are not those that its kernel takes."""
    return UserError(
        f"Operator {op.kind} has {len(op.inputs)} inputs and {len(op.outputs)} outputs that its kernel does not take.",
        "Convert the model again.",
    )


def unknown_operator(kind: str) -> UserError:
    """The refusal of an operator that no rule covers."""
    return UserError(f"TFLM {TFLM_VERSION} has no operator {kind}.", "Replace the operator.")
