"""Small models of signal operators for tests, made from scratch."""

from __future__ import annotations

from collections.abc import Sequence

from cost_models.graph import NoOptions, Operator, OpGraph, SignalOptions, Tensor
from cost_models.tflite_writer import write_model

INT16, INT32 = 7, 2
"""Element types by their numbers in the schema, for the option T."""


def activation(shape: Sequence[int], dtype: str) -> Tensor:
    return Tensor(shape=tuple(shape), dtype=dtype)


def numbers(values: Sequence[int]) -> tuple[Tensor, bytes]:
    """A constant of int16."""
    data = b"".join(value.to_bytes(2, "little", signed=True) for value in values)
    return Tensor(shape=(len(values),), dtype="int16", data_bytes=len(data)), data


def single(
    kind: str,
    inputs: Sequence[Tensor | tuple[Tensor, bytes]],
    outputs: Sequence[Tensor],
    **options: int,
) -> bytes:
    """A model of one operator; its activations are the model's inputs and outputs."""
    tensors: list[Tensor] = []
    constants: dict[int, bytes] = {}
    for index, one in enumerate(inputs):
        if isinstance(one, Tensor):
            tensors.append(one)
        else:
            tensors.append(one[0])
            constants[index] = one[1]
    first = len(tensors)
    tensors += outputs
    places = tuple(range(first, len(tensors)))
    made = SignalOptions(values=tuple(sorted(options.items()))) if kind.startswith("Signal") else NoOptions()
    graph = OpGraph(
        tensors=tuple(tensors),
        operators=(Operator(kind=kind, inputs=tuple(range(first)), outputs=places, options=made),),
        inputs=tuple(index for index in range(first) if index not in constants),
        outputs=places,
    )
    return write_model(graph, constants)


def window(samples: int = 8, weights: int = 8, *, shift: int = 12, made: int = 8) -> bytes:
    """A window over some samples."""
    return single(
        "SignalWindow",
        [activation((samples,), "int16"), numbers([4096] * weights)],
        [activation((made,), "int16")],
        shift=shift,
    )


def rfft(
    samples: int = 24, *, length: int = 32, made: int = 34, dtype: str = "int16", number: int = INT16
) -> bytes:
    """A Fourier transform of real samples."""
    return single(
        "SignalRfft",
        [activation((samples,), dtype)],
        [activation((made,), dtype)],
        T=number,
        fft_length=length,
    )


def filter_bank(
    starts: Sequence[int] = (1, 3),
    places: Sequence[int] = (0, 2),
    widths: Sequence[int] = (2, 2),
    bands: int = 1,
) -> bytes:
    """A filter bank over nine places of a spectrum, with four weights."""
    lists = ([1] * 4, [2] * 4, starts, places, widths)
    return single(
        "SignalFilterBank",
        [activation((9,), "uint32"), *map(numbers, lists)],
        [activation((bands,), "uint64")],
        num_channels=bands,
    )
