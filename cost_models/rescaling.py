"""What a kernel does for each element where the scales of its tensors decide it: multiply, or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cost_models.graph import KernelOptions, Operator, Tensor

# Element types of input and output, and what their zero points differ by, where numbers differ in the top bit alone.
_TOP_BIT = (("uint8", "int8", 128), ("int8", "uint8", -128))


def with_rescaling(
    op: Operator,
    tensors: tuple[Tensor, ...],
    quantization: Callable[[int], tuple[float, int] | None],
) -> Operator:
    """An ABS that rescales and a QUANTIZE that flips the top bit with an option that says so; any other as it is.

    ABS multiplies where input and output differ in scale; QUANTIZE does but where int8 and uint8 stand for the same.

    Source: tensorflow/lite/micro/kernels/elementwise.cc and kernels/internal/reference/requantize.h, tflite-micro
    90b983c2.

    Args:
        op: An operator of a model.
        tensors: Of its graph.
        quantization: Scale and zero point of a tensor by its index, None where it has not one of each.
    """
    if op.kind not in ("ABS", "QUANTIZE"):
        return op
    first, second = quantization(op.inputs[0]), quantization(op.outputs[0])
    if first is None or second is None:
        return op
    same = first[0] == second[0]
    if op.kind == "ABS":
        return op if same else replace(op, options=KernelOptions(values=(("rescales", 1),)))
    dtypes = tensors[op.inputs[0]].dtype, tensors[op.outputs[0]].dtype
    if not same or (*dtypes, first[1] - second[1]) not in _TOP_BIT:
        return op
    return replace(op, options=KernelOptions(values=(("flips", 1),)))
