"""TFLM's DECODE: an operator before another, which restores its compressed weights into the arena.

Of its ways of coding the tables of values are known here (LUT): each weight is an index of 1 to 7 bits into a table of
int8 values, one table for all of a tensor or one for each channel.

Source: tensorflow/lite/micro/kernels/decode.cc, decode_state.h and decode_state_lut.cc, tflite-micro 90b983c2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cost_models.errors import UserError
from cost_models.flatbuffer import broken, refused
from cost_models.graph import ITEM_BYTES, KernelOptions, Operator, Tensor
from cost_models.tflite_schema import DECODE

HEADER_BYTES = 16
"""What stands before the tables of values."""

MOST_BITS = 7

_LUT, _VERSION = 0, 1
_OTHER_CODES = {1: "Huffman codes", 2: "pruning masks"}
_TYPE_AT, _VERSION_AT, _LUT_VERSION_AT, _BITS_AT, _STRIDE_AT = 0, 1, 4, 5, 6
_BITS_MASK = 7
_AXIS_0, _ONE_TABLE = 0x00, 0xF0  # The kernel goes by the scales of the output.


def with_coding(
    index: int, op: Operator, tensors: tuple[Tensor, ...], content: Callable[[int], bytes]
) -> Operator:
    """A DECODE with how each of its outputs is coded; any other operator as it is.

    For output 0, 1, ... the options are `bits_0` (of an index), `channels_0` (how many runs of weights there are, each
    with a table) and `last_axis_0` (1 where the runs alternate from weight to weight).

    Args:
        index: Its place in execution order.
        op: An operator of a model.
        tensors: Of its graph.
        content: The bytes of a constant by its index, empty for an activation.

    Raises:
        UserError: It is coded in a way whose cost is not known, or TFLM does not run it.
    """
    if op.kind != DECODE:
        return op
    name = f"operator {index} ({op.kind})"
    if len(op.inputs) != 2 * len(op.outputs) or min(op.inputs) < 0:
        raise broken(f"{name} has {len(op.inputs)} inputs and {len(op.outputs)} outputs")
    values: list[tuple[str, int]] = []
    for place, output in enumerate(op.outputs):
        codes, header = content(op.inputs[2 * place]), content(op.inputs[2 * place + 1])
        _check(name, tensors[output], codes, header)
        values += coding_options(place, tensors[output], header[_BITS_AT] & _BITS_MASK)
    return replace(op, options=KernelOptions(values=tuple(values)))


def _check(name: str, output: Tensor, codes: bytes, header: bytes) -> None:
    if not codes or len(header) <= HEADER_BYTES:
        raise refused(f"{name} has an input that is not a constant, or tables of no bytes")
    code = header[_TYPE_AT]
    if code != _LUT:
        raise UserError(
            f"The model has weights in {_OTHER_CODES.get(code, 'a code of their own')} ({DECODE}): what they take is"
            " not known.",
            "Compress them by tables of values (LUT), or leave them as they are.",
        )
    if header[_VERSION_AT] != _VERSION or header[_LUT_VERSION_AT] != _VERSION:
        raise refused(f"{name} has tables of another version than {_VERSION}")
    bits, stride = header[_BITS_AT] & _BITS_MASK, header[_STRIDE_AT]
    channels = max(output.scales, 1)
    last_axis = channels > 1 and output.quantized_dimension == len(output.shape) - 1
    if output.quantized_dimension and not last_axis:
        raise refused(f"{name} has scales along axis {output.quantized_dimension}")
    if not bits or len(codes) < -(-output.elements * bits // 8):
        raise refused(f"{name} has {len(codes)} bytes for {output.elements} indices of {bits} bits")
    tables = stride * (channels - 1) * ITEM_BYTES[output.dtype] + 1
    if len(header) - HEADER_BYTES < tables:
        raise refused(f"{name} has {len(header) - HEADER_BYTES} bytes of tables for {channels} channels")


def coding_options(place: int, output: Tensor, bits: int) -> tuple[tuple[str, int], ...]:
    """What `with_coding` says of an output.

    Args:
        place: Which of the outputs.
        output: The tensor.
        bits: Of an index.
    """
    channels = max(output.scales, 1)
    last_axis = channels > 1 and output.quantized_dimension == len(output.shape) - 1
    values = {"bits": bits, "channels": channels, "last_axis": int(last_axis)}
    return tuple((f"{key}_{place}", value) for key, value in values.items())


def coded(values: bytes, bits: int, stride: int, channels: int) -> tuple[bytes, bytes]:
    """The indices of a tensor, and the header and tables that restore it.

    Args:
        values: Its int8 values, channel by channel.
        bits: Of an index.
        stride: Length of a channel's table; 0 for one table of two to the power of `bits` values, over which TFLM moves
            by nothing from channel to channel.
        channels: How many tables there are.
    """
    run = len(values) // channels
    indices = bytearray()
    tables = bytearray()
    for start in range(0, len(values), run):
        part = values[start : start + run]
        table = bytes(sorted(set(part)))
        tables += table.ljust(stride or 2**bits, b"\0")
        indices += part.translate(bytes.maketrans(table, bytes(range(len(table)))))
    codes = bytearray()
    for start in range(0, len(indices), 8):
        number = 0
        for index in indices[start : start + 8].ljust(8, b"\0"):
            number = number << bits | index
        codes += number.to_bytes(bits, "big")
    header = bytearray(HEADER_BYTES)
    header[_TYPE_AT], header[_VERSION_AT], header[_LUT_VERSION_AT] = _LUT, _VERSION, _VERSION
    header[_BITS_AT] = (_AXIS_0 if stride else _ONE_TABLE) | bits
    header[_STRIDE_AT] = stride
    return bytes(codes[: -(-len(values) * bits // 8)]), bytes(header + tables)
