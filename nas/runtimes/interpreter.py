"""The interface of every interpreter of int8 models: two ports, int8 in and int8 out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError

Engine = Literal["tflm", "litert"]


class InterpreterError(RuntimeError):
    """An interpreter refused a model or failed to run it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """The model's input or output tensor.

    Attributes:
        shape: Without the batch.
        scale: Of the int8 values, a float32.
        zero_point: Of the int8 values.
    """

    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


class Int8Model(Protocol):
    """An int8 model in an interpreter, with one input and one output."""

    @property
    def engine(self) -> Engine: ...
    @property
    def input(self) -> Port: ...
    @property
    def output(self) -> Port: ...
    def run(self, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
        """Outputs of int8 inputs. Shape: (n, *input.shape) -> (n, *output.shape)."""
        ...


def read_port(details: dict[str, Any], name: str) -> Port:
    """A port from the details that TFLM's and LiteRT's interpreters state alike.

    Raises:
        UserError: It is not int8 of one scale, or has a batch.
    """
    parameters = details["quantization_parameters"]
    dtype = np.dtype(details["dtype"])
    if dtype != np.int8 or len(parameters["scales"]) != 1:
        raise UserError(f"The model's {name} is {dtype}, not int8.", "Convert it with int8 input and output.")
    shape = tuple(int(size) for size in details["shape"])
    if shape[:1] != (1,):
        raise UserError(f"The model's {name} has the shape {shape}.", "Convert it with a batch of 1.")
    return Port(
        shape=shape[1:], scale=float(parameters["scales"][0]), zero_point=int(parameters["zero_points"][0])
    )


def check_inputs(inputs: NDArray[np.int8], port: Port) -> None:
    """Refuses what is not int8 of the input's shape.

    Raises:
        ValueError: It is of another type or shape.
    """
    if inputs.dtype != np.int8 or inputs.shape[1:] != port.shape:
        raise ValueError(f"inputs are {inputs.dtype} {inputs.shape[1:]}, not int8 {port.shape}")
