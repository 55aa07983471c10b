"""The demand of a kernel on the arena, as rules state it, and the parts that most rules are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from cost_models.arena.build import Build
from cost_models.graph import Operator, Tensor

# Bytes of one temporary TfLiteTensor with its quantization, by tensor index.
Temporaries = Sequence[int]
Tensors = tuple[Tensor, ...]


class Demand(NamedTuple):
    """The allocations of one operator's kernel, in bytes.

    Attributes:
        options: Parsed options: bytes and their alignment.
        data: Operator data and state of Init, each aligned to 16 bytes.
        persistent: Persistent buffers of Prepare, likewise.
        temporaries: TfLiteTensors that Prepare asks for; they are never given back before it ends.
        scratch: Scratch buffers.
        slack: With at most so many bytes to the next multiple of 16, 16 bytes less do as well; -1 never, and below
            that so many bytes of the temporaries as persistent buffers may run over.
    """

    options: tuple[int, int] = (0, 1)
    data: tuple[int, ...] = ()
    persistent: tuple[int, ...] = ()
    temporaries: int = 0
    scratch: tuple[int, ...] = ()
    slack: int = -1


Rule = Callable[[Operator, Tensors, Temporaries, Build], Demand]


def all_temporaries(op: Operator, temps: Temporaries) -> int:
    """Temporaries of a kernel that looks once at every input that is there, and at every output."""
    return sum([temps[index] for index in (*op.inputs, *op.outputs) if index >= 0])


def kept(temp: int, last: int, temps: Temporaries, build: Build) -> int:
    """Temporaries that must survive when persistent buffers are allocated after them.

    TFLM checks a persistent buffer against the head only, so the buffer may run over the end of the last
    temporary. Its zero points and quantized dimension are not read again; the pointer before them is.

    Args:
        temp: Bytes of all temporaries.
        last: The tensor whose temporary was asked for last.
        temps: Bytes by tensor.
        build: The TFLM binary.
    """
    return temp - max(temps[last] - build.tensor_bytes - 8, 0)


def plain(
    data: int = 0,
    *,
    params: tuple[int, int] = (0, 1),
    wide: tuple[int, int] | None = None,
    inputs: int | None = None,
    outputs: int | None = None,
) -> Rule:
    """The rule of a kernel that looks at its inputs and outputs once.

    Args:
        data: Operator data of Init.
        params: Size and alignment of the parsed options.
        wide: The same where enumerations take 4 bytes, if it differs.
        inputs: How many of the inputs it looks at; all where None.
        outputs: How many of the outputs; all where None.
    """
    init = (data,) if data else ()

    def rule(op: Operator, tensors: Tensors, temps: Temporaries, build: Build) -> Demand:
        temp = 0
        for index in op.inputs[:inputs]:
            if index >= 0:
                temp += temps[index]
        for index in op.outputs[:outputs]:
            temp += temps[index]
        return Demand(params if wide is None or build.short_enums else wide, init, (), temp)

    return rule


def blind(params: tuple[int, int] = (0, 1), *, wide: tuple[int, int] | None = None, data: int = 0) -> Rule:
    """The rule of a kernel that looks at no tensor in Prepare."""
    return plain(data, params=params, wide=wide, inputs=0, outputs=0)
