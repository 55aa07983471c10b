"""Models that are costed and that a kernel library does not run right: said beside the costs, with what mends it."""

from __future__ import annotations

from collections.abc import Callable

from cost_models.arena import ESP_TFLITE_MICRO_VERSION
from cost_models.graph import Operator, OpGraph
from cost_models.target import Target

_MOST = 3  # operators that are named


def kernel_faults(graph: OpGraph, target: Target) -> tuple[str, ...]:
    """What goes wrong with a model in the kernels of a target, one sentence each, with what mends it."""
    if target.kernels != "esp_nn":
        return ()
    said = []
    for faulty, fault in _OF_ESP_NN:
        named = [f"{op.kind} (operator {i})" for i, op in enumerate(graph.operators) if faulty(op, graph)]
        if named:
            more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
            said.append(fault.format(operators=", ".join(named[:_MOST]) + more))
    return tuple(said)


def _without_bias(op: Operator, graph: OpGraph) -> bool:
    """Whether ESP-NN's kernel looks for a bias that is not there.

    Source: espressif/esp-tflite-micro@99f49e14, `EvalQuantizedPerChannel` in conv.cc and depthwise_conv.cc of
    tensorflow/lite/micro/kernels/esp_nn: of int8 by int8 it takes `GetTensorData(bias)`, which reads `bias->data` of a
    null pointer, where other types, FULLY_CONNECTED and TFLM's own kernels take `GetOptionalTensorData`.
    """
    if op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D") or (len(op.inputs) > 2 and op.inputs[2] >= 0):
        return False
    return all(graph.tensors[index].dtype == "int8" for index in op.inputs[:2])


def _scratch_too_small(op: Operator, graph: OpGraph) -> bool:
    """Whether ESP-NN's SOFTMAX writes past its scratch.

    Source: espressif/esp-tflite-micro@99f49e14, tensorflow/lite/micro/kernels/esp_nn/softmax.cc, where Prepare asks for
    4 bytes for each element of dimension 1; espressif/esp-nn@d45b843c, whose `esp_nn_softmax_s8_opt` writes 4 for each
    of the last.
    """
    if op.kind != "SOFTMAX":
        return False
    input_, output = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    return input_.dtype == output.dtype == "int8" and input_.shape[-1] > input_.shape[1]


_OF_ESP_NN: tuple[tuple[Callable[[Operator, OpGraph], bool], str], ...] = (
    (
        _without_bias,
        "{operators}: without a bias ESP-NN's kernel reads through a null pointer, and the chip stops (esp-tflite-micro"
        f" {ESP_TFLITE_MICRO_VERSION}). Add a bias, of zeros if need be, as TensorFlow's converter does.",
    ),
    (
        _scratch_too_small,
        "{operators}: ESP-NN's kernel has memory for as many elements as dimension 1 has, writes as many as the last"
        f" one has, and overwrites what lies behind (esp-tflite-micro {ESP_TFLITE_MICRO_VERSION}). Leave the softmax to"
        " the firmware, or set kernels to reference.",
    ),
)
